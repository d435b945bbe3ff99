"""The truth of a data set under one protocol: named videos with labels on the protocol's grid.

Built from a local folder: annotation and lengths are found, known defects repaired by named rules that are counted, and
the totals held against what the protocol states. Knows no scores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vau.errors import InputError
from vau.eval.lengths import Length, Lengths, find_lengths_file, from_frames, from_videos, read_lengths
from vau.eval.names import canonical
from vau.eval.protocols.base import (
    ABNORMAL,
    NORMAL,
    Annotation,
    Annotations,
    Dataset,
    Protocol,
    Repair,
    Source,
    check_unique,
)

_WHOLE = 0.02  # how far a span times the number of frames may be from a frame number


@dataclass(frozen=True, eq=False)
class VideoTruth:
    """Labels of one video on the grid of a protocol."""

    video: str
    category: str  # Normal, Abnormal, or classes joined by "+"
    labels: NDArray[np.bool_]  # (N,) on the grid
    n_frames: int  # of the video itself


@dataclass(frozen=True, eq=False)
class Truth:
    """All videos of a protocol with their labels, how they came about, and how the totals compare."""

    dataset: Dataset
    protocol: Protocol
    videos: tuple[VideoTruth, ...]
    repairs: tuple[Repair, ...]
    annotation_from: str
    lengths_from: str

    @property
    def frames(self) -> int:
        """Labels of all videos."""
        return sum(len(video.labels) for video in self.videos)

    @property
    def positives(self) -> int:
        """Abnormal labels of all videos."""
        return sum(int(video.labels.sum()) for video in self.videos)

    @property
    def deviations(self) -> tuple[str, ...]:
        """Where the totals differ from those that the protocol states, one sentence each."""
        expected = self.protocol.expected
        abnormal = sum(bool(video.labels.any()) for video in self.videos)
        pairs = (
            ("videos", len(self.videos), expected.videos),
            ("abnormal videos", abnormal, expected.abnormal),
            ("frames", self.frames, expected.frames),
            ("abnormal frames", self.positives, expected.positives),
        )
        return tuple(
            f"{found:,} {what}, the protocol has {stated:,}"
            for what, found, stated in pairs
            if stated is not None and found != stated
        )


def load_truth(
    dataset: Dataset,
    protocol: Protocol,
    folder: Path,
    *,
    annotations: Path | None = None,
    lengths: Path | None = None,
) -> Truth:
    """Builds the truth of a protocol from a local folder.

    Args:
        dataset: the data set.
        protocol: one of its protocols.
        folder: where its annotation, and perhaps its videos or frames, lie.
        annotations: the annotation file, where several are there or it has another name.
        lengths: the lengths file, where it lies elsewhere.

    Raises:
        InputError: annotation or lengths are missing, or what they say is not known to be repairable.
    """
    source, paths, found = find_annotations(dataset, protocol, folder, annotations)
    videos = [replace(video, video=dataset.rename(canonical(video.video))) for video in found.videos]
    check_unique([video.video for video in videos], paths[0])
    known = find_lengths(dataset, protocol, folder, lengths, videos, source)
    repairs = list(found.repairs)
    if not source.lists_all:
        videos = _as_listed(videos, known, repairs)
    truths = [_on_grid(video, dataset, protocol, known.videos.get(video.video), repairs) for video in videos]
    _check_constant(truths, paths[0], from_labels=any(video.labels is not None for video in videos))
    if protocol.order == "name":
        truths.sort(key=lambda truth: truth.video)
    return Truth(dataset, protocol, tuple(truths), _merged(repairs), _shown(paths), known.origin)


def find_annotations(
    dataset: Dataset, protocol: Protocol, folder: Path, given: Path | None = None
) -> tuple[Source, Sequence[Path], Annotations]:
    """Returns the first source of a data set that the folder holds for a protocol, its files and what they say.

    Raises:
        InputError: there is none; the message lists what was looked for and where it is to be had.
    """
    sources = [item for item in dataset.sources if not protocol.sources or item.name in protocol.sources]
    for source in sources:
        paths = matching(source, folder, given)
        read = source.read(paths, protocol) if paths else None
        if read is not None and read.videos:
            return source, paths, read
    looked = "; ".join(f"{item.patterns[0]}: {item.origin}" for item in sources)
    raise InputError(f"{given or folder}: no annotation for {dataset.name} ({protocol.name}). Looked for: {looked}")


def matching(source: Source, folder: Path, given: Path | None = None) -> list[Path]:
    """Returns the files of a source in a folder, or the given one where its name fits."""
    if given is not None:
        fits = any(fnmatch(given.name, pattern.rsplit("/", 1)[-1]) for pattern in source.patterns)
        return [given] if fits and given.is_file() else []
    for pattern in source.patterns:
        paths = sorted(path for path in folder.glob(pattern) if path.is_file())
        if paths:
            return paths
    return []


def find_lengths(
    dataset: Dataset,
    protocol: Protocol,
    folder: Path,
    given: Path | None,
    videos: Sequence[Annotation],
    source: Source,
) -> Lengths:
    """Returns the lengths that the annotation does not state itself, from the first place that has them.

    The places, in order: the lengths file; frame counts in an npz; another annotation of the same data set; folders of
    frames; the headers of the videos. Where the annotation does not list the normal videos, only a lengths file does.

    Raises:
        InputError: the videos that are tested, or their lengths, are nowhere to be had.
    """
    timed = protocol.grid.tail == "30-fps"
    missing = {video.video for video in videos if timed or (video.n_frames is None and not video.on_grid)}
    # An annotation that states its lengths is not held against those of another npz, which may be another copy's.
    others = lengths_patterns(dataset) if missing or not source.lists_all else ()
    path = given or find_lengths_file(folder, others)
    if path is not None:
        return read_lengths(path, dataset.rename)
    if not source.lists_all:
        raise InputError(
            f"{folder}: {source.patterns[0]} does not say which videos are tested; list them all, normal ones too, in "
            "lengths.csv (columns video, frames) or give --lengths"
        )
    if not missing:
        return Lengths(origin=f"{source.name} itself")
    for lengths in (
        () if timed else (_from_others(dataset, protocol, folder, source), from_frames(folder, missing, dataset.rename))
    ):
        if missing <= lengths.videos.keys():
            return lengths
    lengths = from_videos(folder, missing, dataset.rename)
    absent = sorted(missing - lengths.videos.keys())
    if absent:
        raise InputError(
            f"{folder}: the number of frames of {len(absent)} videos is not known, among them {', '.join(absent[:3])}; "
            "give a lengths file (csv with video, frames), or put the videos or their frames there"
        )
    return lengths


def lengths_patterns(dataset: Dataset) -> list[str]:
    """Returns the patterns of a data set's npz, which may state lengths."""
    return [pattern for item in dataset.sources for pattern in item.patterns if pattern.endswith(".npz")]


