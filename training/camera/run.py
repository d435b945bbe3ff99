"""From normal videos of one camera to a checkpoint with its card: the recipe of `vau train camera`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vau.config import Config
from vau.errors import InputError, MissingExtraError
from vau.perception.observe import Models, load_models
from vau.scoring.camera.density import Smoothing, fused
from vau.scoring.camera.features import SIGNALS
from vau.scoring.camera.objects import KIND as DENSITY_KIND
from vau.scoring.camera.objects import density_arguments, density_arrays
from vau.scoring.checkpoint import Calibration, Card, DataInfo, Metric, SplitInfo, write_checkpoint
from vau.training.camera.density import DensitySettings, NormalVideo, cut, fit_density
from vau.training.camera.validate import Alarms, Check, alarm_figures, check_density
from vau.training.camera.videos import (
    ENOUGH_S,
    Footage,
    check_length,
    find_footage,
    length_s,
    see_movers,
    see_pictures,
)

Method = Literal["density", "efficient-ad"]
Progress = Callable[[str, float], None]

LOOK_EVERY = 2
_HELD_OUT = 5  # every fifth video, or stretch, is what the figures of the card come from
_RARE = 200  # frames of which one reaches the upper quantile of a scale
_LIMITS = (
    "For the camera that it was trained on, in the same position and zoom, and at times like those of the training.",
    "Strange is not dangerous: whatever the normal videos did not show scores high.",
    "Scores need the video's frames; observations saved earlier cannot be scored.",
)


@dataclass(frozen=True)
class CameraTraining:
    """Parameters that control the training of one camera."""

    method: Method = "density"
    fps: float = 12.0  # frames a second that are looked at; best what `video.motion_fps` is in analysis
    pose: bool = True  # density only: whether poses are learned too, which takes most of the time
    appearance: bool = True  # density only
    causal: bool = False  # density only: smoothing that never looks ahead
    seed: int = 0


def train_camera(
    paths: Sequence[Path],
    out: Path,
    training: CameraTraining | None = None,
    config: Config | None = None,
    *,
    models: Models | None = None,
    progress: Progress | None = None,
) -> Card:
    """Learns what a camera usually sees and writes the checkpoint.

    Args:
        paths: videos of normal hours, some minutes in all.
        out: folder of the checkpoint.
        training: parameters of the training.
        config: decoding and perception, which later analysis must share.
        models: loaded models to use again.
        progress: called with the step's name and the share of it that is done.

    Returns:
        The card that was written.

    Raises:
        InputError: no video, videos of several sizes, less than 10 s of footage, or a folder that holds something else.
        MissingExtraError: method "efficient-ad" without torch.
        WeightsError: packaged weights are missing.
    """
    training, config = training or CameraTraining(), config or Config()
    tell = progress or (lambda step, share: None)
    if not 0 < training.fps <= 60:
        raise InputError(f"fps must lie above 0 and up to 60, got {training.fps!r}")
    footage, left_out = find_footage(paths, config)
    width, height = footage[0].info.width, footage[0].info.height
    card = Card(
        kind="camera",
        perception={"fps": training.fps, "max_side": config.video.max_side, "frame_size": [width, height]},
        data=DataInfo(
            name=f"{len(footage)} normal videos of one camera, {width} x {height}",
            digest=hashlib.sha256("".join(sorted(item.info.sha256 for item in footage)).encode()).hexdigest(),
            videos=len(footage),
            sources=1,
            duration_s=sum(item.info.duration_s for item in footage),
            skipped=tuple(left_out),
        ),
        seed=training.seed,
        versions={name: version(name) for name in ("vau", "numpy")},
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    fit = _train_density if training.method == "density" else _train_heat
    update, arrays, seconds = fit(footage, training, config, models, tell)
    looked = card.perception | update.pop("perception", {})
    card = card.model_copy(update=update | {"perception": looked, "limits": _limits(seconds)})
    write_checkpoint(out, card, arrays)
    return card


def _train_density(
    footage: Sequence[Footage], training: CameraTraining, config: Config, models: Models | None, tell: Progress
) -> tuple[dict[str, Any], dict[str, np.ndarray], float]:
    models = models or load_models(config.perception)
    wanted = {"appearance": training.appearance, "pose": training.pose}
    signals = tuple(name for name in SIGNALS if wanted.get(name, True))
    settings = DensitySettings(signals=signals, smoothing=Smoothing(causal=training.causal), seed=training.seed)
    videos = []
    for index, item in enumerate(footage):
        videos.append(
            see_movers(
                item,
                config,
                models,
                fps=training.fps,
                look_every=LOOK_EVERY if training.appearance else 0,
                pose=training.pose,
                progress=_part(tell, index, len(footage)),
            )
        )
    seconds = length_s([video.movers.times_s for video in videos])
    check_length(seconds)
    tell("learn", 0.0)
    units = videos if len(videos) >= _HELD_OUT else [part for video in videos for part in cut(video, _HELD_OUT)]
    held = units[_HELD_OUT // 2 :: _HELD_OUT]
    kept = [unit for index, unit in enumerate(units) if index % _HELD_OUT != _HELD_OUT // 2]
    check = check_density(fit_density(kept, settings), held, seed=training.seed)
    tell("learn", 0.6)
    # The figures stand for a scorer that learned from four fifths; what is kept learned from all.
    density = fit_density(videos, settings)
    tell("learn", 1.0)
    uses_look = "appearance" in density.signals
    update = {
        "kind": DENSITY_KIND,
        "arguments": density_arguments(density, LOOK_EVERY),
        "parts": density.signals,
        "dims": tuple(bank.bank.shape[1] for bank in density.banks.values()),
        "embedder": models.embedder.name if uses_look else "",
        "models": models.names if training.pose else (models.embedder.name,) if uses_look else (),
        "perception": _needed(density.signals, config),
        "calibration": _calibration(
            sum(len(video.movers.times_s) for video in videos),
            "of all videos, each left out in turn; the card's figures are of a scorer that learned from four fifths",
        ),
        "split": _split_info(kept, held),
        "metrics": _metrics(check, len(held)),
        "settings": asdict(training) | {"k": settings.k, "capacity": settings.capacity, "looks": settings.looks},
    }
    return update, density_arrays(density), seconds


def _train_heat(
    footage: Sequence[Footage], training: CameraTraining, config: Config, models: Models | None, tell: Progress
) -> tuple[dict[str, Any], dict[str, np.ndarray], float]:
    try:
        import torch

        from vau.scoring.camera.heat import KIND
        from vau.scoring.camera.heat import SIGNALS as MAPS
        from vau.training.camera.efficient_ad import HeatSettings, NormalPictures, fit_efficient_ad, input_size
    except ModuleNotFoundError as error:
        raise MissingExtraError("Training EfficientAD", "scorers") from error
    settings = HeatSettings(seed=training.seed)
    first = footage[0].info
    size = input_size((first.width, first.height), settings.side)
    total = sum(item.info.duration_s for item in footage)
    videos = []
    for index, item in enumerate(footage):
        times, pictures = see_pictures(
            item,
            config,
            fps=training.fps,
            size=size,
            temporal=settings.temporal,
            keep=max(1, round(settings.most * item.info.duration_s / max(total, 1e-3))),
            progress=_part(tell, index, len(footage)),
        )
        videos.append(NormalPictures(item.path.stem, times, pictures))
    seconds = length_s([video.times_s for video in videos])
    check_length(seconds)
    camera, figures, curves = fit_efficient_ad(videos, settings, tell)
    alarms = alarm_figures([(times, fused(values)) for times, values in curves])
    arrays = {f"network.{name}": tensor.numpy() for name, tensor in camera.network.state_dict().items()}
    arrays |= {f"scale.{name}": np.array([camera.scales[name].low, camera.scales[name].high]) for name in MAPS}
    update = {
        "kind": KIND,
        "arguments": camera.network.arguments | {"smooth_s": camera.smooth_s},
        "parts": MAPS,
        "calibration": _calibration(alarms.frames, "which the card's figures are of, too"),
        "split": SplitInfo(
            rule="held-out frames set the quantiles and give the figures", training=len(videos), validation=len(curves)
        ),
        "metrics": (
            *_alarm_metrics(alarms, "held-out normal video, the same that set the level"),
            *(Metric(name=name, value=value, data="training") for name, value in figures.items()),
        ),
        "settings": asdict(training) | asdict(settings),
        "versions": {name: version(name) for name in ("vau", "numpy")} | {"torch": torch.__version__},
    }
    return update, arrays, seconds


def _part(tell: Progress, done: int, total: int) -> Callable[[float], None]:
    return lambda share: tell("watch", (done + share) / total)


def _split_info(kept: Sequence[NormalVideo], held: Sequence[NormalVideo]) -> SplitInfo:
    rule = "every fifth video or stretch is held out for the figures; the scorer itself then learns from all"
    return SplitInfo(rule=rule, training=len(kept), validation=len(held))


def _needed(signals: Sequence[str], config: Config) -> dict[str, Any]:
    """Returns the settings that later analysis must share, since these signals read what they change."""
    names: list[str] = []
    if "pose" in signals:
        names += ["detector", "pose", "min_confidence"]
    if "appearance" in signals:
        names += ["embedder", "clip_model", "clip_pretrained"]
    needed = {name: getattr(config.perception, name) for name in names}
    return needed | ({"sample_fps": config.video.sample_fps} if "pose" in signals else {})


def _calibration(frames: int, whose: str) -> Calibration:
    """Returns how the level of an event was set: by a quantile, where there are frames enough to have one."""
    rare = f"one in {_RARE}" if frames >= _RARE else "about the strangest"
    return Calibration(rule=f"0.5 is what one signal reaches in {rare} of {frames} held-out normal frames, {whose}")


def _limits(seconds: float) -> tuple[str, ...]:
    """Returns what must not be expected of a camera that learned from so many seconds."""
    if seconds >= ENOUGH_S:
        return _LIMITS
    short = (
        f"Learned from {seconds:.0f} s of video only: what is normal but was not seen scores high, and the figures "
        f"rest on a part of these seconds. Give {ENOUGH_S / 60:g} minutes or more."
    )
    return (short, *_LIMITS)


def _metrics(check: Check, count: int) -> tuple[Metric, ...]:
    data = f"{check.alarms.seconds:.1f} s of held-out normal video, videos or stretches"
    changed = (
        Metric(name=f"AUC of normal things changed: {name}", value=value, data=data, count=count)
        for name, value in check.found.items()
    )
    return (*_alarm_metrics(check.alarms, "held-out normal video"), *changed)


def _alarm_metrics(alarms: Alarms, whose: str) -> tuple[Metric, ...]:
    data = f"{alarms.seconds:.1f} s of {whose}, frames"
    share = Metric(name="share of normal frames at 0.5 or more", value=alarms.share, data=data, count=alarms.frames)
    if alarms.seconds <= 0:
        return (share,)
    hourly, most = alarms.hourly()
    name = "false alarms an hour at 0.5, from 0 to the upper 95 % bound (Poisson)"
    return (share, Metric(name=name, value=hourly, low=0.0, high=most, data=data, count=alarms.frames))
