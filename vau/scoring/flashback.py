"""A scorer without training that recalls the sentences nearest to each moment and asks how many are anomalous.

Source: Flashback, known from a review and a third party's code: a memory of captions marked by prefixes that keep the
two sides apart, anomalous vectors shortened by alpha, ten nearest, softmax. The paper's memory is a million sentences
of a language model; ours is the project's own banks, a few hundred, or a user's definitions. Ours too: the softmax
temperature (CLIP's own 0.01; the paper's is unknown), a segment of one second as a centred mean, sensitivity as a
shift of log odds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.special import expit, logit, softmax

from vau.errors import ScoreError
from vau.scoring.definitions import Bank, TextEncoder, check_space, encode, prefixes
from vau.types import Float32, Float64, Observations, Relation, ScoreTrack

NAME = "Flashback-style 1"
_BATCH = 4096  # frames compared with the memory at once


class FlashbackScorer:
    """Scores frames by retrieval from a memory of sentences."""

    def __init__(
        self,
        banks: Sequence[Bank],
        encoder: TextEncoder,
        *,
        sensitivity: float = 0.5,
        alpha: float = 0.95,
        recalled: int = 10,
        temperature: float = 0.01,
        segment_s: float = 1.0,
    ) -> None:
        """Embeds the memory.

        Args:
            banks: `definitions.standard_banks()` or those of a user's `Definitions`.
            encoder: text tower of the model that embeds the frames.
            sensitivity: 0.5 as in the paper; 1 adds 2 to the log odds of every score, 0 takes 2 away.
            alpha: length of anomalous vectors, in (0, 1].
            recalled: K, sentences that vote.
            temperature: of their weights.
            segment_s: span over which frame embeddings are averaged.

        Raises:
            ScoreError: there is no bank, or the encoder returned something malformed.
        """
        if not banks:
            raise ScoreError("the Flashback-style scorer needs at least one bank of sentences, got none")
        anomalous, normal = prefixes()
        # A sentence that several banks share is one memory, or its copies would fill the vote.
        calm = list(dict.fromkeys(normal + text for bank in banks for text in bank.normal))
        alarming = [
            (column, f"{anomalous}{bank.name}. {text}")
            for column, bank in enumerate(banks)
            for text in dict.fromkeys(bank.anomalous)
        ]
        self._memory = np.concatenate([encode(encoder, calm), alpha * encode(encoder, [text for _, text in alarming])])
        self._owner = np.array([-1] * len(calm) + [column for column, _ in alarming])
        self._encoder, self._signals = encoder, tuple(f"text match: {bank.name}" for bank in banks)
        self._recalled, self._temperature, self._segment_s = recalled, temperature, segment_s
        self._shift = 4 * (sensitivity - 0.5)

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
            ScoreTrack with one signal a bank, "text match: <name>": the weight of that bank's sentences in the vote.

        Raises:
            ScoreError: frames and texts do not share one space.
        """
        check_space(observations, self._encoder, self._memory.shape[1])
        frames = self._segments(observations)
        votes = [self._vote(frames[start : start + _BATCH]) for start in range(0, len(frames), _BATCH)]
        found = np.concatenate(votes) if votes else np.zeros((0, len(self._signals)))
        total = found.sum(axis=1)
        with np.errstate(divide="ignore"):
            scores = expit(logit(np.clip(total, 0, 1)) + self._shift)
        contributions = (found * (scores / np.maximum(total, 1e-12))[:, None]).astype(np.float32)
        summed = np.clip(contributions.sum(axis=1), 0, 1)
        return ScoreTrack(observations.times_s, summed, self.name, contributions, self._signals)

    def _segments(self, observations: Observations) -> Float32:
        times, frames = observations.times_s, observations.embeddings
        step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
        size = round(self._segment_s / step) if step > 0 else 1
        if size <= 1:
            return frames
        mean = uniform_filter1d(frames, size, axis=0, mode="nearest")
        unit: Float32 = mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-6)
        return unit

    def _vote(self, frames: Float32) -> Float64:
        """Returns (N, C) the weight that each bank's sentences have among the nearest ones."""
        similar = frames @ self._memory.T
        count = min(self._recalled, similar.shape[1])
        nearest = np.argpartition(-similar, count - 1, axis=1)[:, :count]
        weights = softmax(np.take_along_axis(similar, nearest, axis=1).astype(np.float64) / self._temperature, axis=1)
        owners = self._owner[nearest]
        return np.stack([(weights * (owners == column)).sum(axis=1) for column in range(len(self._signals))], axis=1)
