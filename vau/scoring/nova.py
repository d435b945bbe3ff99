"""A scorer without training: does a frame fit sentences of anomalies better than sentences of normal scenes?

Source: NOVA, 2609.06360, section 3: banks a class, a visual anchor of the video's own normal look, a motion gate and a
Gaussian. The paper embeds every frame; here frames come at the sampling rate of perception (4 a second by default), so
its smoothing over 5 frames (0.2 s) falls away and the gate compares neighbours 0.5 s apart: the cheap variant. Its
16-fold sampling and its spans are turned into seconds at 30 frames a second. Ours: the banks, the anchor as a fixed
share of the normal side (the share it has in the paper's banks of 20), sensitivity. How well 0.5 suits a given text
tower is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.special import expit, softmax

from vau.errors import ScoreError
from vau.scoring.definitions import Bank, TextEncoder, check_space, encode, prefixes
from vau.types import Float32, Float64, Observations, Relation, ScoreTrack

NAME = "NOVA-style 1"


@dataclass(frozen=True)
class NovaSettings:
    """The paper's numbers."""

    top_share: float = 0.5  # of a bank's cosines that are averaged, the highest
    damping: float = 0.90  # factor of the anomalous side
    temperature: float = 0.03
    anchor_share: float = 1 / 11  # of the normal side; 0: no anchor
    anchor_s: float = 32 * 16 / 30  # from which the anchor is taken, at the video's start
    anchor_temperature: float = 0.3
    gate: bool = True
    gate_slope: float = 20.0
    gate_middle: float = 0.02  # of 1 - cosine between the frames before and after
    sigma_s: float = 50 / 30


class NovaScorer:
    """Scores frames by sentence banks."""

    def __init__(
        self,
        banks: Sequence[Bank],
        encoder: TextEncoder,
        *,
        sensitivity: float = 0.5,
        settings: NovaSettings | None = None,
    ) -> None:
        """Embeds the banks.

        Args:
            banks: one for each kind of anomaly; `definitions.standard_banks()` or those of a user's `Definitions`.
            encoder: text tower of the model that embeds the frames.
            sensitivity: 0.5 as in the paper; 1 adds 2 to the log odds of every score, 0 takes 2 away.
            settings: the paper's numbers, or others.

        Raises:
            ScoreError: there is no bank, or the encoder returned something malformed.
        """
        if not banks:
            raise ScoreError("the NOVA-style scorer needs at least one bank of sentences, got none")
        anomalous, normal = prefixes()
        self._encoder = encoder
        self._settings = settings or NovaSettings()
        self._shift = 4 * (sensitivity - 0.5)
        self._anomalous = [encode(encoder, [anomalous + text for text in bank.anomalous]) for bank in banks]
        self._normal = [encode(encoder, [normal + text for text in bank.normal]) for bank in banks]
        self._signals = tuple(f"text match: {bank.name}" for bank in banks)

    @property
    def name(self) -> str:
        """Name and version of the method, and the text tower."""
        return f"{NAME} ({self._encoder.name})"

    def score(self, observations: Observations, relations: Sequence[Relation] = ()) -> ScoreTrack:
        """Scores a video.

        Args:
            observations: what perception saw; embeddings of the encoder's own model.
            relations: not read.

        Returns:
            ScoreTrack with one signal a bank, "text match: <name>". A frame's score is its best bank's and counts for
            that bank; smoothing spreads the shares with it.

        Raises:
            ScoreError: frames and texts do not share one space.
        """
        check_space(observations, self._encoder, self._anomalous[0].shape[1])
        frames, times = observations.embeddings, observations.times_s
        if not len(frames):
            empty = np.zeros((0, len(self._signals)), np.float32)
            return ScoreTrack(times, empty.sum(axis=1), self.name, empty, self._signals)
        scores = self._match(frames, times)
        if self._settings.gate:
            scores = scores * self._gate(frames)[:, None]
        best = scores.argmax(axis=1)
        shares = np.zeros_like(scores)
        rows = np.arange(len(scores))
        shares[rows, best] = scores[rows, best]
        shares = self._smooth(shares, times)
        contributions = shares.astype(np.float32)
        total = np.clip(contributions.sum(axis=1), 0, 1).astype(np.float32)
        return ScoreTrack(times, total, self.name, contributions, self._signals)

    def _match(self, frames: Float32, times: Float64) -> Float64:
        """Returns (N, C) scores before gate and smoothing."""
        settings = self._settings
        sides = [
            (_top_mean(frames @ up.T, settings.top_share), _top_mean(frames @ down.T, settings.top_share))
            for up, down in zip(self._anomalous, self._normal, strict=True)
        ]
        abnormal, normal = (np.stack(side, axis=1) for side in zip(*sides, strict=True))
        found = self._odds(abnormal, normal)
        if settings.anchor_share <= 0:
            return found
        early = times - times[0] < settings.anchor_s
        weights = softmax(-found[early].max(axis=1) / settings.anchor_temperature)
        anchor = weights @ frames[early]
        anchor /= max(float(np.linalg.norm(anchor)), 1e-6)
        share = settings.anchor_share
        return self._odds(abnormal, (1 - share) * normal + share * (frames @ anchor)[:, None])

    def _odds(self, abnormal: Float64, normal: Float64) -> Float64:
        settings = self._settings
        found: Float64 = expit((settings.damping * abnormal - normal) / settings.temperature + self._shift)
        return found

    def _gate(self, frames: Float32) -> Float64:
        """Returns (N,) factors that grow with the change between a frame's neighbours."""
        rows = np.arange(len(frames))
        before, after = frames[np.maximum(rows - 1, 0)], frames[np.minimum(rows + 1, len(frames) - 1)]
        change = 1.0 - (before.astype(np.float64) * after).sum(axis=1)
        gate: Float64 = expit(self._settings.gate_slope * (change - self._settings.gate_middle))
        return gate

    def _smooth(self, shares: Float64, times: Float64) -> Float64:
        step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
        if step <= 0 or self._settings.sigma_s <= 0:
            return shares
        smooth: Float64 = gaussian_filter1d(shares, self._settings.sigma_s / step, axis=0, mode="nearest")
        return smooth


def _top_mean(cosines: Float32, share: float) -> Float64:
    """Returns the mean (N,) of the highest `share` of each row of cosines (N, M), of one at least."""
    count = max(1, int(cosines.shape[1] * share))
    top = np.partition(cosines.astype(np.float64), cosines.shape[1] - count, axis=1)[:, -count:]
    mean: Float64 = top.mean(axis=1)
    return mean
