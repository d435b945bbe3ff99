"""mAP at temporal intersection over union, for class-labelled intervals, and one published way to cut them from scores.

Per class and threshold, predictions are taken by falling score; each takes the true interval of its video with which it
overlaps most among those left. AP is step-wise, as in VadCLIP's code; the temporal-localisation literature also uses
interpolated precision, which is never lower and is a named option.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vau.errors import InputError

Float64 = NDArray[np.float64]

TIOUS = (0.1, 0.2, 0.3, 0.4, 0.5)


@dataclass(frozen=True)
class Interval:
    """A stretch of one video that shows one class, with a score where it is predicted.

    Raises:
        InputError: an end not after its start, or values that are not finite.
    """

    video: str
    label: str
    start_s: float
    end_s: float
    score: float = 1.0

    def __post_init__(self) -> None:
        if not np.isfinite([self.start_s, self.end_s, self.score]).all() or self.end_s <= self.start_s:
            raise InputError(f"{self.video}: an interval needs finite start < end and score, got {self}")

    def overlap(self, other: Interval) -> float:
        """Returns the intersection over union in time, in [0, 1]."""
        shared = max(0.0, min(self.end_s, other.end_s) - max(self.start_s, other.start_s))
        return shared / (self.end_s - self.start_s + other.end_s - other.start_s - shared)


@dataclass(frozen=True)
class LocalisationFigures:
    """Average precision by class and threshold, in [0, 1]."""

    tious: tuple[float, ...]
    by_class: dict[str, tuple[float, ...]]  # AP at each threshold
    maps: tuple[float, ...]  # mean over classes at each threshold
    mean: float  # of `maps`
    predictions: int
    truths: int


def localisation_figures(
    predictions: Sequence[Interval],
    truths: Sequence[Interval],
    *,
    tious: Sequence[float] = TIOUS,
    classes: Sequence[str] | None = None,
    interpolated: bool = False,
) -> LocalisationFigures:
    """Computes mAP at each threshold of temporal intersection over union.

    Args:
        predictions: with scores; equal ones are ordered by video and start, so that their order in a file is no matter.
        truths: their scores are not used.
        tious: thresholds in (0, 1].
        classes: classes to average over; those of `truths` where None. A class without truth counts 0, as the class
            "Normal" does in VadCLIP's mean of 14.
        interpolated: whether a threshold's precision is the best at its recall or a higher one.

    Raises:
        InputError: no truth, no or wrong thresholds, or no classes.
    """
    names = sorted({truth.label for truth in truths}) if classes is None else list(dict.fromkeys(classes))
    if not truths or not names or not tious or not all(0 < tiou <= 1 for tiou in tious):
        raise InputError(
            f"mAP needs true intervals, classes and thresholds in (0, 1], got {len(truths)}, {names}, {tious}"
        )
    ordered = sorted(predictions, key=lambda interval: (-interval.score, interval.video, interval.start_s))
    by_class = {}
    for name in names:
        mine = [prediction for prediction in ordered if prediction.label == name]
        true = [truth for truth in truths if truth.label == name]
        by_class[name] = tuple(_average_precision(_hits(mine, true, tiou), len(true), interpolated) for tiou in tious)
    maps = tuple(float(np.mean(column)) for column in zip(*by_class.values(), strict=True))
    return LocalisationFigures(tuple(tious), by_class, maps, float(np.mean(maps)), len(predictions), len(truths))


def vadclip_intervals(
    video: str,
    scores: Float64,
    classes: Sequence[str],
    *,
    step_s: float,
    depths: Sequence[float] = (0.6,),
    shortest: int = 2,
    nms: float = 0.6,
) -> list[Interval]:
    """Cuts intervals from scores of classes as VadCLIP's evaluation does (Wu et al., AAAI 2024).

    A class is on where its score exceeds max - depth * (max - min) over the video. A run scores its maximum plus 0.7
    times the mean of the class's highest sixteenth. Runs of several depths are thinned by non-maximum suppression.

    Args:
        video: name.
        scores: (N, C), not negative.
        classes: C names.
        step_s: seconds from one row to the next.
        depths: of the threshold below the maximum, in (0, 1).
        shortest: rows of the shortest run that counts.
        nms: overlap above which the lower of two runs is dropped.

    Raises:
        InputError: scores are not (N, C), are NaN, or the step is not positive.
    """
    if scores.ndim != 2 or scores.shape[1] != len(classes) or len(scores) == 0 or not np.isfinite(scores).all():
        raise InputError(f"{video}: scores must be finite (N, {len(classes)}), got {scores.shape = }")
    if not step_s > 0:
        raise InputError(f"{video}: the step must be positive seconds, got {step_s}")
    found: list[Interval] = []
    for name, curve in zip(classes, scores.T, strict=True):
        level = float(np.sort(curve)[::-1][: max(1, len(curve) // 16)].mean())
        if level <= 0:
            continue
        runs = [run for depth in depths for run in _runs(curve > curve.max() - depth * np.ptp(curve), shortest)]
        scored = [
            Interval(video, name, first * step_s, last * step_s, float(curve[first:last].max()) + 0.7 * level)
            for first, last in runs
        ]
        found += _suppressed(scored, nms)
    return found


def _hits(predictions: Sequence[Interval], truths: Sequence[Interval], tiou: float) -> list[bool]:
    """Says for each prediction, by falling score, whether it takes a true interval; each is taken once."""
    left = defaultdict(list)
    for truth in truths:
        left[truth.video].append(truth)
    hits = []
    for prediction in predictions:
        mine = left[prediction.video]
        best = max(mine, key=prediction.overlap, default=None)
        hit = best is not None and prediction.overlap(best) >= tiou
        if hit and best is not None:
            mine.remove(best)
        hits.append(hit)
    return hits


def _average_precision(hits: Sequence[bool], truths: int, interpolated: bool) -> float:
    if not any(hits):
        return 0.0
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    if interpolated:
        precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(precision[np.array(hits)].sum() / truths)


def _runs(on: NDArray[np.bool_], shortest: int) -> list[tuple[int, int]]:
    """Returns first and past-the-last row of the runs of at least `shortest` rows."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], on, [False]]).astype(np.int8)))
    return [(int(first), int(last)) for first, last in edges.reshape(-1, 2) if last - first >= shortest]


def _suppressed(intervals: Sequence[Interval], most: float) -> list[Interval]:
    """Keeps intervals by falling score that overlap none already kept by more than `most`."""
    kept: list[Interval] = []
    for interval in sorted(intervals, key=lambda one: -one.score):
        if all(interval.overlap(other) <= most for other in kept):
            kept.append(interval)
    return kept
