"""Temporal Gaussian splatting against values worked out by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vau.training.scorer.splatting import Splatting, splatting_loss, splatting_targets

CURVE = np.array([0.1, 0.3, 0.9, 0.5, 0.1, 0.1])  # peak at 2, rises over 2 steps, falls over 3: W = 2
DEVIATION = np.array([0.1, 0.3, 0.9, 0.5, 0.1]).std()  # 0.2993: only the peak is within it


def test_literal_reading_is_nearly_a_delta():
    assert splatting_targets(CURVE, Splatting("scores")) == pytest.approx([0, 0, 1, 0, 0, 0])


def test_literal_reading_by_hand_where_neighbours_are_close():
    curve = np.array([0.0, 0.8, 0.9, 0.85, 0.0])  # W = 2, deviation 0.418
    sigma = curve.std()
    side = np.exp(-1 / (2 * sigma**2))
    assert splatting_targets(curve, Splatting("scores")) == pytest.approx([0, side, 1, side, 0], abs=1e-6)
    assert side == pytest.approx(0.0577, abs=2e-3)


def test_index_reading_by_hand():
    curve = np.array([0.0, 0.2, 0.7, 0.8, 0.9, 0.85, 0.75, 0.1, 0.0])  # W = 4, sigma 2 snippets
    near = curve >= 0.9 - curve.std()
    expected = np.exp(-((np.arange(9) - 4.0) ** 2) / 8) * near
    assert splatting_targets(curve, Splatting("index")) == pytest.approx(expected, abs=1e-6)
    assert near.tolist() == [False, False, True, True, True, True, True, False, False]


def test_gap_reading_by_hand():
    curve = np.array([0.0, 0.8, 0.9, 0.85, 0.0])
    expected = np.exp(-((curve - 0.9) ** 2) / (2 * curve.std() ** 2)) * (curve >= 0.9 - curve.std())
    assert splatting_targets(curve, Splatting("gap")) == pytest.approx(expected, abs=1e-6)


def test_overlapping_kernels_are_clipped_to_one():
    curve = np.array([0.1, 0.9, 0.6, 0.65, 0.9, 0.1, 0.1])
    targets = splatting_targets(curve, Splatting("index", reach=1))
    assert targets.max() == 1 and targets[1] == 1 and targets[4] == 1


@pytest.mark.parametrize("curve", [np.full(8, 0.4), np.array([0.5]), np.array([0.3, 0.45, 0.3, 0.4, 0.3])])
def test_no_prominent_peak_gives_zeros(curve):
    assert not splatting_targets(curve, Splatting()).any()


@pytest.mark.parametrize("curve", [[0.1, 0.2, 0.4, 0.9], [0.9, 0.4, 0.2, 0.1]])
def test_a_peak_may_stand_at_either_end(curve):
    assert splatting_targets(np.array(curve), Splatting("index"))[int(np.argmax(curve))] == 1


def test_a_higher_snippet_within_reach_takes_the_place_of_a_peak():
    curve = np.array([0.1, 0.8, 0.2, 0.9, 0.1, 0.1])
    assert splatting_targets(curve, Splatting("scores"))[1] == 0
    assert splatting_targets(curve, Splatting("scores", reach=1))[1] == 1


def test_a_saturated_plateau_does_not_divide_by_zero():
    targets = splatting_targets(np.array([0.0, 1, 1, 1, 1, 1, 0]), Splatting("scores"))
    assert np.isfinite(targets).all() and targets[3] == 1


@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1)), st.sampled_from(["scores", "index", "gap"]))
def test_targets_stay_in_range_and_mark_peaks_with_one(curve, reading):
    targets = splatting_targets(curve, Splatting(reading))
    assert targets.shape == curve.shape and (targets >= 0).all() and (targets <= 1).all()
    assert not targets.any() or targets.max() == 1


def test_loss_by_hand_and_without_gradient_through_targets():
    scores = torch.tensor([[0.1, 0.3, 0.9, 0.5, 0.1, 0.1], [0.2, 0.4, 0.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    mask = torch.tensor([[True] * 6, [True] * 2 + [False] * 4])
    logits = torch.logit(scores, eps=1e-9).requires_grad_()
    loss = splatting_loss(logits, mask, torch.tensor([True, False]), Splatting("scores"))
    abnormal = -np.log([0.9, 0.7, 0.9, 0.5, 0.9, 0.9]).mean()
    normal = -np.log([0.8, 0.6]).mean()
    assert loss.item() == pytest.approx((abnormal + normal) / 2, rel=1e-5)
    loss.backward()
    assert logits.grad[1, 2:].abs().sum() == 0  # padding
    assert logits.grad[0, 2] < 0 < logits.grad[0, 3]  # the peak is raised, its neighbour lowered
    assert logits.grad[0, 2].item() == pytest.approx((0.9 - 1) / 6 / 2, rel=1e-5)