def _from_others(dataset: Dataset, protocol: Protocol, folder: Path, used: Source) -> Lengths:
    for source in dataset.sources:
        paths = matching(source, folder) if source.name != used.name else []
        read = source.read(paths, protocol) if paths else None
        if read is not None:
            stated = {dataset.rename(canonical(video.video)): video.n_frames for video in read.videos}
            known = {video: Length(frames) for video, frames in stated.items() if frames is not None}
            if known:
                return Lengths(known, _shown(paths))
    return Lengths()


def _as_listed(videos: list[Annotation], lengths: Lengths, repairs: list[Repair]) -> list[Annotation]:
    """Returns an annotation for each listed video: its own, or that of a normal video; others are not tested."""
    by_name = {video.video: video for video in videos}
    outside = len(by_name.keys() - lengths.videos.keys())
    repairs.append(Repair("not-listed", outside, "annotated videos that the lengths file does not list; not tested"))
    return [by_name.get(name, Annotation(name, NORMAL)) for name in lengths.videos]


def _on_grid(
    video: Annotation, dataset: Dataset, protocol: Protocol, length: Length | None, repairs: list[Repair]
) -> VideoTruth:
    frames = length.frames if length is not None else video.n_frames
    if video.on_grid and video.labels is not None:
        labels, frames = video.labels.copy(), frames if frames is not None else len(video.labels)
    else:
        assert frames is not None
        size = protocol.grid.length(video.video, frames, length.duration_s if length is not None else None)
        if size < 1:
            raise InputError(f"{video.video}: {frames} frames give no label on the grid of {protocol.name}")
        if video.labels is not None:
            labels = _fitted(video, size, protocol, repairs)
        else:
            labels = _marked(video, frames, size, protocol, repairs)
    category = _category(dataset, video, labels)
    if category == NORMAL and labels.any():
        if not dataset.stray_defect:
            raise InputError(
                f"{video.video}: called normal, yet {int(labels.sum())} of its frames are abnormal; no such defect of "
                f"{dataset.title} is known, so nothing was repaired"
            )
        repairs.append(Repair("stray-normal", int(labels.sum()), f"abnormal frames removed: {dataset.stray_defect}"))
        labels = np.zeros_like(labels)
    return VideoTruth(video.video, category, labels, frames)


