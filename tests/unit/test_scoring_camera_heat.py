from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vau.errors import CheckpointError, ScoreError
from vau.scoring.camera.heat import KIND, SIGNALS, HeatCamera, TimeColour, heat_camera, hot_regions
from vau.scoring.checkpoint import Card, read_checkpoint, write_checkpoint
from vau.scoring.fusion import QuantileScale
from vau.types import FrameBatch, VideoInfo

torch = pytest.importorskip("torch")

from vau.scoring.heads.efficient_ad import EfficientAd, PatchDescription  # noqa: E402

INFO = VideoInfo("a.mp4", "0" * 64, 1.0, 128, 64, 10.0, 10, "h264", "mp4")


def network() -> EfficientAd:
    torch.manual_seed(0)
    return EfficientAd(32, 64, outputs=8, channels=4).eval()


def camera() -> HeatCamera:
    return HeatCamera(network(), {name: QuantileScale(0.1, 0.2) for name in SIGNALS}, smooth_s=0.4)


def test_shapes_and_the_sizes_that_are_refused() -> None:
    images = torch.randn(2, 3, 32, 64)
    net = network()
    assert net.teacher(images).shape == (2, 8, 8, 16) and net.student(images).shape == (2, 16, 8, 16)
    assert net.autoencoder(images).shape == (2, 8, 8, 16)
    assert net(images).shape == (2, 2, 8, 16)
    with pytest.raises(ValueError, match="multiples of 32"):
        EfficientAd(30, 64)


def test_receptive_field_is_33_pixels() -> None:
    teacher = PatchDescription(2, 4)
    image = torch.randn(1, 3, 96, 96, requires_grad=True)
    teacher(image)[0, :, 12, 12].abs().sum().backward()
    assert image.grad is not None
    touched = image.grad.abs().sum((0, 1)).nonzero()
    assert (touched.amax(0) - touched.amin(0) + 1).max() <= 33


def test_maps_are_nought_and_a_tenth_at_their_quantiles() -> None:
    net = network()
    images = torch.randn(4, 3, 32, 64)
    raw = net.raw_maps(images)
    assert (raw >= 0).all()
    flat = raw.transpose(0, 1).flatten(1)
    net.quantiles.copy_(torch.quantile(flat, torch.tensor([0.9, 0.995]), dim=1).T)
    found = torch.quantile(net(images).transpose(0, 1).flatten(1), torch.tensor([0.9, 0.995]), dim=1)
    assert found[0].tolist() == pytest.approx([0, 0], abs=1e-5)
    assert found[1].tolist() == pytest.approx([0.1, 0.1], abs=1e-4)


def test_the_teacher_gets_no_gradient() -> None:
    net = network()
    net.raw_maps(torch.randn(1, 3, 32, 64)).sum().backward()
    assert all(weight.grad is None for weight in net.teacher.parameters())
    assert all(weight.grad is not None for weight in net.student.parameters())


def test_time_becomes_colour() -> None:
    colour = TimeColour(32, 64, temporal=True)
    still = np.full((64, 128, 3), 100, np.uint8)
    first = colour.picture(still, 0.0)
    assert first.shape == (32, 64, 3) and (first == 100).all()
    lit = np.full((64, 128, 3), 200, np.uint8)
    assert colour.picture(lit, 0.1)[0, 0].tolist() == [100, 100, 200]
    assert colour.picture(lit, 0.2)[0, 0].tolist() == [100, 200, 200]
    assert TimeColour(32, 64, temporal=False).picture(still, 0.0).shape == (32, 64, 3)


def test_hot_regions_are_where_a_map_exceeds_its_level() -> None:
    maps = np.zeros((2, 8, 16), np.float32)
    maps[0, 2:4, 3:6] = 1.0
    maps[1, 6, 15] = 3.0
    found = hot_regions(maps, np.array([0.5, 0.5]))
    assert [box.tolist() for box, _ in found] == [[15, 6, 16, 7], [3, 2, 6, 4]]
    assert found[0][1].tolist() == [0, 3] and found[1][1].tolist() == [1, 0]


def test_pictures_of_another_size_are_refused() -> None:
    scales = {name: QuantileScale(0.1, 0.2) for name in SIGNALS}
    with pytest.raises(CheckpointError, match=r"pictures of 128 x 64.*256 x 128"):
        HeatCamera(network(), scales, frame_size=(256, 128)).watch(INFO)


def test_watch_scores_frames_and_keeps_them_passing() -> None:
    watch = camera().watch(INFO)
    images = np.random.default_rng(0).integers(0, 255, (6, 64, 128, 3), np.uint8)
    batch = FrameBatch(images, np.arange(6) / 10, np.arange(6))
    assert [len(item) for item in watch.see([batch])] == [6]
    times, values = watch.values()
    assert len(times) == 6 and values.shape == (6, 2) and np.isfinite(values).all()
    regions = watch.regions()
    assert regions.values.shape == (len(regions.frame), 2) and (regions.boxes <= [128, 64, 128, 64]).all()
    with pytest.raises(ScoreError, match="call watch"):
        camera().score(None)  # type: ignore[arg-type]


def test_checkpoint_gives_the_same_maps_and_damage_is_told(tmp_path: Path) -> None:
    own = camera()
    arrays = {f"network.{name}": tensor.numpy() for name, tensor in own.network.state_dict().items()}
    arrays |= {f"scale.{name}": np.array([0.1, 0.2]) for name in SIGNALS}
    write_checkpoint(tmp_path / "c", Card(kind=KIND, arguments=own.network.arguments | {"smooth_s": 0.4}), arrays)
    card, read = read_checkpoint(tmp_path / "c")
    again = heat_camera(card, read)
    image = np.random.default_rng(0).integers(0, 255, (64, 128, 3), np.uint8)
    maps = [item.watch(INFO).push(image, 0.0) for item in (own, again)]
    assert np.array_equal(*maps)
    for arguments in ({}, card.arguments | {"outputs": 16}, card.arguments | {"height": 10**6}):
        with pytest.raises(CheckpointError, match="damaged"):
            heat_camera(card.model_copy(update={"arguments": arguments}), read)
