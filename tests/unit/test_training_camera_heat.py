from __future__ import annotations

import numpy as np
import pytest

from vau.errors import InputError

torch = pytest.importorskip("torch")

from vau.scoring.camera.heat import as_input  # noqa: E402
from vau.scoring.heads.efficient_ad import EfficientAd  # noqa: E402
from vau.training.camera import efficient_ad  # noqa: E402
from vau.training.camera.efficient_ad import (  # noqa: E402
    HeatSettings,
    NormalPictures,
    fit_efficient_ad,
    hard_feature_loss,
    input_size,
    objective,
)
from vau.training.camera.teacher import dead_leaves, random_crop  # noqa: E402


def pictures(count: int, seed: int) -> NormalPictures:
    """Returns noise with a vertical bar that wanders."""
    generator = np.random.default_rng(seed)
    frames = generator.integers(90, 130, (count, 32, 64, 3), np.uint8)
    for index, frame in enumerate(frames):
        left = (seed + 2 * index) % 56
        frame[:, left : left + 6] = 220
    return NormalPictures(f"v{seed}", np.arange(count) / 10, frames)


def test_input_size_keeps_the_shape_in_multiples_of_32() -> None:
    assert input_size((360, 240), 320) == (224, 320)
    assert input_size((1920, 1080), 320) == (192, 320)
    assert input_size((64, 2000), 320) == (320, 32)


def test_hard_features_are_the_largest_errors() -> None:
    error = torch.arange(1000.0)
    assert float(hard_feature_loss(error)) == 999.0
    assert float(hard_feature_loss(error, 0.99)) == pytest.approx(994.5)
    assert float(hard_feature_loss(torch.tensor([3.0]))) == 3.0


def test_objective_has_the_papers_terms_and_falls() -> None:
    torch.manual_seed(0)
    network = EfficientAd(32, 64, outputs=4, channels=4)
    images = torch.tensor(np.stack([as_input(item) for item in pictures(4, 0).pictures]))
    foreign = torch.randn(1, 3, 16, 32)
    optimiser = torch.optim.Adam([*network.student.parameters(), *network.autoencoder.parameters()], lr=1e-2)
    totals = []
    for _ in range(30):
        terms = objective(network, images, foreign)
        assert set(terms) == {"hard features", "foreign pictures", "autoencoder", "student of autoencoder"}
        total = torch.stack(list(terms.values())).sum()
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        totals.append(float(total.detach()))
    assert totals[-1] < 0.7 * totals[0]


def test_foreign_pictures_and_crops() -> None:
    generator = np.random.default_rng(0)
    leaves = dead_leaves(64, 96, generator)
    assert leaves.shape == (64, 96, 3) and len(np.unique(leaves.reshape(-1, 3), axis=0)) > 20
    assert random_crop(leaves, generator).shape == (140, 140, 3)


def test_training_finds_what_it_never_saw(monkeypatch: pytest.MonkeyPatch) -> None:
    # The real teacher is distilled from packaged weights; a random one describes well enough for squares and bars.
    monkeypatch.setattr(efficient_ad, "distil", lambda *args, **kwargs: 0.5)
    settings = HeatSettings(outputs=8, channels=8, steps=150, rate=2e-3, temporal=False)
    camera, figures, curves = fit_efficient_ad([pictures(40, seed) for seed in range(5)], settings)
    assert figures["loss at the end"] > 0 and len(curves) == 1 and curves[0][1].shape == (40, 2)
    normal = efficient_ad.heat_maps(camera.network, pictures(1, 9).pictures[0])
    strange = pictures(1, 9).pictures[0].copy()
    strange[8:24, 36:52] = (0, 255, 0)
    maps = efficient_ad.heat_maps(camera.network, strange)
    row, column = np.unravel_index(int((maps - normal).sum(0).argmax()), maps.shape[1:])
    # Within half a receptive field of the square, which covers rows 2 to 5 and columns 9 to 12.
    assert maps.max() > 2 * normal.max() and 0 <= row <= 7 and 5 <= column <= 15


def test_too_little_footage_is_refused() -> None:
    with pytest.raises(InputError, match="too few"):
        fit_efficient_ad([pictures(10, 0)])
