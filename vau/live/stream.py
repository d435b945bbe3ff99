"""Frames of a file or of a network stream as they come, with every gap told: reading, reconnecting, pacing.

A stream's clock starts with its first frame. Within a connection it follows the presentation timestamps; across a gap
it follows the clock on the wall, so that times stay true. What the network brings while the watch is busy waits in a
short queue and is left out where that is full, which is counted. No address is ever shown but masked, and no error of
FFmpeg's is passed on as it is, since it may quote the address.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import av.container
import av.error
import av.video.stream

from vau.config import VideoConfig
from vau.errors import VideoOpenError
from vau.live.address import Address
from vau.types import UInt8, VideoInfo
from vau.video import open_stream, probe
from vau.video.frames import Tally
from vau.video.pyav import Renderer, TickClock, decode
from vau.video.sampling import Grid

_log = logging.getLogger(__name__)

_QUEUE = 64  # frames
_POLL_S = 0.2
_JUMP_S = 10.0  # by which timestamps may run ahead within a connection
_OVER_S = 1.0  # a stream that ends so near its declared end is over, not broken
_MAX_RATE = 1000.0


@dataclass(frozen=True)
class Begun:
    """An unbroken stretch begins."""

    info: VideoInfo  # its name is the masked address; its length is not known


@dataclass(frozen=True, eq=False)
class Frame:
    """The next frame at the motion rate."""

    image: UInt8  # (H, W, 3)
    time_s: float


@dataclass(frozen=True)
class Lost:
    """The stream broke off; it is tried again."""

    time_s: float  # of the last frame
    reason: str


@dataclass(frozen=True)
class Gap:
    """The stream is back, or was given up: nothing was seen between two times."""

    start_s: float
    end_s: float
    reason: str


class _Broken(Exception):
    """A connection is of no use; the text is ours and may be shown."""


Item = Begun | Frame | Lost | Gap


@dataclass(frozen=True)
class Connecting:
    """How a network stream is opened, and when a lost one is tried again.

    Pauses double from try to try; each is drawn from its upper half.
    """

    first_s: float = 1.0
    longest_s: float = 60.0
    give_up_s: float = 0.0  # without a frame; 0: never
    open_s: float = 15.0  # that opening a stream may take
    silent_s: float = 15.0  # without data before a stream counts as lost
    ca_file: Path | None = None  # certificates to trust instead of the public authorities', PEM

    def pause_s(self, tried: int) -> float:
        """Returns the seconds to wait after the given number of failed tries."""
        return min(self.first_s * 2.0 ** min(tried, 30), self.longest_s) * random.uniform(0.5, 1.0)  # noqa: S311 no secret


class Stream:
    """Items of a file or a network stream; one iteration, in one thread.

    Args:
        address: what to watch.
        config: limits and rates of decoding.
        speed: of a file: 1 as fast as it happened, 0 as fast as it can be read.
        connecting: to a network stream.
    """

    def __init__(
        self, address: Address, config: VideoConfig, *, speed: float = 1.0, connecting: Connecting | None = None
    ) -> None:
        if not 0 <= speed <= 1000:
            raise ValueError(f"speed must lie in [0, 1000], got {speed!r}")
        self.address = address
        self.left_out = 0  # frames that came while the queue was full
        self.connections = 0
        self._config = config
        self._speed = speed
        self._how = connecting or Connecting()
        self._over = False  # the stream came to the end that it had declared
        self._stop = threading.Event()
        self._last_s = 0.0  # of the stream's clock
        self._last_at = 0.0  # on the wall

    def close(self) -> None:
        """Ends the iteration soon; from any thread."""
        self._stop.set()

    def __iter__(self) -> Iterator[Item]:
        """Yields what comes.

        Raises:
            VideoOpenError, VideoLimitError: the file cannot be used, or the stream could not be opened at all.
        """
        return self._from_network() if self.address.path is None else self._from_file()

    # -- Files ---------------------------------------------------------------------------------------------------------

    def _from_file(self) -> Iterator[Item]:
        path = self.address.path
        assert path is not None
        config = self._config
        info = probe(path, config)
        frames = open_stream(path, config, fps=config.motion_fps, max_side=config.max_side, info=info)
        self.connections = 1
        yield Begun(info)
        started = time.monotonic()
        for batch in frames:
            for image, time_s in zip(batch.images, batch.times_s.tolist(), strict=True):
                if self._speed and self._stop.wait(max(started + time_s / self._speed - time.monotonic(), 0.0)):
                    return
                if self._stop.is_set():
                    return
                yield Frame(image, time_s)

    # -- Networks ------------------------------------------------------------------------------------------------------

    def _from_network(self) -> Iterator[Item]:
        items: queue.Queue[Item | BaseException | None] = queue.Queue(_QUEUE)
        reader = threading.Thread(target=self._read, args=(items,), name="vau-live", daemon=True)
        reader.start()
        try:
            while (item := self._next(items, reader)) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            self._stop.set()

    def _next(
        self, items: queue.Queue[Item | BaseException | None], reader: threading.Thread
    ) -> Item | BaseException | None:
        while not self._stop.is_set():  # what still waits is of no use to one who leaves
            try:
                return items.get(timeout=_POLL_S)
            except queue.Empty:
                if not reader.is_alive():
                    break
        return None

    def _read(self, items: queue.Queue[Item | BaseException | None]) -> None:
        """Fills the queue, in a thread of its own; the last item is None or an error."""
        end: BaseException | None = None
        try:
            for item in self._connected():
                if not self._put(items, item):
                    return
        except BaseException as error:  # noqa: BLE001  # handed over and raised in the consumer's thread
            end = error
        self._put(items, end)

    def _put(self, items: queue.Queue[Item | BaseException | None], item: Item | BaseException | None) -> bool:
        """Puts an item; a frame is left out where the queue is full, all else waits."""
        while not self._stop.is_set():
            try:
                items.put(item, timeout=0.0 if isinstance(item, Frame) else _POLL_S)
                return True
            except queue.Full:
                if isinstance(item, Frame):
                    self.left_out += 1
                    return True
        return False

    def _connected(self) -> Iterator[Item]:
        """Yields the items of one connection after another."""
        tried, lost_s, reason = 0, 0.0, ""
        while not self._stop.is_set():
            seen = self.connections
            try:
                for item in self._connection(lost_s, reason):
                    tried = 0
                    yield item
                if self._over:
                    return
                reason = "the stream ended"
                if self.connections == 0:
                    reason += " before a picture could be read, as that of an MP4 file with its index at the end does"
            except _Broken as broken:
                reason = str(broken)
            except (av.error.FFmpegError, OSError, ValueError) as error:
                # Only the reason: the text of the error may quote the whole address.
                reason = getattr(error, "strerror", None) or type(error).__name__
            if self.connections == 0:
                hint = "; a camera with a certificate of its own needs --ca-file" if self.address.encrypted else ""
                raise VideoOpenError(f"{self.address.shown!r}: the stream cannot be watched ({reason}){hint}") from None
            if self.connections > seen:
                lost_s = self._last_s
                _log.info("%s: lost at %.1f s (%s)", self.address.shown, lost_s, reason)
                yield Lost(lost_s, reason)
            silent_s = time.monotonic() - self._last_at
            if self._how.give_up_s and silent_s > self._how.give_up_s:
                yield Gap(lost_s, self._last_s + silent_s, f"{reason}; given up")
                return
            self._stop.wait(self._how.pause_s(tried))
            tried += 1

    def _connection(self, lost_s: float, reason: str) -> Iterator[Item]:
        """Yields what one connection brings: the gap before it, its beginning, its frames."""
        self._over = False
        how, address = self._how, self.address
        # The decoder's own cap, which also holds where the size changes later. Decoders pad frames.
        limits = {"max_pixels": str(2 * self._config.max_pixels + 2**20)}
        with av.open(
            address.text.strip(),
            "r",
            options=address.options(how.ca_file) | limits,
            timeout=(how.open_s, how.silent_s),
            metadata_errors="replace",
        ) as container:
            stream = container.streams.best("video")
            if not isinstance(stream, av.video.stream.VideoStream):
                raise _Broken("no video in it")
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = self._config.threads
            stream.codec_context.options = limits
            yield from self._frames(container, stream, lost_s, reason)

    def _frames(
        self, container: av.container.InputContainer, stream: av.video.stream.VideoStream, lost_s: float, reason: str
    ) -> Iterator[Item]:
        clock, grid, tally = TickClock(stream), Grid(self._config.motion_fps), Tally()
        renderer, origin_s, before = None, 0.0, None
        for frame in decode(container, stream, tally):
            if self._stop.is_set():
                return
            time_s, _ = clock.seconds(frame)
            if renderer is None:
                renderer = Renderer(frame, stream, self._config.max_side)
                width, height = renderer.displayed
                if width * height > self._config.max_pixels:
                    raise _Broken(f"frames of {width} x {height} exceed video.max_pixels")
                if self.connections:
                    origin_s = self._last_s + time.monotonic() - self._last_at
                    yield Gap(lost_s, origin_s, reason)
                self.connections += 1
                yield Begun(self._info(container, stream, renderer))
            elif before is not None and time_s > before[0] + _JUMP_S:
                raise _Broken("its timestamps jump")
            elif before is not None and time_s <= before[0]:
                if before[0] - time_s > _JUMP_S:
                    raise _Broken("its timestamps jump")
                continue
            if before is not None and grid.wants(before[0], time_s):
                yield Frame(renderer.render(before[1]), origin_s + before[0])
            before = time_s, frame
            self._last_s, self._last_at = origin_s + time_s, time.monotonic()
        declared_s = (container.duration or 0) / 1_000_000
        self._over = before is not None and 0 < declared_s <= before[0] + _OVER_S

    def _info(
        self, container: av.container.InputContainer, stream: av.video.stream.VideoStream, renderer: Renderer
    ) -> VideoInfo:
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        width, height = renderer.displayed
        return VideoInfo(
            source=self.address.shown,
            sha256="",
            duration_s=0.0,
            width=width,
            height=height,
            nominal_fps=rate if 0 < rate <= _MAX_RATE else 0.0,
            n_frames=0,
            codec=stream.codec_context.name,
            container=container.format.name,
            rotation=renderer.rotation,
        )
