"""The fixed-camera scorer by EfficientAD: heat maps of what a student network cannot copy (needs torch).

Two signals, the networks' two maps: "texture", where the student fails on the teacher's local description, and
"layout", where the autoencoder of whole frames fails on the student. Ours: time as colour, three successive moments
in grey as the three channels, so that fast things carry wide fringes; the strongest blurred pixel of a map is the
frame's value, brought to one scale by the quantiles of held-out frames, as all signals of a camera are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from vau.errors import CheckpointError, MissingExtraError
from vau.perception.models import Embedder
from vau.scoring.camera.watch import Regions, check_size, size_of, track_of, unwatched
from vau.scoring.card import Card
from vau.scoring.fusion import QuantileScale
from vau.scoring.postprocess import smooth
from vau.types import Float32, Float64, FrameBatch, Observations, Relation, ScoreTrack, UInt8, VideoInfo

KIND = "camera-efficient-ad"
NAME = "camera EfficientAD 1"
SIGNALS = ("texture", "layout")
SMOOTH_S = 0.4
_LAG_S = 0.1  # between the moments that become colours
_BLUR = 3  # pixels of a map over which its values are averaged
_MOST = 16  # regions a frame


class TimeColour:
    """Turns frames into network inputs (3, height, width), about zero mean and unit deviation."""

    def __init__(self, height: int, width: int, *, temporal: bool) -> None:
        """Fixes the size; `temporal` takes three moments in grey as colours, else the frame's own colours."""
        self._size = (width, height)
        self._temporal = temporal
        self._past: deque[tuple[float, UInt8]] = deque(maxlen=16)

    def picture(self, image: UInt8, time_s: float) -> UInt8:
        """Returns the picture (height, width, 3) of one frame (H, W, 3), the newest moment in the last channel."""
        small: UInt8 = cv2.resize(image, self._size, interpolation=cv2.INTER_AREA)
        if not self._temporal:
            return small
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        self._past.append((time_s, grey))
        moments = [min(self._past, key=lambda item: abs(item[0] - time_s + lag * _LAG_S))[1] for lag in (2, 1)]
        return np.stack([*moments, grey], axis=-1)


def as_input(picture: UInt8) -> Float32:
    """Returns a picture (h, w, 3) as network input (3, h, w)."""
    return ((picture.astype(np.float32) - 110.0) / 60.0).transpose(2, 0, 1)


class HeatCamera:
    """A trained camera, for any number of its videos."""

    name = NAME

    def __init__(
        self,
        network: Any,
        scales: Mapping[str, QuantileScale],
        *,
        smooth_s: float = SMOOTH_S,
        frame_size: tuple[int, int] | None = None,
    ) -> None:
        """Takes an `EfficientAd` network, the scales of its frame values, and the videos' size (None takes any)."""
        self.network = network.eval()
        self.scales = scales
        self.smooth_s = smooth_s
        self._size = frame_size

    def watch(self, info: VideoInfo, embedder: Embedder | None = None) -> HeatWatch:
        """Starts on a video; raises CheckpointError where its pictures have another size than in training."""
        check_size(self._size, info)
        return HeatWatch(self, (info.width, info.height))

    def score(self, observations: Observations, relations: Sequence[Relation] = ()) -> ScoreTrack:
        """Raises ScoreError: see `watch`."""
        raise unwatched()


