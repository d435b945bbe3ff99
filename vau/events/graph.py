"""The time-decayed spatiotemporal graph of EventVAD (arXiv 2504.13092), banded, and attention over it.

A frame may be joined to frames at most W nodes away; within that band the k heaviest edges are found exactly, in
O(N W) time and, beside the result, O(W) memory. Ours beside the paper: the band, logits scaled by the root of their
dimension, and edge weights that take part in the attention (the released code uses them as a mask only).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import networkx as nx
import numpy as np
from numpy.lib.stride_tricks import as_strided
from scipy import sparse
from scipy.fft import dct

from vau.config import EventsConfig
from vau.events.features import NodeFeatures
from vau.types import Float32, Float64, Int64

_BLOCK = 256  # rows worked on at a time
_QUERY_DIM = 64
_SEED = 42


@dataclass(frozen=True, eq=False)
class EventGraph:
    """The k heaviest edges of every node, heaviest first; a missing edge has neighbour -1 and weight 0."""

    times_s: Float64  # (N,)
    neighbours: Int64  # (N, k)
    weights: Float32  # (N, k) > 0 where there is an edge

    def __len__(self) -> int:
        return len(self.times_s)


def half_band(times_s: Float64, band_s: float) -> int:
    """Returns the band's half width in nodes for a half width in seconds: at least 1."""
    if len(times_s) < 2:
        return 1
    return max(1, min(len(times_s) - 1, round(band_s / float(np.median(np.diff(times_s))))))


def build_graph(features: NodeFeatures, *, width: int, neighbours: int, decay: float) -> EventGraph:
    """Joins every node to its k most similar nodes at most `width` nodes away.

    An edge weighs ``(alpha cos(s_i, s_j) + (1 - alpha) exp(-|m_i - m_j|)) / (1 + decay |t_i - t_j|)``; edges without
    positive weight and loops are left out; ties go to the earlier node.

    Args:
        features: N nodes.
        width: half width W of the band in nodes.
        neighbours: k.
        decay: a second.

    Returns:
        The graph, exact within the band.
    """
    count = len(features)
    chosen = np.full((count, neighbours), -1, np.int64)
    weights = np.zeros((count, neighbours), np.float32)
    for start in range(0, count, _BLOCK):
        stop = min(start + _BLOCK, count)
        band = _band_weights(features, start, stop, width, decay)
        order = np.argsort(-band, axis=1, kind="stable")[:, :neighbours]
        top = np.take_along_axis(band, order, axis=1)
        found = order.shape[1]
        nodes = np.arange(start, stop)[:, None] - width + order
        chosen[start:stop, :found] = np.where(top > 0, nodes, -1)
        weights[start:stop, :found] = np.where(top > 0, top, 0)
    return EventGraph(features.times_s, chosen, weights)


def _band_weights(features: NodeFeatures, start: int, stop: int, width: int, decay: float) -> Float32:
    """Returns the edge weights (stop - start, 2 W + 1) of rows with the nodes from W before to W after each."""
    rows, span = stop - start, stop - start + 2 * width
    first, last = max(start - width, 0), min(stop + width, len(features))
    block = np.zeros((rows, span), np.float32)
    offset = first - (start - width)
    block[:, offset : offset + last - first] = edge_weights(features, slice(start, stop), slice(first, last), decay)
    # Row r of the block needs columns r .. r + 2 W: a diagonal view instead of a copy of indices.
    step, item = block.strides
    band = as_strided(block, (rows, 2 * width + 1), (step + item, item)).copy()
    band[:, width] = 0  # no loops
    return band


def edge_weights(features: NodeFeatures, rows: slice, columns: slice, decay: float) -> Float32:
    """Returns the weights (R, C) of edges from some nodes to others, loops and weights of 0 and less included."""
    alike = features.semantic[rows] @ features.semantic[columns].T
    own, other = features.motion[rows], features.motion[columns]
    apart = (own**2).sum(1)[:, None] + (other**2).sum(1)[None] - 2 * own @ other.T
    moving = np.exp(-np.sqrt(np.maximum(apart, 0)))
    elapsed = np.abs(features.times_s[rows, None] - features.times_s[None, columns])
    weights = (features.alpha * alike + (1 - features.alpha) * moving) / (1 + decay * elapsed)
    return np.asarray(weights, dtype=np.float32)


def propagate(features: Float32, graph: EventGraph, share: float) -> Float32:
    """Mixes every node's feature with those of its neighbours by orthogonal graph attention, once.

    ``F + share A F V`` with ``A = softmax((F Q)(F K)^T / sqrt(d) + log E)`` over a node's edges E, Q and K random with
    orthonormal columns, V orthogonal (random signs, then a cosine transform: no dense matrix), all of a fixed seed.

    Args:
        features: (N, C) float32, overwritten with the result: an hour of them is not held twice.
        graph: of N nodes.
        share: of the neighbours' features; 0 leaves `features` as they are.

    Returns:
        `features`; a node without edges keeps its own.
    """
    count, channels = features.shape
    if count == 0 or share == 0 or not (graph.neighbours >= 0).any():
        return features
    query, key, signs = random_maps(channels)
    queries, keys = features @ query, features @ key
    reach = int(np.abs(graph.neighbours - np.arange(count)[:, None])[graph.neighbours >= 0].max())
    done: deque[tuple[slice, Float32]] = deque()  # results whose places later rows still read
    for start in range(0, count, _BLOCK):
        rows = slice(start, min(start + _BLOCK, count))
        edges, present = graph.neighbours[rows], graph.neighbours[rows] >= 0
        logits = np.einsum("nd,nkd->nk", queries[rows], keys[edges]) / np.sqrt(query.shape[1])
        logits += np.log(np.where(present, graph.weights[rows], 1))
        logits = np.where(present, logits, -np.inf)
        top = logits.max(axis=1, keepdims=True)
        attention = np.where(present, np.exp(logits - np.where(np.isfinite(top), top, 0)), 0)
        attention /= np.maximum(attention.sum(axis=1, keepdims=True), 1e-12)
        mixed = np.einsum("nk,nkc->nc", attention.astype(np.float32), features[edges])
        added = dct(mixed * signs, axis=1, norm="ortho").astype(np.float32)
        done.append((rows, features[rows] + np.float32(share) * added))
        while done and done[0][0].stop <= start + _BLOCK - reach:
            place, result = done.popleft()
            features[place] = result
    for place, result in done:
        features[place] = result
    return features


