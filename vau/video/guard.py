"""Opens video files that nobody vouches for: the content decides the format, and nothing but the one file is read.

Knows nothing of frames. FFmpeg may only use the demuxers in `FORMATS`; anything a demuxer wants to open besides the
file (playlist entries, QuickTime data references) is refused.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import NoReturn

import av
import av.container
import av.error
import av.video.stream

from vau.config import VideoConfig
from vau.errors import VideoLimitError, VideoOpenError

# Demuxers of self-contained video files: no playlists (hls, dash, concat, sdp), no pictures, no devices.
FORMATS = (
    *("mov", "matroska", "avi", "mpegts", "mpeg", "flv", "ogg", "asf", "ivf", "dhav"),
    *("h264", "hevc", "m4v", "mpegvideo"),  # bare streams without timestamps
)
_READ_BYTES = 256 * 1024
_PADDING_PIXELS = 2**20
_PIXEL_ASPECTS = (0.1, 10.0)  # an aspect outside is taken for damage


class _Content:
    """A file object without a name, so that FFmpeg judges the content and not the extension."""

    def __init__(self, file: FileIO) -> None:
        self.read = file.read
        self.seek = file.seek
        self.tell = file.tell


def shown(path: Path) -> str:
    """Returns a path for messages, with control characters escaped."""
    return repr(str(path))


@contextmanager
def open_regular(path: Path, config: VideoConfig) -> Iterator[FileIO]:
    """Opens a non-empty regular file for reading.

    Raises:
        VideoOpenError: the path is missing, unreadable, empty, a folder, a pipe, a socket or a device.
        VideoLimitError: the file is larger than `config.max_bytes`.
    """
    try:
        _check_regular(path, path.stat(), config)  # before opening: to open a device can already do something
        # A pipe swapped in between must not block; the opened file is checked again.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise VideoOpenError(f"{shown(path)}: cannot be opened: {error.strerror}") from error
    except ValueError as error:  # a null byte in the name
        raise VideoOpenError(f"{shown(path)}: cannot be opened: {error}") from error
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        _check_regular(path, os.fstat(descriptor), config)
        yield file


def _check_regular(path: Path, status: os.stat_result, config: VideoConfig) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise VideoOpenError(f"{shown(path)}: not a regular file; give the path of a video file")
    if status.st_size == 0:
        raise VideoOpenError(f"{shown(path)}: the file is empty")
    if status.st_size > config.max_bytes:
        raise VideoLimitError(
            f"{shown(path)}: {status.st_size} bytes exceed the limit of {config.max_bytes} (video.max_bytes)"
        )


@contextmanager
def open_container(
    path: Path, config: VideoConfig
) -> Iterator[tuple[av.container.InputContainer, av.video.stream.VideoStream]]:
    """Opens a video file with FFmpeg and selects its main video stream, with decoder threads and limits set.

    Raises:
        VideoOpenError: as `open_regular`; or no allowed demuxer knows the content; or it holds no video stream.
        VideoLimitError: as `open_regular`; or the declared frame exceeds `config.max_pixels`.
    """
    with open_regular(path, config) as file:
        # The decoder's own cap, which also holds where the size changes later or the header lies. Decoders pad frames.
        limits = {"max_pixels": str(2 * config.max_pixels + _PADDING_PIXELS)}
        options = {
            "format_whitelist": ",".join(FORMATS),
            "protocol_whitelist": "none",
            **limits,
        }
        try:
            container = av.open(
                _Content(file),
                "r",
                options=options,
                buffer_size=_READ_BYTES,
                metadata_errors="replace",
                io_open=_refuse,
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise VideoOpenError(
                f"{shown(path)}: not a video in a supported container, or damaged beyond reading ({_reason(error)})"
            ) from error
        with container:
            stream = _main_stream(path, container)
            _check_size(path, stream, config)
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = config.threads
            stream.codec_context.options = limits
            yield container, stream


def _refuse(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise PermissionError(f"a video file may not open {url!r}")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _main_stream(path: Path, container: av.container.InputContainer) -> av.video.stream.VideoStream:
    cover = av.stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not streams:
        raise VideoOpenError(f"{shown(path)}: the file holds no video stream")
    best = container.streams.best("video")
    return next((stream for stream in streams if best is not None and stream.index == best.index), streams[0])


def _check_size(path: Path, stream: av.video.stream.VideoStream, config: VideoConfig) -> None:
    context: av.VideoCodecContext | None = stream.codec_context
    if context is None:
        raise VideoOpenError(f"{shown(path)}: no decoder for the video's codec")
    width, height = context.width, context.height
    if width <= 0 or height <= 0:
        raise VideoOpenError(f"{shown(path)}: the video stream declares no frame size; the header is damaged")
    if width * height * max(1.0, pixel_aspect(stream)) > config.max_pixels:
        raise VideoLimitError(
            f"{shown(path)}: frames of {width} x {height} exceed the limit of "
            f"{config.max_pixels} pixels (video.max_pixels)"
        )


def pixel_aspect(stream: av.video.stream.VideoStream) -> float:
    """Returns width over height of one pixel; 1 where unknown or absurd."""
    aspect = float(stream.sample_aspect_ratio or 1)
    return aspect if _PIXEL_ASPECTS[0] <= aspect <= _PIXEL_ASPECTS[1] else 1.0
