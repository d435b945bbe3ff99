"""Places decoded frames on one clock and chooses those that are on screen at the instants of a regular grid.

Knows nothing of containers or pixels. Times are seconds from the first frame.
"""

from __future__ import annotations

from collections import Counter

_TICK_S = 1e-4  # resolution of the histogram of frame intervals
_MAX_BINS = 4096
_VARIABLE_SHARE = 0.02  # more uneven intervals than this make a variable rate
GRID_SLACK_S = 5e-4  # containers that count milliseconds round by half of one


class Grid:
    """The instants k / fps. A frame is wanted if one of them falls into its time on screen.

    Instants are met `GRID_SLACK_S` late, so that a time rounded up to milliseconds counts as the time it stands for.
    """

    def __init__(self, fps: float) -> None:
        if fps <= 0:
            raise ValueError(f"fps must be positive, got {fps!r}")
        self._fps = fps
        self._next = 0

    def wants(self, start_s: float, end_s: float) -> bool:
        """Says whether an instant lies in [start_s, end_s); spans must come in time order."""
        first = max(self._next, self._at_or_after(start_s))
        if first >= self._at_or_after(end_s):
            return False
        self._next = self._at_or_after(end_s)
        return True

    def _at_or_after(self, time_s: float) -> int:
        """Returns the smallest k whose instant k / fps is not before a time."""
        k = max(0, int((time_s - GRID_SLACK_S) * self._fps) - 1)
        while k / self._fps < time_s - GRID_SLACK_S:
            k += 1
        return k


class Intervals:
    """Running statistics of the time between consecutive frames, in bounded memory."""

    def __init__(self) -> None:
        self._bins: Counter[int] = Counter()
        self._count = 0

    def add(self, interval_s: float) -> None:
        """Counts one interval."""
        self._count += 1
        key = round(interval_s / _TICK_S)
        if key in self._bins or len(self._bins) < _MAX_BINS:
            self._bins[key] += 1

    @property
    def median_s(self) -> float:
        """The median interval, 0 where there is none."""
        half, seen = sum(self._bins.values()) / 2, 0
        for key in sorted(self._bins):
            seen += self._bins[key]
            if seen >= half:
                return key * _TICK_S
        return 0.0

    @property
    def variable(self) -> bool:
        """Whether more than a few intervals depart from the median by a tenth of it and over a millisecond."""
        median = self.median_s
        slack = max(0.1 * median, 1.5e-3)
        even = sum(count for key, count in self._bins.items() if abs(key * _TICK_S - median) <= slack)
        return self._count > 1 and even < (1 - _VARIABLE_SHARE) * self._count
