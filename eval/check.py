"""Says of a local copy of a data set what is there, what is missing, and which protocols it can serve.

Reads annotation and lengths only; no video is decoded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vau.errors import InputError
from vau.eval.lengths import find_lengths_file
from vau.eval.protocols.base import Dataset, Protocol
from vau.eval.truth import Truth, lengths_patterns, load_truth, matching

State = Literal["ready", "differs", "missing"]


@dataclass(frozen=True)
class Part:
    """One thing that a data set consists of: where it is, or where it is to be had."""

    name: str
    found: str  # where it is, or why it is not needed; empty where it is missing
    origin: str


@dataclass(frozen=True, eq=False)
class Verdict:
    """Whether a protocol can be evaluated with a local copy."""

    protocol: Protocol
    state: State
    detail: str  # the totals, where they differ, or what is missing
    truth: Truth | None


@dataclass(frozen=True, eq=False)
class Inventory:
    """What a folder holds of a data set."""

    dataset: Dataset
    parts: tuple[Part, ...]
    verdicts: tuple[Verdict, ...]

    @property
    def usable(self) -> bool:
        """Whether at least one protocol can be evaluated with totals as it states them."""
        return any(verdict.state == "ready" for verdict in self.verdicts)


def take_stock(
    dataset: Dataset, folder: Path, *, annotations: Path | None = None, lengths: Path | None = None
) -> Inventory:
    """Looks for every source of a data set in a folder and builds the truth of every protocol.

    Raises:
        InputError: the folder does not exist.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    parts = []
    for source in {(source.patterns, source.origin): source for source in dataset.sources}.values():
        paths = matching(source, folder, annotations)
        found = "" if not paths else str(paths[0]) if len(paths) == 1 else f"{len(paths)} files such as {paths[0]}"
        parts.append(Part(f"annotation, {source.name}", found, f"{source.patterns[0]}: {source.origin}"))
    verdicts = tuple(_verdict(dataset, protocol, folder, annotations, lengths) for protocol in dataset.protocols)
    need = "csv with video, frames; else stated by the annotation, counted in folders of frames or read from videos"
    parts.append(Part("lengths", _lengths(dataset, folder, lengths, verdicts), need))
    return Inventory(dataset, tuple(parts), verdicts)


def _lengths(dataset: Dataset, folder: Path, given: Path | None, verdicts: Sequence[Verdict]) -> str:
    ready = [verdict.truth.lengths_from for verdict in verdicts if verdict.truth and verdict.state == "ready"]
    try:
        file = given or find_lengths_file(folder, lengths_patterns(dataset))
    except InputError:  # the verdicts that need it say so
        file = None
    if ready and (file is None or str(file) not in ready):
        return f"not needed; taken from {', '.join(dict.fromkeys(ready))}"
    return str(file or "")


def _verdict(
    dataset: Dataset, protocol: Protocol, folder: Path, annotations: Path | None, lengths: Path | None
) -> Verdict:
    try:
        truth = load_truth(dataset, protocol, folder, annotations=annotations, lengths=lengths)
    except InputError as error:
        return Verdict(protocol, "missing", str(error), None)
    totals = f"{len(truth.videos):,} videos, {truth.frames:,} frames, {truth.positives:,} abnormal"
    if truth.deviations:
        return Verdict(protocol, "differs", f"{totals}. Not as stated: {'; '.join(truth.deviations)}", truth)
    return Verdict(protocol, "ready", totals, truth)
