"""Geometry of the time axis: stacked signal areas, boundaries, ticks and event bands.

Knows nothing of HTML or colours. Horizontal places are shares of the video's length in per cent, so that the page can
stretch to any width; heights are in a view box of `HEIGHT` units.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vau.report.text import clock
from vau.types import Event, ScoreTrack, Segments

WIDTH, HEIGHT = 1000.0, 200.0
MAX_POINTS = 1200  # more samples than a screen has columns are reduced to the highest of each bin
MAX_SIGNALS = 8  # the weakest beyond it are shown as one, "other"
STEPS_S = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800)
MAX_BOUNDARIES = 40  # the strongest; more would hide the curve
MIN_BAND = 0.6  # per cent; a shorter event stays visible


@dataclass(frozen=True)
class Tick:
    """A labelled place on the axis; every other one is `minor` and left out on small screens."""

    percent: float
    text: str
    minor: bool


@dataclass(frozen=True)
class Band:
    """An event on the axis; overlapping events lie in different rows."""

    event_id: str
    left: float
    width: float
    row: int


@dataclass(frozen=True)
class Curve:
    """The reduced series: times (M,), scores (M,), shares (M, K) with their names, and SVG paths of stacked areas."""

    times_s: NDArray[np.float64]
    scores: NDArray[np.float64]
    shares: NDArray[np.float64]
    names: tuple[str, ...]
    areas: tuple[str, ...]
    outline: str


def curve(track: ScoreTrack, duration_s: float) -> Curve:
    """Returns the score curve and the stacked areas of its signals, largest total at the bottom.

    Args:
        track: the scores (N,) with contributions (N, K).
        duration_s: the length of the axis in seconds, above 0.
    """
    times, scores = track.times_s.astype(np.float64), track.scores.astype(np.float64)
    shares = track.contributions.astype(np.float64)
    if len(times) > MAX_POINTS:
        starts = np.unique(np.linspace(0, len(times), MAX_POINTS, endpoint=False).astype(int))
        stops = np.append(starts[1:], len(times))
        keep = np.array([a + int(scores[a:b].argmax()) for a, b in zip(starts, stops, strict=True)])
        times, scores, shares = times[keep], scores[keep], shares[keep]
    order = np.argsort(-shares.sum(axis=0), kind="stable") if len(times) else np.arange(shares.shape[1])
    names = [track.signals[index] for index in order]
    shares = shares[:, order]
    if len(names) > MAX_SIGNALS:
        rest = shares[:, MAX_SIGNALS - 1 :].sum(axis=1, keepdims=True)
        shares, names = np.hstack([shares[:, : MAX_SIGNALS - 1], rest]), [*names[: MAX_SIGNALS - 1], "other signals"]
    x = np.clip(times / duration_s, 0, 1) * WIDTH
    stacked = np.hstack([np.zeros((len(times), 1)), np.minimum(shares.cumsum(axis=1), 1.0)])
    areas = tuple(_area(x, stacked[:, row], stacked[:, row + 1]) for row in range(len(names)))
    return Curve(times, scores, shares, tuple(names), areas, _line(x, scores))


def _line(x: NDArray[np.float64], values: NDArray[np.float64]) -> str:
    points = [f"{a:.1f} {HEIGHT * (1 - b):.1f}" for a, b in zip(x, values, strict=True)]
    return "M" + "L".join(points) if points else ""


def _area(x: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]) -> str:
    if not len(x):
        return ""
    return _line(x, high) + "L" + _line(x[::-1], low[::-1])[1:] + "Z"


def percent(time_s: float, duration_s: float) -> float:
    """Returns a time's place on the axis, in per cent within [0, 100]."""
    return round(min(max(100 * time_s / duration_s, 0.0), 100.0), 3)


def ticks(duration_s: float, wanted: int = 11) -> tuple[Tick, ...]:
    """Returns labelled places at round times, at most about `wanted`."""
    step = next(
        (step for step in STEPS_S if duration_s / step <= wanted), 3600.0 * math.ceil(duration_s / 3600 / wanted)
    )
    count = int(duration_s / step + 1e-9)
    return tuple(Tick(percent(n * step, duration_s), _tick_text(n * step), n % 2 == 1) for n in range(count + 1))


def _tick_text(time_s: float) -> str:
    text = clock(time_s)
    return text if time_s % 1 else text.replace(".0", "")


def boundaries(segments: Segments, duration_s: float) -> tuple[tuple[float, float], ...]:
    """Returns the strongest inner event boundaries in time order.

    Each is (place in per cent, strength relative to the strongest in [0, 1]).
    """
    strengths = segments.strengths[1:-1]
    top = float(strengths.max()) if len(strengths) else 0.0
    strongest = np.sort(np.argsort(-strengths, kind="stable")[:MAX_BOUNDARIES])
    return tuple(
        (
            percent(float(segments.edges_s[1 + row]), duration_s),
            max(float(strengths[row]), 0.0) / top if top > 0 else 0.0,
        )
        for row in strongest
    )


def bands(events: Sequence[Event], duration_s: float) -> tuple[Band, ...]:
    """Returns where events lie on the axis, in as few rows as keep them apart."""
    free: list[float] = []
    result = []
    for event in sorted(events, key=lambda item: (item.start_s, item.end_s)):
        left = percent(event.start_s, duration_s)
        width = max(percent(event.end_s, duration_s) - left, MIN_BAND)
        left = min(left, 100 - width)
        row = next((index for index, end in enumerate(free) if end <= left), len(free))
        free[row:] = [left + width, *free[row + 1 :]]
        result.append(Band(event.event_id, left, round(width, 3), row))
    return tuple(result)
