"""Distils the patch-description teacher of EfficientAD from the packaged EfficientNet-Lite3.

After Batzner et al., EfficientAD (WACV 2024), section 3.1, which distils a WideResNet-101 on ImageNet. No ImageNet
travels with a package manager, so ours learns from crops of the camera's own normal frames at many scales and from
dead leaves, overlapping discs of random size and colour, whose edges resemble those of natural pictures (Baradad et
al., "Learning to See by Looking at Noise", 2021). Such a teacher knows less of the world than the paper's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from vau.errors import PerceptionError
from vau.perception.litert import open_model
from vau.scoring.camera.heat import as_input
from vau.types import Float32, UInt8
from vau.weights import locate

WEIGHTS = "efficientnet-lite3"
_CROP = 140  # pixels; shown to EfficientNet at twice the size, as the paper does
_FINE = 35  # side of its map at an 8th of its input
_LAYERS = ("blocks_6/Add", "blocks_11/Add")  # the ends of its stages at an 8th and, first of two, at a 16th
_DISCS = 150

Progress = Callable[[float], None]


class LiteDescriptor:
    """Describes crops by two inner layers of EfficientNet-Lite3."""

    def __init__(self, threads: int = 1) -> None:
        """Loads the network; raises WeightsError where it is not there."""
        self._model = open_model(locate(WEIGHTS), threads, keep_tensors=True)
        entry = self._model.get_input_details()[0]
        self._input, self._side = entry["index"], int(entry["shape"][1])
        self._layers = [self._layer(name) for name in _LAYERS]

    def describe(self, crop: UInt8) -> Float32:
        """Returns (35, 35, C) float32 for a crop (140, 140, 3)."""
        large = cv2.resize(crop, (self._side, self._side), interpolation=cv2.INTER_LINEAR)
        self._model.set_tensor(self._input, large[None])
        self._model.invoke()
        maps = []
        for layer in self._layers:
            scale, zero = layer["quantization"]
            values = (self._model.get_tensor(layer["index"])[0].astype(np.float32) - zero) * scale
            maps.append(cv2.resize(values, (_FINE, _FINE), interpolation=cv2.INTER_LINEAR))
        return np.concatenate(maps, axis=-1)

    def _layer(self, name: str) -> dict[str, Any]:
        for item in self._model.get_tensor_details():
            if item["name"].endswith(name):
                return dict(item)
        raise PerceptionError(f"{WEIGHTS} holds no tensor named *{name}")


def dead_leaves(height: int, width: int, generator: np.random.Generator) -> UInt8:
    """Returns a picture (height, width, 3) of overlapping discs whose radii follow a power law."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = generator.integers(0, 256, 3)
    for _ in range(_DISCS):
        radius = int(min(3.0 / np.sqrt(generator.random() + 1e-3), max(height, width) / 2))
        centre = (int(generator.integers(0, width)), int(generator.integers(0, height)))
        cv2.circle(picture, centre, radius, [int(value) for value in generator.integers(0, 256, 3)], -1, cv2.LINE_AA)
    return picture


def random_crop(picture: UInt8, generator: np.random.Generator) -> UInt8:
    """Returns a crop (140, 140, 3) at a random scale between a half and twice, perhaps mirrored, lighter or darker."""
    height, width = picture.shape[:2]
    side = int(np.clip(_CROP * 2.0 ** generator.uniform(-1, 1), 16, min(height, width)))
    y, x = int(generator.integers(0, height - side + 1)), int(generator.integers(0, width - side + 1))
    crop = cv2.resize(picture[y : y + side, x : x + side], (_CROP, _CROP), interpolation=cv2.INTER_LINEAR)
    if generator.random() < 0.5:
        crop = crop[:, ::-1]
    changed = crop * generator.uniform(0.7, 1.3) + generator.uniform(-20, 20)
    return np.ascontiguousarray(np.clip(changed, 0, 255).astype(np.uint8))


def distil(
    teacher: nn.Module,
    pictures: Sequence[UInt8],
    *,
    outputs: int,
    crops: int,
    steps: int,
    seed: int,
    progress: Progress | None = None,
) -> float:
    """Trains the teacher in place.

    Args:
        teacher: a `PatchDescription` with `outputs` channels.
        pictures: normal pictures (h, w, 3) of the camera.
        outputs: principal components of EfficientNet's description that it learns.
        crops: number of crops, half of them of dead leaves.
        steps: training steps of 8 crops.
        seed: of all random choices.
        progress: called with the share that is done.

    Returns:
        Share of the variance of held-out crops that the teacher explains, at most 1.
    """
    generator, descriptor = np.random.default_rng(seed), LiteDescriptor()
    images: list[UInt8] = []
    described: list[Float32] = []
    for index in range(crops):
        source = (
            pictures[int(generator.integers(0, len(pictures)))]
            if index % 2
            else dead_leaves(2 * _CROP, 2 * _CROP, generator)
        )
        images.append(random_crop(source, generator))
        described.append(descriptor.describe(images[-1]).astype(np.float16))
        if progress is not None:
            progress(0.4 * (index + 1) / crops)
    offset, axes = _components(described, outputs, generator)
    held = max(8, crops // 10)
    optimiser = torch.optim.Adam(teacher.parameters(), lr=1e-3, weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    teacher.train()
    for step in range(steps):
        rows = generator.choice(crops - held, 8, replace=False)
        optimiser.zero_grad()
        functional.mse_loss(*_pairs(teacher, rows, images, described, offset, axes)).backward()
        optimiser.step()
        schedule.step()
        if progress is not None:
            progress(0.4 + 0.6 * (step + 1) / steps)
    teacher.eval()
    with torch.no_grad():
        told, target = _pairs(teacher, np.arange(crops - held, crops), images, described, offset, axes)
    return 1.0 - float((told - target).square().mean() / target.var())


def _pairs(
    teacher: nn.Module,
    rows: np.ndarray,
    images: Sequence[UInt8],
    described: Sequence[Float32],
    offset: Float32,
    axes: Float32,
) -> tuple[torch.Tensor, torch.Tensor]:
    inputs = torch.from_numpy(np.stack([as_input(images[row]) for row in rows]))
    targets = np.stack([(described[row].astype(np.float32) - offset) @ axes for row in rows])
    return teacher(inputs), torch.from_numpy(targets).permute(0, 3, 1, 2)


def _components(described: Sequence[Float32], outputs: int, generator: np.random.Generator) -> tuple[Float32, Float32]:
    """Returns mean (C,) and whitened principal axes (C, outputs) of descriptions."""
    flat = np.concatenate(
        [item.reshape(-1, item.shape[-1])[generator.integers(0, _FINE * _FINE, 64)] for item in described]
    ).astype(np.float64)
    offset = flat.mean(axis=0)
    variances, axes = np.linalg.eigh(np.cov(flat - offset, rowvar=False))
    chosen = np.argsort(variances)[::-1][:outputs]
    # Fully whitened components would be mostly noise in the end; the square root of whitening keeps their order.
    weights = axes[:, chosen] / np.maximum(variances[chosen], 1e-6) ** 0.25
    spread = ((flat - offset) @ weights).std()
    return offset.astype(np.float32), (weights / spread).astype(np.float32)
