"""The pictures of chosen times, read again from the file, as JPEG."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from PIL import Image

from vau.config import Config
from vau.jpeg import encode
from vau.types import Keyframe
from vau.video.seek import read_at

_AT_ONCE = 8  # frames in memory


def with_pictures(
    path: Path, keyframes: tuple[Keyframe, ...], config: Config, *, reliable_seek: bool
) -> tuple[Keyframe, ...]:
    """Returns the keyframes with their pictures, read a few at a time so that memory stays flat.

    Args:
        path: of the video.
        keyframes: in time order.
        config: section `video` says how to read, `report` how large and how fine the pictures are.
        reliable_seek: whether the file's timestamps let it be read from the middle.
    """
    pictured: list[Keyframe] = []
    for start in range(0, len(keyframes), _AT_ONCE):
        chunk = keyframes[start : start + _AT_ONCE]
        times = [keyframe.time_s for keyframe in chunk]
        batch = read_at(path, times, config.video, max_side=config.report.image_side, seek=reliable_seek)
        for keyframe in chunk:
            row = int(abs(batch.times_s - keyframe.time_s).argmin())
            picture = Image.fromarray(batch.images[row])
            jpeg = encode(picture, config.report.jpeg_quality)
            pictured.append(replace(keyframe, jpeg=jpeg, width=picture.width, height=picture.height))
    return tuple(pictured)
