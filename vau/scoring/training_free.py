"""The training-free scorer: named absolute signals, fused so that several weak ones never make a strong one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vau.config import ScoringConfig
from vau.errors import ScoreError
from vau.scoring import signals
from vau.types import Observations, Relation, ScoreTrack

NAME = "training-free 1"
_POWER = 4.0


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
    powers = levels**_POWER
    total = powers.sum(1)
    scores = np.minimum(total ** (1 / _POWER), 1.0).astype(np.float32)
    shares = powers / np.maximum(total, 1e-12)[:, None]
    return ScoreTrack(
        times_s=observations.times_s,
        scores=scores,
        scorer=NAME,
        contributions=(shares * scores[:, None]).astype(np.float32),
        signals=signals.SIGNALS,
    )
