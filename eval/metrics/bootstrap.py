"""Confidence intervals by a bootstrap over whole videos, for areas over all their frames.

Neighbouring frames are near copies of each other, so that resampling frames would claim far too much. A resample is
a count for each video; the curves of all resamples come from one sort as a product of counts and histograms. The
histograms have a bin for each distinct score up to a limit, where the resampled areas are exact; beyond it scores share
bins and the areas are good to a few 1e-4, far below the noise of the resampling.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vau.errors import InputError
from vau.eval.frame import LabelledScores, check_videos
from vau.eval.metrics.ranking import Curve, Ranked, rank

Float64 = NDArray[np.float64]

_ROWS = 512  # resamples at a time, which bounds the memory


@dataclass(frozen=True)
class Estimate:
    """A figure with its interval; None where undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.value is None:
            return "-"
        span = "" if self.low is None or self.high is None else f" [{self.low:.4f}, {self.high:.4f}]"
        return f"{self.value:.4f}{span}"


@dataclass(frozen=True)
class Resampling:
    """How intervals are made.

    Raises:
        InputError: fewer than 0 resamples, or a level outside (0, 1).
    """

    resamples: int = 1000  # 0: no intervals
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if self.resamples < 0 or not 0 < self.level < 1 or self.seed < 0:
            raise InputError(f"an interval needs resamples >= 0, level in (0, 1) and seed >= 0, got {self}")

    def interval(self, values: Float64) -> tuple[float, float]:
        """Returns the quantiles of resampled values that enclose `level` of them."""
        tail = (1 - self.level) / 2
        low, high = np.quantile(values, [tail, 1 - tail])
        return float(low), float(high)


@dataclass(frozen=True, eq=False)
class Areas:
    """Areas of R resamples."""

    auc: Float64  # (R,)
    ap_step: Float64
    ap_trapezoid: Float64


