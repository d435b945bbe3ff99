"""MoveNet MultiPose Lightning, the embedded detector of people and their poses (up to six), run by LiteRT.

It sees people who stand out at its input size and misses small ones; it knows no other class. Source: Google,
MoveNet MultiPose model card, 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from vau.errors import ConfigError, PerceptionError
from vau.perception.litert import open_model
from vau.perception.models import box_iou, check_images, clip_boxes, keep_real, per_class_nms
from vau.types import Detection, Float32, UInt8
from vau.weights import locate

_KEYPOINTS = 17
_STRIDE = 32
_CROP = 1.8  # side of a crop in sides of its box; the network was trained on people with room around them
_MIN_FIT = 0.4  # IoU at which the person in a crop is the one whose box was given


class MoveNetPose:
    """Detects people with 17 keypoints in COCO order."""

    name = "movenet-multipose-lightning"

    def __init__(
        self,
        input_side: int = 256,
        threads: int = 2,
        min_confidence: float = 0.2,
        nms_iou: float = 0.7,
        folder: Path | None = None,
    ) -> None:
        """Loads the network.

        Args:
            input_side: side of its square input in pixels, a multiple of 32; 256 is fast, 384 sees smaller people.
            threads: number of threads.
            min_confidence: people below it are dropped.
            nms_iou: of two people whose boxes overlap more than this, the less sure one is dropped.
            folder: where the weights are; None for the default.

        Raises:
            ConfigError: `input_side` is not a positive multiple of 32.
            WeightsError: the weights are missing or not the expected ones.
        """
        if input_side <= 0 or input_side % _STRIDE:
            raise ConfigError(f"input_side must be a positive multiple of {_STRIDE}, got {input_side}")
        self._side = input_side
        self._min_confidence = min_confidence
        self._nms_iou = nms_iou
        self._model = open_model(locate(self.name, folder), threads, (1, input_side, input_side, 3))
        self._input = self._model.get_input_details()[0]["index"]
        self._output = self._model.get_output_details()[0]["index"]

    def detect(self, images: UInt8) -> list[list[Detection]]:
        """Returns the people seen in each image (N, H, W, 3), surest first; raises PerceptionError."""
        return [self._detect_one(image) for image in check_images(images)]

    def pose_people(self, image: UInt8, people: Sequence[Detection]) -> list[Detection]:
        """Looks at each person from near, one crop a person, and adds keypoints where a pose is found.

        On whole frames the network misses most people of a surveillance picture; in a crop it sees them even with an
        input side of 128.

        Args:
            image: (H, W, 3) uint8 RGB.
            people: detections of people in that image.

        Returns:
            The same detections in the same order, with keypoints in pixels of the image where a pose fits the box.

        Raises:
            PerceptionError: the image is of another shape, or the model failed.
        """
        check_images(image[None])
        return [self._pose_one(image, person) for person in people]

    def _pose_one(self, image: UInt8, person: Detection) -> Detection:
        centre, side = (person.box[:2] + person.box[2:]) / 2, float(np.max(person.box[2:] - person.box[:2]))
        reach = _CROP * side / 2
        left, top = (int(v) for v in np.maximum(np.floor(centre - reach), 0))
        right, bottom = (int(v) for v in np.ceil(centre + reach))
        crop = np.ascontiguousarray(image[top:bottom, left:right])
        if not crop.size:  # the box lies outside of the image
            return person
        shift = np.array([left, top], np.float32)
        box = person.box - np.tile(shift, 2)
        fits = [(box_iou(found.box, box), found) for found in self._detect_one(crop)]
        best, found = max(fits, key=lambda pair: pair[0], default=(0.0, person))
        if best < _MIN_FIT or found.keypoints is None:
            return person
        keypoints = found.keypoints + np.append(shift, np.float32(0))
        return replace(person, keypoints=keypoints)

    def _detect_one(self, image: UInt8) -> list[Detection]:
        canvas, scale = letterbox(image, self._side)
        try:
            self._model.set_tensor(self._input, canvas[None])
            self._model.invoke()
            rows = self._model.get_tensor(self._output)[0]
        except (ValueError, RuntimeError) as error:
            raise PerceptionError(f"{self.name} failed on an image {image.shape}: {error}") from error
        found = read_people(rows, self._side / scale, (image.shape[1], image.shape[0]), self._min_confidence)
        return per_class_nms(found, self._nms_iou)


def letterbox(image: UInt8, side: int) -> tuple[UInt8, float]:
    """Fits an image (H, W, 3) into the upper left of a black square; returns it with the scale that was applied."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    fitted = (max(1, round(width * scale)), max(1, round(height * scale)))
    canvas = np.zeros((side, side, 3), np.uint8)
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas[: fitted[1], : fitted[0]] = cv2.resize(image, fitted, interpolation=interpolation)
    return canvas, scale


def read_people(rows: Float32, square: float, size: tuple[int, int], min_confidence: float) -> list[Detection]:
    """Turns the network's output into detections.

    Args:
        rows: (M, 56): 17 times y, x, confidence; then box y0, x0, y1, x1 and its confidence, all in [0, 1].
        square: side of the padded square in pixels of the image.
        size: width and height of the image in pixels.
        min_confidence: rows below it are dropped.
    """
    rows = rows[rows[:, 55] >= min_confidence]
    boxes = clip_boxes(rows[:, [52, 51, 54, 53]] * square, *size)
    points = rows[:, : 3 * _KEYPOINTS].reshape(-1, _KEYPOINTS, 3)[:, :, [1, 0, 2]] * np.array([square, square, 1.0])
    return [
        Detection("person", float(min(row[55], 1.0)), box, MoveNetPose.name, keypoints=body.astype(np.float32))
        for row, box, body, real in zip(rows, boxes, points, keep_real(boxes), strict=True)
        if real and np.isfinite(body).all()
    ]
