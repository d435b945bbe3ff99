"""Blocks of a banded matrix over time: what computes on pairs of near moments walks through these, never through N x N.

Knows times only.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vau.types import Float64, Int64

_BLOCK = 256  # rows


def blocks(times_s: Float64, past_s: float, future_s: float, *, rows: int = _BLOCK) -> Iterator[tuple[slice, slice]]:
    """Yields blocks of rows with the columns that any of them may reach.

    Args:
        times_s: (N,) increasing.
        past_s: how far back a row reaches; infinity for the whole past.
        future_s: how far ahead.
        rows: in a block, at most.

    Yields:
        Slice of rows and slice of columns. Columns out of a row's own reach are among them; mask them by `lags`.
    """
    for start in range(0, len(times_s), rows):
        stop = min(start + rows, len(times_s))
        left = int(np.searchsorted(times_s, times_s[start] - past_s))
        right = int(np.searchsorted(times_s, times_s[stop - 1] + future_s, side="right"))
        yield slice(start, stop), slice(left, right)


def lags(times_s: Float64, rows: slice, columns: slice) -> Float64:
    """Returns the times of the columns minus those of the rows (R, C), in seconds."""
    return times_s[None, columns] - times_s[rows, None]


def norms(embeddings: np.ndarray) -> Float64:
    """Returns the lengths (N,) of the rows."""
    squares: Float64 = np.einsum("nd,nd->n", embeddings, embeddings, dtype=np.float64)
    return np.sqrt(squares)


def cosines(embeddings: np.ndarray, lengths: Float64, rows: slice | Int64, columns: slice | Int64) -> Float64:
    """Returns cosines (R, C) of some embeddings with others; 0 where one has no length.

    Embeddings are not copied and not converted, so that an hour of them is there once.

    Args:
        embeddings: (N, D), of any norm.
        lengths: (N,) their `norms`.
        rows: R of them.
        columns: C of them.
    """
    dots = embeddings[rows] @ embeddings[columns].T
    scales = lengths[rows][:, None] * lengths[columns][None]
    return np.clip(np.where(scales > 1e-24, dots / np.maximum(scales, 1e-24), 0.0), -1.0, 1.0)
