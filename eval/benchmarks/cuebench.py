"""CueBench (Yu et al., arXiv 2511.00613, AAAI 2026) by its release on the hub, and a proxy of ours for what it tests.

Public are the layout (folders train, test and videos, Arrow annotation with leaf labels, Event_Scene_Hierarchy.json,
event_id2n.json) and the four tasks. NOT public, as far as we know: the names of the fields, split sizes, prompts, the
formula of the official hierarchy score, any table of results. So fields are looked for under likely names, or under
those that a file `fields.json` gives, and every figure here is standard and none is CueBench's own. `context-proxy`
reads records in a form of ours; nothing measured on it is a CueBench figure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from vau.errors import InputError
from vau.eval import files
from vau.eval.benchmarks import context
from vau.eval.benchmarks.base import Benchmark, Counts, Item, Items, Part, Predictions, locate
from vau.eval.benchmarks.hub import rows
from vau.eval.metrics.grounding import check_span
from vau.eval.metrics.hierarchy import Path as Levels
from vau.eval.metrics.labels import normal_label
from vau.eval.metrics.sums import Figure
from vau.eval.names import canonical

_ORIGIN = "https://huggingface.co/datasets/CueBench/CueBench"
_HIERARCHY = Part("label hierarchy", ("Event_Scene_Hierarchy.json",), f"{_ORIGIN} (Annotation)", needed=False)
_NAMES = Part("names of events", ("event_id2n.json",), f"{_ORIGIN} (Annotation)", needed=False)
_FIELDS = Part("names of fields", ("fields.json",), "you: our names to those of the release", needed=False)
_PROXY = Part("records", ("context_proxy_test.jsonl", "context_proxy.jsonl"), "your own annotation, see the card")
_ROWS = Part(
    "annotation",
    ("test/*.arrow", "train/*.arrow", "*.parquet", "test.json", "train.json"),
    _ORIGIN,
    needed=False,
    several=True,
)
_MAX_DEPTH = 16

# Likely names of each field, the first that a row has counts. Guesses, but for what fields.json says.
LIKELY = {
    "video": ("video", "video_name", "video_path", "path", "_key"),
    "duration_s": ("duration", "duration_s", "video_duration"),
    "event": ("event", "event_name", "event_label", "event_id"),
    "kind": ("event_type", "anomaly_type", "type"),
    "scene": ("scene", "scene_name", "scene_label"),
    "attributes": ("attributes", "attribute"),
    "abnormal": ("is_anomaly", "anomaly", "abnormal"),
    "start": ("start", "start_time", "begin"),
    "end": ("end", "end_time", "stop"),
    "pair": ("pair", "pair_id"),
    "id": ("id", "sample_id", "uid"),
}
_NEEDED = ("video", "duration_s", "event", "abnormal")


def read_hierarchy(path: Path) -> dict[str, Levels]:
    """Returns the levels above each leaf of a nested label hierarchy, by the leaf's name.

    Objects are levels, and lists and texts hold leaves, which is all that is assumed.

    Raises:
        InputError: it is nested too deep, or a level is neither object, list nor text.
    """
    found: dict[str, Levels] = {}

    def walk(value: Any, above: Levels) -> None:
        if len(above) > _MAX_DEPTH:
            raise InputError(f"{path}: more than {_MAX_DEPTH} levels")
        if isinstance(value, str | int):
            found.setdefault(normal_label(str(value)), above)
        elif isinstance(value, list):
            for one in value:
                walk(one, above)
        elif isinstance(value, dict):
            for name, below in value.items():
                # A level is a label too: an event may have scenes below it.
                found.setdefault(normal_label(name), above)
                walk(below, (*above, normal_label(name)))
        elif value is not None:
            raise InputError(f"{path}: a level must be an object, a list or a text, got {value!r:.60}")

    walk(files.json_value(path), ())
    return found


def read_records(folder: Path, split: str) -> tuple[list[context.Record], tuple[str, ...]]:
    """Returns the records of a split of the hub's release, and the files that they come from.

    Raises:
        InputError: the annotation is missing, or fields are not found under any name.
    """
    annotation = _annotation(folder, split)
    tree, named, fields = (locate(folder, part) for part in (_HIERARCHY, _NAMES, _FIELDS))
    hierarchy = read_hierarchy(tree) if tree else {}
    names = _names(named)
    given = files.json_value(fields) if fields else {}
    if not isinstance(given, dict):
        raise InputError(f"{fields}: expected an object of our names to those of the release")
    reader = _Reader(str(annotation), given, hierarchy, names)
    records = [reader.record(row, number) for number, row in enumerate(rows(annotation), 1)]
    return records, tuple(str(path) for path in (annotation, tree, named, fields) if path)


def _annotation(folder: Path, split: str) -> Path:
    """Returns the folder of Arrow files of a split, or its file of rows."""
    for place in (folder / split, folder / "Annotation" / split):
        if place.is_dir() and any(True for kind in ("*.arrow", "*.parquet") for _ in place.rglob(kind)):
            return place
    part = Part(
        f"annotation, {split}", tuple(f"{split}.{suffix}" for suffix in ("json", "jsonl", "parquet", "arrow")), ""
    )
    found = locate(folder, part)
    if found is None:
        raise InputError(f"{folder}: no folder {split} with .arrow files and no {split}.json; it comes from {_ORIGIN}")
    return found


def _names(path: Path | None) -> dict[str, str]:
    value = files.json_value(path) if path else {}
    if isinstance(value, list):
        value = dict(enumerate(value))
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value.values()):
        raise InputError(f"{path}: expected event names by id")
    return {str(key): name for key, name in value.items()}


@dataclass(frozen=True)
class _Reader:
    """Turns rows into records."""

    where: str
    given: Mapping[str, Any]
    hierarchy: Mapping[str, Levels]
    names: Mapping[str, str]

    def record(self, row: Mapping[str, Any], number: int) -> context.Record:
        where = f"{self.where}, row {number}"
        missing = [name for name in _NEEDED if self._field(row, name) is None]
        if missing:
            raise InputError(
                f"{where}: no field for {', '.join(missing)}; the row has {', '.join(sorted(row))}. The release's "
                'names are not public: put them into fields.json, such as {"event": "event_leaf"}'
            )
        event = str(self._field(row, "event"))
        event = self.names.get(event, event)
        above = self.hierarchy.get(normal_label(event), ())
        abnormal = _yes(self._field(row, "abnormal"), where)
        start, end = self._field(row, "start"), self._field(row, "end")
        listed = self._field(row, "attributes") or ()
        name = self._field(row, "id")
        pair = self._field(row, "pair")
        return context.Record(
            record_id=str(name if name is not None else number),
            video=canonical(str(self._field(row, "video"))),
            duration_s=check_span([0, self._field(row, "duration_s")])[1],
            event=event,
            kind=self._kind(row, above),
            scene=str(self._field(row, "scene") or ""),
            attributes=frozenset(str(one) for one in ([listed] if isinstance(listed, str) else listed)),
            abnormal=abnormal,
            span_s=check_span([start, end]) if abnormal else None,
            pair=None if pair is None else str(pair),
            above=above,
        )

    def _field(self, row: Mapping[str, Any], name: str) -> Any:
        keys = (str(self.given[name]),) if name in self.given else LIKELY[name]
        return next((row[key] for key in keys if row.get(key) is not None), None)

    def _kind(self, row: Mapping[str, Any], above: Levels) -> context.Kind:
        told = normal_label(str(self._field(row, "kind") or ""))
        for kind in context.KINDS:
            if told == kind or any(kind in level.split() for level in above):
                return kind
        return "none"


def _yes(value: Any, where: str) -> bool:
    if isinstance(value, bool | int) and value in (0, 1):
        return bool(value)
    told = normal_label(str(value))
    if told in ("normal", "no", "false", "0", "abnormal", "anomaly", "anomalous", "yes", "true", "1"):
        return told not in ("normal", "no", "false", "0")
    raise InputError(f"{where}: whether it is abnormal must be yes or no, got {value!r:.60}")


def read_proxy(folder: Path, split: str) -> tuple[list[context.Record], tuple[str, ...]]:
    """Returns records in our own form; InputError where the file is missing or a record is malformed."""
    path = locate(folder, _PROXY)
    if path is None:
        raise InputError(f"{folder}: no {_PROXY.patterns[0]}; it is {_PROXY.origin}")
    reader = _Reader(str(path), {"kind": "event_type", "abnormal": "is_anomaly"}, {}, {})
    return [reader.record(row, number) for number, row in enumerate(rows(path), 1)], (str(path),)


_Read = Callable[[Path, str], tuple[list[context.Record], tuple[str, ...]]]


def _items(folder: Path, split: str, read: _Read, task: str) -> Items:
    name, _, ahead = split.partition("-")
    records, origin = read(folder, name)
    if task == "anticipation":
        return context.anticipation_items(records, origin, float(ahead.removesuffix("s")))
    make = {
        "recognition": context.recognition_items,
        "grounding": context.grounding_items,
        "detection": context.detection_items,
    }[task]
    return make(records, origin)


@dataclass(frozen=True)
class _Task:
    """One task, for the release and for the proxy alike."""

    name: str
    prompt: str
    take: Callable[[Any, Item], Any]
    figures: Callable[[Sequence[Item], Predictions], Sequence[Figure]]
    priors: Callable[[Items], Mapping[str, Predictions]]


_TASKS = (
    _Task("recognition", "cue_recognition", context.take_recognition, context.recognition_figures,
          context.recognition_priors),
    _Task("grounding", "cue_grounding", context.take_span, context.grounding_figures, context.grounding_priors),
    _Task("detection", "cue_detection", context.take_detection, context.detection_figures, context.detection_priors),
    _Task("anticipation", "cue_anticipation", context.take_anticipation, context.anticipation_figures,
          context.anticipation_priors),
)  # fmt: skip


def _splits(task: _Task, names: Sequence[str]) -> dict[str, Counts]:
    ahead = [f"-{seconds}s" for seconds in context.AHEAD_S] if task.name == "anticipation" else [""]
    return {f"{name}{suffix}": Counts() for name in names for suffix in ahead}


CUEBENCH = tuple(
    Benchmark(
        name=f"cuebench/{task.name}",
        title=f"CueBench, {task.name}, by figures of ours",
        prompt=task.prompt,
        splits=_splits(task, ("test", "train")),
        parts=(_HIERARCHY, _NAMES, _FIELDS, _ROWS),
        read=partial(_items, read=read_records, task=task.name),
        take=task.take,
        figures=task.figures,
        priors=task.priors,
        videos_from=_ORIGIN,
        terms="see the hub's card; not known to us",
        card="cuebench",
        hub="CueBench/CueBench",
        note="Split sizes and the official hierarchy score are not public: these figures are standard ones, not the "
        "paper's.",
    )
    for task in _TASKS
)

PROXY = tuple(
    Benchmark(
        name=f"context-proxy/{task.name}",
        title=f"Context-aware proxy of ours, {task.name}",
        prompt=task.prompt,
        splits=_splits(task, ("test",)),
        parts=(_PROXY,),
        read=partial(_items, read=read_proxy, task=task.name),
        take=task.take,
        figures=task.figures,
        priors=task.priors,
        videos_from="you",
        terms="yours",
        card="context-proxy",
        note="A proxy with records and figures of ours; no figure of it is one of a published benchmark.",
    )
    for task in _TASKS
)
