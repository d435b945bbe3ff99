from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from vau.errors import InputError
from vau.eval.frame import LabelledScores
from vau.eval.result import evaluate_frames


def _videos() -> list[LabelledScores]:
    rng = np.random.default_rng(0)
    videos = []
    for number in range(24):
        frames = 20 + 5 * number
        category = ["", "Arson", "Fighting", "Arson+Fighting"][number % 4]
        labels = (np.arange(frames) % 20 < 6) & bool(category)
        videos.append(LabelledScores(f"v{number}", np.round(rng.random(frames) + 0.5 * labels, 1), labels, category))
    return videos


def test_every_figure_comes_with_its_interval_and_what_it_rests_on() -> None:
    videos = _videos()
    result = evaluate_frames(videos, expected=24, resamples=200)
    assert (result.used, result.expected, result.complete) == (24, 24, True)
    assert result.frames == sum(map(len, videos)) and result.abnormal_videos == result.mixed_videos == 18
    assert result.abnormal_frames == sum(int(video.labels.sum()) for video in videos)
    for name in ("auc", "ap_step", "ap_trapezoid", "auc_abnormal_only", "ap_step_abnormal_only", "macro_auc"):
        estimate = getattr(result, name)
        assert estimate.low < estimate.value < estimate.high, name
    assert result.auc.value == pytest.approx(
        roc_auc_score(np.concatenate([v.labels for v in videos]), np.concatenate([v.scores for v in videos])), abs=1e-12
    )
    assert result.padded_macro_auc_inflated > result.macro_auc.value
    assert list(result.priors) == [
        "video-label oracle",
        "centre",
        "video-label oracle x centre",
        "1 / length",
        "random",
    ]


def test_a_result_is_json_and_reproducible() -> None:
    result = evaluate_frames(_videos(), expected=24, resamples=50, seed=4)
    text = json.dumps(result.to_dict(), allow_nan=False)
    assert text == json.dumps(evaluate_frames(_videos(), expected=24, resamples=50, seed=4).to_dict())
    assert json.loads(text)["auc"]["low"] == result.auc.low and json.loads(text)["complete"] is True


def test_partial_data_are_refused_unless_allowed_and_then_said() -> None:
    videos = _videos()
    with pytest.raises(InputError, match="23 videos where the protocol has 24"):
        evaluate_frames(videos[:-1], expected=24)
    with pytest.raises(InputError, match="24 videos where the protocol has 23"):
        evaluate_frames(videos, expected=23, allow_partial=True)
    result = evaluate_frames(videos[:-1], expected=24, allow_partial=True, resamples=0)
    assert (result.used, result.expected, result.complete) == (23, 24, False)
    assert result.auc.low is None


def test_undefined_figures_are_none_and_still_json() -> None:
    videos = [
        LabelledScores("a", np.array([0.1, 0.9]), np.array([True, True])),
        LabelledScores("b", np.array([0.5]), np.array([False])),
    ]
    result = evaluate_frames(videos, expected=2)
    assert result.macro_auc.value is result.macro_auc.low is result.auc_abnormal_only.value is None
    assert result.auc.value == 0.5 and result.by_category == ()
    json.dumps(result.to_dict(), allow_nan=False)


def test_rows_by_class_hold_their_videos_and_the_normal_ones() -> None:
    videos = _videos()
    arson, fighting = evaluate_frames(videos, expected=24, resamples=0).by_category
    assert (arson.group, fighting.group) == ("Arson", "Fighting")
    own = [video for video in videos if "Arson" in video.category]
    joined = own + [video for video in videos if not video.category]
    assert arson.videos == len(own) == 12
    for group, auc, ap in (
        (own, arson.auc, arson.ap_step),
        (joined, arson.auc_with_normal, arson.ap_step_with_normal),
    ):
        labels, scores = np.concatenate([v.labels for v in group]), np.concatenate([v.scores for v in group])
        assert auc == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
        assert ap == pytest.approx(average_precision_score(labels, scores), abs=1e-12)


def test_rows_by_length_add_each_normal_video_once() -> None:
    videos = _videos()
    row = evaluate_frames(videos, expected=24, resamples=0).by_length[0]
    group = [video for video in videos if len(video) <= 50 or not video.category]
    labels, scores = np.concatenate([v.labels for v in group]), np.concatenate([v.scores for v in group])
    assert row.group == "20 to 50 frames"
    assert row.auc_with_normal == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
    assert row.ap_step_with_normal == pytest.approx(average_precision_score(labels, scores), abs=1e-12)


def test_rows_by_length_share_out_the_videos() -> None:
    rows = evaluate_frames(_videos(), expected=24, resamples=0).by_length
    assert [row.videos for row in rows] == [7, 6, 6, 5]
    assert rows[0].group.startswith("20 to ") and rows[-1].group.endswith(" to 135 frames")
    same = [LabelledScores(str(n), np.arange(4.0), np.array([0, 0, 1, 1])) for n in range(5)]
    (row,) = evaluate_frames(same, expected=5, resamples=0).by_length
    assert (row.group, row.videos, row.auc) == ("4 to 4 frames", 5, 1.0)
    assert row.auc_with_normal == 1.0
    with pytest.raises(InputError, match="at least one range"):
        evaluate_frames(same, expected=5, resamples=0, length_bins=0)
