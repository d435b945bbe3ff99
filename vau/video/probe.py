"""Says what a video file is from its header and its first frame, without decoding the rest.

Knows nothing of sampling. What a header declares may be a lie; the figures of a full pass replace it (see `stream`).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import av.container
import av.video.stream

from vau.config import VideoConfig
from vau.errors import VideoOpenError
from vau.types import VideoInfo
from vau.video.frames import Tally
from vau.video.guard import open_container, open_regular, shown
from vau.video.pyav import Renderer, declared_end_s, decode

_MAX_FPS = 1000.0


def probe(path: Path, config: VideoConfig) -> VideoInfo:
    """Checks a file and returns what it declares; the first frame is decoded, for its size and rotation.

    Raises:
        VideoOpenError: the file is missing, empty, not a regular file, not a video in an allowed container, holds no
            video stream, or nothing in it decodes.
        VideoLimitError: the file or its frames exceed `config.max_bytes` or `config.max_pixels`.
    """
    with open_container(path, config) as (container, stream):
        frame = next(decode(container, stream, Tally()), None)
        if frame is None:
            raise VideoOpenError(f"{shown(path)}: no frame of the {stream.codec_context.name} stream can be decoded")
        renderer = Renderer(frame, stream, None)
        width, height = renderer.displayed
        duration_s = _declared_duration_s(container, stream)
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        return VideoInfo(
            source=path.name,
            sha256=_sha256(path, config),
            duration_s=duration_s,
            width=width,
            height=height,
            nominal_fps=rate if 0 < rate <= _MAX_FPS else 0.0,
            n_frames=max(0, stream.frames),
            codec=stream.codec_context.name,
            container=container.format.name,
            rotation=renderer.rotation,
        )


def _declared_duration_s(container: av.container.InputContainer, stream: av.video.stream.VideoStream) -> float:
    if stream.duration and stream.duration > 0 and stream.time_base:
        return float(stream.duration * stream.time_base)
    return max(0.0, declared_end_s(container, stream) - max(0, container.start_time or 0) / 1_000_000)


def _sha256(path: Path, config: VideoConfig) -> str:
    with open_regular(path, config) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
