"""A threshold without a parameter: the level at which the number of segments is stable for longest.

MEBin of AnomalyNCD (arXiv 2410.14379, section 3.2), which counts the connected components of an anomaly map, on a
curve over time. Ours: levels are absolute, since scaling each curve to its own maximum would find segments in the
noise of every quiet video; and there is no erosion, which a curve does not need.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from vau.types import Int64


def segment_counts(scores: ArrayLike, levels: ArrayLike) -> Int64:
    """Returns for each level (L,) the number of runs of scores (N,) at or above it."""
    values, heights = np.asarray(scores, np.float64), np.asarray(levels, np.float64)
    # A run begins at i for the levels above score i - 1 and up to score i: count the pairs that rise across a level.
    before = np.concatenate([[-np.inf], values[:-1]])
    rising = values > before
    started = np.searchsorted(np.sort(values[rising]), heights)
    ended = np.searchsorted(np.sort(before[rising]), heights)
    return (ended - started).astype(np.int64)


def stable_threshold(
    scores: ArrayLike, *, top: float = 1.0, bottom: float = 0.0, steps: int = 64, least_run: int = 4
) -> float | None:
    """Chooses the threshold of MEBin.

    Levels fall from `top` to above `bottom` in equal steps; of the longest run of levels with one and the same number
    of segments, not 0, the lowest level is the threshold. Of runs of one length the highest wins.

    Args:
        scores: (N,) finite.
        top: highest level; the curve's maximum gives the paper's relative form.
        bottom: levels at or below it are left out, so that the noise floor is not a candidate.
        steps: levels; 64 is the paper's step of 4 in 256 grey levels.
        least_run: shortest run of levels that counts as stable, the paper's 4.

    Returns:
        The threshold, for use as ``scores >= threshold``; None where no number of segments is stable, as in a quiet
        video.

    Raises:
        ValueError: the levels or the scores are not finite, or there are none.
    """
    values = np.asarray(scores, np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(f"scores must be finite (N,), got {values.shape = }")
    if not (np.isfinite([top, bottom]).all() and bottom < top) or steps < 1 or least_run < 1:
        raise ValueError(f"levels must fall from top to bottom in steps, got {top!r}, {bottom!r}, {steps!r}")
    if not len(values):
        return None
    levels = top - (top - bottom) * np.arange(steps) / steps
    counts = segment_counts(values, levels)
    starts = np.flatnonzero(np.diff(counts, prepend=-1))
    lengths = np.diff(np.append(starts, steps))
    lengths[counts[starts] == 0] = 0
    best = int(lengths.argmax())
    if lengths[best] < least_run:
        return None
    return float(levels[starts[best] + lengths[best] - 1])
