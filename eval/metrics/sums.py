"""Figures that are functions of sums over items, with intervals that resample whole videos.

Recall, mean overlap, accuracy, F1, BLEU and hierarchical precision are all of this kind: every item adds a row of
numbers and the figure is computed from the sums of the rows. Items of one video are alike (UCA has up to 486 queries
in one), so that resampling items would claim too much. Knows no benchmark.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vau.errors import InputError
from vau.eval.metrics.bootstrap import Estimate, Resampling

Float64 = NDArray[np.float64]
Mask = NDArray[np.bool_]
Formula = Callable[[Float64], Float64]  # sums (R, S) of R samples -> figures (R,), NaN where undefined


def ratio(sums: Float64) -> Float64:
    """Returns the first column over the second, NaN where that is 0."""
    quotient: Float64 = np.divide(sums[:, 0], sums[:, 1], out=np.full(len(sums), np.nan), where=sums[:, 1] != 0)
    return quotient


def f1(sums: Float64) -> Float64:
    """Returns F1 of columns of true positives, predicted positives and true ones; NaN where none is true."""
    hits, predicted, true = sums.T
    total = predicted + true
    score: Float64 = np.divide(2 * hits, total, out=np.zeros(len(sums)), where=total != 0)
    return np.where(true > 0, score, np.nan)


class Clusters:
    """Which video each of N items belongs to, and how often each video is drawn in each resample.

    Every figure of a result uses the same draws, so that differences of figures and of runs are paired.
    """

    def __init__(self, videos: Sequence[str], resampling: Resampling) -> None:
        names, self.place = np.unique(np.array(videos, dtype=object).astype(str), return_inverse=True)
        self.count = len(names)
        self.resampling = resampling
        generator = np.random.default_rng(resampling.seed)
        draws = resampling.resamples if self.count > 1 else 0
        drawn = generator.integers(0, self.count, (draws, self.count)) if draws else np.empty((0, self.count), np.int64)
        cells = drawn + np.arange(draws)[:, None] * self.count
        self.weights: Float64 = (
            np.bincount(cells.ravel(), minlength=draws * self.count).reshape(draws, self.count).astype(np.float64)
        )

    def sums(self, parts: Float64) -> Float64:
        """Returns the sums (R, S) of the rows (N, S) in each resample."""
        by_video = np.zeros((self.count, parts.shape[1]))
        np.add.at(by_video, self.place, parts)
        total: Float64 = self.weights @ by_video
        return total

    def interval(self, values: Float64) -> tuple[float, float] | None:
        """Returns the quantiles of resampled figures (R,), undefined ones left out; None where fewer than two are."""
        defined = values[np.isfinite(values)]
        return self.resampling.interval(defined) if len(defined) > 1 else None


class Figure(Protocol):
    """One number of a result, over all items or over some."""

    @property
    def name(self) -> str:
        """As the field writes it."""
        ...

    @property
    def scale(self) -> float:
        """What the value is multiplied with where it is printed: 100 for per cent."""
        ...

    def value(self, chosen: Mask | None = None) -> float | None:
        """Returns the figure over the chosen items, None where it is undefined."""
        ...

    def estimate(self, clusters: Clusters) -> Estimate:
        """Returns the figure with its interval."""
        ...


@dataclass(frozen=True, eq=False)
class Summed:
    """A figure computed from sums over N items."""

    name: str
    parts: Float64  # (N, S)
    formula: Formula = ratio
    scale: float = 100.0

    def value(self, chosen: Mask | None = None) -> float | None:
        """Returns the figure over the chosen items (N,), None where it is undefined."""
        parts = self.parts if chosen is None else self.parts[chosen]
        found = float(self.formula(parts.sum(axis=0, keepdims=True))[0])
        return found if np.isfinite(found) else None

    def estimate(self, clusters: Clusters) -> Estimate:
        """Returns the figure over all items with its interval over videos."""
        own = self.value()
        span = None if own is None else clusters.interval(self.formula(clusters.sums(self.parts)))
        return Estimate(own, *(span or ()))


def mean(name: str, values: Sequence[float] | Float64 | Mask, among: Sequence[bool] | Mask | None = None) -> Summed:
    """Returns the mean of one value an item (N,), over all items or those `among`.

    Raises:
        InputError: a value that counts is no finite number.
    """
    numbers = np.asarray(values, np.float64)
    counted = np.ones(len(numbers)) if among is None else np.asarray(among, np.float64)
    numbers = np.where(counted > 0, numbers, 0.0)
    if not np.isfinite(numbers).all():
        raise InputError(f"{name}: values of items must be finite numbers")
    return Summed(name, np.column_stack([numbers, counted]))


def difference(first: Summed, second: Summed, clusters: Clusters) -> Estimate:
    """Returns first minus second of two runs over the same items, with the interval of paired resamples.

    Raises:
        InputError: they are different figures or over different numbers of items.
    """
    if first.name != second.name or first.parts.shape != second.parts.shape:
        raise InputError(
            f"only runs over the same items can be paired, got {first.name} {first.parts.shape} and {second.name} "
            f"{second.parts.shape}"
        )
    one, other = first.value(), second.value()
    if one is None or other is None:
        return Estimate(None)
    draws = first.formula(clusters.sums(first.parts)) - second.formula(clusters.sums(second.parts))
    return Estimate(one - other, *(clusters.interval(draws) or ()))
