from __future__ import annotations

import numpy as np
import pytest

from vau.errors import InputError
from vau.eval.metrics.intervals import Interval, localisation_figures, vadclip_intervals

TRUTH = [Interval("a", "fire", 0, 10), Interval("b", "fire", 5, 15), Interval("b", "fight", 20, 30)]


def test_overlap() -> None:
    assert TRUTH[0].overlap(TRUTH[1]) == pytest.approx(5 / 15)
    assert TRUTH[0].overlap(Interval("a", "fire", 10, 12)) == 0


def test_perfect_predictions_reach_one_and_none_reach_zero() -> None:
    assert localisation_figures(TRUTH, TRUTH).maps == (1.0,) * 5
    assert localisation_figures([], TRUTH).mean == 0


def test_average_precision_by_hand() -> None:
    predictions = [
        Interval("a", "fire", 0, 6, 0.9),  # overlap 0.6 with its true interval
        Interval("c", "fire", 0, 10, 0.8),  # no true interval in this video
        Interval("b", "fire", 5, 9, 0.7),  # 0.4
        Interval("b", "fight", 20, 30, 0.6),
    ]
    found = localisation_figures(predictions, TRUTH, tious=(0.4, 0.5))
    assert found.by_class["fire"] == pytest.approx(((1 + 2 / 3) / 2, 1 / 2))
    assert found.by_class["fight"] == (1, 1)
    assert found.maps == pytest.approx((11 / 12, 3 / 4)) and found.mean == pytest.approx(5 / 6)
    assert (found.predictions, found.truths) == (4, 3)


def test_a_true_interval_is_taken_once_and_by_the_best_left() -> None:
    truth = [Interval("a", "x", 0, 10), Interval("a", "x", 8, 18)]
    predictions = [Interval("a", "x", 0, 10, 0.9), Interval("a", "x", 1, 12, 0.8), Interval("a", "x", 0, 10, 0.7)]
    # The second prediction finds its best true interval taken; at 0.2 the other one (4 of 17 s) will do.
    assert localisation_figures(predictions, truth, tious=(0.2, 0.3)).maps == pytest.approx((1.0, 0.5))


def test_interpolated_precision_is_the_best_at_its_recall_or_later() -> None:
    predictions = [Interval("z", "x", 0, 1, 0.9), Interval("a", "x", 0, 1, 0.8), Interval("b", "x", 0, 1, 0.7)]
    truth = [Interval("a", "x", 0, 1), Interval("b", "x", 0, 1)]
    assert localisation_figures(predictions, truth).mean == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert localisation_figures(predictions, truth, interpolated=True).mean == pytest.approx(2 / 3)


def test_a_class_without_truth_counts_only_where_it_is_named() -> None:
    predictions = [*TRUTH, Interval("a", "other", 0, 1, 0.5)]
    assert localisation_figures(predictions, TRUTH).mean == 1
    named = localisation_figures(predictions, TRUTH, classes=("fight", "fire", "normal"))
    assert named.by_class["normal"] == (0,) * 5 and named.mean == pytest.approx(2 / 3)


def test_equal_scores_give_one_result_in_any_order() -> None:
    predictions = [
        Interval("a", "fire", 0, 10, 0.5),
        Interval("c", "fire", 0, 1, 0.5),
        Interval("b", "fire", 5, 15, 0.5),
    ]
    found = {localisation_figures(order, TRUTH).mean for order in (predictions, predictions[::-1])}
    assert len(found) == 1


def test_vadclip_cuts_runs_above_the_threshold() -> None:
    scores = np.zeros((32, 2))
    scores[4:8, 0] = 0.5
    scores[10, 0] = 1.0  # one row: too short
    scores[20:24, 0] = 0.3  # below 1 - 0.6
    (found,) = vadclip_intervals("a", scores, ("fire", "none"), step_s=0.5)
    assert (found.video, found.label, found.start_s, found.end_s) == ("a", "fire", 2, 4)
    assert found.score == pytest.approx(0.5 + 0.7 * (1.0 + 0.5) / 2)  # mean of the highest 32 / 16 rows
    low, lower = sorted(
        vadclip_intervals("a", scores, ("fire", "none"), step_s=0.5, depths=(0.6, 0.8)), key=lambda one: one.start_s
    )
    assert (low.start_s, lower.start_s) == (2, 10)  # the first run is found twice and kept once


def test_flat_scores_hold_no_interval() -> None:
    assert vadclip_intervals("a", np.full((20, 1), 0.7), ("x",), step_s=1) == []
    assert vadclip_intervals("a", np.zeros((20, 1)), ("x",), step_s=1) == []


def test_wrong_input_is_refused() -> None:
    with pytest.raises(InputError, match="start < end"):
        Interval("a", "x", 3, 3)
    with pytest.raises(InputError, match="finite"):
        Interval("a", "x", 0, 1, float("nan"))
    with pytest.raises(InputError, match="true intervals"):
        localisation_figures(TRUTH, [])
    with pytest.raises(InputError, match="thresholds"):
        localisation_figures(TRUTH, TRUTH, tious=(0.0,))
    with pytest.raises(InputError, match=r"finite \(N, 1\)"):
        vadclip_intervals("a", np.zeros((5, 2)), ("x",), step_s=1)
    with pytest.raises(InputError, match="step"):
        vadclip_intervals("a", np.zeros((5, 1)), ("x",), step_s=0)
