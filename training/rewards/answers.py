"""Reads what a completion says, as far as its task's form allows, for the rewards and for nothing else.

The forms are those of the prompts of the same names. It is strict where leniency could be exploited: a tag that stands
twice is not read at all, text is bounded, and nothing is evaluated. That strictness is ours; VAU-R1's released code
takes the first capital letter that it finds (arXiv 2505.23504).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args

from vau.errors import ParseError
from vau.eval.metrics.labels import normal_label as plain
from vau.mllm.prompts import load_prompt
from vau.mllm.structured import parse
from vau.mllm.thinking import split_thinking

Task = Literal[
    "vau_r1_qa",
    "vau_r1_classify",
    "vau_r1_grounding",
    "vad_r1",
    "cue_r1",
    "cue_grounding",
    "cue_detection",
    "cue_anticipation",
]
TASKS: tuple[Task, ...] = get_args(Task)
JSON_TASKS: tuple[Task, ...] = ("cue_grounding", "cue_detection", "cue_anticipation")
Completion = str | Sequence[Mapping[str, Any]]  # text, or messages as TRL hands them to rewards
Spans = tuple[tuple[float, float], ...]  # begin and end; none for a normal video
Reward = list[float | None]

__all__ = [
    "JSON_TASKS",
    "TASKS",
    "Completion",
    "Levels",
    "Reward",
    "Said",
    "Spans",
    "Task",
    "block",
    "plain",
    "read",
    "read_levels",
    "read_spans",
    "said_answer",
    "sections",
    "text_of",
]

MAX_CHARS = 32_768  # of a completion; a longer one says nothing
MAX_SPANS = 16
_MAX_TIMES = 600  # characters that name times
NORMAL_SPAN = (-1.0, -1.0)  # how a normal video's span is written, VAU-R1
_NUMBER = r"([-+]?\d{1,7}(?:\.\d{1,9})?)"
_PAIR = re.compile(rf"\[\s*{_NUMBER}\s*,\s*{_NUMBER}\s*\]")
_BETWEEN = re.compile(r"\s*(?:[,;]|and)?\s*")


@dataclass(frozen=True)
class Levels:
    """An event by levels, as written; empty where a level was not given."""

    abnormal: bool
    kind: str  # none, conditional, absolute
    event: str
    scene: str = ""
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Said:
    """What a completion says; None where it says nothing readable of that."""

    answer: str | None = None  # the text of the answer block
    abnormal: bool | None = None
    spans_s: Spans | None = None
    levels: Levels | None = None
    probability: float | None = None  # that something abnormal will follow


def text_of(completion: Completion) -> str:
    """Returns a completion as text; empty where it is longer than is read."""
    if not isinstance(completion, str):
        content = completion[-1].get("content", "") if completion else ""
        parts = [content] if isinstance(content, str) else [str(part.get("text", "")) for part in content or ()]
        completion = "".join(parts)
    return completion if len(completion) <= MAX_CHARS else ""


def block(text: str, tag: str) -> str | None:
    """Returns what stands between a tag's two marks; None unless each mark stands exactly once, in this order."""
    first, last = f"<{tag}>", f"</{tag}>"
    if text.count(first) != 1 or text.count(last) != 1:
        return None
    start, end = text.index(first) + len(first), text.index(last)
    return text[start:end] if start <= end else None


def sections(text: str, tags: Sequence[str]) -> tuple[str, ...] | None:
    """Returns the contents of tags that follow each other and make up the whole text, white space aside."""
    rest, found = text.strip(), list[str]()
    for tag in tags:
        content = block(text, tag)
        if content is None or not rest.startswith(f"<{tag}>{content}</{tag}>"):
            return None
        found.append(content)
        rest = rest[len(content) + 2 * len(tag) + 5 :].lstrip()
    return None if rest else tuple(found)


def read_spans(text: str) -> Spans | None:
    """Reads ``[begin, end]``, once or several times; None where anything else stands there or an end comes first.

    One ``[-1, -1]`` stands for a normal video and gives no span.
    """
    if len(text) > _MAX_TIMES:
        return None
    text, place, found = text.strip(), 0, list[tuple[float, float]]()
    while place < len(text):
        pair = _PAIR.match(text, place)
        if pair is None or len(found) == MAX_SPANS:
            return None
        found.append((float(pair[1]), float(pair[2])))
        between = _BETWEEN.match(text, pair.end())
        place = between.end() if between is not None else pair.end()
    if not found or not text.endswith("]") or any(end < start for start, end in found):
        return None
    return () if found == [NORMAL_SPAN] else tuple(found)


