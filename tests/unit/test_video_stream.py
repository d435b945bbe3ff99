"""One pass over generated clips: which frames are taken, when they are shown, and what happens to damaged files."""

from __future__ import annotations

import struct
import threading
import tracemalloc
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.video_clips import cut, number_of, numbered, write_clip
from vau.config import VideoConfig
from vau.errors import MissingExtraError, VideoOpenError
from vau.types import VideoInfo
from vau.video import FrameStream, open_stream
from vau.video.frames import Decoded, Tally

CONFIG = VideoConfig()
INTRA = {"codec": "mjpeg", "pix_fmt": "yuvj420p"}


def collect(stream: FrameStream) -> tuple[list[float], list[int], list[np.ndarray]]:
    times, indices, images = [], [], []
    for batch in stream:
        times += batch.times_s.tolist()
        indices += batch.indices.tolist()
        images += list(batch.images)
    return times, indices, images


def test_frames_on_screen_at_the_grid_instants(tmp_path):
    stream = open_stream(write_clip(tmp_path / "a.mp4"), CONFIG, fps=4)
    times, indices, images = collect(stream)
    assert indices == [0, 7, 15, 22, 30, 37, 45, 52]
    assert times == [index / 30 for index in indices]
    assert [number_of(image) for image in images] == indices
    assert (stream.info.n_frames, stream.info.truncated, stream.info.variable_rate) == (60, False, False)
    assert stream.info.duration_s == pytest.approx(2.0)
    assert stream.dropped == 0


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi", ".flv"])
def test_every_frame_once_in_display_order_with_b_frames(tmp_path, suffix):
    path = write_clip(tmp_path / f"a{suffix}", options={"bf": "3", "g": "20"})
    stream = open_stream(path, CONFIG, fps=60, batch=7)
    times, indices, images = collect(stream)
    assert indices == list(range(60))
    assert [number_of(image) for image in images] == list(range(60))
    assert times == pytest.approx(np.arange(60) / 30, abs=6e-4)  # some containers count milliseconds
    assert stream.info.duration_s == pytest.approx(2.0, abs=2e-3)
    assert not stream.info.variable_rate
    assert not stream.info.truncated


@pytest.mark.parametrize(
    ("suffix", "codec", "pix_fmt"),
    [
        (".h264", "libx264", "yuv420p"),  # no timestamps at all
        (".hevc", "libx265", "yuv420p"),
        (".mp4", "libx264", "yuv420p10le"),
        (".mp4", "libx265", "yuv420p"),
        (".webm", "libvpx-vp9", "yuv420p"),
        (".mpg", "mpeg2video", "yuv420p"),
        (".avi", "mpeg4", "yuv420p"),
        (".mkv", "ffv1", "gray"),
    ],
)
def test_codecs(tmp_path, suffix, codec, pix_fmt):
    path = write_clip(tmp_path / f"a{suffix}", codec=codec, pix_fmt=pix_fmt, frames=30)
    _, indices, images = collect(open_stream(path, CONFIG, fps=60))
    assert indices == list(range(30))
    assert [number_of(image) for image in images] == list(range(30))


def test_variable_rate(tmp_path):
    ticks = [0, 1, 2, 3, 30, 31, 60, 75, 76, 77]
    stream = open_stream(write_clip(tmp_path / "a.mp4", ticks=ticks), CONFIG, fps=2)
    times, indices, _ = collect(stream)
    # instants 0, 15, 30, 45, 60, 75 thirtieths show frames 0, 3, 4, 5, 6, 7
    assert indices == [0, 3, 4, 5, 6, 7]
    assert times == pytest.approx([ticks[index] / 30 for index in indices])
    assert stream.info.variable_rate


def test_the_first_frame_is_time_zero(tmp_path):
    stream = open_stream(write_clip(tmp_path / "a.mkv", ticks=range(300, 330)), CONFIG, fps=30)
    times, _, _ = collect(stream)
    assert times == pytest.approx(np.arange(30) / 30, abs=1.1e-3)
    assert stream.info.duration_s == pytest.approx(1.0, abs=2e-3)
    assert not stream.info.truncated


def test_the_last_frames_come_where_the_picture_is_not_the_first_stream(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(write_clip(tmp_path / "b.mp4", options={"bf": "3"}))) as source, av.open(str(path), "w") as target:
        sound = target.add_stream("aac", rate=44100, layout="mono")
        picture = target.add_stream_from_template(source.streams.video[0])
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 44100, 0
        target.mux([*sound.encode(frame), *sound.encode(None)])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = picture
                target.mux(packet)
    stream = open_stream(path, CONFIG, fps=60)
    assert [number_of(image) for image in collect(stream)[2]] == list(range(60))
    assert not stream.info.truncated


