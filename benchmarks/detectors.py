"""Measures what detectors and embedders cost, and how far the light ones agree with YOLOv8n.

    python benchmarks/detectors.py VIDEO [VIDEO ...] [--frames 8] [--threads 1 2]

Speed is the median time of one frame in milliseconds. Agreement needs the extra `yolo`: the share of YOLOv8n's people
(confidence 0.5 and more) that a detector finds at IoU 0.5, and the number of its people that YOLOv8n does not know at
all. A stronger detector is no ground truth; the figures rank the light ones.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np

from vau.errors import MissingExtraError
from vau.perception.efficientnet import EfficientNetEmbedder
from vau.perception.models import Detector, box_iou, per_class_nms
from vau.perception.movenet import MoveNetPose
from vau.perception.ssd import SsdDetector
from vau.types import Detection, UInt8

SIDE = 640  # longer side of the frames, as the pipeline reduces them
Look = Callable[[UInt8], list[Detection]]


def read_frames(path: Path, count: int) -> list[UInt8]:
    """Returns frames spread evenly over a video by their position."""
    with av.open(str(path)) as container:
        total = sum(1 for _ in container.decode(video=0))
    wanted = set(np.linspace(0, total - 1, count + 2).astype(int)[1:-1].tolist())
    with av.open(str(path)) as container:
        images = [f.to_ndarray(format="rgb24") for i, f in enumerate(container.decode(video=0)) if i in wanted]
    return [reduce_frame(image) for image in images]


def reduce_frame(image: UInt8) -> UInt8:
    """Reduces a frame to the pipeline's size."""
    scale = SIDE / max(image.shape[:2])
    return image if scale >= 1 else cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def median_ms(call: Callable[[UInt8], object], frames: list[UInt8]) -> float:
    """Returns the median time of a call on one frame, after a first call that is not counted."""
    call(frames[0])
    times = []
    for frame in frames:
        start = time.perf_counter()
        call(frame)
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def looks(threads: int) -> dict[str, Look]:
    """Returns the detectors and mixes of detectors to compare."""
    cv2.setNumThreads(threads)
    ssd = SsdDetector()
    poses = {side: MoveNetPose(side, threads) for side in (256, 384)}

    def one(detector: Detector) -> Look:
        return lambda image: detector.detect(image[None])[0]

    def both(*parts: Look) -> Look:
        return lambda image: per_class_nms([item for part in parts for item in part(image)], 0.5)

    def zoomed(image: UInt8) -> list[Detection]:
        return look_at_squares(ssd, image)

    found = {"SSD": one(ssd), "SSD + 2 squares": both(one(ssd), zoomed)}
    for side, pose in poses.items():
        found[f"MoveNet {side}"] = one(pose)
        found[f"SSD + MoveNet {side}"] = both(one(ssd), one(pose))
    return found


def look_at_squares(detector: Detector, image: UInt8) -> list[Detection]:
    """Detects in the squares at both ends of the longer side, and returns boxes in pixels of the whole image."""
    height, width = image.shape[:2]
    side = min(height, width)
    found: list[Detection] = []
    for x, y in {(0, 0), (width - side, height - side)}:
        crop = np.ascontiguousarray(image[y : y + side, x : x + side])
        shift = np.array([x, y, x, y])
        found += [Detection(d.label, d.confidence, d.box + shift, d.source) for d in detector.detect(crop[None])[0]]
    return found


def people(found: list[Detection]) -> list[Detection]:
    """Keeps the people."""
    return [item for item in found if item.label == "person"]


def agreement(look: Look, frames: list[UInt8], reference: list[list[Detection]]) -> str:
    """Returns the share of the reference's people that are found, and how many people it does not know."""
    sure = hits = unknown = 0
    for frame, known in zip(frames, reference, strict=True):
        found = people(look(frame))
        wanted = [item for item in people(known) if item.confidence >= 0.5]
        sure += len(wanted)
        hits += sum(any(box_iou(item.box, other.box) > 0.5 for other in found) for item in wanted)
        unknown += sum(not any(box_iou(item.box, other.box) > 0.3 for other in known) for item in found)
    return f"{hits}/{sure} people found, {unknown} unknown" if sure else "no people"


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--frames", type=int, default=8, help="frames of each video")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    frames = [frame for path in options.videos for frame in read_frames(path, options.frames)]
    print(f"{len(frames)} frames of {len(options.videos)} videos, OpenCV {cv2.__version__}")
    for threads in options.threads:
        embedder = EfficientNetEmbedder(threads)
        calls: dict[str, Callable[[UInt8], object]] = {**looks(threads)}
        calls["EfficientNet-Lite3"] = lambda image, embedder=embedder: embedder.embed(image[None])
        for name, call in calls.items():
            print(f"{threads} threads  {name:20s} {median_ms(call, frames):7.1f} ms")
    try:
        from vau.perception.yolo import YoloDetector

        yolo = YoloDetector()
    except MissingExtraError as error:
        print(f"no agreement measured: {error}")
        return
    reference = [yolo.detect(frame[None])[0] for frame in frames]
    print(f"torch's threads  {'YOLOv8n 640':20s} {median_ms(lambda image: yolo.detect(image[None]), frames):7.1f} ms")
    for name, look in looks(options.threads[-1]).items():
        print(f"{name:20s} {agreement(look, frames, reference)}")


if __name__ == "__main__":
    main()
