from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests import fake_models
from tests.unit.test_scoring_camera import movers
from vau.config import Config
from vau.errors import InputError
from vau.perception.camera import Movers
from vau.perception.observe import Models
from vau.scoring.camera.density import HALF, fused
from vau.scoring.camera.load import camera_scorer
from vau.scoring.checkpoint import read_checkpoint
from vau.training.camera.density import DensitySettings, NormalVideo, cut, fit_density
from vau.training.camera.run import CameraTraining, _calibration, _limits, train_camera
from vau.training.camera.validate import Alarms, alarm_figures, change, check_density, long_ways
from vau.video import open_stream, probe


def walkers(seed: int, speed: float = 2.0, frames: int = 60) -> Movers:
    """Returns a video of five people who walk at about one speed on three lines."""
    generator = np.random.default_rng(seed)
    rows = []
    for _ in range(5):
        start, line, own = generator.uniform(0, 200), generator.choice([90, 100, 110]), generator.normal(speed, 0.2)
        for frame in range(1, frames):
            sway = generator.normal(0, 0.4, 2)
            rows.append((frame, start + own * frame, line + sway[0], own + sway[1]))
    return movers(sorted(rows), frames)


NORMAL = [NormalVideo(f"n{seed}", walkers(seed)) for seed in range(8)]


def test_normal_footage_stays_quiet_and_runners_do_not() -> None:
    density = fit_density(NORMAL)
    assert density.signals == ("place", "size", "speed")
    quiet = fused(density.frames(walkers(99)))
    fast = density.frames(walkers(99, speed=6.0))
    assert (quiet >= HALF).mean() < 0.1
    assert (fused(fast) >= HALF).mean() > 0.8
    assert (fast.argmax(axis=1) == density.signals.index("speed")).mean() > 0.8


def test_the_same_footage_gives_the_same_camera() -> None:
    one, other = (fit_density(NORMAL, DensitySettings(capacity=100)) for _ in range(2))
    assert np.array_equal(one.frames(walkers(5)), other.frames(walkers(5)))


def test_one_video_is_enough_but_nothing_is_not() -> None:
    density = fit_density([NormalVideo("one", walkers(3, frames=120))])
    assert density.frames(walkers(4)).shape == (60, 3)
    with pytest.raises(InputError, match="more footage"):
        fit_density([NormalVideo("empty", movers([]))])


def test_cut_keeps_every_region_once() -> None:
    video = NormalVideo("v", walkers(0))
    parts = cut(video, 4)
    assert sum(len(part.movers) for part in parts) == len(video.movers)
    assert sum(len(part.movers.times_s) for part in parts) == 60
    assert all(not len(part.movers) or part.movers.frame.min() >= 0 for part in parts)


def test_changes_touch_one_way_only() -> None:
    seen = walkers(1)
    way = long_ways(seen, 1, np.random.default_rng(0))[0]
    assert len(way) >= 10
    fast, large = change(seen, way, "speed", 2.0), change(seen, way, "size", 2.0)
    others = np.setdiff1d(np.arange(len(seen)), way)
    assert fast.motion[way, 0] == pytest.approx(2 * seen.motion[way, 0])
    assert np.array_equal(fast.motion[others], seen.motion[others])
    assert large.boxes[way, 3] == pytest.approx(seen.boxes[way, 3])  # feet stay
    assert np.ptp(large.boxes[way][:, [0, 2]], axis=1) == pytest.approx(2 * np.ptp(seen.boxes[way][:, [0, 2]], axis=1))


def test_check_finds_what_was_made_faster() -> None:
    check = check_density(fit_density(NORMAL[:6]), NORMAL[6:])
    assert check.alarms.frames == 120 and check.alarms.share < 0.2
    assert check.alarms.seconds == pytest.approx(2 * 5.9)
    assert check.found["speed x 2"] > 0.9
    assert check.found["speed x 2"] >= check.found["speed x 1.5"] - 0.02


def test_alarms_are_counted_as_runs() -> None:
    times = np.arange(100) / 10
    values = np.full(100, -1.0)
    values[[10, 11, 12, 50]] = 1.0
    found = alarm_figures([(times, values)])
    assert (found.frames, found.share, found.alarms) == (100, 0.04, 2)
    assert found.hourly()[0] == pytest.approx(2 / (9.9 / 3600))


