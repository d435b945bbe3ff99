"""Pieces of a video that a model judges one by one, and how their degrees become a curve.

Refinement across similar events and Gaussian smoothing are those of `vau.scoring.postprocess`. Ours: long segments are
cut, what events look like is compared without what they have in common, and the rule by which a piece without a
judgement is filled. It knows no model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from vau.scoring.eventvad_judge import Piece
from vau.scoring.postprocess import Refinement, refine
from vau.types import Bool, Float32, Float64, Int64, Observations, Segments


def cut(segments: Segments, longest_s: float) -> list[Piece]:
    """Returns the segments as pieces; one longer than `longest_s` becomes several of equal length."""
    pieces = []
    for start_s, end_s in zip(segments.edges_s[:-1].tolist(), segments.edges_s[1:].tolist(), strict=True):
        parts = max(1, math.ceil((end_s - start_s) / longest_s - 1e-9))
        edges = np.linspace(start_s, end_s, parts + 1).tolist()
        pieces += [Piece(left, right) for left, right in pairwise(edges)]
    return pieces


def moments(piece: Piece, frames: int) -> list[float]:
    """Returns the times of the pictures: the middles of as many equal parts of the piece."""
    step_s = (piece.end_s - piece.start_s) / frames
    return [piece.start_s + (place + 0.5) * step_s for place in range(frames)]


def rows_of(pieces: Sequence[Piece], times_s: Float64) -> Int64:
    """Returns for each time (N,) the piece that it lies in."""
    starts = np.array([piece.start_s for piece in pieces])
    return np.clip(np.searchsorted(starts, times_s, side="right") - 1, 0, len(pieces) - 1)


def looks(pieces: Sequence[Piece], observations: Observations, *, causal: bool) -> Float32:
    """Returns what each piece looks like (S, D): its mean embedding less that of all pieces, or of all so far.

    At a fixed camera all pieces share the background, so that plain cosines lie near 1 and the one abnormal event
    would be averaged away among the ordinary ones. A piece without a sampled frame looks like the nearest frame.
    """
    rows, sums = rows_of(pieces, observations.times_s), np.zeros((len(pieces), observations.embeddings.shape[1]))
    np.add.at(sums, rows, observations.embeddings)
    counts = np.bincount(rows, minlength=len(pieces))
    for place in np.flatnonzero(counts == 0).tolist() if len(rows) else ():
        middle_s = (pieces[place].start_s + pieces[place].end_s) / 2
        sums[place], counts[place] = observations.embeddings[np.abs(observations.times_s - middle_s).argmin()], 1
    means = sums / np.maximum(counts, 1)[:, None]
    if not causal:
        return np.asarray(means - means.mean(axis=0), np.float32)
    return np.asarray(means - np.cumsum(means, axis=0) / np.arange(1, len(means) + 1)[:, None], np.float32)


def refined(pieces: Sequence[Piece], degrees: Float64, looks: Float32, how: Refinement | None) -> Float64:
    """Returns degrees (S,) refined among the pieces that were judged; NaN marks those that were not, and stays."""
    judged = np.isfinite(degrees)
    result = degrees.copy()
    if how is not None and judged.any():
        starts = np.array([piece.start_s for piece in pieces])
        result[judged] = refine(degrees[judged], looks[judged], starts[judged], how)
    return result


def filled(pieces: Sequence[Piece], degrees: Float64, *, causal: bool) -> tuple[Float64, Bool]:
    """Gives pieces without a judgement the degree of their neighbours.

    Between two judged pieces it is interpolated over time, from middle to middle; before the first and after the last
    it is that of the nearest. Causal: it is that of the last judged piece before, and only where there is none that
    of the first.

    Args:
        pieces: S.
        degrees: (S,) with NaN where there is no judgement; one at least is there.
        causal: look back only.

    Returns:
        The degrees (S,), and which of them were filled (S,).
    """
    missing = ~np.isfinite(degrees)
    known = np.flatnonzero(~missing)
    if causal:
        before = np.maximum(np.searchsorted(known, np.arange(len(degrees)), side="right") - 1, 0)
        return np.where(missing, degrees[known[before]], degrees), missing
    middles = np.array([(piece.start_s + piece.end_s) / 2 for piece in pieces])
    return np.where(missing, np.interp(middles, middles[known], degrees[known]), degrees), missing
