"""Samplers to compare CAES with: uniform, top-k, and ATS of Holmes-VAU as published.

All choose from the same window (event with context) and tag phases the same way, so that a comparison shows the
choice alone. ATS follows the published rule with its flaws (CVPR 2025, arXiv 2412.06171).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vau.config import SamplingConfig
from vau.sampling.mass import systematic
from vau.sampling.windows import event_windows, to_keyframes
from vau.types import Event, Int64, Keyframe, RelationChange, ScoreTrack


def uniform(
    scores: ScoreTrack, events: tuple[Event, ...], config: SamplingConfig, changes: Sequence[RelationChange] = ()
) -> tuple[Keyframe, ...]:
    """Chooses evenly spaced frames of each event with its context; arguments and result as `caes`."""
    del changes
    windows = event_windows(scores, events, config.context_s)
    return to_keyframes(scores, [(w, w.rows[_even(len(w.rows), config.keyframes)].tolist()) for w in windows])


def top_k(
    scores: ScoreTrack, events: tuple[Event, ...], config: SamplingConfig, changes: Sequence[RelationChange] = ()
) -> tuple[Keyframe, ...]:
    """Chooses the frames of highest score, the earlier of equal ones; arguments and result as `caes`."""
    del changes
    windows = event_windows(scores, events, config.context_s)
    best = [np.argsort(-scores.scores[w.rows], kind="stable")[: config.keyframes] for w in windows]
    return to_keyframes(scores, [(w, w.rows[rows].tolist()) for w, rows in zip(windows, best, strict=True)])


def ats(
    scores: ScoreTrack, events: tuple[Event, ...], config: SamplingConfig, changes: Sequence[RelationChange] = ()
) -> tuple[Keyframe, ...]:
    """Chooses by the published ATS rule; arguments as `caes`, but the result may hold fewer keyframes.

    The cumulative sum C of score + tau is inverted at equally spaced values from 1 to the rounded end of C; uniform
    where there are no more frames than keyframes or the scores sum to less than 1. Repeated frames are one keyframe.
    """
    del changes
    windows = event_windows(scores, events, config.context_s)
    chosen = []
    for window in windows:
        values = scores.scores[window.rows].astype(np.float64)
        count = len(values)
        if count <= config.keyframes or values.sum() < 1:
            places = _even(count, config.keyframes)
        else:
            cumulative = np.cumsum(values + config.tau)
            wanted = np.linspace(1, round(float(cumulative[-1])), config.keyframes)
            places = np.floor(np.interp(wanted, cumulative, np.arange(count))).astype(np.int64)
        chosen.append((window, window.rows[places].tolist()))
    return to_keyframes(scores, chosen)


def _even(total: int, count: int) -> Int64:
    return systematic(np.ones(total), count)
