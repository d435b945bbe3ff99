"""SSD-MobileNet-V2, the embedded object detector (80 COCO classes), run by OpenCV's DNN module.

Fast and weak on small or dark figures: the tracker, the pose model and motion make up for it. It does not know poses.
Source: Liu et al., SSD, 2016; Sandler et al., MobileNetV2, 2018; weights of the TensorFlow model zoo.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from vau.errors import PerceptionError
from vau.perception.coco import CLASS_NAMES
from vau.perception.models import check_images, clip_boxes, keep_real, per_class_nms
from vau.types import Detection, Float32, UInt8
from vau.weights import locate

# The anchors of the text graph are laid out for this input; at any other size boxes land beside their objects.
INPUT_SIDE: Final = 300


class SsdDetector:
    """Detects objects of the COCO classes. The number of threads is OpenCV's own (`cv2.setNumThreads`)."""

    name = "ssd-mobilenet-v2-coco"

    def __init__(self, min_confidence: float = 0.3, nms_iou: float = 0.5, folder: Path | None = None) -> None:
        """Loads the network.

        Args:
            min_confidence: detections below it are dropped.
            nms_iou: of two boxes of one class that overlap more than this, the less sure one is dropped.
            folder: where the weights are; None for the default.

        Raises:
            WeightsError: the weights are missing or not the expected ones.
        """
        self._min_confidence = min_confidence
        self._nms_iou = nms_iou
        self._net = _load(locate("ssd-mobilenet-v2-coco", folder), locate("ssd-mobilenet-v2-coco-graph", folder))

    def detect(self, images: UInt8) -> list[list[Detection]]:
        """Returns the objects seen in each image (N, H, W, 3), surest first; raises PerceptionError."""
        return [self._detect_one(image) for image in check_images(images)]

    def _detect_one(self, image: UInt8) -> list[Detection]:
        # The network was trained on RGB and scales pixels by itself.
        blob = cv2.dnn.blobFromImage(image, size=(INPUT_SIDE, INPUT_SIDE), swapRB=False, crop=False)
        try:
            self._net.setInput(blob)
            rows: Float32 = self._net.forward().reshape(-1, 7).astype(np.float32)
        except cv2.error as error:
            raise PerceptionError(f"{self.name} failed on an image {image.shape}: {error}") from error
        return read_rows(rows, image.shape[1], image.shape[0], self._min_confidence, self._nms_iou)


def read_rows(rows: Float32, width: int, height: int, min_confidence: float, nms_iou: float) -> list[Detection]:
    """Turns the network's output into detections, surest first.

    Args:
        rows: (M, 7): image, COCO class id, confidence, then x0, y0, x1, y1 in [0, 1].
        width: of the image in pixels.
        height: of the image in pixels.
        min_confidence: rows below it are dropped.
        nms_iou: of two boxes of one class that overlap more than this, the less sure one is dropped.
    """
    rows = rows[rows[:, 2] >= min_confidence]
    boxes = clip_boxes(rows[:, 3:] * np.array([width, height, width, height], np.float32), width, height)
    found = [
        Detection(CLASS_NAMES[int(row[1])], float(min(row[2], 1.0)), box, SsdDetector.name)
        for row, box, real in zip(rows, boxes, keep_real(boxes), strict=True)
        if real and int(row[1]) in CLASS_NAMES
    ]
    return per_class_nms(found, nms_iou)


def _load(model: Path, graph: Path) -> Any:
    # OpenCV 5 chooses a new engine by default, which is slower on this network; OpenCV 4 may have but the classic one.
    engine = getattr(cv2.dnn, "ENGINE_CLASSIC", None)
    options = {} if engine is None else {"engine": engine}
    try:
        return cv2.dnn.readNetFromTensorflow(str(model), str(graph), **options)
    except cv2.error as error:
        raise PerceptionError(f"OpenCV {cv2.__version__} cannot load {model.name}: {error}") from error
