from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vau.errors import InputError
from vau.eval.metrics.bootstrap import Resampling
from vau.eval.metrics.sums import Clusters, Summed, difference, f1, mean


def test_a_mean_over_some_items_leaves_the_others_out() -> None:
    figure = mean("x", [1, 0, 5], [True, True, False])
    assert figure.value() == 0.5
    assert figure.value(np.array([True, False, True])) == 1
    assert figure.value(np.array([False, False, True])) is None  # no item that counts


def test_values_that_count_must_be_numbers() -> None:
    with pytest.raises(InputError, match="finite"):
        mean("x", [1, float("nan")])
    assert mean("x", [1, float("nan")], [True, False]).value() == 1


def test_intervals_resample_videos_not_items() -> None:
    """A hundred items of two videos are two draws, not a hundred: resamples are 0, 1/2 or 1 and nothing between."""
    values = np.repeat([0.0, 1.0], 50)
    clusters = Clusters(["a"] * 50 + ["b"] * 50, Resampling(200))
    figure = mean("x", values)
    drawn = figure.formula(clusters.sums(figure.parts))
    assert set(drawn.tolist()) == {0.0, 0.5, 1.0}
    estimate = figure.estimate(clusters)
    assert (estimate.value, estimate.low, estimate.high) == (0.5, 0, 1)


def test_one_video_has_no_interval() -> None:
    estimate = mean("x", [0, 1]).estimate(Clusters(["a", "a"], Resampling(100)))
    assert (estimate.value, estimate.low, estimate.high) == (0.5, None, None)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 5), st.integers(1, 5)), min_size=2, max_size=30))
def test_sums_of_resamples_are_those_of_the_drawn_videos(rows) -> None:
    videos = [video for video, _, _ in rows]
    parts = np.array([[top, bottom] for _, top, bottom in rows], np.float64)
    clusters = Clusters(videos, Resampling(5, seed=3))
    names = sorted(set(videos))
    if len(names) < 2:
        assert not len(clusters.weights)
        return
    assert (clusters.weights.sum(axis=1) == len(names)).all()
    by_hand = [
        sum(
            weight * parts[[video == name for video in videos]].sum(axis=0)
            for name, weight in zip(names, row, strict=True)
        )
        for row in clusters.weights
    ]
    assert clusters.sums(parts) == pytest.approx(np.array(by_hand))


def test_paired_difference_of_equal_runs_is_nothing() -> None:
    rng = np.random.default_rng(0)
    values = rng.random(40)
    clusters = Clusters([str(n // 4) for n in range(40)], Resampling(300))
    same = difference(mean("x", values), mean("x", values), clusters)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    better = difference(mean("x", values + 0.1), mean("x", values), clusters)
    # Far narrower than the interval of either run, since the draws are shared.
    assert better.value == pytest.approx(0.1) and better.low == pytest.approx(0.1) and better.high == pytest.approx(0.1)
    with pytest.raises(InputError, match="same items"):
        difference(mean("x", values), mean("y", values), clusters)


def test_f1_is_scikit_learns() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    true, given_ = rng.random(50) < 0.4, rng.random(50) < 0.5
    parts = np.column_stack([true & given_, given_, true]).astype(float)
    assert Summed("F1", parts, f1).value() == pytest.approx(metrics.f1_score(true, given_))
