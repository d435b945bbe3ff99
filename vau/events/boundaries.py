"""Event boundaries: where the features of a video change by much more than they usually do around that time.

After EventVAD (arXiv 2504.13092): composite discontinuity, signal ratio against a running level, robust threshold,
merging. Ours: two scales (neighbouring frames, and means of a window on each side), everything centred in time (no
lag), a threshold of scaled MADs with a least ratio and prominence, the strongest boundary of a cluster kept, and
segments that partition the video exactly. It does not know what an event means, only that something changed.
"""

from __future__ import annotations

from bisect import bisect

import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter
from scipy.signal import find_peaks

from vau.config import EventsConfig
from vau.events.features import node_features
from vau.events.graph import build_graph, half_band, propagate
from vau.types import Float32, Float64, Int64, Observations, Segments

# Squared feature distances below this are sensor and compression noise; a still picture has no boundary.
_LEAST_CHANGE = 1e-3
_MAD_TO_SIGMA = 1.4826
_SMOOTH = 0.25  # of the window
_CUT_BACKGROUND = 4.0  # windows
_PROMINENCE = 0.5  # of the threshold
_BLOCK = 256
_LEAST_DURATION_S = 1e-3


def segment(observations: Observations, config: EventsConfig) -> Segments:
    """Partitions a video at its event boundaries.

    Args:
        observations: N sampled frames, N from 0 up.
        config: `alpha`, `band_s`, `neighbours`, `decay`, `propagation`, `window_s`, `background_s`, `deviations`,
            `min_ratio`, `min_segment_s`.

    Returns:
        Segments from 0 to the duration, each of at least `min_segment_s` but for the first and the last, which may be
        as short as half of `window_s`. A boundary lies midway between two sampled frames; its strength in [0, 1) is
        the share of the change that exceeds the background: 0.5 is twice, 0.9 ten times the background. A video
        without length is taken as one of a millisecond.
    """
    times = observations.times_s
    last_s = float(times[-1]) if len(times) else 0.0
    duration = max(observations.duration_s, last_s, _LEAST_DURATION_S)
    features = node_features(observations, config.alpha)
    fused = features.fused()
    if config.propagation > 0 and len(times) > 1:
        width = half_band(times, config.band_s)
        graph = build_graph(features, width=width, neighbours=config.neighbours, decay=config.decay)
        fused = propagate(fused, graph, config.propagation)
    middles, ratios, excess = signal_ratio(fused, times, config)
    chosen = pick_boundaries(middles, excess, duration, config)
    strengths = 1 - 1 / ratios[chosen]
    return Segments(np.r_[0.0, middles[chosen], duration], np.r_[0.0, strengths, 0.0])


def signal_ratio(features: Float32, times_s: Float64, config: EventsConfig) -> tuple[Float64, Float64, Float64]:
    """Measures by how much each change exceeds the usual change around it, on two scales of time.

    Neighbouring frames show a cut where scenes follow each other quickly; windows of `window_s` show a change of
    activity that is lost in the noise of single frames. The scale on which a change stands out more has the word.

    Args:
        features: (N, C) node features in time order.
        times_s: (N,).
        config: `window_s`, `background_s`, `deviations`, `min_ratio`.

    Returns:
        Times midway between neighbouring frames (N - 1,); the discontinuity over its centred running median (N - 1,);
        and how far that ratio is from usual (N - 1,), where 0 is the median and 1 the threshold.
    """
    if len(times_s) < 2:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    step = float(np.median(np.diff(times_s)))
    window = max(1, round(config.window_s / step))
    # A cut lasts one frame, so a short background suffices for it and follows the activity of each scene.
    short_s = min(_CUT_BACKGROUND * config.window_s, config.background_s)
    scales = [_ratio(features, 1, round(short_s / step)), _ratio(features, window, round(config.background_s / step))]
    excesses = np.stack([_excess(ratio, config) for ratio in scales])
    best = excesses.argmax(axis=0)
    gaps = np.arange(len(best))
    return (times_s[:-1] + times_s[1:]) / 2, np.stack(scales)[best, gaps], excesses[best, gaps]


