"""Sampling without replacement in proportion to mass: deterministic, spread, and exact in number.

The inverse-CDF idea of the ATS sampler of Holmes-VAU (CVPR 2025) without its two flaws: it starts at mass 0, and no
frame is drawn twice. Ours: systematic sampling with inclusion shares capped at 1.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from vau.types import Float64, Int64


def systematic(mass: Float64, count: int, forced: Iterable[int] = ()) -> Int64:
    """Takes `count` different positions, so that dense mass gets more of them.

    Every position is given a share min(1, c mass) with c such that shares sum to `count`; the positions at which the
    cumulative share passes 1/2, 3/2, 5/2, ... are taken. Raising the mass of an interval therefore never lowers the
    number taken from it, nor raises that taken before or after it.

    Args:
        mass: (N,) finite and positive.
        count: how many; all positions where it is N or more, none where it is 0 or less.
        forced: positions that are taken in any case, as many as `count` allows.

    Returns:
        Sorted positions, min(count, N) of them.

    Raises:
        ValueError: a mass is not finite and positive.
    """
    if not (np.isfinite(mass).all() and (mass > 0).all()):
        raise ValueError(f"mass must be finite and positive, got {mass.min()} to {mass.max()}")
    total = len(mass)
    if count >= total:
        return np.arange(total)
    if count <= 0:
        return np.zeros(0, np.int64)
    sure = np.zeros(total, dtype=bool)
    sure[list(dict.fromkeys(forced))[:count]] = True
    ends = np.cumsum(_shares(mass, count, sure))
    taken = np.searchsorted(ends, np.arange(count) + 0.5, side="right")
    # Exact arithmetic takes no position twice; rounding may, where a share is exactly 1.
    steps = np.arange(count)
    taken = np.maximum.accumulate(np.minimum(taken, total - count + steps) - steps) + steps
    return _keep_sure(taken, np.flatnonzero(sure), sure)


def _shares(mass: Float64, count: int, sure: np.typing.NDArray[np.bool_]) -> Float64:
    """Returns shares in (0, 1] that sum to `count`: 1 where sure, elsewhere min(1, c mass)."""
    full = sure.copy()
    while True:
        open_count = count - int(full.sum())
        rest = float(mass[~full].sum())
        shares = np.where(full, 1.0, mass * (open_count / rest) if rest > 0 else 0.0)
        over = ~full & (shares > 1)
        if not over.any():
            return np.asarray(shares, dtype=np.float64)
        full |= over


def _keep_sure(taken: Int64, sure: Int64, is_sure: np.typing.NDArray[np.bool_]) -> Int64:
    """Puts a sure position that rounding has missed in the place of the nearest one that is not sure."""
    for position in np.setdiff1d(sure, taken):
        free = np.flatnonzero(~is_sure[taken])
        taken[free[np.abs(taken[free] - position).argmin()]] = position
        taken = np.sort(taken)
    return taken


def spread(times_s: Float64, count: int, chosen: Iterable[int] = ()) -> Int64:
    """Takes positions that lie evenly in time, given some that are taken already.

    Args:
        times_s: (N,) increasing.
        count: how many in all.
        chosen: positions taken already.

    Returns:
        Sorted positions, min(count, N) of them; of equally good ones the earlier is taken.
    """
    taken = sorted(set(chosen))[:count]
    if not taken:
        return systematic(np.ones(len(times_s)), count)
    nearest = np.abs(times_s[:, None] - times_s[None, taken]).min(axis=1)
    while len(taken) < min(count, len(times_s)):
        nearest[taken] = -1
        best = int(nearest.argmax())
        taken.append(best)
        nearest = np.minimum(nearest, np.abs(times_s - times_s[best]))
    return np.array(sorted(taken), np.int64)
