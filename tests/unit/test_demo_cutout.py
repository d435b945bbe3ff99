import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vau.demo.actors import (
    Pose,
    body_axis,
    closed_step,
    curved_route,
    falling_poses,
    gait_loop,
    moving_poses,
    pendulum,
    straight_route,
)
from vau.demo.compose import blend, draw
from vau.demo.cutout import Blob, Perspective, Walker, find_blobs, fit_perspective, link, make_walker

PERSPECTIVE = Perspective(10.0, 0.3)


def textured(seed=0, shape=(240, 320)):
    return np.random.default_rng(seed).integers(90, 130, (*shape, 3), dtype=np.uint8)


def bar(frame, x, foot_y, width=16, height=50, colour=(220, 30, 30)):
    frame[foot_y - height : foot_y, x : x + width] = colour


def bar_walker(frames=20, step=5):
    background = textured()
    blobs = []
    for index in range(frames):
        frame = background.copy()
        bar(frame, 40 + step * index, 150)
        blobs += find_blobs(index, frame, background, crops_above=20)
    chains = link(blobs)
    assert len(chains) == 1
    walker = make_walker(chains[0], Perspective(50.0, 0.0))
    assert walker is not None
    return walker


def upright(**changes):
    values = {
        "foot": (100.0, 150.0), "height": 50.0, "picture": 5, "mirrored": False, "legs": 0.0, "trunk": 0.0,
        "heading": (1.0, 0.0),
    } | changes  # fmt: skip
    return Pose(**values)


def test_a_blob_is_found_where_it_is_and_cut_out_in_its_own_colour():
    background = textured()
    frame = background.copy()
    bar(frame, 100, 150)
    (blob,) = find_blobs(0, frame, background, crops_above=20)
    assert np.abs(np.array(blob.box) - (100, 100, 116, 150)).max() <= 2
    assert blob.alone
    assert blob.upright
    crop = blob.crop
    opaque = crop[..., 3] > 200
    assert 0.7 * 16 * 50 < opaque.sum() <= 18 * 52
    off = np.abs(crop[opaque][:, :3].astype(int) - (220, 30, 30)).max(axis=1)
    assert (off < 12).mean() > 0.97  # corners of the outline may keep a pixel of the ground
    assert crop[0, :, 3].max() < 20  # the margin is clear


def test_a_blob_at_the_edge_or_beside_another_is_not_cut_out():
    background = textured()
    frame = background.copy()
    bar(frame, 0, 150)
    bar(frame, 200, 150)
    bar(frame, 223, 150)
    blobs = find_blobs(0, frame, background, crops_above=20)
    assert len(blobs) == 3
    assert all(blob.crop is None for blob in blobs)


def test_an_unchanged_frame_has_no_blobs():
    assert find_blobs(0, textured(), textured(), crops_above=20) == []


@settings(max_examples=25, deadline=None)
@given(offset=st.floats(5, 40), slope=st.floats(0.05, 0.5), seed=st.integers(0, 99))
def test_the_perspective_is_recovered_from_noisy_boxes_with_outliers(offset, slope, seed):
    random = np.random.default_rng(seed)
    blobs = []
    for index in range(120):
        foot = int(random.integers(100, 500))
        height = round(offset + slope * foot + random.normal(0, 1)) * (2 if index % 12 == 0 else 1)
        width = max(1, round(height / 2.5))
        blobs.append(Blob(index, (10, foot - height, 10 + width, foot), width * height, 1.0, True))
    fitted = fit_perspective(blobs)
    for foot in (120, 300, 480):
        assert fitted.height(foot) == pytest.approx(offset + slope * foot, abs=3.0)


def test_the_perspective_needs_people():
    with pytest.raises(ValueError, match="got 0"):
        fit_perspective([])


def test_a_walker_has_the_speed_of_its_blob_in_own_heights():
    walker = bar_walker()
    assert len(walker) == 20
    assert walker.velocity[0] == pytest.approx(5 / 50, rel=0.1)
    assert abs(walker.velocity[1]) < 0.005
    start, end = gait_loop(walker)
    assert 0 <= start < end <= len(walker)


def test_a_jump_ends_a_sequence():
    background, blobs = textured(), []
    for index in range(12):
        frame = background.copy()
        bar(frame, 40 + 5 * index + (100 if index >= 6 else 0), 150)
        blobs += find_blobs(index, frame, background, crops_above=20)
    assert sorted(len(chain) for chain in link(blobs)) == [6, 6]


@settings(max_examples=30, deadline=None)
@given(duration=st.floats(0.3, 2.0))
def test_a_pendulum_accelerates_from_upright_to_the_ground(duration):
    angle = pendulum(duration)
    values = np.array([angle(t) for t in np.linspace(0, duration, 50)])
    assert angle(-1.0) == 0.0
    assert angle(duration) == pytest.approx(np.pi / 2)
    assert angle(duration + 5) == pytest.approx(np.pi / 2)
    assert (np.diff(values) >= 0).all()
    assert np.diff(values)[-5:].mean() > 3 * np.diff(values)[3:10].mean()


