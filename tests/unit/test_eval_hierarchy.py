from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vau.errors import InputError
from vau.eval.metrics.hierarchy import hierarchy_figures, pair_accuracy, wu_palmer

paths = st.lists(st.sampled_from("ab"), min_size=1, max_size=4).map(tuple)


def test_figures_by_hand() -> None:
    truths = [("anomaly", "conditional", "climbing", "cliff"), ("normal",)]
    predictions = [("anomaly", "conditional", "falling"), ("anomaly", "absolute")]
    figures = {figure.name: figure.value() for figure in hierarchy_figures(predictions, truths)}
    assert figures["hP"] == pytest.approx(2 / 5)
    assert figures["hR"] == pytest.approx(2 / 5)
    assert figures["hF"] == pytest.approx(2 / 5)
    assert figures["Wu-Palmer"] == pytest.approx((2 * 2 / 7 + 0) / 2)


def test_equal_names_below_different_parents_are_different() -> None:
    assert wu_palmer(("anomaly", "climbing"), ("normal", "climbing")) == 0


def test_a_failed_item_has_no_share() -> None:
    figures = {figure.name: figure.value() for figure in hierarchy_figures([None, None], [("a", "b"), ("a",)])}
    assert set(figures.values()) == {0}


@given(st.lists(st.tuples(paths, paths), min_size=1, max_size=10))
def test_f_lies_between_precision_and_recall(rows) -> None:
    figures = {one.name: one.value() for one in hierarchy_figures([row[0] for row in rows], [row[1] for row in rows])}
    low, high = sorted((figures["hP"], figures["hR"]))
    assert low - 1e-12 <= figures["hF"] <= high + 1e-12


def test_a_pair_is_right_when_both_are() -> None:
    figure = pair_accuracy([True, True, True, False, False], ["a", "a", "b", "b", None])
    assert figure.value() == 0.5
    assert pair_accuracy([True], [None]).value() is None


def test_an_empty_true_path_is_refused() -> None:
    with pytest.raises(InputError, match="empty"):
        hierarchy_figures([("a",)], [()])
