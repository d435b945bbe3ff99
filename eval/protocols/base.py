"""What a frame-level protocol declares: its grid, its reading of intervals, its tail rule, and the totals it must give.

Two evaluations agree only if all of these agree. A protocol is data, not code: one small frozen value that a reader can
check against the paper or the repository it names. It knows neither files nor scores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vau.errors import InputError

NORMAL, ABNORMAL = "Normal", "Abnormal"
Tail = Literal["keep", "drop", "drop-one-more", "pad-zero", "as-listed", "30-fps"]


@dataclass(frozen=True)
class Grid:
    """How many labels a video gets, given its frames.

    `tail` says what becomes of the last, incomplete block of `block` frames: "keep" has no blocks at all; "drop" leaves
    it out; "drop-one-more" first takes one frame off, which an optical-flow pair costs; "pad-zero" fills it up with
    normal labels. "as-listed" takes the length from the lengths file, and pads short labels with their last one.
    "30-fps" counts round(30 x duration) frames. Some published grids have blocks more for a few videos: `extra`.
    """

    block: int = 1
    tail: Tail = "keep"
    extra: tuple[tuple[str, int], ...] = ()  # (video, blocks)

    def length(self, video: str, n_frames: int, duration_s: float | None = None) -> int:
        """Returns the number of labels of a video of `n_frames` frames.

        Raises:
            InputError: the grid counts time and no duration is known.
        """
        if self.tail == "30-fps":
            if duration_s is None:
                raise InputError(f"{video}: this grid counts round(30 x duration); the lengths file needs duration_s")
            return round(30 * duration_s)
        if self.tail in ("keep", "as-listed"):
            return n_frames
        usable = n_frames - 1 if self.tail == "drop-one-more" else n_frames
        blocks = -(-usable // self.block) if self.tail == "pad-zero" else usable // self.block
        return self.block * (blocks + dict(self.extra).get(video, 0))


@dataclass(frozen=True)
class Expected:
    """Totals that the source states or that were counted from it; None where it is not known."""

    videos: int
    abnormal: int | None = None  # videos
    frames: int | None = None  # labels on the grid
    positives: int | None = None  # abnormal labels on the grid


@dataclass(frozen=True)
class Protocol:
    """One way in circulation to turn a data set's annotation into frame labels."""

    name: str
    dataset: str
    source: str  # the repository or paper whose evaluation this is
    expected: Expected
    grid: Grid = Grid()
    index_base: Literal[0, 1] = 0  # number that the evaluation takes the annotation's first frame to have
    end_inclusive: bool = True
    order: Literal["annotation", "name"] = "annotation"  # in which the videos follow each other
    arrays: tuple[str, str] = ("lengths", "labels")  # names of the lengths and labels in an npz of ground truth
    sources: tuple[str, ...] = ()  # the data set's sources that may feed it; none named: all
    note: str = ""


@dataclass(frozen=True)
class Repair:
    """A known defect of published annotation that was put right by a named rule."""

    rule: str
    count: int
    what: str


@dataclass(frozen=True, eq=False)
class Annotation:
    """What an annotation file says of one video: intervals, or a label a frame."""

    video: str
    category: str | None = None  # None: Normal without an abnormal frame, else Abnormal
    intervals: tuple[tuple[float, float], ...] = ()  # as written; the protocol says how they are meant
    fractions: bool = False  # whether the intervals are fractions of the number of frames
    labels: NDArray[np.bool_] | None = None  # (N,) instead of intervals
    on_grid: bool = False  # whether the labels are on the protocol's grid already
    n_frames: int | None = None  # where the file states it


@dataclass(frozen=True, eq=False)
class Annotations:
    """All videos of an annotation, in its order, and what had to be repaired to read it."""

    videos: tuple[Annotation, ...]
    repairs: tuple[Repair, ...] = ()


@dataclass(frozen=True)
class Source:
    """A kind of annotation file: how it is found and read, where it comes from."""

    name: str
    patterns: tuple[str, ...]  # relative to the data folder; the first that matches anything counts
    read: Callable[[Sequence[Path], Protocol], Annotations | None]  # None: it holds nothing for this protocol
    origin: str
    lists_all: bool = True  # whether it names every test video and no other; if not, the lengths file does


@dataclass(frozen=True)
class Dataset:
    """A data set: its protocols (the first is the default), its sources of annotation and its terms."""

    name: str
    title: str
    protocols: tuple[Protocol, ...]
    sources: tuple[Source, ...]
    videos_from: str
    terms: str
    rename: Callable[[str], str] = str  # a name without folder and extension -> the data set's own
    category: Callable[[str], str | None] = lambda video: None  # what the name says
    stray_defect: str = ""  # why normal videos hold abnormal frames in published labels; empty: not known, so refused

    def protocol(self, name: str | None) -> Protocol:
        """Returns the protocol of that name, or the default.

        Raises:
            InputError: there is none of that name.
        """
        if name is None:
            return self.protocols[0]
        for protocol in self.protocols:
            if protocol.name == name:
                return protocol
        known = ", ".join(protocol.name for protocol in self.protocols)
        raise InputError(f"{self.name} has no protocol {name!r}; there are: {known}")


def numbered(prefix: str, width: int) -> Callable[[str], str]:
    """Returns a rule for videos that have numbers: `numbered("Test", 3)` makes "7", "07" and "test_07" "Test007"."""
    heads = {"", "test", "test_", "testing_", prefix.lower()}

    def rename(video: str) -> str:
        head = video.rstrip("0123456789")
        digits = video[len(head) :]
        return f"{prefix}{int(digits):0{width}d}" if digits and head.lower() in heads else video

    return rename


def check_unique(names: Sequence[str], where: object) -> None:
    """Refuses a list of videos in which one occurs twice.

    Raises:
        InputError: with the first few names that do.
    """
    twice = sorted(name for name, times in Counter(names).items() if times > 1)
    if twice:
        shown = ", ".join(twice[:5])
        raise InputError(f"{where}: {len(twice)} videos occur more than once, among them {shown}; each may occur once")
