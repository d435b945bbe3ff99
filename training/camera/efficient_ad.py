"""Trains EfficientAD on one camera's normal frames, on a CPU in minutes.

Batzner et al., EfficientAD (WACV 2024), sections 3.2 to 3.4: the student copies the teacher where it is hardest, is
kept from copying it on foreign pictures, the autoencoder predicts the teacher from the whole frame, and the student's
second half predicts the autoencoder. Ours: some thousand steps at a larger, decaying rate in place of 70,000; foreign
pictures are dead leaves; autoencoder and student see the same picture, under small changes of light.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vau.errors import InputError
from vau.scoring.camera.heat import SIGNALS, SMOOTH_S, HeatCamera, as_input, heat_maps
from vau.scoring.fusion import QuantileScale
from vau.scoring.heads.efficient_ad import MULTIPLE, EfficientAd
from vau.scoring.postprocess import smooth
from vau.training.camera.teacher import dead_leaves, distil
from vau.types import Float64, UInt8

_HARD = 0.999  # quantile of the squared error from which an element counts
_STATISTICS = 100  # pictures that the teacher's channels are normalised on
_LEAST = 40

Progress = Callable[[str, float], None]


@dataclass(frozen=True, eq=False)
class NormalPictures:
    """Network pictures of one normal video."""

    name: str
    times_s: Float64  # (N,)
    pictures: UInt8  # (N, h, w, 3), see `TimeColour`


@dataclass(frozen=True)
class HeatSettings:
    """Parameters that control the training."""

    side: int = 320  # longer side of the input in pixels
    most: int = 2500  # frames kept, evenly thinned; 320 x 224 pixels each, some 500 MB
    outputs: int = 64
    channels: int = 32
    temporal: bool = True
    crops: int = 600
    teacher_steps: int = 400
    steps: int = 1200
    rate: float = 5e-4
    held_out: float = 0.15  # share of the frames that only the quantiles are taken from
    smooth_s: float = SMOOTH_S
    seed: int = 0


def input_size(frame_size: tuple[int, int], side: int) -> tuple[int, int]:
    """Returns height and width of the input for frames (width, height), multiples of 32, the longer about `side`."""
    scale = side / max(frame_size)
    width, height = (max(MULTIPLE, round(length * scale / MULTIPLE) * MULTIPLE) for length in frame_size)
    return height, width


def fit_efficient_ad(
    videos: Sequence[NormalPictures], settings: HeatSettings | None = None, progress: Progress | None = None
) -> tuple[HeatCamera, dict[str, float], list[tuple[Float64, Float64]]]:
    """Trains the networks.

    Args:
        videos: normal footage, pictures of `input_size`.
        settings: parameters of the training.
        progress: called with the step's name and the share of it that is done.

    Returns:
        The camera, figures of the training by name, and times (N,) and scaled values (N, 2) of held-out videos.

    Raises:
        InputError: there are fewer than 40 frames.
    """
    settings = settings or HeatSettings()
    training, held = _split(videos, settings.held_out)
    pictures = [picture for video in training for picture in video.pictures]
    if len(pictures) < _LEAST or not held:
        raise InputError(
            f"{sum(len(v.pictures) for v in videos)} frames are too few to learn from; give {_LEAST} or more"
        )
    torch.manual_seed(settings.seed)
    height, width = pictures[0].shape[:2]
    network = EfficientAd(
        height, width, outputs=settings.outputs, channels=settings.channels, temporal=settings.temporal
    )
    explained = distil(
        network.teacher,
        pictures,
        outputs=settings.outputs,
        crops=settings.crops,
        steps=settings.teacher_steps,
        seed=settings.seed,
        progress=None if progress is None else lambda share: progress("teacher", share),
    )
    _normalise(network, pictures)
    loss = _train(network, pictures, settings, progress)
    scales, curves = _calibrate(network.eval(), held, settings.smooth_s)
    figures = {"variance of EfficientNet that the teacher explains": explained, "loss at the end": loss}
    return HeatCamera(network, scales, smooth_s=settings.smooth_s), figures, curves


def hard_feature_loss(error: Tensor, quantile: float = _HARD) -> Tensor:
    """Returns the mean of the squared errors at or above their quantile (section 3.2)."""
    flat = error.flatten()
    count = max(1, round((1 - quantile) * flat.numel()))
    return flat.topk(count).values.mean()


def objective(network: EfficientAd, images: Tensor, foreign: Tensor) -> dict[str, Tensor]:
    """Returns the loss terms, whose sum is minimised.

    Args:
        network: the three networks.
        images: (B, 3, H, W) normal.
        foreign: (B, 3, H, W) pictures that the student must not learn the teacher's answer to.
    """
    outputs = len(network.mean)
    target = network.describe(images)
    copied, whole = network.student(images), network.autoencoder(images)
    return {
        "hard features": hard_feature_loss((target - copied[:, :outputs]).square()),
        "foreign pictures": network.student(foreign)[:, :outputs].square().mean(),
        "autoencoder": functional.mse_loss(whole, target),
        "student of autoencoder": functional.mse_loss(copied[:, outputs:], whole.detach()),
    }


def _train(network: EfficientAd, pictures: Sequence[UInt8], settings: HeatSettings, progress: Progress | None) -> float:
    generator = np.random.default_rng(settings.seed)
    learned = [*network.student.parameters(), *network.autoencoder.parameters()]
    optimiser = torch.optim.Adam(learned, lr=settings.rate, weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.steps)
    height, width = pictures[0].shape[:2]
    network.train()
    average = 0.0
    for step in range(settings.steps):
        picture = pictures[int(generator.integers(0, len(pictures)))]
        light = torch.tensor(as_input(picture)) * float(generator.uniform(0.9, 1.1)) + float(
            generator.uniform(-0.1, 0.1)
        )
        # Half the side is enough to keep the student from the teacher's answer, and a quarter of the time.
        foreign = torch.tensor(as_input(dead_leaves(height // 2, width // 2, generator)))
        total = torch.stack(list(objective(network, light[None], foreign[None]).values())).sum()
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        schedule.step()
        now = float(total.detach())
        average = now if step == 0 else 0.98 * average + 0.02 * now
        if progress is not None:
            progress("student and autoencoder", (step + 1) / settings.steps)
    return average


def _normalise(network: EfficientAd, pictures: Sequence[UInt8]) -> None:
    """Sets the teacher's channel means and deviations from normal pictures."""
    chosen = np.unique(np.linspace(0, len(pictures) - 1, _STATISTICS).astype(int))
    with torch.inference_mode():
        told = [network.teacher(torch.from_numpy(as_input(pictures[row]))[None])[0].flatten(1) for row in chosen]
        stacked = torch.cat(told, dim=1)
    network.mean.copy_(stacked.mean(1))
    network.deviation.copy_(stacked.std(1).clamp_min(1e-6))


