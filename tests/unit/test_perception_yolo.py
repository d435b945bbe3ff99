from __future__ import annotations

import os
import sys

import numpy as np
import pytest

from vau.errors import MissingExtraError
from vau.perception.yolo import YoloDetector, read_rows, switched

NAMES = {0: "person", 2: "car"}


def test_rows_become_detections_surest_first():
    rows = np.array([[10, 10, 30, 250, 0.5, 0], [-5, 0, 20, 20, 0.9, 2], [0, 0, 9, 9, 0.8, 7]], np.float32)
    car, person = read_rows(rows, None, NAMES, (100, 200), "net")
    assert (car.label, person.label) == ("car", "person") and car.source == "net" and car.keypoints is None
    np.testing.assert_allclose(car.box, [0, 0, 20, 20])
    np.testing.assert_allclose(person.box, [10, 10, 30, 200])


def test_coco_keypoints_are_kept_and_others_left_out():
    rows = np.array([[10, 10, 30, 50, 0.5, 0]], np.float32)
    points = np.random.default_rng(0).random((1, 17, 3)).astype(np.float32)
    (person,) = read_rows(rows, points, NAMES, (100, 200), "pose")
    np.testing.assert_array_equal(person.keypoints, points[0])
    (person,) = read_rows(rows, points[:, :5], NAMES, (100, 200), "face")
    assert person.keypoints is None


def test_an_empty_result_is_empty():
    assert read_rows(np.zeros((0, 6), np.float32), None, NAMES, (100, 200), "net") == []


def test_without_the_package_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    with pytest.raises(MissingExtraError, match=r"vau\[yolo\]"):
        YoloDetector()


def test_the_environment_is_put_back(monkeypatch):
    monkeypatch.setenv("YOLO_OFFLINE", "mine")
    monkeypatch.delenv("YOLO_AUTOINSTALL", raising=False)
    with switched():
        assert os.environ["YOLO_OFFLINE"] == "true" and os.environ["YOLO_AUTOINSTALL"] == "false"
    assert os.environ["YOLO_OFFLINE"] == "mine" and "YOLO_AUTOINSTALL" not in os.environ
