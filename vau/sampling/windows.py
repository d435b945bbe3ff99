"""The frames that belong to an event: its lead-up, itself, its aftermath; shared by all keyframe samplers.

It decides where context ends, not which frames are taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from vau.types import Event, Int64, Keyframe, Phase, ScoreTrack

LEAST_CONTEXT_S = 2.0


@dataclass(frozen=True, eq=False)
class EventWindow:
    """Rows of the score track around one event; no row belongs to two windows."""

    event: Event
    pre: Int64
    during: Int64  # never empty
    post: Int64
    peak: int  # the row of `during` nearest the event's peak

    @property
    def rows(self) -> Int64:
        """All rows in time order."""
        return np.concatenate([self.pre, self.during, self.post])

    def phase(self, row: int) -> Phase:
        """Says to which phase a row of the window belongs."""
        if row < self.during[0]:
            return "pre"
        return "during" if row <= self.during[-1] else "post"


def event_windows(scores: ScoreTrack, events: tuple[Event, ...], context_s: float) -> list[EventWindow]:
    """Finds the frames of every event and of its context.

    Context is as long as the event, but at least 2 s and at most `context_s`; it never reaches into another event, and
    two events share the time between them at its middle where both would claim it.

    Args:
        scores: N rows.
        events: in time order, not overlapping.
        context_s: longest context on each side.

    Returns:
        One window an event, without those in which no row falls.

    Raises:
        ValueError: the events overlap or are not in time order.
    """
    for before, after in pairwise(events):
        if after.start_s < before.end_s:
            raise ValueError(f"events must be in time order and not overlap, got {before} then {after}")
    times = scores.times_s
    windows: list[EventWindow] = []
    taken = 0  # rows from here on are free
    for i, event in enumerate(events):
        reach = min(max(event.end_s - event.start_s, LEAST_CONTEXT_S), context_s)
        earliest, latest = event.start_s - reach, event.end_s + reach
        if i > 0:
            earliest = max(earliest, _border(events[i - 1], event, context_s))
        if i + 1 < len(events):
            latest = min(latest, _border(event, events[i + 1], context_s))
        first = max(int(np.searchsorted(times, event.start_s, "left")), taken)
        last = int(np.searchsorted(times, event.end_s, "right"))
        if first >= last:
            continue
        if i + 1 < len(events) and last - first > 1 and times[last - 1] == events[i + 1].start_s:
            # A row on the border of two touching events is the later one's, unless it is this one's peak.
            last -= int(times[last - 1] != event.peak_s)
        begin = max(int(np.searchsorted(times, earliest, "left")), taken)
        end = int(np.searchsorted(times, latest, "right"))
        if i + 1 < len(events):
            end = min(end, int(np.searchsorted(times, events[i + 1].start_s, "left")))
        during = np.arange(first, last)
        peak = first + int(np.abs(times[during] - event.peak_s).argmin())
        windows.append(EventWindow(event, np.arange(begin, first), during, np.arange(last, max(end, last)), peak))
        taken = max(end, last)
    return windows


def _border(before: Event, after: Event, context_s: float) -> float:
    """Returns the time at which the contexts of two neighbouring events meet."""
    gap = after.start_s - before.end_s
    left = min(max(before.end_s - before.start_s, LEAST_CONTEXT_S), context_s)
    right = min(max(after.end_s - after.start_s, LEAST_CONTEXT_S), context_s)
    if left + right <= gap:
        return before.end_s + left  # they do not meet
    if min(left, right) <= gap / 2:
        return before.end_s + left if left <= right else after.start_s - right
    return before.end_s + gap / 2


def to_keyframes(scores: ScoreTrack, chosen: Sequence[tuple[EventWindow, Sequence[int]]]) -> tuple[Keyframe, ...]:
    """Names the chosen rows of every window K1, K2, ... in time order."""
    pairs = ((row, window) for window, rows in chosen for row in {int(row) for row in rows})
    found = sorted(pairs, key=lambda pair: pair[0])
    return tuple(
        Keyframe(f"K{i}", float(scores.times_s[row]), window.phase(row), window.event.event_id)
        for i, (row, window) in enumerate(found, start=1)
    )
