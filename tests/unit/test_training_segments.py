"""Segments of a bag: the authors' rule, their last-clip defect, and the way back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vau.errors import InputError
from vau.training.scorer.bags import Bag
from vau.training.scorer.segments import segment_bag, segment_bounds, to_clips, to_segments


def test_bounds_by_hand():
    # linspace(1, 6, 3) = 1, 3.5, 6; halves go up: 1, 4, 6, so rows 0-2 and 3-4, and row 5 with the last
    assert segment_bounds(6, 2).tolist() == [[0, 3], [3, 6]]
    assert segment_bounds(6, 2, last_clip=False).tolist() == [[0, 3], [3, 5]]


def test_fewer_clips_than_segments_share_clips():
    assert segment_bounds(2, 4).tolist() == [[0, 1], [0, 1], [1, 2], [1, 2]]
    assert segment_bounds(1, 3).tolist() == [[0, 1]] * 3


@given(st.integers(1, 500), st.integers(1, 64))
def test_every_clip_is_covered_in_order(clips, segments):
    bounds = segment_bounds(clips, segments)
    covered = {row for first, stop in bounds for row in range(first, stop)}
    assert covered == set(range(clips))
    assert (np.diff(bounds, axis=0) >= 0).all() and (bounds[:, 1] > bounds[:, 0]).all()


@given(st.integers(34, 500))
def test_the_defect_leaves_out_the_last_clip_alone(clips):
    bounds = segment_bounds(clips, last_clip=False)
    assert {row for first, stop in bounds for row in range(first, stop)} == set(range(clips - 1))


def test_segments_are_unit_means_and_zero_rows_stay():
    features = np.array([[3, 0], [0, 4], [0, 0], [0, 0]], np.float32)
    means = to_segments(features, 2, unit=False)
    assert means.tolist() == [[1.5, 2], [0, 0]]  # cut at 1, 2.5, 4, that is 1, 3, 4
    assert to_segments(features, 2)[0] == pytest.approx([0.6, 0.8]) and not to_segments(features, 2)[1].any()


def test_scores_return_to_their_clips():
    scores = np.array([0.2, 0.7])
    assert to_clips(scores, 6).tolist() == [0.2, 0.2, 0.2, 0.7, 0.7, 0.7]
    assert to_clips(scores, 6, last_clip=False).tolist() == [0.2, 0.2, 0.2, 0.7, 0.7, 0]


def test_bag_labels_follow():
    bag = Bag("v", np.eye(6, dtype=np.float32), 3, np.array([0, 0, 0, 0, 0, 1], bool))
    assert segment_bag(bag, 2).frame_labels.tolist() == [False, True]
    assert segment_bag(bag, 2, last_clip=False).frame_labels.tolist() == [False, False]
    assert segment_bag(bag, 2).label == 3 and segment_bag(Bag("v", bag.features, 0)).frame_labels is None


def test_nothing_to_cut():
    with pytest.raises(InputError, match="0 clips"):
        segment_bounds(0)
