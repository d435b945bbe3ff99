"""One pass over the frames of a video: flow between all of them, models on the sampled ones, tracks in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from vau.config import PerceptionConfig
from vau.perception.columns import Column
from vau.perception.fusion import attention, fuse, moving_blobs, plausible
from vau.perception.models import Detector, Embedder, box_iou
from vau.perception.motion import MOTION_CHANNELS, SHOT_CHANGE, FlowField, MotionMeter
from vau.perception.tracking import Linker
from vau.types import Detection, Detections, Float32, FrameBatch, Observations, UInt8, VideoInfo

_CUT = MOTION_CHANNELS.index("cut")
_RECALLS = 2  # places a frame
_RECALL_SIZE = 2.6  # body sizes
_POSE_SIDE = 288
# MoveNet's person score is a mean over joints and runs at about half of what a detector says of the same people; a
# lying or half hidden person reaches 0.15 in frame after frame where a detector sees nothing.
_POSE_MIN = 0.13
_POSE_GAIN = 2.0


@dataclass(frozen=True)
class Models:
    """The models that look at sampled frames."""

    detector: Detector
    embedder: Embedder
    pose: Detector | None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all models in use."""
        return tuple(model.name for model in (self.detector, self.pose, self.embedder) if model is not None)


def load_models(config: PerceptionConfig) -> Models:
    """Loads the models that a configuration names.

    Raises:
        WeightsError: packaged weights are missing or damaged.
        MissingExtraError: the chosen model needs an extra that is not installed.
    """
    from vau.perception.efficientnet import EfficientNetEmbedder
    from vau.perception.movenet import MoveNetPose
    from vau.perception.ssd import SsdDetector

    cv2.setNumThreads(config.threads)
    detector: Detector
    if config.detector == "yolo":
        from vau.perception.yolo import YoloDetector

        detector = YoloDetector(config.yolo_weights or None, min_confidence=config.min_confidence)
    else:
        detector = SsdDetector(min_confidence=config.min_confidence)
    embedder: Embedder
    if config.embedder == "open_clip":
        from vau.perception.open_clip import OpenClipEmbedder

        embedder = OpenClipEmbedder(config.clip_model, config.clip_pretrained)
    else:
        embedder = EfficientNetEmbedder(threads=config.threads)
    return Models(
        detector,
        embedder,
        MoveNetPose(input_side=_POSE_SIDE, threads=config.threads, min_confidence=_POSE_MIN) if config.pose else None,
    )


def observe(
    frames: Iterable[FrameBatch],
    info: VideoInfo,
    models: Models,
    *,
    sample_fps: float,
    progress: Callable[[float], None] | None = None,
) -> Observations:
    """Looks at a video once.

    Args:
        frames: batches in time order at the motion rate, reduced in size.
        info: the video, for its size in pixels and declared duration.
        models: detector, pose model and embedder.
        sample_fps: sampled frames a second.
        progress: called with the time reached in seconds.

    Returns:
        Observations with one row a sampled frame; boxes and keypoints in pixels of the source video.
    """
    meter = MotionMeter()
    linker = Linker(sample_fps)
    times = Column(np.float64)
    embeddings = Column(np.float32, models.embedder.dim)
    motion = Column(np.float32, len(MOTION_CHANNELS))
    seen = _DetectionColumns()
    end_s = 0.0
    due_s = 0.0
    for batch in frames:
        for image, moment in zip(batch.images, batch.times_s, strict=True):
            time_s = end_s = float(moment)
            meter.push(image, time_s)
            if time_s + 1e-6 < due_s:
                continue
            due_s = max(due_s + 1 / sample_fps, time_s + 0.5 / sample_fps)
            times.append(time_s)
            moved = meter.take()
            motion.append(moved)
            if moved[_CUT] > SHOT_CHANGE:
                linker.cut()
            embeddings.append(models.embedder.embed(image[None])[0])
            # Each further look costs as much as the first, so they take turns: the zoomed view at every third sampled
            # frame, the pose model on the whole frame at every second.
            found = _look(
                image,
                meter.latest,
                models,
                zoom=len(times) % 3 == 1,
                pose=len(times) % 2 == 0,
                recall=linker.unseen(time_s),
                info=info,
            )
            flows = _flows(found, meter.latest, image)
            upright = [_to_source(item, image, info) for item in found]
            linker.update(time_s, upright, flows)
            seen.append(upright)
        if progress is not None:
            progress(end_s)
    return Observations(
        tracks=linker.tracks(times.rows),
        times_s=times.take(),
        embeddings=embeddings.take(),
        motion=motion.take(),
        motion_channels=MOTION_CHANNELS,
        detections=seen.take(),
        frame_size=(info.width, info.height),
        duration_s=max(info.duration_s, end_s),
        models=models.names,
    )


