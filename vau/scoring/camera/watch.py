"""Scorers of a fixed camera watch a video's frames on their way to perception, then score it: one decode pass.

A trained camera (`CameraScorer`) is kept for many videos and starts a `Watch` for each; the watch is that video's
`Scorer`. What sampled frames show is not enough: at four frames a second a cyclist crosses a picture in few steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from vau.errors import CheckpointError, ScoreError
from vau.perception.models import Embedder
from vau.scoring.camera.density import levels
from vau.scoring.camera.ways import overlaps
from vau.scoring.card import Card
from vau.types import Float32, Float64, FrameBatch, Int64, Observations, Relation, ScoreTrack, VideoInfo


@dataclass(frozen=True, eq=False)
class Regions:
    """Scored regions of a video, for overlays and region-level evaluation."""

    times_s: Float64  # (N,) frames that were looked at
    frame: Int64  # (R,) row of `times_s`
    boxes: Float32  # (R, 4) xyxy in pixels of the source
    values: Float64  # (R, K) scaled values of the watch's signals, unbounded


class Watch(Protocol):
    """The eye on one video, and its scorer once all frames have passed."""

    @property
    def name(self) -> str:
        """Name and version of the scorer."""
        ...

    @property
    def signals(self) -> tuple[str, ...]:
        """K names."""
        ...

    def see(self, frames: Iterable[FrameBatch]) -> Iterator[FrameBatch]:
        """Yields batches unchanged and looks at them on the way."""
        ...

    def values(self, observations: Observations | None = None) -> tuple[Float64, Float64]:
        """Returns the times (N,) of all frames that passed and their scaled values (N, K), see `levels`."""
        ...

    def regions(self) -> Regions:
        """Returns where in the picture it is strange."""
        ...

    def score(self, observations: Observations, relations: Sequence[Relation] = ()) -> ScoreTrack:
        """Scores the sampled frames; raises ScoreError where no frame has passed."""
        ...


@runtime_checkable
class CameraScorer(Protocol):
    """A trained fixed camera."""

    @property
    def name(self) -> str:
        """Name and version, as the report states it."""
        ...

    def watch(self, info: VideoInfo, embedder: Embedder | None = None) -> Watch:
        """Starts on a video.

        Args:
            info: the video.
            embedder: the embedder that perception uses.

        Raises:
            CheckpointError: the scorer was trained with another embedder, or on pictures of another size.
        """
        ...

    def score(self, observations: Observations, relations: Sequence[Relation] = ()) -> ScoreTrack:
        """Raises ScoreError: only a watch can score, since observations hold too few frames."""
        ...


def track_of(name: str, signals: Sequence[str], times_s: Float64, values: Float64, sampled_s: Float64) -> ScoreTrack:
    """Returns the score on sampled times: each has the strangest of the frames since the one before.

    Args:
        name: of the scorer.
        signals: K names.
        times_s: (N,) of the frames.
        values: (N, K) scaled values.
        sampled_s: (S,) sampled times.

    Raises:
        ScoreError: no frame was seen.
    """
    if not len(times_s):
        raise ScoreError("a fixed camera's scorer must see the video's frames before it can score; it saw none")
    edges = np.searchsorted(times_s, sampled_s + 1e-6)
    first = np.minimum(np.concatenate([[0], edges[:-1]]), len(times_s) - 1) if len(edges) else edges
    rows = np.zeros(len(sampled_s), np.int64)
    strongest = values.max(axis=1)
    for index, (start, end) in enumerate(zip(first, edges, strict=True)):
        start = min(start, max(end - 1, 0))
        rows[index] = start + int(strongest[start : max(end, start + 1)].argmax())
    scores, contributions = levels(values[rows])
    return ScoreTrack(sampled_s, scores, name, contributions, tuple(f"unlike this camera: {item}" for item in signals))


def check_size(trained: tuple[int, int] | None, info: VideoInfo) -> None:
    """Raises CheckpointError unless a video has the size (width, height) of the training's; None: not known."""
    if trained is not None and trained != (info.width, info.height):
        raise CheckpointError(
            f"pictures of {info.width} x {info.height}, but this camera was trained on "
            f"{trained[0]} x {trained[1]}; give videos of the same camera as it was recorded then, or train again"
        )


def size_of(card: Card) -> tuple[int, int] | None:
    """Returns the width and height that a card names, None where it names none; raises ValueError or TypeError."""
    told = card.perception.get("frame_size")
    if told is None:
        return None
    width, height = (int(side) for side in told)
    return width, height


def unwatched() -> ScoreError:
    """Returns the error of a camera's scorer that is asked without having watched."""
    return ScoreError(
        "a fixed camera's scorer reads frames, not observations alone; call watch(info).see(frames) first"
    )


def strongest(regions: Regions, overlap: float = 0.3) -> Regions:
    """Returns the regions that no stronger one of the same frame covers by more than `overlap` (IoU)."""
    values = regions.values.max(axis=1) if len(regions.frame) else np.zeros(0)
    kept: list[int] = []
    for frame in np.unique(regions.frame):
        rows = np.flatnonzero(regions.frame == frame)
        rows = rows[np.argsort(-values[rows], kind="stable")]
        alike = overlaps(regions.boxes[rows], regions.boxes[rows]) > overlap
        free = np.ones(len(rows), bool)
        for index in range(len(rows)):
            if free[index]:
                kept.append(int(rows[index]))
                free[index:] &= ~alike[index, index:]
    chosen = np.array(kept, np.int64)
    return Regions(regions.times_s, regions.frame[chosen], regions.boxes[chosen], regions.values[chosen])
