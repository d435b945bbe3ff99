"""The rolling window and the watch on drawn scenes: memory, what is told, when, and that it does not depend on luck."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from tests import fake_models
from tests.fake_models import FPS, SIZE, falling, scene
from vau.config import Config
from vau.live.told import event_lines, event_record, save_pictures
from vau.live.watch import LiveEvent, LiveSettings, Watch
from vau.live.window import ForgetfulLinker, Window
from vau.perception.observe import observe
from vau.perception.tracking import Linker
from vau.types import Detection, FrameBatch, UInt8, VideoInfo

INFO = VideoInfo("a camera", "", 0.0, *SIZE, float(FPS), 0, "h264", "rtsp")
CONFIG = Config().with_overrides({"perception.pose": True})
SHORT = LiveSettings(window_s=40.0, longest_s=20.0)
GONE = scene()


def fall_then_nothing(time_s: float) -> UInt8:
    """Someone falls at 4 s, lies there until 9 s, and is not there any more."""
    return scene(falling(time_s)) if time_s < 9 else GONE


def watched(
    picture: Callable[[float], UInt8], seconds: float, *, settings: LiveSettings = SHORT, start_s: float = 0.0
) -> tuple[Watch, list[LiveEvent], list[LiveEvent]]:
    """Returns the watch, what it told while it ran, and what it told at the end."""
    watch = Watch(INFO, fake_models.models(), CONFIG, settings)
    told = []
    for index in range(round(seconds * FPS)):
        told += watch.push(picture(index / FPS), start_s + index / FPS)
    return watch, told, watch.finish()


@pytest.fixture(scope="module")
def fall() -> tuple[Watch, list[LiveEvent], list[LiveEvent]]:
    return watched(fall_then_nothing, 28.0)


def test_an_event_is_told_once_when_it_has_closed_and_within_the_stated_delay(fall):
    watch, told, last = fall
    assert len(told) == 1 and last == []
    (event,) = told
    assert event.event.event_id == "E1" and 3 < event.event.start_s < 5
    assert 0 < event.told_s - event.event.end_s <= watch.delay_s == 13.0
    assert "fell" in event.account.title + event.account.role("what")
    assert event.early and not event.continues


def test_the_evidence_comes_with_pictures(fall, tmp_path):
    (event,) = fall[1]
    assert event.keyframes and all(item.jpeg.startswith(b"\xff\xd8") for item in event.keyframes)
    assert {item.phase for item in event.keyframes} >= {"pre", "during"}
    files = save_pictures(event, tmp_path)
    record = event_record(event, files)
    assert len(record["keyframes"]) == len(list(tmp_path.iterdir())) == len(event.keyframes)
    assert record["title"] and record["threat_level"] > 0 and record["told_s"] > record["end_s"]
    assert record["score"] >= 0.5 and sum(record["signals"].values()) <= 1
    text = "\n".join(event_lines(event))
    assert text.startswith("E1  0:0") and "first 30 seconds" in text


def test_the_same_frames_give_the_same_events(fall):
    _, again, _ = watched(fall_then_nothing, 28.0)
    assert [item.event for item in again] == [item.event for item in fall[1]]
    assert [item.account for item in again] == [item.account for item in fall[1]]
    assert [item.keyframes for item in again] == [item.keyframes for item in fall[1]]


def test_the_hour_does_not_matter(fall):
    _, told, _ = watched(fall_then_nothing, 28.0, start_s=86_400.0)
    assert len(told) == 1
    here, there = fall[1][0].event, told[0].event
    assert there.start_s - 86_400 == pytest.approx(here.start_s, abs=0.3)
    assert there.end_s - 86_400 == pytest.approx(here.end_s, abs=0.3)


def test_what_is_open_at_the_end_is_told_with_it():
    _, told, last = watched(fall_then_nothing, 8.0)
    assert told == [] and len(last) == 1
    assert last[0].event.end_s <= 8.0


def test_an_empty_scene_is_quiet_and_nothing_at_all_is_fine():
    _, told, last = watched(lambda _: GONE, 12.0)
    assert told == [] == last
    assert Watch(INFO, fake_models.models(), CONFIG).finish() == []


def test_an_event_without_end_is_told_in_parts():
    watch = Watch(INFO, fake_models.models(), CONFIG, SHORT)
    watch._scorer = Loud()
    told = []
    for index in range(70 * 4):
        told += watch.push(GONE, index / 4)
    told += watch.finish()
    assert len(told) >= 3 and all(item.continues for item in told[:-1]) and not told[-1].continues
    assert [item.event.event_id for item in told] == [f"E{number}" for number in range(1, len(told) + 1)]
    for left, right in pairwise(told):
        assert left.event.end_s <= right.event.start_s + 1e-6
        assert right.event.start_s - left.event.end_s < 1.0
    assert (
        max(item.event.end_s - item.event.start_s for item in told)
        <= SHORT.longest_s + SHORT.hop_s + SHORT.ahead_s + 0.5
    )


class Loud:
    """A scorer to which everything is abnormal."""

    name = "loud"

    def score(self, observations, relations=()):
        from vau.types import ScoreTrack

        scores = np.full(len(observations), 0.9, np.float32)
        return ScoreTrack(observations.times_s, scores, self.name, scores[:, None], ("noise",))


def test_memory_does_not_grow():
    watch = Watch(INFO, fake_models.models(pose=False), CONFIG, LiveSettings(window_s=8.0, ahead_s=2.0, longest_s=4.0))
    sizes = []
    for index in range(60 * 4):
        time_s = index / 4
        # One who never leaves, and others who come and go.
        x = 40 + 8 * (index % 24)
        watch.push(scene((20, 30, 44, 90), (x, 140, x + 24, 200)), time_s)
        sizes.append(
            (len(watch.window), watch.window.sightings, len(watch._final), len(watch._jpegs), len(watch._boundaries))
        )
    early, late = np.array(sizes[60:120]).max(axis=0), np.array(sizes[180:]).max(axis=0)
    assert (late <= early + 4).all(), (early, late)
    assert late[0] <= 8 * 4 + 1 and late[1] <= 4 * 8 * 4


def test_a_window_sees_what_a_video_of_its_length_does():
    times = np.arange(5 * FPS) / FPS
    images = np.stack([scene(falling(float(time_s))) for time_s in times])
    whole = observe([FrameBatch(images, times, np.arange(len(times)))], INFO, fake_models.models(), sample_fps=4.0)
    window = Window(INFO, fake_models.models(), sample_fps=4.0, seconds=60.0)
    looked = [window.push(image, float(time_s)) for image, time_s in zip(images, times, strict=True)]
    seen = window.observations()
    assert sum(looked) == len(window) == len(seen) == len(whole)
    assert (seen.embeddings == whole.embeddings).all() and (seen.motion == whole.motion).all()
    assert [repr(track) for track in seen.tracks] == [repr(track) for track in whole.tracks]
    assert (seen.detections.boxes == whole.detections.boxes).all()


def test_forgetting_leaves_the_rest_of_a_track_as_it_was():
    plain, forgetful = Linker(4.0), ForgetfulLinker(4.0)
    points = np.full((17, 3), 0.5, np.float32)
    for index in range(40):
        pose = points if index % 3 == 0 else None
        one = Detection("person", 0.8, np.array([10 + index, 10, 40 + index, 80], np.float32), "d", pose)
        two = Detection("car", 0.9, np.array([200, 100, 280, 160], np.float32), "d")
        for linker in (plain, forgetful):
            linker.update(index / 4, [one, two] if index < 20 else [one], [np.zeros(4, np.float32)] * 2)
    forgetful.forget(6.0)
    assert forgetful.sightings == 16
    (late,) = forgetful.tracks(np.arange(24, 40) / 4)
    early = plain.tracks(np.arange(40) / 4)[0]
    assert late.label == "person" and late.start_s == 6.0
    assert (late.boxes == early.boxes[24:]).all() and early.keypoints is not None and late.keypoints is not None
    assert (late.keypoints == early.keypoints[24:]).all()
    assert forgetful.unseen(9.9) and len(forgetful.unseen(9.9)) == 1
    forgetful.forget(100.0)
    assert forgetful.sightings == 0 and forgetful.tracks(np.zeros(0)) == ()


@pytest.mark.parametrize("changes", [{"hop_s": 0.0}, {"hop_s": 5.0}, {"longest_s": 2.0}, {"window_s": 100.0}])
def test_settings_that_do_not_fit_are_refused(changes):
    with pytest.raises(ValueError, match="must hold"):
        LiveSettings(**changes)
