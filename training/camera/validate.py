"""Judges a camera's scorer on normal footage alone: how often it would call normal frames events, and what it finds.

There is no abnormal footage of a new camera, so anomalies are made from normal things by changing one of them on its
whole way: faster, or larger. Such a frame should score above untouched ones. They test speed and size alone: they say
nothing of looks, places and poses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import chi2, rankdata

from vau.perception.camera import Movers
from vau.scoring.camera.density import HALF, Density, fused
from vau.scoring.camera.ways import predecessors
from vau.training.camera.density import NormalVideo
from vau.training.camera.videos import length_s
from vau.types import Float64, Int64

CHANGES: tuple[tuple[str, float], ...] = (("speed", 1.5), ("speed", 2.0), ("size", 1.5), ("size", 2.0))
_LONG = 10  # frames that a way lasts at least


@dataclass(frozen=True)
class Alarms:
    """How often normal footage is called an event."""

    frames: int
    above: int  # of them at or above the event level
    alarms: int  # runs of such frames, a second or more apart
    seconds: float  # of video

    @property
    def share(self) -> float:
        """Share of frames at or above the event level."""
        return self.above / max(self.frames, 1)

    def hourly(self) -> tuple[float, float]:
        """Returns alarms an hour and their upper 95 % bound: exact for Poisson counts, 3 in all where none was seen.

        Raises:
            ValueError: there is no time to divide by.
        """
        if self.seconds <= 0:
            raise ValueError("a rate needs footage of more than one moment")
        hours = self.seconds / 3600
        return self.alarms / hours, float(chi2.ppf(0.95, 2 * (self.alarms + 1))) / 2 / hours


@dataclass(frozen=True)
class Check:
    """Figures on normal footage that the scorer did not learn from."""

    alarms: Alarms
    found: dict[str, float]  # ROC area of changed ways against untouched frames, by change, such as "speed x 1.5"


def check_density(density: Density, videos: Sequence[NormalVideo], *, ways: int = 5, seed: int = 0) -> Check:
    """Scores held-out normal videos, as they are and with one thing changed.

    Args:
        density: a fitted camera.
        videos: held-out normal footage.
        ways: changed ways a video and change.
        seed: of their choice.
    """
    generator = np.random.default_rng(seed)
    untouched = [fused(density.frames(video.movers, video.tracks, video.times_s)) for video in videos]
    changed: dict[str, list[Float64]] = {f"{kind} x {factor:g}": [] for kind, factor in CHANGES}
    for video in videos:
        chosen = long_ways(video.movers, ways, generator)
        for kind, factor in CHANGES:
            for way in chosen:
                values = fused(density.frames(change(video.movers, way, kind, factor)))
                changed[f"{kind} x {factor:g}"].append(values[video.movers.frame[way]])
    return Check(
        alarm_figures([(video.movers.times_s, values) for video, values in zip(videos, untouched, strict=True)]),
        {name: _area(untouched, parts) for name, parts in changed.items() if parts},
    )


def alarm_figures(curves: Sequence[tuple[Float64, Float64]]) -> Alarms:
    """Counts the alarms of normal curves.

    Args:
        curves: times (N,) and fused scaled values (N,) of each video.
    """
    frames = sum(len(values) for _, values in curves)
    above = sum(int((values >= HALF).sum()) for _, values in curves)
    alarms = 0
    for times, values in curves:
        moments = times[values >= HALF]
        alarms += int((np.diff(moments) >= 1.0).sum()) + bool(len(moments))
    return Alarms(frames, above, alarms, length_s([times for times, _ in curves]))


def long_ways(movers: Movers, count: int, generator: np.random.Generator) -> list[Int64]:
    """Returns regions of up to `count` random ways that last ten frames or more."""
    before = predecessors(movers)
    lengths = np.zeros(len(movers), np.int64)
    for region in range(len(movers)):
        lengths[region] = lengths[before[region]] + 1 if before[region] >= 0 else 1
    ends = np.flatnonzero(lengths >= _LONG)
    chosen = generator.choice(ends, min(count, len(ends)), replace=False) if len(ends) else ends
    ways = []
    for end in chosen:
        way = [int(end)]
        while before[way[-1]] >= 0:
            way.append(int(before[way[-1]]))
        ways.append(np.array(way[::-1]))
    return ways


def change(movers: Movers, way: Int64, kind: str, factor: float) -> Movers:
    """Returns movers with the regions of one way made faster, or larger with their feet where they were."""
    if kind == "speed":
        motion = movers.motion.copy()
        motion[way, :4] *= factor
        return replace(movers, motion=motion)
    boxes = movers.boxes.copy()
    middle, foot = boxes[way][:, [0, 2]].mean(axis=1), boxes[way, 3]
    half, tall = factor * (boxes[way, 2] - boxes[way, 0]) / 2, factor * (boxes[way, 3] - boxes[way, 1])
    boxes[way] = np.stack([middle - half, foot - tall, middle + half, foot], axis=1)
    return replace(movers, boxes=boxes)


def _area(normal: Sequence[Float64], changed: Sequence[Float64]) -> float:
    """Returns the ROC area, ties at mid-rank."""
    low, high = np.concatenate(normal), np.concatenate(changed)
    ranks = rankdata(np.concatenate([low, high]))[len(low) :]
    return float((ranks.sum() - len(high) * (len(high) + 1) / 2) / (len(low) * len(high)))
