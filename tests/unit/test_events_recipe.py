"""The published way to find boundaries does what its formulas say, and each switch of the recipe does its part."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import savgol_filter

from vau.config import EventsConfig, RecipeConfig
from vau.errors import InputError
from vau.events import published, segment
from vau.events.boundaries import joined_features
from vau.events.change import discontinuity, measure_change
from vau.events.features import NodeFeatures, mean_flow, node_features
from vau.events.graph import build_graph, edge_weights, propagate, random_maps, to_sparse
from vau.events.published import attend, block_graph
from vau.events.recipe import DEFAULT, FAITHFUL
from vau.types import Detections, Observations

CHANNELS = ("speed_mean", *(f"direction_{i}" for i in range(8)), "direction_entropy")
RATE = 4.0


def video(seed=0, count=400, cuts=(100, 200, 300), noise=0.3, dim=32):
    rng = np.random.default_rng(seed)
    scene = np.searchsorted(cuts, np.arange(count), side="right")
    embeddings = rng.standard_normal((len(cuts) + 1, dim))[scene] + noise * rng.standard_normal((count, dim))
    embeddings /= np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-9)
    motion = 0.02 * rng.random((count, len(CHANNELS)))
    times = np.arange(count) / RATE
    return Observations(
        times, embeddings, motion, CHANNELS, (), Detections.of([()] * count), (640, 360), max(count, 1) / RATE
    )


def nodes(count, seed=0):
    observations = video(seed, count)
    return node_features(observations, 0.8, FAITHFUL.recipe)


def varied(base=DEFAULT, **switches):
    return base.model_copy(update={"recipe": RecipeConfig(**(base.recipe.model_dump() | switches))})


def test_block_graph_keeps_the_heaviest_of_each_block():
    features, count = nodes(450), 450
    graph, _ = block_graph(features, decay=1.5)
    dense = edge_weights(features, slice(0, count), slice(0, count), 1.5)
    expected = np.zeros((count, count), bool)
    for row in range(count):
        kept = max(3, 5 - (row // 200 * 200) // (count // 10))
        for left in (0, 200, 400):
            best = left + np.argsort(-dense[row, left : left + 200], kind="stable")[:kept]
            expected[row, best] = True
    expected &= (dense > 0) & ~np.eye(count, dtype=bool)
    matrix = graph.toarray()
    assert np.array_equal(matrix > 0, expected | expected.T)
    assert np.allclose(matrix[matrix > 0], np.maximum(dense, dense.T)[matrix > 0], atol=1e-5)


@pytest.mark.parametrize(("count", "least", "most"), [(150, 0.0, 0.2), (1200, 0.5, 1.0)])
def test_order_of_insertion_is_not_that_of_time(count, least, most):
    order = block_graph(nodes(count), decay=1.5)[1]
    assert sorted(order) == list(range(count))
    moved = np.mean(order != np.arange(count))
    assert least <= moved <= most


def test_blocks_of_a_very_long_video_are_refused(monkeypatch):
    monkeypatch.setattr(published, "MAX_NODES", 100)
    with pytest.raises(InputError, match="101 frames"):
        block_graph(nodes(101), decay=1.5)


@pytest.mark.parametrize("weighted", [True, False])
def test_attention_is_that_of_the_dense_formula(weighted):
    features = nodes(90)
    edges, _ = block_graph(features, decay=1.5)
    rows = features.fused()
    query, key, _ = random_maps(rows.shape[1])
    logits = (rows @ query) @ (rows @ key).T
    dense = edges.toarray()
    with np.errstate(divide="ignore"):
        logits = logits / np.sqrt(query.shape[1]) + np.log(dense) if weighted else np.where(dense > 0, logits, -np.inf)
    attention = np.exp(logits - logits.max(axis=1, keepdims=True))
    mean = attention / attention.sum(axis=1, keepdims=True) @ rows
    added = attend(rows, edges, 0.5, weighted=weighted) - rows
    assert np.allclose(np.linalg.norm(added, axis=1), 0.5 * np.linalg.norm(mean, axis=1), rtol=1e-3)
    assert np.allclose(added @ added.T, 0.25 * mean @ mean.T, atol=1e-3), "the mixing is orthogonal"


def test_banded_and_general_attention_agree():
    features = nodes(300)
    graph = build_graph(features, width=20, neighbours=4, decay=1.5)
    banded = propagate(features.fused(), graph, 0.5)
    assert np.allclose(attend(features.fused(), to_sparse(graph), 0.5, weighted=True), banded, atol=1e-5)


def test_mean_flow_cancels_what_a_histogram_keeps():
    motion = np.zeros((3, len(CHANNELS)))
    motion[1, [2, 6]] = 1.0  # opposite sectors
    motion[2, 2] = 1.0
    observations = Observations(
        np.arange(3.0), np.eye(3), motion, CHANNELS, (), Detections.of([()] * 3), (640, 360), 3.0
    )
    flow = mean_flow(observations)
    assert np.allclose(flow[:2], 0, atol=1e-6) and np.linalg.norm(flow[2]) == pytest.approx(0.974, abs=1e-3)
    features = node_features(observations, 0.8, FAITHFUL.recipe)
    assert features.motion.shape == (3, 128)
    assert np.linalg.norm(features.motion[2]) == pytest.approx(0.974 * 360 / 30, abs=0.02), "pixels a frame"
    with pytest.raises(InputError, match="direction_7"):
        mean_flow(Observations(np.zeros(1), np.eye(1), np.zeros((1, 1)), ("a",), (), Detections.of([()]), (8, 8), 1.0))


def published_boundaries(rows, times, *, window, deviations, merge_s):
    """Boundaries by the published formulas, frame by frame."""
    change = np.array(
        [
            ((a - b) ** 2).sum() + 1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b)
            for a, b in zip(rows[:-1].astype(float), rows[1:].astype(float), strict=True)
        ]
    )
    smooth = savgol_filter(change, window, 2)
    ratio = np.array([smooth[k + window - 1] / smooth[k : k + window].mean() for k in range(len(smooth) - window + 1)])
    centre = np.median(ratio)
    over = np.flatnonzero(ratio > centre + deviations * np.median(np.abs(ratio - centre))) + window // 2
    kept = [frame for frame, after in zip(over, [*over[1:], 10**9], strict=True) if (after - frame) / RATE >= merge_s]
    return times[kept]


@pytest.mark.parametrize("seed", range(5))
def test_faithful_follows_the_published_formulas(seed):
    observations = video(seed)
    found = segment(observations, FAITHFUL).edges_s[1:-1]
    rows = joined_features(observations, FAITHFUL)
    assert np.allclose(rows.mean(axis=0), 0, atol=1e-4)
    expected = published_boundaries(rows, observations.times_s, window=8, deviations=3.0, merge_s=2.0)
    tail = [expected[-1] + 2.0] if expected[-1] + 2.0 < observations.duration_s else []
    assert np.allclose(found, [*expected, *tail])


def test_published_index_is_early_and_the_right_one_is_not():
    observations = video(noise=0.1)
    for index, low, high in (("half_window", -1.3, -0.6), ("exact", -0.5, 0.9)):
        edges = segment(observations, varied(FAITHFUL, index=index, tail_s=0.0)).edges_s
        offsets = [edges[np.abs(edges - cut).argmin()] - cut for cut in (24.875, 49.875, 74.875)]
        assert low < np.mean(offsets) < high


def test_last_of_a_run_is_kept_or_the_strongest():
    observations = video(cuts=(100, 104, 200), noise=0.05)
    last = segment(observations, varied(keep="last")).edges_s
    strongest = segment(observations, varied(keep="strongest")).edges_s
    assert 25.875 in last and 24.875 not in last
    assert len(strongest) == len(last)


def test_mad_alone_takes_what_prominence_refuses():
    observations = video(seed=2, cuts=())
    bare = varied(FAITHFUL, background="median", scales="frames", index="exact", tail_s=0.0)
    assert len(segment(observations, bare)) > len(segment(observations, DEFAULT)) == 1


def test_short_videos_of_the_trailing_level_have_no_boundary():
    features = np.random.default_rng(0).standard_normal((15, 4)).astype(np.float32)
    change = measure_change(features, features, np.arange(15) / RATE, FAITHFUL)
    assert (change.picture.excess == -np.inf).all() and len(discontinuity(features, 1)) == 14


@pytest.mark.parametrize("count", [0, 1, 2, 3, 9, 17, 60])
@pytest.mark.parametrize(
    "config",
    [
        FAITHFUL,
        varied(FAITHFUL, order="insertion"),
        varied(FAITHFUL, index="exact", keep="strongest"),
        varied(motion="mean", motion_scale="fixed", scales="frames", smoothing="savgol"),
        varied(background="trailing", index="half_window", threshold="mad", tail_s=1.0),
        varied(attention="mask", remove_mean=True, graph="blocks", scales="two", smoothing="none"),
        varied(motion_scale="pixels", keep="last"),
    ],
)
def test_any_recipe_partitions(count, config):
    for seed in range(3):
        observations = video(seed, count, cuts=(5, 20, 33), noise=0.5)
        segments = segment(observations, config)
        assert segments.edges_s[0] == 0 and segments.edges_s[-1] == observations.duration_s
        assert np.array_equal(segment(observations, config).edges_s, segments.edges_s)


def test_default_is_the_default_and_differs_from_the_published():
    assert EventsConfig() == DEFAULT and FAITHFUL.recipe != DEFAULT.recipe
    assert isinstance(nodes(3), NodeFeatures)
