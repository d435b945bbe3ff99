"""Frames of records for prompts: chosen evenly or by CAES, scaled to a budget of pixels, and kept on disk.

A file's name comes from the video and from all that changes its frames, so that other settings never mix; a torn file
is made anew. The budget is enforced here and not in a processor's settings, which differ from family to family.
CAES (see `vau.sampling.caes`) needs a report of the video: it never sees the truth.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load, save

from vau.config import SamplingConfig, VideoConfig
from vau.errors import InputError
from vau.files import replace_file
from vau.jpeg import encode
from vau.report.document import read_json
from vau.sampling.caes import caes, overview
from vau.training.data import simulated
from vau.training.data.records import Record
from vau.types import Report
from vau.video import read_at

VERSION = 1
PATCH = 28  # pixels of the side of a token of Qwen's models
_QUALITY = 92
_MAX_FILE = 512 * 2**20
_ASPECT = 3 / 2  # of simulated scenes
Sampler = Literal["uniform", "caes"]


@dataclass(frozen=True)
class FrameSettings:
    """Parameters that control which frames are shown and how large: `max_pixels` of each, `total_pixels` of all."""

    count: int = 8
    sampler: Sampler = "uniform"
    max_pixels: int = 128 * PATCH**2
    total_pixels: int | None = None

    @property
    def pixels(self) -> int:
        """Most pixels that a frame may have."""
        share = self.max_pixels if self.total_pixels is None else self.total_pixels // self.count
        return max(min(self.max_pixels, share), PATCH**2)


class FrameStore:
    """A folder of chosen frames, one file a video and choice."""

    def __init__(self, folder: Path, settings: FrameSettings, video: VideoConfig | None = None) -> None:
        """Takes the folder, made where it is missing, and how frames are chosen."""
        self.settings = settings
        self._folder, self._video = Path(folder), video or VideoConfig()
        self._folder.mkdir(parents=True, exist_ok=True)

    def get(self, record: Record, until_s: float | None = None) -> tuple[list[Image.Image], list[float]]:
        """Returns the frames of a video with their times, from the folder where they are there.

        Args:
            record: names the video.
            until_s: show only what comes before; frames are then chosen evenly.

        Raises:
            VideoError: the video cannot be read.
            InputError: CAES is wanted and there is no report.
        """
        file = self._folder / f"{self._key(record, until_s)}.safetensors"
        known = _read(file)
        if known is None:
            jpegs, times = self._make(record, until_s)
            arrays = {str(number): np.frombuffer(jpeg, np.uint8) for number, jpeg in enumerate(jpegs)}
            replace_file(file, save(arrays | {"times_s": np.array(times)}))
            known = jpegs, times
        jpegs, times = known
        return [Image.open(io.BytesIO(jpeg)).convert("RGB") for jpeg in jpegs], times

    def _key(self, record: Record, until_s: float | None) -> str:
        told: list[object] = [VERSION, record.video, record.duration_s, until_s, vars(self.settings)]
        for name in (record.video, record.report if self.settings.sampler == "caes" else ""):
            if name and not simulated.is_simulated(name):
                try:
                    status = Path(name).stat()
                except OSError as error:
                    raise InputError(f"{name}: {error.strerror}") from error
                told += [name, status.st_size, status.st_mtime_ns]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]

    def _make(self, record: Record, until_s: float | None) -> tuple[list[bytes], list[float]]:
        wanted = self._times(record, until_s)
        pixels = self.settings.pixels
        if simulated.is_simulated(record.video):
            height = max(PATCH, int(math.sqrt(pixels / _ASPECT)) // PATCH * PATCH)
            width = max(PATCH, min(round(height * _ASPECT), pixels // height))
            images, times = simulated.frames(record.video, wanted, (width, height))
        else:
            batch = read_at(Path(record.video), wanted, self._video, max_side=self._video.max_side)
            images, times = batch.images, batch.times_s.tolist()
        return [_jpeg(image, pixels) for image in images], times

    def _times(self, record: Record, until_s: float | None) -> list[float]:
        count = self.settings.count
        end_s = record.duration_s if until_s is None else until_s
        if self.settings.sampler == "uniform" or until_s is not None:
            return [(number + 0.5) / count * end_s for number in range(count)]
        return keyframe_times(load_report(record.report), count)


def load_report(name: str) -> Report:
    """Returns a report by the name that a record gives it: a file, or a simulated scene.

    Raises:
        InputError: there is none; ReportError where the file is none.
    """
    if not name:
        raise InputError("the record names no report; make one with vau analyze VIDEO, or sample uniformly")
    return simulated.report_of(name) if simulated.is_simulated(name) else read_json(Path(name))


def keyframe_times(report: Report, count: int) -> list[float]:
    """Returns the times of at most `count` keyframes: of the strongest events by CAES, and of the rest of the video."""
    strongest = sorted(report.events, key=lambda event: -event.score)[: max(1, count // 4)]
    events = tuple(sorted(strongest, key=lambda event: event.start_s))
    if not events:
        return [item.time_s for item in overview(report.scores.times_s, report.scores.scores, count)]
    config = SamplingConfig(keyframes=min(max(1, count // len(events)), 64))
    found = {item.time_s for item in caes(report.scores, events, config, report.changes)}
    even = report.scores.times_s[np.linspace(0, len(report.scores) - 1, count + 2).round().astype(int)].tolist()
    # What the events leave free shows the rest of the video, farthest from what is shown first.
    while len(found) < count and set(even) - found:
        found.add(max(set(even) - found, key=lambda time_s: (min(abs(time_s - other) for other in found), -time_s)))
    return sorted(found)[:count]


def _jpeg(image: np.ndarray, pixels: int) -> bytes:
    picture = Image.fromarray(image)
    scale = math.sqrt(pixels / (picture.width * picture.height))
    if scale < 1:
        size = (max(PATCH, int(picture.width * scale)), max(PATCH, int(picture.height * scale)))
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    return encode(picture, _QUALITY)


def _read(file: Path) -> tuple[list[bytes], list[float]] | None:
    """Returns what a file holds; None where it is missing or torn."""
    if not file.is_file() or file.stat().st_size > _MAX_FILE:
        return None
    try:
        arrays = load(file.read_bytes())
        times = arrays.pop("times_s").astype(np.float64)
    except (SafetensorError, KeyError, ValueError):
        return None
    jpegs = [arrays[key].astype(np.uint8).tobytes() for key in sorted(arrays, key=lambda key: key.zfill(6))]
    if len(jpegs) != len(times) or not jpegs or not np.isfinite(times).all():
        return None
    return jpegs, times.tolist()
