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

from vau.scoring.bands import blocks, lags
from vau.types import Float32, Float64

_COLUMNS = 256  # of a block of distances at a time


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
    for rows, columns in blocks(times_s, band_s, band_s):
        lag = np.abs(lags(times_s, rows, columns))
        apart = _distances(features, rows, columns, smooth)
        apart[(lag < same_s) | (lag > band_s)] = np.inf
        comparable = np.isfinite(apart).sum(1) >= 2 * neighbours
        if not comparable.any() or apart.shape[1] < neighbours:
            continue
        order = np.argpartition(apart, neighbours - 1, axis=1)[:, :neighbours]
        values = np.take_along_axis(apart, order, axis=1)
        enough[rows] = comparable
        distance[rows] = np.where(comparable, np.where(np.isfinite(values), values, 0.0).mean(1), 0.0)
        nearest[rows] = columns.start + order
    usual = distance[nearest].mean(1)
    return Novelty(distance, np.where(enough, distance / (usual + floor), 0.0))


def _distances(features: Float32, rows: slice, columns: slice, smooth: int) -> Float64:
    """Returns distances (R, C) of some averaged rows to others, a few columns at a time so that memory stays flat.

    In double precision: near copies differ by less than single precision resolves.
    """
    own = _averaged(features, rows, smooth)
    squared = np.empty((rows.stop - rows.start, columns.stop - columns.start))
    for start in range(columns.start, columns.stop, _COLUMNS):
        part = slice(start, min(start + _COLUMNS, columns.stop))
        other = _averaged(features, part, smooth)
        squared[:, part.start - columns.start : part.stop - columns.start] = (
            np.einsum("nf,nf->n", other, other)[None] - 2 * own @ other.T
        )
    squared += np.einsum("nf,nf->n", own, own)[:, None]
    return np.asarray(np.sqrt(np.maximum(squared, 0.0, out=squared), out=squared))


def _averaged(features: Float32, rows: slice, width: int) -> Float64:
    """Returns some rows in double precision, each the mean of itself and its neighbours."""
    margin = width // 2
    start = max(rows.start - margin, 0)
    part = features[start : rows.stop + margin].astype(np.float64)
    if width > 1:
        part = uniform_filter1d(part, width, axis=0, mode="nearest")
    return part[rows.start - start : rows.stop - start]
