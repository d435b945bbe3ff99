"""What moves before a fixed camera: every moving region of every frame, however small, with its motion and its look.

A detector misses people of twenty pixels; a camera at rest does not need one, since what changes is an object. Regions
are cut out of dense flow at several speeds, so that a cyclist who passes through a crowd is a region of his own. The
cut at several speeds is ours. It knows neither classes nor identities, and a camera that moves is out of its reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np

from vau.checks import ShortRepr, check_rows, check_times, own
from vau.perception.models import Embedder, box_iou
from vau.types import Float32, Float64, FrameBatch, Int64, UInt8

MOTION = ("velocity_x", "velocity_y", "speed_p90", "speed_spread", "fill")
_SIDE = 384  # longer side in pixels on which flow is measured
_SLOWEST = 0.02  # frame heights a second; half a pixel a frame at 240 lines and 10 frames a second
_LAYERS = 5  # each twice as fast as the one below
_SMALLEST = 0.0004  # of the frame; 35 pixels of 360 x 240
_SAME = 0.7  # overlap from which a region of a faster layer is the one that is already known
_MARGIN = 0.15  # of a box, added around the picture that the embedder sees
_MOST = 64  # regions a frame, the largest first; a crowd of more is not told apart


@dataclass(frozen=True, repr=False, eq=False)
class Movers(ShortRepr):
    """Moving regions of a video, columnar: N frames that were looked at, M regions in them, D embedding dimensions."""

    times_s: Float64  # (N,)
    frame: Int64  # (M,) row of `times_s`, not decreasing
    boxes: Float32  # (M, 4) xyxy in pixels of the source video
    motion: Float32  # (M, 5), see MOTION: frame heights a second, and the share of the box that moves
    embeddings: Float32  # (M, D) unit norm, or zero where the region's look was not taken; D = 0 without an embedder
    frame_size: tuple[int, int]  # width, height of the source in pixels

    def __post_init__(self) -> None:
        object.__setattr__(self, "times_s", own(self.times_s, np.float64, 1, "times_s"))
        object.__setattr__(self, "frame", own(self.frame, np.int64, 1, "frame"))
        object.__setattr__(self, "boxes", own(self.boxes, np.float32, 2, "boxes"))
        object.__setattr__(self, "motion", own(self.motion, np.float32, 2, "motion"))
        object.__setattr__(self, "embeddings", own(self.embeddings, np.float32, 2, "embeddings"))
        check_times(self.times_s, "times_s")
        check_rows("Movers", len(self.frame), boxes=self.boxes, motion=self.motion, embeddings=self.embeddings)
        if self.boxes.shape[1] != 4 or self.motion.shape[1] != len(MOTION):
            raise ValueError(f"Movers need {self.boxes.shape = } (M, 4) and {self.motion.shape = } (M, {len(MOTION)})")
        if len(self.frame) and (
            (np.diff(self.frame) < 0).any() or self.frame[0] < 0 or self.frame[-1] >= len(self.times_s)
        ):
            raise ValueError(f"Movers.frame must rise within [0, {len(self.times_s)})")

    def __len__(self) -> int:
        return len(self.frame)


@dataclass
class MoverMeter:
    """Collects the movers of one video; `watch` its frames on their way to somebody else, then `take` the result.

    Args:
        frame_size: width and height of the source video in pixels.
        embedder: describes the look of regions; None leaves it out.
        look_every: the look is taken in every so many frames only, since it costs most of the time.
    """

    frame_size: tuple[int, int]
    embedder: Embedder | None = None
    look_every: int = 2
    _flow: cv2.DISOpticalFlow = field(
        default_factory=lambda: cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    )
    _grey: UInt8 | None = None
    _times: list[float] = field(default_factory=list)
    _frames: list[int] = field(default_factory=list)
    _boxes: list[Float32] = field(default_factory=list)
    _motion: list[Float32] = field(default_factory=list)
    _looks: list[Float32] = field(default_factory=list)

    @property
    def frames(self) -> int:
        """Number of frames that were pushed."""
        return len(self._times)

    def watch(self, frames: Iterable[FrameBatch]) -> Iterator[FrameBatch]:
        """Yields the batches unchanged and measures them on the way."""
        for batch in frames:
            for image, time_s in zip(batch.images, batch.times_s, strict=True):
                self.push(image, float(time_s))
            yield batch

    def push(self, image: UInt8, time_s: float) -> None:
        """Measures one frame (H, W, 3) against the one before it; the first frame of a video has no movers."""
        grey = _small_grey(image)
        before, self._grey = self._grey, grey
        row = len(self._times)
        self._times.append(time_s)
        if before is None or before.shape != grey.shape:
            return
        flow = self._flow.calc(before, grey, None)
        velocity = at_rest(flow) / ((time_s - self._times[-2]) * grey.shape[0])
        scale = np.array([image.shape[1] / grey.shape[1], image.shape[0] / grey.shape[0]] * 2, np.float32)
        to_source = np.array([self.frame_size[0] / grey.shape[1], self.frame_size[1] / grey.shape[0]] * 2, np.float32)
        look = self.embedder is not None and row % self.look_every == 1 % self.look_every
        for box, motion in moving_regions(velocity):
            self._frames.append(row)
            self._boxes.append(box * to_source)
            self._motion.append(motion)
            self._looks.append(self._look(image, box * scale) if look else self._no_look())

    def take(self) -> Movers:
        """Returns the movers of all frames that were pushed."""
        return Movers(
            times_s=np.array(self._times),
            frame=np.array(self._frames, np.int64),
            boxes=np.stack(self._boxes) if self._boxes else np.zeros((0, 4), np.float32),
            motion=np.stack(self._motion) if self._motion else np.zeros((0, len(MOTION)), np.float32),
            embeddings=np.stack(self._looks) if self._looks else np.zeros((0, len(self._no_look())), np.float32),
            frame_size=self.frame_size,
        )

    def _no_look(self) -> Float32:
        return np.zeros(0 if self.embedder is None else self.embedder.dim, np.float32)

    def _look(self, image: UInt8, box: Float32) -> Float32:
        assert self.embedder is not None
        looks: Float32 = self.embedder.embed(crop_around(image, box)[None])
        return np.asarray(looks[0])


def _small_grey(image: UInt8) -> UInt8:
    height, width = image.shape[:2]
    scale = min(1.0, _SIDE / max(height, width))
    size = (max(round(width * scale), 64), max(round(height * scale), 64))  # flow crashes on thinner strips
    grey: UInt8 = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if size != (width, height):
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return grey


def at_rest(flow: Float32) -> Float32:
    """Returns flow (h, w, 2) without the trembling of the mast: its median is taken away."""
    clean = np.nan_to_num(flow, posinf=0.0, neginf=0.0)
    still: Float32 = clean - np.median(clean[::4, ::4].reshape(-1, 2), axis=0).astype(np.float32)
    return still


def moving_regions(velocity: Float32) -> list[tuple[Float32, Float32]]:
    """Cuts moving regions out of a flow field, at several speeds.

    Args:
        velocity: (h, w, 2) in frame heights a second.

    Returns:
        Boxes (4,) xyxy in pixels of the field and their motion (5,), see MOTION; slow layers first. A region of a
        faster layer that covers the same box as one of a slower layer is left out.
    """
    speed = np.hypot(velocity[..., 0], velocity[..., 1])
    found: list[tuple[Float32, Float32]] = []
    for layer in range(_LAYERS):
        mask = (speed > _SLOWEST * 2**layer).astype(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
        for index in range(1, count):
            left, top, width, height, area = (int(value) for value in stats[index])
            if area < _SMALLEST * mask.size:
                continue
            box = np.array([left, top, left + width, top + height], np.float32)
            if any(box_iou(box, known) > _SAME for known, _ in found):
                continue
            inside = labels[top : top + height, left : left + width] == index
            found.append((box, _motion_of(velocity[top : top + height, left : left + width][inside], inside)))
    found.sort(key=lambda item: -float((item[0][2] - item[0][0]) * (item[0][3] - item[0][1])))
    return found[:_MOST]


def _motion_of(vectors: Float32, inside: np.ndarray) -> Float32:
    speed = np.hypot(vectors[:, 0], vectors[:, 1])
    mean = vectors.mean(axis=0)
    return np.array([mean[0], mean[1], np.percentile(speed, 90), speed.std(), inside.mean()], np.float32)


def crop_around(image: UInt8, box: Float32) -> UInt8:
    """Returns the square part of an image (H, W, 3) around a box (4,), a little wider than the box's longer side.

    A square keeps proportions, which tell a cyclist from a walker; beyond the border the picture is continued by its
    edge.
    """
    height, width = image.shape[:2]
    half = max(4.0, (0.5 + _MARGIN) * float(max(box[2] - box[0], box[3] - box[1])))
    x, y = float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2
    x0, y0, x1, y1 = round(x - half), round(y - half), round(x + half), round(y + half)
    part = image[max(y0, 0) : max(y1, 1), max(x0, 0) : max(x1, 1)]
    sides = (max(-y0, 0), max(y1 - height, 0), max(-x0, 0), max(x1 - width, 0))
    square: UInt8 = cv2.copyMakeBorder(part, *sides, cv2.BORDER_REPLICATE)
    return square
