"""How a track moves and holds itself, in body sizes and seconds, so that near and far objects compare.

The body size is the larger side of the box, taken as a running median: it is nearly the same for a person who stands
and one who lies. Positions are smoothed over half a second, since boxes of small detectors jump.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import median_filter, uniform_filter1d

from vau.types import Bool, Float32, Float64, Measure, Relation, Track

_SIZE_WINDOW_S = 4.0
_SMOOTH_S = 0.6
_SHOULDERS, _HIPS = (5, 6), (11, 12)
_KEYPOINT = 0.2


@dataclass(frozen=True, eq=False)
class Motion:
    """Kinematics of one track; all arrays have one row a row of the track."""

    track: Track
    times_s: Float64  # (T,)
    size: Float64  # (T,) pixels
    side: Float64  # (T,) larger side of the box in pixels, as seen
    centre: Float64  # (T, 2) pixels, smoothed
    foot: Float64  # (T, 2) pixels, middle of the lower edge, smoothed
    velocity: Float64  # (T, 2) body sizes a second
    speed: Float64  # (T,)
    aspect: Float64  # (T,) width over height, smoothed
    cut: Bool  # (T,) True where an edge of the frame cuts the box
    tilt: Float64  # (T,) degrees of the torso from upright, NaN where no pose shows it
    step_s: float

    def at(self, time_s: float) -> int:
        """Returns the row nearest to a time."""
        return int(np.abs(self.times_s - time_s).argmin())

    def window(self, start_s: float, end_s: float) -> slice:
        """Returns the rows of a closed span as a slice, found in logarithmic time."""
        first = int(np.searchsorted(self.times_s, start_s - 1e-6))
        return slice(first, int(np.searchsorted(self.times_s, end_s + 1e-6, side="right")))

    def relation(self, predicate: str, start_s: float, end_s: float, confidence: float, *measures: Measure) -> Relation:
        """Returns what this track does by itself as a relation that has no id yet."""
        surety = float(np.clip(confidence, 0.0, 1.0))
        return Relation("", self.track.track_id, predicate, None, float(start_s), float(end_s), surety, measures)

    def displacement(self, over_s: float) -> Float64:
        """Returns, a row, how far the centre moves in the span around it, in body sizes a second.

        Unlike `speed` this forgets jitter: a box that jumps to and fro goes nowhere.
        """
        half = max(1, round(over_s / self.step_s / 2))
        ahead = np.minimum(np.arange(len(self.times_s)) + half, len(self.times_s) - 1)
        behind = np.maximum(np.arange(len(self.times_s)) - half, 0)
        apart = np.hypot(*(self.centre[ahead] - self.centre[behind]).T)
        span = np.maximum(self.times_s[ahead] - self.times_s[behind], 1e-6)
        return np.where(ahead > behind, apart / self.size / span, 0.0)


def measure(track: Track, frame_size: tuple[int, int]) -> Motion:
    """Measures one track.

    Args:
        track: boxes in pixels.
        frame_size: width and height of the frame; bodies cut off by its edge keep the size they had inside.
    """
    boxes = track.boxes.astype(np.float64)
    times = track.times_s
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.25
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    window = max(1, round(_SIZE_WINDOW_S / step)) | 1
    side = np.maximum(width, height)
    size = median_filter(side, window, mode="nearest")
    smooth = max(1, round(_SMOOTH_S / step)) | 1
    centre = _smooth(np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2], 1), smooth)
    foot = _smooth(np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]], 1), smooth)
    velocity = np.gradient(centre, times, axis=0) / size[:, None] if len(times) > 1 else np.zeros_like(centre)
    # A box that an edge of the frame cuts changes its centre without the object moving.
    cut = (boxes[:, 0] < 2) | (boxes[:, 2] > frame_size[0] - 2) | (boxes[:, 3] > frame_size[1] - 2) | (boxes[:, 1] < 2)
    velocity[cut] *= 0.5
    aspect = median_filter(width / height, min(smooth, 3), mode="nearest")
    return Motion(
        track=track,
        times_s=times,
        size=size,
        side=side,
        centre=centre,
        foot=foot,
        velocity=velocity,
        speed=np.hypot(*velocity.T),
        aspect=aspect,
        cut=cut,
        tilt=_tilt(track.keypoints, len(times)),
        step_s=step,
    )


def _smooth(points: Float64, window: int) -> Float64:
    return uniform_filter1d(median_filter(points, (min(window, 3), 1), mode="nearest"), window, axis=0, mode="nearest")


def _tilt(keypoints: Float32 | None, count: int) -> Float64:
    """Returns the torso's angle from upright in degrees, NaN where shoulders or hips are not seen."""
    if keypoints is None:
        return np.full(count, np.nan)
    points = keypoints.astype(np.float64)
    seen = (points[:, _SHOULDERS, 2].max(1) > _KEYPOINT) & (points[:, _HIPS, 2].max(1) > _KEYPOINT)
    shoulder, hip = _middle(points, _SHOULDERS), _middle(points, _HIPS)
    across, along = shoulder[:, 0] - hip[:, 0], hip[:, 1] - shoulder[:, 1]
    return np.where(seen, np.degrees(np.arctan2(np.abs(across), along)), np.nan)


def _middle(points: Float64, pair: tuple[int, int]) -> Float64:
    weights = np.maximum(points[:, pair, 2], 1e-6)[..., None]
    middle: Float64 = (points[:, pair, :2] * weights).sum(1) / weights.sum(1)
    return middle
