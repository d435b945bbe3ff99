"""Running forms of the change signal, for streams: each takes what has come so far and keeps no more than it needs.

A gap is measured once enough frames behind it are known. Knows no boundaries.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from vau.config import EventsConfig
from vau.events.change import LEAST_CHANGE, SMOOTH, Scale, Signal, gap_changes, usual
from vau.types import Float64

_REACH = 2.0  # deviations at which the smoothing kernel ends


class Tail:
    """The last values of a growing sequence, addressed by their places in the whole of it."""

    def __init__(self) -> None:
        """Begins without values."""
        self.start = 0
        self._values: NDArray[Any] = np.zeros(0)
        self._empty = True

    @property
    def stop(self) -> int:
        """How many values there have been."""
        return self.start + len(self._values)

    def append(self, values: NDArray[Any]) -> None:
        """Adds values (K, ...)."""
        self._values = values if self._empty else np.concatenate([self._values, values])
        self._empty = False

    def between(self, start: int, stop: int) -> NDArray[Any]:
        """Returns the values from `start` to before `stop`; they must not be forgotten."""
        return self._values[start - self.start : stop - self.start]

    def forget(self, before: int) -> None:
        """Drops the values before a place."""
        if before > self.start:
            before = min(before, self.stop)
            self._values = self._values[before - self.start :]
            self.start = before


class RunningScale:
    """One scale of the change signal of a stream."""

    def __init__(self, scale: Scale, ahead: int, memory: int, config: EventsConfig) -> None:
        """Prepares.

        Args:
            scale: what is compared.
            ahead: gap g is measured when frame g + ahead is there; at least `needed(scale)`.
            memory: ratios that set the threshold.
            config: `deviations`, `min_ratio`.
        """
        self.scale, self._ahead, self._memory, self._config = scale, ahead, memory, config
        self._radius = _radius(scale)
        # As much of the background ahead of a gap as its delay allows, up to half.
        self._after = min(ahead - scale.half - self._radius, scale.background // 2)
        self._changes, self._smoothed, self._ratios = Tail(), Tail(), Tail()

    @property
    def first_row(self) -> int:
        """The earliest frame that is still needed."""
        return max(self._changes.stop + 1 - self.scale.half, 0)

    def advance(self, rows: Tail, *, end: bool) -> Signal:
        """Measures all gaps that can be, given the frames so far; returns what the new ones are.

        Args:
            rows: (N, C) features; those from `first_row` on must be there.
            end: no frames will follow.
        """
        gaps = max(rows.stop - 1, 0)
        self._compare(rows, gaps if end else min(max(rows.stop - self.scale.half, 0), gaps))
        self._smooth(self._changes.stop if end else max(self._changes.stop - self._radius, 0), end=end)
        start, stop = self._ratios.stop, gaps if end else max(rows.stop - self._ahead, 0)
        if stop <= start:
            return Signal(np.zeros(0), np.zeros(0))
        levels = np.maximum(self._levels(start, stop), 0)
        ratios = (self._smoothed.between(start, stop) + LEAST_CHANGE) / (levels + LEAST_CHANGE)
        self._ratios.append(ratios)
        self._ratios.forget(stop - self._memory)
        self._smoothed.forget(stop - self.scale.background)
        centre, threshold = usual(self._ratios.between(self._ratios.start, stop), self._config)
        return Signal(ratios, (ratios - centre) / threshold)

    def _compare(self, rows: Tail, stop: int) -> None:
        start = self._changes.stop
        if stop > start:
            first, half = self.first_row, self.scale.half
            near = rows.between(first, min(stop + half, rows.stop))
            changes = gap_changes(near, start - first, stop - first, half, angle=not self.scale.motion)
            self._changes.append(changes)

    def _smooth(self, stop: int, *, end: bool) -> None:
        start, reach = self._smoothed.stop, self._radius
        if stop <= start:
            return
        first, last = max(start - reach, 0), min(stop + reach, self._changes.stop)
        near = self._changes.between(first, last)
        if reach:
            near = np.pad(near, (first - (start - reach), stop + reach - last), mode="edge")
            deviations = np.arange(-reach, reach + 1) / (self.scale.half * SMOOTH)
            kernel = np.exp(-0.5 * deviations**2)
            near = np.convolve(near, kernel / kernel.sum(), mode="valid")
        self._smoothed.append(near)
        self._changes.forget(stop - reach)

    def _levels(self, start: int, stop: int) -> Float64:
        """Returns the running median at some gaps, over as many as there are."""
        before, after = self.scale.background - self._after, self._after
        if start >= before and stop + after <= self._smoothed.stop:
            near = self._smoothed.between(start - before, stop + after)
            return np.asarray(np.median(sliding_window_view(near, before + after + 1), axis=1), dtype=np.float64)
        spans = ((max(g - before, 0), min(g + after + 1, self._smoothed.stop)) for g in range(start, stop))
        return np.array([np.median(self._smoothed.between(*span)) for span in spans])


def needed(scale: Scale) -> int:
    """Returns how many frames ahead of a gap its smoothed change depends on."""
    return scale.half + _radius(scale)


def _radius(scale: Scale) -> int:
    return 0 if scale.half == 1 else max(1, round(_REACH * scale.half * SMOOTH))
