from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from vau.errors import CheckpointError, InputError
from vau.scoring.lengths import LengthClass, LengthNormaliser, box_cox


def grown(count: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns scores of normal events that grow with their lengths of 2 and 60 s."""
    random = np.random.default_rng(seed)
    lengths = random.choice([2.0, 60.0], count)
    return lengths * random.lognormal(0, 0.3, count), lengths


def test_box_cox_by_hand() -> None:
    assert box_cox([1.0, 2.0, 4.0], 2.0) == pytest.approx([0, 1.5, 7.5])
    assert box_cox([1.0, np.e], 0.0) == pytest.approx([0, 1])
    assert box_cox([2.0], 1e-9) == pytest.approx(np.log([2.0]))


def test_lambda_is_that_of_maximum_likelihood() -> None:
    values = np.random.default_rng(0).lognormal(0, 0.5, 300) ** 2
    found = LengthNormaliser.fit(values, np.full(300, 3.0))
    changed, power = stats.boxcox(values)
    assert len(found.classes) == 1
    assert found.classes[0].power == pytest.approx(power, abs=1e-4)
    assert found.apply(values, np.full(300, 3.0)) == pytest.approx((changed - changed.mean()) / changed.std(), abs=1e-3)


def test_events_of_unlike_length_become_comparable() -> None:
    scores, lengths = grown()
    known = LengthNormaliser.fit(scores, lengths, classes=2)
    fresh, spans = grown(seed=1)
    short, long = (known.apply(fresh, spans)[spans == length] for length in (2.0, 60.0))
    assert abs(short.mean()) < 0.2 and abs(long.mean()) < 0.2
    assert short.std() == pytest.approx(1, abs=0.15) and long.std() == pytest.approx(1, abs=0.15)
    # A short event of score 10 is far out, a long one of the same score is not.
    odd = known.apply([10.0, 10.0], [2.0, 60.0])
    assert odd[0] > 3 > 0 > odd[1]


def test_classes_hold_enough_scores_and_cover_all_lengths() -> None:
    scores, lengths = grown(20)
    assert len(LengthNormaliser.fit(scores, lengths, classes=10).classes) <= 2
    spread = LengthNormaliser.fit(np.ones(64), np.arange(1.0, 65.0), classes=4)
    assert [item.upto_s for item in spread.classes] == pytest.approx([16.75, 32.5, 48.25, np.inf])
    assert np.isfinite(spread.apply([0.0, 1.0, 5.0], [1e-6, 40.0, 1e9])).all()


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 1000), st.integers(8, 80), st.integers(1, 6))
def test_any_scores_give_finite_values_that_rise_with_the_score(seed: int, count: int, classes: int) -> None:
    random = np.random.default_rng(seed)
    scores = random.random(count) ** random.integers(1, 9) * (random.random(count) > 0.3)
    known = LengthNormaliser.fit(scores, random.integers(1, 5, count).astype(float), classes=classes)
    assert known.classes[-1].upto_s == np.inf
    found = known.apply(np.linspace(0, 2, 30), np.full(30, 2.0))
    assert np.isfinite(found).all() and (np.diff(found) >= 0).all()
    assert LengthNormaliser.from_dict(json.loads(json.dumps(known.to_dict()))) == known


@pytest.mark.parametrize(
    ("scores", "lengths", "message"),
    [
        (np.ones(7), np.ones(7), "at least 8"),
        (np.ones(9), np.ones(8), "equal"),
        (-np.ones(9), np.ones(9), "not negative"),
        (np.full(9, np.nan), np.ones(9), "finite"),
        (np.ones(9), np.zeros(9), "positive"),
    ],
)
def test_unusable_data(scores: np.ndarray, lengths: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        LengthNormaliser.fit(scores, lengths)


LAST = {"upto_s": None, "power": 1.0, "mean": 0.0, "spread": 1.0}


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"classes": []},
        {"classes": {}},
        {"classes": [None]},
        {"classes": [LAST | {"upto_s": 3.0}]},
        {"classes": [LAST, LAST]},
        {"classes": [LAST | {"power": 50.0}]},
        {"classes": [LAST | {"spread": -1.0}]},
        {"classes": [LAST | {"mean": float("nan")}]},
        {"classes": [LAST | {"mean": "x"}]},
        {"classes": [{"upto_s": None}]},
    ],
)
def test_damaged_data_is_refused(data) -> None:
    with pytest.raises(CheckpointError, match="length classes"):
        LengthNormaliser.from_dict(data)


def test_values_are_checked() -> None:
    with pytest.raises(ValueError, match="increase"):
        LengthNormaliser((LengthClass(5.0, 1.0, 0.0, 1.0),))
