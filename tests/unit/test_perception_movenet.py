from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vau.errors import ConfigError, WeightsError
from vau.perception.movenet import MoveNetPose, letterbox, read_people


def _row(score: float, box: tuple[float, float, float, float]) -> np.ndarray:
    """One person as the network writes it; keypoint i lies at y = i / 100, x = 2 i / 100 with confidence 0.5."""
    row = np.zeros(56, np.float32)
    for i in range(17):
        row[3 * i : 3 * i + 3] = i / 100, 2 * i / 100, 0.5
    row[51:55], row[55] = box, score
    return row


def test_people_are_read_in_pixels_of_the_image():
    rows = np.stack([_row(0.8, (0.1, 0.2, 0.3, 0.4)), _row(0.05, (0.1, 0.2, 0.3, 0.4))])
    (person,) = read_people(rows, square=200.0, size=(200, 50), min_confidence=0.2)
    assert person.label == "person" and person.source == "movenet-multipose-lightning"
    np.testing.assert_allclose(person.box, [40, 20, 80, 50], rtol=1e-5)  # y1 of 60 is clipped at the border
    np.testing.assert_allclose(person.keypoints[10], [40, 20, 0.5], rtol=1e-5)


def test_broken_rows_are_dropped():
    broken = _row(0.9, (0.1, 0.2, 0.3, 0.4))
    broken[4] = np.nan
    rows = np.stack([broken, _row(0.9, (0.3, 0.2, 0.1, 0.4)), _row(float("nan"), (0.1, 0.2, 0.3, 0.4))])
    assert read_people(rows, 100.0, (100, 100), 0.2) == []


@given(st.integers(1, 400), st.integers(1, 400))
def test_letterbox_keeps_the_image_and_its_proportions(width, height):
    canvas, scale = letterbox(np.full((height, width, 3), 200, np.uint8), 64)
    assert canvas.shape == (64, 64, 3) and scale == 64 / max(width, height)
    rows, columns = np.nonzero(canvas[..., 0])
    assert abs(rows.max() + 1 - max(1, height * scale)) <= 0.5
    assert abs(columns.max() + 1 - max(1, width * scale)) <= 0.5


@pytest.mark.parametrize("side", [0, -32, 250])
def test_the_input_side_must_be_a_multiple_of_32(side):
    with pytest.raises(ConfigError, match=str(side)):
        MoveNetPose(input_side=side)


def test_missing_weights_are_an_error(tmp_path):
    with pytest.raises(WeightsError, match="vau weights fetch"):
        MoveNetPose(folder=tmp_path)