def _category(dataset: Dataset, video: Annotation, labels: NDArray[np.bool_]) -> str:
    return dataset.category(video.video) or video.category or (ABNORMAL if labels.any() else NORMAL)


def _fitted(video: Annotation, size: int, protocol: Protocol, repairs: list[Repair]) -> NDArray[np.bool_]:
    """Returns frame labels on the grid: cut or filled up where the grid says so, refused where it does not."""
    labels = video.labels
    assert labels is not None and len(labels)
    short = size - len(labels)
    if protocol.grid.tail in ("keep", "30-fps"):
        if short:
            raise InputError(f"{video.video}: {len(labels)} labels for {size} frames; the lengths are another copy's")
        return labels.copy()
    if protocol.grid.tail == "as-listed" and short > 0:
        repairs.append(Repair("pad-last", short, "labels added to short masks, each the mask's last one"))
        return np.concatenate([labels, np.repeat(labels[-1:], short)])
    return np.concatenate([labels[:size], np.zeros(max(0, short), bool)])


def _marked(video: Annotation, frames: int, size: int, protocol: Protocol, repairs: list[Repair]) -> NDArray[np.bool_]:
    """Returns labels (size,) that are true within the intervals."""
    labels = np.zeros(size, bool)
    for start, end in video.intervals:
        if video.fractions:
            start, end = start * frames, end * frames
            if max(abs(start - round(start)), abs(end - round(end))) > _WHOLE:
                repairs.append(Repair("span-rounded", 1, "spans that are no whole frames with these lengths; rounded"))
            start, end = round(start), round(end)
        if start > end:
            raise InputError(f"{video.video}: interval {start:g} to {end:g} ends before it begins")
        first, stop = int(start) - protocol.index_base, int(end) - protocol.index_base + protocol.end_inclusive
        if stop > max(frames, size):
            repairs.append(Repair("beyond-end", 1, "intervals that reach beyond the video; cut off there"))
        labels[max(0, first) : max(0, stop)] = True
    return labels


def _check_constant(truths: Sequence[VideoTruth], path: Path, *, from_labels: bool) -> None:
    """Refuses labels that are constant in every one of several abnormal videos: they are labels of videos."""
    abnormal = [truth for truth in truths if truth.labels.any()]
    if from_labels and len(abnormal) > 2 and all(truth.labels.all() for truth in abnormal):
        raise InputError(
            f"{path}: every frame of each of the {len(abnormal)} abnormal videos is abnormal: these labels say which "
            "videos are abnormal, not which frames (as AnomalyRuler's files for UBnormal do)"
        )


def _merged(repairs: Sequence[Repair]) -> tuple[Repair, ...]:
    counts: Counter[tuple[str, str]] = Counter()
    for repair in repairs:
        counts[repair.rule, repair.what] += repair.count
    return tuple(Repair(rule, count, what) for (rule, what), count in counts.items() if count)


def _shown(paths: Sequence[Path]) -> str:
    return str(paths[0]) if len(paths) == 1 else f"{len(paths)} files such as {paths[0]}"
