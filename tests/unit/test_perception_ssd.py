from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vau.errors import PerceptionError, WeightsError
from vau.perception.coco import CLASS_NAMES
from vau.perception.models import box_iou, check_images, clip_boxes, keep_real, per_class_nms, unit_rows
from vau.perception.ssd import SsdDetector, read_rows
from vau.types import Detection


def _seen(label: str, confidence: float, *box: float) -> Detection:
    return Detection(label, confidence, np.array(box, np.float32), "test")


def test_coco_names_sit_at_their_annotation_ids():
    assert len(CLASS_NAMES) == len(set(CLASS_NAMES.values())) == 80
    known = {1: "person", 3: "car", 13: "stop sign", 27: "backpack", 44: "bottle", 62: "chair", 72: "tv"}
    assert {i: CLASS_NAMES[i] for i in known} == known and CLASS_NAMES[90] == "toothbrush"


def test_rows_become_detections_in_pixels():
    rows = np.array([[0, 1, 0.9, 0.25, 0.1, 0.5, 1.2], [0, 3, 0.2, 0, 0, 1, 1]], np.float32)
    (found,) = read_rows(rows, 200, 100, min_confidence=0.3, nms_iou=0.5)
    assert found.label == "person" and found.confidence == pytest.approx(0.9)
    np.testing.assert_allclose(found.box, [50, 10, 100, 100])


def test_rows_of_no_use_are_dropped():
    rows = np.array(
        [
            [0, 12, 0.9, 0.1, 0.1, 0.5, 0.5],  # an id that COCO never used
            [0, 1, 0.9, 0.5, 0.1, 0.4, 0.5],  # inside out
            [0, 1, 0.9, 1.1, 0.1, 1.4, 0.5],  # beside the image
            [0, 1, 0.9, np.nan, 0.1, 0.4, 0.5],
            [0, 1, np.nan, 0.1, 0.1, 0.4, 0.5],
        ],
        np.float32,
    )
    assert read_rows(rows, 200, 100, min_confidence=0.3, nms_iou=0.5) == []


def test_overlaps_are_suppressed_within_a_class_only():
    same = [_seen("person", 0.6, 0, 0, 10, 10), _seen("person", 0.9, 1, 0, 11, 10), _seen("dog", 0.5, 0, 0, 10, 10)]
    assert [(d.label, d.confidence) for d in per_class_nms(same, 0.5)] == [("person", 0.9), ("dog", 0.5)]
    assert len(per_class_nms(same, 0.95)) == 3
    assert per_class_nms([], 0.5) == []


def test_overlap_of_boxes():
    a, b = np.array([0, 0, 4, 2], np.float32), np.array([2, 0, 6, 2], np.float32)
    assert box_iou(a, b) == pytest.approx(4 / 12) and box_iou(a, a) == 1.0
    assert box_iou(a, b + 10) == 0.0


coordinate = st.floats(-1e4, 1e4, width=32) | st.just(float("nan")) | st.just(float("inf"))


@given(
    st.lists(st.tuples(coordinate, coordinate, coordinate, coordinate), min_size=1, max_size=8),
    st.integers(1, 3000),
    st.integers(1, 3000),
)
def test_what_survives_clipping_lies_in_the_image(rows, width, height):
    boxes = clip_boxes(np.array(rows, np.float32), width, height)
    for x0, y0, x1, y1 in boxes[keep_real(boxes)]:
        assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height


@pytest.mark.parametrize(
    "images", [np.zeros((2, 4, 4), np.uint8), np.zeros((1, 4, 4, 3), np.float32), np.zeros((1, 0, 4, 3), np.uint8)]
)
def test_images_of_another_shape_are_refused(images):
    with pytest.raises(PerceptionError, match="got"):
        check_images(images)


def test_features_become_unit_rows_or_an_error():
    np.testing.assert_allclose(unit_rows(np.array([[3.0, 4.0]], np.float32), "test"), [[0.6, 0.8]], rtol=1e-6)
    for bad in ([[0.0, 0.0]], [[np.nan, 1.0]]):
        with pytest.raises(PerceptionError, match="test returned features"):
            unit_rows(np.array(bad, np.float32), "test")


def test_missing_weights_are_an_error(tmp_path):
    with pytest.raises(WeightsError, match="vau weights fetch"):
        SsdDetector(folder=tmp_path)
