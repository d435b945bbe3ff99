"""How unlike the rest of its own video a moment is: local outlier factor over a banded neighbourhood in time.

The distance of a sample to its nearest neighbours among samples that are near in time, but not so near as to be the
same moment, divided by what is usual for those neighbours (after Breunig et al., LOF, SIGMOD 2000). A rare thing that
happens among other rare things is not novel, a thing that happens again and again is not novel, and O(N * W) keeps a
day of video affordable.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d

from vau.types import Float32, Float64

_BLOCK = 256


@dataclass(frozen=True, eq=False)
class Novelty:
    """Distances to the usual, a row a sample."""

    distance: Float64  # (N,) mean distance to the nearest neighbours, 0 where there are too few
    factor: Float64  # (N,) that distance over the neighbours' own; about 1 is usual


def novelty(
    features: Float32,
    times_s: Float64,
    *,
    floor: float,
    smooth: int = 1,
    neighbours: int = 5,
    band_s: float = 300.0,
) -> Novelty:
    """Measures novelty of each sample within its own video.

    Args:
        features: (N, F).
        times_s: (N,) increasing.
        floor: distance below which differences are noise; it keeps the factor of near copies from exploding.
        smooth: samples over which features are averaged first.
        neighbours: how many nearest samples are averaged.
        band_s: samples farther in time than this do not count.

    Returns:
        Novelty; zeros where fewer than twice `neighbours` samples are comparable, as in clips of a few seconds.
    """
    count = len(times_s)
    distance = np.zeros(count)
    nearest = np.zeros((count, neighbours), np.int64)
    enough = np.zeros(count, bool)
    # Samples of the same moment do not count: two seconds, less in a clip that is hardly longer.
    same_s = min(max(float(times_s[-1] - times_s[0]) / 5, 0.75), 2.0) if count else 0.0
    for start in range(0, count, _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, count))
        left = int(np.searchsorted(times_s, times_s[rows[0]] - band_s))
        right = int(np.searchsorted(times_s, times_s[rows[-1]] + band_s, side="right"))
        columns = np.arange(left, right)
        lag = np.abs(times_s[rows][:, None] - times_s[columns][None])
        # In double precision a block at a time: near copies differ by less than single precision resolves.
        other = _averaged(features, left, right, smooth)
        own = other[rows - left]
        squared = np.einsum("nf,nf->n", other, other)[None] - 2 * own @ other.T
        squared += np.einsum("nf,nf->n", own, own)[:, None]
        apart = np.sqrt(np.maximum(squared, 0.0))
        apart[(lag < same_s) | (lag > band_s)] = np.inf
        comparable = np.isfinite(apart).sum(1) >= 2 * neighbours
        if not comparable.any() or len(columns) < neighbours:
            continue
        order = np.argpartition(apart, neighbours - 1, axis=1)[:, :neighbours]
        values = np.take_along_axis(apart, order, axis=1)
        enough[rows] = comparable
        distance[rows] = np.where(comparable, np.where(np.isfinite(values), values, 0.0).mean(1), 0.0)
        nearest[rows] = columns[order]
    usual = distance[nearest].mean(1)
    return Novelty(distance, np.where(enough, distance / (usual + floor), 0.0))


def _averaged(features: Float32, first: int, stop: int, width: int) -> Float64:
    """Returns rows first to stop - 1 in double precision, each the mean of itself and its neighbours."""
    margin = width // 2
    start = max(first - margin, 0)
    part = features[start : stop + margin].astype(np.float64)
    if width > 1:
        part = uniform_filter1d(part, width, axis=0, mode="nearest")
    return part[first - start : stop - start]
