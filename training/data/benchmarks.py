"""Annotation of benchmarks as records to train on, read by the readers of `vau.eval.benchmarks` with all their repairs.

Options keep the order of the file here: `vau.training.data.tasks` puts them into a new one. Reasoning is what the
annotation says; nothing is written for it. A test split is refused: it is for testing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vau.config import VideoConfig
from vau.errors import InputError, VideoError
from vau.eval.benchmarks import context, cuebench, vau_bench
from vau.eval.benchmarks.base import Item
from vau.eval.metrics.labels import normal_label
from vau.training.data.records import NORMAL, Asked, Record
from vau.video import probe

NAMES = ("vau-bench", "cuebench", "context-proxy")
_ENDINGS = (".mp4", ".avi", ".mkv", ".mov", ".webm")
_LONGEST = 8000  # characters of a text

Found = Callable[[str], tuple[Path, float] | None]  # a video's path and length by its name in the annotation


@dataclass(frozen=True)
class Taken:
    """Records, and the names of videos that were annotated and not found or not readable."""

    records: tuple[Record, ...]
    missing: tuple[str, ...]


def take_records(benchmark: str, folder: Path, split: str, videos: Path) -> Taken:
    """Returns the records of a benchmark's split whose videos are there.

    Args:
        benchmark: out of `NAMES`.
        folder: of the annotation.
        split: such as val or train.
        videos: folder of the videos, searched with its subfolders.

    Raises:
        InputError: the benchmark is unknown, the split is for testing, or the annotation cannot be read.
    """
    if benchmark not in NAMES:
        raise InputError(f"no benchmark {benchmark!r} to train on; choose from {', '.join(NAMES)}")
    tests = {"msad", "ucf", "ecva"} if benchmark == "vau-bench" else {"test"}
    if split in tests:
        raise InputError(f"{benchmark}: {split} is a test split; train on another one")
    files = find_videos(videos)
    if benchmark == "vau-bench":
        return vau_bench_records(folder, split, files)
    read = cuebench.read_records if benchmark == "cuebench" else cuebench.read_proxy
    return context_records(read(folder, split)[0], files)


def find_videos(folder: Path) -> Found:
    """Returns a lookup of videos under a folder by their name without ending; raises InputError where there is none."""
    paths = {path.stem.casefold(): path for path in sorted(folder.rglob("*")) if path.suffix.casefold() in _ENDINGS}
    if not paths:
        raise InputError(f"{folder}: holds no videos ({', '.join(_ENDINGS)})")
    known: dict[str, tuple[Path, float] | None] = {}

    def found(name: str) -> tuple[Path, float] | None:
        path = paths.get(Path(name).stem.casefold()) or paths.get(Path(name).name.casefold())
        if path is not None and name not in known:
            try:
                known[name] = path, probe(path, VideoConfig()).duration_s
            except VideoError:
                known[name] = None
        return known.get(name)

    return found


def vau_bench_records(folder: Path, split: str, found: Found) -> Taken:
    """Returns VAU-Bench's rows as records: question, class, times and reasoning of each video (arXiv 2505.23504)."""
    by_task: dict[str, dict[str, Item]] = {}
    for name, benchmark in (
        ("qa", vau_bench.QA),
        ("tag", vau_bench.TAG),
        ("cls", vau_bench.CLS),
        ("text", vau_bench.REASONING),
    ):
        by_task[name] = {item.item_id: item for item in benchmark.read(folder, split).items}
    records, missing = [], []
    for item_id in sorted({name for items in by_task.values() for name in items}):
        mine = {task: items[item_id] for task, items in by_task.items() if item_id in items}
        video = next(iter(mine.values())).path
        there = found(video) or found(item_id)
        record = None if there is None else _vau_record(item_id, mine, *there)
        if record is None:
            missing.append(video)
        else:
            records.append(record)
    return Taken(tuple(records), tuple(missing))


def _vau_record(name: str, mine: dict[str, Item], path: Path, duration_s: float) -> Record | None:
    timed = mine["tag"].truth.span_s if "tag" in mine else None
    label = str(mine["cls"].truth) if "cls" in mine else ""
    if not label and "tag" not in mine:
        return None
    abnormal = timed is not None or (bool(label) and normal_label(label) != normal_label(NORMAL))
    spans = None
    if "tag" in mine and abnormal is (timed is not None):
        inside = _inside([timed] if timed else [], duration_s)
        spans = inside if bool(inside) is abnormal else None
    asked = mine.get("qa")
    told = mine["text"].truth if "text" in mine else {}
    return Record(
        id=name,
        video=str(path.resolve()),
        source=name,
        duration_s=duration_s,
        abnormal=abnormal,
        spans_s=spans,
        label=label,
        questions=() if asked is None else (_asked(asked),),
        thought=_text(told.get("Description"), told.get("Reasoning")),
        what=_text(told.get("Description")),
    )


def _asked(item: Item) -> Asked:
    options = tuple(str(option)[3:] for option in item.inputs["options"])
    return Asked(question=item.inputs["question"], options=options, right="ABCDEFG".index(item.truth))


def context_records(given: Sequence[context.Record], found: Found) -> Taken:
    """Returns records of events in context; matched pairs share a source, so that no split parts them."""
    records, missing = [], []
    for one in given:
        there = found(one.video)
        if there is None:
            missing.append(one.video)
            continue
        # An abnormal event of unknown kind cannot be asked for by levels.
        known = one.kind != "none" or not one.abnormal
        spans = _inside([one.span_s] if one.span_s else [], there[1])
        records.append(
            Record(
                id=one.record_id,
                video=str(there[0].resolve()),
                source=one.pair or one.video,
                duration_s=there[1],
                abnormal=one.abnormal,
                spans_s=spans if bool(spans) is one.abnormal else None,
                label=one.event if one.abnormal else NORMAL,
                event=one.event if known else "",
                kind=one.kind if one.abnormal and known else "none",
                scene=one.scene,
                attributes=tuple(sorted(one.attributes)),
            )
        )
    return Taken(tuple(records), tuple(missing))


def _inside(spans: Iterable[tuple[float, float]], duration_s: float) -> tuple[tuple[float, float], ...]:
    """Returns spans cut to the video; annotation may end a little after it."""
    cut = ((max(0.0, start), min(end, duration_s)) for start, end in spans)
    return tuple((start, end) for start, end in cut if start < end)


def _text(*parts: object) -> str:
    return " ".join(" ".join(str(part).split()) for part in parts if part and str(part) not in ("-1", "-1.0"))[
        :_LONGEST
    ]
