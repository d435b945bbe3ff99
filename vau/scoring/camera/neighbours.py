"""Distance to the nearest examples of normal: the density that the camera's signals rest on.

A bank of normal vectors and a scale a column; the distance of a new vector is the mean over its k nearest. Low
dimensions are searched by a k-d tree, embeddings by cosine distance in their principal components.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from vau.errors import ScoreError
from vau.types import Float32, Float64

_CHUNK = 4096  # rows compared at once


@dataclass(frozen=True)
class NearestNormal:
    """A bank of normal vectors of one signal."""

    bank: Float32  # (R, D) rows already scaled, or unit rows of principal components
    offset: Float32  # (C,) taken away from a vector's columns
    matrix: Float32  # (C, D) then multiplied with it
    cosine: bool  # whether rows are scaled to unit norm, for embeddings
    k: int = 5
    _tree: Any = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        if self.bank.ndim != 2 or not len(self.bank) or self.bank.shape[1] != self.matrix.shape[1]:
            raise ValueError(f"a bank needs rows that fit its matrix, got {self.bank.shape = }, {self.matrix.shape = }")
        if self.offset.shape != (len(self.matrix),) or self.k < 1:
            raise ValueError(
                f"{self.offset.shape = } does not fit {self.matrix.shape = }, or {self.k = } is not positive"
            )
        if not self.cosine:
            object.__setattr__(self, "_tree", cKDTree(self.bank.astype(np.float64)))

    def prepare(self, vectors: Float32) -> Float32:
        """Brings vectors (M, C) into the bank's space (M, D); raises ScoreError where they do not fit."""
        if vectors.ndim != 2 or vectors.shape[1] != len(self.matrix):
            raise ScoreError(f"this camera's scorer was trained on {len(self.matrix)} columns, got {vectors.shape = }")
        return project(vectors, self.offset, self.matrix, self.cosine)

    def distance(self, vectors: Float32) -> Float64:
        """Returns (M,) mean distance of vectors (M, C) to their k nearest normal ones."""
        if not len(vectors):
            return np.zeros(0)
        prepared = self.prepare(vectors)
        k = min(self.k, len(self.bank))
        if self._tree is not None:
            found: Float64 = self._tree.query(prepared.astype(np.float64), k=k)[0].reshape(len(prepared), k).mean(1)
            return found
        parts = []
        for start in range(0, len(prepared), _CHUNK):
            similar = prepared[start : start + _CHUNK] @ self.bank.T
            nearest = np.partition(similar, similar.shape[1] - k, axis=1)[:, -k:]
            parts.append(1.0 - nearest.mean(1))
        far: Float64 = np.maximum(np.concatenate(parts), 0.0).astype(np.float64)
        return far


def project(vectors: Float32, offset: Float32, matrix: Float32, cosine: bool) -> Float32:
    """Returns (vectors - offset) @ matrix, rows of unit norm for the cosine distance."""
    projected = (vectors - offset) @ matrix
    if cosine:
        projected = projected / np.maximum(np.linalg.norm(projected, axis=1, keepdims=True), 1e-6)
    return projected.astype(np.float32)
