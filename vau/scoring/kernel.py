"""The scorer for few labelled videos: kernel ridge classification of windows, one kernel a part of the features.

Deep multiple-instance heads overfit on a hundred clips; a regularised kernel machine on window statistics does not. Its
kernel is a mean over parts and widths of Gaussians, hence its logit is a sum over parts and says exactly what each of
them adds. Needs NumPy only. Saunders et al., "Ridge Regression Learning Algorithm in Dual Variables" (ICML 1998),
and Suykens and Vandewalle, "Least Squares Support Vector Machine Classifiers" (1999); the kernel and its widths are
ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vau.errors import CheckpointError
from vau.types import Float32, Float64

KIND = "clip-stats"
WIDTHS = (0.05, 0.1, 0.2, 0.4)  # of the Gaussians, in inverse squared standard deviations a feature
GAIN = 3.0  # from the machine's targets of -1 and 1 to logits
_CLIP = 4.0  # standard deviations; farther values are taken as this far
_CHUNK = 2048  # rows at a time, so that memory stays flat


@dataclass(frozen=True, eq=False)
class KernelModel:
    """A fitted machine. V reference windows, D features, P parts."""

    mean: Float64  # (D,)
    std: Float64  # (D,) positive
    reference: Float64  # (V, D) standardised
    weights: Float64  # (V,)
    bias: float
    dims: tuple[int, ...]  # columns of each part; their sum is D

    def part_logits(self, features: Float32) -> Float64:
        """Returns (N, P) what each part adds to the logits for features (N, D); the bias is shared evenly."""
        count = len(self.dims)
        found = np.empty((len(features), count))
        for at in range(0, len(features), _CHUNK):
            rows = standardise(features[at : at + _CHUNK], self.mean, self.std)
            for part, columns in enumerate(columns_of(self.dims)):
                near = part_kernel(rows[:, columns], self.reference[:, columns])
                found[at : at + _CHUNK, part] = GAIN * (near @ self.weights + self.bias) / count
        return found

    def logits(self, features: Float32) -> Float64:
        """Returns (N,) logits of "abnormal" for features (N, D)."""
        total: Float64 = self.part_logits(features).sum(axis=1)
        return total

    def explain(self, features: Float32) -> tuple[Float64, Float64]:
        """Returns logits (N,) and what each part adds to them (N, P), for features (N, D)."""
        effects = self.part_logits(features)
        return effects.sum(axis=1), effects

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Returns what a checkpoint stores."""
        return {
            "mean": self.mean,
            "std": self.std,
            "reference": self.reference.astype(np.float32),
            "weights": self.weights,
            "bias": np.array([self.bias]),
        }

    @classmethod
    def of(cls, arrays: dict[str, NDArray[Any]], dims: Sequence[int]) -> KernelModel:
        """Builds the machine from a checkpoint's arrays; raises CheckpointError where they do not fit each other."""
        wanted = ("mean", "std", "reference", "weights", "bias")
        missing = [name for name in wanted if name not in arrays]
        if missing:
            raise CheckpointError(f"the checkpoint lacks the arrays {', '.join(missing)}")
        mean, std, reference, weights, bias = (arrays[name].astype(np.float64) for name in wanted)
        total = sum(dims)
        shapes = {"mean": (total,), "std": (total,), "reference": (len(weights), total), "bias": (1,)}
        wrong = [f"{name} {arrays[name].shape}" for name, shape in shapes.items() if arrays[name].shape != shape]
        if wrong or weights.ndim != 1 or not len(weights) or not dims or min(dims) < 1:
            raise CheckpointError(f"arrays do not fit {dims = }: {', '.join(wrong) or weights.shape}")
        if not (std > 0).all():
            raise CheckpointError("array 'std' must be positive")
        return cls(mean, std, reference, weights, float(bias[0]), tuple(dims))


def columns_of(dims: Sequence[int]) -> list[slice]:
    """Returns the columns of each part."""
    ends = np.cumsum(dims)
    return [slice(int(end) - dim, int(end)) for end, dim in zip(ends, dims, strict=True)]


def standardise(features: NDArray[Any], mean: Float64, std: Float64) -> Float64:
    """Returns features (N, D) in standard deviations, at most four."""
    return np.clip((features - mean) / std, -_CLIP, _CLIP)


def part_kernel(left: Float64, right: Float64) -> Float64:
    """Returns the kernel (N, V) of one part's columns: the mean over `WIDTHS` of Gaussians of the mean distance."""
    apart = (left**2).sum(1)[:, None] + (right**2).sum(1) - 2 * left @ right.T
    apart = np.maximum(apart, 0.0) / left.shape[1]
    # Each width is twice the one before, so each Gaussian is the square of the one before.
    wave = np.exp(-WIDTHS[0] * apart)
    total = wave.copy()
    for _ in WIDTHS[1:]:
        wave *= wave
        total += wave
    near: Float64 = total / len(WIDTHS)
    return near


def kernel(left: Float64, right: Float64, dims: Sequence[int]) -> Float64:
    """Returns the whole kernel (N, V), the mean over parts."""
    parts = [part_kernel(left[:, columns], right[:, columns]) for columns in columns_of(dims)]
    near: Float64 = np.mean(parts, axis=0)
    return near
