from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vau.errors import CheckpointError, InputError
from vau.scoring.fusion import QuantileFusion, QuantileScale, power_mean


def validation(seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {"motion": random.gamma(2.0, 1.0, 2000), "pose": 100 * random.random((40, 50))}


def test_power_mean_by_hand() -> None:
    scores, shares = power_mean(np.array([[0.5, 0.0], [0.4, 0.4], [1.0, 1.0], [0.0, 0.0]]))
    assert scores == pytest.approx([0.5, 0.4 * 2**0.25, 1.0, 0.0])
    assert shares.sum(1) == pytest.approx(scores)
    assert shares[1] == pytest.approx([0.2 * 2**0.25] * 2)


@given(st.integers(0, 1000), st.integers(0, 20), st.integers(1, 6), st.floats(1, 8))
def test_power_mean_is_bounded_and_does_not_depend_on_the_order(seed: int, rows: int, count: int, power: float) -> None:
    random = np.random.default_rng(seed)
    levels = random.random((rows, count)) ** 4
    scores, shares = power_mean(levels, power)
    assert (scores >= levels.max(axis=1) - 1e-12).all() if rows else not len(scores)
    assert (scores <= 1).all() and (shares >= 0).all()
    assert shares.sum(1) == pytest.approx(scores)
    order = random.permutation(count)
    again, moved = power_mean(levels[:, order], power)
    assert again == pytest.approx(scores)
    assert moved == pytest.approx(shares[:, order])


def test_scale_is_the_rule_of_the_paper() -> None:
    values = np.arange(1001.0)
    scale = QuantileScale.fit(values)
    assert (scale.low, scale.high) == (900.0, 995.0)
    assert scale.apply([900.0, 995.0, 805.0]) == pytest.approx([0.0, 0.1, -0.1])


def test_a_measure_that_never_moves_can_be_scaled() -> None:
    scale = QuantileScale.fit(np.full(10, 3.0))
    assert scale.apply(3.0) == 0
    assert scale.apply(3.1) > 1e6


@pytest.mark.parametrize("values", [[], [1.0, np.nan], [np.inf]])
def test_scale_needs_finite_values(values) -> None:
    with pytest.raises(InputError, match=r"finite"):
        QuantileScale.fit(values)


def test_terms_and_levels_by_hand() -> None:
    fusion = QuantileFusion((("a", QuantileScale(0, 1)), ("b", QuantileScale(10, 20))), (0.75, 0.25))
    values = {"b": np.array([20.0, 10.0, 50.0]), "a": np.array([1.0, 0.0, -1.0]), "unused": np.zeros(7)}
    assert fusion.terms(values) == pytest.approx(np.array([[0.075, 0.025], [0, 0], [-0.075, 0.1]]))
    scores, shares = fusion.levels(values, half=0.1)
    assert scores == pytest.approx([0.5, 0.0, 0.5])
    assert shares == pytest.approx(np.array([[0.375, 0.125], [0, 0], [0, 0.5]]))


@settings(deadline=None)
@given(st.integers(0, 100), st.floats(-1e9, 1e9), st.floats(-1e9, 1e9))
def test_levels_are_scores_for_any_value(seed: int, first: float, second: float) -> None:
    fusion = QuantileFusion.fit(validation(seed), [1, 3])
    scores, shares = fusion.levels({"motion": np.array([first, 0.0]), "pose": np.array([second, 0.0])})
    assert ((scores >= 0) & (scores <= 1)).all()
    assert shares.sum(-1) == pytest.approx(scores)


def test_levels_rise_with_the_measure_and_half_lies_where_it_is_said() -> None:
    fusion = QuantileFusion.fit({"one": validation()["motion"]})
    scale = fusion.scales[0][1]
    twice = scale.low + 2 * (scale.high - scale.low)
    scores, _ = fusion.levels({"one": np.array([scale.low, scale.high, twice, 1e12])})
    assert (np.diff(scores) > 0).all()
    assert (scores[0], scores[2]) == (0, pytest.approx(0.5))


def test_normal_data_stays_quiet_and_scale_of_a_measure_does_not_matter() -> None:
    known, new = validation(0), validation(1)
    scores, _ = QuantileFusion.fit({"m": known["motion"]}).levels({"m": new["motion"]})
    assert np.mean(scores >= 0.5) < 0.005
    scaled, _ = QuantileFusion.fit({"m": 7 * known["motion"] + 3}).levels({"m": 7 * new["motion"] + 3})
    assert scaled == pytest.approx(scores, abs=1e-9)


def test_any_shape_such_as_heat_maps() -> None:
    fusion = QuantileFusion.fit(validation())
    values = {name: np.ones((2, 3, 4)) for name in fusion.names}
    assert fusion.terms(values).shape == (2, 3, 4, 2)


@given(st.integers(0, 50))
def test_plain_data_keeps_every_digit_through_json(seed: int) -> None:
    fusion = QuantileFusion.fit(validation(seed), [0.2, 0.9])
    assert QuantileFusion.from_dict(json.loads(json.dumps(fusion.to_dict()))) == fusion


GOOD = {"low": 0.0, "high": 1.0, "weight": 1.0}


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        "a",
        {"a": None},
        {"a": 1.0},
        {"a": {"low": 0.0, "high": 1.0}},
        {"a": GOOD | {"low": 2.0}},
        {"a": GOOD | {"high": float("nan")}},
        {"a": GOOD | {"high": "x"}},
        {"a": GOOD | {"weight": 0.5}},
        {"a": GOOD | {"weight": -1.0}},
        {"a": GOOD | {"weight": 10**400}},
        {"a": GOOD, "b": GOOD},
        {str(i): GOOD for i in range(300)},
    ],
)
def test_damaged_data_is_refused(data) -> None:
    with pytest.raises(CheckpointError, match="quantiles"):
        QuantileFusion.from_dict(data)


def test_errors() -> None:
    with pytest.raises(InputError, match="as many weights"):
        QuantileFusion.fit(validation(), [1.0])
    with pytest.raises(InputError, match="as many weights"):
        QuantileFusion.fit(validation(), [0.0, 0.0])
    with pytest.raises(InputError, match="as many weights"):
        QuantileFusion.fit({})
    fusion = QuantileFusion.fit(validation())
    with pytest.raises(InputError, match="pose are missing"):
        fusion.terms({"motion": np.zeros(2)})
    with pytest.raises(InputError, match="one shape"):
        fusion.terms({"motion": np.zeros(2), "pose": np.zeros(3)})
    with pytest.raises(ValueError, match="one name"):
        QuantileFusion((("a", QuantileScale(0, 1)), ("a", QuantileScale(0, 1))), (0.5, 0.5))
