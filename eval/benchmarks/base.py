"""What a benchmark of video understanding declares: its items, how an answer is read, its figures, what is trivial.

A benchmark is a value, as a frame-level protocol is. Whoever runs it shows each `Item` to a system, keeps one record an
item, and hands the records to `vau.eval.benchmarks.result.evaluate`. It knows no model and no metric.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vau.errors import InputError
from vau.eval.metrics.judge import Case
from vau.eval.metrics.sums import Figure
from vau.eval.protocols.base import Repair

MAX_ITEMS = 1_000_000


@dataclass(frozen=True)
class Item:
    """One question about one video, with its answer."""

    item_id: str  # unique in the benchmark and split, the same at every reading
    video: str  # name without folder and extension
    inputs: Mapping[str, Any]  # what the benchmark's prompt takes beside the frames
    truth: Any  # as the benchmark's figures want it
    span_s: tuple[float, float] | None = None  # the part of the video that is shown; None: all of it
    duration_s: float | None = None  # of the video, where the annotation states it
    groups: tuple[str, ...] = ()  # rows of the tables that it counts in
    path: str = ""  # of the video, where the annotation gives one


@dataclass(frozen=True)
class Items:
    """A split as it was read."""

    items: tuple[Item, ...]
    read_from: tuple[str, ...]  # the files
    repairs: tuple[Repair, ...] = ()
    leaks: tuple[str, ...] = ()  # why figures on this split may be unfair; they are refused unless leaks are allowed
    context: Mapping[str, Any] = field(default_factory=dict)  # what trivial predictors take from the training split


@dataclass(frozen=True)
class Counts:
    """What the source states of a split; None where it is not public."""

    items: int | None = None
    videos: int | None = None


@dataclass(frozen=True)
class Part:
    """A file that a benchmark consists of."""

    name: str
    patterns: tuple[str, ...]  # of file names, anywhere in the folder; the first that matches counts
    origin: str
    needed: bool = True
    several: bool = False  # whether it may be many files; any of them stands for all


Predictions = Sequence[Any]  # as `Benchmark.take` returns them, in the order of the items; None for a failed one


@dataclass(frozen=True)
class Benchmark:
    """A benchmark, or one task of a benchmark that has several."""

    name: str  # as the command line writes it, such as uca/tsgv
    title: str
    prompt: str  # of `prompts/`; empty where scores a frame are asked for, not words
    splits: Mapping[str, Counts]  # the first is the default
    parts: tuple[Part, ...]
    read: Callable[[Path, str], Items]  # folder, split
    take: Callable[[Any, Item], Any]  # an answer as given -> as figures want it; InputError where it cannot be read
    figures: Callable[[Sequence[Item], Predictions], Sequence[Figure]]
    priors: Callable[[Items], Mapping[str, Predictions]]  # answers that never saw a frame
    videos_from: str
    terms: str
    card: str  # of data_cards/
    hub: str = ""  # id of the data set on the Hugging Face hub, where its annotation is there
    case: Callable[[Item, Any], Case] | None = None  # what a judge is shown of an answer
    judge: str = ""  # the judging prompt that goes with it
    note: str = ""  # printed under every table

    @property
    def default_split(self) -> str:
        """The split that is meant where none is named."""
        return next(iter(self.splits))

    def load(self, folder: Path, split: str | None = None) -> Items:
        """Reads a split from a local folder.

        Raises:
            InputError: no such split or folder, a file is missing or malformed, or two items have one id.
        """
        chosen = split or self.default_split
        if chosen not in self.splits:
            raise InputError(f"{self.name} has no split {chosen!r}; there are: {', '.join(self.splits)}")
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder")
        found = self.read(folder, chosen)
        if not 0 < len(found.items) <= MAX_ITEMS:
            raise InputError(f"{folder}: {len(found.items)} items of {self.name} ({chosen})")
        ids = {item.item_id for item in found.items}
        if len(ids) != len(found.items):
            raise InputError(f"{folder}: {len(found.items)} items of {self.name}, but {len(ids)} different ids")
        return found

    def deviations(self, found: Items, split: str) -> tuple[str, ...]:
        """Returns where a split differs in number from what the source states, one sentence each."""
        stated = self.splits[split]
        videos = len({item.video for item in found.items})
        pairs = (("items", len(found.items), stated.items), ("videos", videos, stated.videos))
        return tuple(
            f"{count:,} {what}, the source has {number:,}"
            for what, count, number in pairs
            if number is not None and count != number
        )


def no_priors(found: Items) -> Mapping[str, Predictions]:
    """Returns none: for tasks where nothing is known to be answered without looking."""
    return {}


def locate(folder: Path, part: Part) -> Path | None:
    """Returns a part's file in a folder or its subfolders, None where there is none.

    Raises:
        InputError: several files fit, and which is meant is not clear.
    """
    for pattern in part.patterns:
        found = sorted(path for path in folder.rglob(pattern) if path.is_file())
        if len(found) > 1 and not part.several:
            shown = ", ".join(str(path) for path in found[:3])
            raise InputError(
                f"{folder}: {len(found)} files fit {pattern}: {shown}; name a folder that holds one of them"
            )
        if found:
            return found[0]
    return None


def require(folder: Path, part: Part) -> Path:
    """Returns a part's file; raises InputError, with where it comes from, where it is missing."""
    found = locate(folder, part)
    if found is None:
        raise InputError(f"{folder}: no {part.patterns[0]} ({part.name}); it comes from {part.origin}")
    return found
