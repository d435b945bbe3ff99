"""Hierarchical prompting: a model describes a piece of a video and then judges it, with the surest way that it offers.

After EventVAD (arXiv 2504.13092), whose own prompts are not public; the degrees are those of LAVAD (arXiv 2404.01014),
the expected value over candidate likelihoods and the nested thresholds those of Probe-VAD (arXiv 2609.17211). The
order of the ways and the scale of the thresholds are ours. It knows neither the video nor what is done with degrees.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from vau.errors import MllmCannot, ParseError
from vau.mllm.interface import GREEDY, CandidateScores, Message, Mllm, Reply, Sampling, TimedFrame, Usage
from vau.mllm.prompts import Prompt, load_prompt
from vau.mllm.structured import Structured, ask

Way = Literal["degrees", "thresholds", "choices", "number"]
WAYS: dict[Way, str] = {
    "degrees": "expected value over the likelihoods of eleven degrees",
    "thresholds": "likelihood of yes at nine nested thresholds",
    "choices": "yes or no at nine nested thresholds",
    "number": "number written by the model",
}
Models = Callable[[Prompt], Mllm]  # the model to ask with a prompt; a cache keeps replies apart by prompt
_THRESHOLDS = range(1, 10)
_YES, _NO = "yes", "no"


@dataclass(frozen=True)
class Piece:
    """A span of a video that is judged as a whole."""

    start_s: float
    end_s: float


@dataclass(frozen=True)
class Judgement:
    """What the model said of a piece."""

    degree: float  # of abnormality, [0, 1]
    description: str
    way: Way
    reasoning: str = ""  # where the way asks for it
    usage: Usage = field(default_factory=Usage)  # of the calls that were paid for
    cached: bool = False  # no call was paid for


@dataclass(frozen=True)
class Cost:
    """What was asked and what it cost; calls that failed are not in it, since servers do not tell."""

    calls: int = 0
    cached: int = 0
    usage: Usage = field(default_factory=Usage)  # of calls that were paid for


class Panel:
    """What all pieces of one video are judged with: model, sampling, site notes, and one way for all of them.

    The first piece finds the way: each is tried in the order of `WAYS` until the backend can do it. Pieces judged in
    different ways would not be comparable, so that a piece for which the way fails later is a failure of that piece.

    Args:
        models: gives the model.
        site_notes: what is normal at this camera; quoted as data in every prompt.
        sampling: how descriptions are drawn.
        timeout_s: seconds that one call may take.
        ways: that may be used, surest first.
    """

    def __init__(
        self,
        models: Models,
        *,
        site_notes: str = "",
        sampling: Sampling = GREEDY,
        timeout_s: float | None = None,
        ways: Sequence[Way] = tuple(WAYS),
    ) -> None:
        self.models = models
        self.site_notes = site_notes or None
        self.sampling = sampling
        self.timeout_s = timeout_s
        self.way: Way | None = None
        self.refused: list[str] = []  # what the backend cannot do and why
        self.exact = True  # whether likelihoods are those of the very words, see `CandidateScores.exact`
        self._ways = tuple(ways)
        self._lock = threading.Lock()
        self._cost = Cost()

    @property
    def cost(self) -> Cost:
        """What all answered calls so far have cost."""
        with self._lock:
            return self._cost

    @property
    def how(self) -> str:
        """The way in words; empty before it is found."""
        if self.way is None:
            return ""
        return WAYS[self.way] if self.exact else f"{WAYS[self.way]}, as near as the server tells"

    @property
    def ways(self) -> tuple[Way, ...]:
        """The ways that are open: the one that was found, or all."""
        return self._ways if self.way is None else (self.way,)

    def paid(self, answer: Reply | CandidateScores | Structured) -> Usage:
        """Counts an answer, once, and returns what it cost."""
        used = Usage() if answer.cached else answer.usage
        if isinstance(answer, CandidateScores) and not answer.exact:
            self.exact = False
        with self._lock:
            before = self._cost
            self._cost = Cost(before.calls + 1, before.cached + int(answer.cached), before.usage + used)
        return used


class Talk:
    """The conversation about one piece: a task for `vau.mllm.pool.run_all` that goes on where a failed try ended.

    Args:
        panel: see there.
        piece: the span.
        pictures: reads its frames, in time order; called once a try, so that waiting pieces hold no pictures.
    """

    def __init__(self, panel: Panel, piece: Piece, pictures: Callable[[], Sequence[TimedFrame]]) -> None:
        self.piece = piece
        self.description = ""
        self._panel = panel
        self._pictures = pictures
        self._marks: dict[tuple[bool, int], float] = {}  # thresholds that were answered, by likelihood or not
        self._usage = Usage()
        self._all_cached = True

    def __call__(self, left_s: float | None) -> Judgement:
        """Describes and judges the piece.

        Args:
            left_s: seconds that all of it may take.

        Raises:
            ParseError: a reply is empty or not of the form that was asked for.
            MllmError: the model could not be asked; `MllmCannot` where no way is open to the backend.
        """
        self._end = None if left_s is None else time.monotonic() + left_s
        frames = tuple(self._pictures())
        if not self.description:
            self.description = self._describe(frames)
        refusal: MllmCannot | None = None
        for way in self._panel.ways:
            try:
                degree, reasoning = self._judge(way, frames)
            except MllmCannot as error:
                refusal = error
                if self._panel.way is None:
                    self._panel.refused.append(f"{WAYS[way]}: {error}")
                    self._panel.exact = True  # whatever was answered before it gave out
                continue
            except ParseError:
                self._panel.way = way
                raise
            self._panel.way = way
            return Judgement(degree, self.description, way, reasoning, self._usage, self._all_cached)
        raise refusal or MllmCannot("there is no way left in which the model could judge")

    def _describe(self, frames: Sequence[TimedFrame]) -> str:
        prompt, panel = load_prompt("eventvad_describe"), self._panel
        messages = prompt.render(
            frames=frames, site_notes=panel.site_notes, start_s=self.piece.start_s, end_s=self.piece.end_s
        )
        reply = panel.models(prompt).generate(messages, sampling=panel.sampling, timeout_s=self._left_s())
        self._pay(reply)
        if not reply.text.strip():
            raise ParseError("the model described nothing", reply.text)
        return reply.text

    def _judge(self, way: Way, frames: Sequence[TimedFrame]) -> tuple[float, str]:
        if way == "degrees":
            return self._expected_degree(frames), ""
        if way == "number":
            return self._written_number(frames)
        return self._thresholds(frames, by_likelihood=way == "thresholds"), ""

    def _expected_degree(self, frames: Sequence[TimedFrame]) -> float:
        prompt = load_prompt("eventvad_judge_choices")
        degrees = prompt.choices() or ()
        scores = self._panel.models(prompt).likelihood(self._asked(prompt, frames), degrees, timeout_s=self._left_s())
        self._pay(scores)
        return scores.expectation([float(degree) for degree in degrees])

    def _thresholds(self, frames: Sequence[TimedFrame], *, by_likelihood: bool) -> float:
        """Returns the mean answer, a sum over nested thresholds: 0 where all are denied, 1 where all are reached."""
        prompt = load_prompt("eventvad_judge_threshold")
        model = self._panel.models(prompt)
        for threshold in _THRESHOLDS:
            mark = (by_likelihood, threshold)
            if mark in self._marks:
                continue
            messages, left_s = self._asked(prompt, frames, threshold=threshold), self._left_s()
            if by_likelihood:
                scores = model.likelihood(messages, (_YES, _NO), timeout_s=left_s)
                self._pay(scores)
                self._marks[mark] = float(scores.probabilities[0])
            else:
                reply = model.generate(messages, choices=(_YES, _NO), timeout_s=left_s)
                self._pay(reply)
                if reply.text not in (_YES, _NO):
                    raise ParseError("the reply is neither yes nor no", reply.text)
                self._marks[mark] = float(reply.text == _YES)
        return sum(self._marks[by_likelihood, threshold] for threshold in _THRESHOLDS) / len(_THRESHOLDS)

    def _written_number(self, frames: Sequence[TimedFrame]) -> tuple[float, str]:
        prompt = load_prompt("eventvad_judge")
        found = ask(
            self._panel.models(prompt),
            self._asked(prompt, frames),
            prompt.schema() or {},
            sampling=self._panel.sampling,
            timeout_s=self._left_s(),
        )
        self._pay(found)
        return float(found.value["score"]), str(found.value["reasoning"])

    def _asked(self, prompt: Prompt, frames: Sequence[TimedFrame], **inputs: int) -> tuple[Message, ...]:
        return prompt.render(frames=frames, site_notes=self._panel.site_notes, description=self.description, **inputs)

    def _pay(self, answer: Reply | CandidateScores | Structured) -> None:
        self._usage += self._panel.paid(answer)
        self._all_cached &= answer.cached

    def _left_s(self) -> float | None:
        left_s = None if self._end is None else max(self._end - time.monotonic(), 0.0)
        limit_s = self._panel.timeout_s
        return left_s if limit_s is None else limit_s if left_s is None else min(left_s, limit_s)
