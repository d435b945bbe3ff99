"""The event tree: nested partitions, few children a node, found by time, the same after JSON."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vau.errors import InputError
from vau.events.tree import EventTree, build_tree
from vau.types import Segments


def partition(seed: int, count: int, least_s: float = 2.0) -> Segments:
    rng = np.random.default_rng(seed)
    edges = np.cumsum(least_s + rng.exponential(4.0, count + 1))
    return Segments(np.r_[0.0, edges], np.r_[0.0, rng.uniform(0.5, 1, count), 0.0])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 9999), count=st.integers(0, 400), ratio=st.sampled_from([2.0, 3.0, 4.0, 7.5]))
def test_levels_are_nested_and_nodes_have_few_children(seed: int, count: int, ratio: float) -> None:
    segments = partition(seed, count)
    tree = build_tree(segments, ratio=ratio)
    assert np.array_equal(tree.levels[-1].edges_s, segments.edges_s)
    assert np.array_equal(tree.levels[-1].strengths, segments.strengths)
    for above, below in pairwise(tree.levels):
        assert set(above.edges_s) < set(below.edges_s)
    nodes = list(tree.walk())
    leaves = []
    for node in nodes:
        parts = tree.children(node)
        if parts:
            assert 2 <= len(parts) <= 2 * ratio + 1
            assert [parts[0].start_s, *(part.end_s for part in parts)][-1] == node.end_s
            assert parts[0].start_s == node.start_s
            assert all(a.end_s == b.start_s for a, b in pairwise(parts))
        else:
            leaves.append((node.start_s, node.end_s))
    assert leaves == list(pairwise(segments.edges_s.tolist()))
    assert len({node.node_id for node in nodes}) == len(nodes)


def test_a_day_is_walked_in_a_few_steps() -> None:
    segments = partition(0, 12_000, least_s=2.0)
    tree = build_tree(segments)
    assert segments.edges_s[-1] > 70_000 and len(tree) <= 10
    path = tree.path(40_000.0)
    assert path[0] == tree.root and all(node.start_s <= 40_000 <= node.end_s for node in path)
    assert all(b.end_s - b.start_s < a.end_s - a.start_s for a, b in pairwise(path))
    assert path[1].end_s - path[1].start_s > 3600 > 60 > path[-1].end_s - path[-1].start_s


def test_the_strongest_boundary_comes_first() -> None:
    segments = Segments(np.arange(0.0, 101.0, 10.0), np.array([0, *[0.5] * 5, 0.9, *[0.5] * 3, 0]))
    first = build_tree(segments).levels[1]
    assert 60.0 in first.edges_s and len(first) < 10


def test_every_time_has_a_path() -> None:
    tree = build_tree(partition(3, 50))
    end_s = tree.root.end_s
    assert tree.path(0.0)[-1].start_s == 0 and tree.path(end_s)[-1].end_s == end_s
    for time_s in (-0.1, end_s + 0.1, np.nan):
        with pytest.raises(ValueError, match="lasts"):
            tree.path(time_s)
    with pytest.raises(IndexError):
        tree.node(0, 1)


def test_json_and_back() -> None:
    tree = build_tree(partition(4, 60))
    back = EventTree.from_dict(json.loads(json.dumps(tree.to_dict())))
    assert len(back) == len(tree) and back.path(100.0)[-1].end_s == tree.path(100.0)[-1].end_s


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"levels": []},
        {"levels": 3},
        {"levels": [{"edges_s": [0, 1]}]},
        {"levels": [{"edges_s": [0, 1, 2], "strengths": [0, 0.5, 0]}]},
        {"levels": [{"edges_s": [0, float("nan")], "strengths": [0, 0]}]},
        {"levels": [{"edges_s": [0, 2], "strengths": [0, 0]}, {"edges_s": [0, 1, 3], "strengths": [0, 0.5, 0]}]},
        {"levels": [{"edges_s": [0, 2], "strengths": [0, 0]}] * 2},
        {"levels": [{"edges_s": [0, 2], "strengths": [0, 0]}] * 100},
        {"levels": [{"edges_s": "x", "strengths": [0, 0]}]},
    ],
)
def test_what_is_no_tree_is_refused(data: object) -> None:
    with pytest.raises(InputError, match="event tree"):
        EventTree.from_dict(data)


@pytest.mark.parametrize("ratio", [1.9, np.inf, np.nan])
def test_scales_must_differ(ratio: float) -> None:
    with pytest.raises(ValueError, match="ratio"):
        build_tree(partition(0, 5), ratio=ratio)


def test_very_close_boundaries_do_not_make_it_endless() -> None:
    tree = build_tree(Segments(np.array([0, 1.0, 1.0 + 1e-12, 1e6]), np.array([0, 0.5, 0.6, 0])), ratio=2.0)
    assert len(tree.levels[-1]) == 3 and len(tree) <= 4