def test_a_body_stands_up_and_lies_down_in_its_heading():
    standing = body_axis(upright())
    assert standing[-1] == pytest.approx([0.0, -1.0], abs=0.01)
    lying = body_axis(upright(legs=np.pi / 2, trunk=np.pi / 2))
    assert lying[-1][0] == pytest.approx(1.1, abs=0.03)
    assert abs(lying[-1][1]) < 0.02
    away = body_axis(upright(legs=np.pi / 2, trunk=np.pi / 2, heading=(0.0, -1.0)))
    assert -0.6 < away[-1][1] < -0.3  # foreshortened


def test_steps_are_longer_where_people_are_taller():
    near = straight_route((0, 300), (1, 0), 0.1, PERSPECTIVE, 5).feet
    far = straight_route((0, 100), (1, 0), 0.1, PERSPECTIVE, 5).feet
    assert np.diff(near[:, 0]) == pytest.approx(10.0)
    assert np.diff(far[:, 0]) == pytest.approx(4.0)


def test_a_curved_route_keeps_its_ends_and_its_speed():
    route = curved_route([(0, 200), (200, 200), (200, 100), (0, 100)], 0.1, Perspective(50, 0))
    steps = np.hypot(*np.diff(route.feet, axis=0).T)
    assert route.feet[0] == pytest.approx([0, 200])
    assert route.feet[-1] == pytest.approx([0, 100])
    assert np.median(steps) == pytest.approx(5.0, rel=0.03)
    assert steps.max() < 5.1
    assert route.headings[0][0] > 0.9
    assert route.headings[-1][0] < -0.9


def test_walkers_face_where_they_go():
    walker = bar_walker()
    right = moving_poses(walker, straight_route((0, 150), (1, 0), 0.1, PERSPECTIVE, 3), PERSPECTIVE, pace=1)
    left = moving_poses(walker, straight_route((90, 150), (-1, 0), 0.1, PERSPECTIVE, 3), PERSPECTIVE, pace=1)
    assert not any(pose.mirrored for pose in right)
    assert all(pose.mirrored for pose in left)


def test_a_drawn_walker_has_the_wanted_size_and_place():
    layer = draw(bar_walker(), upright(height=100.0, foot=(160.0, 200.0)), (320, 240))
    x0, y0, x1, y1 = layer.box
    assert y1 == pytest.approx(200, abs=4)
    assert y0 == pytest.approx(100, abs=6)
    assert (x0 + x1) / 2 == pytest.approx(160, abs=4)


def test_a_fallen_walker_lies_beside_the_feet_and_stays():
    walker = bar_walker()
    poses = falling_poses(upright(foot=(100.0, 200.0)), closed_step(walker), Perspective(50, 0), 30, 10.0, 0.7)
    boxes = [draw(walker, pose, (320, 240)).box for pose in poses]
    widths, heights = np.array([b[2] - b[0] for b in boxes]), np.array([b[3] - b[1] for b in boxes])
    assert heights[0] > 2 * widths[0]
    assert widths[-1] > 1.8 * heights[-1]
    assert boxes[-1][2] > 140
    assert poses[10] == poses[-1]


def test_an_actor_outside_the_frame_is_not_drawn():
    assert draw(bar_walker(), upright(foot=(-300.0, 150.0)), (320, 240)) is None


def test_blending_changes_the_body_and_its_shadow_only():
    walker = bar_walker()
    layer = draw(walker, upright(foot=(160.0, 200.0)), (320, 240))
    frame = textured()
    before = frame.copy()
    blend(frame, layer, 2.0, np.random.default_rng(0))
    assert (frame[:100] == before[:100]).all()
    assert (frame[:, :80] == before[:, :80]).all()
    x0, y0, x1, y1 = (round(v) for v in layer.box)
    middle = frame[y0 + 10 : y1 - 10, x0 + 4 : x1 - 4].reshape(-1, 3).mean(0)
    assert np.abs(middle - (220, 30, 30)).max() < 15
    again = before.copy()
    blend(again, layer, 2.0, np.random.default_rng(0))
    assert (again == frame).all()


def test_two_people_are_no_walker():
    walker = bar_walker()
    assert isinstance(walker, Walker)
    background, blobs = textured(), []
    for index in range(20):
        frame = background.copy()
        bar(frame, 40 + 5 * index, 150)
        blobs += find_blobs(index, frame, background, crops_above=20)
    assert make_walker(link(blobs)[0], Perspective(25.0, 0.0)) is None
