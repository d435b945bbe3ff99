"""Reads single frames of a video again, by seeking, exact to the frame.

Knows nothing of sampling. A frame found by seeking counts only behind a keyframe from which it can be decoded and
only if nothing failed on the way; else decoding starts over from the beginning of the file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av.container
import av.error
import av.video.stream
import numpy as np
from av.video.frame import VideoFrame

from vau.config import VideoConfig
from vau.errors import VideoOpenError
from vau.types import FrameBatch, UInt8
from vau.video.frames import Tally
from vau.video.guard import open_container, shown
from vau.video.pyav import Renderer, TickClock, decode

_NEAR_S = 1.0  # a target this close ahead is reached by decoding on
_RETREATS_S = (0.0, 1.0, 5.0, 30.0)  # how far before the target to look for a keyframe, in turn


def read_at(
    path: Path, times_s: Sequence[float], config: VideoConfig, *, max_side: int | None = None, seek: bool = True
) -> FrameBatch:
    """Returns the frames on screen at the given times, decoded by PyAV whatever `config.reader` says.

    A time that a `FrameBatch` holds brings back the identical frame. The result is sorted by time and holds no frame
    twice, so it can be shorter than `times_s`; its `times_s` are those of the frames, its `indices` their rank in it.

    Args:
        path: the file.
        times_s: seconds from the first frame, in any order; a time beyond the end means the last frame.
        config: threads and limits.
        max_side: longer side in pixels to which images are reduced; None keeps the displayed size.
        seek: False decodes from the start, for files whose timestamps run backwards (`FrameStream.dropped` > 0).

    Raises:
        VideoOpenError, VideoLimitError: as `probe`.
        ValueError: no times, or a negative or non-finite one.
    """
    if len(times_s) == 0 or not all(math.isfinite(time) and time >= 0 for time in times_s):
        raise ValueError(f"times_s must hold finite times of 0 or more, got {list(times_s)[:8]}")
    found: dict[int, UInt8] = {}
    with open_container(path, config) as (container, stream):
        base = Fraction(stream.time_base or 1)
        targets = sorted({math.floor(Fraction(time) / base + Fraction(1, 2)) for time in times_s})
        finder = _Seeker(path, container, stream, max_side)
        missing = [tick for tick in targets if not (seek and finder.find(tick, found))]
    if missing:
        with open_container(path, config) as (container, stream):
            _find_from_start(_Seeker(path, container, stream, max_side), missing, found)
    ticks = sorted(found)
    times = [tick * base.numerator / base.denominator for tick in ticks]
    return FrameBatch(np.stack([found[tick] for tick in ticks]), np.array(times), np.arange(len(ticks)))


class _Cursor:
    """Walks frames whose time advances, holding one and the next; it always holds one."""

    def __init__(self, first: tuple[int, VideoFrame], rest: Iterator[tuple[int, VideoFrame]]) -> None:
        self.current = first
        self._rest = rest
        self.next = self._advance()

    def walk(self, target: int) -> tuple[int, VideoFrame]:
        """Goes on to the frame on screen at a time and returns it."""
        while self.next is not None and self.next[0] <= target:
            self.current = self.next
            self.next = self._advance()
        return self.current

    def _advance(self) -> tuple[int, VideoFrame] | None:
        return next((item for item in self._rest if item[0] > self.current[0]), None)


class _Seeker:
    """Finds frames in one open file by their ticks from the first frame."""

    def __init__(
        self,
        path: Path,
        container: av.container.InputContainer,
        stream: av.video.stream.VideoStream,
        max_side: int | None,
    ) -> None:
        self._container = container
        self._stream = stream
        self._clock = TickClock(stream)
        self._tally = Tally()
        frames = self._frames()
        first = next(frames, None)
        if first is None:
            raise VideoOpenError(f"{shown(path)}: no frame of the {stream.codec_context.name} stream can be decoded")
        self._renderer = Renderer(first[1], stream, max_side)
        self.cursor = _Cursor(first, frames)

    def find(self, target: int, found: dict[int, UInt8]) -> bool:
        """Adds the frame on screen at `target`; False where it cannot be had surely. Targets must come in order."""
        near = target - self.cursor.current[0] <= _NEAR_S / self._clock.base
        if not near and not self._clock.guessed and not self._seek(target):
            return False
        tick, frame = self.cursor.walk(target)
        sure = tick == target or self.cursor.next is not None
        if self._clock.guessed or self._tally.corrupt_packets or not sure:
            return False
        found.setdefault(tick, self._renderer.render(frame))
        return True

    def take(self, target: int, found: dict[int, UInt8]) -> None:
        """Adds the frame on screen at `target`, reached by decoding on from where the cursor stands."""
        tick, frame = self.cursor.walk(target)
        found.setdefault(tick, self._renderer.render(frame))

    def _seek(self, target: int) -> bool:
        """Puts the cursor on a keyframe before `target`; False where none is found.

        The keyframe must be strictly earlier: of frames with the same time the first counts, and frames that are
        shown before the keyframe but stored after it may refer to what was not decoded.
        """
        origin = self._clock.origin or 0
        for retreat_s in _RETREATS_S:
            wanted = target - 1 - round(retreat_s / self._clock.base)
            try:
                self._container.seek(origin + max(0, wanted), stream=self._stream, backward=True)
            except (av.error.FFmpegError, OSError):
                return False
            frames = self._frames()
            landed = next(((tick, frame) for tick, frame in frames if frame.key_frame or tick >= target), None)
            if landed is not None and landed[0] < target:
                self.cursor = _Cursor(landed, frames)
                return True
            if wanted <= 0:
                return False
        return False

    def _frames(self) -> Iterator[tuple[int, VideoFrame]]:
        for frame in decode(self._container, self._stream, self._tally):
            yield self._clock.ticks(frame), frame


def _find_from_start(seeker: _Seeker, targets: list[int], found: dict[int, UInt8]) -> None:
    for target in targets:
        seeker.take(target, found)
