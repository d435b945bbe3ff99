from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest

from tests.tracks import observations
from vau.perception.motion import (
    MOTION_CHANNELS,
    SHOT_CHANGE,
    FlowField,
    MotionMeter,
    direction_entropy,
    direction_histogram,
    turbulence,
)

SIZE = (320, 240)
STEP_S = 1 / 12


def texture(seed: int = 0, size: tuple[int, int] = (640, 480)) -> np.ndarray:
    """Returns a smooth random picture (H, W, 3)."""
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 20, 235, cv2.NORM_MINMAX)


def window(picture: np.ndarray, x: float, y: float, size: tuple[int, int] = SIZE) -> np.ndarray:
    shift = np.float32([[1, 0, -x], [0, 1, -y]])
    return cv2.warpAffine(picture, shift, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def measured(frames: list[np.ndarray], step_s: float = STEP_S) -> tuple[dict[str, float], MotionMeter]:
    """Returns the row over all frames by channel, and the meter."""
    meter = MotionMeter()
    for index, frame in enumerate(frames):
        meter.push(frame, index * step_s)
    return dict(zip(MOTION_CHANNELS, meter.take().tolist(), strict=True)), meter


def patch_moves(pixels: tuple[float, float], frames: int = 4) -> list[np.ndarray]:
    """Returns frames of a textured patch of 100 x 100 pixels that moves over a still background."""
    back, front = texture(1), texture(2)
    result = []
    for index in range(frames):
        image = window(back, 100, 100)
        x, y = round(110 + index * pixels[0]), round(70 + index * pixels[1])
        image[y : y + 100, x : x + 100] = front[:100, :100]
        result.append(image)
    return result


@pytest.mark.parametrize(
    ("pixels", "sector"), [((4, 0), (3, 4)), ((-4, 0), (7, 0)), ((0, 4), (5, 6)), ((0, -4), (1, 2))]
)
def test_a_moving_patch_has_its_speed_and_direction(pixels, sector):
    row, meter = measured(patch_moves(pixels))
    inside = meter.latest.velocity[90:150, 130:190].reshape(-1, 2)
    expected = np.array(pixels) / STEP_S / SIZE[1]
    assert np.median(inside, axis=0) == pytest.approx(expected, abs=0.15)
    assert row["speed_block_max"] == pytest.approx(np.hypot(*expected), rel=0.35)
    assert 0.05 < row["moving_fraction"] < 0.4
    histogram = np.array([row[f"direction_{i}"] for i in range(8)])
    assert histogram[list(sector)].sum() > 0.8 * histogram.sum()
    assert row["camera_speed"] == 0


def test_cells_tell_where_motion_is():
    row, _ = measured(patch_moves((4, 0)))
    cells = np.array([row[f"cell_{i}"] for i in range(24)]).reshape(4, 6)
    assert np.unravel_index(cells.argmax(), cells.shape)[1] in (2, 3)
    assert cells[:, 0].max() < 0.1 * cells.max() and cells[:, 5].max() < 0.1 * cells.max()


def test_speed_is_a_second_not_a_frame():
    slow, _ = measured(patch_moves((4, 0)), step_s=1 / 6)
    fast, _ = measured(patch_moves((4, 0)), step_s=1 / 12)
    assert fast["speed_block_max"] == pytest.approx(2 * slow["speed_block_max"], rel=0.15)


def test_speed_is_in_frame_heights_whatever_the_resolution():
    small, _ = measured(patch_moves((4, 0)))
    large, _ = measured([cv2.resize(frame, (960, 720), interpolation=cv2.INTER_CUBIC) for frame in patch_moves((4, 0))])
    assert large["speed_block_max"] == pytest.approx(small["speed_block_max"], rel=0.15)


def opposed() -> list[np.ndarray]:
    """Returns frames in which two halves of a region slide along each other over a still background."""
    back, front = texture(1), texture(4)
    result = []
    for index in range(4):
        image = window(back, 100, 100)
        for top, sign in ((50, 1), (105, -1)):
            image[top : top + 55, 60:260] = window(front, 150 + sign * 4 * index, 100 + top)[:55, :200]
        result.append(image)
    return result


def test_opposed_motion_does_not_cancel():
    together, _ = measured(patch_moves((4, 0)))
    against, meter = measured(opposed())
    mean = meter.latest.velocity.reshape(-1, 2).mean(axis=0)
    assert np.abs(mean).max() < 0.15 * against["speed_mean"]
    assert against["speed_mean"] > 0.03
    histogram = np.array([against[f"direction_{i}"] for i in range(8)])
    assert min(histogram[[3, 4]].sum(), histogram[[7, 0]].sum()) > 0.25 * histogram.sum()
    assert against["incoherence_max"] > 5 * together["incoherence_max"]
    assert against["direction_entropy"] > 0.25


def test_two_halves_that_move_against_each_other_are_no_camera_motion():
    frames = []
    for index in range(4):
        image = window(texture(3), 150 + 3 * index, 100)
        image[120:] = window(texture(4), 150 - 3 * index, 100)[120:]
        frames.append(image)
    row, meter = measured(frames)
    assert row["camera_speed"] == 0
    assert np.abs(meter.latest.velocity.reshape(-1, 2).mean(axis=0)).max() < 0.1 * row["speed_mean"]


@pytest.mark.parametrize("shift", [(5, 0), (0, 4), (4, 3), (1, 0)])
def test_a_panning_camera_leaves_no_motion_of_things(shift):
    picture = texture(5)
    row, _ = measured([window(picture, 100 + index * shift[0], 100 + index * shift[1]) for index in range(4)])
    assert row["camera_speed"] == pytest.approx(np.hypot(*shift) / STEP_S / SIZE[1], rel=0.15)
    assert row["speed_p95"] < 0.15 * row["camera_speed"]


def test_a_level_pan_behind_a_still_strip_is_a_pan():
    frames = []
    for index in range(4):
        image = window(texture(5), 100 + index * 5, 100)
        image[:40] = texture(12)[:40, :320]  # a dashboard, a banner
        frames.append(image)
    row, _ = measured(frames)
    assert row["camera_speed"] == pytest.approx(5 / STEP_S / SIZE[1], rel=0.2)
    assert row["speed_mean"] < 0.2 * row["camera_speed"]


def test_a_zoom_is_the_cameras_too():
    picture = texture(6)
    frames = []
    for index in range(4):
        matrix = cv2.getRotationMatrix2D((320, 240), 0, 1 + 0.02 * index)
        frames.append(window(cv2.warpAffine(picture, matrix, (640, 480)), 160, 120))
    row, _ = measured(frames)
    assert row["speed_p95"] < 0.1


def test_a_still_picture_has_no_motion_and_finite_channels():
    frame = window(texture(7), 100, 100)
    row, meter = measured([frame] * 4)
    light = {"luminance", "incoherence_x", "incoherence_y"}
    assert {name for name, value in row.items() if abs(value) > 1e-3} <= light
    assert row["luminance"] == pytest.approx(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).mean() / 255, abs=0.01)
    assert not meter.latest.inside(np.array([10, 10, 100, 100], np.float32), 1.0).any()


