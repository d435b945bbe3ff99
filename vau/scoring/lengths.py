"""Scores of events of unlike length made comparable: Box-Cox and standard score within each class of lengths.

A sum, a maximum or a path score grows with the length of what it is taken over. After GID (arXiv 1608.02639): per
length, ``Q(s) = (s^lambda - 1) / lambda`` with lambda by maximum likelihood, then the standard score of that length.
Ours: lengths are durations, so they are put into classes of about equal count.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from vau.errors import CheckpointError, InputError
from vau.types import Float64

_LEAST = 8  # scores by which a class of lengths can be known
_RANGE = 5.0  # of lambda either way; beyond it the transform of ordinary scores overflows
_MAX_CLASSES = 1024
_LEAST_SCORE = 1e-12


@dataclass(frozen=True)
class LengthClass:
    """How scores of one class of lengths are distributed."""

    upto_s: float  # the class ends below this length; the last has infinity
    power: float  # lambda
    mean: float  # of the transformed scores
    spread: float  # their standard deviation; 0 where all were equal

    def __post_init__(self) -> None:
        known = np.isfinite([self.power, self.mean, self.spread]).all() and abs(self.power) <= _RANGE
        if not known or self.spread < 0 or not self.upto_s > 0:
            raise ValueError(f"a class of lengths must hold finite numbers, got {self!r}")


@dataclass(frozen=True)
class LengthNormaliser:
    """Classes of lengths in increasing order."""

    classes: tuple[LengthClass, ...]

    def __post_init__(self) -> None:
        edges = [item.upto_s for item in self.classes]
        if not edges or edges[-1] != np.inf or any(a >= b for a, b in pairwise(edges)):
            raise ValueError(f"classes of lengths must increase and end at infinity, got {edges}")

    @classmethod
    def fit(cls, scores: ArrayLike, lengths_s: ArrayLike, *, classes: int = 4) -> LengthNormaliser:
        """Learns the distributions from normal validation data.

        Args:
            scores: (M,) > 0 or 0.
            lengths_s: (M,) > 0.
            classes: how many at most; fewer where they would hold fewer than eight scores, or lengths are equal.

        Raises:
            InputError: fewer than eight scores, shapes that differ, negative or non-finite values.
        """
        values, spans = _checked(scores, lengths_s)
        if len(values) < _LEAST:
            raise InputError(f"scores of at least {_LEAST} events are needed to learn what is usual, got {len(values)}")
        wanted = max(1, min(classes, len(values) // _LEAST))
        inner = np.unique(np.quantile(spans, np.arange(1, wanted) / wanted))
        edges = [edge for edge in inner if (spans < edge).any()]
        while (
            edges and min(np.bincount(np.searchsorted(edges, spans, side="right"), minlength=len(edges) + 1)) < _LEAST
        ):
            counts = np.bincount(np.searchsorted(edges, spans, side="right"), minlength=len(edges) + 1)
            edges.pop(min(int(counts.argmin()), len(edges) - 1))  # equal lengths may leave a class too small
        place = np.searchsorted(edges, spans, side="right")
        ends = [*(float(edge) for edge in edges), float("inf")]
        return cls(tuple(_fit_class(end, values[place == row]) for row, end in enumerate(ends)))

    def apply(self, scores: ArrayLike, lengths_s: ArrayLike) -> Float64:
        """Returns standard scores (M,): 0 is usual for that length, 2 is two standard deviations above.

        Raises:
            InputError: shapes that differ, negative or non-finite values.
        """
        values, spans = _checked(scores, lengths_s)
        place = np.searchsorted([item.upto_s for item in self.classes], spans, side="right")
        result = np.zeros(len(values))
        for row, item in enumerate(self.classes):
            inside = place == row
            # Where all known scores were equal, what lies above them is far out, but no number says how far.
            result[inside] = (box_cox(values[inside], item.power) - item.mean) / max(item.spread, _LEAST_SCORE)
        return np.clip(result, -1e6, 1e6)

    def to_dict(self) -> dict[str, list[dict[str, float | None]]]:
        """Returns plain data; None stands for infinity, which JSON lacks."""
        return {
            "classes": [
                {
                    "upto_s": item.upto_s if np.isfinite(item.upto_s) else None,
                    "power": item.power,
                    "mean": item.mean,
                    "spread": item.spread,
                }
                for item in self.classes
            ]
        }

    @classmethod
    def from_dict(cls, data: Any) -> LengthNormaliser:
        """Builds the value from plain data that may come from a stranger's file.

        Raises:
            CheckpointError: it is not what `to_dict` returns.
        """
        rows = data.get("classes") if isinstance(data, Mapping) else None
        if not isinstance(rows, list) or not 0 < len(rows) <= _MAX_CLASSES:
            raise CheckpointError(f"length classes must be a list of 1 to {_MAX_CLASSES}; train again")
        try:
            return cls(
                tuple(
                    LengthClass(
                        float("inf") if row["upto_s"] is None else float(row["upto_s"]),
                        *(float(row[key]) for key in ("power", "mean", "spread")),
                    )
                    for row in rows
                )
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise CheckpointError(f"length classes are damaged: {str(error)[:120]}; train again") from error


def box_cox(values: ArrayLike, power: float) -> Float64:
    """Returns ``(s^lambda - 1) / lambda``, the logarithm at lambda 0; values below 1e-12 count as 1e-12."""
    logs = np.log(np.maximum(np.asarray(values, np.float64), _LEAST_SCORE))
    return logs if abs(power) < 1e-12 else np.asarray(np.expm1(power * logs) / power, np.float64)


def _fit_class(upto_s: float, values: Float64) -> LengthClass:
    safe = np.maximum(values, _LEAST_SCORE)
    power = 1.0
    if float(np.ptp(safe)) > 0:
        power = float(np.clip(stats.boxcox_normmax(safe, method="mle"), -_RANGE, _RANGE))
    changed = box_cox(safe, power)
    return LengthClass(upto_s, power, float(changed.mean()), float(changed.std()))


def _checked(scores: ArrayLike, lengths_s: ArrayLike) -> tuple[Float64, Float64]:
    values, spans = np.asarray(scores, np.float64), np.asarray(lengths_s, np.float64)
    if values.ndim != 1 or values.shape != spans.shape:
        raise InputError(f"scores and lengths must be equal (M,), got {values.shape = } and {spans.shape = }")
    if not (np.isfinite(values).all() and np.isfinite(spans).all()) or (values < 0).any() or (spans <= 0).any():
        raise InputError("scores must be finite and not negative, and lengths finite and positive")
    return values, spans
