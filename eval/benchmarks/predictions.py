"""Answers of any system, one record an item, and the official prediction files that some benchmarks define.

The own form is JSONL: ``{"id": ..., "prediction": ...}``, or ``{"id": ..., "error": "why there is none"}``. Other forms
are known by their shape: COCO's caption results, ActivityNet's dense captions, spans by video and query, the moment
retrieval form with `pred_relevant_windows`, and CUVA's `output`. Files are untrusted.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vau.errors import InputError
from vau.eval import files
from vau.eval.benchmarks.base import Item
from vau.eval.names import canonical

_MAX_LINE = 16 << 20
_IDS = ("id", "item_id", "qid", "image_id", "question_id", "test_id")
_ANSWERS = ("prediction", "pred_relevant_windows", "caption", "output", "reply")


@dataclass(frozen=True)
class Record:
    """What a system made of one item: a prediction, or the reason why there is none."""

    prediction: Any = None
    error: str = ""


def read_predictions(path: Path, items: Sequence[Item]) -> Mapping[str, Record]:
    """Reads a prediction file.

    Args:
        path: ``.jsonl`` or ``.json`` in one of the forms above.
        items: of the benchmark; every record must belong to one of them.

    Returns:
        Records by the item's id, those of items without a record left out.

    Raises:
        InputError: the file is malformed or empty, an id is unknown, or one comes twice.
    """
    pairs = list(_jsonl(path, items) if path.suffix.lower() == ".jsonl" else _json(files.json_value(path), items, path))
    if not pairs:
        raise InputError(f"{path}: no prediction in it")
    known = {item.item_id for item in items}
    unknown = [name for name, _ in pairs if name not in known]
    if unknown:
        raise InputError(
            f"{path}: {len(unknown)} of {len(pairs)} records belong to no item, such as {unknown[0]!r:.80}; ids look "
            f"like {items[0].item_id!r}"
        )
    name, times = Counter(name for name, _ in pairs).most_common(1)[0]
    if times > 1:
        raise InputError(f"{path}: {name!r} has {times} records; each item may have one")
    return dict(pairs)


def _jsonl(path: Path, items: Sequence[Item]) -> Iterator[tuple[str, Record]]:
    for number, line in enumerate(files.text(path).split("\n"), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        if len(line) > _MAX_LINE:
            raise InputError(f"{where}: longer than {_MAX_LINE >> 20} MiB")
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: not a JSON object on one line: {str(error)[:120]}") from error
        yield _entry(entry, where)


def _entry(entry: Any, where: str) -> tuple[str, Record]:
    if not isinstance(entry, dict):
        raise InputError(f"{where}: expected an object with id and prediction, got {entry!r:.80}")
    name = next((entry[key] for key in _IDS if entry.get(key) is not None), None)
    if isinstance(name, bool) or not isinstance(name, str | int):
        raise InputError(f"{where}: no id; a record is {{'id': ..., 'prediction': ...}}, got {sorted(entry)!r:.80}")
    if entry.get("error"):
        return str(name), Record(error=str(entry["error"])[:500])
    for key in _ANSWERS:
        if entry.get(key) is not None:
            return str(name), Record(entry[key])
    raise InputError(f"{where}: neither prediction nor error for {name!r}")


def _json(value: Any, items: Sequence[Item], path: Path) -> Iterator[tuple[str, Record]]:
    if isinstance(value, list):  # COCO's captions, CUVA's answers, or the own records in a list
        for number, entry in enumerate(value, 1):
            yield _entry(entry, f"{path}, record {number}")
        return
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a list of records or an object by video, got {value!r:.80}")
    results = value.get("results", value)
    if not isinstance(results, dict):
        raise InputError(f"{path}: 'results' must be an object by video, got {results!r:.80}")
    by_video: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        by_video[item.video].append(item)
    for name, given in results.items():
        mine = by_video.get(canonical(name), [])
        if not mine:
            yield name, Record(given)  # refused with the other unknown ids
        elif len(mine) == 1 and not (isinstance(given, list) and len(given) == 1 and _ranked(given[0])):
            yield mine[0].item_id, Record(given)
        elif not isinstance(given, list) or len(given) != len(mine):
            count = len(given) if isinstance(given, list) else f"{given!r:.40}"
            raise InputError(f"{path}: {name} has {len(mine)} items, in the order of the annotation, got {count}")
        else:
            yield from ((item.item_id, Record(one)) for item, one in zip(mine, given, strict=True))


def _ranked(value: Any) -> bool:
    """Whether a value is a list of spans, so that a list around it is a list by query."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], list)