def test_no_alarm_in_a_short_time_is_no_proof_of_none() -> None:
    assert Alarms(60, 0, 0, 6.0).hourly() == pytest.approx((0, 3 * 600), rel=0.01)  # the rule of three
    # 9.154 is the largest mean of which 4 or fewer are seen once in twenty times.
    assert Alarms(60, 9, 4, 3600.0).hourly() == pytest.approx((4, 9.154), rel=1e-3)
    with pytest.raises(ValueError, match="more than one moment"):
        Alarms(1, 0, 0, 0.0).hourly()


@pytest.fixture
def footage(tmp_path: Path) -> list[Path]:
    paths = []
    for index in range(2):
        images = [
            fake_models.scene(
                (10 + 2 * i, 100 + 8 * index, 34 + 2 * i, 160 + 8 * index), (250 - 2 * i, 60, 274 - 2 * i, 120)
            )
            for i in range(70)
        ]
        paths.append(fake_models.write(tmp_path / f"normal{index}.mp4", images, fps=10))
    return paths


def test_training_writes_a_checkpoint_that_scores(footage: list[Path], tmp_path: Path) -> None:
    models = fake_models.models()
    training = CameraTraining(pose=False)
    steps: list[str] = []
    card = train_camera(footage, tmp_path / "c", training, models=models, progress=lambda step, _: steps.append(step))
    assert card.kind == "camera-density" and card.embedder == "thumbnails" and "appearance" in card.parts
    assert card.data.videos == 2 and {"watch", "learn"} == set(steps)
    hourly = next(metric for metric in card.metrics if "false alarms" in metric.name)
    assert hourly.high is not None and hourly.high >= 3600 * 2.9 / 13.8 and hourly.low == 0
    assert all(" s of held-out normal video" in metric.data and metric.count for metric in card.metrics)
    assert "about the strangest of 140 held-out" in card.calibration.rule and "200" not in card.calibration.rule
    assert "Learned from 14 s" in card.limits[0] and "Learned from 14 s" in (tmp_path / "c" / "README.md").read_text()
    assert card.perception["frame_size"] == [320, 240] and "pose" not in card.perception
    camera = camera_scorer(*read_checkpoint(tmp_path / "c"))
    running = [fake_models.scene((10 + 9 * i, 100, 34 + 9 * i, 160)) for i in range(30)]
    config = Config()
    peaks = []
    for path in (footage[0], fake_models.write(tmp_path / "run.mp4", running, fps=10)):
        info = probe(path, config.video)
        watch = camera.watch(info, models.embedder)
        for _ in watch.see(open_stream(path, config.video, fps=10, info=info)):
            pass
        peaks.append(watch.values()[1].max())
    assert peaks[0] < HALF < peaks[1]


def test_training_with_poses_learns_them(footage: list[Path], tmp_path: Path) -> None:
    dense = Config().with_overrides({"video.sample_fps": 10.0})
    card = train_camera(footage, tmp_path / "c", CameraTraining(appearance=False), models=_posed(), config=dense)
    assert card.parts == ("place", "size", "speed", "pose") and not card.embedder
    needed = {"sample_fps": 10.0, "detector": "ssd", "pose": True, "min_confidence": 0.3}
    assert card.perception.items() >= needed.items() and "embedder" not in card.perception


def _posed() -> Models:
    models = fake_models.models()
    assert models.pose is not None
    return models


def test_footage_is_checked(footage: list[Path], tmp_path: Path) -> None:
    small = fake_models.write(tmp_path / "small.mp4", [fake_models.scene(size=(160, 120)) for _ in range(5)])
    with pytest.raises(InputError, match="160 x 120, 320 x 240"):
        train_camera([footage[0], small], tmp_path / "c", models=fake_models.models())
    with pytest.raises(InputError, match="no video to learn"):
        train_camera([], tmp_path / "c", models=fake_models.models())
    with pytest.raises(InputError, match="fps"):
        train_camera(footage, tmp_path / "c", CameraTraining(fps=0), models=fake_models.models())
    with pytest.raises(InputError, match=r"6\.9 s of normal video are too little"):
        train_camera([footage[0]], tmp_path / "c", CameraTraining(pose=False), models=_posed())
    card = train_camera([*footage, footage[0]], tmp_path / "c", CameraTraining(pose=False), models=_posed())
    assert card.data.videos == 2 and "same content" in card.data.skipped[0]


def test_enough_footage_has_a_quantile_and_no_warning() -> None:
    assert "one in 200 of 5000 held-out" in _calibration(5000, "x").rule
    assert len(_limits(301)) == len(_limits(299)) - 1
