from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from vau.errors import InputError
from vau.eval.metrics.boundaries import Boundaries, boundary_figures, matches

TIMES = st.lists(st.integers(0, 40).map(lambda tenth: tenth / 10), max_size=12)


def _boundaries(predicted: list[float], true: list[float], video: str = "a") -> Boundaries:
    return Boundaries(video, np.array(predicted, float), np.array(true, float))


def test_figures_by_hand() -> None:
    videos = [_boundaries([1.0, 5.4, 9.0], [1.5, 5.0]), _boundaries([], [3.0], "b")]
    half, one, two = boundary_figures(videos)
    assert (half.tolerance_s, half.matched, half.predicted, half.true) == (0.5, 2, 3, 3)
    assert half.precision == half.recall == half.f1 == pytest.approx(2 / 3)
    assert one.matched == two.matched == 2


def test_a_boundary_is_matched_once() -> None:
    (found,) = boundary_figures([_boundaries([1.0, 1.1, 1.2], [1.1])], tolerances_s=(1,))
    assert (found.matched, found.precision, found.recall) == (1, pytest.approx(1 / 3), 1)


def test_the_nearest_pair_is_given_up_for_two_matches() -> None:
    # 1.0 is nearest to 1.1, but then 0.2 has no partner and 1.9 none either.
    assert matches(_boundaries([0.2, 1.0], [1.1, 1.9]), 1.0) == 2


def test_videos_do_not_match_each_other() -> None:
    (found,) = boundary_figures([_boundaries([1.0], []), _boundaries([], [1.0], "b")], tolerances_s=(1,))
    assert (found.matched, found.precision, found.recall, found.f1) == (0, 0, 0, 0)


def test_nothing_predicted_or_true_is_undefined() -> None:
    (found,) = boundary_figures([_boundaries([], [])], tolerances_s=(1,))
    assert found.precision is found.recall is found.f1 is None
    assert json.loads(json.dumps(found.to_dict()))["f1"] is None


@given(TIMES, TIMES, st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_the_number_of_matches_is_the_largest_possible(
    predicted: list[float], true: list[float], within: float
) -> None:
    found = matches(_boundaries(predicted, true), within)
    if not predicted or not true:
        assert found == 0
        return
    near = np.abs(np.subtract.outer(predicted, true)) <= within + 1e-9
    assert found == (maximum_bipartite_matching(csr_array(near.astype(int))) >= 0).sum()


def test_wrong_input_is_refused() -> None:
    with pytest.raises(InputError, match="finite times"):
        _boundaries([float("nan")], [])
    with pytest.raises(InputError, match="each once"):
        boundary_figures([_boundaries([], []), _boundaries([], [])])
    with pytest.raises(InputError, match="each once"):
        boundary_figures([])
    with pytest.raises(InputError, match="tolerances"):
        boundary_figures([_boundaries([], [])], tolerances_s=(-1,))
