from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import LocalOutlierFactor

from tests.tracks import clock, observations
from vau.errors import ScoreError
from vau.scoring.bands import blocks, cosines, lags, norms
from vau.scoring.scorer import Scorer
from vau.scoring.themis import CHOSEN, HALVES, Themis, dissimilarity, measures, outlier_factor, spectral_residual

EVENT = slice(120, 140)


def scene(seconds: float = 60.0, noise: float = 0.05, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns embeddings of one view with noise, and their times."""
    random = np.random.default_rng(seed)
    times = clock(seconds)
    view = random.random(16) + random.normal(0, noise / 4, (len(times), 16))
    return view / np.linalg.norm(view, axis=1, keepdims=True), times


def interrupted() -> tuple[np.ndarray, np.ndarray]:
    """Returns a scene in which, for five seconds, every frame looks unlike all others."""
    embeddings, times = scene()
    unlike = np.random.default_rng(1).normal(size=(20, 16))
    embeddings[EVENT] = unlike / np.linalg.norm(unlike, axis=1, keepdims=True)
    return embeddings, times


@pytest.mark.parametrize("name", HALVES)
def test_each_signal_finds_what_interrupts_a_scene(name: str) -> None:
    values = measures(*interrupted(), [name])[:, 0]
    assert values[EVENT].min() > 2 * np.delete(values, EVENT).max()


@pytest.mark.parametrize("name", HALVES)
def test_a_quiet_scene_stays_quiet_and_is_not_scaled_up(name: str) -> None:
    loud = Themis([name]).score_embeddings(*scene(noise=0.05)).scores
    still = Themis([name]).score_embeddings(*scene(noise=0.0)).scores
    assert loud.max() < 0.3
    assert still.max() < 1e-3


def test_residual_does_not_see_an_event_that_is_a_pattern_of_its_own_and_dissimilarity_does() -> None:
    embeddings, times = scene()
    embeddings[EVENT] = embeddings[EVENT] * np.linspace(1, -1, 16)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    residual, rarity = measures(embeddings, times, ["spectral residual", "rare similarity"]).T
    assert residual[EVENT].max() < 0.01
    assert rarity[EVENT].min() > 0.2 > 0.1 > np.delete(rarity, EVENT).max()


def test_event_reaches_the_level_and_contributions_sum() -> None:
    found = Themis().score_embeddings(*interrupted())
    assert found.scores[EVENT].min() > 0.5 > np.delete(found.scores, EVENT).max()
    assert found.contributions.sum(1) == pytest.approx(found.scores, abs=1e-5)
    assert found.signals == CHOSEN


def test_it_is_a_scorer_of_observations() -> None:
    scorer: Scorer = Themis()
    seen = observations(times=clock(10.0))
    assert len(scorer.score(seen)) == len(seen)
    assert scorer.name == "themis 1"


@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_too_few_moments_have_score_zero(count: int) -> None:
    random = np.random.default_rng(0)
    found = Themis().score_embeddings(random.normal(size=(count, 4)), np.arange(count) / 4)
    assert found.scores.tolist() == [0.0] * count


def test_outlier_factor_equals_scikit_learn_without_window_and_floor() -> None:
    random = np.random.default_rng(3)
    points = random.normal(size=(120, 5))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    expected = -LocalOutlierFactor(20).fit(points).negative_outlier_factor_
    own = outlier_factor(points, np.arange(120) / 4, window_s=np.inf, moment_s=0, floor=0)
    assert own == pytest.approx(expected, rel=1e-6)


def test_residual_of_a_short_series_equals_the_dense_formula() -> None:
    random = np.random.default_rng(1)
    points = random.normal(size=(100, 6))
    units = points / np.linalg.norm(points, axis=1, keepdims=True)
    similar = np.abs(units @ units.T)
    values, vectors = np.linalg.eigh(similar)
    basis = vectors[:, np.argsort(-values)[:5]]
    expected = np.linalg.norm(similar - similar @ basis @ basis.T, axis=1) / 10
    assert spectral_residual(points, np.arange(100) / 4) == pytest.approx(expected, abs=1e-9)


def test_residual_is_smaller_with_more_components() -> None:
    embeddings, times = scene(noise=1.0)
    few, many = (spectral_residual(embeddings, times, components=k) for k in (2, 20))
    assert (many <= few + 1e-9).all()


def test_dissimilarity_by_hand() -> None:
    # Twelve moments a second apart, the last of another kind: each sees those two seconds away or more.
    embeddings = np.tile([1.0, 0.0], (14, 1))
    embeddings[-1] = [0.6, 0.8]
    values = dissimilarity(embeddings, np.arange(14.0), moment_s=2.0)
    assert values[-1] == pytest.approx(0.4)
    assert values[0] == pytest.approx(0.4 / 12)
    assert dissimilarity(embeddings, np.arange(14.0), top_share=0.5)[0] == pytest.approx(0.0)


def test_only_the_window_counts() -> None:
    embeddings, times = scene(120.0)
    changed = embeddings.copy()
    changed[-40:] = 1.0
    for name in HALVES:
        near, far = (measures(each, times, [name], window_s=10.0)[:100, 0] for each in (embeddings, changed))
        assert near == pytest.approx(far, abs=1e-9), name


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 80), st.integers(1, 4), st.integers(0, 9))
def test_bounds_hold_for_any_embeddings(count: int, width: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    embeddings = random.normal(size=(count, width)) * (random.random((count, 1)) > 0.2)
    times = np.cumsum(random.uniform(0.01, 3.0, count))
    values = measures(embeddings, times)
    assert np.isfinite(values).all() and (values >= 0).all()
    assert (values[:, [0, 2, 3]] <= 1 + 1e-9).all()
    scores = Themis(tuple(HALVES)).score_embeddings(embeddings, times).scores
    assert ((scores >= 0) & (scores <= 1)).all()


def test_same_result_for_rotated_and_scaled_embeddings() -> None:
    embeddings, times = interrupted()
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(16, 16)))
    assert measures(3 * embeddings @ turn, times) == pytest.approx(measures(embeddings, times), abs=1e-6)


def test_an_hour_is_affordable() -> None:
    random = np.random.default_rng(0)
    embeddings = random.normal(size=(14400, 64)).astype(np.float32)
    started = time.process_time()
    Themis(tuple(HALVES)).score_embeddings(embeddings, clock(3600.0)[:-1])
    assert time.process_time() - started < 60


def test_errors() -> None:
    with pytest.raises(ValueError, match="signals must be of"):
        Themis(["colour"])
    with pytest.raises(ValueError, match="window_s > 0"):
        Themis(window_s=0)
    with pytest.raises(ScoreError, match="cannot be scored"):
        Themis().score_embeddings(np.full((3, 2), np.nan), np.arange(3.0))
    with pytest.raises(ScoreError, match="3 embeddings at 2 times"):
        Themis().score_embeddings(np.ones((3, 2)), np.arange(2.0))


def test_blocks_cover_each_row_once_with_all_that_it_reaches() -> None:
    times = np.cumsum(np.random.default_rng(0).uniform(0.1, 1.0, 50))
    rows_seen: list[int] = []
    for rows, columns in blocks(times, 2.0, 3.0, rows=7):
        rows_seen += range(rows.start, rows.stop)
        lag = lags(times, rows, columns)
        for row, line in zip(range(rows.start, rows.stop), lag, strict=True):
            reach = (times - times[row] >= -2.0) & (times - times[row] <= 3.0)
            assert ((line >= -2.0) & (line <= 3.0)).sum() == reach.sum()
    assert rows_seen == list(range(50))
    points = np.array([[3.0, 4.0], [0.0, 0.0], [4.0, -3.0], [6.0, 8.0]])
    assert norms(points).tolist() == [5.0, 0.0, 5.0, 10.0]
    assert cosines(points, norms(points), slice(0, 1), slice(0, 4)).tolist() == [[1.0, 0.0, 0.0, 1.0]]
