"""Asks records: which tasks one can serve, with which prompt inputs, and what the right answer is.

Options are put in a new order for each question, since in VAU-Bench the first is right in most (arXiv 2505.23504). A
normal video that is cut for anticipation is cut where an abnormal one was, or its length would give the answer away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from vau.errors import InputError
from vau.training.data.records import Record, Vocabulary
from vau.training.rewards.answers import TASKS, Task

LETTERS = "ABCDEFG"
LEAD_S = 2.0  # before an event, at which an anticipation ends; CueBench's proxy knows 1, 2 and 5 s
_LEAST_SEEN_S = 2.0


class Truth(BaseModel):
    """An event by levels, as the reward compares it; a level that is empty is not asked for."""

    model_config = ConfigDict(frozen=True)
    abnormal: bool
    kind: str
    event: str = ""
    scene: str = ""
    attributes: tuple[str, ...] | None = None


class Row(BaseModel):
    """One question about one video, with all that its prompt and its rewards need but the frames."""

    model_config = ConfigDict(frozen=True)
    sample_id: str
    task: Task
    think: bool
    record: Record
    inputs: dict[str, Any]  # of the prompt
    until_s: float | None = None  # only what comes before is shown
    abnormal: bool | None = None
    spans_s: tuple[tuple[float, float], ...] | None = None
    choice: str | None = None
    label: str | None = None
    labels: tuple[str, ...] | None = None
    levels: Truth | None = None


def make_rows(
    records: Sequence[Record],
    mix: Mapping[str, float],
    vocabulary: Vocabulary,
    *,
    think: bool = True,
    seed: int = 0,
    lead_s: float = LEAD_S,
) -> list[Row]:
    """Asks every record every task that it can serve.

    Args:
        records: labelled videos.
        mix: share of the possible rows that is kept, (0, 1], by task.
        vocabulary: lists of classes, events, scenes and attributes for the prompts.
        think: whether prompts that can ask for thinking do.
        seed: of what is kept, the order of options, the lengths of normal beginnings and the order of the rows.
        lead_s: seconds before an event at which anticipation ends.

    Raises:
        InputError: a task is unknown, a share out of range, or no record serves a task.
    """
    for task, share in mix.items():
        if task not in TASKS or not 0 < share <= 1:
            raise InputError(f"the mix has {task}: {share}; tasks are {', '.join(TASKS)}, shares lie in (0, 1]")
    ends = _ends(records, lead_s)
    rows: list[Row] = []
    for name, share in mix.items():
        mine = [row for record in records for row in _ask(name, record, vocabulary, think, seed, ends, lead_s)]
        if not mine:
            raise InputError(f"no record has what {name} needs; take it out of the mix, or label the videos for it")
        rows += [row for row in mine if share == 1 or _chance(seed, "keep", row.sample_id) < share]
    return sorted(rows, key=lambda row: _chance(seed, "order", row.sample_id))


def _ask(
    task: str,
    record: Record,
    words: Vocabulary,
    think: bool,
    seed: int,
    ends: Sequence[float],
    lead_s: float,
) -> Iterable[Row]:
    common: dict[str, Any] = {"sample_id": f"{record.id}/{task}", "task": task, "record": record, "think": think}
    told: dict[str, Any] = {"think": think}
    lists = {"events": words.events, "scenes": words.scenes, "attributes": words.attributes}
    match task:
        case "vau_r1_qa":
            for number, asked in enumerate(record.questions):
                order = sorted(range(len(asked.options)), key=lambda i: _chance(seed, "option", record.id, number, i))
                options = [f"{LETTERS[place]}. {asked.options[i]}" for place, i in enumerate(order)]
                inputs = told | {"question": asked.question, "options": options}
                name = f"{record.id}/{task}/{number}"
                yield Row(**common | {"sample_id": name}, inputs=inputs, choice=LETTERS[order.index(asked.right)])
        case "vau_r1_classify" if record.label:
            yield Row(**common, inputs=told | {"classes": words.classes}, label=record.label, labels=words.classes)
        case "vau_r1_grounding" if record.spans_s is not None:
            yield Row(**common, inputs=told, abnormal=record.abnormal, spans_s=record.spans_s)
        case "vad_r1":
            yield Row(**common, inputs=told, abnormal=record.abnormal, spans_s=record.spans_s)
        case "cue_r1" if record.event:
            yield Row(**common, inputs=told | lists, abnormal=record.abnormal, levels=_truth(record))
        case "cue_grounding" if record.event and record.spans_s:
            yield Row(**common | {"think": False}, inputs={"event": record.event}, spans_s=record.spans_s)
        case "cue_detection" if record.spans_s is not None:
            yield Row(**common | {"think": False}, inputs={}, abnormal=record.abnormal, spans_s=record.spans_s)
        case "cue_anticipation" if record.event and record.spans_s is not None:
            end_s = _end(record, ends, seed, lead_s)
            if end_s is not None:
                truth = Truth(abnormal=record.abnormal, kind=record.kind, event=record.event if record.abnormal else "")
                yield Row(
                    **common | {"think": False},
                    inputs=lists | {"seen_s": end_s},
                    until_s=end_s,
                    abnormal=record.abnormal,
                    levels=truth,
                )


def _truth(record: Record) -> Truth:
    return Truth(
        abnormal=record.abnormal,
        kind=record.kind,
        event=record.event,
        scene=record.scene,
        attributes=record.attributes,
    )


def _ends(records: Sequence[Record], lead_s: float) -> list[float]:
    """Returns how much of each abnormal video may be seen for anticipation, as sorted shares of its length."""
    found = [_abnormal_end(record, lead_s) / record.duration_s for record in records if record.spans_s]
    return sorted(share for share in found if share > 0)


def _abnormal_end(record: Record, lead_s: float) -> float:
    end_s = min(start for start, _ in record.spans_s or ((0.0, 0.0),)) - lead_s
    return end_s if end_s >= _LEAST_SEEN_S else 0.0


def _end(record: Record, ends: Sequence[float], seed: int, lead_s: float) -> float | None:
    """Returns until when a video is shown for anticipation; None where too little would be left."""
    if record.spans_s:
        return _abnormal_end(record, lead_s) or None
    if not ends:
        return None
    end_s = ends[int(_chance(seed, "end", record.id) * len(ends))] * record.duration_s
    return end_s if end_s >= _LEAST_SEEN_S else None


def _chance(*key: object) -> float:
    """Returns a number in [0, 1) that the same key always gives."""
    digest = hashlib.sha256("\0".join(str(part) for part in key).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def split(records: Sequence[Record], held_out: float, seed: int = 0) -> tuple[list[Record], list[Record]]:
    """Splits records into two lists by their recordings, so that no recording is in both.

    Args:
        records: all.
        held_out: share of the recordings in the second list, [0, 1).
        seed: of the choice.
    """
    sources = sorted({record.origin for record in records}, key=lambda name: _chance(seed, "split", name))
    apart = set(sources[: round(held_out * len(sources))])
    return [item for item in records if item.origin not in apart], [item for item in records if item.origin in apart]