@pytest.mark.parametrize("level", [0, 255])
def test_blank_pictures_are_finite(level):
    row, _ = measured([np.full((240, 320, 3), level, np.uint8)] * 3)
    assert np.isfinite(list(row.values())).all()
    assert row["speed_mean"] == 0 and row["luminance"] == pytest.approx(level / 255)


def test_sensor_noise_is_no_motion():
    frame = window(texture(8), 100, 100).astype(np.float32)
    random = np.random.default_rng(0)
    frames = [np.clip(frame + random.normal(0, 4, frame.shape), 0, 255).astype(np.uint8) for _ in range(5)]
    row, _ = measured(frames)
    assert row["moving_fraction"] < 0.02
    assert row["camera_speed"] < 0.02
    assert row["cut"] < SHOT_CHANGE / 2


def test_exchanged_pictures_are_a_cut_without_motion():
    first = window(texture(9), 100, 100)
    second = 255 - window(texture(10), 100, 100)
    second[..., 2] //= 3
    row, _ = measured([first, second])
    assert row["cut"] > 0.5
    assert row["speed_p95"] == 0 and row["moving_fraction"] == 0


@pytest.mark.parametrize("frames", [patch_moves((6, 0)), opposed()])
def test_frames_of_one_shot_are_no_cut(frames):
    row, _ = measured(frames)
    assert row["cut"] < SHOT_CHANGE / 2


def test_a_cut_is_not_averaged_away():
    first, second = window(texture(9), 100, 100), 255 - window(texture(10), 100, 100)
    second[..., 2] //= 3
    row, _ = measured([first, first, first, second, second, second])
    assert row["cut"] > 0.5


def test_the_first_frame_has_light_and_no_motion():
    meter = MotionMeter()
    assert meter.take().shape == (len(MOTION_CHANNELS),)
    assert not meter.take().any()
    meter.push(np.full((240, 320, 3), 128, np.uint8), 0.0)
    row = dict(zip(MOTION_CHANNELS, meter.take().tolist(), strict=True))
    assert row["luminance"] == pytest.approx(128 / 255, abs=0.01)
    assert {name for name, value in row.items() if value} == {"luminance"}
    assert meter.latest is None


