"""Says of a local copy of a benchmark what is there, what is missing and which splits can be evaluated with it.

Reads annotation and looks for videos by name; no video is opened.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vau.errors import InputError, MissingExtraError
from vau.eval.benchmarks.base import Benchmark, Part, locate
from vau.eval.names import canonical

State = Literal["ready", "differs", "missing"]
_VIDEO_SUFFIXES = (".mp4", ".avi", ".mkv", ".mov", ".webm")


@dataclass(frozen=True)
class Verdict:
    """Whether a split can be evaluated with a local copy."""

    split: str
    state: State
    items: int
    detail: str  # counts, where they differ, or what is missing


@dataclass(frozen=True)
class Stock:
    """What a folder holds of a benchmark."""

    benchmark: Benchmark
    parts: tuple[tuple[Part, Path | None], ...]
    verdicts: tuple[Verdict, ...]
    videos: int  # that the readable splits name
    videos_found: int

    @property
    def usable(self) -> bool:
        """Whether at least one split can be read and has the items that the source states."""
        return any(verdict.state == "ready" for verdict in self.verdicts)


def take_stock(benchmark: Benchmark, folder: Path) -> Stock:
    """Looks for every part of a benchmark in a folder and reads every split.

    Raises:
        InputError: the folder does not exist, or several files could be one part.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    parts = tuple((part, locate(folder, part)) for part in benchmark.parts)
    verdicts, videos = [], set()
    for split in benchmark.splits:
        try:
            found = benchmark.load(folder, split)
        except (InputError, MissingExtraError) as error:
            verdicts.append(Verdict(split, "missing", 0, str(error)))
            continue
        mine = {item.video for item in found.items}
        videos |= mine
        counts = f"{len(found.items):,} items of {len(mine):,} videos"
        wrong = benchmark.deviations(found, split)
        detail = f"{counts}. Not as stated: {'; '.join(wrong)}" if wrong else counts
        for leak in found.leaks:
            detail += f". {leak}"
        verdicts.append(Verdict(split, "differs" if wrong else "ready", len(found.items), detail))
    return Stock(benchmark, parts, tuple(verdicts), len(videos), len(videos & _present(folder)))


def _present(folder: Path) -> set[str]:
    names = (name for _, _, files in os.walk(folder) for name in files)
    return {canonical(name) for name in names if name.lower().endswith(_VIDEO_SUFFIXES)}