class HeatWatch:
    """One video before a trained camera; see `vau.scoring.camera.watch.Watch`."""

    name = NAME
    signals = SIGNALS

    def __init__(self, camera: HeatCamera, frame_size: tuple[int, int]) -> None:
        """Takes the camera and the size of the source video in pixels."""
        arguments = camera.network.arguments
        self._camera = camera
        self._frame_size = frame_size
        self._colour = TimeColour(arguments["height"], arguments["width"], temporal=arguments["temporal"])
        self._times: list[float] = []
        self._raw: list[Float32] = []
        self._found: list[tuple[int, Float32, Float32]] = []

    def see(self, frames: Iterable[FrameBatch]) -> Iterator[FrameBatch]:
        """Yields batches unchanged and looks at them on the way."""
        for batch in frames:
            for image, time_s in zip(batch.images, batch.times_s, strict=True):
                self.push(image, float(time_s))
            yield batch

    def push(self, image: UInt8, time_s: float) -> Float32:
        """Looks at one frame (H, W, 3) and returns its heat maps (2, h/4, w/4), one a signal."""
        maps = heat_maps(self._camera.network, self._colour.picture(image, time_s))
        row = len(self._times)
        self._times.append(time_s)
        self._raw.append(maps.reshape(len(SIGNALS), -1).max(axis=1))
        scale = np.array([self._frame_size[0] / maps.shape[2], self._frame_size[1] / maps.shape[1]] * 2, np.float32)
        lows = np.array([self._camera.scales[name].low for name in SIGNALS])
        self._found += [(row, box * scale, values) for box, values in hot_regions(maps, lows)]
        return maps

    def raw(self) -> tuple[Float64, Float64]:
        """Returns times (N,) and the maps' largest values (N, 2), smoothed, before any scale."""
        times_s, raw = np.array(self._times), np.array(self._raw, np.float64).reshape(-1, len(SIGNALS))
        return times_s, smooth(raw, times_s, self._camera.smooth_s) if len(raw) else raw

    def values(self, observations: Observations | None = None) -> tuple[Float64, Float64]:
        """Returns times (N,) and scaled values (N, 2)."""
        times_s, raw = self.raw()
        return times_s, self._scaled(raw)

    def regions(self) -> Regions:
        """Returns the hot parts of all maps."""
        return Regions(
            np.array(self._times),
            np.array([row for row, _, _ in self._found], np.int64),
            np.array([box for _, box, _ in self._found], np.float32).reshape(-1, 4),
            self._scaled(np.array([values for _, _, values in self._found], np.float64).reshape(-1, len(SIGNALS))),
        )

    def score(self, observations: Observations, relations: Sequence[Relation] = ()) -> ScoreTrack:
        """Scores the sampled frames; raises ScoreError where no frame has passed."""
        times_s, values = self.values()
        return track_of(self.name, self.signals, times_s, values, observations.times_s)

    def _scaled(self, raw: Float64) -> Float64:
        return np.stack([self._camera.scales[name].apply(raw[:, i]) for i, name in enumerate(SIGNALS)], axis=1)


def heat_maps(network: Any, picture: UInt8) -> Float32:
    """Returns the blurred anomaly maps (2, h/4, w/4) of one picture (h, w, 3)."""
    import torch

    with torch.inference_mode():
        maps: Float32 = network(torch.from_numpy(as_input(picture))[None])[0].numpy()
    return np.stack([cv2.blur(item, (_BLUR, _BLUR)) for item in maps])


def hot_regions(maps: Float32, lows: Float64) -> list[tuple[Float32, Float32]]:
    """Returns boxes (4,) in map pixels and largest values (2,) of connected parts in which a map exceeds its `lows`."""
    hot = (maps > lows[:, None, None]).any(axis=0).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(hot, connectivity=8)
    found = []
    for index in range(1, count):
        left, top, width, height, _ = (int(value) for value in stats[index])
        inside = labels[top : top + height, left : left + width] == index
        values = maps[:, top : top + height, left : left + width][:, inside].max(axis=1)
        found.append((np.array([left, top, left + width, top + height], np.float32), values))
    found.sort(key=lambda item: -float(item[1].max()))
    return found[:_MOST]


def heat_camera(card: Card, arrays: dict[str, np.ndarray]) -> HeatCamera:
    """Builds the scorer from a checkpoint.

    Raises:
        CheckpointError: arrays are missing or do not fit.
        MissingExtraError: torch is not installed.
    """
    try:
        import torch

        from vau.scoring.heads.efficient_ad import EfficientAd
    except ModuleNotFoundError as error:
        raise MissingExtraError("A camera's EfficientAD scorer", "scorers") from error
    try:
        arguments = dict(card.arguments)
        smooth_s = float(arguments.pop("smooth_s"))
        if not 0 < smooth_s < 60 or not 0 < int(arguments["height"]) * int(arguments["width"]) <= 2**22:
            raise ValueError(f"size or smooth_s out of range: {card.arguments!r}")
        frame_size = size_of(card)
        network = EfficientAd(**arguments)
        scales = {name: QuantileScale(*arrays[f"scale.{name}"].tolist()) for name in SIGNALS}
        network.load_state_dict(
            {
                name.removeprefix("network."): torch.from_numpy(np.array(array))
                for name, array in arrays.items()
                if name.startswith("network.")
            }
        )
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"the checkpoint of a fixed camera is damaged: {str(error)[:200]}; train again"
        ) from error
    return HeatCamera(network, scales, smooth_s=smooth_s, frame_size=frame_size)
