from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from tests import fake_models
from tests.fake_models import FPS, SIZE, scene, walking
from vau.perception.motion import MOTION_CHANNELS
from vau.perception.observe import observe
from vau.types import FrameBatch, Observations, UInt8, VideoInfo


def info(size: tuple[int, int] = SIZE, duration_s: float = 0.0) -> VideoInfo:
    return VideoInfo("a.mp4", "00", duration_s, *size, float(FPS), 0, "h264", "mp4")


def batches(picture: Callable[[float], UInt8], times: np.ndarray, size: int = 7) -> Iterator[FrameBatch]:
    for start in range(0, len(times), size):
        part = times[start : start + size]
        yield FrameBatch(
            np.stack([picture(float(time_s)) for time_s in part]), part, np.arange(start, start + len(part))
        )


def walk(time_s: float) -> UInt8:
    return scene(walking(time_s))


def looked(picture: Callable[[float], UInt8] = walk, seconds: float = 4.0, **options) -> Observations:
    times = np.arange(round(seconds * FPS)) / FPS
    options = {"sample_fps": 4.0, "models": fake_models.models(), "info": info()} | options
    return observe(batches(picture, times), **options)


def test_one_row_a_sampled_frame_and_one_track_a_walker():
    seen = looked()
    assert seen.times_s == pytest.approx(np.arange(16) / 4)
    assert seen.motion.shape == (16, len(MOTION_CHANNELS)) and seen.motion_channels == MOTION_CHANNELS
    assert np.linalg.norm(seen.embeddings, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert seen.models == ("red", "red pose", "thumbnails")
    (person,) = [track for track in seen.tracks if track.label == "person"]
    assert person.boxes == pytest.approx(np.array([walking(time_s) for time_s in person.times_s]), abs=3)
    assert person.keypoints is not None
    assert person.flow[4:, 0] == pytest.approx(30 / 60, abs=0.35)  # 30 pixels a second, 60 high


def test_every_sampled_frame_has_the_detections_of_its_own():
    seen = looked()
    for frame, time_s in enumerate(seen.times_s):
        people = [box for label, _, box in seen.detections.at(frame) if label == "person"]
        assert len(people) == 1, time_s
        assert people[0] == pytest.approx(walking(time_s), abs=3)


@pytest.mark.parametrize("rate", [1.0, 2.5, 4.0, 12.0, 30.0])
def test_the_sampling_rate_is_kept_and_never_exceeded(rate):
    seen = looked(sample_fps=rate)
    expected = min(rate, FPS)
    assert len(seen) / 4.0 == pytest.approx(expected, rel=0.15)
    assert np.diff(seen.times_s).min() >= 1 / FPS - 1e-6


def test_a_gap_in_time_gives_no_burst_of_samples():
    times = np.concatenate([np.arange(12), np.arange(60, 72)]) / FPS
    seen = observe(batches(walk, times), info(), fake_models.models(), sample_fps=4.0)
    assert len(seen) <= 9
    assert np.diff(seen.times_s).min() > 0.16


def test_boxes_are_in_pixels_of_the_source():
    source = (SIZE[0] * 4, SIZE[1] * 4)
    seen = looked(info=info(source))
    assert seen.frame_size == source
    (person,) = [track for track in seen.tracks if track.label == "person"]
    assert person.boxes[0] == pytest.approx(4 * np.array(walking(0.0)), abs=12)
    assert person.keypoints is not None
    row = int(person.keypoints[:, 0, 2].argmax())
    assert person.keypoints[row, 0, :2] == pytest.approx((person.boxes[row, :2] + person.boxes[row, 2:]) / 2, abs=12)
    small = looked().tracks[0]
    assert person.flow == pytest.approx(small.flow, abs=1e-3)


def test_works_without_a_pose_model():
    seen = looked(models=fake_models.models(pose=False))
    assert seen.models == ("red", "thumbnails")
    assert seen.tracks[0].keypoints is None


def test_a_shot_change_ends_the_tracks():
    def two_shots(time_s: float) -> UInt8:
        image = scene(walking(0.0), seed=0 if time_s < 2 else 1)
        return image if time_s < 2 else np.where(image == image[..., ::-1], image // 3, image)

    people = [track for track in looked(two_shots).tracks if track.label == "person"]
    assert [(track.start_s, track.end_s) for track in people] == [(0.0, 1.75), (2.0, 3.75)]


def test_an_empty_scene_has_no_tracks():
    seen = looked(lambda _: scene())
    assert len(seen) == 16 and seen.tracks == ()
    assert not seen.channel("moving_fraction").any()


def test_no_frames_give_no_rows():
    seen = observe(iter(()), info(duration_s=3.0), fake_models.models(), sample_fps=4.0)
    assert len(seen) == 0 and seen.tracks == () and seen.embeddings.shape == (0, 48)


def test_progress_follows_time():
    reached: list[float] = []
    looked(progress=reached.append)
    assert reached == sorted(reached) and reached[-1] == pytest.approx(47 / FPS)


def test_two_runs_agree():
    one, other = looked(), looked()
    assert (one.motion == other.motion).all() and (one.embeddings == other.embeddings).all()
    assert [repr(track) for track in one.tracks] == [repr(track) for track in other.tracks]


def test_batches_of_any_size_give_the_same():
    times = np.arange(48) / FPS
    one, other = (observe(batches(walk, times, size), info(), fake_models.models(), sample_fps=4.0) for size in (1, 48))
    assert (one.motion == other.motion).all()
    assert one.times_s.tolist() == other.times_s.tolist()


@pytest.mark.parametrize("size", [(64, 64), (37, 90), (320, 50)])
def test_small_and_odd_frames_are_looked_at(size):
    seen = looked(lambda time_s: scene((2 + 3 * time_s, 5, 12 + 3 * time_s, 30), size=size), info=info(size))
    assert np.isfinite(seen.motion).all()
    assert len(seen.detections) == len(seen)
    assert (seen.detections.boxes[:, 0] >= -1).all() and (seen.detections.boxes[:, 2] <= size[0] + 1).all()


def test_what_the_closer_look_finds_lies_where_it_is():
    def box(time_s: float) -> tuple[float, float, float, float]:
        return 150 + 30 * time_s, 110, 174 + 30 * time_s, 140

    seen = looked(lambda time_s: scene(box(time_s)))
    for frame, time_s in enumerate(seen.times_s):
        people = [found for label, _, found in seen.detections.at(frame) if label == "person"]
        assert len(people) == 1, time_s
        assert people[0] == pytest.approx(box(time_s), abs=3)
