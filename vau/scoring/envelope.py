"""The envelope of a score: a moment after something abnormal is less usual than its own signals say.

Scores made of momentary signals are spiky: between two blows of a fight they fall to nothing. Here every score fades
with a half-life instead, and what it leaves behind stays below the level at which events are held, so that the peak
of a video, its maximum, its events and whether it is quiet are what they were: only the order of the moments that no
event covers changes. That holds at the default thresholds of events; lower ones let events end a little later. Causal.
Ours; it knows nothing of what the signals mean.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vau.types import ScoreTrack

HALF_LIFE_S = 2.0  # what counts as one moment where novelty is measured, see `vau.scoring.novelty`
CEILING = 0.24  # events begin at 0.5 and last down to half of that


def with_envelope(track: ScoreTrack, *, half_life_s: float = HALF_LIFE_S, ceiling: float = CEILING) -> ScoreTrack:
    """Lets every score fade instead of end.

    ``e_i = max_{j <= i} s_j 2^(-(t_i - t_j) / half_life)`` and ``s'_i = max(s_i, min(e_i, ceiling))``. What is added
    to a moment is shared among the signals as they shared the earlier score that it comes from.

    Args:
        track: N scores.
        half_life_s: > 0.
        ceiling: in [0, 1]; scores at or above it are never changed, and none is raised above it.

    Returns:
        ScoreTrack on the same times, nowhere lower; each row of contributions sums to its score.

    Raises:
        ValueError: the half-life or the ceiling is out of its range.
    """
    if not half_life_s > 0 or not 0 <= ceiling <= 1:
        raise ValueError(f"half_life_s must be positive and ceiling in [0, 1], got {half_life_s!r} and {ceiling!r}")
    scores = track.scores.astype(np.float64)
    if not len(scores):
        return track
    # In logarithms the fading maximum is a running maximum, and nothing overflows on a long video.
    halvings = track.times_s / half_life_s
    with np.errstate(divide="ignore"):
        heights = np.log2(scores) + halvings
    tops = np.maximum.accumulate(heights)
    sources = np.maximum.accumulate(np.where(heights == tops, np.arange(len(scores)), 0))
    faded = scores[sources] * np.exp2(halvings[sources] - halvings)
    added = np.maximum(np.minimum(faded, ceiling) - scores, 0.0)
    shares = track.contributions[sources] / np.maximum(scores[sources], 1e-12)[:, None]
    contributions = track.contributions + (added[:, None] * shares).astype(np.float32)
    return replace(track, scores=(scores + added).astype(np.float32), contributions=contributions)


def with_floor(track: ScoreTrack, weak: ScoreTrack, *, ceiling: float = CEILING) -> ScoreTrack:
    """Lets a scorer that cannot tell of harm, such as `vau.scoring.themis`, order the moments that no event covers.

    ``s'_i = max(s_i, ceiling w_i)``; what is added is shared among the weak track's signals.

    Args:
        track: N scores.
        weak: N scores on the same times, with signals of other names.
        ceiling: in [0, 1]; what a weak score of 1 is worth.

    Returns:
        ScoreTrack on the same times with the signals of both; each row of contributions sums to its score.

    Raises:
        ValueError: times differ, a signal is in both, or the ceiling is out of its range.
    """
    if not np.array_equal(track.times_s, weak.times_s) or set(track.signals) & set(weak.signals):
        raise ValueError("both tracks must have the same times and signals of their own")
    if not 0 <= ceiling <= 1:
        raise ValueError(f"ceiling must lie in [0, 1], got {ceiling!r}")
    scores, floor = track.scores.astype(np.float64), weak.scores.astype(np.float64)
    added = np.maximum(ceiling * floor - scores, 0.0)
    shares = weak.contributions / np.maximum(floor, 1e-12)[:, None]
    return replace(
        track,
        scores=(scores + added).astype(np.float32),
        contributions=np.concatenate([track.contributions, added[:, None] * shares], axis=1, dtype=np.float32),
        signals=(*track.signals, *weak.signals),
    )
