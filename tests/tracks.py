"""Builders of synthetic tracks and observations: people and things on paths through an empty scene, no pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vau.perception.motion import MOTION_CHANNELS
from vau.types import Detections, Observations, Track

FRAME = (1280, 720)
RATE = 4.0
TALL = 100.0  # pixels of a standing person


def clock(seconds: float, start_s: float = 0.0, rate: float = RATE) -> np.ndarray:
    """Returns sample times that cover a span, its end included."""
    return start_s + np.arange(round(seconds * rate) + 1) / rate


def standing(feet: np.ndarray, tall: float = TALL, wide: float | None = None) -> np.ndarray:
    """Returns boxes (T, 4) of something that stands on points (T, 2)."""
    return boxes_on(feet, np.full(len(feet), 0.4 * tall if wide is None else wide), np.full(len(feet), tall))


def boxes_on(feet: np.ndarray, wide: np.ndarray, tall: np.ndarray) -> np.ndarray:
    """Returns boxes (T, 4) of changing size on points (T, 2)."""
    x, y = feet[:, 0], feet[:, 1]
    return np.stack([x - wide / 2, y - tall, x + wide / 2, y], 1)


def line(times: np.ndarray, start: tuple[float, float], pace: tuple[float, float]) -> np.ndarray:
    """Returns points (T, 2) from `start` on with `pace` in pixels a second."""
    return np.array(start) + (times - times[0])[:, None] * np.array(pace)


def pose(boxes: np.ndarray) -> np.ndarray:
    """Returns keypoints (T, 17, 3) whose torso runs along the longer side of each box."""
    x0, y0, x1, y1 = boxes.T
    points = np.zeros((len(boxes), 17, 3), np.float32)
    for index in range(17):
        share = {5: 0.2, 6: 0.2, 11: 0.55, 12: 0.55}.get(index, index / 17)
        upright = (y1 - y0) >= (x1 - x0)
        points[:, index, 0] = np.where(upright, (x0 + x1) / 2, x0 + share * (x1 - x0))
        points[:, index, 1] = np.where(upright, y0 + share * (y1 - y0), (y0 + y1) / 2)
    points[..., 2] = 0.8
    return points


def track(
    track_id: int,
    times: np.ndarray,
    boxes: np.ndarray,
    label: str = "person",
    *,
    confidence: float = 0.9,
    parts: float = 0.1,
    spread: float = 0.3,
    posed: bool = True,
    detected: np.ndarray | None = None,
) -> Track:
    """Returns a track whose flow is what its boxes do, with parts that move at `parts` body sizes a second."""
    size = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    centre = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2], 1)
    moved = np.gradient(centre, times, axis=0) / size[:, None] if len(times) > 1 else np.zeros_like(centre)
    rest = np.tile([parts, spread], (len(times), 1))
    return Track(
        track_id,
        label,
        confidence,
        times,
        boxes.astype(np.float32),
        np.ones(len(times), bool) if detected is None else detected,
        np.concatenate([moved, rest], 1).astype(np.float32),
        pose(boxes) if posed and label == "person" else None,
    )


def falling(track_id: int, seconds: float = 8.0, at_s: float = 4.0, start_s: float = 0.0, posed: bool = True) -> Track:
    """Returns a person who stands, falls within half a second and stays down."""
    times = clock(seconds, start_s)
    down = np.clip((times - times[0] - at_s) / 0.5, 0, 1)
    feet = line(times, (600.0, 500.0), (0.0, 0.0))
    return track(track_id, times, boxes_on(feet, 40 + 65 * down, 100 - 62 * down), posed=posed)


def observations(
    tracks: Sequence[Track] = (),
    *,
    times: np.ndarray | None = None,
    frame_size: tuple[int, int] = FRAME,
    embeddings: np.ndarray | None = None,
    **channels: np.ndarray | float,
) -> Observations:
    """Returns observations of tracks; motion channels are 0 where they are not given."""
    if times is None:
        times = np.unique(np.concatenate([item.times_s for item in tracks])) if tracks else np.zeros(0)
    motion = np.zeros((len(times), len(MOTION_CHANNELS)), np.float32)
    for name, values in channels.items():
        motion[:, MOTION_CHANNELS.index(name)] = values
    if embeddings is None:
        embeddings = np.tile(np.eye(1, 8, dtype=np.float32), (len(times), 1))
    return Observations(
        times,
        embeddings,
        motion,
        MOTION_CHANNELS,
        tuple(tracks),
        Detections.of([()] * len(times)),
        frame_size,
        float(times[-1]) + 1 / RATE if len(times) else 0.0,
    )