class CausalBand:
    """The graph of a stream and attention over it: every node is joined to earlier nodes only, at most W before it.

    Otherwise as `build_graph` and `propagate`; the first node, which has none before it, attends to itself. Time is
    O(W) a node, memory O(W).
    """

    def __init__(self, config: EventsConfig, *, width: int) -> None:
        """Prepares; `config`: `alpha`, `decay`, `neighbours`, `propagation`; `width`: W in nodes."""
        self._config, self._width = config, width
        self._past: NodeFeatures | None = None
        self._fused = self._keys = np.zeros((0, 0), np.float32)
        self._maps: tuple[Float32, Float32, Float32] | None = None

    def mix(self, times_s: Float64, semantic: Float32, motion: Float32, fused: Float32) -> Float32:
        """Takes the next nodes and returns their features after propagation (K, C).

        Args:
            times_s: (K,).
            semantic: (K, D).
            motion: (K, M).
            fused: (K, C) features to be mixed.
        """
        config = self._config
        query, key, signs = self._maps = self._maps or random_maps(fused.shape[1])
        joined, before = self._join(times_s, semantic, motion, fused, fused @ key)
        count = len(fused)
        weights = edge_weights(joined, slice(before, before + count), slice(0, before + count), config.decay)
        behind = np.arange(before, before + count)[:, None] - np.arange(before + count)
        weights[(behind < 1) | (behind > self._width)] = 0
        edges = np.argsort(-weights, axis=1, kind="stable")[:, : config.neighbours]
        kept = np.take_along_axis(weights, edges, axis=1)
        alone = kept[:, 0] <= 0
        edges[alone, 0], kept[alone, 0] = before + np.flatnonzero(alone), 1
        logits = np.einsum("nd,nkd->nk", fused @ query, self._keys[edges]) / np.sqrt(query.shape[1])
        logits = np.where(kept > 0, logits + np.log(np.where(kept > 0, kept, 1)), -np.inf)
        attention = np.exp(logits - logits.max(axis=1, keepdims=True))
        attention /= attention.sum(axis=1, keepdims=True)
        mixed = np.einsum("nk,nkc->nc", attention.astype(np.float32), self._fused[edges])
        return np.asarray(fused + np.float32(config.propagation) * dct(mixed * signs, axis=1, norm="ortho"), np.float32)

    def _join(
        self, times_s: Float64, semantic: Float32, motion: Float32, fused: Float32, keys: Float32
    ) -> tuple[NodeFeatures, int]:
        """Keeps the last W nodes and the new ones; returns their features and how many are not new."""
        past = self._past
        if past is not None:
            last = slice(-self._width, None)
            times_s = np.concatenate([past.times_s[last], times_s])
            semantic = np.concatenate([past.semantic[last], semantic])
            motion = np.concatenate([past.motion[last], motion])
            keys = np.concatenate([self._keys[last], keys])
            new, fused = len(fused), np.concatenate([self._fused[last], fused])
        else:
            new = len(fused)
        self._past, self._fused, self._keys = NodeFeatures(times_s, semantic, motion, self._config.alpha), fused, keys
        return self._past, len(times_s) - new


def random_maps(channels: int) -> tuple[Float32, Float32, Float32]:
    """Returns Q and K (C, d) with orthonormal columns and the signs (C,) that V begins with, of a fixed seed."""
    rng = np.random.default_rng(_SEED)
    dim = min(_QUERY_DIM, channels)
    query, key = _orthonormal(rng, channels, dim), _orthonormal(rng, channels, dim)
    return query, key, rng.choice(np.array([-1, 1], np.float32), channels)


def _orthonormal(rng: np.random.Generator, rows: int, columns: int) -> Float32:
    """Returns a random matrix (rows, columns) with orthonormal columns."""
    basis, triangle = np.linalg.qr(rng.standard_normal((rows, columns)))
    # The signs make the distribution uniform and the result independent of the LAPACK in use.
    signs = np.where(np.diag(triangle) < 0, -1, 1)
    return np.asarray(basis * signs, dtype=np.float32)


def to_sparse(graph: EventGraph) -> sparse.csr_array:
    """Returns the weights as a sparse matrix (N, N), row i holding the edges of node i."""
    rows, slots = np.nonzero(graph.neighbours >= 0)
    columns = graph.neighbours[rows, slots]
    return sparse.csr_array((graph.weights[rows, slots], (rows, columns)), shape=(len(graph), len(graph)))


def to_networkx(graph: EventGraph) -> nx.DiGraph[int]:
    """Returns a view for drawing and export (GraphML, JSON): nodes in time order with `time_s`, edges with `weight`."""
    view: nx.DiGraph[int] = nx.DiGraph()
    view.add_nodes_from((i, {"time_s": float(time_s)}) for i, time_s in enumerate(graph.times_s))
    rows, slots = np.nonzero(graph.neighbours >= 0)
    view.add_weighted_edges_from(
        (int(i), int(graph.neighbours[i, slot]), float(graph.weights[i, slot]))
        for i, slot in zip(rows, slots, strict=True)
    )
    return view
