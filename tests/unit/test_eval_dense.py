from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from vau.errors import InputError
from vau.eval.metrics.dense import Told, check_events, dense_figures, soda_f


def best_in_order(gains) -> float:
    """The highest sum of a matching in order, by trying all."""
    predicted, true = gains.shape
    best = 0.0
    for size in range(1, min(predicted, true) + 1):
        for rows in itertools.combinations(range(predicted), size):
            for columns in itertools.combinations(range(true), size):
                best = max(best, sum(gains[row, column] for row, column in zip(rows, columns, strict=True)))
    return best


@settings(deadline=None)
@given(arrays.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 4)), elements=st.floats(0, 1)))
def test_soda_takes_the_best_matching_in_order(gains) -> None:
    total = best_in_order(gains)
    precision, recall = total / gains.shape[0], total / gains.shape[1]
    expected = 2 * precision * recall / (precision + recall) if total else 0
    assert soda_f(gains) == pytest.approx(expected)


def test_soda_does_not_pay_for_crossing_or_repeating() -> None:
    assert soda_f(np.array([[0.0, 1.0], [1.0, 0.0]])) == pytest.approx(0.5)
    assert soda_f(np.ones((4, 1))) == pytest.approx(2 * 0.25 * 1 / 1.25)
    assert soda_f(np.zeros((0, 3))) == 0


def test_forms_of_events() -> None:
    told = Told((1.0, 2.0), "a man runs")
    assert check_events([{"timestamp": [1, 2], "sentence": "a man runs"}]) == (told,)
    assert check_events({"events": [{"span_s": [1, 2], "sentence": "a man runs"}]}) == (told,)
    for wrong in (None, "x", [{"span_s": [1, 2]}], [{"span_s": [2, 1], "sentence": "a"}], [3]):
        with pytest.raises(InputError):
            check_events(wrong)


def test_a_video_without_truth_is_refused() -> None:
    with pytest.raises(InputError, match="at least one true event"):
        dense_figures([()], [()])
