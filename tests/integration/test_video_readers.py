"""The optional readers against PyAV, and all of them on real clips."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.video_clips import write_clip
from vau.config import VideoConfig
from vau.errors import MissingExtraError, VideoOpenError
from vau.video import open_stream, read_at

READERS = ["decord", "torchcodec"]
# 10 bits are reduced to 8 by each reader's own scaler; all else is equal to the bit
CLIPS = {
    "a.mp4": ({"options": {"bf": "3"}}, 0),
    "a.mkv": ({"options": {"bf": "3"}}, 0),
    "variable.mp4": ({"ticks": [k * k // 20 + k for k in range(60)]}, 0),
    "rotated.mp4": ({"rotation": 90}, 0),
    "rotated-back.mp4": ({"rotation": -90}, 0),
    "odd.mp4": ({"size": (161, 121), "pix_fmt": "yuv444p"}, 0),
    "deep.mp4": ({"pix_fmt": "yuv420p10le"}, 6),
    "vp9.webm": ({"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}}, 0),
    "hevc.mp4": ({"codec": "libx265"}, 0),
}


def collect(path: Path, reader: str, fps: float, max_side: int | None = None):
    try:
        batches = list(open_stream(path, VideoConfig(reader=reader), fps=fps, max_side=max_side))
    except MissingExtraError as error:
        pytest.skip(str(error))
    return (
        np.concatenate([batch.times_s for batch in batches]),
        np.concatenate([batch.indices for batch in batches]),
        np.concatenate([batch.images for batch in batches]),
    )


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", CLIPS)
@pytest.mark.parametrize("fps", [7.0, 60.0])
def test_parity_with_pyav(tmp_path, reader, name, fps):
    clip, tolerance = CLIPS[name]
    path = write_clip(tmp_path / name, **clip)
    ours, theirs = collect(path, "pyav", fps), collect(path, reader, fps)
    assert np.array_equal(ours[0], theirs[0])
    assert np.array_equal(ours[1], theirs[1])
    assert np.abs(ours[2].astype(int) - theirs[2]).mean(axis=(1, 2, 3)).max() <= tolerance


@pytest.mark.parametrize("reader", READERS)
def test_reduced_frames_look_alike(tmp_path, reader):
    path = write_clip(tmp_path / "a.mp4", size=(320, 240))
    ours, theirs = collect(path, "pyav", 4, 80), collect(path, reader, 4, 80)
    assert ours[2].shape == theirs[2].shape
    assert np.abs(ours[2].astype(int) - theirs[2]).mean() < 3


@pytest.mark.parametrize("reader", READERS)
def test_what_a_reader_gets_wrong_is_refused(tmp_path, reader):
    path = write_clip(tmp_path / "a.ts", options={"bf": "3", "g": "20"})
    with pytest.raises(VideoOpenError, match=r"set video\.reader to pyav"):
        collect(path, reader, 30)


@pytest.mark.clips
def test_real_clips_have_the_figures_of_their_list(clips_dir):
    checked = 0
    for clip in json.loads((clips_dir / "clips.json").read_text()):
        path = clips_dir / clip["file"]
        if path.stat().st_size > 3_000_000:
            continue
        stream = open_stream(path, VideoConfig(), fps=1, max_side=160)
        frames = {
            float(time): image for batch in stream for time, image in zip(batch.times_s, batch.images, strict=True)
        }
        assert stream.info.n_frames == clip["frames"], clip["file"]
        assert (stream.info.width, stream.info.height) == (clip["width"], clip["height"]), clip["file"]
        assert stream.info.duration_s == pytest.approx(clip["duration"], abs=0.15), clip["file"]
        assert not stream.info.truncated, clip["file"]
        times = sorted(frames)[1::5]
        if times:
            again = read_at(path, times, VideoConfig(), max_side=160)
            assert again.times_s.tolist() == times, clip["file"]
            assert all(np.array_equal(image, frames[time]) for image, time in zip(again.images, times, strict=True))
        checked += 1
    assert checked >= 10
