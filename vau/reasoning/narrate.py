"""A language model tells what it sees, event by event, and every sentence is checked against the report's evidence.

Four prompts an event (VADER's tasks: description, explanation, cause, result), each asked by itself, so that a wrong
description cannot mislead the other three; a video without events gets one call over its overview. The calls run at
once. What comes back stands beside the account and changes nothing of the report: not a score, an event or a claim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from vau.config import MllmConfig
from vau.errors import CacheError, MllmError, ParseError
from vau.mllm.curve import plot_curve
from vau.mllm.evidence_text import curve_text, evidence_text, frame_note
from vau.mllm.interface import Sampling, TimedFrame
from vau.mllm.meter import Meter, Metered
from vau.mllm.open import OpenMllm
from vau.mllm.pictures import small
from vau.mllm.pool import Outcome, Retries, run_all
from vau.mllm.prompts import Shown, load_prompt
from vau.mllm.structured import Structured, ask
from vau.narration import (
    MAX_RAW,
    EventNarration,
    NarratedRole,
    NarratedSentence,
    Narration,
    NarrationFailure,
    SuspectedText,
)
from vau.reasoning.claimcheck import check
from vau.reasoning.injection import suspect
from vau.reasoning.language import clean, clock
from vau.reasoning.ledger import Ledger
from vau.types import Event, Keyframe, Report

# The roles of an account in the order in which they are told, and the prompt that asks for each.
ROLES: tuple[tuple[NarratedRole, str], ...] = (
    ("what", "vader_description"),
    ("why", "vader_explanation"),
    ("cause", "vader_cause"),
    ("effect", "vader_result"),
)
OVERVIEW: tuple[tuple[NarratedRole, str], ...] = (("what", "overview_description"),)

_RETRIES = Retries()
_MOST_SENTENCES = 60  # of one reply: twelve items, of which a model may have made several sentences each
_BEYOND_S = 0.5  # by which a time may lie behind the end of the video, since frames show theirs in tenths


@dataclass(frozen=True)
class _Question:
    """One call to make: a prompt about one event, or about the whole video."""

    event: Event | None
    role: NarratedRole
    prompt: str
    inputs: Mapping[str, Any]


def narrate(
    report: Report,
    mllm: OpenMllm,
    config: MllmConfig,
    progress: Callable[[float], None] | None = None,
    *,
    retries: Retries = _RETRIES,
) -> Narration:
    """Lets a model tell every event and checks what it says.

    Args:
        report: the finished report, with pictures; it is read only.
        mllm: the model.
        config: pictures a call and their size, calls at once, deadline, site notes, whether the plot is shown.
        progress: called with the share of calls that have ended.
        retries: when a failed call is made again.

    Returns:
        What was told. A call that failed, or whose reply could not be read, is a failure of its event and role.
    """
    meter = Meter()
    questions = _questions(report, config)
    ended = 0

    def count(_: int, __: Outcome[Structured]) -> None:
        nonlocal ended
        ended += 1
        if progress is not None:
            progress(ended / len(questions))

    outcomes = run_all(
        [_task(question, mllm, meter, config) for question in questions],
        concurrency=config.concurrency,
        retries=retries,
        deadline_s=config.deadline_s,
        progress=count,
    )
    checker = _Checker(report)
    told = [_read(checker, question, outcome) for question, outcome in zip(questions, outcomes, strict=True)]
    cost = meter.count
    return Narration(
        model=_name(mllm),
        prompts=tuple(dict.fromkeys(load_prompt(question.prompt).tag for question in questions)),
        events=tuple(_joined(told)),
        # Notes may say what to treat as normal: that is what they are for.
        suspected=_suspected(config.site_notes, "site notes", passed=("outcome",)),
        paid=cost.paid,
        cached=cost.cached,
        failed=cost.failed,
        prompt_tokens=cost.usage.prompt_tokens,
        completion_tokens=cost.usage.completion_tokens,
        images=cost.usage.images,
    )


def _questions(report: Report, config: MllmConfig) -> list[_Question]:
    common: dict[str, Any] = {
        "curve": curve_text(report.scores, report.events),
        "site_notes": config.site_notes.strip() or None,
    }
    if config.plot and report.video.duration_s > 0:
        common["plot"] = plot_curve(report.scores, report.events, report.video.duration_s, kind="JPEG")
    questions = []
    for event in report.events:
        inputs = common | {
            "frames": _frames(report.keyframes, event.event_id, config),
            "evidence": evidence_text(report, event.event_id),
            "event_id": event.event_id,
            "start_s": event.start_s,
            "end_s": event.end_s,
        }
        questions += [_Question(event, role, prompt, inputs) for role, prompt in ROLES]
    if not report.events:
        inputs = common | {
            "frames": _frames(report.keyframes, "", config),
            "evidence": evidence_text(report),
            "duration_s": report.video.duration_s,
        }
        questions = [_Question(None, role, prompt, inputs) for role, prompt in OVERVIEW]
    return questions


def _frames(keyframes: Sequence[Keyframe], event_id: str, config: MllmConfig) -> list[Shown]:
    """Returns an event's pictures in order of time, evenly chosen where there are more than a call may show."""
    own = sorted((item for item in keyframes if item.event_id == event_id and item.jpeg), key=lambda item: item.time_s)
    if len(own) > config.frames:
        own = [own[row] for row in np.linspace(0, len(own) - 1, config.frames).round().astype(int)]
    return [
        Shown(TimedFrame(jpeg, item.time_s), frame_note(item) if event_id else "")
        for item in own
        if (jpeg := small(item.jpeg, config.image_side)) is not None
    ]


