"""Figures on held-out videos, their intervals, and the level from which a score means an event.

A video is judged by its highest logit, as a user meets it: one event or none. Intervals resample whole sources. The
level and its rule are ours: the threshold of the best balanced accuracy, smoothed over neighbouring thresholds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.stats import rankdata

from vau.errors import InputError
from vau.scoring.card import Calibration, Metric
from vau.types import Bool, Float64

_RESAMPLES = 1000
_SMOOTH = 7  # neighbouring thresholds; a single lucky one must not win
_STEEPEST, _FLATTEST = 0.05, 3.0  # scale of the score in standard deviations of the logits


def auc(scores: Float64, abnormal: Bool) -> float:
    """Returns the ROC area of scores (V,) for labels (V,), ties at mid-rank.

    Raises:
        InputError: there is one class only.
    """
    labels = np.asarray(abnormal, bool)
    count = int(labels.sum())
    if not 0 < count < len(labels):
        raise InputError(f"an ROC area needs both classes, got {count} abnormal of {len(labels)}")
    ranks = rankdata(scores)[labels].sum()
    return float((ranks - count * (count + 1) / 2) / (count * (len(labels) - count)))


def auc_metric(scores: Float64, abnormal: Bool, sources: Sequence[str], data: str) -> Metric:
    """Returns the ROC area over videos with its 95 % interval; `data` says what it was measured on."""
    low, high = _interval(lambda rows: auc(scores[rows], abnormal[rows]), abnormal, sources)
    return Metric(
        name="AUC over videos",
        value=auc(scores, abnormal),
        low=low,
        high=high,
        data=data,
        count=len(abnormal),
        sources=len(set(sources)),
    )


def accuracy_metric(found: Bool, abnormal: Bool, sources: Sequence[str], data: str) -> Metric:
    """Returns the share of videos told right with its 95 % interval."""
    right = found == abnormal
    low, high = _interval(lambda rows: float(right[rows].mean()), abnormal, sources)
    return Metric(
        name="accuracy",
        value=float(right.mean()),
        low=low,
        high=high,
        data=data,
        count=len(abnormal),
        sources=len(set(sources)),
    )


def calibrate(logits: Float64, abnormal: Bool, rule: str) -> Calibration:
    """Chooses the threshold and the scale of a score by the highest logits (V,) of videos that were not learned from.

    The threshold has the best balanced accuracy, averaged over seven neighbouring ones; the scale makes the score of
    these videos as likely as it can be, between a steep and a flat limit.
    """
    labels = np.asarray(abnormal, bool)
    ordered = np.sort(logits)
    edges = np.concatenate([[ordered[0] - 1], (ordered[1:] + ordered[:-1]) / 2, [ordered[-1] + 1]])
    hits = np.array([(logits[labels] > edge).mean() + (logits[~labels] <= edge).mean() for edge in edges]) / 2
    padded = np.pad(hits, _SMOOTH // 2, mode="edge")
    threshold = float(edges[int(np.argmax(np.convolve(padded, np.full(_SMOOTH, 1 / _SMOOTH), "valid")))])
    targets = np.where(labels, 1.0, -1.0)
    weights = np.where(labels, 0.5 / labels.mean(), 0.5 / (1 - labels.mean()))
    spread = float(logits.std()) or 1.0

    def loss(scale: float) -> float:
        return float((weights * np.logaddexp(0, -targets * (logits - threshold) / scale)).mean())

    best = minimize_scalar(loss, bounds=(_STEEPEST * spread, _FLATTEST * spread), method="bounded")
    return Calibration(threshold=threshold, scale=float(best.x), rule=rule)


def _interval(
    figure: Callable[[np.ndarray], float], abnormal: Bool, sources: Sequence[str]
) -> tuple[float | None, float | None]:
    """Returns the 95 % bootstrap interval of a figure of rows, whole sources resampled; none for a single source."""
    names, members = np.unique(np.asarray(sources), return_inverse=True)
    if len(names) < 2:
        return None, None
    groups = [np.flatnonzero(members == index) for index in range(len(names))]
    generator = np.random.default_rng(0)
    figures: list[float] = []
    for _ in range(20 * _RESAMPLES):
        rows = np.concatenate([groups[index] for index in generator.integers(0, len(groups), len(groups))])
        if 0 < int(abnormal[rows].sum()) < len(rows):
            figures.append(figure(rows))
        if len(figures) == _RESAMPLES:
            break
    if not figures:
        return None, None
    low, high = np.quantile(figures, [0.025, 0.975])
    return float(low), float(high)
