"""A fixed camera on real footage: learns from normal clips of UCSD Ped2, tells cyclists and a cart from walkers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import ped2
from tests import fake_models
from vau.config import Config
from vau.scoring.camera.density import fused
from vau.scoring.camera.load import camera_scorer
from vau.scoring.checkpoint import read_checkpoint
from vau.training.camera.run import CameraTraining, train_camera
from vau.video import open_stream, probe

pytestmark = pytest.mark.clips


def test_motion_alone_tells_cyclists_from_walkers(clips_dir: Path, tmp_path: Path) -> None:
    folder = clips_dir / "ucsd-ped2"
    normal = sorted((folder / "train").glob("*.mp4"))[::2]
    training = CameraTraining(pose=False, appearance=False)
    card = train_camera(normal, tmp_path / "camera", training, models=fake_models.models())
    assert card.parts == ("place", "size", "speed") and not card.models
    figures = {metric.name: metric.value for metric in card.metrics}
    assert figures["share of normal frames at 0.5 or more"] < 0.05
    assert figures["AUC of normal things changed: speed x 2"] > 0.85
    camera = camera_scorer(*read_checkpoint(tmp_path / "camera"))
    truth, config, clips = json.loads((folder / "gt" / "ped2_gt_dev.json").read_text()), Config(), []
    for name in ("Test001", "Test002", "Test004"):
        clip = ped2.Clip(folder / "test" / f"{name}.mp4")
        info = probe(clip.path, config.video)
        watch = camera.watch(info)
        for _ in watch.see(open_stream(clip.path, config.video, fps=ped2.FPS, info=info)):
            pass
        clip.curves["own"] = fused(watch.values()[1])
        clip.regions["own"] = ped2.strongest(watch.regions())
        clips.append(clip)
    result = ped2.measure_frames(clips, truth, "own")
    assert result.auc.value is not None and result.auc.value > 0.97
    assert ped2.measure_regions(clips, truth, "own").rbdc > 0.4


@pytest.mark.weights
def test_heat_is_where_the_cart_is(clips_dir: Path, weights: Path) -> None:
    pytest.importorskip("torch")
    from vau.training.camera.efficient_ad import HeatSettings, NormalPictures, fit_efficient_ad, input_size
    from vau.training.camera.videos import find_footage, see_pictures

    folder, config = clips_dir / "ucsd-ped2", Config()
    footage, _ = find_footage(sorted((folder / "train").glob("*.mp4"))[:4], config)
    settings = HeatSettings(side=224, outputs=32, channels=16, crops=160, teacher_steps=120, steps=400, rate=1e-3)
    size = input_size((360, 240), settings.side)
    videos = [
        NormalPictures(
            item.path.stem,
            *see_pictures(item, config, fps=10, size=size, temporal=True, keep=60, progress=lambda share: None),
        )
        for item in footage
    ]
    camera, figures, _ = fit_efficient_ad(videos, settings)
    assert 0 < figures["variance of EfficientNet that the teacher explains"] < 1
    path = folder / "test" / "Test004.mp4"
    info = probe(path, config.video)
    watch, maps = camera.watch(info), []
    for batch in open_stream(path, config.video, fps=10, info=info):
        maps += [watch.push(image, float(time_s)) for image, time_s in zip(batch.images, batch.times_s, strict=True)]
    # The cart crosses from frame 40 on; before frame 30 there are walkers only.
    boxes = json.loads((folder / "gt" / "ped2_gt_dev.json").read_text())["Test004"]["boxes_xywh"]
    scale = maps[0].shape[2] / info.width
    inside = []
    for frame in range(60, 120, 5):
        x, y, w, h = (int(value * scale) for value in boxes[frame][0])
        inside.append(maps[frame][0, y : y + h + 1, x : x + w + 1].max())
    walkers = [maps[frame][0].max() for frame in range(3, 28)]
    assert np.mean(inside) > 1.5 * np.mean(walkers) > 0
