"""Models that need no weights, and pictures for them: whatever is red is a person."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from vau.perception.observe import Models
from vau.types import Detection, Float32, UInt8

SIZE = (320, 240)
FPS = 12


class RedPeople:
    """Finds every red region as a person; as a pose model with a torso along the region's longer side."""

    def __init__(self, name: str, *, posed: bool) -> None:
        self.name = name
        self._posed = posed

    def detect(self, images: UInt8) -> list[list[Detection]]:
        return [self._one(image) for image in images]

    def _one(self, image: UInt8) -> list[Detection]:
        red, green, blue = (image[..., channel].astype(int) for channel in range(3))
        mask = ((red > 150) & (green < 100) & (blue < 100)).astype(np.uint8)
        count, _, stats, _ = cv2.connectedComponentsWithStats(mask)
        found = []
        for x, y, width, height, area in stats[1:count]:
            if area < 60:
                continue
            box = np.array([x, y, x + width, y + height], np.float32)
            found.append(Detection("person", 0.45 if self._posed else 0.8, box, self.name, self._torso(box)))
        return found

    def _torso(self, box: Float32) -> Float32 | None:
        if not self._posed:
            return None
        points = np.full((17, 3), 0.8, np.float32)
        points[:, :2] = (box[:2] + box[2:]) / 2
        axis = 1 if box[3] - box[1] >= box[2] - box[0] else 0
        points[[5, 6], axis], points[[11, 12], axis] = box[axis], (box[axis] + box[axis + 2]) / 2
        return points


class Thumbnails:
    """Embeds a picture as its own thumbnail."""

    name = "thumbnails"
    dim = 48

    def embed(self, images: UInt8) -> Float32:
        small = np.stack([cv2.resize(image, (4, 4), interpolation=cv2.INTER_AREA).ravel() for image in images])
        small = small.astype(np.float32) + 1
        return small / np.linalg.norm(small, axis=1, keepdims=True)


def models(*, pose: bool = True) -> Models:
    return Models(RedPeople("red", posed=False), Thumbnails(), RedPeople("red pose", posed=True) if pose else None)


def scene(*boxes: tuple[float, float, float, float], size: tuple[int, int] = SIZE, seed: int = 0) -> UInt8:
    """Returns a textured grey picture (H, W, 3) with red boxes in it."""
    noise = np.random.default_rng(seed).integers(60, 200, (size[1], size[0]), np.uint8)
    image = np.repeat(cv2.GaussianBlur(noise, (0, 0), 2)[..., None], 3, axis=2)
    for x0, y0, x1, y1 in boxes:
        image[round(y0) : round(y1), round(x0) : round(x1)] = (220, 30, 30)
    return image


def walking(time_s: float) -> tuple[float, float, float, float]:
    """Returns the box of someone who walks to the right."""
    x = 40 + 30 * time_s
    return x, 100, x + 24, 160


def falling(time_s: float, at_s: float = 4.0) -> tuple[float, float, float, float]:
    """Returns the box of someone who stands, falls and lies."""
    down = float(np.clip((time_s - at_s) / 0.5, 0, 1))
    wide, tall = 24 + 40 * down, 60 - 37 * down
    return 200 - wide / 2, 200 - tall, 200 + wide / 2, 200


def write(path: Path, images: list[UInt8], fps: int = FPS) -> Path:
    """Encodes pictures as an MP4 whose index comes first."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "12", "preset": "ultrafast"})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
