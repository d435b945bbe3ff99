"""Counts what a model's calls cost, those that ended in an unreadable reply or an error included.

The pool counts tasks; a task may be several calls, and one that fails has no usage to show. This counts the calls.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from vau.errors import MllmError, ParseError
from vau.mllm.interface import GREEDY, CandidateScores, Message, Mllm, Reply, Sampling, Schema, Usage


@dataclass(frozen=True)
class Count:
    """What calls came to."""

    paid: int = 0  # answered by the model
    cached: int = 0  # answered out of the cache
    failed: int = 0  # not answered
    usage: Usage = field(default_factory=Usage)  # of those that were paid for


class Meter:
    """A count that any number of threads may add to."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = Count()

    @property
    def count(self) -> Count:
        """What has been counted so far."""
        with self._lock:
            return self._count

    def answered(self, answer: Reply | CandidateScores) -> None:
        """Adds a call that brought an answer."""
        self._add(Count(cached=1) if answer.cached else Count(paid=1, usage=answer.usage))

    def failed(self, error: MllmError) -> None:
        """Adds a call that failed; one with an unreadable reply was paid for, what it cost is not known."""
        self._add(Count(paid=1) if isinstance(error, ParseError) else Count(failed=1))

    def _add(self, other: Count) -> None:
        with self._lock:
            own = self._count
            self._count = Count(
                own.paid + other.paid, own.cached + other.cached, own.failed + other.failed, own.usage + other.usage
            )


class Metered:
    """A model whose calls are counted; streams are not, as they tell no usage."""

    def __init__(self, model: Mllm, meter: Meter) -> None:
        self._model = model
        self._meter = meter

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model.name

    def generate(
        self,
        messages: Sequence[Message],
        *,
        sampling: Sampling = GREEDY,
        schema: Schema | None = None,
        choices: tuple[str, ...] | None = None,
        timeout_s: float | None = None,
    ) -> Reply:
        """Continues a conversation; see `vau.mllm.interface.Mllm`."""
        try:
            reply = self._model.generate(
                messages, sampling=sampling, schema=schema, choices=choices, timeout_s=timeout_s
            )
        except MllmError as error:
            self._meter.failed(error)
            raise
        self._meter.answered(reply)
        return reply

    def stream(
        self, messages: Sequence[Message], *, sampling: Sampling = GREEDY, timeout_s: float | None = None
    ) -> Iterator[str]:
        """Continues a conversation in pieces; see `vau.mllm.interface.Mllm`."""
        return self._model.stream(messages, sampling=sampling, timeout_s=timeout_s)

    def likelihood(
        self, messages: Sequence[Message], candidates: Sequence[str], *, timeout_s: float | None = None
    ) -> CandidateScores:
        """Tells how likely each candidate is; see `vau.mllm.interface.Mllm`."""
        try:
            scores = self._model.likelihood(messages, candidates, timeout_s=timeout_s)
        except MllmError as error:
            self._meter.failed(error)
            raise
        self._meter.answered(scores)
        return scores
