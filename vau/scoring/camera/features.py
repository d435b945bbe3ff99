"""What is compared with this camera's past, a vector for each named signal: place, size, speed, appearance, pose.

Velocity, pose and deep appearance are the attributes of Reiss and Hoshen, "An Attribute-based Method for Video Anomaly
Detection" (2022, also "Accurate-Interpretable VAD"). Ours: moving regions in place of detections, size and speed seen
relative to the place in the picture (a camera's perspective is learned with them), and speed together with how much of
the picture moves at it, since a swinging leg may be as fast as a bicycle but is never as large.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from vau.perception.camera import Movers
from vau.types import Float32, Int64, Track

SIGNALS = ("place", "size", "speed", "appearance", "pose")
_SHARP = 0.3  # confidence from which a joint is believed
_JOINTS = 10  # believed joints that make a pose


def mover_features(movers: Movers) -> dict[str, Float32]:
    """Describes moving regions.

    Returns:
        By signal, M rows each: "place" (M, 2) middle and foot; "size" (M, 3) foot, logarithms of height and area;
        "speed" (M, 5) foot, logarithm of area, velocity x and y, fast speed; "appearance" (M, D), rows of zeros where
        no look was taken. Lengths in frame heights, speeds in frame heights a second.
    """
    boxes = movers.boxes.astype(np.float64) / movers.frame_size[1]
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-4)
    middle, foot, tall = boxes[:, [0, 2]].mean(1), boxes[:, 3], np.log(sides[:, 1])
    # What moves in the box, not the box itself: a thin limb that swings spans a large one.
    area = np.log(sides.prod(1) * np.maximum(movers.motion[:, 4], 1e-3))
    columns = {
        "place": (middle, foot),
        "size": (foot, tall, area),
        "speed": (foot, area, *movers.motion[:, :3].T),
    }
    features = {name: np.stack(parts, axis=1).astype(np.float32) for name, parts in columns.items()}
    return features | {"appearance": movers.embeddings}


def pose_features(tracks: Iterable[Track], times_s: np.ndarray) -> tuple[Float32, Int64, Float32]:
    """Describes the poses of tracks.

    Args:
        tracks: tracks on sampled times.
        times_s: (N,) the times.

    Returns:
        (P, 34) joints x and y from the body's middle, in body sizes, 0 for a joint that was not seen; (P,) rows of
        `times_s`; (P, 4) boxes.
    """
    poses, rows, boxes = [np.zeros((0, 34))], [np.zeros(0, np.int64)], [np.zeros((0, 4), np.float32)]
    for track in tracks:
        if track.keypoints is None:
            continue
        seen = track.keypoints[..., 2] >= _SHARP
        chosen = np.flatnonzero(seen.sum(1) >= _JOINTS)
        if not len(chosen):
            continue
        points, seen, box = track.keypoints[chosen, :, :2].astype(np.float64), seen[chosen], track.boxes[chosen]
        middle = (points * seen[..., None]).sum(1) / seen.sum(1)[:, None]
        size = np.maximum(box[:, 2:] - box[:, :2], 1e-3).max(1)
        joints = (points - middle[:, None]) / size[:, None, None] * seen[..., None]
        poses.append(joints.reshape(len(chosen), 34))
        rows.append(np.clip(np.searchsorted(times_s, track.times_s[chosen] - 1e-6), 0, len(times_s) - 1))
        boxes.append(box)
    return np.concatenate(poses).astype(np.float32), np.concatenate(rows), np.concatenate(boxes)
