"""Common ground of the optional readers: frames are asked for by index, and their times come from the packets.

Such readers report times in 32 bits or from another origin; the container's packets, sorted by presentation time, give
the exact ones. Knows no decoder; where a reader counts other frames than the container holds, it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import av.container
import av.video.stream
import cv2
import numpy as np

from vau.config import VideoConfig
from vau.errors import VideoLimitError, VideoOpenError
from vau.types import UInt8, VideoInfo
from vau.video.frames import Decoded, Tally
from vau.video.geometry import reduced_size
from vau.video.guard import open_container, shown
from vau.video.pyav import ONLY_DECODE_TIMES, packets, settle

Fetch = Callable[[int], UInt8]  # rank in display order -> upright RGB image of any size


class IndexedSource:
    """The frames of a reader that decodes by index; images are decoded when asked for, in order.

    `load` opens the file with the reader and returns how many frames it finds and the function that fetches one;
    `wrong_on` names containers of which the reader returns other frames than asked for.
    """

    def __init__(
        self,
        path: Path,
        config: VideoConfig,
        info: VideoInfo,
        max_side: int | None,
        load: Callable[[], tuple[int, Fetch]],
        wrong_on: tuple[str, ...] = (),
    ) -> None:
        self._path = path
        self._config = config
        self._size = reduced_size(info.width, info.height, max_side)
        self._load = load
        self._wrong_on = wrong_on
        self.tally = Tally()

    def __iter__(self) -> Iterator[Decoded]:
        """Starts a pass.

        Raises:
            VideoOpenError: the reader fails, or does not find the frames that the container holds.
        """
        times = self._packet_times()
        count, fetch = self._load()
        if count != len(times):
            raise self._unfit(f"finds {count} frames where the container holds {len(times)}")
        for index, (time_s, duration_s) in enumerate(times):
            yield Decoded(index, time_s, duration_s, partial(self._render, fetch, index))

    def _render(self, fetch: Fetch, index: int) -> UInt8:
        try:
            image = fetch(index)
        except (RuntimeError, IndexError, ValueError) as error:
            raise self._unfit(f"cannot decode frame {index} ({error})") from error
        if (image.shape[1], image.shape[0]) == self._size:
            return image
        return np.asarray(cv2.resize(image, self._size, interpolation=cv2.INTER_AREA), np.uint8)

    def _packet_times(self) -> list[tuple[float, float]]:
        """Returns time and duration of every frame in display order, in seconds from the first."""
        self.tally = Tally()
        with open_container(self._path, self._config) as (container, stream):
            if container.format.name in self._wrong_on:
                raise self._unfit(f"returns wrong frames of {container.format.name} files")
            stamps = self._stamps(container, stream)
            if not stamps or stream.time_base is None:
                raise VideoOpenError(f"{shown(self._path)}: the video stream holds no packets")
            base, origin = stream.time_base, stamps[0][0]
            settle(self.tally, origin * base, container, stream)
        num, den = base.numerator, base.denominator
        return [((ticks - origin) * num / den, duration * num / den) for ticks, duration in stamps]

    def _stamps(
        self, container: av.container.InputContainer, stream: av.video.stream.VideoStream
    ) -> list[tuple[int, int]]:
        reorders = stream.codec_context.has_b_frames and container.format.name in ONLY_DECODE_TIMES
        stamps = []
        for packet in packets(container, stream, self.tally):
            if packet.stream.index != stream.index or not packet.size or packet.is_discard:
                continue
            if packet.pts is None or reorders:
                raise self._unfit("needs presentation times, which the container does not hold")
            stamps.append((packet.pts, max(0, packet.duration or 0)))
            if len(stamps) > self._config.max_frames:
                raise VideoLimitError(
                    f"{shown(self._path)}: more than {self._config.max_frames} frames (video.max_frames)"
                )
        return sorted(stamps)

    def _unfit(self, reason: str) -> VideoOpenError:
        reader = self._config.reader
        return VideoOpenError(f"{shown(self._path)}: the reader {reader} {reason}; set video.reader to pyav")
