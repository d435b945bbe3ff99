"""Frame-level detection metrics over named videos, with intervals that know that frames of one video are not alone.

The ROC area pools all frames of all videos (micro AUC, ties at mid-rank, by scikit-learn); its confidence interval
resamples whole videos, since neighbouring frames are near copies of each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vau.errors import InputError, MissingExtraError


@dataclass(frozen=True, eq=False)
class LabelledScores:
    """Scores and truth of one video on one grid of times."""

    video: str
    scores: NDArray[np.float64]  # (N,) any real scale, higher is more abnormal
    labels: NDArray[np.bool_]  # (N,)

    def __post_init__(self) -> None:
        if self.scores.shape != self.labels.shape or self.scores.ndim != 1:
            raise InputError(f"{self.video}: {self.scores.shape = } and {self.labels.shape = } must be equal (N,)")
        if not np.isfinite(self.scores).all():
            raise InputError(f"{self.video}: scores hold NaN or infinity")


def interval_labels(times_s: NDArray[np.float64], intervals: Sequence[Sequence[float]]) -> NDArray[np.bool_]:
    """Returns which times (N,) fall into any closed interval [start, end], in seconds."""
    labels = np.zeros(len(times_s), bool)
    for start_s, end_s in intervals:
        labels |= (times_s >= start_s) & (times_s <= end_s)
    return labels


def pooled_auc(videos: Sequence[LabelledScores]) -> float:
    """Returns the ROC area over all frames of all videos.

    Raises:
        InputError: there is no abnormal or no normal frame.
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.metrics import roc_auc_score
    except ImportError as error:
        raise MissingExtraError("Evaluation", "eval") from error
    labels = np.concatenate([video.labels for video in videos])
    if labels.all() or not labels.any():
        raise InputError(f"an ROC area needs both classes, got {int(labels.sum())} abnormal of {len(labels)} frames")
    return float(roc_auc_score(labels, np.concatenate([video.scores for video in videos])))


def pooled_auc_interval(
    videos: Sequence[LabelledScores], *, resamples: int = 500, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Returns the bootstrap interval of `pooled_auc` with whole videos resampled.

    Resamples that hold only one class are drawn again.
    """
    generator = np.random.default_rng(seed)
    areas: list[float] = []
    while len(areas) < resamples:
        drawn = [videos[index] for index in generator.integers(0, len(videos), len(videos))]
        labels = np.concatenate([video.labels for video in drawn])
        if labels.any() and not labels.all():
            areas.append(pooled_auc(drawn))
    tail = (1 - level) / 2
    low, high = np.quantile(areas, [tail, 1 - tail])
    return float(low), float(high)
