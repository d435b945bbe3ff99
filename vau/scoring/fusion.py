"""Fusing several anomaly measures into one score: absolute levels by a power mean, raw measures by quantiles.

The quantile rule is EfficientAD's (arXiv 2303.14535): each measure is scaled by two quantiles of what it reads on
normal validation data. Nothing here is normalised within the video that is scored, so a quiet video stays quiet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vau.errors import CheckpointError, InputError
from vau.types import Float64

LOW, HIGH = 0.9, 0.995  # quantiles
_AT_HIGH = 0.1  # what a measure is worth at the upper quantile
_MAX_MEASURES = 256
_LEAST_SPAN = 1e-9


def power_mean(levels: Float64, power: float = 4.0) -> tuple[Float64, Float64]:
    """Fuses absolute levels so that several weak ones never make a strong one.

    ``(sum_k l_k^p)^(1/p)``, at most 1: close to the largest level, raised a little where others agree.

    Args:
        levels: (N, K) in [0, 1].
        power: p >= 1.

    Returns:
        Scores (N,) in [0, 1], and contributions (N, K): the shares of that sum, times the score.
    """
    powers = levels**power
    total = powers.sum(axis=1)
    scores = np.minimum(total ** (1 / power), 1.0)
    return scores, powers / np.maximum(total, 1e-300)[:, None] * scores[:, None]


@dataclass(frozen=True)
class QuantileScale:
    """What one measure reads on normal validation data."""

    low: float  # its 0.9 quantile
    high: float  # its 0.995 quantile, above `low`

    def __post_init__(self) -> None:
        if not (np.isfinite([self.low, self.high]).all() and self.low < self.high):
            raise ValueError(f"quantiles must be finite and low < high, got {self.low!r} and {self.high!r}")

    @classmethod
    def fit(cls, values: ArrayLike) -> QuantileScale:
        """Measures the quantiles of validation values of any shape.

        Where both quantiles are equal, as in a measure that hardly ever moves, they are set apart by a billionth of
        their size, so that anything above them counts as far out.

        Raises:
            InputError: there is no value, or one is NaN or infinite.
        """
        flat = np.asarray(values, np.float64).ravel()
        if not flat.size or not np.isfinite(flat).all():
            raise InputError(f"a scale needs finite validation values, got {flat.size} with NaN or infinity, or none")
        low, high = (float(value) for value in np.quantile(flat, [LOW, HIGH]))
        return cls(low, max(high, low + _LEAST_SPAN * max(abs(low), 1.0)))

    def apply(self, values: ArrayLike) -> Float64:
        """Returns ``0.1 (v - low) / (high - low)``: 0 at the lower, 0.1 at the upper quantile, unbounded."""
        return _AT_HIGH * (np.asarray(values, np.float64) - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class QuantileFusion:
    """Scales of several named measures with their weights, as a checkpoint keeps them."""

    scales: tuple[tuple[str, QuantileScale], ...]
    weights: tuple[float, ...]  # one a measure, >= 0, sum 1

    def __post_init__(self) -> None:
        names = [name for name, _ in self.scales]
        if not names or len(set(names)) != len(names) or len(names) != len(self.weights):
            raise ValueError(f"each measure needs one name and one weight, got {names} and {self.weights}")
        if not np.isfinite(self.weights).all() or min(self.weights) < 0 or abs(sum(self.weights) - 1) > 1e-6:
            raise ValueError(f"weights must be non-negative and sum to 1, got {self.weights}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the measures."""
        return tuple(name for name, _ in self.scales)

    @classmethod
    def fit(cls, validation: Mapping[str, ArrayLike], weights: Sequence[float] | None = None) -> QuantileFusion:
        """Measures the scales on normal validation data that no model was fitted to.

        Args:
            validation: values of any shape by name of the measure.
            weights: relative weights in the same order; equal ones where None.

        Raises:
            InputError: a measure has no value, NaN or infinity, or the weights do not fit.
        """
        raw = np.ones(len(validation)) if weights is None else np.asarray(weights, np.float64)
        if raw.shape != (len(validation),) or not raw.size or not (raw >= 0).all() or not 0 < raw.sum() < np.inf:
            raise InputError(f"{len(validation)} measures need as many weights >= 0, not all 0, got {weights!r}")
        scales = tuple((name, QuantileScale.fit(values)) for name, values in validation.items())
        return cls(scales, tuple(float(weight) for weight in raw / raw.sum()))

    def terms(self, values: Mapping[str, ArrayLike]) -> Float64:
        """Returns the weighted, scaled measures (..., K), unbounded; their sum over K is EfficientAD's score.

        Args:
            values: arrays of one shape (...) by name; more measures than the scales name are ignored.

        Raises:
            InputError: a measure is missing, or the shapes differ.
        """
        missing = [name for name in self.names if name not in values]
        if missing:
            raise InputError(f"measures {', '.join(missing)} are missing, got {', '.join(values) or 'none'}")
        arrays = [np.asarray(values[name], np.float64) for name in self.names]
        if len({array.shape for array in arrays}) > 1:
            raise InputError(f"measures must have one shape, got {[array.shape for array in arrays]}")
        scaled = (
            weight * scale.apply(array)
            for array, (_, scale), weight in zip(arrays, self.scales, self.weights, strict=True)
        )
        return np.stack(list(scaled), axis=-1)

    def levels(self, values: Mapping[str, ArrayLike], *, half: float = 2 * _AT_HIGH) -> tuple[Float64, Float64]:
        """Maps the fused measures to absolute scores.

        Ours: ``v^3 / (v^3 + half^3)`` of the sum of the positive terms, so 0 up to the lower quantile and 0.5 twice as
        far above it as the upper one is.

        Args:
            values: arrays of one shape (...) by name.
            half: sum of terms that is worth 0.5, > 0.

        Returns:
            Scores (...) in [0, 1) and contributions (..., K) >= 0 that sum to them.
        """
        terms = np.maximum(self.terms(values), 0.0)
        total = terms.sum(axis=-1)
        ratio = total / half
        scores = np.where(ratio > 1, 1 / (1 + np.maximum(ratio, 1) ** -3.0), ratio**3 / (1 + np.minimum(ratio, 1) ** 3))
        return scores, terms / np.maximum(total, 1e-300)[..., None] * scores[..., None]

    def to_dict(self) -> dict[str, dict[str, float]]:
        """Returns plain data for a checkpoint's card: low, high and weight by name."""
        pairs = zip(self.scales, self.weights, strict=True)
        return {name: {"low": scale.low, "high": scale.high, "weight": weight} for (name, scale), weight in pairs}

    @classmethod
    def from_dict(cls, data: Any) -> QuantileFusion:
        """Builds the value from plain data that may come from a stranger's file.

        Raises:
            CheckpointError: it is not what `to_dict` returns.
        """
        if not isinstance(data, Mapping) or not 0 < len(data) <= _MAX_MEASURES:
            raise CheckpointError(f"quantiles must map 1 to {_MAX_MEASURES} measures to their scales; train again")
        try:
            scales = tuple(
                (str(name), QuantileScale(float(row["low"]), float(row["high"]))) for name, row in data.items()
            )
            return cls(scales, tuple(float(row["weight"]) for row in data.values()))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise CheckpointError(f"quantiles are damaged: {str(error)[:120]}; train again") from error
