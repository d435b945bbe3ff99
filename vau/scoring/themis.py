"""THEMIS: how unlike its surroundings in time a moment's embedding is, by windowed self-similarity.

After THEMIS (arXiv 2510.03911): the absolute cosines of embeddings within a window of time, read by interchangeable
scorers: spectral residual, local outlier factor, trimmed top-k similarity, mean similarity. The paper embeds windows
of a measured series by a language model of time series; here the frame embeddings of a video are the series. Window
and levels are not published and are ours: levels are absolute, set on normal clips, never relative to the video. The
paper's inversion for anomalies that fill most of a clip is left out: a matrix of similarities does not say which part
is the anomaly. It does not know what is in the picture: whoever enters an empty room is new.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.linalg import eigh

from vau.errors import ScoreError
from vau.scoring.bands import blocks, cosines, lags, norms
from vau.scoring.fusion import power_mean
from vau.types import Float32, Float64, Int64, Observations, Relation, ScoreTrack

WINDOW_S = 60.0  # to each side
MOMENT_S = 2.0  # what is nearer in time is the same moment, not a comparison
_MOST_COLUMNS = 256
_FEWEST = 10  # comparable samples below which nothing is known

# Signals with the value that is worth 0.5: two and a half times the largest one in 16 normal clips of a walkway
# (training part of UCSD Ped2, embedded default).
HALVES = {
    "spectral residual": 0.055,  # root mean square of similarity that the components do not explain
    "local outlier factor": 1.0,  # above the usual 1
    "rare similarity": 0.32,  # one minus the mean of the largest tenth of similarities
    "mean dissimilarity": 0.425,
}
# The two that order frames clearly better than chance on the test part of UCSD Ped2 (AUC 0.62 and 0.64; 0.44 and 0.55).
CHOSEN = ("spectral residual", "rare similarity")


class Themis:
    """Scores each sampled frame by how little it resembles the rest of its window."""

    def __init__(
        self, signals: Sequence[str] = CHOSEN, *, window_s: float = WINDOW_S, sensitivity: float = 0.5
    ) -> None:
        """Chooses the scorers to use.

        Args:
            signals: keys of `HALVES`.
            window_s: how far to each side a moment is compared.
            sensitivity: 0.5 leaves the levels as documented, 1 halves and 0 doubles them.

        Raises:
            ValueError: a signal is not known, none is named, or the window is not positive.
        """
        unknown = [name for name in signals if name not in HALVES]
        if unknown or not signals or not window_s > 0:
            raise ValueError(f"signals must be of {', '.join(HALVES)} and window_s > 0, got {signals!r}, {window_s!r}")
        self._signals = tuple(signals)
        self._window_s = window_s
        self._gain = 2.0 ** (2 * sensitivity - 1)

    @property
    def name(self) -> str:
        """Name and version."""
        return "themis 1"

    def score(self, observations: Observations, relations: Sequence[Relation] = ()) -> ScoreTrack:
        """Scores a video by its embeddings; `relations` are not used. See `Scorer.score`."""
        return self.score_embeddings(observations.embeddings, observations.times_s)

    def score_embeddings(self, embeddings: Float32, times_s: Float64) -> ScoreTrack:
        """Scores a series of embeddings (N, D) at increasing times (N,).

        Raises:
            ScoreError: the embeddings hold NaN or infinity, or there are not as many as times.
        """
        if len(embeddings) != len(times_s) or not np.isfinite(embeddings).all():
            raise ScoreError(f"{len(embeddings)} embeddings at {len(times_s)} times cannot be scored, or they hold NaN")
        raw = measures(embeddings, times_s, self._signals, window_s=self._window_s)
        halves = np.array([HALVES[name] for name in self._signals])
        cubed = (self._gain * raw / halves) ** 3
        scores, contributions = power_mean(cubed / (1 + cubed))
        return ScoreTrack(
            times_s=times_s,
            scores=scores.astype(np.float32),
            scorer=self.name,
            contributions=contributions.astype(np.float32),
            signals=self._signals,
        )


def measures(
    embeddings: Float32, times_s: Float64, names: Sequence[str] = tuple(HALVES), *, window_s: float = WINDOW_S
) -> Float64:
    """Returns the raw values (N, K) of the named scorers in plain units, before any level.

    The local outlier factor is given as its excess over 1, the usual, so that every value is 0 where nothing is odd.
    """
    functions: dict[str, Callable[[], Float64]] = {
        "spectral residual": lambda: spectral_residual(embeddings, times_s, window_s=window_s),
        "local outlier factor": lambda: np.maximum(outlier_factor(embeddings, times_s, window_s=window_s) - 1, 0),
        "rare similarity": lambda: dissimilarity(embeddings, times_s, window_s=window_s, top_share=0.1),
        "mean dissimilarity": lambda: dissimilarity(embeddings, times_s, window_s=window_s),
    }
    return np.stack([functions[name]() for name in names], axis=1)


def spectral_residual(
    embeddings: Float32, times_s: Float64, *, window_s: float = WINDOW_S, components: int = 5
) -> Float64:
    """Measures how far the main patterns of a window fail to explain a moment's similarities.

    Of the matrix of similarities within the window the eigenvectors of the largest eigenvalues are kept; the residual
    of row i is ``|row_i - V V^T row_i|`` over the root of its length, so in units of cosine. Windows are moved on in
    steps of their half width, and hold at most 256 moments, evenly thinned, so that time is O(N) and memory flat. A
    long event whose frames look alike is a pattern of its own and leaves no residual.

    Args:
        embeddings: (N, D).
        times_s: (N,) increasing.
        window_s: half width of the window.
        components: eigenvectors kept; at most a quarter of the window's moments.

    Returns:
        (N,) in [0, 1]; zeros where a window holds fewer than ten moments.
    """
    lengths, result = norms(embeddings), np.zeros(len(times_s))
    step = float(np.median(np.diff(times_s))) if len(times_s) > 1 else 1.0
    rows_each = max(1, round(min(window_s / max(step, 1e-9), len(times_s))))
    for rows, columns in blocks(times_s, window_s, window_s, rows=rows_each):
        count = columns.stop - columns.start
        if count < _FEWEST:
            continue
        kept = np.unique(np.linspace(columns.start, columns.stop - 1, min(count, _MOST_COLUMNS)).round().astype(int))
        last, wanted = len(kept) - 1, min(components, len(kept) // 4)
        _, basis = eigh(np.abs(cosines(embeddings, lengths, kept, kept)), subset_by_index=(last + 1 - wanted, last))
        similar = np.abs(cosines(embeddings, lengths, rows, kept))
        # The eigenvectors are orthonormal, so what they do not explain is the rest of the squared length.
        left = (similar**2).sum(axis=1) - ((similar @ basis) ** 2).sum(axis=1)
        result[rows] = np.sqrt(np.maximum(left, 0.0) / len(kept))
    return result


def dissimilarity(
    embeddings: Float32,
    times_s: Float64,
    *,
    window_s: float = WINDOW_S,
    moment_s: float = MOMENT_S,
    top_share: float = 1.0,
) -> Float64:
    """Measures one minus the mean similarity to the window, or to the moments in it that are most alike.

    Args:
        embeddings: (N, D).
        times_s: (N,) increasing.
        window_s: half width of the window.
        moment_s: nearer moments are trimmed, since neighbouring frames are near copies.
        top_share: share of the others, the most similar first, that is averaged; 1 takes all.

    Returns:
        (N,) in [0, 1]; zeros where fewer than ten moments can be compared.
    """
    lengths, result = norms(embeddings), np.zeros(len(times_s))
    for rows, columns in blocks(times_s, window_s, window_s):
        usable = _usable(lags(times_s, rows, columns), window_s, moment_s)
        counts = usable.sum(axis=1)
        similar = np.sort(np.where(usable, np.abs(cosines(embeddings, lengths, rows, columns)), -np.inf), axis=1)[
            :, ::-1
        ]
        taken = np.ceil(top_share * counts).astype(int)
        inside = np.arange(similar.shape[1])[None] < taken[:, None]
        means = np.where(inside, similar, 0.0).sum(axis=1, where=inside) / np.maximum(taken, 1)
        result[rows] = np.where(counts >= _FEWEST, np.clip(1 - means, 0, 1), 0.0)
    return result


def outlier_factor(
    embeddings: Float32,
    times_s: Float64,
    *,
    window_s: float = WINDOW_S,
    moment_s: float = MOMENT_S,
    neighbours: int = 20,
    floor: float = 0.05,
) -> Float64:
    """Measures the local outlier factor (Breunig et al., SIGMOD 2000) within the window.

    Args:
        embeddings: (N, D), brought to norm 1.
        times_s: (N,) increasing.
        window_s: half width of the window.
        moment_s: nearer moments are no neighbours; 0 leaves out the moment alone.
        neighbours: k; at most half of what a window holds.
        floor: added to reachability distances, so that the noise between near copies is not density.

    Returns:
        (N,) >= 0, about 1 where usual; 1 where fewer than ten moments can be compared.
    """
    lengths, count = norms(embeddings), len(times_s)
    nearest = np.zeros((count, neighbours), np.int64)
    apart = np.full((count, neighbours), np.inf)
    for rows, columns in blocks(times_s, window_s, window_s):
        usable = _usable(lags(times_s, rows, columns), window_s, moment_s)
        squared = np.where(usable, 2 - 2 * cosines(embeddings, lengths, rows, columns), np.inf)
        found = min(neighbours, squared.shape[1])
        order = np.argsort(squared, axis=1)[:, :found]
        values = np.sqrt(np.take_along_axis(squared, order, axis=1))
        values[np.arange(neighbours)[None, :found] >= np.maximum(usable.sum(axis=1) // 2, 1)[:, None]] = np.inf
        nearest[rows, :found], apart[rows, :found] = order + columns.start, values
    return _factor(nearest, apart, floor)


def _factor(nearest: Int64, apart: Float64, floor: float) -> Float64:
    """Returns the outlier factor from neighbours (N, k) and their distances, infinite where there is none."""
    known = np.isfinite(apart)
    enough = known.sum(axis=1) * 2 >= _FEWEST
    reach_of = np.where(known, apart, 0.0).max(axis=1, initial=0.0)  # distance of the farthest neighbour
    reach = np.where(known, np.maximum(np.where(known, apart, 0.0), reach_of[nearest]), 0.0)
    density = known.sum(axis=1) / np.maximum((reach + floor * known).sum(axis=1), 1e-10)
    around = np.where(known, density[nearest], 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.where(enough, around / np.maximum(density, 1e-10), 1.0)


def _usable(lag: Float64, window_s: float, moment_s: float) -> np.ndarray:
    away = np.abs(lag)
    return (away <= window_s) & (away >= moment_s) & (away > 0)
