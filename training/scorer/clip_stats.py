"""Fits the kernel machine for few labelled videos, and chooses its strength by leaving out whole sources.

Videos of one source (cuts from one recording, one camera) are alike: judging a choice on videos whose siblings were
learned from flatters it. What each source's videos would score without that source follows in closed form from one
matrix inversion, so that choice, event level and expected error all come from sources that were left out, and no
videos have to be set aside. In a long abnormal video only some windows are abnormal: those that count are chosen anew a
few times by the machine itself (MI-SVM, Andrews et al., NIPS 2003). The weights of sources and the loss are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vau.errors import InputError
from vau.scoring.kernel import GAIN, KernelModel, kernel, standardise
from vau.types import Bool, Float32, Float64

PENALTIES = (0.1, 0.2, 0.4, 0.8)
_ROUNDS = 4  # of choosing windows
_SHARE = 16  # a video counts by its length / 16 + 1 highest windows, as in top-k MIL


@dataclass(frozen=True, eq=False)
class Fit:
    """A machine and what its training videos would have scored without their own source."""

    model: KernelModel
    penalty: float
    left_out: Float64  # (V,) logits of the videos


def fit(
    windows: Sequence[Float32],
    abnormal: Bool,
    sources: Sequence[str],
    dims: Sequence[int],
    penalties: Sequence[float] = PENALTIES,
) -> Fit:
    """Fits the machine.

    Args:
        windows: features (T, D) of each video's windows, T >= 1, all finite.
        abnormal: (V,) label of each video.
        sources: of each video; videos of one source are left out together.
        dims: columns of each part.
        penalties: strengths of the ridge to choose from.

    Raises:
        InputError: fewer than two videos of a class or two sources, or features that are not finite.
    """
    labels = np.asarray(abnormal, bool)
    if labels.sum() < 2 or (~labels).sum() < 2 or len(set(sources)) < 2:
        raise InputError(
            f"clip-stats needs two videos of each class and two sources, got {int(labels.sum())} abnormal, "
            f"{int((~labels).sum())} normal, {len(set(sources))} sources"
        )
    if not all(np.isfinite(rows).all() for rows in windows):
        raise InputError("features hold NaN or infinity")
    chosen = np.stack([rows.astype(np.float64).mean(0) for rows in windows])
    found = _solve(chosen, labels, sources, dims, penalties)
    for _ in range(_ROUNDS):
        if all(len(rows) == 1 for rows in windows):
            break
        chosen = np.stack([highest(rows, found.model.logits(rows)) for rows in windows])
        found = _solve(chosen, labels, sources, dims, penalties)
    return found


def highest(rows: Float32, logits: Float64) -> Float64:
    """Returns the mean (D,) of the windows (T, D) with the highest logits (T,)."""
    count = len(rows) // _SHARE + 1
    best = np.argsort(-logits, kind="stable")[:count]
    mean: Float64 = rows[best].astype(np.float64).mean(axis=0)
    return mean


def _solve(
    chosen: Float64, abnormal: Bool, sources: Sequence[str], dims: Sequence[int], penalties: Sequence[float]
) -> Fit:
    mean, std = chosen.mean(0), chosen.std(0) + 1e-6
    rows = standardise(chosen, mean, std)
    near = kernel(rows, rows, dims)
    targets, weights = np.where(abnormal, 1.0, -1.0), _weights(abnormal, sources)
    best: tuple[float, Fit] | None = None
    for penalty in penalties:
        duals, bias, left_out = _ridge(near, targets, penalty / weights, sources)
        loss = float((weights * np.logaddexp(0, -GAIN * targets * left_out)).mean())
        if best is None or loss < best[0]:
            model = KernelModel(mean, std, rows.astype(np.float32).astype(np.float64), duals, bias, tuple(dims))
            best = (loss, Fit(model, penalty, GAIN * left_out))
    assert best is not None
    return best[1]


def _weights(abnormal: Bool, sources: Sequence[str]) -> Float64:
    """Both classes weigh the same; a source weighs as the square root of its videos, since they are alike."""
    counts = {source: list(sources).count(source) for source in set(sources)}
    weights = np.array([counts[source] ** -0.5 for source in sources])
    for label in (True, False):
        weights[abnormal == label] /= weights[abnormal == label].sum()
    return np.asarray(weights / weights.mean())


def _ridge(near: Float64, targets: Float64, ridge: Float64, sources: Sequence[str]) -> tuple[Float64, float, Float64]:
    """Returns dual weights, bias, and the outputs (V,) that each source's videos have when it is left out.

    With P the inverse of the bordered system without its border, the residuals of left-out rows G are P[G, G]^-1 a[G].
    """
    inverse = np.linalg.inv(near + np.diag(ridge))
    sums = inverse.sum(axis=1)
    bias = float(sums @ targets / sums.sum())
    reduced = inverse - np.outer(sums, sums) / sums.sum()
    duals = reduced @ targets
    left_out = np.empty(len(targets))
    names = np.array(sources)
    for source in set(sources):
        rows = np.flatnonzero(names == source)
        residual, *_ = np.linalg.lstsq(reduced[np.ix_(rows, rows)], duals[rows], rcond=None)
        left_out[rows] = targets[rows] - residual
    return duals, bias, left_out
