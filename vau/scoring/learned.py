"""A scorer from a checkpoint: features as its card says, its model, and a score of which 0.5 is the level of an event.

A score says that labelled videos of one data set rank this as abnormal, and no more: what a class was called is no
finding about a new video. The share of each part of the features is ours: the softmax of what the parts add.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from vau.errors import CheckpointError, ScoreError
from vau.scoring.card import Card
from vau.scoring.features import VERSION, snippet_features
from vau.types import Float32, Float64, Observations, Relation, ScoreTrack

_FASTER = 1.5  # times the rate of the training's samples that is refused
_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")


class SnippetModel(Protocol):
    """A trained function of snippet features."""

    def explain(self, features: Float32) -> tuple[Float64, Float64]:
        """Returns logits (N,) of "abnormal" for features (N, D), and what each part of them adds (N, P)."""
        ...


class LearnedScorer:
    """Scores with a trained model."""

    def __init__(self, card: Card, model: SnippetModel, *, sensitivity: float = 0.5) -> None:
        """Takes a model and its card.

        Args:
            card: says which features it reads, and where the level of an event is.
            model: the trained function.
            sensitivity: 0.5 takes the level that training chose, 1 adds 2 to the log odds of every score, 0 takes 2.

        Raises:
            CheckpointError: the card names no features, or columns of another version.
        """
        if card.features_version != VERSION or not card.parts or len(card.parts) != len(card.dims):
            raise CheckpointError(
                f"{card.kind}: features {card.parts} of version {card.features_version} cannot be made "
                f"(this vau has version {VERSION}); train it again"
            )
        self._card, self._model = card, model
        self._shift = 4 * (sensitivity - 0.5)

    @property
    def name(self) -> str:
        """Kind and data."""
        return f"{self._card.kind} trained on {data_name(self._card)}"

    @property
    def signals(self) -> tuple[str, ...]:
        """Names of the contributions, one a part of the features."""
        return tuple(f"learned {part} ({data_name(self._card)})" for part in self._card.parts)

    def score(self, observations: Observations, relations: Sequence[Relation] = ()) -> ScoreTrack:
        """Scores every sampled frame; see `vau.scoring.scorer.Scorer`.

        Raises:
            CheckpointError: the frames were embedded by another model or sampled faster than in training.
            ScoreError: a score came out as NaN.
        """
        card = self._card
        self._check(observations)
        features = snippet_features(observations, card.parts, relations=relations, window_s=card.window_s)
        if features.shape[1] != sum(card.dims):
            raise CheckpointError(f"{self.name} reads {sum(card.dims)} features, got {features.shape[1]}")
        logits, effects = self._model.explain(features)
        if not (np.isfinite(logits).all() and np.isfinite(effects).all()):
            raise ScoreError(f"{self.name} returned NaN or infinity; the observations cannot be scored")
        scores = calibrated(logits, card.calibration.threshold, card.calibration.scale, self._shift)
        return ScoreTrack(
            times_s=observations.times_s,
            scores=scores.astype(np.float32),
            scorer=self.name,
            contributions=(_softmax(effects) * scores[:, None]).astype(np.float32),
            signals=self.signals,
        )

    def _check(self, observations: Observations) -> None:
        card, times = self._card, observations.times_s
        if "embedding" in card.parts and card.embedder not in observations.models:
            raise CheckpointError(
                f"{self.name} reads embeddings of {card.embedder!r}, the video was embedded by "
                f"{', '.join(observations.models) or 'an unnamed model'}; features of different models are not "
                "interchangeable: choose that embedder, or train on this one"
            )
        rate = card.perception.get("sample_fps")
        if isinstance(rate, int | float) and len(times) > 1:
            found = 1 / float(np.median(np.diff(times)))
            if found > _FASTER * rate:
                raise CheckpointError(
                    f"{self.name} was trained on {rate:g} samples a second, these are {found:.3g}; "
                    f"set video.sample_fps to {rate:g}"
                )


def data_name(card: Card) -> str:
    """Returns the name of a card's data, fit to be shown: letters, digits and ``._-``, at most 40."""
    return _PLAIN.sub("-", card.data.name).strip("-.")[:40] or "unnamed"


def calibrated(logits: Float64, threshold: float, scale: float, shift: float = 0.0) -> Float64:
    """Maps logits to [0, 1]: 0.5 at the threshold."""
    odds = np.clip((logits - threshold) / scale + shift, -30.0, 30.0)
    scores: Float64 = 1 / (1 + np.exp(-odds))
    return scores


def _softmax(effects: Float64) -> Float64:
    waves = np.exp(effects - effects.max(axis=1, keepdims=True))
    shares: Float64 = waves / waves.sum(axis=1, keepdims=True)
    return shares
