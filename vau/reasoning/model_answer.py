"""A language model answers questions about a video from keyframes and evidence, and each sentence is checked.

Beside the answer of `vau.reasoning.answer`, which needs no model and stays the default. The model is shown what was
measured as quoted data; nothing that it says changes the report. The form of the answer is VADER's and HAWK's question
answering (arXiv 2511.07299, 2405.16886), what is shown and how it is checked is ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vau.config import MllmConfig, VideoConfig
from vau.errors import InputError, ParseError
from vau.jpeg import encode
from vau.mllm.curve import plot_curve
from vau.mllm.evidence_text import curve_text, evidence_text, frame_note
from vau.mllm.interface import Message, Sampling, TimedFrame, Usage
from vau.mllm.open import OpenMllm
from vau.mllm.pictures import QUALITY, small
from vau.mllm.prompts import Prompt, Shown, load_prompt
from vau.mllm.quote import fence
from vau.mllm.structured import ask, parse
from vau.reasoning.answer_stream import AnswerStream
from vau.reasoning.claimcheck import ClaimCheck, check
from vau.reasoning.injection import Suspicion, suspect
from vau.reasoning.language import clean, clock
from vau.reasoning.ledger import Ledger
from vau.types import Keyframe, Report
from vau.video import read_at

PROMPT = "qa_video"
MAX_HISTORY = 4  # earlier questions that the model is shown again
MAX_QUESTION = 1000  # characters that are read
_BEYOND_S = 0.5  # by which a time may lie behind the end of the video, since frames show theirs in tenths
_EVENT_ID = re.compile(r"\bE\d{1,6}\b", re.IGNORECASE)


@dataclass(frozen=True)
class ModelAnswer:
    """What a model answered, and what the report's evidence says to it."""

    question: str
    text: str
    answerable: bool  # the model's own word: whether frames or evidence show the answer
    checked: ClaimCheck  # a verdict a sentence
    evidence: tuple[str, ...]  # ids that it named and that exist
    problems: tuple[str, ...]  # ids and times that it named and that do not
    times_s: tuple[float, ...]  # moments that it names
    keyframe_ids: tuple[str, ...]  # what it was shown
    observed_text: tuple[str, ...]  # what it says to have read as orders in pictures
    suspected: tuple[Suspicion, ...]  # in the question, the notes, what it read, and what it wrote
    model: str
    prompt: str  # name and version
    usage: Usage | None = None  # None for a streamed answer: streams do not tell
    cached: bool = False

    @property
    def faithfulness(self) -> float | None:
        """Supported sentences by checkable ones, [0, 1]; None where nothing could be checked."""
        return self.checked.faithfulness