def test_every_row_has_one_value_a_channel_and_starts_anew():
    assert len(set(MOTION_CHANNELS)) == len(MOTION_CHANNELS)
    meter = MotionMeter()
    for index, frame in enumerate(patch_moves((4, 0))):
        meter.push(frame, index * STEP_S)
    row = meter.take()
    assert row.shape == (len(MOTION_CHANNELS),) and row.dtype == np.float32
    assert row[0] > 0
    assert meter.take()[0] == 0


@pytest.mark.parametrize("size", [(640, 64), (64, 640), (33, 17), (640, 100)])
def test_odd_sizes_are_measured(size):
    frame = texture(11)[: size[1], : size[0]]
    frame = cv2.resize(frame, size)
    row, _ = measured([frame, np.roll(frame, 2, axis=1)])
    assert np.isfinite(list(row.values())).all()


MEASURE = """
import numpy as np
from vau.perception.motion import MotionMeter
meter = MotionMeter()
for index in range(3):
    frame = np.random.default_rng(index).integers(0, 255, ({height}, {width}, 3), np.uint8)
    meter.push(frame, index / 12)
assert np.isfinite(meter.take()).all()
"""


@pytest.mark.parametrize("size", [(640, 1), (640, 20), (640, 32), (640, 48), (640, 60), (20, 640)])
def test_strips_are_measured(size):
    # In a process of its own: some of these shapes end it by a segmentation fault.
    code = MEASURE.format(width=size[0], height=size[1])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[-500:]


def test_motion_inside_a_box_is_told_in_box_sizes():
    _, meter = measured(patch_moves((4, 0)))
    box = np.array([120, 70, 222, 170], np.float32)
    x, y, parts, spread = meter.latest.inside(box, 1.0)
    assert x == pytest.approx(4 / STEP_S / 102, rel=0.25)
    assert abs(y) < 0.1 * x
    assert parts < 0.5 * x and spread < 0.5
    same = meter.latest.inside(2 * box, 0.5)
    assert same == pytest.approx([x, y, parts, spread], rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("box", [[-50, -50, -10, -10], [900, 900, 950, 950], [5, 5, 5.1, 5.1], [-1e6, -1e6, 1e6, 1e6]])
def test_boxes_outside_or_tiny_or_huge_are_finite(box):
    _, meter = measured(patch_moves((4, 0)))
    assert np.isfinite(meter.latest.inside(np.array(box, np.float32), 1.0)).all()


def test_directions():
    assert direction_entropy(np.zeros((0, 2), np.float32)) == 0
    assert direction_entropy(np.float32([[1, 0], [2, 0]])) == 0
    angles = (np.arange(8) + 0.5) * np.pi / 4
    everywhere = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    assert direction_entropy(everywhere) == pytest.approx(1.0)
    assert direction_histogram(3 * everywhere) == pytest.approx(np.full(8, 3.0))
    assert direction_histogram(np.float32([[-1, 0]])).sum() == 1


def test_turbulence_is_for_parts_that_move_apart_not_for_speed():
    walk = observations(times=np.arange(5.0), speed_block_max=2.0, incoherence_max=0.05, direction_entropy=0.3)
    brawl = observations(times=np.arange(5.0), speed_block_max=1.0, incoherence_max=0.5, direction_entropy=0.9)
    assert turbulence(walk).max() < 0.05 < 0.2 < turbulence(brawl).min()
    assert turbulence(observations()).shape == (0,)
    assert isinstance(measured(patch_moves((4, 0)))[1].latest, FlowField)


def seen_turbulence(frames: list[np.ndarray]) -> float:
    row, _ = measured(frames)
    return float(turbulence(observations(times=np.arange(1.0), **row)).max())


@pytest.mark.xfail(
    strict=True, reason="slow speeds are damped in frame heights a second, and blocks are larger than far bodies"
)
def test_turbulence_is_about_the_same_near_and_far():
    far = []
    for frame in opposed():
        image = window(texture(1), 100, 100)
        image[60:180, 80:240] = cv2.resize(frame, (160, 120), interpolation=cv2.INTER_AREA)
        far.append(image)
    assert seen_turbulence(far) > 0.5 * seen_turbulence(opposed())


@pytest.mark.xfail(strict=True, reason="the largest speed and the directions of the whole picture divide and weigh it")
def test_turbulence_does_not_depend_on_what_drives_past_elsewhere():
    busy = opposed()
    for index, image in enumerate(busy):
        image[180:235, 10 + 8 * index : 130 + 8 * index] = texture(2)[:55, :120]
    assert seen_turbulence(busy) > 0.8 * seen_turbulence(opposed())
