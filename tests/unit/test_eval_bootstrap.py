from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vau.errors import InputError
from vau.eval.frame import LabelledScores
from vau.eval.metrics.bootstrap import (
    Estimate,
    Resampling,
    pooled_auc_interval,
    resampled_areas,
    resampled_means,
)
from vau.eval.metrics.ranking import Curve, pooled_auc, rank


def _videos(count: int, frames: int, decimals: int, seed: int = 1) -> list[LabelledScores]:
    rng = np.random.default_rng(seed)
    videos = []
    for number in range(count):
        labels = (np.arange(frames) >= frames // 2) & (number % 3 == 0)
        videos.append(LabelledScores(str(number), np.round(rng.normal(size=frames) + labels, decimals), labels))
    return videos


def _brute_force(videos: list[LabelledScores], resamples: int, seed: int) -> np.ndarray:
    """Returns the areas (3, R) of resamples made by joining the drawn videos frame by frame."""
    rng = np.random.default_rng(seed)
    areas: list[tuple[float, float, float]] = []
    while len(areas) < resamples:
        drawn = [replace(videos[row], video=str(n)) for n, row in enumerate(rng.integers(0, len(videos), len(videos)))]
        curve = Curve.of(rank(drawn))
        if curve.defined:
            areas.append((curve.auc(), curve.ap_step(), curve.ap_trapezoid()))
    return np.array(areas).T


def test_resampled_areas_are_those_of_resampled_videos() -> None:
    videos = _videos(5, 40, 1)  # two abnormal videos of five: some draws hold none and are repeated
    areas = resampled_areas(rank(videos), Resampling(60, seed=3))
    assert areas is not None
    assert np.stack([areas.auc, areas.ap_step, areas.ap_trapezoid]) == pytest.approx(_brute_force(videos, 60, 3))


@pytest.mark.parametrize("decimals", [2, 12])
def test_binned_areas_are_near_those_of_resampled_videos(decimals: int) -> None:
    videos = _videos(30, 2000, decimals)
    areas = resampled_areas(rank(videos), Resampling(20), bins=256)
    assert areas is not None
    exact = _brute_force(videos, 20, 0)
    errors = np.abs(np.stack([areas.auc, areas.ap_step, areas.ap_trapezoid]) - exact).max(axis=1)
    assert (errors > 0).all() and (errors < exact.std(axis=1) / 50).all()


def test_heavy_ties_among_many_scores_stay_exact() -> None:
    videos = [
        replace(video, scores=np.where(np.abs(video.scores) < 1, 0, video.scores)) for video in _videos(30, 2000, 12)
    ]
    areas = resampled_areas(rank(videos), Resampling(20), bins=128)
    assert areas is not None
    exact = _brute_force(videos, 20, 0)
    errors = np.abs(np.stack([areas.auc, areas.ap_step, areas.ap_trapezoid]) - exact).max(axis=1)
    assert (errors < exact.std(axis=1) / 50).all()


def test_what_bins_cost_on_the_sample_is_taken_off() -> None:
    videos = _videos(30, 2000, 12)
    areas = resampled_areas(rank(videos), Resampling(20), bins=8)
    assert areas is not None
    exact = _brute_force(videos, 20, 0)
    errors = np.stack([areas.auc, areas.ap_step, areas.ap_trapezoid]) - exact
    assert (np.abs(errors).max(axis=1) < [1e-3, 1e-2, 1e-2]).all()


def test_interval_is_reproducible_ordered_and_widens_with_fewer_videos() -> None:
    rng = np.random.default_rng(1)
    videos = [
        LabelledScores(str(i), rng.normal(size=50) + (labels := np.arange(50) >= 25) * 0.8, labels) for i in range(20)
    ]
    interval = pooled_auc_interval(videos)
    assert interval is not None and interval == pooled_auc_interval(videos)
    assert interval != pooled_auc_interval(videos, seed=1)
    low, high = interval
    assert low < pooled_auc(videos) < high
    few = pooled_auc_interval(videos[:4])
    assert few is not None and few[1] - few[0] > high - low


def test_copies_of_a_frame_do_not_narrow_the_interval() -> None:
    videos = _videos(12, 20, 12)
    repeated = [
        replace(video, scores=np.repeat(video.scores, 16), labels=np.repeat(video.labels, 16)) for video in videos
    ]
    assert pooled_auc_interval(repeated) == pytest.approx(pooled_auc_interval(videos))


def test_one_video_none_wanted_or_one_class_give_no_interval() -> None:
    videos = _videos(4, 10, 1)
    assert pooled_auc_interval(videos[:1]) is None
    assert pooled_auc_interval(videos, resamples=0) is None
    assert resampled_areas(rank(videos[1:3]), Resampling()) is None
    assert resampled_means(np.array([0.5]), Resampling()) is None


def test_means_are_resampled() -> None:
    means = resampled_means(np.array([0.0, 1.0]), Resampling(400))
    assert means is not None and set(means) == {0, 0.5, 1}


@pytest.mark.parametrize("settings", [{"resamples": -1}, {"level": 0}, {"level": 1.0}, {"seed": -1}])
def test_impossible_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(InputError, match="an interval needs"):
        Resampling(**settings)  # type: ignore[arg-type]


def test_an_estimate_shows_what_it_has() -> None:
    assert str(Estimate(0.5, 0.4, 0.6)) == "0.5000 [0.4000, 0.6000]"
    assert (str(Estimate(0.5)), str(Estimate(None))) == ("0.5000", "-")
