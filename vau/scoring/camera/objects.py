"""The fixed-camera scorer by nearest normal examples of moving things: needs no torch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from vau.errors import CheckpointError
from vau.perception.camera import MoverMeter, Movers
from vau.perception.models import Embedder
from vau.scoring.camera.density import Density, Smoothing
from vau.scoring.camera.features import SIGNALS
from vau.scoring.camera.neighbours import NearestNormal
from vau.scoring.camera.watch import Regions, check_size, size_of, track_of, unwatched
from vau.scoring.card import Card
from vau.scoring.fusion import QuantileScale
from vau.types import Float64, FrameBatch, Observations, Relation, ScoreTrack, VideoInfo

KIND = "camera-density"
NAME = "camera density 1"


class DensityCamera:
    """A trained camera, for any number of its videos."""

    name = NAME

    def __init__(
        self,
        density: Density,
        *,
        embedder: str = "",
        look_every: int = 2,
        frame_size: tuple[int, int] | None = None,
    ) -> None:
        """Takes what was learned.

        Args:
            density: banks and scales.
            embedder: name of the embedder behind the appearance bank, if there is one.
            look_every: the look of things is taken in every so many frames.
            frame_size: width and height of the videos that it learned from; None takes any.
        """
        self.density = density
        self._embedder = embedder
        self._look_every = look_every
        self._frame_size = frame_size

    def watch(self, info: VideoInfo, embedder: Embedder | None = None) -> DensityWatch:
        """Starts on a video; raises CheckpointError where it, or the embedder, is not as in training."""
        check_size(self._frame_size, info)
        wanted = "appearance" in self.density.signals
        found = None if embedder is None else embedder.name
        if wanted and found != self._embedder:
            raise CheckpointError(
                f"this camera was trained with the embedder {self._embedder!r}, but {found!r} looks at the frames; set "
                "perception.embedder as in training, or train again"
            )
        meter = MoverMeter((info.width, info.height), embedder if wanted else None, self._look_every)
        return DensityWatch(self.density, meter)

    def score(self, observations: Observations, relations: Sequence[Relation] = ()) -> ScoreTrack:
        """Raises ScoreError: see `watch`."""
        raise unwatched()


class DensityWatch:
    """One video before a trained camera; see `vau.scoring.camera.watch.Watch`."""

    name = NAME

    def __init__(self, density: Density, meter: MoverMeter) -> None:
        """Takes what was learned and the meter of this video."""
        self._density = density
        self._meter = meter
        self._movers: Movers | None = None

    @property
    def signals(self) -> tuple[str, ...]:
        """Names of the K signals."""
        return self._density.signals

    @property
    def movers(self) -> Movers:
        """What moved in all frames that passed."""
        if self._movers is None or len(self._movers.times_s) != self._meter.frames:
            self._movers = self._meter.take()
        return self._movers

    def see(self, frames: Iterable[FrameBatch]) -> Iterator[FrameBatch]:
        """Yields batches unchanged and looks at them on the way."""
        return self._meter.watch(frames)

    def values(self, observations: Observations | None = None) -> tuple[Float64, Float64]:
        """Returns times (N,) and scaled values (N, K); poses count where observations are given."""
        tracks, sampled = ((), None) if observations is None else (observations.tracks, observations.times_s)
        return self.movers.times_s, self._density.frames(self.movers, tracks, sampled)

    def regions(self) -> Regions:
        """Returns all moving regions with their scaled values."""
        movers = self.movers
        return Regions(movers.times_s, movers.frame, movers.boxes, self._density.regions(movers))

    def score(self, observations: Observations, relations: Sequence[Relation] = ()) -> ScoreTrack:
        """Scores the sampled frames; raises ScoreError where no frame has passed."""
        times_s, values = self.values(observations)
        return track_of(self.name, self.signals, times_s, values, observations.times_s)


def density_arrays(density: Density) -> dict[str, np.ndarray]:
    """Returns the arrays of a checkpoint; what else it needs is in `density_arguments`."""
    arrays: dict[str, np.ndarray] = {}
    for name, bank in density.banks.items():
        arrays |= {f"{name}.bank": bank.bank, f"{name}.offset": bank.offset, f"{name}.matrix": bank.matrix}
        arrays[f"{name}.scale"] = np.array([density.scales[name].low, density.scales[name].high])
    return arrays


def density_arguments(density: Density, look_every: int) -> dict[str, object]:
    """Returns the plain values of a checkpoint's card."""
    smoothing = density.smoothing
    return {
        "signals": list(density.signals),
        "k": max(bank.k for bank in density.banks.values()),
        "way_s": smoothing.way_s,
        "frame_s": smoothing.frame_s,
        "causal": smoothing.causal,
        "look_every": look_every,
    }


def density_camera(card: Card, arrays: dict[str, np.ndarray]) -> DensityCamera:
    """Builds the scorer from a checkpoint; raises CheckpointError where arrays are missing or do not fit."""
    arguments = card.arguments
    try:
        signals = tuple(arguments["signals"])
        if not signals or len(set(signals)) != len(signals) or not set(signals) <= set(SIGNALS):
            raise ValueError(f"signals {signals!r}")
        banks, scales = {}, {}
        for name in signals:
            bank, offset, matrix = (
                arrays[f"{name}.{part}"].astype(np.float32) for part in ("bank", "offset", "matrix")
            )
            banks[name] = NearestNormal(bank, offset, matrix, cosine=name == "appearance", k=int(arguments["k"]))
            low, high = arrays[f"{name}.scale"].tolist()
            scales[name] = QuantileScale(low, high)
        smoothing = Smoothing(float(arguments["way_s"]), float(arguments["frame_s"]), bool(arguments["causal"]))
        look_every = int(arguments["look_every"])
        frame_size = size_of(card)
        if not (smoothing.way_s > 0 and smoothing.frame_s > 0 and look_every >= 1):
            raise ValueError(f"way_s, frame_s and look_every must be positive, got {smoothing!r}, {look_every!r}")
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CheckpointError(f"the checkpoint of a fixed camera is damaged: {error}; train it again") from error
    return DensityCamera(
        Density(banks, scales, smoothing), embedder=card.embedder, look_every=look_every, frame_size=frame_size
    )
