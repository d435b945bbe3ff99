"""Reads the normal videos of a camera: what moved in them, and network pictures, in one decode pass each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vau.config import Config
from vau.errors import InputError
from vau.perception.camera import MoverMeter
from vau.perception.observe import Models, observe
from vau.scoring.camera.heat import TimeColour
from vau.training.camera.density import NormalVideo
from vau.types import Float64, UInt8, VideoInfo
from vau.video import FrameStream, open_stream, probe

Progress = Callable[[float], None]

LEAST_S = 10.0  # of normal video in all, below which training is refused
ENOUGH_S = 300.0  # below which the card warns


@dataclass(frozen=True)
class Footage:
    """One normal video that could be opened."""

    path: Path
    info: VideoInfo


def find_footage(paths: Sequence[Path], config: Config) -> tuple[list[Footage], list[str]]:
    """Opens videos and checks that one camera may have made them.

    Returns:
        The footage, and a line for each file that was given twice and is left out.

    Raises:
        InputError: there is none, or sizes of pictures differ.
        VideoError: a file is no video.
    """
    found: dict[str, Footage] = {}
    left_out = []
    for path in paths:
        info = probe(path, config.video)
        if info.sha256 in found:
            left_out.append(f"{path.name}: the same content as {found[info.sha256].path.name}")
            continue
        found[info.sha256] = Footage(path, info)
    sizes = {(item.info.width, item.info.height) for item in found.values()}
    if not found:
        raise InputError("no video to learn from; give one or more files of normal footage")
    if len(sizes) > 1:
        shown = ", ".join(f"{width} x {height}" for width, height in sorted(sizes))
        raise InputError(
            f"pictures of one camera have one size, but these videos have {shown}; train each camera alone"
        )
    return list(found.values()), left_out


def length_s(times: Sequence[Float64]) -> float:
    """Returns the seconds of video between the first and the last frame (N,) of each stretch, in all."""
    return sum(float(moments[-1] - moments[0]) for moments in times if len(moments))


def check_length(seconds: float) -> None:
    """Raises InputError where there is hardly any footage: nothing can be told of what is usual."""
    if seconds < LEAST_S:
        raise InputError(
            f"{seconds:.1f} s of normal video are too little to learn from; give {LEAST_S:g} s at the very least, "
            f"{ENOUGH_S / 60:g} minutes or more for figures that say something"
        )


def frames_of(item: Footage, config: Config, fps: float) -> FrameStream:
    """Opens the decode pass over one video."""
    return open_stream(item.path, config.video, fps=fps, max_side=config.video.max_side, info=item.info)


def see_movers(
    item: Footage,
    config: Config,
    models: Models,
    *,
    fps: float,
    look_every: int,
    pose: bool,
    progress: Progress,
) -> NormalVideo:
    """Watches one video for moving things.

    Args:
        item: the video.
        config: decoding.
        models: perception's models.
        fps: frames a second that are looked at.
        look_every: the look of things is taken in every so many frames; 0 for never.
        pose: whether the whole of perception looks at the video too, which gives poses.
        progress: called with the share that is done.
    """
    meter = MoverMeter((item.info.width, item.info.height), models.embedder if look_every else None, max(look_every, 1))
    stream = frames_of(item, config, fps)
    length = max(item.info.duration_s, 1e-3)
    if pose:
        seen = observe(
            meter.watch(stream),
            item.info,
            models,
            sample_fps=config.video.sample_fps,
            progress=lambda time_s: progress(time_s / length),
        )
        return NormalVideo(item.path.stem, meter.take(), seen.tracks, seen.times_s)
    for batch in meter.watch(stream):
        progress(float(batch.times_s[-1]) / length)
    return NormalVideo(item.path.stem, meter.take())


def see_pictures(
    item: Footage,
    config: Config,
    *,
    fps: float,
    size: tuple[int, int],
    temporal: bool,
    keep: int,
    progress: Progress,
) -> tuple[np.ndarray, UInt8]:
    """Returns times (N,) and network pictures (N, h, w, 3) of one video, evenly thinned to at most about `keep`."""
    colour = TimeColour(*size, temporal=temporal)
    every = max(1, round(item.info.duration_s * fps / max(keep, 1)))
    times: list[float] = []
    pictures: list[UInt8] = []
    count = 0
    for batch in frames_of(item, config, fps):
        for image, time_s in zip(batch.images, batch.times_s, strict=True):
            picture = colour.picture(image, float(time_s))
            if count % every == 0:
                times.append(float(time_s))
                pictures.append(picture)
            count += 1
        progress(float(batch.times_s[-1]) / max(item.info.duration_s, 1e-3))
    return np.array(times), np.stack(pictures)
