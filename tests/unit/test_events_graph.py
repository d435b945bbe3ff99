"""The banded event graph equals the dense one within the band; attention over it keeps what it must."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from vau.events.features import NodeFeatures
from vau.events.graph import EventGraph, build_graph, half_band, propagate, to_networkx, to_sparse


def nodes(count, seed=0):
    rng = np.random.default_rng(seed)
    semantic = rng.standard_normal((count, 24)).astype(np.float32)
    semantic /= np.linalg.norm(semantic, axis=1, keepdims=True)
    motion = rng.standard_normal((count, 6)).astype(np.float32)
    return NodeFeatures(np.cumsum(rng.uniform(0.1, 0.4, count)), semantic, motion, 0.8)


def dense_weights(features, width, decay):
    apart = np.linalg.norm(features.motion[:, None] - features.motion[None], axis=2)
    elapsed = np.abs(features.times_s[:, None] - features.times_s[None])
    similar = 0.8 * features.semantic @ features.semantic.T + 0.2 * np.exp(-apart)
    rows = np.arange(len(features))
    far = np.abs(rows[:, None] - rows[None]) > width
    return np.where(far | np.eye(len(rows), dtype=bool), 0, similar / (1 + decay * elapsed))


@pytest.mark.parametrize("width", [1, 5, 200])
@pytest.mark.parametrize("block", [256, 13])
def test_banded_graph_equals_the_dense_one(width, block, monkeypatch):
    monkeypatch.setattr("vau.events.graph._BLOCK", block)
    features = nodes(60)
    graph = build_graph(features, width=width, neighbours=5, decay=1.5)
    dense = dense_weights(features, width, 1.5)
    for i in range(60):
        best = np.argsort(-dense[i], kind="stable")[:5]
        best = best[dense[i, best] > 0]
        kept = graph.neighbours[i][graph.neighbours[i] >= 0]
        assert kept.tolist() == best.tolist()
        assert np.allclose(graph.weights[i, : len(best)], dense[i, best], atol=1e-5)
        assert not graph.weights[i, len(best) :].any()


def test_views_hold_the_same_edges(tmp_path):
    graph = build_graph(nodes(40), width=6, neighbours=3, decay=1.5)
    matrix, view = to_sparse(graph), to_networkx(graph)
    assert view.number_of_nodes() == 40 and view.number_of_edges() == matrix.nnz
    assert all(np.isclose(matrix[i, j], data["weight"]) for i, j, data in view.edges(data=True))
    nx.write_graphml(view, tmp_path / "graph.graphml")
    back = nx.read_graphml(tmp_path / "graph.graphml", node_type=int)
    assert set(back.edges) == set(view.edges)


def test_propagation_is_an_isometry_of_the_attended_mean():
    # In a constant video every attended mean is the feature itself, so the added part has `share` of its length.
    features = np.tile(np.random.default_rng(0).standard_normal(20).astype(np.float32), (30, 1))
    graph = build_graph(nodes(30), width=5, neighbours=4, decay=1.5)
    added = propagate(features.copy(), graph, 0.5) - features
    joined = (graph.neighbours >= 0).any(axis=1)
    assert np.allclose(np.linalg.norm(added[joined], axis=1), 0.5 * np.linalg.norm(features[joined], axis=1), rtol=1e-4)
    assert not added[~joined].any()


def test_propagation_mixes_neighbours_only():
    features = np.random.default_rng(0).standard_normal((50, 20)).astype(np.float32)
    graph = build_graph(nodes(50), width=3, neighbours=4, decay=1.5)
    changed = features.copy()
    changed[25] += 10
    touched = np.flatnonzero(
        np.abs(propagate(changed.copy(), graph, 0.5) - propagate(features.copy(), graph, 0.5)).max(axis=1) > 1e-4
    )
    allowed = {25, *np.flatnonzero((graph.neighbours == 25).any(axis=1)).tolist()}
    assert set(touched.tolist()) <= allowed and len(touched) > 1


def test_no_share_and_no_edges_change_nothing():
    features = np.ones((4, 3), np.float32)
    graph = build_graph(nodes(4), width=1, neighbours=2, decay=1.5)
    assert propagate(features, graph, 0.0) is features
    alone = build_graph(nodes(1), width=1, neighbours=2, decay=1.5)
    assert (alone.neighbours == -1).all()
    assert np.array_equal(propagate(features[:1].copy(), alone, 0.5), features[:1])


def test_half_band_is_in_seconds():
    assert half_band(np.arange(100) / 4, 10.0) == 40
    assert half_band(np.arange(100) / 4, 0.01) == 1
    assert half_band(np.arange(3) / 4, 10.0) == 2
    assert half_band(np.zeros(0), 10.0) == 1


def test_propagation_in_place_reads_no_row_that_it_has_written():
    # Many blocks, a band shorter than one of them: against the plain formula on a copy.
    count = 700
    features = np.random.default_rng(1).standard_normal((count, 12)).astype(np.float32)
    graph = build_graph(nodes(count), width=40, neighbours=3, decay=1.5)
    whole = propagate(features.copy(), graph, 0.5)
    assert not np.allclose(whole, features)
    for first, last in ((0, 255), (256, 511), (512, 699)):
        near = slice(max(first - 40, 0), min(last + 41, count))
        part = EventGraph(
            graph.times_s[near],
            np.where(
                (graph.neighbours[near] >= near.start) & (graph.neighbours[near] < near.stop),
                graph.neighbours[near] - near.start,
                -1,
            ),
            graph.weights[near],
        )
        alone = propagate(features[near].copy(), part, 0.5)
        rows = slice(first - near.start, last + 1 - near.start)
        assert np.allclose(alone[rows], whole[first : last + 1], atol=1e-5)
