"""Makes small clips whose every frame carries its own number as eight black or white bars, to be read from pixels."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

BITS = 8


def numbered(number: int, size: tuple[int, int]) -> np.ndarray:
    """Returns an image (H, W, 3) with its number as bars, bit 0 leftmost; the lowest quarter is red."""
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    edges = np.linspace(0, width, BITS + 1).round().astype(int)
    for bit in range(BITS):
        image[:, edges[bit] : edges[bit + 1]] = 235 if number >> bit & 1 else 20
    image[-(height // 4) :] = (200, 30, 30)
    return image


def number_of(image: np.ndarray) -> int:
    """Reads the number back."""
    height, width = image.shape[:2]
    centres = ((np.arange(BITS) + 0.5) * width / BITS).astype(int)
    bars = image[height // 8 : height // 2, centres].mean(axis=(0, 2))
    return int(sum(1 << bit for bit in range(BITS) if bars[bit] > 128))


def write_clip(
    path: Path,
    *,
    frames: int = 60,
    fps: int = 30,
    size: tuple[int, int] = (160, 120),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
    mux: dict[str, str] | None = None,
    ticks: Sequence[int] | None = None,
    stamps: Sequence[int] | None = None,
    rotation: int = 0,
    aspect: Fraction | None = None,
    first: int = 0,
) -> Path:
    """Encodes a clip of numbered frames; `rotation` is counter-clockwise.

    `ticks` places the frames at multiples of 1 / fps; `stamps` does so after encoding, where encoders refuse disorder.
    """
    if codec == "libx265":
        options = {"x265-params": "log-level=none", "preset": "ultrafast"} | (options or {})
    with av.open(str(path), "w", options=mux or {}) as container:
        stream = container.add_stream(codec, rate=fps, options=options or {})
        stream.width, stream.height, stream.pix_fmt = *size, pix_fmt
        stream.codec_context.thread_count = 1
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        for index, tick in enumerate(ticks if ticks is not None else range(frames)):
            frame = av.VideoFrame.from_ndarray(numbered(first + index, size), format="rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = tick, Fraction(1, fps)
            for packet in stream.encode(frame):
                if stamps is not None:
                    packet.pts = packet.dts = stamps[index]
                container.mux(packet)
        container.mux(stream.encode(None))
    return path


def write_sound(path: Path) -> Path:
    """Writes a file that holds sound alone."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        for index in range(20):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 44100, index * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def cut(path: Path, share: float) -> Path:
    """Cuts a file short, in place."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path