class ModelAnswerer:
    """Answers questions about one report; any number of threads may ask.

    Args:
        mllm: the opened model; whoever opened it closes it.
        report: the analysed video.
        config: pictures a call and their size, longest reply, time limit, site notes, whether the plot is shown.
        video: the file, from which keyframes are read again that the report has no picture of; None: they are left out.
        reading: limits for that.
    """

    def __init__(
        self,
        mllm: OpenMllm,
        report: Report,
        config: MllmConfig,
        *,
        video: Path | None = None,
        reading: VideoConfig | None = None,
    ) -> None:
        self._mllm = mllm
        self._report = report
        self._config = config
        self._video = video
        self._reading = reading or VideoConfig()
        self._prompt = load_prompt(PROMPT)
        self._ids = Ledger(report).ids

    def answer(self, question: str, history: Sequence[ModelAnswer] = ()) -> ModelAnswer:
        """Answers one question, out of the cache where it can.

        Args:
            question: any text; what lies beyond 1000 characters is not read.
            history: earlier answers about the same report, oldest first, of which the last four are shown again.

        Raises:
            MllmError: the model cannot be asked; ParseError among them: its reply cannot be read, also when mended.
            InputError: the question is blank.
            VideoError: pictures are missing, and the video cannot be read.
        """
        shown = self._choose(question)
        return self._ask(question, self._messages(question, history, shown), shown)

    def stream(self, question: str, history: Sequence[ModelAnswer] = ()) -> Iterator[str | ModelAnswer]:
        """Yields pieces of the answer as they are written, and at last the whole, checked.

        The pieces are for the eye alone: where the reply cannot be read, it is asked for anew, and the last item holds
        another text. Takes and raises what `answer` does.
        """
        shown = self._choose(question)
        messages = self._messages(question, history, shown)
        visible, pieces = AnswerStream(), []
        for piece in self._mllm.model.stream(messages, sampling=self._sampling, timeout_s=self._config.timeout_s):
            pieces.append(piece)
            if text := visible.feed(piece):
                yield text
        try:
            value = parse("".join(pieces), self._schema)
        except ParseError:
            yield self._ask(question, messages, shown)
        else:
            yield self._checked(question, value, shown, self._mllm.name)

    @property
    def _sampling(self) -> Sampling:
        return Sampling(max_tokens=self._config.max_tokens)

    @property
    def _schema(self) -> dict[str, Any]:
        return self._prompt.schema() or {}

    def _ask(self, question: str, messages: Sequence[Message], shown: Sequence[Keyframe]) -> ModelAnswer:
        model = self._mllm.for_prompt(self._prompt)
        found = ask(model, messages, self._schema, sampling=self._sampling, timeout_s=self._config.timeout_s)
        return self._checked(question, found.value, shown, found.reply.model, found.usage, found.cached)

    def _messages(
        self, question: str, history: Sequence[ModelAnswer], shown: Sequence[Keyframe]
    ) -> tuple[Message, ...]:
        report, config = self._report, self._config
        plot = config.plot and report.video.duration_s > 0
        rendered = self._prompt.render(
            question=question,
            frames=_frames(shown) or None,
            evidence=evidence_text(report),
            curve=curve_text(report.scores, report.events),
            plot=plot_curve(report.scores, report.events, report.video.duration_s, kind="JPEG") if plot else None,
            site_notes=config.site_notes.strip() or None,
            file_name=Path(report.video.source).name or None,
        )
        *before, last = rendered
        return (*before, *_earlier(self._prompt, history), last)

    def _choose(self, question: str) -> tuple[Keyframe, ...]:
        """Returns the keyframes to show: those of the events that the question names, else of all, evenly chosen."""
        if not question.strip():
            raise InputError("the question is blank; ask for instance: What happened?")
        named = {name.upper() for name in _EVENT_ID.findall(question[:MAX_QUESTION])}
        own = [item for item in self._report.keyframes if item.event_id in named] or list(self._report.keyframes)
        own = sorted(own if self._video else [item for item in own if item.jpeg], key=lambda item: item.time_s)
        if len(own) > self._config.frames:
            own = [own[row] for row in np.linspace(0, len(own) - 1, self._config.frames).round().astype(int)]
        return tuple(self._pictured(own))

    def _pictured(self, keyframes: Sequence[Keyframe]) -> Iterator[Keyframe]:
        bare = [item.time_s for item in keyframes if not item.jpeg]
        batch = None
        if bare and self._video is not None:
            batch = read_at(self._video, bare, self._reading, max_side=self._config.image_side)
        for item in keyframes:
            if item.jpeg:
                jpeg = small(item.jpeg, self._config.image_side)
            elif batch is not None:
                jpeg = encode(Image.fromarray(batch.images[int(np.abs(batch.times_s - item.time_s).argmin())]), QUALITY)
            else:
                continue
            if jpeg is not None:
                yield replace(item, jpeg=jpeg)

    def _checked(
        self,
        question: str,
        value: dict[str, Any],
        shown: Sequence[Keyframe],
        model: str,
        usage: Usage | None = None,
        cached: bool = False,
    ) -> ModelAnswer:
        named = tuple(dict.fromkeys(name.strip() for name in value["evidence"]))
        end_s = self._report.video.duration_s
        inside = sorted({float(time_s) for time_s in value["times_s"] if time_s <= end_s + _BEYOND_S})
        problems = [f"there is no evidence {clean(name, 8)}" for name in named if name not in self._ids]
        if any(time_s > end_s + _BEYOND_S for time_s in value["times_s"]):
            problems.append(f"it names a time after the end of the video at {clock(end_s)}")
        read = tuple(value["observed_text"])
        return ModelAnswer(
            question=question,
            text=value["answer"].strip(),
            answerable=value["answerable"],
            checked=check(self._report, value["answer"]),
            evidence=tuple(name for name in named if name in self._ids),
            problems=tuple(problems),
            times_s=tuple(inside),
            keyframe_ids=tuple(item.keyframe_id for item in shown),
            observed_text=read,
            suspected=tuple(self._suspected(question, value["answer"], read)),
            model=model,
            prompt=self._prompt.tag,
            usage=usage,
            cached=cached,
        )

    def _suspected(self, question: str, said: str, read: Sequence[str]) -> Iterator[Suspicion]:
        # Notes may say what to treat as normal: that is what they are for.
        sources = [
            ("question", question, ()),
            ("site notes", self._config.site_notes, ("outcome",)),
            ("file's name", Path(self._report.video.source).name, ()),
            *(("text that the model read in a picture", text, ()) for text in read),
            ("model's answer", said, ()),
        ]
        for source, text, passed in sources:
            if (found := suspect(text, source, passed=passed)) is not None:
                yield found


def _earlier(prompt: Prompt, history: Sequence[ModelAnswer]) -> Iterator[Message]:
    """Yields earlier questions and answers as turns, quoted and written as the prompt has them."""
    title = next(item.title for item in prompt.inputs if item.name == "question")
    for item in history[-MAX_HISTORY:]:
        yield Message.of("user", fence(item.question, title, MAX_QUESTION))
        said = {
            "answerable": item.answerable,
            "answer": item.text,
            "evidence": list(item.evidence),
            "times_s": list(item.times_s),
            "observed_text": list(item.observed_text),
        }
        yield Message.of("assistant", json.dumps(said, ensure_ascii=False))


def _frames(shown: Sequence[Keyframe]) -> list[Shown]:
    return [Shown(TimedFrame(item.jpeg, item.time_s), frame_note(item) if item.event_id else "") for item in shown]
