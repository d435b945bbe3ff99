"""The event graph as EventVAD's released code builds it, to compare with: blocks over the whole video, a 0/1 mask.

Time grows with the square of the video's length, which is why the default is `vau.events.graph`. Source: arXiv
2504.13092 and the behaviour of its code; the order of time is right here unless the order of insertion is asked for.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.fft import dct

from vau.errors import InputError
from vau.events.features import NodeFeatures
from vau.events.graph import edge_weights, random_maps
from vau.types import Float32, Int64

_BLOCK = 200  # rows and columns among which each row chooses its neighbours
_MOST, _LEAST = 5, 3
_EDGES = 65_536  # worked on at a time
MAX_NODES = 30_000


def block_graph(features: NodeFeatures, *, decay: float) -> tuple[sparse.csr_array, Int64]:
    """Joins every node, within each block of columns, to the most similar ones.

    A row keeps the 5 heaviest columns of each block in the first tenth of the video, 4 in the second, 3 afterwards;
    then loops and edges without positive weight are dropped, and the graph is undirected.

    Args:
        features: N nodes.
        decay: a second; see `vau.events.graph.build_graph` for the weight of an edge.

    Returns:
        Weights (N, N), symmetric; and the nodes (N,) in the order in which the released code comes to hold them:
        as edges name them, which is not the order of time.

    Raises:
        InputError: more than 30,000 nodes.
    """
    count = len(features)
    if count > MAX_NODES:
        raise InputError(f"graph: blocks compares all with all, got {count} frames, at most {MAX_NODES}; take band")
    rows, columns, weights = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
    for start in range(0, count, _BLOCK):
        near = slice(start, min(start + _BLOCK, count))
        kept = max(_LEAST, _MOST - start // max(count // 10, 1))
        for left in range(0, count, _BLOCK):
            block = edge_weights(features, near, slice(left, min(left + _BLOCK, count)), decay)
            best = np.argsort(-block, axis=1, kind="stable")[:, :kept]
            own = np.repeat(np.arange(near.start, near.stop), best.shape[1])
            other, weight = best.ravel() + left, np.take_along_axis(block, best, axis=1).ravel()
            edge = (weight > 0) & (own != other)
            rows.append(own[edge])
            columns.append(other[edge])
            weights.append(weight[edge])
    own, other, weight = np.concatenate(rows), np.concatenate(columns), np.concatenate(weights)
    directed = sparse.csr_array((weight, (own, other)), shape=(count, count))
    named = np.r_[np.stack([own, other], axis=1).ravel(), np.arange(count)]
    nodes, first = np.unique(named, return_index=True)
    return sparse.csr_array(directed.maximum(directed.T)), nodes[np.argsort(first)]


def attend(features: Float32, edges: sparse.csr_array, share: float, *, weighted: bool) -> Float32:
    """Mixes features along any graph by orthogonal attention: ``F + share A F V``.

    Args:
        features: (N, C).
        edges: (N, N) positive weights.
        share: of the neighbours' features.
        weighted: logits are scaled by the root of their dimension and edge weights take part, as in
            `vau.events.graph.propagate`; False: plain dot products, edges only say who is a neighbour.

    Returns:
        (N, C), new; a node without edges keeps its own.
    """
    count, channels = features.shape
    if share == 0 or edges.nnz == 0:
        return features
    query, key, signs = random_maps(channels)
    queries, keys = features @ query, features @ key
    rows = np.repeat(np.arange(count), np.diff(edges.indptr))
    logits = np.empty(edges.nnz, np.float32)
    for start in range(0, edges.nnz, _EDGES):
        part = slice(start, start + _EDGES)
        logits[part] = np.einsum("nd,nd->n", queries[rows[part]], keys[edges.indices[part]])
    if weighted:
        logits = logits / np.float32(np.sqrt(query.shape[1])) + np.log(edges.data)
    joined = np.flatnonzero(np.diff(edges.indptr))
    top = np.zeros(count, np.float32)
    top[joined] = np.maximum.reduceat(logits, edges.indptr[joined])
    attention = np.exp(logits - top[rows])
    total = np.bincount(rows, attention, count)
    mixed = sparse.csr_array((attention / total[rows].astype(np.float32), edges.indices, edges.indptr), edges.shape)
    return np.asarray(features + np.float32(share) * dct((mixed @ features) * signs, axis=1, norm="ortho"), np.float32)
