"""How much a video changes at each gap between two sampled frames, and by how much that exceeds the usual.

The composite discontinuity and the signal ratio of EventVAD (arXiv 2504.13092). Ours: two more scales, means of a
window on each side and motion alone; a running level centred in time; a least ratio. `RecipeConfig` chooses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter, uniform_filter1d
from scipy.signal import savgol_filter

from vau.config import EventsConfig
from vau.types import Float32, Float64

# Squared feature distances below this are sensor and compression noise; a still picture has no boundary.
LEAST_CHANGE = 1e-3
MAD_TO_SIGMA = 1.4826
SMOOTH = 0.25  # of the window
_CUT_BACKGROUND = 4.0  # windows
_MOTION_WINDOWS = 2
_ECHO_WINDOWS = 3.0  # the windows of motion and their smoothing
_SAVGOL_ORDER = 2
_BLOCK = 256


@dataclass(frozen=True, eq=False)
class Signal:
    """How much each of G gaps stands out."""

    ratios: Float64  # (G,) discontinuity over its running level; 0 where there is no level yet
    excess: Float64  # (G,) 0: a usual ratio, 1: the threshold


@dataclass(frozen=True, eq=False)
class Change:
    """The change signals at the G gaps between neighbouring sampled frames."""

    times_s: Float64  # (G,) at which a boundary would be set
    picture: Signal  # of appearance and motion
    motion: Signal | None  # of speeds alone


def measure_change(features: Float32, speeds: Float32, times_s: Float64, config: EventsConfig) -> Change:
    """Measures by how much each change exceeds the usual change around it, on up to three scales.

    Neighbouring frames show a cut where scenes follow each other quickly; windows of `window_s` show a change of
    activity that is lost in the noise of single frames: of these two, that on which a change stands out more has the
    word. Twice that window on speeds alone shows bursts of motion, which are small beside what a whole picture's
    features do.

    Args:
        features: (N, C) node features in time order.
        speeds: (N, M) roots of speeds, of any M.
        times_s: (N,).
        config: `window_s`, `background_s`, `deviations`, `min_ratio`, `recipe`.

    Returns:
        The signals at N - 1 gaps.
    """
    recipe = config.recipe
    if len(times_s) < 2:
        return Change(np.zeros(0), Signal(np.zeros(0), np.zeros(0)), None)
    *pictures, motion = scales_of(float(np.median(np.diff(times_s))), config)
    window = pictures[1].half
    used = pictures[:1] if recipe.scales == "frames" else pictures
    picture = strongest([_signal(features, scale, window, config) for scale in used])
    moments = (times_s[:-1] + times_s[1:]) / 2
    if recipe.index == "half_window":  # as released: the ratio of a window's end, set at the window's middle
        moments = times_s[np.maximum(np.arange(len(moments)) - (window - 1) + window // 2, 0)]
    return Change(moments, picture, _signal(speeds, motion, window, config) if recipe.scales == "three" else None)


def strongest(signals: Sequence[Signal]) -> Signal:
    """Returns at each gap the signal that stands out most."""
    ratios, excesses = np.stack([item.ratios for item in signals]), np.stack([item.excess for item in signals])
    best, gaps = excesses.argmax(axis=0), np.arange(excesses.shape[1])
    return Signal(ratios[best, gaps], excesses[best, gaps])


@dataclass(frozen=True)
class Scale:
    """One scale of the change signal, in sampled frames."""

    half: int  # compared on each side of a gap
    background: int  # span of the running level
    motion: bool  # of speeds alone


def echo_s(config: EventsConfig) -> float:
    """Returns how far from a change of picture motion is not asked: its windows still hold the change itself."""
    return max(_ECHO_WINDOWS * config.window_s, config.min_segment_s)


def scales_of(step_s: float, config: EventsConfig) -> tuple[Scale, Scale, Scale]:
    """Returns frames, windows and motion, for sampled frames so many seconds apart."""
    window = max(1, round(config.window_s / step_s))
    # A cut lasts one frame, so a short background suffices for it and follows the activity of each scene.
    short = round(min(_CUT_BACKGROUND * config.window_s, config.background_s) / step_s)
    long = round(config.background_s / step_s)
    return Scale(1, short, False), Scale(window, long, False), Scale(_MOTION_WINDOWS * window, long, True)


def _signal(features: Float32, scale: Scale, window: int, config: EventsConfig) -> Signal:
    ratios = _ratio(features, scale, window, config)
    return Signal(ratios, _excess(ratios, config))


def _ratio(features: Float32, scale: Scale, window: int, config: EventsConfig) -> Float64:
    """Returns the discontinuity (N - 1,) on one scale over its running level."""
    recipe = config.recipe
    changes = discontinuity(features, scale.half, angle=not scale.motion)
    if recipe.smoothing == "gaussian" and scale.half > 1:
        changes = gaussian_filter1d(changes, scale.half * SMOOTH, mode="nearest")
    if recipe.smoothing == "savgol" and _SAVGOL_ORDER < window <= len(changes):
        changes = savgol_filter(changes, window, _SAVGOL_ORDER)
    if recipe.background == "trailing":
        return _over_past_mean(changes, window)
    # An odd window keeps the running level centred; it need not be longer than the signal.
    size = min(2 * (scale.background // 2) + 1, 2 * len(changes) - 1)
    level = median_filter(changes, size=size, mode="reflect")
    return np.asarray((changes + LEAST_CHANGE) / (np.maximum(level, 0) + LEAST_CHANGE), dtype=np.float64)


def _over_past_mean(changes: Float64, window: int) -> Float64:
    """Returns changes over the mean of the `window` values up to each; 0 where there are fewer, or a video is short."""
    ratio = np.zeros(len(changes))
    if len(changes) < 2 * window:
        return ratio
    level = uniform_filter1d(changes, window, origin=(window - 1) // 2, mode="nearest")[window - 1 :]
    ratio[window - 1 :] = np.divide(changes[window - 1 :], level, out=np.zeros(len(level)), where=level > 1e-12)
    return ratio


def _excess(ratio: Float64, config: EventsConfig) -> Float64:
    """Returns the distance of a ratio from its median, 1 being the threshold; of no level, less than any."""
    known = ratio[ratio != 0]
    if len(known) == 0:
        return np.full(len(ratio), -np.inf)
    centre, threshold = usual(known, config)
    return np.where(ratio != 0, (ratio - centre) / threshold, -np.inf)


def usual(ratios: Float64, config: EventsConfig) -> tuple[float, float]:
    """Returns the median of ratios (R,), R >= 1, and by how much a boundary exceeds it."""
    centre = float(np.median(ratios))
    spread = float(np.median(np.abs(ratios - centre)))
    if config.recipe.threshold == "mad":
        threshold = config.deviations * spread
    else:
        threshold = max(config.deviations * spread * MAD_TO_SIGMA, config.min_ratio - centre)
    return centre, max(threshold, 1e-6)


def discontinuity(features: Float32, half: int, *, angle: bool = True) -> Float64:
    """Compares the means of up to `half` frames before and after each gap between two frames.

    The composite of EventVAD, squared distance plus one minus cosine, on means. Near the ends, where one side has
    fewer frames, the value is reduced so that noise alone has the same level everywhere.

    Args:
        features: (N, C), N >= 2.
        half: frames a side; 1 compares neighbouring frames, as the paper does.
        angle: False leaves the cosine out.

    Returns:
        (N - 1,) >= 0.
    """
    count = len(features)
    result = np.zeros(count - 1)
    for start in range(0, count - 1, _BLOCK):
        stop = min(start + _BLOCK, count - 1)
        result[start:stop] = gap_changes(features, start, stop, half, angle=angle)
    return result


def gap_changes(features: Float32, start: int, stop: int, half: int, *, angle: bool) -> Float64:
    """Returns the discontinuity at the gaps from `start` to before `stop`, in one go; see `discontinuity`."""
    gaps = np.arange(start, stop)
    left, right = np.maximum(gaps + 1 - half, 0), np.minimum(gaps + 1 + half, len(features))
    first = left[0]
    sums = np.cumsum(features[first : right[-1]], axis=0, dtype=np.float64)
    sums = np.concatenate([np.zeros((1, features.shape[1])), sums])
    middle = sums[gaps + 1 - first]
    before_n, after_n = gaps + 1 - left, right - gaps - 1
    before = (middle - sums[left - first]) / before_n[:, None]
    after = (sums[right - first] - middle) / after_n[:, None]
    balance = 2 * before_n * after_n / (half * (before_n + after_n))
    return np.asarray(composite(before, after, angle=angle) * balance, dtype=np.float64)


def composite(before: Float64, after: Float64, *, angle: bool = True) -> Float64:
    """Returns squared distance plus one minus cosine (G,) of rows (G, C); `angle` False leaves the cosine out."""
    apart: Float64 = ((before - after) ** 2).sum(1)
    if not angle:
        return apart
    norms = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    cosine = np.where(norms > 1e-12, (before * after).sum(1) / np.maximum(norms, 1e-12), 1)
    return np.asarray(apart + 1 - np.clip(cosine, -1, 1), dtype=np.float64)
