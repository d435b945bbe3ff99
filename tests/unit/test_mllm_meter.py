"""Counting calls: paid, cached, failed, unreadable."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from vau.errors import MllmTimeout, ParseError
from vau.mllm.interface import CandidateScores, Message, Mllm, Reply, Usage
from vau.mllm.meter import Count, Meter, Metered

ASK = [Message.of("user", "what happens?")]


class Speaker:
    name = "speaker"

    def __init__(self, act: Callable[[], Any]) -> None:
        self._act = act

    def generate(self, messages: object, **asked: object) -> Any:
        return self._act()

    def likelihood(self, messages: object, candidates: object, **asked: object) -> Any:
        return self._act()

    def stream(self, messages: object, **asked: object) -> Any:
        yield "a"


def failing(error: Exception) -> Callable[[], Any]:
    def act() -> Any:
        raise error

    return act


def test_calls_are_counted_by_what_became_of_them() -> None:
    meter = Meter()
    usage = Usage(10, 5, 2)
    paid: Mllm = Metered(Speaker(lambda: Reply("x", "m", usage=usage)), meter)
    paid.generate(ASK)
    paid.generate(ASK)
    Metered(Speaker(lambda: Reply("x", "m", usage=usage, cached=True)), meter).generate(ASK)
    Metered(Speaker(lambda: CandidateScores(("a",), [-1.0], usage=usage)), meter).likelihood(ASK, ["a"])
    for error in (MllmTimeout("late"), ParseError("none of the choices", "x")):
        with pytest.raises(type(error)):
            Metered(Speaker(failing(error)), meter).generate(ASK)
    assert meter.count == Count(paid=4, cached=1, failed=1, usage=Usage(30, 15, 6))
    assert paid.name == "speaker"
    assert list(paid.stream(ASK)) == ["a"]


def test_threads_share_a_meter() -> None:
    meter = Meter()
    model = Metered(Speaker(lambda: Reply("x", "m", usage=Usage(1, 1, 1))), meter)
    with ThreadPoolExecutor(8) as workers:
        list(workers.map(lambda _: model.generate(ASK), range(400)))
    assert meter.count == Count(paid=400, usage=Usage(400, 400, 400))
