"""Snippet features for scorers that learn: named parts of what perception saw, one row a sampled frame.

Every part but the embedding is the same whatever the embedder is, does not change when the picture is mirrored, and is
made of ratios and logarithms, so that near and far cameras compare. Features of different embedders are not
interchangeable; `vau.scoring.learned` refuses them. The columns and the window are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from vau.errors import InputError
from vau.perception.motion import turbulence
from vau.scoring import signals
from vau.scoring.people import PEOPLE, people_columns
from vau.types import Float32, Float64, Observations, Relation

PARTS = ("embedding", "motion", "signals", "pose")
VERSION = 1  # of the columns; a checkpoint of another version is refused
STATISTICS = ("mean", "low", "high", "spread")  # of a window: mean, 10 and 90 percent, standard deviation
MOTION = (
    "turbulence",
    "incoherence share",
    "incoherence",
    "speed of the fastest place",
    "speed of the fastest parts",
    "speed",
    "moving share",
    "spread of directions",
    "picture difference",
    "opposing directions",
    "change of directions",
    "spread of places",
    "change of places",
    "wandering of the most disordered place",
    "change of speed",
    "change of the highest speed",
    "camera speed",
)
SIGNAL_COLUMNS = (*signals.SIGNALS, "strongest", "violence in a moving camera")
_CHUNK = 4096  # windows at a time, so that memory stays flat
_TINY = 1e-6


def frame_parts(
    observations: Observations, parts: Sequence[str] = PARTS, relations: Sequence[Relation] = ()
) -> dict[str, Float32]:
    """Returns the columns of each part, one row a sampled frame.

    Args:
        observations: what perception saw, N sampled frames.
        parts: names out of `PARTS`.
        relations: relations of its tracks, which one of the signals reads.

    Returns:
        float32 (N, K) by part, all finite, in the order of `parts`.

    Raises:
        InputError: a part is unknown.
    """
    makers: dict[str, Callable[[], Float32]] = {
        "embedding": lambda: observations.embeddings,
        "motion": lambda: motion_columns(observations),
        "signals": lambda: signal_columns(observations, relations),
        "pose": lambda: people_columns(observations),
    }
    unknown = [part for part in parts if part not in makers]
    if unknown or not parts:
        raise InputError(f"feature parts {', '.join(unknown) or '(none)'}: choose from {', '.join(PARTS)}")
    return {part: np.asarray(makers[part](), np.float32) for part in parts}


def snippet_features(
    observations: Observations,
    parts: Sequence[str],
    *,
    relations: Sequence[Relation] = (),
    window_s: float = 0.0,
) -> Float32:
    """Returns the features (N, D) of every sampled frame, the parts side by side.

    Args:
        observations: what perception saw, N sampled frames.
        parts: names out of `PARTS`.
        relations: relations of its tracks.
        window_s: length of the window that each row describes by the four `STATISTICS` of each column; 0 takes the
            frames' own values. Embeddings are averaged over the window only.

    Raises:
        InputError: a part is unknown.
    """
    columns = frame_parts(observations, parts, relations)
    return join(columns, observations.times_s, window_s)


def join(columns: dict[str, Float32], times_s: Float64, window_s: float = 0.0) -> Float32:
    """Returns the parts of `frame_parts` side by side, described by windows as `snippet_features` says."""
    return np.concatenate([windowed(name, values, times_s, window_s) for name, values in columns.items()], axis=1)


def width(part: str, dim: int, window_s: float) -> int:
    """Returns how many features a part gives; `dim` is that of the embedder."""
    columns = {"embedding": dim, "motion": len(MOTION), "signals": len(SIGNAL_COLUMNS), "pose": len(PEOPLE)}[part]
    return columns if part == "embedding" or window_s <= 0 else columns * len(STATISTICS)


def windowed(part: str, values: Float32, times_s: Float64, window_s: float) -> Float32:
    """Describes each row of (N, K) by the window around it; windows at the ends are moved inside.

    The first row is in no window, unless it is alone: it has no motion of its own.
    """
    count = len(values)
    if window_s <= 0:
        return values
    if not count:
        return np.zeros((0, width(part, values.shape[1], window_s)), np.float32)
    first = min(1, count - 1)
    rows = min(window_rows(times_s, window_s), count - first)
    start = np.clip(np.arange(count) - rows // 2 - first, 0, count - first - rows)
    windows = sliding_window_view(values[first:], rows, axis=0)  # (N - first - rows + 1, K, rows)
    described = [
        _describe(windows[at : at + _CHUNK], mean_only=part == "embedding") for at in range(0, len(windows), _CHUNK)
    ]
    return np.concatenate(described)[start]


def window_rows(times_s: Float64, window_s: float) -> int:
    """Returns how many sampled frames fit a window, from 1 to all of them."""
    if len(times_s) < 2:
        return 1
    return int(np.clip(round(window_s / float(np.median(np.diff(times_s)))), 1, len(times_s)))


def _describe(windows: Float32, *, mean_only: bool) -> Float32:
    mean: Float32 = windows.mean(axis=-1, dtype=np.float32)
    if mean_only:
        return mean
    low, high = np.quantile(windows, [0.1, 0.9], axis=-1)
    return np.concatenate([mean, low, high, windows.std(axis=-1)], axis=1).astype(np.float32)


def motion_columns(observations: Observations) -> Float32:
    """Returns the columns `MOTION` (N, 17) of the optical flow.

    The first frame has no flow of its own and takes that of the second.
    """
    count = len(observations)
    if not count:
        return np.zeros((0, len(MOTION)), np.float32)
    channels = {
        name: observations.channel(name).astype(np.float64)
        for name in (
            "incoherence_max",
            "speed_block_max",
            "speed_p95",
            "speed_mean",
            "moving_fraction",
            "direction_entropy",
            "frame_difference",
            "camera_speed",
        )
    }
    fastest, mean = np.log(channels["speed_block_max"] + 0.05), np.log(channels["speed_mean"] + 0.01)
    directions, places = _shares(observations, "direction_0", 8), _shares(observations, "cell_0", 24)
    place = np.stack([observations.channel("incoherence_x"), observations.channel("incoherence_y")], 1)
    found = np.stack(
        [
            turbulence(observations),
            channels["incoherence_max"] / (channels["speed_block_max"] + 0.2),
            np.log(channels["incoherence_max"] + 0.02),
            fastest,
            np.log(channels["speed_p95"] + 0.02),
            mean,
            channels["moving_fraction"],
            channels["direction_entropy"],
            np.log(channels["frame_difference"] + 0.003),
            2 * np.minimum(directions[:, :4], directions[:, 4:]).sum(1),
            np.abs(_steps(directions)).sum(1) / 2,
            -(places * np.log(places + _TINY)).sum(1) / np.log(places.shape[1]),
            _turn(places),
            np.hypot(*_steps(place.astype(np.float64)).T),
            _slope(mean),
            _slope(fastest),
            np.log(channels["camera_speed"] + 0.01),
        ],
        axis=1,
    )
    return _without_first(found)


def signal_columns(observations: Observations, relations: Sequence[Relation] = ()) -> Float32:
    """Returns `SIGNAL_COLUMNS` (N, 8): the shares of the training-free signals, their fusion, violent motion by itself.

    Raises:
        ScoreError: a signal came out as NaN.
    """
    from vau.scoring.training_free import score  # it imports the command's configuration, which features do not need

    track = score(observations, relations)
    alone = signals.violent_motion(observations, 1.0)
    return _without_first(np.column_stack([track.contributions, track.scores, alone]))


def _without_first(columns: Float64) -> Float32:
    """The first row has no motion, since nothing came before it: the second stands in for it."""
    found = columns.astype(np.float32)
    if len(found) > 1:
        found[0] = found[1]
    return found


def _shares(observations: Observations, first: str, count: int) -> Float64:
    at = observations.motion_channels.index(first)
    values = observations.motion[:, at : at + count].astype(np.float64)
    shares: Float64 = values / (values.sum(1, keepdims=True) + _TINY)
    return shares


def _steps(values: Float64) -> Float64:
    """Returns the difference (N, K) to the row before; the first two rows have that of the third."""
    found = np.zeros_like(values)
    found[2:] = np.diff(values[1:], axis=0)
    found[:2] = found[2:3] if len(found) > 2 else 0
    return found


def _turn(places: Float64) -> Float64:
    """Returns (N,) one minus the cosine between each row and the one before."""
    unit = places / (np.linalg.norm(places, axis=1, keepdims=True) + _TINY)
    found = np.zeros(len(places))
    found[2:] = 1 - (unit[2:] * unit[1:-1]).sum(1)
    found[:2] = found[2] if len(found) > 2 else 0
    return found


def _slope(values: Float64) -> Float64:
    found = np.zeros(len(values))
    if len(values) > 2:
        found[1:] = np.abs(np.gradient(values[1:]))
    return found
