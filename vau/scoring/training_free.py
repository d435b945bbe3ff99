"""The training-free scorer: named absolute signals, fused so that several weak ones never make a strong one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vau.config import ScoringConfig
from vau.errors import ScoreError
from vau.scoring import signals
from vau.scoring.envelope import with_envelope
from vau.scoring.fusion import power_mean
from vau.types import Observations, Relation, ScoreTrack

NAME = "training-free 2"


def score(
    observations: Observations, relations: Sequence[Relation] = (), config: ScoringConfig | None = None
) -> ScoreTrack:
    """Scores every sampled frame of a video.

    The signals are fused by a power mean without normalisation, (sum s^4)^(1/4) clipped at 1: close to the largest
    signal, raised a little where others agree. A signal's contribution is its share of that sum times the score.

    Args:
        observations: what perception saw.
        relations: relations of its tracks; without them the relation signal is 0.
        config: `sensitivity` 0.5 leaves the scales as documented, 1 halves and 0 doubles them.

    Returns:
        ScoreTrack on the sampled times; 0.5 is the level from which an event is reported.

    Raises:
        ScoreError: a signal came out as NaN or infinity.
    """
    gain = 2.0 ** (2 * (config or ScoringConfig()).sensitivity - 1)
    levels = np.stack(
        [
            signals.violent_motion(observations, gain),
            signals.motion_surprise(observations, gain),
            signals.appearance_novelty(observations, gain),
            signals.kinematic_surprise(observations, gain),
            signals.relation_surprise(observations, relations, gain),
            signals.light_change(observations, gain),
        ],
        axis=1,
    )
    if not np.isfinite(levels).all():
        broken = [name for name, column in zip(signals.SIGNALS, levels.T, strict=True) if not np.isfinite(column).all()]
        raise ScoreError(f"signals {', '.join(broken)} hold NaN or infinity; the observations cannot be scored")
    scores, contributions = power_mean(levels)
    return ScoreTrack(
        times_s=observations.times_s,
        scores=scores.astype(np.float32),
        scorer=NAME,
        contributions=contributions.astype(np.float32),
        signals=signals.SIGNALS,
    )


class SignalScorer:
    """The training-free scorer as a `vau.scoring.scorer.Scorer`."""

    def __init__(self, sensitivity: float = 0.5) -> None:
        """Takes how readily it reports, in [0, 1]; 0.5 leaves the scales as documented."""
        self._config = ScoringConfig(sensitivity=sensitivity)

    @property
    def name(self) -> str:
        """Name and version."""
        return NAME

    def score(self, observations: Observations, relations: Sequence[Relation] = ()) -> ScoreTrack:
        """Scores a video by the function `score`, under an envelope that lets moments of an event hold together."""
        return with_envelope(score(observations, relations, self._config))
