"""What every frame-level figure rests on: named videos, each with scores and truth on one grid of times.

Names and lengths travel with the numbers, since figures of flat arrays in another order or on another grid are wrong
without notice. Knows no data set and no metric.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vau.errors import InputError


@dataclass(frozen=True, eq=False)
class LabelledScores:
    """Scores and truth of one video on one grid of times.

    Raises:
        InputError: no frames, unequal lengths, scores that are not finite numbers, or labels other than 0 and 1.
    """

    video: str
    scores: NDArray[np.float64]  # (N,) any real scale, higher is more abnormal
    labels: NDArray[np.bool_]  # (N,)
    category: str = ""  # class of the anomaly, several joined by "+"; empty where unknown or normal

    def __post_init__(self) -> None:
        scores, labels = np.asarray(self.scores), np.asarray(self.labels)
        if scores.shape != labels.shape or scores.ndim != 1:
            raise InputError(f"{self.video}: {scores.shape = } and {labels.shape = } must be equal (N,)")
        if len(scores) == 0:
            raise InputError(f"{self.video}: no frames")
        if scores.dtype.kind not in "fiub" or not np.isfinite(scores).all():
            raise InputError(f"{self.video}: scores hold NaN, infinity or no numbers ({scores.dtype = })")
        if labels.dtype.kind not in "fiub" or not ((labels == 0) | (labels == 1)).all():
            raise InputError(f"{self.video}: labels must be 0 (normal) or 1 (abnormal)")
        object.__setattr__(self, "scores", scores.astype(np.float64, copy=False))
        object.__setattr__(self, "labels", labels.astype(np.bool_, copy=False))

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def abnormal(self) -> bool:
        """Whether any frame is abnormal."""
        return bool(self.labels.any())

    @property
    def categories(self) -> tuple[str, ...]:
        """The classes that the video counts in."""
        return tuple(part for part in self.category.split("+") if part)


def check_videos(videos: Sequence[LabelledScores]) -> None:
    """Checks that videos can be pooled.

    Raises:
        InputError: there are none, two bear one name, or all frames are of one class.
    """
    if not videos:
        raise InputError("no videos to evaluate")
    name, times = Counter(video.video for video in videos).most_common(1)[0]
    if times > 1:
        raise InputError(f"{name!r} is given {times} times: each video counts once")
    frames = sum(len(video) for video in videos)
    abnormal = sum(int(video.labels.sum()) for video in videos)
    if abnormal in (0, frames):
        raise InputError(f"detection needs both classes, got {abnormal} abnormal of {frames} frames")


def interval_labels(times_s: NDArray[np.float64], intervals: Sequence[Sequence[float]]) -> NDArray[np.bool_]:
    """Returns which times (N,) fall into any closed interval [start, end], in seconds."""
    labels = np.zeros(len(times_s), bool)
    for start_s, end_s in intervals:
        labels |= (times_s >= start_s) & (times_s <= end_s)
    return labels
