"""Fits the density of one camera's normality: banks of normal examples, and scales of their held-out distances.

Distances to a bank that holds the very same frames are near 0, so scales come from groups of videos (or stretches of
one video) that were left out in turn. No abnormal example is used anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from vau.errors import InputError
from vau.perception.camera import Movers
from vau.scoring.camera.density import Density, Smoothing, frame_distances
from vau.scoring.camera.features import SIGNALS, mover_features, pose_features
from vau.scoring.camera.neighbours import NearestNormal, project
from vau.scoring.fusion import QuantileScale
from vau.types import Float32, Float64, Track

_LEAST = 50  # examples below which a signal is left out


@dataclass(frozen=True, eq=False)
class NormalVideo:
    """What was seen of one normal video, or of a stretch of it."""

    name: str
    movers: Movers
    tracks: tuple[Track, ...] = ()
    times_s: Float64 | None = None  # sampled times of the tracks


@dataclass(frozen=True)
class DensitySettings:
    """Parameters that control the fit."""

    signals: tuple[str, ...] = SIGNALS
    k: int = 5
    smoothing: Smoothing = field(default_factory=Smoothing)
    components: int = 128  # of the embeddings
    capacity: int = 20_000  # vectors a bank keeps
    looks: int = 4_000  # embeddings that the bank keeps
    folds: int = 5
    seed: int = 0


def fit_density(videos: Sequence[NormalVideo], settings: DensitySettings | None = None) -> Density:
    """Learns what is normal.

    Args:
        videos: normal footage of one camera.
        settings: parameters of the fit.

    Raises:
        InputError: no signal has enough examples.
    """
    settings = settings or DensitySettings()
    units = _stretches(videos, settings.folds)
    banks = fit_banks(units, settings)
    if not banks:
        raise InputError(f"fewer than {_LEAST} moving things were seen in {len(videos)} videos; give more footage")
    held: dict[str, list[Float64]] = {name: [] for name in banks}
    for fold in range(min(settings.folds, len(units))):
        others = [unit for index, unit in enumerate(units) if index % settings.folds != fold]
        partial = fit_banks(others, settings, tuple(banks)) if others else banks
        for unit in units[fold :: settings.folds]:
            values = frame_distances(partial, unit.movers, settings.smoothing, unit.tracks, unit.times_s)
            for column, name in enumerate(partial):
                held[name].append(values[:, column])
    scales = {name: QuantileScale.fit(np.concatenate(parts)) for name, parts in held.items() if parts}
    return Density({name: banks[name] for name in scales}, scales, settings.smoothing)


def fit_banks(
    videos: Sequence[NormalVideo], settings: DensitySettings, signals: Sequence[str] | None = None
) -> dict[str, NearestNormal]:
    """Builds the bank of each signal that has at least 50 examples."""
    generator = np.random.default_rng(settings.seed)
    columns: dict[str, list[Float32]] = {name: [] for name in signals or settings.signals}
    for video in videos:
        vectors: Mapping[str, Float32] = mover_features(video.movers)
        if "pose" in columns:
            times = np.zeros(1) if video.times_s is None else video.times_s
            vectors = {**vectors, "pose": pose_features(video.tracks, times)[0]}
        for name, parts in columns.items():
            parts.append(vectors[name][vectors[name].any(axis=1)])
    banks = {}
    for name, parts in columns.items():
        vectors_of = np.concatenate(parts) if len({part.shape[1] for part in parts}) == 1 else np.zeros((0, 0))
        if len(vectors_of) >= _LEAST and vectors_of.shape[1]:
            fit = _fit_cosine if name == "appearance" else _fit_scaled
            banks[name] = fit(vectors_of.astype(np.float32), settings, generator)
    return banks


def _fit_scaled(vectors: Float32, settings: DensitySettings, generator: np.random.Generator) -> NearestNormal:
    offset = np.zeros(vectors.shape[1], np.float32)
    matrix = np.diag(1 / np.maximum(vectors.std(axis=0), 1e-3)).astype(np.float32)
    bank = project(_drawn(vectors, settings.capacity, generator), offset, matrix, cosine=False)
    return NearestNormal(bank, offset, matrix, cosine=False, k=settings.k)


def _fit_cosine(vectors: Float32, settings: DensitySettings, generator: np.random.Generator) -> NearestNormal:
    sample = _drawn(vectors, settings.looks, generator)
    offset = sample.mean(axis=0)
    _, axes = np.linalg.eigh(np.cov(sample - offset, rowvar=False).astype(np.float64))  # variance ascends
    matrix = np.ascontiguousarray(axes[:, ::-1][:, : settings.components]).astype(np.float32)
    return NearestNormal(project(sample, offset, matrix, cosine=True), offset, matrix, cosine=True, k=settings.k)


def _drawn(vectors: Float32, count: int, generator: np.random.Generator) -> Float32:
    if len(vectors) <= count:
        return vectors
    return vectors[np.sort(generator.choice(len(vectors), count, replace=False))]


def _stretches(videos: Sequence[NormalVideo], folds: int) -> list[NormalVideo]:
    """Returns the videos, cut into stretches of equal time where they are fewer than two a fold."""
    pieces = -(-2 * folds // max(len(videos), 1))
    return list(videos) if pieces <= 1 else [part for video in videos for part in cut(video, pieces)]


def cut(video: NormalVideo, pieces: int) -> list[NormalVideo]:
    """Cuts a video into stretches of equal numbers of frames; poses stay with the first moments they belong to."""
    movers, parts = video.movers, []
    edges = np.linspace(0, len(movers.times_s), pieces + 1).astype(int)
    for index, (first, last) in enumerate(pairwise(edges)):
        if first == last:
            continue
        rows = (movers.frame >= first) & (movers.frame < last)
        part = Movers(
            movers.times_s[first:last],
            movers.frame[rows] - first,
            movers.boxes[rows],
            movers.motion[rows],
            movers.embeddings[rows],
            movers.frame_size,
        )
        parts.append(NormalVideo(f"{video.name}, part {index + 1}", part, *_within(video, part)))
    return parts


def _within(video: NormalVideo, part: Movers) -> tuple[tuple[Track, ...], Float64 | None]:
    if video.times_s is None:
        return (), None
    start, end = part.times_s[0], part.times_s[-1]
    tracks = []
    for track in video.tracks:
        rows = (track.times_s >= start) & (track.times_s <= end)
        if track.keypoints is not None and rows.any():
            tracks.append(
                Track(
                    track.track_id,
                    track.label,
                    track.confidence,
                    track.times_s[rows],
                    track.boxes[rows],
                    track.detected[rows],
                    track.flow[rows],
                    track.keypoints[rows],
                )
            )
    return tuple(tracks), video.times_s[(video.times_s >= start) & (video.times_s <= end)]
