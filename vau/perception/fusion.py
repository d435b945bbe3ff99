"""One list of detections a frame out of several views and models.

A detector sees the whole frame and, now and then, a square around the strongest motion, where small people are large
enough for it; a pose model sees people in the same views. Overlapping sightings of one object become one detection
whose confidence is that of at least one model being right. What moves but fits no detection stays as an unnamed
"moving object".
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from vau.perception.models import box_iou
from vau.perception.motion import FlowField
from vau.types import Detection, Float32

PERSON = "person"
MOVING_OBJECT = "moving object"
VEHICLES = frozenset({"bicycle", "car", "motorcycle", "bus", "truck"})
LUGGAGE = frozenset({"backpack", "handbag", "suitcase"})
ANIMALS = frozenset({"cat", "dog", "horse", "sheep", "cow"})
# Other classes of COCO are left out: small detectors see kites in street lamps and skateboards in people who lie.
KNOWN_LABELS = frozenset({PERSON}) | VEHICLES | LUGGAGE | ANIMALS
_SAME = 0.45
_LARGEST = 0.7  # of the frame; a box that fills the picture is a misreading of the whole scene
_WIDEST = 0.75  # of the frame's width, for a person
_LUGGAGE_LARGEST = 0.06
_LUGGAGE_CONFIDENCE = 0.45
_BLOB_SPEED = 0.12  # frame heights a second
_BLOB_AREA = 0.003  # of the frame


def covered(inner: Float32, outer: Float32) -> float:
    """Returns the share of one box (4,) that lies within another."""
    width = min(inner[2], outer[2]) - max(inner[0], outer[0])
    height = min(inner[3], outer[3]) - max(inner[1], outer[1])
    return float(max(width, 0) * max(height, 0)) / _area(inner)


def _area(box: Float32) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def group(label: str) -> str:
    """Returns the family within which a detector may change its mind about one object."""
    if label in VEHICLES:
        return "vehicle"
    if label in LUGGAGE:
        return "luggage"
    return "animal" if label in ANIMALS else label


def plausible(item: Detection, frame_size: tuple[int, int]) -> bool:
    """Says whether a detection can be what it claims: of a known label and not larger than such things appear."""
    share = _area(item.box) / (frame_size[0] * frame_size[1])
    if item.label in LUGGAGE:
        return share < _LUGGAGE_LARGEST and item.confidence >= _LUGGAGE_CONFIDENCE
    # A row of small people, or a hedge behind them, is often read as one person as wide as the picture.
    wide = item.box[2] - item.box[0] > _WIDEST * frame_size[0]
    return item.label in KNOWN_LABELS and share < _LARGEST and not (item.label == PERSON and wide)


def fuse(detections: list[Detection]) -> list[Detection]:
    """Merges sightings of the same object and returns them most confident first.

    First what overlaps is merged, then boxes around whole groups are dropped, then parts go to their bodies; never
    across families of labels.
    """
    merged = _merged(detections, lambda one, other: box_iou(one, other) > _SAME)
    merged = _merged(_without_groups(merged), _is_part)
    return sorted(merged, key=lambda item: -item.confidence)


def _merged(detections: list[Detection], same: Callable[[Float32, Float32], bool]) -> list[Detection]:
    kept: list[Detection] = []
    for seen in sorted(detections, key=lambda item: -item.confidence):
        for index, other in enumerate(kept):
            if group(other.label) == group(seen.label) and same(other.box, seen.box):
                kept[index] = _merge(other, seen)
                break
        else:
            kept.append(seen)
    return kept


def _without_groups(detections: list[Detection]) -> list[Detection]:
    """Drops people whose box holds three or more others: it is a group, and each of them is seen by himself."""
    people = [item for item in detections if item.label == PERSON]
    return [
        item
        for item in detections
        if item.label != PERSON
        or sum(covered(other.box, item.box) > 0.8 and _area(other.box) < 0.4 * _area(item.box) for other in people) < 3
    ]


def _is_part(whole: Float32, part: Float32) -> bool:
    """Says whether a box is a part of a body beside the whole one: inside it without reaching the usual overlap."""
    return covered(part, whole) > 0.85 and 0.15 < _area(part) / _area(whole) < 0.5


def _merge(first: Detection, second: Detection) -> Detection:
    confidence = first.confidence
    if not set(first.source.split("+")) & set(second.source.split("+")):
        confidence = 1 - (1 - first.confidence) * (1 - second.confidence)
    keypoints = first.keypoints if first.keypoints is not None else second.keypoints
    sources = sorted(set(first.source.split("+")) | set(second.source.split("+")))
    return Detection(first.label, confidence, first.box, "+".join(sources), keypoints)


def moving_blobs(flow: FlowField, known: list[Detection], scale: float) -> list[Detection]:
    """Returns moving regions that no detection explains.

    Args:
        flow: residual flow of the newest pair of frames.
        known: detections in the same frame.
        scale: flow pixels a frame pixel.
    """
    speed = np.hypot(flow.velocity[..., 0], flow.velocity[..., 1])
    mask = cv2.morphologyEx((speed > _BLOB_SPEED).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    mask = cv2.dilate(mask, np.ones((5, 5), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    blobs = []
    for left, top, width, height, area in stats[1:count]:
        if not _BLOB_AREA < area / mask.size < 0.25:
            continue
        box = np.array([left, top, left + width, top + height], np.float32) / scale
        if not any(covered(box, other.box) > 0.3 or covered(other.box, box) > 0.5 for other in known):
            blobs.append(Detection(MOVING_OBJECT, 0.3, box, "optical flow"))
    return blobs


def attention(flow: FlowField, frame_size: tuple[int, int], share: float = 0.6) -> Float32 | None:
    """Returns the square (4,) of the frame that holds most motion, or None where nothing much moves.

    Args:
        flow: residual flow of the newest pair of frames.
        frame_size: width and height of the frame in pixels.
        share: side of the square as a share of the frame's shorter side.
    """
    width, height = frame_size
    speed = np.hypot(flow.velocity[..., 0], flow.velocity[..., 1])
    speed[speed < 2 * _BLOB_SPEED / 3] = 0
    if speed.mean() < 1e-3:
        return None
    scale = speed.shape[1] / width
    side = max(1, round(share * min(width, height) * scale))
    mass = cv2.blur(np.minimum(speed, 1.0), (side, side), borderType=cv2.BORDER_CONSTANT)
    centre_y, centre_x = np.unravel_index(int(mass.argmax()), mass.shape)
    half = side / scale / 2
    x = min(max(centre_x / scale, half), width - half)
    y = min(max(centre_y / scale, half), height - half)
    return np.array([x - half, y - half, x + half, y + half], np.float32)
