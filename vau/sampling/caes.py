"""Context-aware keyframes (CAES): the lead-up, the event and the aftermath under one budget.

The idea of three phases is VADER's (arXiv 2511.07299), whose equations are not public; budget, windows and selection
are ours: mass sampling on the score within the event, moments at which relations change in the context, otherwise even
spacing. It chooses among sampled frames only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vau.config import SamplingConfig
from vau.sampling.mass import spread, systematic
from vau.sampling.windows import EventWindow, event_windows, to_keyframes
from vau.types import Event, Float32, Float64, Int64, Keyframe, RelationChange, ScoreTrack


def caes(
    scores: ScoreTrack, events: tuple[Event, ...], config: SamplingConfig, changes: Sequence[RelationChange] = ()
) -> tuple[Keyframe, ...]:
    """Chooses the keyframes of every event.

    Args:
        scores: N rows; keyframes lie at their times.
        events: in time order, not overlapping.
        config: `keyframes` an event, `context_share`, `context_s`, `tau`.
        changes: relation changes, which attract keyframes in the context.

    Returns:
        Keyframes without pictures in time order, at most `keyframes` an event: always the peak, and from 3 on at least
        one of each phase that has frames. What one phase cannot use goes to the others.

    Raises:
        ValueError: the events overlap or are not in time order.
    """
    windows = event_windows(scores, events, config.context_s)
    return to_keyframes(scores, [(window, _select(window, scores, config, changes)) for window in windows])


def _select(
    window: EventWindow, scores: ScoreTrack, config: SamplingConfig, changes: Sequence[RelationChange]
) -> list[int]:
    before, during, after = split_budget(
        config.keyframes, (len(window.pre), len(window.during), len(window.post)), config.context_share
    )
    mass = scores.scores[window.during].astype(np.float64) + config.tau
    inside = window.during[systematic(mass, during, forced=[window.peak - window.during[0]])]
    lead_up = _context(window.pre, before, scores.times_s, changes)
    aftermath = _context(window.post, after, scores.times_s, changes)
    return [*lead_up.tolist(), *inside.tolist(), *aftermath.tolist()]


def split_budget(budget: int, available: tuple[int, int, int], share: float) -> tuple[int, int, int]:
    """Splits a budget over pre, during and post.

    Args:
        budget: keyframes, at least 1.
        available: frames in pre, during (at least 1) and post.
        share: of the budget for pre and for post.

    Returns:
        Counts of at most the available frames that sum to the budget or to all frames: first one of during, one of
        pre, one of post, then by share. No count falls when the budget grows.
    """
    shares = (share, 1 - 2 * share, share)
    counts = [0, 0, 0]
    first = [phase for phase in (1, 0, 2) if available[phase] > 0]
    for turn in range(min(budget, sum(available))):
        if turn < len(first):
            phase = first[turn]
        else:
            # Sainte-Laguë: a larger budget never takes a frame back from a phase, as rounding would.
            free = [phase for phase in (1, 0, 2) if counts[phase] < available[phase]]
            phase = max(free, key=lambda phase: shares[phase] / (counts[phase] + 0.5))
        counts[phase] += 1
    return counts[0], counts[1], counts[2]


def _context(rows: Int64, count: int, times_s: Float64, changes: Sequence[RelationChange]) -> Int64:
    """Returns rows of a context window: the sharpest relation changes, apart from each other, then evenly spaced."""
    if count <= 0 or len(rows) == 0:
        return np.zeros(0, np.int64)
    times = times_s[rows]
    # Changes closer than a part of the window show the same moment.
    apart = (times[-1] - times[0]) / (2 * count)
    inside = [change for change in changes if times[0] <= change.time_s <= times[-1]]
    inside.sort(key=lambda change: (-change.sharpness, change.time_s, change.change_id))
    chosen: list[int] = []
    for change in inside:
        place = int(np.abs(times - change.time_s).argmin())
        clear = all(place != other and abs(times[place] - times[other]) >= apart for other in chosen)
        if clear and len(chosen) < count:
            chosen.append(place)
    return rows[spread(times, count, chosen)]


def overview(times_s: Float64, scores: Float32, budget: int) -> tuple[Keyframe, ...]:
    """Chooses keyframes of a video without events: evenly spread, each the highest score near its place.

    Args:
        times_s: (N,) increasing.
        scores: (N,).
        budget: keyframes, at least 0.

    Returns:
        Up to `budget` keyframes in time order with `phase` "during" and an empty `event_id`.
    """
    count = min(budget, len(times_s))
    if count <= 0:
        return ()
    cells = np.array_split(np.arange(len(times_s)), count)
    chosen = []
    for cell in cells:
        quarter = len(cell) // 4
        middle = cell[quarter : len(cell) - quarter]
        distance = np.abs(np.arange(len(middle)) - (len(middle) - 1) / 2)
        chosen.append(int(middle[np.lexsort((distance, -scores[middle]))[0]]))
    return tuple(Keyframe(f"K{i}", float(times_s[row]), "during", "") for i, row in enumerate(chosen, start=1))