def test_one_frame(tmp_path):
    stream = open_stream(write_clip(tmp_path / "a.mp4", frames=1), CONFIG, fps=4)
    times, indices, images = collect(stream)
    assert (times, indices, len(images)) == ([0.0], [0], 1)
    assert stream.info.duration_s == pytest.approx(1 / 30, abs=1e-3)


@pytest.mark.parametrize(
    ("size", "max_side", "expected"),
    [
        ((161, 121), None, (161, 121)),
        ((161, 121), 80, (80, 60)),
        ((160, 120), 64, (64, 48)),
        ((160, 120), 640, (160, 120)),
    ],
)
def test_sizes(tmp_path, size, max_side, expected):
    path = write_clip(tmp_path / "a.mp4", frames=3, size=size, pix_fmt="yuv444p")
    _, _, images = collect(open_stream(path, CONFIG, fps=30, max_side=max_side))
    assert {image.shape for image in images} == {(expected[1], expected[0], 3)}
    assert [number_of(image) for image in images] == [0, 1, 2]


def test_pixel_aspect_is_applied(tmp_path):
    path = write_clip(tmp_path / "a.mp4", frames=3, aspect=Fraction(2, 1))
    _, _, images = collect(open_stream(path, CONFIG, fps=30, max_side=160))
    assert {image.shape for image in images} == {(60, 160, 3)}


@pytest.mark.parametrize(("turn", "quarters"), [(90, 1), (180, 2), (-90, 3)])
def test_rotation_is_applied(tmp_path, turn, quarters):
    path = write_clip(tmp_path / "a.mp4", frames=2, rotation=turn)
    _, _, images = collect(open_stream(path, CONFIG, fps=30))
    expected = np.rot90(numbered(0, (160, 120)), quarters)  # counter-clockwise, as is the display matrix
    assert images[0].shape == expected.shape
    assert np.abs(images[0].astype(int) - expected).mean() < 6


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".mp4"])
def test_truncated_file_gives_what_decodes(tmp_path, suffix):
    mux = {"movflags": "faststart"} if suffix == ".mp4" else {}
    path = write_clip(
        tmp_path / f"a{suffix}", frames=120, options={"g": "50", "x264-params": "rc-lookahead=5"}, mux=mux
    )
    cut(path, 0.6)
    stream = open_stream(path, CONFIG, fps=30)
    times, indices, images = collect(stream)
    assert 30 < len(times) < 110
    assert [number_of(image) for image in images[:-3]] == indices[:-3]
    assert stream.info.duration_s == pytest.approx(len(times) / 30, abs=0.2)
    if suffix != ".ts":  # a transport stream promises no length
        assert stream.info.truncated


def test_damage_in_the_middle_is_passed_over(tmp_path):
    path = write_clip(tmp_path / "a.mkv", frames=120, options={"g": "15"})
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = b"\xa5" * 400
    path.write_bytes(content)
    times, _, images = collect(open_stream(path, CONFIG, fps=60))
    assert len(times) > 80
    assert times == sorted(set(times))
    assert number_of(images[-1]) == 119
    assert times[-1] == pytest.approx(119 / 30, abs=1e-3)


def test_a_header_that_lies_about_its_length(tmp_path):
    path = write_clip(tmp_path / "a.mkv", frames=30)
    content = path.read_bytes()
    at = content.index(b"\x44\x89\x88") + 3  # Matroska's Duration, a float of 8 bytes, in milliseconds
    path.write_bytes(content[:at] + struct.pack(">d", 36e6) + content[at + 8 :])
    stream = open_stream(path, CONFIG, fps=30)
    assert stream.info.duration_s > 30_000 or stream.info.duration_s == pytest.approx(1.0, abs=0.1)
    collect(stream)
    assert stream.info.duration_s == pytest.approx(1.0, abs=2e-3)
    assert stream.info.truncated


def test_equal_times_are_dropped_and_counted(tmp_path):
    path = write_clip(tmp_path / "a.mkv", frames=6, stamps=[0, 1, 1, 1, 2, 3], **INTRA)
    stream = open_stream(path, CONFIG, fps=60)
    times, indices, _ = collect(stream)
    assert indices == [0, 1, 4, 5]
    assert len(set(times)) == 4
    assert stream.dropped == 2
    assert stream.info.n_frames == 6


