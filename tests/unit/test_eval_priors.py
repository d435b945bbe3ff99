from __future__ import annotations

import numpy as np
import pytest

from vau.eval.frame import LabelledScores
from vau.eval.metrics.priors import centre, oracle, oracle_centre, priors, random, shortness

ABNORMAL = LabelledScores("a", np.zeros(4), np.array([0, 1, 0, 0]), "Arson")
NORMAL = LabelledScores("b", np.ones(8), np.zeros(8))


def test_the_oracle_knows_the_video_and_not_the_moment() -> None:
    assert oracle(ABNORMAL).scores.tolist() == [1] * 4 and oracle(NORMAL).scores.tolist() == [0] * 8
    assert oracle(ABNORMAL).labels is ABNORMAL.labels and oracle(ABNORMAL).category == "Arson"


def test_the_centre_prior_is_a_gaussian_over_the_place_in_the_video() -> None:
    weights = centre(ABNORMAL).scores
    assert weights == pytest.approx(np.exp([-0.5, -0.125, 0, -0.125]))  # at -1, -1/2, 0 and 1/2 standard deviations
    odd = centre(LabelledScores("c", np.zeros(5), np.zeros(5))).scores
    assert odd[2] == 1 and odd[1] == odd[3] > odd[0] == odd[4]
    assert oracle_centre(ABNORMAL).scores.tolist() == weights.tolist()
    assert oracle_centre(NORMAL).scores.tolist() == [0] * 8


def test_the_length_prior_prefers_short_videos() -> None:
    assert shortness(ABNORMAL).scores.tolist() == [0.25] * 4 and shortness(NORMAL).scores.tolist() == [0.125] * 8


def test_random_scores_are_fixed_by_seed_and_name() -> None:
    assert random(ABNORMAL, seed=1).scores.tolist() == random(ABNORMAL, seed=1).scores.tolist()
    assert random(ABNORMAL, seed=1).scores[0] != random(ABNORMAL, seed=2).scores[0]
    assert random(ABNORMAL).scores[0] != random(NORMAL).scores[0]


def test_figures_by_hand() -> None:
    found = priors([ABNORMAL, NORMAL])
    # One abnormal frame against three normal ones of its video, tied, and eight of the other, won.
    assert found["video-label oracle"].auc == pytest.approx((1.5 + 8) / 11)
    assert found["video-label oracle"].auc_abnormal_only == found["video-label oracle"].macro_auc == 0.5
    # The frame at 1/4 of its video: behind the one at 1/2, tied with the one at 3/4; as one at -1/2 in the other video
    # it beats -1 and +-3/4, ties with +-1/2, loses to 0 and +-1/4.
    assert found["centre"].auc == pytest.approx((1 + 0.5 + 3 + 1) / 11)
    assert found["video-label oracle x centre"].auc == pytest.approx((1.5 + 8) / 11)
    assert found["1 / length"].auc == pytest.approx((1.5 + 8) / 11)
    assert 0 <= found["random"].auc <= 1 and len(found) == 5


def test_random_scores_reach_half_on_many_frames() -> None:
    rng = np.random.default_rng(0)
    videos = [LabelledScores(str(n), np.zeros(2000), rng.random(2000) < 0.2) for n in range(10)]
    found = priors(videos)["random"]
    assert found.auc == pytest.approx(0.5, abs=0.02) and found.ap_step == pytest.approx(0.2, abs=0.02)
