from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from vau.errors import InputError
from vau.eval.frame import LabelledScores
from vau.eval.metrics.ranking import (
    Curve,
    figures,
    mixed_aucs,
    padded_macro_auc_inflated,
    pooled_auc,
    rank,
)

EXACT = {"rel": 0, "abs": 1e-12}


def _video(name: str, scores: list[float], labels: list[int]) -> LabelledScores:
    return LabelledScores(name, np.array(scores, float), np.array(labels))


def _trapezoid(labels: np.ndarray, scores: np.ndarray) -> float:
    precision, recall, _ = precision_recall_curve(labels, scores)
    return auc(recall, precision)


@st.composite
def _videos(draw: st.DrawFn) -> list[LabelledScores]:
    """Draws videos with heavy ties, long runs and, pooled, both classes."""
    score = st.sampled_from([-2.0, -0.0, 0.0, 0.1, 0.5, 0.5000001, 1.0]) | st.floats(-1, 1, width=16)
    frame = st.tuples(score, st.booleans(), st.integers(1, 5))
    rows = draw(st.lists(st.lists(frame, min_size=1, max_size=8), min_size=1, max_size=6))
    rows.append([(draw(score), True, 2), (draw(score), False, 1)])
    return [
        _video(
            str(number),
            [score for score, _, times in video for _ in range(times)],
            [int(label) for _, label, times in video for _ in range(times)],
        )
        for number, video in enumerate(rows)
    ]


@given(_videos())
def test_figures_equal_those_of_scikit_learn(videos: list[LabelledScores]) -> None:
    found = figures(rank(videos))
    labels, scores = (np.concatenate([getattr(video, name) for video in videos]) for name in ("labels", "scores"))
    assert found.auc == pytest.approx(roc_auc_score(labels, scores), **EXACT)
    assert found.ap_step == pytest.approx(average_precision_score(labels, scores), **EXACT)
    assert found.ap_trapezoid == pytest.approx(_trapezoid(labels, scores), **EXACT)
    assert pooled_auc(videos) == found.auc

    abnormal = [video for video in videos if video.labels.any()]
    labels, scores = (np.concatenate([getattr(video, name) for video in abnormal]) for name in ("labels", "scores"))
    assert found.auc_abnormal_only == pytest.approx(roc_auc_score(labels, scores), **EXACT)
    assert found.ap_step_abnormal_only == pytest.approx(average_precision_score(labels, scores), **EXACT)
    assert found.ap_trapezoid_abnormal_only == pytest.approx(_trapezoid(labels, scores), **EXACT)

    single = [roc_auc_score(video.labels, video.scores) for video in abnormal if not video.labels.all()]
    assert mixed_aucs(rank(videos)) == pytest.approx(single, **EXACT)
    assert found.macro_auc == pytest.approx(np.mean(single), **EXACT)


@given(_videos())
def test_padded_macro_is_that_of_the_common_code(videos: list[LabelledScores]) -> None:
    areas = []
    for video in videos:
        labels = np.concatenate([[0], video.labels, [1]])
        scores = np.concatenate([[0], video.scores, [sys.float_info.max]])
        areas.append(auc(*roc_curve(labels, scores)[:2]))
    assert padded_macro_auc_inflated(rank(videos)) == pytest.approx(np.mean(areas), **EXACT)


@given(_videos(), st.randoms())
def test_the_order_of_videos_does_not_matter(videos: list[LabelledScores], random: object) -> None:
    shuffled = list(videos)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert vars(figures(rank(shuffled))) == pytest.approx(vars(figures(rank(videos))), **EXACT)


@pytest.mark.parametrize("decimals", [0, 1, 3, 12])
def test_parity_on_many_frames_with_ties(decimals: int) -> None:
    rng = np.random.default_rng(decimals)
    labels = rng.random(50_000) < 0.08
    scores = np.round(rng.normal(size=50_000) + labels, decimals)
    curve = Curve.of(rank([LabelledScores("a", scores, labels)]))
    assert curve.auc() == pytest.approx(roc_auc_score(labels, scores), **EXACT)
    assert curve.ap_step() == pytest.approx(average_precision_score(labels, scores), **EXACT)
    assert curve.ap_trapezoid() == pytest.approx(_trapezoid(labels, scores), **EXACT)


def test_tied_pairs_count_half() -> None:
    videos = [_video("a", [0.1, 0.9], [0, 1]), _video("b", [0.9, 0.2], [0, 0])]
    # Pairs of the one abnormal frame (0.9) with 0.1, 0.9, 0.2: won, tied, won.
    assert pooled_auc(videos) == pytest.approx(2.5 / 3)


def test_the_two_areas_called_ap_differ_on_tied_scores() -> None:
    found = figures(rank([_video("a", [0.5] * 4, [1, 0, 0, 0])]))
    # One threshold, precision 1/4 at recall 1; the straight line to it starts at precision 1.
    assert (found.ap_step, found.ap_trapezoid) == (0.25, 0.625)


def test_padding_inflates() -> None:
    ranked = rank([_video("a", [0.9, 0.1], [0, 1]), _video("b", [0.1], [0])])
    assert figures(ranked).macro_auc == 0
    # Two abnormal over two normal frames, three of the four pairs right by the added ones; the normal video is right.
    assert padded_macro_auc_inflated(ranked) == pytest.approx((0.75 + 1) / 2)


def test_undefined_figures_are_none() -> None:
    found = figures(rank([_video("a", [0.9], [1]), _video("b", [0.1], [0])]))
    assert found.auc == 1
    assert found.auc_abnormal_only is found.ap_step_abnormal_only is found.macro_auc is None


def test_pooling_needs_both_classes() -> None:
    with pytest.raises(InputError, match="both classes"):
        pooled_auc([_video("a", [0.1], [0])])