def test_a_later_change_of_size_keeps_the_first(tmp_path):
    first = write_clip(tmp_path / "a.ts", frames=20)
    second = write_clip(tmp_path / "b.ts", ticks=range(20, 40), size=(320, 180), first=20)
    joined = tmp_path / "c.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    _, _, images = collect(open_stream(joined, CONFIG, fps=60))
    assert {image.shape for image in images} == {(120, 160, 3)}
    numbers = [number_of(image) for image in images]
    assert numbers[:20] == list(range(20))
    assert numbers[-1] == 39


def test_limits_of_duration_and_frames_end_the_pass(tmp_path):
    path = write_clip(tmp_path / "a.mp4", frames=90)
    stream = open_stream(path, VideoConfig(max_frames=10), fps=30)
    assert collect(stream)[1] == list(range(10))
    assert stream.info.truncated
    stream = open_stream(path, VideoConfig(max_duration_s=1.0), fps=30)
    assert collect(stream)[1] == list(range(31))


def test_memory_does_not_grow_with_length(tmp_path):
    path = write_clip(tmp_path / "a.mp4", frames=400, options={"preset": "ultrafast"})
    batch_bytes = 8 * 160 * 120 * 3
    stream = open_stream(path, CONFIG, fps=30, batch=8)
    tracemalloc.start()
    try:
        assert sum(len(batch) for batch in stream) == 400
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 7 * batch_bytes


def test_stopping_early_ends_the_thread(tmp_path):
    before = threading.active_count()
    batches = iter(open_stream(write_clip(tmp_path / "a.mp4"), CONFIG, fps=30, batch=2))
    next(batches)
    batches.close()
    assert threading.active_count() == before


def test_a_second_iteration_is_a_second_pass(tmp_path):
    stream = open_stream(write_clip(tmp_path / "a.mp4", frames=20), CONFIG, fps=30)
    assert collect(stream)[:2] == collect(stream)[:2]


@pytest.mark.parametrize("wrong", [{"fps": 0}, {"fps": 4, "max_side": 0}, {"fps": 4, "batch": 0}])
def test_wrong_arguments(tmp_path, wrong):
    with pytest.raises(ValueError, match="positive"):
        open_stream(tmp_path / "a.mp4", CONFIG, **wrong)


@pytest.mark.parametrize("reader", ["decord", "torchcodec"])
def test_a_missing_reader_names_its_extra(tmp_path, monkeypatch, reader):
    monkeypatch.setitem(__import__("sys").modules, reader, None)
    monkeypatch.setitem(__import__("sys").modules, f"{reader}.decoders", None)
    with pytest.raises(MissingExtraError, match=rf'"vau\[{reader}\]"'):
        open_stream(write_clip(tmp_path / "a.mp4", frames=2), VideoConfig(reader=reader), fps=4)


class _Scripted:
    """A reader that yields tiny frames at given times."""

    def __init__(self, times_s: list[float]) -> None:
        self.tally = Tally()
        self._times_s = times_s

    def __iter__(self):
        for index, time_s in enumerate(self._times_s):
            yield Decoded(index, time_s, 0.0, lambda: np.zeros((2, 2, 3), np.uint8))


def _scripted(times_s: list[float], fps: float) -> FrameStream:
    info = VideoInfo("a", "", 0.0, 2, 2, 25.0, 0, "none", "none")
    return FrameStream(Path("a"), CONFIG, _Scripted(times_s), info, fps, 5)


@given(st.lists(st.floats(0.0, 20.0), max_size=60), st.floats(0.2, 60.0))
def test_any_times_give_increasing_times_that_cover_the_grid(later, fps):
    stream = _scripted([0.0, *later], fps)
    times, indices, _ = collect(stream)
    assert (np.diff(times) > 0).all()
    assert (np.diff(indices) > 0).all()
    kept = [0.0]
    for time in later:
        if time > kept[-1]:
            kept.append(time)
    assert stream.dropped == len(later) + 1 - len(kept)
    slack = 5e-4
    wanted = {max(t for t in kept if t <= k / fps + slack) for k in range(int(kept[-1] * fps) + 1)}
    assert wanted <= set(times) | {kept[-1]}


def test_times_that_run_backwards_are_dropped():
    stream = _scripted([0.0, 0.04, 0.08, -3.0, 0.05, 0.12, 1e9, 0.16], 25)
    assert collect(stream)[0] == [0.0, 0.04, 0.08, 0.12, 0.16]
    assert stream.dropped == 3


def test_nothing_decodes():
    with pytest.raises(VideoOpenError, match="can be decoded"):
        collect(_scripted([], 25))
