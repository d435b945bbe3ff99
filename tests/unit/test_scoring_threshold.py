from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vau.scoring.threshold import segment_counts, stable_threshold


def runs(scores: np.ndarray, level: float) -> int:
    above = np.concatenate([[False], scores >= level])
    return int((above[1:] & ~above[:-1]).sum())


def test_counts_by_hand() -> None:
    scores = [0.2, 0.9, 0.2, 0.5, 0.5, 0.0]
    assert segment_counts(scores, [1.0, 0.9, 0.6, 0.5, 0.3, 0.2, 0.1, 0.0]).tolist() == [0, 1, 1, 2, 2, 1, 1, 1]
    assert segment_counts([], [0.5]).tolist() == [0]


@given(st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]), max_size=40), st.floats(0, 1))
def test_counts_equal_a_direct_count(scores: list[float], level: float) -> None:
    assert segment_counts(scores, [level]).tolist() == [runs(np.array(scores), level)]


def test_two_clear_events_give_a_level_between_them_and_the_noise() -> None:
    scores = 0.1 * np.random.default_rng(0).random(200)
    scores[40:60] = 0.9
    scores[120:140] = 0.6
    level = stable_threshold(scores)
    assert level is not None and scores[:40].max() < level <= 0.13
    assert runs(scores, level) == 2


def test_longest_run_ends_at_its_lowest_level() -> None:
    # One segment from 0.75 down to above 0.5, two from 0.5 down to above 0.
    assert stable_threshold([0.0, 0.75, 0.0, 0.5, 0.0], steps=8, least_run=2) == pytest.approx(0.125)
    # One segment for two steps, then two for two: the highest of equal runs wins.
    assert stable_threshold([0.0, 1.0, 0.0, 0.5, 0.0], steps=4, bottom=0.0, least_run=2) == pytest.approx(0.75)


def test_quiet_or_unstable_curves_have_none() -> None:
    assert stable_threshold(np.zeros(50)) is None
    assert stable_threshold([]) is None
    assert stable_threshold(np.full(50, 0.04)) is None  # two of 64 levels
    assert stable_threshold(np.full(50, 0.2), bottom=0.25) is None
    stairs = np.ravel([[level, 0.0] for level in np.arange(1, 65) / 64])
    assert stable_threshold(stairs) is None


def test_relative_form_of_the_paper() -> None:
    noise = np.zeros(50)
    noise[[5, 20]] = 0.03
    assert stable_threshold(noise) is None
    level = stable_threshold(noise, top=float(noise.max()))
    assert level is not None and 0 < level < 0.03


@given(st.lists(st.floats(0, 1), max_size=60))
def test_threshold_is_stable_and_the_same_backwards_and_stretched(scores: list[float]) -> None:
    level = stable_threshold(scores)
    assert level == stable_threshold(scores[::-1]) == stable_threshold(np.repeat(scores, 3))
    if level is not None:
        count = runs(np.array(scores), level)
        assert count > 0
        assert [runs(np.array(scores), level + step / 64) for step in range(4)] == [count] * 4


@pytest.mark.parametrize("settings", [{"top": 0.0}, {"bottom": 1.0}, {"top": np.nan}, {"steps": 0}, {"least_run": 0}])
def test_levels_out_of_range(settings) -> None:
    with pytest.raises(ValueError, match="levels"):
        stable_threshold([0.5], **settings)


@pytest.mark.parametrize("scores", [[np.nan], [np.inf], [[0.5]]])
def test_scores_must_be_finite(scores) -> None:
    with pytest.raises(ValueError, match="scores"):
        stable_threshold(scores)
