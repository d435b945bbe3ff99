from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vau.reasoning.times import TimeSpan, find_times

DURATION = 30.0


@pytest.mark.parametrize(
    ("question", "start", "end"),
    [
        ("what happened at 12 s", 12, 12),
        ("at 0:12?", 12, 12),
        ("whats at 12.5 seconds", 12.5, 12.5),
        ("what is at 12,5 s", 12.5, 12.5),
        ("1:02:05", 3725, 3725),
        ("1m20s", 80, 80),
        ("at 1 min 20 s", 80, 80),
        ("1 minute and 5 seconds in", 65, 65),
        ("half a minute in", 30, 30),
        ("twenty five seconds in", 25, 25),
        ("at second 14", 14, 14),
        ("t=12", 12, 12),
        ("frame 120", 4.8, 4.8),
        ("around the 10 second mark", 10, 10),
        ("what is at 12?", 12, 12),
        ("between 10 and 20 s", 10, 20),
        ("between 0:10 and 0:14", 10, 14),
        ("between 1 and 2 minutes", 60, 120),
        ("from 8s to 12s", 8, 12),
        ("0:20-0:10", 10, 20),
        ("10-20s", 10, 20),
        ("in the first ten seconds", 0, 10),
        ("the first minute", 0, 60),
        ("in the last 5 seconds", 25, 30),
        ("second half of the clip", 15, 30),
        ("at the end", 27, 30),
        ("at the beginning of the video?", 0, 3),
        ("in the middle", 13.5, 16.5),
        ("halfway through", 13.5, 16.5),
        ("how does the video end?", 27, 30),
        ("person 3 at 12s", 12, 12),
    ],
)
def test_times_are_found(question: str, start: float, end: float) -> None:
    span = find_times(question, DURATION, 25.0).span
    assert span is not None
    assert span.start_s == pytest.approx(start)
    assert span.end_s == pytest.approx(end)
    assert span.sense == "within"


@pytest.mark.parametrize(
    ("question", "span"),
    [
        ("what happened after one minute", TimeSpan(60, 60, "after")),
        ("later than 0:20", TimeSpan(20, 20, "after")),
        ("what happened before 0:30", TimeSpan(30, 30, "before")),
        ("prior to 12 s", TimeSpan(12, 12, "before")),
    ],
)
def test_before_and_after(question: str, span: TimeSpan) -> None:
    assert find_times(question, DURATION).span == span


@pytest.mark.parametrize(
    ("question", "offset", "way"),
    [
        ("5 seconds before the fall", 5, "before"),
        ("and 10 seconds later", 10, "after"),
        ("a minute earlier", 60, "before"),
    ],
)
def test_offsets_from_what_is_named(question: str, offset: float, way: str) -> None:
    found = find_times(question, DURATION)
    assert (found.span, found.offset_s, found.offset_way) == (None, offset, way)


@pytest.mark.parametrize(
    "question",
    [
        "what happened",
        "the second event",
        "is there a second incident",
        "did he run for 5 seconds",
        "person 3",
        "when did it end",
        "frame 120 without a rate",
        "in the middle of the road",
        "at the end of the street",
        "two men",
    ],
)
def test_what_is_no_time_is_left_alone(question: str) -> None:
    assert find_times(question, DURATION).span is None


@given(st.text(alphabet="0123456789:.,- smhintoadfr", max_size=500))
def test_any_text_is_read_quickly_and_gives_ordered_finite_spans(text: str) -> None:
    before = time.perf_counter()
    span = find_times(text, DURATION, 25.0).span
    assert time.perf_counter() - before < 1.0
    assert span is None or 0 <= span.start_s <= span.end_s < 1e12


@pytest.mark.parametrize("text", ["was it the same as before", "who am I looking at", "what happened as he fell"])
def test_small_words_are_no_amounts_of_time(text):
    assert find_times(text, DURATION).span is None