def _ratio(features: Float32, half: int, background: int) -> Float64:
    """Returns the discontinuity (N - 1,) on one scale over its running median."""
    changes = discontinuity(features, half)
    if half > 1:
        changes = gaussian_filter1d(changes, half * _SMOOTH, mode="nearest")
    # An odd window keeps the running level centred; it need not be longer than the signal.
    size = min(2 * (background // 2) + 1, 2 * len(changes) - 1)
    level = median_filter(changes, size=size, mode="reflect")
    return np.asarray((changes + _LEAST_CHANGE) / (level + _LEAST_CHANGE), dtype=np.float64)


def _excess(ratio: Float64, config: EventsConfig) -> Float64:
    """Returns the distance of a ratio from its median, 1 being the threshold."""
    centre = float(np.median(ratio))
    spread = float(np.median(np.abs(ratio - centre))) * _MAD_TO_SIGMA
    return (ratio - centre) / max(config.deviations * spread, config.min_ratio - centre, 1e-6)


def discontinuity(features: Float32, half: int) -> Float64:
    """Compares the means of up to `half` frames before and after each gap between two frames.

    The composite of EventVAD, squared distance plus one minus cosine, on means. Near the ends, where one side has
    fewer frames, the value is reduced so that noise alone has the same level everywhere.

    Args:
        features: (N, C), N >= 2.
        half: frames a side; 1 compares neighbouring frames, as the paper does.

    Returns:
        (N - 1,) >= 0.
    """
    count = len(features)
    result = np.zeros(count - 1)
    for start in range(0, count - 1, _BLOCK):
        gaps = np.arange(start, min(start + _BLOCK, count - 1))
        left, right = np.maximum(gaps + 1 - half, 0), np.minimum(gaps + 1 + half, count)
        first = left[0]
        sums = np.cumsum(features[first : right[-1]], axis=0, dtype=np.float64)
        sums = np.concatenate([np.zeros((1, features.shape[1])), sums])
        middle = sums[gaps + 1 - first]
        before_n, after_n = gaps + 1 - left, right - gaps - 1
        before = (middle - sums[left - first]) / before_n[:, None]
        after = (sums[right - first] - middle) / after_n[:, None]
        norms = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
        cosine = np.where(norms > 1e-12, (before * after).sum(1) / np.maximum(norms, 1e-12), 1)
        apart = ((before - after) ** 2).sum(1) + 1 - np.clip(cosine, -1, 1)
        result[gaps] = apart * 2 * before_n * after_n / (half * (before_n + after_n))
    return result


def pick_boundaries(middles: Float64, excess: Float64, duration_s: float, config: EventsConfig) -> Int64:
    """Chooses the gaps that are boundaries.

    A boundary is a peak of the excess that reaches 1 and stands out by half of that; of peaks closer than
    `min_segment_s` to each other the strongest is kept, and none is closer than half of `window_s` to either end.

    Args:
        middles: (G,) times of the gaps.
        excess: (G,) as `signal_ratio` gives it.
        duration_s: end of the video.
        config: `min_segment_s`, `window_s`.

    Returns:
        Positions of the boundaries in time order.
    """
    if len(excess) == 0:
        return np.zeros(0, np.int64)
    # The ends are padded so that a change next to them is still a peak.
    padded = np.r_[excess.min(), excess, excess.min()]
    peaks, _ = find_peaks(padded, height=1, prominence=_PROMINENCE)
    strongest_first = sorted((int(peak) - 1 for peak in peaks), key=lambda i: (-excess[i], i))
    taken: list[float] = []
    kept: list[int] = []
    for gap in strongest_first:
        moment = float(middles[gap])
        place = bisect(taken, moment)
        near = taken[max(place - 1, 0) : place + 1]
        inside = config.window_s / 2 <= moment <= duration_s - config.window_s / 2
        if inside and all(abs(moment - other) >= config.min_segment_s - 1e-6 for other in near):
            taken.insert(place, moment)
            kept.append(gap)
    return np.array(sorted(kept), np.int64)