def _task(
    question: _Question, mllm: OpenMllm, meter: Meter, config: MllmConfig
) -> Callable[[float | None], Structured]:
    prompt = load_prompt(question.prompt)

    def call(left_s: float | None) -> Structured:
        if not question.inputs["frames"]:
            raise MllmError("there is no picture to show the model")
        messages = prompt.render(**question.inputs)
        schema = prompt.schema(**question.inputs) or {}
        sampling = Sampling(max_tokens=config.max_tokens)
        try:
            return ask(Metered(mllm.for_prompt(prompt), meter), messages, schema, sampling=sampling, timeout_s=left_s)
        except CacheError as error:  # the disk failed half way: the report must not be lost for that
            raise MllmError(str(error)) from error

    return call


def _read(checker: _Checker, question: _Question, outcome: Outcome[Structured]) -> EventNarration:
    """Returns what one call brought: checked sentences, or one failure."""
    event_id = None if question.event is None else question.event.event_id
    source = f"model's reply to {load_prompt(question.prompt).tag}"
    if outcome.value is None:
        raw = outcome.error.raw if isinstance(outcome.error, ParseError) else ""
        failure = NarrationFailure(question.role, str(outcome.error), raw[:MAX_RAW])
        return EventNarration(event_id, (), (failure,), _suspected(raw, source))
    items = outcome.value.value["sentences"]
    sentences = tuple(sentence for item in items for sentence in checker.check(question.role, item))
    failures: tuple[NarrationFailure, ...] = ()
    if not sentences:
        raw = outcome.value.reply.text[:MAX_RAW]
        failures = (NarrationFailure(question.role, "the reply holds no sentence", raw),)
    elif len(sentences) > _MOST_SENTENCES:
        left_out = f"of the reply's {len(sentences)} sentences the first {_MOST_SENTENCES} are kept"
        failures = (NarrationFailure(question.role, left_out),)
    said = [str(item["text"]) for item in items]
    # One by one, so that the quote is the sentence; together too, since an order may be spread over several.
    suspected = tuple(found for text in said for found in _suspected(text, source))
    suspected = suspected or _suspected("\n".join(said), source)
    return EventNarration(event_id, sentences[:_MOST_SENTENCES], failures, suspected)


class _Checker:
    """Checks what a model says against one report."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._ids = Ledger(report).ids
        self._end_s = report.video.duration_s

    def check(self, role: NarratedRole, item: Mapping[str, Any]) -> list[NarratedSentence]:
        """Checks one item of a reply: its words, the ids that it names, and its times."""
        named = tuple(dict.fromkeys(name.strip() for name in item["evidence"]))
        wrong = [f"there is no evidence {clean(name, 8)}" for name in named if name not in self._ids]
        inside = [time_s for time_s in item["times_s"] if time_s <= self._end_s + _BEYOND_S]
        if len(inside) < len(item["times_s"]):
            wrong.append(f"the video ends at {clock(self._end_s)}")
        return [
            NarratedSentence(
                text=found.text,
                role=role,
                verdict="contradicted" if wrong else found.verdict,
                reasons=(*wrong, *(found.reasons if not wrong or found.verdict == "contradicted" else ())),
                evidence=tuple(dict.fromkeys([*found.evidence, *(name for name in named if name in self._ids)])),
                times_s=tuple(sorted({float(time_s) for time_s in inside})) or found.times_s,
            )
            for found in check(self._report, item["text"]).sentences
        ]


def _suspected(text: str, source: str, passed: Sequence[str] = ()) -> tuple[SuspectedText, ...]:
    found = suspect(text, source, passed=passed)
    return () if found is None else (SuspectedText(found.source, found.quote, found.signs),)


def _joined(told: Sequence[EventNarration]) -> Iterator[EventNarration]:
    """Yields one narration an event out of those of its roles, which follow on each other."""
    for event_id, group in groupby(told, key=lambda item: item.event_id):
        parts = list(group)
        yield EventNarration(
            event_id,
            tuple(item for part in parts for item in part.sentences),
            tuple(item for part in parts for item in part.failures),
            tuple(item for part in parts for item in part.suspected),
        )


def _name(mllm: OpenMllm) -> str:
    """Returns the model's name; a server that never answered has not told it."""
    try:
        return mllm.name
    except MllmError:
        return "unknown"
