from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vau.scoring.novelty import novelty


def times(count: int) -> np.ndarray:
    return np.arange(count) / 4


def usual(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, (count, 6)).astype(np.float32)


def test_the_usual_has_a_factor_of_about_one():
    found = novelty(usual(200), times(200), floor=1e-6)
    assert np.median(found.factor) == pytest.approx(1.0, abs=0.2)
    assert found.factor.max() < 4


def test_a_single_outlier_is_novel():
    data = usual(200)
    data[120] += 2.0
    found = novelty(data, times(200), floor=0.05)
    assert found.factor.argmax() == found.distance.argmax() == 120
    assert found.factor[120] > 5


def test_a_pattern_that_comes_again_is_not_novel():
    data = usual(400)
    data[20::40] += 2.0  # every 10 s, so that no two belong to one moment
    found = novelty(data, times(400), floor=0.05)
    assert found.factor[20::40].max() < 2
    data = usual(400)
    data[180:184] += 2.0
    assert novelty(data, times(400), floor=0.05).factor[180:184].min() > 5


def test_a_rare_thing_among_its_own_moment_is_novel():
    data = usual(400)
    data[100:106] += 2.0  # 1.5 s
    assert novelty(data, times(400), floor=0.05).factor[100:106].min() > 5


def test_the_floor_keeps_copies_quiet():
    data = np.zeros((100, 6), np.float32)
    data[50] = 1e-3
    assert novelty(data, times(100), floor=0.05).factor.max() < 0.1


def test_a_band_that_covers_all_is_no_band():
    data = usual(700)
    full = novelty(data, times(700), floor=0.05, band_s=1e9)
    banded = novelty(data, times(700), floor=0.05, band_s=700 / 4)
    assert banded.distance == pytest.approx(full.distance)
    assert banded.factor == pytest.approx(full.factor)


def test_it_is_what_a_plain_loop_says():
    data, moments = usual(90), times(90)
    found = novelty(data, moments, floor=0.05, neighbours=4, band_s=15.0)
    apart = np.linalg.norm(data[:, None].astype(float) - data[None], axis=2)
    lag = np.abs(moments[:, None] - moments[None])
    apart[(lag < 2.0) | (lag > 15.0)] = np.inf
    order = np.argsort(apart, axis=1)[:, :4]
    distance = np.take_along_axis(apart, order, 1).mean(1)
    assert found.distance == pytest.approx(distance, abs=1e-6)
    assert found.factor == pytest.approx(distance / (distance[order].mean(1) + 0.05), abs=1e-6)


def test_far_times_do_not_count():
    data = usual(400)
    data[20] += 2.0
    data[300:312] = data[20]
    assert novelty(data, times(400), floor=0.05, band_s=20.0).factor[20] > 5
    # The lone sample finds its like only where the band reaches it.
    assert novelty(data, times(400), floor=0.05, band_s=200.0).distance[20] < 0.01


@pytest.mark.parametrize("count", [0, 1, 2, 5, 9])
def test_too_few_samples_say_nothing(count):
    found = novelty(usual(count), times(count), floor=0.05)
    assert found.distance.shape == found.factor.shape == (count,)
    assert not found.factor.any()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 120), st.integers(0, 2**31), st.floats(0, 1e3), st.floats(0, 300))
def test_it_is_finite_and_not_negative(count, seed, scale, band_s):
    random = np.random.default_rng(seed)
    moments = np.cumsum(random.uniform(0.01, 3, count))
    found = novelty((scale * random.normal(size=(count, 3))).astype(np.float32), moments, floor=0.05, band_s=band_s)
    for values in (found.distance, found.factor):
        assert np.isfinite(values).all() and (values >= 0).all()


def test_hours_of_video_take_seconds():
    data = usual(20_000)
    began = time.process_time()
    novelty(data, times(20_000), floor=0.05, band_s=60.0)
    assert time.process_time() - began < 15
