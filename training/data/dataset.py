"""Rows as datasets that TRL's trainers take; frames are decoded when a row is asked for, so that memory stays flat.

The data set itself holds text alone and has a fixed order, so that a trainer that resumes finds its place again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from vau.errors import InputError, MissingExtraError
from vau.training.data.conversation import Messages, conversation, reply
from vau.training.data.frames import FrameStore
from vau.training.data.targets import target
from vau.training.data.tasks import Row

if TYPE_CHECKING:
    from datasets import Dataset

Example = dict[str, Any]


def grpo_dataset(rows: Sequence[Row], store: FrameStore) -> Dataset:
    """Returns the rows with prompts, pictures and all columns that rewards read."""
    return _dataset(rows, lambda row: grpo_example(row, store))


def sft_dataset(rows: Sequence[Row], store: FrameStore) -> Dataset:
    """Returns the rows that have a reply to learn, with it; raises InputError where none has."""
    taught = [row for row in rows if target(row) is not None]
    if not taught:
        raise InputError(
            "no row has a reply to learn from: thinking needs the record's thought; add it, or set data.think to false"
        )
    return _dataset(taught, lambda row: sft_example(row, store))


def grpo_example(row: Row, store: FrameStore) -> Example:
    """Returns one row as GRPOTrainer takes it: `prompt` and `images`, and the columns of the rewards."""
    images, times_s = store.get(row.record, row.until_s)
    return {
        "prompt": conversation(row.task, row.inputs, times_s),
        "images": images,
        "times_s": times_s,
        "row": row.model_dump_json(),
        "sample_id": row.sample_id,
        "task": row.task,
        "think": row.think,
        "duration_s": row.record.duration_s,
        "abnormal": row.abnormal,
        "spans_s": None if row.spans_s is None else [list(span) for span in row.spans_s],
        "choice": row.choice,
        "label": row.label,
        "labels": None if row.labels is None else list(row.labels),
        "levels": None if row.levels is None else row.levels.model_dump(),
        "report": row.record.report or None,
    }


def sft_example(row: Row, store: FrameStore) -> Example:
    """Returns one row as SFTTrainer takes it: `prompt`, `completion` and `images`; the loss is on the completion."""
    images, times_s = store.get(row.record, row.until_s)
    return {
        "prompt": conversation(row.task, row.inputs, times_s),
        "completion": reply(target(row) or ""),
        "images": images,
    }


def rebuild(task: str, row: str, images: Sequence[Any], times_s: Sequence[float]) -> Messages:
    """Makes the prompt of a row anew for other frames, for rewards that ask again."""
    return conversation(task, Row.model_validate_json(row).inputs, times_s, images)


def _dataset(rows: Sequence[Row], example: Callable[[Row], Example]) -> Dataset:
    try:
        from datasets import Dataset
    except ImportError as error:
        raise MissingExtraError("fine-tuning", "train") from error
    told = [row.model_dump_json() for row in rows]

    def shown(batch: Mapping[str, Sequence[str]]) -> dict[str, list[Any]]:
        examples = [example(Row.model_validate_json(text)) for text in batch["row"]]
        return {name: [item[name] for item in examples] for name in examples[0]}

    plain = Dataset.from_dict({"row": told})
    plain.set_transform(shown)
    return plain


def summary(rows: Sequence[Row]) -> dict[str, int]:
    """Returns the number of rows of each task."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.task] = counts.get(row.task, 0) + 1
    return dict(sorted(counts.items()))
