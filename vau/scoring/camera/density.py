"""Normality of one fixed camera as distance to its nearest normal examples, one named signal an attribute.

Each moving region is compared with what this camera saw in normal hours and smoothed along its way; a frame is as
strange as its strangest region. Signals are made comparable by EfficientAD's quantile rule on held-out normal frames
and fused by their maximum, so that the answer is always "unlike this camera: its speed". Nearest neighbours over
velocity, pose and deep features follow Reiss and Hoshen (2022); regions, ways, conditioning on the place, and levels
are ours. It does not know what is dangerous: whatever never happened before is strange to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vau.errors import ScoreError
from vau.perception.camera import Movers
from vau.scoring.camera.features import mover_features, pose_features
from vau.scoring.camera.neighbours import NearestNormal
from vau.scoring.camera.ways import carry_on, predecessors, smooth_along
from vau.scoring.fusion import QuantileScale
from vau.scoring.postprocess import smooth
from vau.types import Float32, Float64, Track

SMOOTH_S = 0.2  # standard deviation of the Gaussian over frame values
WAY_S = 0.4  # time constant of the smoothing along the way of each region
HALF = 0.1  # scaled value worth 0.5: what one in two hundred held-out normal frames reaches
_STEP = 0.03  # scaled values a unit of log-odds
_SHARE = 0.02  # scaled values by which a signal must lead for e times the share in the score


@dataclass(frozen=True)
class Smoothing:
    """How values are smoothed over time; both steps look ahead unless `causal`."""

    way_s: float = WAY_S
    frame_s: float = SMOOTH_S
    causal: bool = False  # for an online result; the centred one is better and the default


@dataclass(frozen=True)
class Density:
    """Banks of normal examples and the scales of their distances, by signal."""

    banks: Mapping[str, NearestNormal]
    scales: Mapping[str, QuantileScale]
    smoothing: Smoothing = Smoothing()

    @property
    def signals(self) -> tuple[str, ...]:
        """Names of the K signals, in the order of all columns."""
        return tuple(self.banks)

    def scaled(self, raw: Float64) -> Float64:
        """Scales distances (N, K) by the quantiles of held-out normal frames."""
        return np.stack([self.scales[name].apply(raw[:, column]) for column, name in enumerate(self.signals)], axis=1)

    def frames(self, movers: Movers, tracks: Sequence[Track] = (), times_s: Float64 | None = None) -> Float64:
        """Returns scaled, smoothed values (N, K) of every frame that was looked at.

        Args:
            movers: what moved, N frames.
            tracks: tracks with poses, for the pose signal.
            times_s: their sampled times.
        """
        return self.scaled(frame_distances(self.banks, movers, self.smoothing, tracks, times_s))

    def regions(self, movers: Movers) -> Float64:
        """Returns scaled values (M, K) of every moving region; what a region lacks, such as a pose, counts as 0 far."""
        return self.scaled(region_distances(self.banks, movers, self.smoothing))


def region_distances(banks: Mapping[str, NearestNormal], movers: Movers, smoothing: Smoothing) -> Float64:
    """Returns (M, K) how far each region is from normal, smoothed along its way.

    A region whose look was not taken has that of the region it continues. Raises ScoreError where vectors do not fit.
    """
    vectors, before = mover_features(movers), predecessors(movers)
    far = np.zeros((len(movers), len(banks)))
    for column, (name, bank) in enumerate(banks.items()):
        if name == "pose":
            continue
        seen = np.asarray(vectors[name].any(axis=1))
        if seen.any():
            far[seen, column] = bank.distance(vectors[name][seen])
            far[:, column] = carry_on(far[:, column], seen, before)
            far[:, column] = smooth_along(far[:, column], movers, before, smoothing.way_s, causal=smoothing.causal)
    if not np.isfinite(far).all():
        raise ScoreError("distances hold NaN or infinity; what moves in this video cannot be scored")
    return far


def frame_distances(
    banks: Mapping[str, NearestNormal],
    movers: Movers,
    smoothing: Smoothing,
    tracks: Sequence[Track] = (),
    times_s: Float64 | None = None,
) -> Float64:
    """Returns (N, K) the largest distance in each frame, smoothed over time; 0 where nothing moves."""
    raw = np.zeros((len(movers.times_s), len(banks)))
    np.maximum.at(raw, movers.frame, region_distances(banks, movers, smoothing))
    if len(raw) > 1 and not smoothing.causal:
        raw[0] = raw[1]  # no flow leads to the first frame: what moves in it is unknown, not nothing
    if "pose" in banks and times_s is not None and len(raw):
        raw[:, list(banks).index("pose")] = _pose_distances(banks["pose"], tracks, times_s, movers.times_s)
    if not len(raw):
        return raw
    return smooth(raw, movers.times_s, smoothing.frame_s, causal=smoothing.causal)


def _pose_distances(bank: NearestNormal, tracks: Sequence[Track], times_s: Float64, frames_s: Float64) -> Float64:
    """Returns (N,) the strangest pose at each frame: that of the last sampled time."""
    poses, rows, _ = pose_features(tracks, times_s)
    sampled = np.zeros(len(times_s) + 1)  # its first element stands for the time before any sample
    np.maximum.at(sampled, rows + 1, bank.distance(poses))
    latest: Float64 = sampled[np.searchsorted(times_s, frames_s + 1e-6)]
    return latest


def fused(values: Float64) -> Float64:
    """Returns (N,) the largest of the scaled values (N, K)."""
    largest: Float64 = values.max(axis=1)
    return largest


def levels(values: Float64) -> tuple[Float32, Float32]:
    """Maps scaled values (N, K) to scores in (0, 1), 0.5 at `HALF`, and contributions (N, K) that sum to them.

    The score is the logistic function of the largest value, so order is kept; signals share it by a sharp softmax.
    """
    score = 1 / (1 + np.exp(np.clip((HALF - fused(values)) / _STEP, -50, 50)))
    lead = np.exp(np.maximum((values - values.max(axis=1, keepdims=True)) / _SHARE, -50))
    shares = lead / lead.sum(axis=1, keepdims=True)
    return score.astype(np.float32), (shares * score[:, None]).astype(np.float32)
