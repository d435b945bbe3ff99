"""Dense motion by DIS optical flow, summarised so that opposing motions cannot cancel.

Every pair of consecutive motion frames gives a flow field; what the camera itself does (a similarity fitted by
RANSAC) is taken away, and the rest is kept as speeds, a direction histogram weighted by speed, and the local
*incoherence*: in a small block, mean speed minus the speed of the mean. Limbs that strike, grapple or fall move in many
directions at one place, walkers and traffic do not. Speeds are in frame heights a second. The signals are ours; the
direction histogram in place of the spatial mean answers a weakness of EventVAD's released motion stream.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from scipy.ndimage import uniform_filter1d

from vau.types import Float32, Float64, Observations, UInt8

DIRECTIONS = 8
MOTION_CHANNELS: tuple[str, ...] = (
    "speed_mean",
    "speed_p95",
    "speed_block_max",
    "moving_fraction",
    *(f"direction_{i}" for i in range(DIRECTIONS)),
    "direction_entropy",
    "incoherence_max",
    "incoherence_x",  # place of the largest incoherence, 0 left to 1 right
    "incoherence_y",  # 0 top to 1 bottom
    "camera_speed",
    "frame_difference",  # mean absolute difference of grey levels a pair, 0 to 1
    "luminance",  # mean grey level, 0 to 1
    "cut",  # 0 to 1, how little two frames have in common as histograms and structure
    *(f"cell_{i}" for i in range(24)),  # mean speed in a grid of 6 by 4 cells, row by row
)
SHOT_CHANGE = 0.2  # of the "cut" channel; frames of one shot stay below 0.05
_CAMERA_SHARE = 0.6  # of the picture that must agree on what the camera does
_THINNEST = 64  # pixels; flow on narrower strips is unstable, so they are padded
_FLOW_SIDE = 320
_MOVING = 0.05  # frame heights a second; below it flow is compression noise
_GRID = (12, 8)  # blocks across, down
_CELLS = (6, 4)
_SLOW = 0.2  # frame heights a second; keeps the ratio of two small speeds from counting


def turbulence(observations: Observations) -> Float64:
    """Returns (N,) how violently things at one place move against each other, 0 to 1.

    The largest block's incoherence over the largest block's speed, times how evenly the directions of all motion are
    spread: limbs in a fight reach 0.1 and more, walkers, traffic and a person who sits down stay below 0.08. The ratio
    makes near and far bodies comparable, though far ones still read lower, and something fast elsewhere in the picture
    hides it. Smoothed over three sampled frames.
    """
    if not len(observations):
        return np.zeros(0)
    parts, speed, spread = (
        uniform_filter1d(observations.channel(name).astype(np.float64), 3, mode="nearest")
        for name in ("incoherence_max", "speed_block_max", "direction_entropy")
    )
    return parts / (speed + _SLOW) * spread


@dataclass
class FlowField:
    """Residual flow of one pair of frames, camera motion removed."""

    velocity: Float32  # (h, w, 2) frame heights a second
    camera: tuple[float, float]  # frame heights a second

    def inside(self, box: Float32, scale: float) -> Float32:
        """Summarises the motion of one object.

        Args:
            box: (4,) in pixels of the frame.
            scale: flow pixels a frame pixel.

        Returns:
            (4,) mean velocity x and y and mean speed of parts about that mean, in box sizes (larger side) a second,
            and the spread of directions in [0, 1].
        """
        height, width = self.velocity.shape[:2]
        x0, y0, x1, y1 = (box * scale).round().astype(int)
        x0, y0 = min(max(x0, 0), width - 1), min(max(y0, 0), height - 1)
        patch = self.velocity[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)].reshape(-1, 2)
        size = max(float(box[2] - box[0]), float(box[3] - box[1])) * scale / height
        speed = np.hypot(patch[:, 0], patch[:, 1])
        moving = patch[speed > _MOVING]
        if len(moving) < 4 or size <= 0:
            return np.zeros(4, np.float32)
        # Only moving pixels describe the body: the rest of the box is background.
        mean = moving.mean(axis=0)
        parts = np.hypot(*(moving - mean).T).mean()
        return np.array([mean[0] / size, mean[1] / size, parts / size, direction_entropy(moving)], np.float32)


def direction_histogram(vectors: Float32) -> Float32:
    """Returns the speed-weighted histogram (8,) of the directions of vectors (M, 2)."""
    speed = np.hypot(vectors[:, 0], vectors[:, 1])
    sector = np.floor((np.arctan2(vectors[:, 1], vectors[:, 0]) + np.pi) / (2 * np.pi) * DIRECTIONS).astype(int)
    return np.bincount(sector % DIRECTIONS, weights=speed, minlength=DIRECTIONS).astype(np.float32)


def direction_entropy(vectors: Float32) -> float:
    """Returns how evenly directions are spread: 0 all one way, 1 all ways alike."""
    histogram = direction_histogram(vectors)
    total = float(histogram.sum())
    if total <= 0:
        return 0.0
    share = histogram[histogram > 0] / total
    return float(-(share * np.log(share)).sum() / np.log(DIRECTIONS))


@dataclass
class MotionMeter:
    """Measures motion between consecutive frames; `push` each frame, `take` a row whenever one is due."""

    _flow: cv2.DISOpticalFlow = field(
        default_factory=lambda: cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    )
    _rows: list[Float32] = field(default_factory=list)
    _grey: UInt8 | None = None
    _small: UInt8 | None = None
    _time_s: float = 0.0
    latest: FlowField | None = None

    def push(self, image: UInt8, time_s: float) -> None:
        """Adds one frame (H, W, 3) RGB; frames come in time order."""
        height, width = image.shape[:2]
        scale = _FLOW_SIDE / max(height, width)
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        if self._grey is not None and self._small is not None and time_s > self._time_s:
            self._rows.append(self._measure(small, grey, time_s - self._time_s))
        self._small, self._grey, self._time_s = small, grey, time_s

    def take(self) -> Float32:
        """Returns one row (B,) over the pairs since the last call.

        Extremes (maxima, cuts) keep their largest value, all else is averaged. Without a pair, as at the first frame,
        only the light is known and all motion is 0.
        """
        if not self._rows:
            still = np.zeros(len(MOTION_CHANNELS), np.float32)
            if self._grey is not None:
                still[MOTION_CHANNELS.index("luminance")] = self._grey.mean() / 255
            return still
        rows = np.stack(self._rows)
        self._rows.clear()
        row: Float32 = rows.mean(axis=0, dtype=np.float32)
        for index in _EXTREMES:
            row[index] = rows[:, index].max()
        strongest = rows[:, _INCOHERENCE_MAX].argmax()
        row[_INCOHERENCE_X], row[_INCOHERENCE_Y] = rows[strongest, _INCOHERENCE_X], rows[strongest, _INCOHERENCE_Y]
        return row

    def _measure(self, small: UInt8, grey: UInt8, step_s: float) -> Float32:
        assert self._grey is not None and self._small is not None
        height = grey.shape[0]
        cut = _cut(self._small, small)
        raw = _flow_between(self._flow, self._grey, grey)
        camera = _camera_flow(raw)
        velocity = ((raw - camera) / (step_s * height)).astype(np.float32)
        if cut > SHOT_CHANGE:
            # Flow across a shot change is meaningless: nothing moved, the picture was exchanged.
            velocity = np.zeros_like(velocity)
        self.latest = FlowField(velocity, _mean_speed(camera / (step_s * height)))
        speed = np.hypot(velocity[..., 0], velocity[..., 1])
        moving = velocity[speed > _MOVING]
        block_speed = cv2.resize(speed, _GRID, interpolation=cv2.INTER_AREA)
        block_mean = cv2.resize(velocity, _GRID, interpolation=cv2.INTER_AREA)
        incoherence = block_speed - np.hypot(block_mean[..., 0], block_mean[..., 1])
        place = np.unravel_index(int(incoherence.argmax()), incoherence.shape)
        return np.array(
            [
                speed.mean(),
                np.percentile(speed, 95),
                block_speed.max(),
                len(moving) / speed.size,
                *(direction_histogram(moving) / speed.size),
                direction_entropy(moving),
                incoherence.max(),
                (place[1] + 0.5) / _GRID[0],
                (place[0] + 0.5) / _GRID[1],
                float(np.hypot(*self.latest.camera)),
                np.abs(grey.astype(np.int16) - self._grey).mean() / 255,
                grey.mean() / 255,
                cut,
                *cv2.resize(speed, _CELLS, interpolation=cv2.INTER_AREA).ravel(),
            ],
            np.float32,
        )


_INCOHERENCE_MAX = MOTION_CHANNELS.index("incoherence_max")
_INCOHERENCE_X = MOTION_CHANNELS.index("incoherence_x")
_INCOHERENCE_Y = MOTION_CHANNELS.index("incoherence_y")
_EXTREMES = tuple(MOTION_CHANNELS.index(name) for name in ("speed_block_max", "incoherence_max", "cut"))


def _flow_between(engine: cv2.DISOpticalFlow, before: UInt8, after: UInt8) -> Float32:
    """Returns the flow (h, w, 2) in pixels; strips are padded by their own edge, on which the engine would crash."""
    height, width = before.shape
    down, right = max(0, _THINNEST - height), max(0, _THINNEST - width)
    if down or right:
        before, after = (
            cv2.copyMakeBorder(image, 0, down, 0, right, cv2.BORDER_REPLICATE) for image in (before, after)
        )
    flow: Float32 = engine.calc(before, after, None)[:height, :width]
    return np.nan_to_num(np.ascontiguousarray(flow), posinf=0.0, neginf=0.0)


def _mean_speed(camera: Float32) -> tuple[float, float]:
    mean = camera.reshape(-1, 2).mean(axis=0)
    return float(mean[0]), float(mean[1])


def _camera_flow(flow: Float32) -> Float32:
    """Returns the flow (h, w, 2) that a moving camera alone would cause; zeros for a camera at rest.

    A similarity is fitted to a coarse grid of flow vectors; it counts only where most of the picture agrees with it.
    """
    height, width = flow.shape[:2]
    ys, xs = np.mgrid[height // 24 : height : max(1, height // 12), width // 32 : width : max(1, width // 16)]
    start = np.stack([xs.ravel(), ys.ravel()], 1).astype(np.float32)
    moved = start + flow[ys.ravel(), xs.ravel()]
    if np.median(np.hypot(*(moved - start).T)) < 0.1:
        return np.zeros_like(flow)
    matrix, inliers = cv2.estimateAffinePartial2D(start, moved, ransacReprojThreshold=0.7, maxIters=200)
    if matrix is None or inliers.mean() < _CAMERA_SHARE:
        return np.zeros_like(flow)
    grid_y, grid_x = np.mgrid[0:height, 0:width].astype(np.float32)
    camera_x = matrix[0, 0] * grid_x + matrix[0, 1] * grid_y + matrix[0, 2] - grid_x
    camera_y = matrix[1, 0] * grid_x + matrix[1, 1] * grid_y + matrix[1, 2] - grid_y
    return np.stack([camera_x, camera_y], -1).astype(np.float32)


def _cut(before: UInt8, after: UInt8) -> float:
    """Returns 0 for frames of one shot and towards 1 for two shots: colour histograms and thumbnails both differ."""
    histograms = [
        cv2.normalize(cv2.calcHist([image], [0, 1, 2], None, [8, 8, 8], [0, 256] * 3), None, 1, 0, cv2.NORM_L1)
        for image in (before, after)
    ]
    apart = float(cv2.compareHist(histograms[0], histograms[1], cv2.HISTCMP_BHATTACHARYYA))
    thumbs = [
        cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (16, 12), interpolation=cv2.INTER_AREA)
        .astype(np.float32)
        .ravel()
        for image in (before, after)
    ]
    spread = float(thumbs[0].std() * thumbs[1].std())
    alike = float(((thumbs[0] - thumbs[0].mean()) * (thumbs[1] - thumbs[1].mean())).mean() / spread) if spread else 0.0
    return min(apart, 1.0) * (1.0 - max(alike, 0.0))
