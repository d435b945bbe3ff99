"""Which videos a scorer learns from: a folder of folders, or a list of labels, with the recording each is from.

Videos cut from one recording, or by one camera, are alike: they carry one `source`, and no split ever parts them.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vau.errors import InputError

NORMAL = "normal"
MAX_BYTES = 64 * 2**20
MAX_VIDEOS = 1_000_000
_SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".ts", ".flv", ".3gp", ".asf")
_KEYS = ("video", "label", "source", "spans")


@dataclass(frozen=True)
class Item:
    """One labelled video."""

    video: str  # name below the folder, with slashes
    path: Path
    label: str  # "normal" or the name of a class
    source: str  # recording or camera; videos of one source stay together
    spans: tuple[tuple[float, float], ...] | None = None  # abnormal seconds, where they are known


@dataclass(frozen=True)
class Dataset:
    """Labelled videos in a fixed order."""

    name: str
    items: tuple[Item, ...]
    classes: tuple[str, ...] = field(init=False)  # "normal" first

    def __post_init__(self) -> None:
        counts = Counter(item.label for item in self.items)
        if not counts[NORMAL] or len(counts) < 2:
            found = f"{counts[NORMAL]} normal ones and {len(self.items) - counts[NORMAL]} of anomalies"
            raise InputError(f"training needs normal and abnormal videos, {self.name} has {found}")
        twice = [name for name, count in Counter(item.video for item in self.items).items() if count > 1]
        if twice:
            raise InputError(f"{self.name}: {twice[0]} is listed twice")
        object.__setattr__(self, "classes", (NORMAL, *sorted(name for name in counts if name != NORMAL)))

    def label_of(self, item: Item) -> int:
        """Returns 0 for normal, else the number of the class."""
        return self.classes.index(item.label)


def read_dataset(folder: Path, *, labels: Path | None = None, normal: str = NORMAL, name: str = "") -> Dataset:
    """Reads the labels of a folder of videos.

    Args:
        folder: without `labels` (and without a file labels.csv or labels.jsonl in it) it holds the folder `normal` and
            one folder for each class; videos in a subfolder of those share one source, others stand alone.
        labels: CSV with the columns video and label, and where known source and spans (``1.5-3;7-9.2``, the abnormal
            seconds, which clip-stats reads and the networks do not); or JSON lines with the same keys, spans as
            ``[[1.5, 3], [7, 9.2]]``. Videos are named relative to `folder`.
        normal: label, or name of the folder, that means normal.
        name: how reports call the data; the folder's name where empty.

    Raises:
        InputError: nothing is there, a row is malformed, or one of the two kinds of videos is missing.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    if labels is None:
        labels = next(
            (file for file in (folder / "labels.csv", folder / "labels.jsonl") if os.path.lexists(file)), None
        )
    items = _listed(folder, labels) if labels is not None else _found(folder, normal)
    items = _with_normal(items, normal, labels or folder)
    return Dataset(name or folder.resolve().name, tuple(sorted(items, key=lambda item: item.video)))


def _with_normal(items: Sequence[Item], normal: str, place: Path) -> list[Item]:
    """Gives the videos labelled `normal` the label that all code knows."""
    counts = Counter(item.label for item in items)
    if not counts[normal]:
        found = ", ".join(f"{name!r}: {count}" for name, count in sorted(counts.items())[:20]) or "none"
        raise InputError(
            f"training needs normal and abnormal videos, and nothing in {place} is called {normal!r}, the name of "
            f"normal videos; found {found}"
        )
    if normal != NORMAL and counts[NORMAL]:
        raise InputError(
            f"{place}: with {normal!r} as the name of normal videos, those called {NORMAL!r} would be an anomaly; "
            "rename one of the two"
        )
    return [replace(item, label=NORMAL) if item.label == normal else item for item in items]


def _found(folder: Path, normal: str) -> list[Item]:
    items = []
    for group in sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith(".")):
        for path in sorted(group.rglob("*")):
            if path.suffix.lower() not in _SUFFIXES or not path.is_file() or path.name.startswith("."):
                continue
            inner = path.relative_to(group)
            source = inner.parts[0] if len(inner.parts) > 1 else f"{group.name}/{inner.name}"
            items.append(Item(path.relative_to(folder).as_posix(), path, group.name, source))
    if not items:
        raise InputError(f"{folder}: needs the folder {normal!r} and one folder of videos for each class of anomaly")
    return items


def _listed(folder: Path, file: Path) -> list[Item]:
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{file}: labels must be a file, not a folder, pipe or device")
        if status.st_size > MAX_BYTES:
            raise InputError(f"{file}: labels larger than {MAX_BYTES} bytes are refused")
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{file}: not UTF-8 text") from error
    rows = _json_rows(text, file) if file.suffix.lower() in (".jsonl", ".json") else _csv_rows(text, file)
    items: list[Item] = []
    for place, row in rows:
        if len(items) == MAX_VIDEOS:
            raise InputError(f"{file}: more than {MAX_VIDEOS} videos")
        items.append(_item(folder, row, place))
    return items


def _csv_rows(text: str, file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text))
    unknown = [name for name in reader.fieldnames or () if name not in _KEYS]
    if unknown or not {"video", "label"} <= set(reader.fieldnames or ()):
        raise InputError(
            f"{file}: the first line must name the columns video, label and, where known, source and spans"
        )
    try:
        for row in reader:
            spans = [part.split("-") for part in (row.get("spans") or "").split(";") if part.strip()]
            yield f"{file}:{reader.line_num}", {**row, "spans": spans or None}
    except csv.Error as error:
        raise InputError(f"{file}:{reader.line_num}: {error}") from error


def _json_rows(text: str, file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{file}:{number}: not JSON") from error
        if not isinstance(row, dict) or not set(row) <= set(_KEYS):
            raise InputError(f"{file}:{number}: needs an object with {', '.join(_KEYS)}")
        yield f"{file}:{number}", row


def _item(folder: Path, row: dict[str, Any], place: str) -> Item:
    video, label, source = (row.get(key) or "" for key in ("video", "label", "source"))
    if not all(isinstance(value, str) for value in (video, label, source)) or not video.strip() or not label.strip():
        raise InputError(f"{place}: video and label must be texts")
    inside = Path(os.path.relpath(folder / video.strip(), folder)).as_posix()  # compares names; links are followed
    if inside == "." or inside.split("/")[0] == "..":
        raise InputError(f"{place}: {video.strip()!r} is not inside {folder}; name videos relative to that folder")
    return Item(inside, folder / inside, label.strip(), source.strip() or inside, _spans(row.get("spans"), place))


def _spans(given: Any, place: str) -> tuple[tuple[float, float], ...] | None:
    if given is None:
        return None
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise InputError(f"{place}: spans must be pairs of seconds, got {str(given)[:60]!r}")
    spans = []
    for pair in given:
        try:
            start, end = (float(value) for value in pair)
        except (TypeError, ValueError) as error:
            raise InputError(f"{place}: a span must be two numbers of seconds, got {str(pair)[:60]!r}") from error
        if not (math.isfinite(start) and math.isfinite(end) and 0 <= start <= end):
            raise InputError(f"{place}: a span must be 0 <= start <= end, got {start} to {end}")
        spans.append((start, end))
    return tuple(spans)
