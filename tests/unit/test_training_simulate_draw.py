"""The pictures of simulated scenes: repeatable, honest about what they are, and showing what the truth says."""

from __future__ import annotations

import av
import numpy as np
import pytest

from vau.training.simulate.perceive import perceived
from vau.training.simulate.scene import DISCLOSURE, simulate, write_video
from vau.training.simulate.tracks import tracks
from vau.training.simulate.world import COLOURS, WEATHERS


def test_any_frame_can_be_painted_alone_and_again():
    scene = simulate("fight", 3, weather="rain")
    batch = next(scene.frames(batch=6))
    assert batch.images.shape == (6, 240, 320, 3)
    np.testing.assert_array_equal(scene.at(batch.times_s[4:5]).images[0], batch.images[4])


def test_batches_cover_every_frame_once():
    scene = simulate("fall", 1, rate=4.0, duration_s=12.0, size=(64, 48))
    indices = np.concatenate([batch.indices for batch in scene.frames(batch=10)])
    np.testing.assert_array_equal(indices, np.arange(48))


def test_a_person_shows_his_colour_in_his_box():
    for seed in range(4):
        scene = simulate("fall", seed, weather="day")
        actor = scene.actor(scene.happening.actors[0])
        track = next(item for item in tracks(scene) if item.track_id == actor.actor_id)
        row = len(track.times_s) // 2
        image = scene.at(track.times_s[row : row + 1]).images[0].astype(int)
        x0, y0, x1, y1 = np.round(track.boxes[row]).astype(int)
        away = np.abs(image - np.array(COLOURS[actor.colour])).max(-1) < 30
        inside = away[y0:y1, x0:x1].mean()
        assert inside > 0.08, (seed, actor.colour, inside)


def test_limbs_move_while_someone_walks():
    scene = simulate("fall", 2, weather="day")
    track = next(item for item in tracks(scene) if item.track_id == scene.happening.actors[0])
    walking = (track.times_s < scene.happening.start_s) & (np.ptp(track.boxes[:, ::2], axis=1) > 0)
    widths = (track.boxes[:, 2] - track.boxes[:, 0])[walking]
    assert widths.max() > 1.25 * widths.min()  # legs open and close


@pytest.mark.parametrize("weather", WEATHERS)
def test_every_frame_says_that_it_is_simulated(weather):
    scene = simulate("loitering", 5, weather=weather)
    corner = scene.at(np.array([0.0])).images[0][-14:, :70]
    assert (corner.min(-1) > 200).mean() > 0.05 and (corner.max(-1) < 40).mean() > 0.2


def test_night_is_darker_than_day_and_rain_is_flatter():
    shown = {weather: simulate("taking", 2, weather=weather).at(np.array([2.0])).images[0] for weather in WEATHERS}
    assert shown["night"].mean() < 0.7 * shown["day"].mean()
    assert shown["rain"][:200].std() < shown["day"][:200].std()


def test_a_written_video_carries_the_disclosure(tmp_path):
    scene = simulate("intrusion", 0, rate=6.0, duration_s=12.0, size=(161, 121))
    out = tmp_path / "scene.mp4"
    write_video(scene, out)
    with av.open(str(out)) as container:
        assert container.metadata["comment"] == DISCLOSURE and "simulated" in container.metadata["title"]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == scene.frame_count and frames[0].shape == (120, 160, 3)
    first = scene.at(np.array([0.0])).images[0][:120, :160].astype(int)
    assert np.abs(frames[0].astype(int) - first).mean() < 8


def test_perceived_motion_follows_what_moves():
    scene = simulate("fall", 1, weather="day", rate=8.0, duration_s=12.0, size=(160, 120))
    seen = perceived(scene)
    track = next(item for item in seen.tracks if item.track_id == scene.happening.actors[0])
    speed = np.hypot(*track.flow[:, :2].T)
    walking = track.times_s < scene.happening.start_s
    lying = track.times_s > scene.happening.start_s + 1.5
    assert np.median(speed[walking]) > 0.3 > 3 * np.median(speed[lying])
    centre = (track.boxes[walking, 0] + track.boxes[walking, 2]) / 2
    assert np.sign(np.median(track.flow[walking, 0])) == np.sign(centre[-1] - centre[0])
    assert seen.channel("luminance").min() > 0.2 and len(seen) == len(seen.motion)
