"""Follows moving regions from frame to frame and smooths their values along the way.

A leg that swings is fast in one frame, a bicycle in all of them: what is strange for one moment only is taken back by
what the same thing was before and after. Linking by predicted overlap is ours and much weaker than a tracker: it needs
to hold for half a second. It knows no identities and loses things that cross.
"""

from __future__ import annotations

import numpy as np

from vau.perception.camera import Movers
from vau.types import Bool, Float32, Float64, Int64

_OVERLAP = 0.3  # least intersection over union of a region with where the earlier one should be by now


def predecessors(movers: Movers) -> Int64:
    """Returns for each region (M,) the region of the frame before that it continues, -1 for none.

    A region may continue into several: a crowd that parts, or the layers of one thing.
    """
    found = np.full(len(movers), -1, np.int64)
    starts = np.searchsorted(movers.frame, np.arange(len(movers.times_s) + 1))
    for row in range(1, len(movers.times_s)):
        before, now = slice(starts[row - 1], starts[row]), slice(starts[row], starts[row + 1])
        if before.start == before.stop or now.start == now.stop:
            continue
        step = (movers.times_s[row] - movers.times_s[row - 1]) * movers.frame_size[1]
        moved = movers.boxes[before] + np.tile(movers.motion[before, :2], 2) * np.float32(step)
        overlap = overlaps(moved, movers.boxes[now])
        best = overlap.argmax(axis=0)
        linked = overlap[best, np.arange(len(best))] > _OVERLAP
        found[now] = np.where(linked, before.start + best, -1)
    return found


def overlaps(one: Float32, other: Float32) -> Float64:
    """Returns the intersection over union (A, B) of xyxy boxes (A, 4) and (B, 4)."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    both = np.clip(high - low, 0, None).prod(-1).astype(np.float64)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(-1).astype(np.float64) for boxes in (one, other)]
    shares: Float64 = both / np.maximum(areas[0][:, None] + areas[1][None] - both, 1e-9)
    return shares


def smooth_along(values: Float64, movers: Movers, before: Int64, time_s: float, *, causal: bool = False) -> Float64:
    """Smooths values (M,) by an exponential kernel along the ways of regions.

    Where a way begins or ends the missing part counts as 0, so that what lives for one frame keeps little; but a way
    that the video's own first or last frame cuts goes on as it was.

    Args:
        values: one a region, >= 0.
        movers: the regions.
        before: what `predecessors` returns for them.
        time_s: time constant of the kernel.
        causal: look back only; otherwise both ways, where of several continuations the strongest counts.
    """
    steps = np.diff(movers.times_s, prepend=movers.times_s[:1])[movers.frame]
    share = 1 - np.exp(-steps / time_s)
    # Flow begins with the second frame.
    first, last = movers.frame <= 1, movers.frame == len(movers.times_s) - 1
    past = np.zeros(len(values))
    for region in range(len(values)):  # regions come in the order of frames
        carried = values[region] if first[region] else past[before[region]] if before[region] >= 0 else 0.0
        past[region] = share[region] * values[region] + (1 - share[region]) * carried
    if causal:
        return past
    ahead, carried_back = np.zeros(len(values)), np.where(last, values, 0.0)
    for region in range(len(values) - 1, -1, -1):
        ahead[region] = share[region] * values[region] + (1 - share[region]) * carried_back[region]
        if before[region] >= 0:
            carried_back[before[region]] = max(carried_back[before[region]], ahead[region])
    joined: Float64 = (past + ahead - share * values) / (2 - share)
    return joined


def carry_on(values: Float64, known: Bool, before: Int64) -> Float64:
    """Returns values (M,) in which an unknown region has the value of the one that it continues, else its own."""
    carried = values.copy()
    reached = known.copy()
    for region in np.flatnonzero(~known):
        if before[region] >= 0 and reached[before[region]]:
            carried[region], reached[region] = carried[before[region]], True
    return carried
