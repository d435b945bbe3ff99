"""The optional reader decord, for comparison and for trees of clips that other tools read with it.

Knows nothing of times: decord keeps them in 32 bits, see `indexed`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vau.config import VideoConfig
from vau.errors import MissingExtraError, VideoOpenError
from vau.types import UInt8, VideoInfo
from vau.video.guard import shown
from vau.video.indexed import Fetch, IndexedSource


def decord_source(path: Path, config: VideoConfig, info: VideoInfo, max_side: int | None) -> IndexedSource:
    """Returns the frames of a probed file as decord decodes them.

    Raises:
        MissingExtraError: decord is not installed.
    """
    try:
        import decord
    except ImportError as error:
        raise MissingExtraError("the reader decord", "decord") from error

    def load() -> tuple[int, Fetch]:
        try:
            reader = decord.VideoReader(str(path.absolute()), ctx=decord.cpu(0), num_threads=config.threads)
        except (decord.DECORDError, RuntimeError) as error:
            raise VideoOpenError(f"{shown(path)}: decord cannot open it: {str(error).splitlines()[0]}") from error

        def fetch(index: int) -> UInt8:
            return np.asarray(reader[index].asnumpy(), np.uint8)

        return len(reader), fetch

    return IndexedSource(path, config, info, max_side, load, wrong_on=("mpegts",))
