"""Frames read again by seeking are the very frames of the pass."""

from __future__ import annotations

import numpy as np
import pytest

from tests.video_clips import cut, number_of, write_clip
from vau.config import VideoConfig
from vau.errors import VideoOpenError
from vau.video import open_stream, read_at
from vau.video import seek as seek_module

CONFIG = VideoConfig()


def frames_of(path, max_side=None):
    return {
        float(time): image
        for batch in open_stream(path, CONFIG, fps=60, max_side=max_side)
        for time, image in zip(batch.times_s, batch.images, strict=True)
    }


CLIPS = {
    "b-frames.mp4": {"options": {"bf": "3", "g": "25"}},
    "b-frames.mkv": {"options": {"bf": "3", "g": "25"}},
    "b-frames.ts": {"options": {"bf": "3", "g": "25"}},
    "b-frames.avi": {"options": {"bf": "3", "g": "25"}},
    "b-frames.flv": {"options": {"bf": "3", "g": "25"}},
    "open-gop.mp4": {"options": {"bf": "3", "x264-params": "open-gop=1:keyint=25:min-keyint=25:scenecut=0"}},
    "open-gop.ts": {"options": {"bf": "3", "x264-params": "open-gop=1:keyint=25:min-keyint=25:scenecut=0"}},
    "intra-refresh.mp4": {"options": {"x264-params": "intra-refresh=1:keyint=25"}},
    "bare.h264": {"options": {"bf": "2", "g": "25"}},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "log-level=none:keyint=25:open-gop=1"}},
    "hevc.ts": {"codec": "libx265", "options": {"x265-params": "log-level=none:keyint=25:open-gop=1"}},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"bf": "2", "g": "25"}},
    "mpeg2.mpg": {"codec": "mpeg2video", "options": {"bf": "2", "g": "15"}},
    "mpeg2.ts": {"codec": "mpeg2video", "options": {"bf": "2", "g": "15"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"g": "25", "deadline": "realtime", "cpu-used": "8"}},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "one-keyframe.mp4": {"options": {"bf": "3", "g": "1000"}},
    "variable.mp4": {"ticks": [k * k // 20 + k for k in range(80)], "options": {"bf": "2", "g": "25"}},
    "late-start.mkv": {"ticks": range(300, 380), "options": {"g": "25"}},
    "equal-times.mkv": {"stamps": [k - (k % 7 == 3) for k in range(80)], "codec": "mjpeg", "pix_fmt": "yuvj420p"},
}


@pytest.mark.parametrize("name", CLIPS)
def test_identical_to_the_pass(tmp_path, name):
    path = write_clip(tmp_path / name, **({"frames": 80} | CLIPS[name]))
    frames = frames_of(path)
    times = sorted(frames)
    for time in times[::-6]:
        again = read_at(path, [time], CONFIG)
        assert again.times_s.tolist() == [time]
        assert np.array_equal(again.images[0], frames[time])
    every = read_at(path, times[1::5], CONFIG)
    assert every.times_s.tolist() == times[1::5]
    assert all(np.array_equal(image, frames[time]) for image, time in zip(every.images, times[1::5], strict=True))


@pytest.mark.parametrize("name", ["b-frames.mp4", "b-frames.mkv", "mpeg2.ts", "vp9.webm", "mpeg4.avi"])
def test_seeking_is_what_finds_them(tmp_path, monkeypatch, name):
    path = write_clip(tmp_path / name, **({"frames": 240} | CLIPS[name]))
    times = sorted(frames_of(path, 64))
    monkeypatch.setattr(seek_module, "_find_from_start", None)
    assert number_of(read_at(path, [times[200]], CONFIG).images[0]) == 200


def test_sorted_and_without_doubles(tmp_path):
    path = write_clip(tmp_path / "a.mp4")
    batch = read_at(path, [1.0, 0.5, 1.0, 0.51, 99.0], CONFIG)
    assert [number_of(image) for image in batch.images] == [15, 30, 59]
    assert batch.times_s.tolist() == [0.5, 1.0, 59 / 30]


def test_reduced_as_in_the_pass(tmp_path):
    path = write_clip(tmp_path / "a.mp4", rotation=90)
    frames = frames_of(path, max_side=80)
    time = sorted(frames)[40]
    batch = read_at(path, [time], CONFIG, max_side=80)
    assert batch.images.shape == (1, 80, 60, 3)
    assert np.array_equal(batch.images[0], frames[time])


def test_damaged_file_gives_the_frames_of_the_pass(tmp_path):
    path = write_clip(tmp_path / "a.mkv", frames=120, options={"g": "15"})
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 300] = b"\xa5" * 300
    path.write_bytes(content)
    cut(path, 0.9)
    frames = frames_of(path)
    for time in sorted(frames)[::9]:
        again = read_at(path, [time], CONFIG)
        assert again.times_s.tolist() == [time]
        assert np.array_equal(again.images[0], frames[time])


def test_without_seeking(tmp_path):
    path = write_clip(tmp_path / "a.mp4")
    assert np.array_equal(read_at(path, [1.0], CONFIG, seek=False).images, read_at(path, [1.0], CONFIG).images)


@pytest.mark.parametrize("times", [[], [-0.1], [float("nan")], [float("inf")]])
def test_wrong_times(tmp_path, times):
    with pytest.raises(ValueError, match="times_s"):
        read_at(write_clip(tmp_path / "a.mp4", frames=2), times, CONFIG)


def test_missing_file(tmp_path):
    with pytest.raises(VideoOpenError):
        read_at(tmp_path / "none.mp4", [0.0], CONFIG)
