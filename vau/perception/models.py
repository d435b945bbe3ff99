"""What the perception stage asks of a detector and of a frame embedder, and the small steps that their adapters share.

Images come as uint8 RGB, boxes leave as xyxy in pixels of the image that was given. No model lives here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np

from vau.errors import PerceptionError
from vau.types import Bool, Detection, Float32, UInt8

_MIN_SIDE_PX = 1.0  # a box that the image's border leaves thinner than this shows nothing


class Detector(Protocol):
    """Finds objects in single images. An instance serves one thread at a time."""

    @property
    def name(self) -> str:
        """Name of the weights, as a report states it."""
        ...

    def detect(self, images: UInt8) -> list[list[Detection]]:
        """Returns the objects seen in each image, surest first.

        Args:
            images: (N, H, W, 3) uint8 RGB.

        Raises:
            PerceptionError: the images are of another shape, or the model failed.
        """
        ...


class Embedder(Protocol):
    """Turns images into vectors whose dot product is a similarity. An instance serves one thread at a time."""

    @property
    def name(self) -> str:
        """Name of the weights, as a report states it."""
        ...

    @property
    def dim(self) -> int:
        """Number of dimensions D."""
        ...

    def embed(self, images: UInt8) -> Float32:
        """Returns (N, D) float32 rows of unit norm for images (N, H, W, 3) uint8 RGB.

        Raises:
            PerceptionError: the images are of another shape, or the model failed.
        """
        ...


def check_images(images: UInt8) -> UInt8:
    """Returns the images if they are uint8 (N, H, W, 3) with at least one pixel, else raises PerceptionError."""
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3 or 0 in images.shape[1:]:
        raise PerceptionError(f"images must be uint8 (N, H, W, 3), got {images.dtype} {images.shape = }")
    return images


def unit_rows(features: Float32, name: str) -> Float32:
    """Scales the rows of (N, D) to unit norm; raises PerceptionError where a row is not finite or is all zero."""
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    if not np.isfinite(norms).all() or (norms <= 0).any():
        raise PerceptionError(f"{name} returned features without a finite, positive norm")
    unit: Float32 = (features / norms).astype(np.float32)
    return unit


def clip_boxes(boxes: Float32, width: int, height: int) -> Float32:
    """Clips xyxy boxes (N, 4) to an image of `width` x `height` pixels."""
    limits = np.array([width, height, width, height], np.float32)
    clipped: Float32 = np.clip(boxes, 0, limits).astype(np.float32)
    return clipped


def keep_real(boxes: Float32) -> Bool:
    """Says which xyxy boxes (N, 4) are finite and at least a pixel wide and high."""
    sides = boxes[:, 2:] - boxes[:, :2]
    real: Bool = np.isfinite(boxes).all(axis=1) & np.all(sides >= _MIN_SIDE_PX, axis=1)
    return real


def box_iou(a: Float32, b: Float32) -> float:
    """Returns the intersection over union of two xyxy boxes (4,)."""
    sides = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None)
    both = float(sides[0] * sides[1])
    areas = float(np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]))
    return both / (areas - both)


def per_class_nms(detections: Sequence[Detection], iou: float) -> list[Detection]:
    """Suppresses boxes of one label that overlap a surer one by more than `iou`; returns the rest, surest first."""
    if not detections:
        return []
    boxes = np.stack([d.box for d in detections]).astype(np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    labels = sorted({d.label for d in detections})
    classes = [labels.index(d.label) for d in detections]
    scores = [d.confidence for d in detections]
    kept = cv2.dnn.NMSBoxesBatched(boxes.tolist(), scores, classes, 0.0, iou)
    return sorted((detections[int(i)] for i in np.ravel(kept)), key=lambda d: -d.confidence)