class _DetectionColumns:
    """Gathers detections frame by frame without keeping their objects."""

    def __init__(self) -> None:
        self._starts = Column(np.int64)
        self._starts.append(0)
        self._boxes = Column(np.float32, 4)
        self._confidences = Column(np.float32)
        self._label_ids = Column(np.int64)
        self._labels: dict[str, int] = {}

    def append(self, frame: list[Detection]) -> None:
        for item in frame:
            self._boxes.append(item.box)
            self._confidences.append(item.confidence)
            self._label_ids.append(self._labels.setdefault(item.label, len(self._labels)))
        self._starts.append(len(self._boxes))

    def take(self) -> Detections:
        return Detections(
            starts=self._starts.take(),
            boxes=self._boxes.take(),
            confidences=self._confidences.take(),
            label_ids=self._label_ids.take(),
            labels=tuple(self._labels),
        )


def _look(
    image: UInt8,
    flow: FlowField | None,
    models: Models,
    *,
    zoom: bool,
    pose: bool,
    recall: list[Float32],
    info: VideoInfo,
) -> list[Detection]:
    """Returns fused detections of one frame, in pixels of that frame.

    The detector sees the whole frame, the pose model too where `pose` says so; `zoom` looks at the square with most
    motion, and `recall` names places, in pixels of the source, where people were seen last and the pose model looks
    for them again.
    """
    found = list(models.detector.detect(image[None])[0])
    if pose:
        found += _poses(image, models)
    height, width = image.shape[:2]
    square = attention(flow, (width, height)) if zoom and flow is not None else None
    if square is not None:
        found += _detect_within(
            image, square, lambda crop: [*models.detector.detect(crop[None])[0], *_poses(crop, models)]
        )
    if models.pose is not None:
        scale = width / info.width
        # Nothing to do where someone has just been seen at the place, or left it by the edge of the picture.
        places = [
            box
            for box in (last * scale for last in recall)
            if not _cut_off(box, image.shape, (True,) * 4) and not any(box_iou(box, item.box) > 0.2 for item in found)
        ]
        for box in places[:_RECALLS]:
            found += _detect_within(image, _square_around(box, width, height), lambda crop: _poses(crop, models))
    found = fuse([item for item in found if plausible(item, (width, height))])
    if flow is not None:
        found += moving_blobs(flow, found, flow.velocity.shape[1] / width)
    return found


def _poses(image: UInt8, models: Models) -> list[Detection]:
    if models.pose is None:
        return []
    return [
        Detection(item.label, min(_POSE_GAIN * item.confidence, 0.95), item.box, item.source, item.keypoints)
        for item in models.pose.detect(image[None])[0]
    ]


def _detect_within(image: UInt8, square: Float32, detect: Callable[[UInt8], list[Detection]]) -> list[Detection]:
    """Returns what is seen in a part of the frame, but for objects that the part's own edges cut."""
    height, width = image.shape[:2]
    x0, y0, x1, y1 = square.round().astype(int)
    crop = np.ascontiguousarray(image[y0:y1, x0:x1])
    inner = (x0 > 1, y0 > 1, x1 < width - 1, y1 < height - 1)
    return [_move(item, x0, y0) for item in detect(crop) if not _cut_off(item.box, crop.shape, inner)]


def _square_around(box: Float32, width: int, height: int) -> Float32:
    """Returns a square (4,) around a body, wide enough for it to lie in any direction."""
    half = min(_RECALL_SIZE * max(box[2] - box[0], box[3] - box[1]), width, height) / 2
    x = min(max((box[0] + box[2]) / 2, half), width - half)
    y = min(max((box[1] + box[3]) / 2, half), height - half)
    return np.array([x - half, y - half, x + half, y + half], np.float32)


def _cut_off(box: Float32, shape: tuple[int, ...], inner: tuple[bool, bool, bool, bool]) -> bool:
    """Says whether a box touches an edge of the crop that is not an edge of the frame: half an object."""
    height, width = shape[:2]
    near = (box[0] < 3, box[1] < 3, box[2] > width - 3, box[3] > height - 3)
    return any(touches and cuts for touches, cuts in zip(near, inner, strict=True))


def _move(item: Detection, dx: int, dy: int) -> Detection:
    keypoints = None if item.keypoints is None else item.keypoints + np.array([dx, dy, 0], np.float32)
    box = item.box + np.array([dx, dy, dx, dy], np.float32)
    return Detection(item.label, item.confidence, box, item.source, keypoints)


def _to_source(item: Detection, image: UInt8, info: VideoInfo) -> Detection:
    height, width = image.shape[:2]
    x, y = info.width / width, info.height / height
    keypoints = None if item.keypoints is None else item.keypoints * np.array([x, y, 1], np.float32)
    return Detection(item.label, item.confidence, item.box * np.array([x, y, x, y], np.float32), item.source, keypoints)


def _flows(found: list[Detection], flow: FlowField | None, image: UInt8) -> list[Float32]:
    if flow is None:
        return [np.zeros(4, np.float32) for _ in found]
    scale = flow.velocity.shape[1] / image.shape[1]
    return [flow.inside(item.box, scale) for item in found]
