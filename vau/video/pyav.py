"""The default reader: FFmpeg through PyAV, with exact presentation timestamps.

Knows nothing of sampling: it yields every frame that decodes, skips what does not, and notes both.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import av.container
import av.error
import av.video.stream
import numpy as np
from av.video.frame import VideoFrame

from vau.config import VideoConfig
from vau.types import UInt8
from vau.video.frames import Decoded, Tally
from vau.video.geometry import displayed_size, reduced_size
from vau.video.guard import open_container, pixel_aspect

_INTERPOLATION = "AREA"  # averages on reduction, so nothing aliases
ONLY_DECODE_TIMES = {"avi"}  # containers without presentation times, where PyAV fills in wrong ones for B-frames


class PyavSource:
    """Every frame of a file in display order, decoded once an iteration by `config.threads` threads."""

    def __init__(self, path: Path, config: VideoConfig, max_side: int | None) -> None:
        self._path = path
        self._config = config
        self._max_side = max_side
        self.tally = Tally()

    def __iter__(self) -> Iterator[Decoded]:
        self.tally = Tally()
        with open_container(self._path, self._config) as (container, stream):
            clock = TickClock(stream)
            renderer: Renderer | None = None
            for index, frame in enumerate(decode(container, stream, self.tally)):
                renderer = renderer or Renderer(frame, stream, self._max_side)
                time_s, duration_s = clock.seconds(frame)
                yield Decoded(index, time_s, duration_s, partial(renderer.render, frame))
            if clock.origin is not None:
                settle(self.tally, clock.origin * clock.base, container, stream)


class TickClock:
    """Turns timestamps into times from the first frame; a frame without a timestamp follows its predecessor."""

    def __init__(self, stream: av.video.stream.VideoStream) -> None:
        self.base = Fraction(stream.time_base or Fraction(1, 90000))
        rate = stream.average_rate or stream.guessed_rate or Fraction(25)
        self._step = max(1, round(1 / (rate * self.base)))
        self._last = -self._step
        self._by_dts = stream.container.format.name in ONLY_DECODE_TIMES
        self.origin: int | None = None
        self.guessed = False  # a timestamp was missing, so that times depend on where decoding began

    def seconds(self, frame: VideoFrame) -> tuple[float, float]:
        """Returns the frame's time from the first frame, and its declared duration or 0."""
        num, den = self.base.numerator, self.base.denominator
        return self.ticks(frame) * num / den, max(0, frame.duration or 0) * num / den

    def ticks(self, frame: VideoFrame) -> int:
        """Returns the frame's time from the first frame in units of the stream's time base."""
        stamp = frame.dts if self._by_dts or frame.pts is None else frame.pts
        if self.origin is None:
            self.origin = stamp or 0
        if stamp is None:
            self.guessed = True
            self._last += self._step
        else:
            self._last = stamp - self.origin
        return self._last


class Renderer:
    """Makes reduced, upright RGB images with square pixels; all have the size that the first frame asks for."""

    def __init__(self, frame: VideoFrame, stream: av.video.stream.VideoStream, max_side: int | None) -> None:
        self.rotation = -round(frame.rotation / 90) * 90 % 360
        self.displayed = displayed_size(frame.width, frame.height, pixel_aspect(stream), self.rotation)
        self.width, self.height = reduced_size(*self.displayed, max_side)

    def render(self, frame: VideoFrame) -> UInt8:
        """Returns the image (H, W, 3)."""
        size = (self.height, self.width) if self.rotation % 180 else (self.width, self.height)
        scaled = frame.reformat(*size, format="rgb24", interpolation=_INTERPOLATION, threads=1)
        image = np.asarray(scaled.to_ndarray(), np.uint8)
        # np.rot90 turns counter-clockwise
        return np.ascontiguousarray(np.rot90(image, -self.rotation // 90)) if self.rotation else image


def decode(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream, tally: Tally
) -> Iterator[VideoFrame]:
    """Yields the frames of a stream from where the container stands, passing over packets that do not decode."""
    for packet in packets(container, stream, tally):
        if packet.stream.index != stream.index:
            continue
        try:
            frames = packet.decode()
        except av.error.EOFError:
            return
        except av.error.FFmpegError:
            tally.corrupt_packets += 1
            continue
        yield from frames  # type: ignore[misc]  # packets of a video stream hold video frames


def packets(
    container: av.container.InputContainer, stream: av.video.stream.VideoStream, tally: Tally
) -> Iterator[av.Packet[av.stream.Stream]]:
    """Yields the packets of all streams: sound and text show how far a file reaches where its picture ends early."""
    demuxed = container.demux()
    while True:
        try:
            packet = next(demuxed)
        except StopIteration:
            return
        except (av.error.FFmpegError, OSError):
            tally.failed = True
            return
        if packet.pts is not None and packet.time_base:
            end = float((packet.pts + max(0, packet.duration or 0)) * packet.time_base)
            tally.packets_end_s = max(tally.packets_end_s, end)
            if packet.stream.index == stream.index:
                tally.video_end_s = max(tally.video_end_s, end)
        if packet.size:
            tally.cut = packet.is_corrupt
        yield packet


def declared_end_s(container: av.container.InputContainer, stream: av.video.stream.VideoStream) -> float:
    """Returns when the container says that its content ends, on the stream's own clock; 0 where it does not say."""
    if container.duration and container.duration > 0:
        start = 0 if container.format.name.startswith("matroska") else max(0, container.start_time or 0)
        return (container.duration + start) / 1_000_000  # Matroska counts from zero, others from their start
    if stream.duration and stream.time_base:
        return float((stream.duration + (stream.start_time or 0)) * stream.time_base)
    return 0.0


def settle(
    tally: Tally, origin_s: Fraction, container: av.container.InputContainer, stream: av.video.stream.VideoStream
) -> None:
    """Turns a tally's times into times from the first frame, and adds what the container declares."""
    tally.packets_end_s = max(0.0, tally.packets_end_s - float(origin_s))
    tally.video_end_s = max(0.0, tally.video_end_s - float(origin_s))
    tally.declared_end_s = max(0.0, declared_end_s(container, stream) - float(origin_s))