def _calibrate(
    network: EfficientAd, held: Sequence[NormalPictures], smooth_s: float
) -> tuple[dict[str, QuantileScale], list[tuple[Float64, Float64]]]:
    """Sets the maps' quantiles (section 3.4) and returns the scales of the frames' values, and the scaled values."""
    with torch.inference_mode():
        rows = [
            network.raw_maps(torch.from_numpy(as_input(p))[None])[0].flatten(1) for v in held for p in v.pictures[::3]
        ]
    flat = torch.cat(rows, dim=1).numpy()
    network.quantiles.copy_(torch.from_numpy(np.quantile(flat, [0.9, 0.995], axis=1).T.astype(np.float32)))
    values = []
    for video in held:
        raw = np.stack([heat_maps(network, p).reshape(len(SIGNALS), -1).max(axis=1) for p in video.pictures])
        values.append(smooth(raw.astype(np.float64), video.times_s, smooth_s))
    joined = np.concatenate(values)
    scales = {name: QuantileScale.fit(joined[:, column]) for column, name in enumerate(SIGNALS)}
    scaled = [np.stack([scales[name].apply(item[:, i]) for i, name in enumerate(SIGNALS)], axis=1) for item in values]
    return scales, [(video.times_s, item) for video, item in zip(held, scaled, strict=True)]


def _split(videos: Sequence[NormalPictures], share: float) -> tuple[list[NormalPictures], list[NormalPictures]]:
    """Returns videos to train on and the others; of fewer than four videos, the last stretch of each is held out."""
    if len(videos) >= 4:
        every = max(2, round(1 / share))
        held = [video for index, video in enumerate(videos) if index % every == every // 2]
        return [video for index, video in enumerate(videos) if index % every != every // 2], held
    training, held = [], []
    for video in videos:
        edge = round((1 - share) * len(video.pictures))
        training.append(NormalPictures(video.name, video.times_s[:edge], video.pictures[:edge]))
        if edge < len(video.pictures):
            held.append(NormalPictures(video.name, video.times_s[edge:], video.pictures[edge:]))
    return training, held
