"""The optional reader torchcodec, for installations that have torch anyway.

Knows nothing of times, which come from the packets as for every indexed reader, see `indexed`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vau.config import VideoConfig
from vau.errors import MissingExtraError, VideoOpenError
from vau.types import UInt8, VideoInfo
from vau.video.guard import shown
from vau.video.indexed import Fetch, IndexedSource


def torchcodec_source(path: Path, config: VideoConfig, info: VideoInfo, max_side: int | None) -> IndexedSource:
    """Returns the frames of a probed file as torchcodec decodes them, on the CPU.

    Raises:
        MissingExtraError: torchcodec is not installed, or its libraries (FFmpeg, torch) cannot be loaded.
    """
    try:
        from torchcodec.decoders import VideoDecoder
    except (ImportError, RuntimeError, OSError) as error:  # it raises RuntimeError where its libraries do not load
        raise MissingExtraError("the reader torchcodec", "torchcodec") from error

    def load() -> tuple[int, Fetch]:
        try:
            decoder = VideoDecoder(
                str(path.absolute()), dimension_order="NHWC", num_ffmpeg_threads=config.threads, seek_mode="exact"
            )
        except (RuntimeError, ValueError) as error:
            raise VideoOpenError(f"{shown(path)}: torchcodec cannot open it: {str(error)[:200]}") from error

        def fetch(index: int) -> UInt8:
            return np.asarray(decoder[index].numpy(), np.uint8)

        return len(decoder), fetch

    return IndexedSource(path, config, info, max_side, load)
