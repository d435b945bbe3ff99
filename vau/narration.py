"""What a language model told of a video, sentence by sentence, with the verdicts of the claim check: value types.

The account of a report is the evidence narrator's; this stands beside it and changes nothing of it. Times are seconds
from the first frame and end in `_s`. It knows no model and no check.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from vau.checks import ShortRepr

Verdict = Literal["supported", "unsupported", "contradicted", "not checkable"]
NarratedRole = Literal["what", "why", "cause", "effect"]

MAX_RAW = 4000  # characters of an unreadable reply that are kept


@dataclass(frozen=True)
class NarratedSentence:
    """One sentence of the model's and what the report's evidence says to it."""

    text: str
    role: NarratedRole
    verdict: Verdict
    reasons: tuple[str, ...]  # for the verdict, in plain English; at least one
    evidence: tuple[str, ...] = ()  # ids that the check found or that the model named: relations, events, tracks ...
    times_s: tuple[float, ...] = ()  # moments at which a reader can look

    def __post_init__(self) -> None:
        _check_role(self.role)
        if self.verdict not in get_args(Verdict):
            raise ValueError(f"verdict must be one of {get_args(Verdict)}, got {self.verdict!r}")
        if not self.text or not self.reasons:
            raise ValueError(f"a sentence needs words and reasons for its verdict, got {self.text!r}, {self.reasons!r}")
        if not all(math.isfinite(time_s) and time_s >= 0 for time_s in self.times_s):
            raise ValueError(f"times_s must be times from 0, got {self.times_s!r}")


@dataclass(frozen=True)
class NarrationFailure:
    """A part that the model did not tell, and why."""

    role: NarratedRole
    reason: str
    raw: str = ""  # the reply where there was one that could not be read, its first `MAX_RAW` characters

    def __post_init__(self) -> None:
        _check_role(self.role)
        if len(self.raw) > MAX_RAW:
            raise ValueError(f"raw may have {MAX_RAW} characters, got {len(self.raw)}")


@dataclass(frozen=True)
class SuspectedText:
    """Words that look like orders to a machine, quoted for the reader; no score, event or account depends on them."""

    source: str  # where they were read, in words
    quote: str
    signs: tuple[str, ...]  # kinds of signs, such as "override"


@dataclass(frozen=True)
class VerdictCounts:
    """Number of sentences with each verdict."""

    supported: int
    unsupported: int
    contradicted: int
    not_checkable: int

    @classmethod
    def of(cls, sentences: Iterable[NarratedSentence]) -> VerdictCounts:
        """Counts the verdicts of some sentences."""
        found = [item.verdict for item in sentences]
        return cls(*(found.count(verdict) for verdict in get_args(Verdict)))

    @property
    def checkable(self) -> int:
        """Sentences that state something which the evidence could show."""
        return self.supported + self.unsupported + self.contradicted

    @property
    def faithfulness(self) -> float | None:
        """Supported sentences by checkable ones, [0, 1]; None where nothing could be checked."""
        return self.supported / self.checkable if self.checkable else None


@dataclass(frozen=True, repr=False)
class EventNarration(ShortRepr):
    """What the model told of one event, or of the whole video where `event_id` is None."""

    event_id: str | None
    sentences: tuple[NarratedSentence, ...]  # by role, in the model's order
    failures: tuple[NarrationFailure, ...] = ()
    suspected: tuple[SuspectedText, ...] = ()  # in the model's replies

    @property
    def counts(self) -> VerdictCounts:
        """How many sentences have which verdict."""
        return VerdictCounts.of(self.sentences)


@dataclass(frozen=True, repr=False)
class Narration(ShortRepr):
    """All that a model told of a video, and what that cost."""

    model: str  # as the backend names it
    prompts: tuple[str, ...]  # name and version of each prompt used, such as "vader_cause/2"
    events: tuple[EventNarration, ...]  # in the order of the report's events
    suspected: tuple[SuspectedText, ...] = ()  # in what the user gave the model
    paid: int = 0  # calls that the model answered, mended replies and unreadable ones included
    cached: int = 0  # calls answered out of the cache
    failed: int = 0  # calls that brought no answer, tries that were repeated included
    prompt_tokens: int = 0  # of the calls that were paid for, as far as the backend counts
    completion_tokens: int = 0
    images: int = 0

    def __post_init__(self) -> None:
        counts = (self.paid, self.cached, self.failed, self.prompt_tokens, self.completion_tokens, self.images)
        if min(counts) < 0:
            raise ValueError(f"counts of calls and tokens must not be negative, got {counts}")
        ids = [item.event_id for item in self.events]
        if len(set(ids)) < len(ids):
            raise ValueError(f"a narration tells each event once, got {ids}")

    def event(self, event_id: str | None) -> EventNarration | None:
        """Returns what was told of an event, or of the whole video for None; None where there is nothing."""
        return next((item for item in self.events if item.event_id == event_id), None)

    @property
    def counts(self) -> VerdictCounts:
        """How many sentences of all events have which verdict."""
        return VerdictCounts.of(sentence for item in self.events for sentence in item.sentences)

    @property
    def failures(self) -> tuple[tuple[str | None, NarrationFailure], ...]:
        """All that was not told, each with its event's id."""
        return tuple((item.event_id, failure) for item in self.events for failure in item.failures)


def _check_role(role: str) -> None:
    if role not in get_args(NarratedRole):
        raise ValueError(f"role must be one of {get_args(NarratedRole)}, got {role!r}")
