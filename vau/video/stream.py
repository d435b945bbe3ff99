"""One streaming decode pass over a video: frames sampled by time, in batches, in bounded memory.

Knows no decoder: a reader yields frames with times, this module chooses, batches and measures. Decoding runs in a
thread of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from vau.config import VideoConfig
from vau.errors import VideoOpenError
from vau.types import FrameBatch, UInt8, VideoInfo
from vau.video.frames import Decoded, Source
from vau.video.guard import shown
from vau.video.prefetch import prefetch
from vau.video.probe import probe
from vau.video.pyav import PyavSource
from vau.video.sampling import Grid, Intervals

_log = logging.getLogger(__name__)

_BATCH_BYTES = 64 * 2**20  # large frames come in smaller batches
_PREFETCH = 2
_MAX_BEYOND = 250  # frames in a row beyond the time limit that end the pass; fewer are damaged timestamps
_SHORT_S = 0.25  # a file may end this much, or this share, before its declared end
_SHORT_SHARE = 0.01


def open_stream(
    path: Path,
    config: VideoConfig,
    *,
    fps: float,
    max_side: int | None = None,
    batch: int = 16,
    info: VideoInfo | None = None,
) -> FrameStream:
    """Opens a video for one decode pass.

    Args:
        path: the file.
        config: reader, threads and limits.
        fps: instants a second at which the frame on screen is taken; never one frame twice.
        max_side: longer side in pixels to which images are reduced; None keeps the displayed size.
        batch: frames a batch, fewer where they would take more than 64 MiB.
        info: what `probe` returned for this file, to save reading it again for its SHA-256.

    Raises:
        VideoOpenError, VideoLimitError: as `probe`.
        MissingExtraError: `config.reader` is not installed.
        ValueError: `fps`, `max_side` or `batch` is not positive.
    """
    if batch < 1:
        raise ValueError(f"batch must be positive, got {batch}")
    if max_side is not None and max_side < 1:
        raise ValueError(f"max_side must be positive, got {max_side}")
    Grid(fps)
    info = info or probe(path, config)
    return FrameStream(path, config, _source(path, config, info, max_side), info, fps, batch)


def _source(path: Path, config: VideoConfig, info: VideoInfo, max_side: int | None) -> Source:
    if config.reader == "decord":
        from vau.video.decord import decord_source

        return decord_source(path, config, info, max_side)
    if config.reader == "torchcodec":
        from vau.video.torchcodec import torchcodec_source

        return torchcodec_source(path, config, info, max_side)
    return PyavSource(path, config, max_side)


class FrameStream:
    """Sampled frames as an iterable of `FrameBatch`; every iteration is a new pass.

    `times_s` of the first frame is 0 and times strictly increase; `indices` count all decoded frames. After a pass
    `info` holds measured figures and `dropped` the frames that were left out because their time did not advance.
    """

    def __init__(
        self, path: Path, config: VideoConfig, source: Source, info: VideoInfo, fps: float, batch: int
    ) -> None:
        self.info = info
        self.dropped = 0
        self._path = path
        self._config = config
        self._source = source
        self._fps = fps
        self._batch = batch
        self._decoded = 0
        self._stopped = False  # by a limit

    @property
    def corrupt_packets(self) -> int:
        """How many packets of the last pass did not decode."""
        return self._source.tally.corrupt_packets

    def __iter__(self) -> Iterator[FrameBatch]:
        """Decodes the file once.

        Raises:
            VideoOpenError: nothing decodes.
        """
        return prefetch(self._batches(), _PREFETCH)

    def _batches(self) -> Iterator[FrameBatch]:
        pending = _Pending(self._batch)
        for frame in self._sampled():
            pending.add(frame)
            if pending.full:
                yield pending.take()
        if len(pending):
            yield pending.take()

    def _sampled(self) -> Iterator[Decoded]:
        """Yields the frames on screen at the grid's instants; a frame is known to have left when the next arrives."""
        grid, intervals = Grid(self._fps), Intervals()
        last: Decoded | None = None
        for frame in self._advancing():
            if last is not None:
                intervals.add(frame.time_s - last.time_s)
                if grid.wants(last.time_s, frame.time_s):
                    yield last
            last = frame
        if last is None:
            raise VideoOpenError(f"{shown(self._path)}: no frame of the {self.info.codec} stream can be decoded")
        end_s = last.time_s + self._last_duration_s(last, intervals)
        if grid.wants(last.time_s, end_s):
            yield last
        self._measure(intervals, end_s)

    def _advancing(self) -> Iterator[Decoded]:
        """Yields the frames whose time advances, within the limits of duration and number."""
        self.dropped = self._decoded = beyond = 0
        self._stopped = False
        last_s = -1.0
        for frame in self._source:
            self._decoded = frame.index + 1
            far = frame.time_s > self._config.max_duration_s
            beyond = beyond + 1 if far else 0
            if self._decoded > self._config.max_frames or beyond > _MAX_BEYOND:
                _log.warning("%s: a limit of duration or frames ends decoding at %.1f s", self.info.source, last_s)
                self._stopped = True
                return
            if far or frame.time_s <= last_s:
                self.dropped += 1
                continue
            last_s = frame.time_s
            yield frame

    def _last_duration_s(self, last: Decoded, intervals: Intervals) -> float:
        usual = intervals.median_s or (1 / self.info.nominal_fps if self.info.nominal_fps else 0.04)
        return last.duration_s if 0 < last.duration_s <= max(1.0, 10 * usual) else usual

    def _measure(self, intervals: Intervals, end_s: float) -> None:
        tally = self._source.tally
        slack_s = max(_SHORT_S, _SHORT_SHARE * end_s)
        # Sound may outlast the picture by right, so a promise is held against all streams, and frames against packets.
        short = tally.declared_end_s > max(tally.packets_end_s, end_s) + slack_s
        lost = tally.video_end_s > end_s + slack_s
        kept = self._decoded - self.dropped
        rate = self.info.nominal_fps or (kept / end_s if end_s > 0 else 0.0)
        self.info = replace(
            self.info,
            duration_s=end_s,
            n_frames=self._decoded,
            nominal_fps=rate,
            variable_rate=intervals.variable,
            truncated=self._stopped or tally.failed or tally.cut or short or lost,
        )
        if tally.corrupt_packets:
            _log.info("%s: %d packets did not decode", self.info.source, tally.corrupt_packets)


class _Pending:
    """Frames rendered into one array until it is full."""

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._images: UInt8 | None = None
        self._frames: list[tuple[float, int]] = []

    def add(self, frame: Decoded) -> None:
        image = frame.render()
        if self._images is None:
            rows = max(1, min(self._batch, _BATCH_BYTES // image.nbytes))
            self._images = np.empty((rows, *image.shape), np.uint8)
        self._images[len(self._frames)] = image
        self._frames.append((frame.time_s, frame.index))

    @property
    def full(self) -> bool:
        return self._images is not None and len(self._frames) == len(self._images)

    def take(self) -> FrameBatch:
        assert self._images is not None
        times, indices = zip(*self._frames, strict=True)
        images = self._images[: len(self._frames)]
        self._images, self._frames = None, []
        return FrameBatch(images, np.array(times), np.array(indices))

    def __len__(self) -> int:
        return len(self._frames)