def read(task: str, completion: Completion, duration_s: float = 0.0) -> Said:
    """Reads a completion by its task's form.

    Args:
        task: out of `TASKS`.
        completion: as TRL gives it.
        duration_s: of the video; Vad-R1's shares of it become seconds.

    Raises:
        ValueError: the task is unknown.
    """
    text = text_of(completion)
    if task in JSON_TASKS:
        return _read_json(task, text)
    answer = said_answer(text)
    match task:
        case "vau_r1_qa" | "vau_r1_classify":
            return Said(answer)
        case "vau_r1_grounding":
            times = block(text, "glue")
            abnormal = {"anomaly": True, "normal": False}.get(plain(answer or ""))
            return Said(answer, abnormal, None if times is None else read_spans(times))
        case "vad_r1":
            return _read_parts(answer, duration_s)
        case "cue_r1":
            levels = None if answer is None else read_levels(answer)
            return Said(answer, None if levels is None else levels.abnormal, levels=levels)
    raise ValueError(f"no task is called {task!r}; choose from {', '.join(TASKS)}")


def said_answer(text: str) -> str | None:
    """Returns the text of the one answer block behind the thinking; None where there is none, or are several."""
    content = block(text, "answer")
    return content.strip() if content is not None and block(split_thinking(text)[1], "answer") is not None else None


def read_levels(answer: str) -> Levels | None:
    """Reads ``anomaly > conditional > event > scene > attribute, attribute``; None where it is of another form."""
    parts = [plain(part) for part in answer.split(">")]
    if len(parts) != 5 or parts[0] not in ("normal", "anomaly"):
        return None
    attributes = tuple(dict.fromkeys(name for item in parts[4].split(",") if (name := item.strip())))
    return Levels(parts[0] == "anomaly", parts[1], parts[2], parts[3], attributes)


def _read_parts(answer: str | None, duration_s: float) -> Said:
    """Reads the named parts of Vad-R1's answer."""
    which = plain(block(answer or "", "which") or "")
    if answer is None or which not in ("abnormal", "normal"):
        return Said(answer)
    shares = block(answer, "when")
    if which == "normal":
        return Said(answer, False, () if "<when>" not in answer else None)
    spans = None if shares is None else read_spans(shares)
    if not spans or any(not 0 <= share <= 1 for span in spans for share in span):
        return Said(answer, True)
    return Said(answer, True, tuple((start * duration_s, end * duration_s) for start, end in spans))


def _read_json(task: str, text: str) -> Said:
    try:
        value = parse(text, _schema(task))
    except ParseError:
        return Said()
    if task == "cue_grounding":
        span = value["span_s"]
        if value["found"] != (span is not None):
            return Said("", spans_s=None)
        return Said("", spans_s=() if span is None else _ordered([span]))
    if task == "cue_detection":
        spans = _ordered([item["span_s"] for item in value["anomalies"]])
        return Said("", bool(value["anomalies"]), spans)
    abnormal = value["probability"] >= 0.5
    levels = Levels(abnormal, plain(value["event_type"]), plain(value["event"]))
    return Said("", abnormal, levels=levels, probability=float(value["probability"]))


def _ordered(spans: Sequence[Sequence[float]]) -> Spans | None:
    found = tuple((float(start), float(end)) for start, end in spans)
    return None if any(end < start for start, end in found) else found


@cache
def _schema(task: str) -> dict[str, Any]:
    """Returns the form of a task's reply; that a name is one of a list is left to the reward that compares it."""
    schema: dict[str, Any] = _without(load_prompt(task).output["schema"], "enum_from")
    return schema


def _without(form: Any, key: str) -> Any:
    if isinstance(form, Mapping):
        return {name: _without(value, key) for name, value in form.items() if name != key}
    return [_without(item, key) for item in form] if isinstance(form, list) else form
