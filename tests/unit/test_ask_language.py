from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vau.reasoning import language as lang


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (0, "0:00"),
        (12, "0:12"),
        (12.5, "0:12.5"),
        (12.04, "0:12"),
        (59.96, "1:00"),
        (60, "1:00"),
        (754.25, "12:34.2"),
        (3599.97, "1:00:00"),
        (3725, "1:02:05"),
        (-0.01, "0:00"),
        (-3, "-0:03"),
    ],
)
def test_clock(time: float, text: str) -> None:
    assert lang.clock(time) == text


@pytest.mark.parametrize("time", [float("nan"), float("inf")])
def test_clock_refuses_what_is_no_time(time: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        lang.clock(time)


@given(st.floats(0, 200_000))
def test_clock_reads_back_to_a_tenth(time: float) -> None:
    total = 0.0
    for part in lang.clock(time).split(":"):
        total = total * 60 + float(part)
    assert abs(total - time) <= 0.0501


def test_span_collapses_where_both_ends_read_the_same() -> None:
    assert lang.span(12, 15.5) == "from 0:12 to 0:15.5"
    assert lang.span(12.01, 12.04) == "at 0:12"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 seconds"),
        (0.4, "0.4 seconds"),
        (1, "1 second"),
        (9.96, "10 seconds"),
        (12.3, "12 seconds"),
        (60, "1 minute"),
        (80, "1 minute 20 seconds"),
        (3600, "1 hour"),
        (3725, "1 hour 2 minutes"),
        (-1, "0 seconds"),
    ],
)
def test_duration(seconds: float, text: str) -> None:
    assert lang.duration(seconds) == text


def test_lists() -> None:
    assert lang.join_words([]) == ""
    assert lang.join_words(["a"]) == "a"
    assert lang.join_words(["a", "b"]) == "a and b"
    assert lang.join_words(["a", "b", "c"], "or") == "a, b or c"
    assert lang.shorten_list(list("abcdef"), 3) == ["a", "b", "c", "3 more"]
    assert lang.shorten_list(list("abc"), 3) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("confidence", "word"),
    [(1.0, ""), (0.7, ""), (0.69, "probably"), (0.45, "probably"), (0.44, "possibly"), (0, "possibly")],
)
def test_hedge(confidence: float, word: str) -> None:
    assert lang.hedge(confidence) == word


@pytest.mark.parametrize(
    ("noun", "text"),
    [
        ("event", "an event"),
        ("person", "a person"),
        ("uniform", "a uniform"),
        ("hour", "an hour"),
        ("umbrella", "an umbrella"),
        ("one-way street", "a one-way street"),
        ("user", "a user"),
        ("8-second clip", "an 8-second clip"),
    ],
)
def test_article(noun: str, text: str) -> None:
    assert lang.article(noun) == text


def test_plurals() -> None:
    assert lang.plural(0, "car") == "no cars"
    assert lang.plural(1, "person") == "one person"
    assert lang.plural(3, "person") == "three people"
    assert lang.plural(12, "traffic light") == "12 traffic lights"
    assert lang.plural(2, "bus") == "two buses"
    assert lang.plural(2, "body") == "two bodies"
    assert lang.plural(2, "sheep") == "two sheep"


def test_sentence_is_one_clean_sentence() -> None:
    assert lang.sentence("person 1", "", "fell ,", "at 0:12") == "Person 1 fell, at 0:12."
    assert lang.sentence("is it so?") == "Is it so?"
    assert lang.sentence("vau tracked nobody") == "vau tracked nobody."
    assert lang.sentence("", "") == ""


@given(st.text(max_size=600))
def test_clean_gives_one_bounded_printable_line(text: str) -> None:
    line = lang.clean(text, 50)
    assert len(line) <= 50
    assert line.isprintable()