def resampled_areas(ranked: Ranked, resampling: Resampling, *, bins: int = 512) -> Areas | None:
    """Returns the areas of resamples of the videos that have rows in `ranked`.

    Resamples with one class of frames are drawn again. None where fewer than two videos are left, no resample is
    wanted, or one class is all there is.

    Args:
        ranked: the frames.
        resampling: number of resamples and seed.
        bins: into how many parts the frames and, on their own, the abnormal frames are cut. Areas are exact for up to
            twice as many distinct scores.
    """
    abnormal, normal = ranked.abnormal, ranked.normal
    there = np.flatnonzero(abnormal + normal)
    if len(there) < 2 or not resampling.resamples or not abnormal.any() or not normal.any():
        return None
    histograms = _Histograms.of(ranked, bins)
    draws = _draws(abnormal[there], normal[there], resampling)
    areas = np.concatenate([histograms.areas(part) for part in np.array_split(draws, -(-len(draws) // _ROWS))], axis=1)
    # What the bins cost on the sample itself, they cost on its resamples.
    curve = Curve.of(ranked)
    exact = np.array([[curve.auc()], [curve.ap_step()], [curve.ap_trapezoid()]])
    return Areas(*np.clip(areas + exact - histograms.areas(np.ones((1, len(there)))), 0, 1))


def pooled_auc_interval(
    videos: Sequence[LabelledScores], *, resamples: int = 500, level: float = 0.95, seed: int = 0
) -> tuple[float, float] | None:
    """Returns the interval of `vau.eval.metrics.ranking.pooled_auc`; None for a single video.

    Raises:
        InputError: no videos, two of one name, or one class only.
    """
    check_videos(videos)
    resampling = Resampling(resamples, level, seed)
    areas = resampled_areas(rank(videos), resampling)
    return None if areas is None else resampling.interval(areas.auc)


def resampled_means(values: Float64, resampling: Resampling) -> Float64 | None:
    """Returns means of resamples of one value a video (V,); None for fewer than two, or where none is wanted."""
    if len(values) < 2 or not resampling.resamples:
        return None
    generator = np.random.default_rng(resampling.seed)
    means: Float64 = values[generator.integers(0, len(values), (resampling.resamples, len(values)))].mean(axis=1)
    return means


def _draws(abnormal: Float64, normal: Float64, resampling: Resampling) -> Float64:
    """Draws how often each video (V,) is in each resample (R, V); both classes are in every one."""

    def batches() -> Iterator[Float64]:
        generator = np.random.default_rng(resampling.seed)
        videos = len(abnormal)
        wanted = resampling.resamples
        while wanted > 0:
            drawn = generator.integers(0, videos, (wanted, videos))
            cells = drawn + np.arange(wanted)[:, None] * videos
            counts = np.bincount(cells.ravel(), minlength=wanted * videos).reshape(wanted, videos).astype(np.float64)
            counts = counts[(counts @ abnormal > 0) & (counts @ normal > 0)]
            wanted -= len(counts)
            yield counts

    return np.concatenate(list(batches()))


@dataclass(frozen=True, eq=False)
class _Histograms:
    """Frames of each video in bins of falling score."""

    positives: Float64  # (V, B)
    negatives: Float64  # (V, B)
    tied: NDArray[np.bool_]  # (B,) whether the bin is one score

    @classmethod
    def of(cls, ranked: Ranked, bins: int) -> _Histograms:
        levels = np.concatenate([[0], np.cumsum(ranked.scores[1:] != ranked.scores[:-1])])
        count = int(levels[-1]) + 1
        bin_of_level = np.arange(count) if count <= 2 * bins else _bins_of_levels(ranked, levels, count, bins)
        width = int(bin_of_level[-1]) + 1
        names, videos = np.unique(ranked.owners, return_inverse=True)
        cells = videos * width + bin_of_level[levels]
        every = np.bincount(cells, ranked.weights, len(names) * width).astype(np.float64).reshape(len(names), -1)
        positives = np.bincount(cells, ranked.weights * ranked.labels, len(names) * width).reshape(every.shape)
        return cls(positives.astype(np.float64), every - positives, np.bincount(bin_of_level) == 1)

    def areas(self, counts: Float64) -> Float64:
        """Returns ROC area, step-wise and trapezoid average precision (3, R) of resamples (R, V)."""
        bearing = np.flatnonzero(self.positives.any(axis=1))
        new_positives = counts[:, bearing] @ self.positives[bearing]  # (R, B)
        new_negatives = counts @ self.negatives
        positives, negatives = np.cumsum(new_positives, axis=1), np.cumsum(new_negatives, axis=1)
        found = positives + negatives
        half = positives - new_positives / 2
        after = positives / np.maximum(found, 1)
        before = np.concatenate([np.ones((len(counts), 1)), np.where(found > 0, after, 1)[:, :-1]], axis=1)
        # In a bin of many scores the classes are taken as evenly mixed: the precision half-way stands for all.
        middle = half / np.maximum(half + negatives - new_negatives / 2, 0.5)
        total = positives[:, -1]
        wins = np.einsum("rb,rb->r", new_negatives, half)
        step = np.einsum("rb,rb->r", new_positives, np.where(self.tied, after, middle))
        trapezoid = np.einsum("rb,rb->r", new_positives, np.where(self.tied, (before + after) / 2, middle))
        return np.stack([wins / (total * negatives[:, -1]), step / total, trapezoid / total])


def _bins_of_levels(ranked: Ranked, levels: NDArray[np.int64], count: int, bins: int) -> NDArray[np.int64]:
    """Merges distinct scores (L,) into bins with few frames and few abnormal frames each; (L,) rising from 0.

    A score with more frames than a bin should have is a bin of its own, so that heavy ties stay exact.
    """
    every = np.bincount(levels, ranked.weights, count)
    positives = np.bincount(levels, ranked.weights * ranked.labels, count)
    edges = [np.zeros(1, np.int64)]
    for mass in (every, positives):
        total = np.cumsum(mass)
        hit = np.searchsorted(total, np.arange(1, bins) * (total[-1] / bins))
        crowded = np.flatnonzero(mass > total[-1] / bins)
        edges += [hit, crowded, crowded + 1]
    starts = np.zeros(count + 1, np.int64)
    starts[np.concatenate(edges)] = 1
    merged: NDArray[np.int64] = np.cumsum(starts[:count]) - 1
    return merged
