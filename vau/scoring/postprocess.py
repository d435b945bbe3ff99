"""Post-processing of frame scores as pure functions of scores, embeddings and times.

Similarity refinement of LAVAD (CVPR 2024), VERA (CVPR 2025) and VADTree (NeurIPS 2025), which are one formula with
three settings; Gaussian smoothing, centred or causal; the motion gate of NOVA (arXiv 2609.06360). None of them
normalises within the video. VERA's last step, a Gaussian prior at the middle of the video, is left out on purpose: it
fits how test sets were cut, not what happens in a video.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from vau.errors import ScoreError
from vau.scoring.bands import blocks, cosines, lags, norms
from vau.types import Float32, Float64, ScoreTrack

_REACH = 4.0  # standard deviations at which a Gaussian ends


@dataclass(frozen=True)
class Refinement:
    """How scores are replaced by those of moments that look alike.

    ``s'_i = sum_{j in topK(i)} softmax_j(cos(e_i, e_j) / temperature) s_j``; a moment is among its own neighbours.
    """

    temperature: float
    neighbours: int | None = None  # K as a number ...
    share: float | None = None  # ... or as a share in (0, 1] of the moments in the window
    window_s: float = float("inf")  # neighbours are at most so far away
    causal: bool = False  # neighbours are never later

    def __post_init__(self) -> None:
        if not self.temperature > 0 or not self.window_s >= 0:
            raise ValueError(f"temperature and window_s must be positive, got {self!r}")
        count = self.neighbours is not None and self.neighbours >= 1
        share = self.share is not None and 0 < self.share <= 1
        if count == share or (self.neighbours is not None and self.share is not None):
            raise ValueError(f"give either neighbours >= 1 or a share in (0, 1], got {self!r}")


LAVAD = Refinement(temperature=1.0, neighbours=10)
VERA = Refinement(temperature=0.1, share=0.15)
VADTREE = Refinement(temperature=0.1, neighbours=10, window_s=60.0)  # the paper's window is in events; ours in seconds


def refine(values: Float64, embeddings: Float32, times_s: Float64, how: Refinement) -> Float64:
    """Refines scores by similarity.

    Args:
        values: (N,) scores or (N, K) contributions, finite.
        embeddings: (N, D), of any norm.
        times_s: (N,) increasing.
        how: see `Refinement`. Time is O(N W D) for W moments in the window, memory O(W).

    Returns:
        As `values`, each result within the range of those it was made of.

    Raises:
        ScoreError: lengths differ, or a value is NaN or infinite.
    """
    data, result = _checked(values, times_s, embeddings), np.empty(np.shape(values))
    lengths = norms(embeddings)
    future_s = 0.0 if how.causal else how.window_s
    for rows, columns in blocks(times_s, how.window_s, future_s):
        lag = lags(times_s, rows, columns)
        near = (lag >= -how.window_s) & (lag <= future_s)
        alike = np.where(near, cosines(embeddings, lengths, rows, columns), -np.inf)
        within = near.sum(axis=1)
        wanted = np.full(len(alike), how.neighbours) if how.share is None else np.ceil(how.share * within).astype(int)
        most = int(min(np.minimum(wanted, within).max(), alike.shape[1]))
        order = np.argpartition(-alike, most - 1, axis=1)[:, :most]
        chosen = np.take_along_axis(alike, order, axis=1)
        # Rows near the ends may want fewer than the block does.
        ranks = np.argsort(np.argsort(-chosen, axis=1, kind="stable"), axis=1)
        chosen[ranks >= np.maximum(wanted, 1)[:, None]] = -np.inf
        weights = np.exp((chosen - chosen.max(axis=1, keepdims=True)) / how.temperature)
        weights /= weights.sum(axis=1, keepdims=True)
        result[rows] = np.einsum("rk,rk...->r...", weights, data[columns][order])
    return result


def smooth(values: Float64, times_s: Float64, sigma_s: float, *, causal: bool = False) -> Float64:
    """Smooths by a Gaussian in seconds, cut at four standard deviations and renormalised at the ends.

    Args:
        values: (N,) scores or (N, K) contributions, finite.
        times_s: (N,) increasing, need not be regular.
        sigma_s: > 0.
        causal: use the half of the kernel that looks back; a centred kernel sees the future and is no online result.

    Returns:
        As `values`; a constant stays what it is.

    Raises:
        ScoreError: lengths differ, or a value is NaN or infinite.
        ValueError: sigma_s is not positive.
    """
    if not sigma_s > 0:
        raise ValueError(f"sigma_s must be positive, got {sigma_s!r}")
    data, result = _checked(values, times_s), np.empty(np.shape(values))
    past_s = _REACH * sigma_s
    future_s = 0.0 if causal else past_s
    for rows, columns in blocks(times_s, past_s, future_s):
        lag = lags(times_s, rows, columns)
        weights = np.exp(-0.5 * (lag / sigma_s) ** 2) * ((lag >= -past_s) & (lag <= future_s))
        result[rows] = weights / weights.sum(axis=1, keepdims=True) @ data[columns]
    return result


def embedding_motion(embeddings: Float32) -> Float64:
    """Returns ``1 - cos(x_{t-1}, x_{t+1})`` (N,), in [0, 2]; at the ends, the frame itself stands for the missing one.

    NOVA computes it on embeddings of every frame of the video; on sampled frames the values are larger.
    """
    if not len(embeddings):
        return np.zeros(0)
    rows, lengths = np.arange(len(embeddings)), norms(embeddings)
    before, after = np.maximum(rows - 1, 0), np.minimum(rows + 1, len(rows) - 1)
    dots = np.einsum("nd,nd->n", embeddings[before], embeddings[after], dtype=np.float64)
    scales = lengths[before] * lengths[after]
    return np.where(scales > 1e-24, np.clip(1 - dots / np.maximum(scales, 1e-24), 0.0, 2.0), 0.0)


def motion_gate(values: Float64, motion: Float64, *, slope: float = 20.0, least: float = 0.02) -> Float64:
    """Lowers scores where little moves: ``s * sigmoid(slope (m - least))``; even without motion 0.4 of s is left.

    Args:
        values: (N,) scores or (N, K) contributions, finite.
        motion: (N,) as `embedding_motion` gives it.
        slope: steepness, the paper's 20.
        least: motion at which half is left, the paper's 0.02.

    Returns:
        As `values`, nowhere larger in size.

    Raises:
        ScoreError: lengths differ, or a value is NaN or infinite.
    """
    data = _checked(values, motion)
    gate = 0.5 * (1 + np.tanh(slope * (_checked(motion, motion) - least) / 2))
    return data * gate.reshape(-1, *[1] * (data.ndim - 1))


def on_track(track: ScoreTrack, change: Callable[[Float64], Float64], note: str) -> ScoreTrack:
    """Applies a linear change to the contributions of a track, so that each row still sums to its score.

    Args:
        track: N scores of K signals.
        change: maps (N, K) to (N, K) linearly with weights in [0, 1] that sum to at most 1, as all functions here do.
        note: added to the scorer's name.

    Returns:
        The changed track.
    """
    contributions = np.asarray(change(track.contributions.astype(np.float64)), np.float64)
    return replace(
        track,
        scores=np.clip(contributions.sum(axis=1), 0, 1).astype(np.float32),
        contributions=contributions.astype(np.float32),
        scorer=f"{track.scorer}, {note}",
    )


def _checked(values: Float64, *others: np.ndarray) -> Float64:
    data = np.asarray(values, np.float64)
    if data.ndim not in (1, 2) or any(len(other) != len(data) for other in others):
        raise ScoreError(f"scores and what goes with them differ in length: {len(data)}, {[len(o) for o in others]}")
    if not np.isfinite(data).all():
        raise ScoreError("scores to be changed hold NaN or infinity")
    return data
