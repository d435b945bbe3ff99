"""People as numbers for scorers that learn: how many, how near each other, how they move and hold themselves.

Lengths are in body sizes, so that near and far people compare. Where nobody is seen a column holds the value of a scene
without people: no pair near, no motion, upright. All columns are ours.
"""

from __future__ import annotations

import numpy as np

from vau.perception.fusion import PERSON
from vau.relations.kinematics import measure
from vau.types import Float32, Float64, Observations, Track

PEOPLE = (
    "people",
    "distance of the nearest pair",
    "close pairs",
    "overlap of a pair",
    "relative speed of the nearest pair",
    "motion of body parts",
    "greatest motion of body parts",
    "spread of directions in a body",
    "greatest spread of directions in a body",
    "greatest speed",
    "motion of limbs",
    "greatest motion of limbs",
    "greatest tilt",
    "widest body",
)
_LIMBS = (7, 8, 9, 10, 13, 14, 15, 16)  # elbows, wrists, knees, ankles
_SEEN = 0.15  # confidence of a key point
_FAR = 5.0  # body sizes; what a pair's distance is where there is none
_CLOSE = 1.0
_BOX, _SIZE, _VELOCITY = slice(0, 4), 4, slice(5, 7)
_SPEED, _PARTS, _SPREAD, _LIMB, _TILT, _ASPECT = range(7, 13)


def people_columns(observations: Observations) -> Float32:
    """Returns the columns `PEOPLE` (N, 14), all finite."""
    count = len(observations)
    found = np.tile(_empty(), (count, 1))
    tracks = [track for track in observations.tracks if track.label == PERSON]
    if not tracks or not count:
        return found.astype(np.float32)
    rows = np.concatenate([_rows(track, observations.times_s) for track in tracks])
    values = np.concatenate([_values(track, observations.frame_size) for track in tracks])
    order = np.argsort(rows, kind="stable")
    rows, values = rows[order], values[order]
    frames, starts = np.unique(rows, return_index=True)
    for frame, people in zip(frames, np.split(values, starts[1:]), strict=True):
        found[frame] = _frame(people)
    return found.astype(np.float32)


def _empty() -> Float64:
    return np.array([0, np.log(_FAR), 0, 0, np.log(0.05), *[np.log(0.05)] * 2, 0, 0, *[np.log(0.05)] * 3, 0, 0.0])


def _rows(track: Track, times_s: Float64) -> np.ndarray:
    return np.minimum(np.searchsorted(times_s, track.times_s - 1e-6), len(times_s) - 1)


def _values(track: Track, frame_size: tuple[int, int]) -> Float64:
    """Returns (T, 13): box, size, velocity x and y, speed, motion of parts, spread, limbs, tilt, aspect."""
    motion = measure(track, frame_size)
    flow = track.flow.astype(np.float64)
    return np.column_stack(
        [
            track.boxes.astype(np.float64),
            motion.side,
            motion.velocity,
            motion.speed,
            flow[:, 2],
            flow[:, 3],
            _limbs(track, motion.side),
            motion.tilt,
            motion.aspect,
        ]
    )


def _limbs(track: Track, side: Float64) -> Float64:
    """Returns (T,) the mean speed of limbs against the box in body sizes a second, NaN where none was seen twice."""
    found = np.full(len(track.times_s), np.nan)
    if track.keypoints is None or len(found) < 2:
        return found
    points = track.keypoints[:, _LIMBS].astype(np.float64)
    centre = (track.boxes[:, None, :2] + track.boxes[:, None, 2:]) / 2
    moved = np.hypot(*np.moveaxis(np.diff((points[..., :2] - centre) / side[:, None, None], axis=0), 2, 0))
    seen = (points[1:, :, 2] > _SEEN) & (points[:-1, :, 2] > _SEEN)
    total, known = np.where(seen, moved, 0.0).sum(1), seen.sum(1)
    found[1:] = np.where(known > 0, total / np.maximum(known, 1), np.nan) / np.diff(track.times_s)
    found[0] = found[1]
    return found


def _frame(people: Float64) -> Float64:
    """Returns one row of `PEOPLE` for the people (P, 13) of a frame."""
    row = _empty()
    parts, spread = people[:, _PARTS], people[:, _SPREAD]
    limbs, tilt = people[np.isfinite(people[:, _LIMB]), _LIMB], people[np.isfinite(people[:, _TILT]), _TILT]
    row[0] = np.log1p(len(people))
    row[5:7] = np.log(np.array([parts.mean(), parts.max()]) + 0.05)
    row[7:9] = spread.mean(), spread.max()
    row[9] = np.log(people[:, _SPEED].max() + 0.05)
    if len(limbs):
        row[10:12] = np.log(np.array([limbs.mean(), limbs.max()]) + 0.05)
    if len(tilt):
        row[12] = tilt.max() / 90
    row[13] = np.log(people[:, _ASPECT].max())
    if len(people) > 1:
        row[1:5] = _pairs(people)
    return row


def _pairs(people: Float64) -> tuple[float, float, float, float]:
    """Returns distance of the nearest pair (log), close pairs (log), largest overlap, relative speed (log)."""
    boxes, size = people[:, _BOX], people[:, _SIZE]
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    apart = np.hypot(*(centre[:, None] - centre).transpose(2, 0, 1)) / np.minimum(size[:, None], size)
    np.fill_diagonal(apart, np.inf)
    sides = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:]) - np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    both = np.clip(sides, 0, None).prod(-1)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    overlap = both / (area[:, None] + area - both)
    np.fill_diagonal(overlap, 0)
    first, second = np.unravel_index(int(apart.argmin()), apart.shape)
    speed = float(np.hypot(*(people[first, _VELOCITY] - people[second, _VELOCITY])))
    nearest = min(float(apart.min()), _FAR)
    close = float((apart < _CLOSE).sum() / 2)
    return float(np.log(nearest + 0.1)), float(np.log1p(close)), float(overlap.max()), float(np.log(speed + 0.05))
