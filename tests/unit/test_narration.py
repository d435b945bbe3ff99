"""The value types of a narration: counts, faithfulness, and what they refuse."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import get_args

import pytest

from tests.sample_report import narrated_report
from vau import narration
from vau.narration import EventNarration, NarratedSentence, NarrationFailure, VerdictCounts
from vau.reasoning import clause_check

GOOD = NarratedSentence("A person falls.", "what", "supported", ("measured",))


def test_verdicts_are_those_of_the_claim_check() -> None:
    assert get_args(narration.Verdict) == get_args(clause_check.Verdict)


def test_faithfulness_counts_checkable_sentences_alone() -> None:
    told = narrated_report().narration
    assert told is not None
    counts = told.counts
    assert counts == VerdictCounts(supported=2, unsupported=1, contradicted=1, not_checkable=2)
    assert (counts.checkable, counts.faithfulness) == (4, 0.5)
    assert told.event("E1").counts.faithfulness == pytest.approx(1 / 3)
    assert told.event("E9") is None
    assert [(event, item.role) for event, item in told.failures] == [("E2", "cause"), ("E2", "effect")]


def test_nothing_checkable_has_no_faithfulness() -> None:
    open_one = replace(GOOD, verdict="not checkable")
    assert EventNarration(None, (open_one,)).counts.faithfulness is None
    assert EventNarration(None, ()).counts.faithfulness is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"role": "title"},
        {"verdict": "true"},
        {"text": ""},
        {"reasons": ()},
        {"times_s": (-1.0,)},
        {"times_s": (math.nan,)},
    ],
)
def test_a_sentence_is_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)).removesuffix("text") or "words"):
        replace(GOOD, **wrong)  # type: ignore[arg-type]


def test_raw_text_is_bounded() -> None:
    with pytest.raises(ValueError, match="4000"):
        NarrationFailure("why", "unreadable", "x" * 4001)


def test_a_narration_is_checked() -> None:
    told = narrated_report().narration
    assert told is not None
    with pytest.raises(ValueError, match="negative"):
        replace(told, paid=-1)
    with pytest.raises(ValueError, match="once"):
        replace(told, events=(told.events[0], told.events[0]))
