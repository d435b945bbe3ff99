"""One pass over the frames of a video: flow between all of them, models on the sampled ones, tracks in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from vau.config import PerceptionConfig
from vau.perception.columns import Column, Spool
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
    return look_through(frames, info, models, sample_fps=sample_fps, progress=progress).observations()


def look_through(
    frames: Iterable[FrameBatch],
    info: VideoInfo,
    models: Models,
    *,
    sample_fps: float,
    progress: Callable[[float], None] | None = None,
) -> Looks:
    """Does as `observe`, for who wants to let go of the models before all that was seen is put together in memory."""
    observer = Observer(info, models, sample_fps=sample_fps)
    looks = Looks(observer, info, models)
    for batch in frames:
        for image, moment in zip(batch.images, batch.times_s, strict=True):
            looks.add(observer.push(image, float(moment)), float(moment))
        if progress is not None:
            progress(looks.end_s)
    return looks


class Looks:
    """All that was seen in a video, before it is put together; the models are not kept."""

    def __init__(self, observer: Observer, info: VideoInfo, models: Models) -> None:
        self.end_s = 0.0  # time of the last frame
        self._linker = observer.linker
        self._info = info
        self._models = models.names
        self._times = Column(np.float64)
        self._embeddings = Spool(np.float32, models.embedder.dim)
        self._motion = Column(np.float32, len(MOTION_CHANNELS))
        self._detections = _DetectionColumns()

    def add(self, look: Look | None, time_s: float) -> None:
        """Adds what was seen at the next time, None where nothing was looked for."""
        self.end_s = time_s
        if look is not None:
            self._times.append(look.time_s)
            self._motion.append(look.motion)
            self._embeddings.append(look.embedding)
            self._detections.append(look.detections)

    def observations(self, duration_s: float | None = None) -> Observations:
        """Puts it all together; to be called once.

        Args:
            duration_s: of the video, where it is known better than before it was read.
        """
        return Observations(
            tracks=self._linker.tracks(self._times.rows),
            times_s=self._times.take(),
            embeddings=self._embeddings.take(),
            motion=self._motion.take(),
            motion_channels=MOTION_CHANNELS,
            detections=self._detections.take(),
            frame_size=(self._info.width, self._info.height),
            duration_s=max(self._info.duration_s, self.end_s) if duration_s is None else duration_s,
            models=self._models,
        )


@dataclass(frozen=True, eq=False)
class Look:
    """What was seen in one sampled frame; boxes and keypoints in pixels of the source video."""

    time_s: float
    embedding: Float32  # (D,) unit norm
    motion: Float32  # (B,) see `MOTION_CHANNELS`
    detections: list[Detection]


class Observer:
    """Looks at frames one by one, as `observe` does, for a stream that has no end; what it returns it does not keep.

    Args:
        info: the video, for its size in pixels.
        models: detector, pose model and embedder.
        sample_fps: sampled frames a second.
        linker: links detections into tracks; it keeps all of them unless it is one that forgets.
    """

    def __init__(self, info: VideoInfo, models: Models, *, sample_fps: float, linker: Linker | None = None) -> None:
        self.linker = Linker(sample_fps) if linker is None else linker
        self._info = info
        self._models = models
        self._sample_fps = sample_fps
        self._meter = MotionMeter()
        self._looks = 0
        self._due_s = 0.0

    def push(self, image: UInt8, time_s: float) -> Look | None:
        """Takes the next frame (H, W, 3) at the motion rate and looks at it where a sample is due.

        Args:
            image: reduced in size.
            time_s: later than all before.

        Returns:
            What was seen; None where the frame served to measure motion alone.
        """
        meter, linker, models = self._meter, self.linker, self._models
        meter.push(image, time_s)
        if time_s + 1e-6 < self._due_s:
            return None
        self._due_s = max(self._due_s + 1 / self._sample_fps, time_s + 0.5 / self._sample_fps)
        self._looks += 1
        moved = meter.take()
        if moved[_CUT] > SHOT_CHANGE:
            linker.cut()
        embedding = models.embedder.embed(image[None])[0]
        # Each further look costs as much as the first, so they take turns: the zoomed view at every third sampled
        # frame, the pose model on the whole frame at every second.
        found = _look(
            image,
            meter.latest,
            models,
            zoom=self._looks % 3 == 1,
            pose=self._looks % 2 == 0,
            recall=linker.unseen(time_s),
            info=self._info,
        )
        flows = _flows(found, meter.latest, image)
        upright = [_to_source(item, image, self._info) for item in found]
        linker.update(time_s, upright, flows)
        return Look(time_s, embedding, moved, upright)


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
