"""Features of videos on disk: each video is looked at once, and what was seen is kept under its content and settings.

A file's name is made from the SHA-256 of the video and a digest of all that changes the features, so that a renamed
video is found again and other settings never mix. A run that was cut off goes on where it stopped; torn files are made
anew; a video that cannot be read is reported and left out. All parts are kept, so that another recipe costs nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from vau.config import Config
from vau.errors import CheckpointError, PerceptionError, ScoreError, VideoError
from vau.files import replace_file
from vau.perception.observe import Models, load_models, observe
from vau.relations.extract import extract_relations
from vau.scoring.checkpoint import make_writable, read_arrays
from vau.scoring.features import PARTS, VERSION, frame_parts
from vau.training.scorer.dataset import Item
from vau.types import Float32, Float64
from vau.video import open_stream, probe

Progress = Callable[[str, float], None]  # what is being done, share done
MAX_FILE_BYTES = 2**31
_LEFT_OUT = {"video": {"reader", "threads"}, "perception": {"threads"}}  # settings that do not change features


@dataclass(frozen=True, eq=False)
class Seen:
    """What is kept of one video."""

    item: Item
    sha256: str
    times_s: Float64  # (N,)
    parts: dict[str, Float32]  # (N, K) by part
    duration_s: float


class FeatureStore:
    """A folder of features, one file a video."""

    def __init__(self, folder: Path, config: Config, models: Models | None = None) -> None:
        """Takes the folder and what the features are made with.

        Args:
            folder: made where it is missing.
            config: sections `video` and `perception` count.
            models: loaded models; they are loaded from `config` when the first video needs them otherwise.
        """
        self._folder, self._config, self._models = Path(folder), config, models
        self.skipped: list[str] = []  # videos that could not be used, and why

    @property
    def models(self) -> Models:
        """The models that look at the videos."""
        if self._models is None:
            self._models = load_models(self._config.perception)
        return self._models

    @property
    def settings(self) -> dict[str, Any]:
        """All settings that change the features."""
        sections = {name: getattr(self._config, name).model_dump() for name in _LEFT_OUT}
        return {
            key: value
            for name, unused in _LEFT_OUT.items()
            for key, value in sections[name].items()
            if key not in unused
        }

    def digest(self) -> str:
        """Returns what tells these features from others: of the settings, the models and the columns' version."""
        told = json.dumps([self.settings, self.models.names, VERSION], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def load(self, items: Iterable[Item], progress: Progress | None = None) -> list[Seen]:
        """Returns what is kept of the videos, looking at those that are new; unusable ones go to `skipped`.

        Raises:
            InputError: the folder cannot be written.
            WeightsError: packaged weights are missing; MissingExtraError: a chosen model's extra is.
        """
        wanted = list(items)
        make_writable(self._folder)
        found = []
        for number, item in enumerate(wanted):
            if progress is not None:
                progress("features", number / len(wanted))
            try:
                found.append(self._one(item))
            except (VideoError, PerceptionError, ScoreError) as error:
                self.skipped.append(f"{item.video}: {error}")
        if progress is not None:
            progress("features", 1.0)
        return found

    def _one(self, item: Item) -> Seen:
        info = probe(item.path, self._config.video)
        file = self._folder / f"{info.sha256}-{self.digest()}.safetensors"
        kept = _read(file)
        if kept is None:
            kept = self._look(item)
            replace_file(file, save(kept))
        parts = {part: kept[part] for part in PARTS}
        return Seen(item, info.sha256, kept["times_s"], parts, float(kept["duration_s"][0]))

    def _look(self, item: Item) -> dict[str, np.ndarray]:
        video = self._config.video
        info = probe(item.path, video)
        frames = open_stream(item.path, video, fps=video.motion_fps, max_side=video.max_side, info=info)
        seen = observe(frames, info, self.models, sample_fps=video.sample_fps)
        seen = replace(seen, duration_s=frames.info.duration_s)
        if not len(seen):
            raise VideoError("no frame could be sampled")
        parts = frame_parts(seen, PARTS, extract_relations(seen))
        kept = {"times_s": seen.times_s, "duration_s": np.array([seen.duration_s]), **parts}
        return {name: np.array(values, order="C") for name, values in kept.items()}


def _read(file: Path) -> dict[str, np.ndarray] | None:
    """Returns the arrays of a file, None where it is missing, torn or of another make."""
    try:
        if not file.is_file() or file.stat().st_size > MAX_FILE_BYTES:
            return None
        arrays = read_arrays(file)
    except (CheckpointError, OSError):
        return None
    if set(arrays) != {"times_s", "duration_s", *PARTS} or arrays["times_s"].ndim != 1:
        return None
    rows = len(arrays["times_s"])
    whole = rows and all(arrays[part].ndim == 2 and len(arrays[part]) == rows for part in PARTS)
    return arrays if whole and arrays["duration_s"].shape == (1,) else None
