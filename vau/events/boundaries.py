"""Event boundaries: where the features of a video change by much more than they usually do around that time.

After EventVAD (arXiv 2504.13092): composite discontinuity, signal ratio against a running level, robust threshold,
merging. Ours: means of a window on each side are compared instead of two frames, everything is centred in time (no
lag), the threshold is a scaled MAD of log ratios with a least prominence, the strongest boundary of a cluster is kept,
and segments partition the video exactly. It does not know what an event means, only that something changed.
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
_BLOCK = 1024
_LEAST_DURATION_S = 1e-3


def segment(observations: Observations, config: EventsConfig) -> Segments:
    """Partitions a video at its event boundaries.

    Args:
        observations: N sampled frames, N from 0 up.
        config: `alpha`, `band_s`, `neighbours`, `decay`, `propagation`, `window_s`, `background_s`, `deviations`,
            `min_ratio`, `min_segment_s`.

    Returns:
        Segments of at least `min_segment_s` (or the whole video as one) from 0 to the duration; a boundary lies midway
        between two sampled frames; its strength in [0, 1) is the share of the change that exceeds the background:
        0.5 is twice, 0.9 ten times the background. A video without length is taken as one of a millisecond.
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
    middles, ratios = signal_ratio(fused, times, config)
    chosen = pick_boundaries(middles, ratios, duration, config)
    strengths = 1 - np.exp(-ratios[chosen])
    return Segments(np.r_[0.0, middles[chosen], duration], np.r_[0.0, strengths, 0.0])


def signal_ratio(features: Float32, times_s: Float64, config: EventsConfig) -> tuple[Float64, Float64]:
    """Measures by how much each change exceeds the usual change around it.

    Args:
        features: (N, C) node features in time order.
        times_s: (N,).
        config: `window_s`, `background_s`.

    Returns:
        Times midway between neighbouring frames (N - 1,) and the logarithm of the smoothed discontinuity over its
        centred running median (N - 1,).
    """
    if len(times_s) < 2:
        return np.zeros(0), np.zeros(0)
    step = float(np.median(np.diff(times_s)))
    middles = (times_s[:-1] + times_s[1:]) / 2
    half = max(1, round(config.window_s / step))
    changes = gaussian_filter1d(discontinuity(features, half), half * _SMOOTH, mode="nearest")
    # An odd window keeps the running level centred; it need not be longer than the signal.
    window = min(2 * round(config.background_s / step / 2) + 1, 2 * len(changes) - 1)
    level = median_filter(changes, size=window, mode="reflect")
    return middles, np.log((changes + _LEAST_CHANGE) / (level + _LEAST_CHANGE))


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


def pick_boundaries(middles: Float64, ratios: Float64, duration_s: float, config: EventsConfig) -> Int64:
    """Chooses the gaps that are boundaries.

    A boundary is a peak of the log ratio that exceeds the median by `deviations` scaled MADs and stands out by
    `min_ratio`; of peaks closer than `min_segment_s` to each other the strongest is kept, and none is closer than that
    to either end.

    Args:
        middles: (G,) times of the gaps.
        ratios: (G,) log ratios.
        duration_s: end of the video.
        config: `deviations`, `min_ratio`, `min_segment_s`.

    Returns:
        Positions of the boundaries in time order.
    """
    if len(ratios) == 0:
        return np.zeros(0, np.int64)
    centre = float(np.median(ratios))
    spread = float(np.median(np.abs(ratios - centre))) * _MAD_TO_SIGMA
    least = np.log(config.min_ratio)
    # The ends are padded so that a change next to them is still a peak.
    padded = np.r_[ratios.min(), ratios, ratios.min()]
    peaks, _ = find_peaks(padded, height=max(centre + config.deviations * spread, least), prominence=least)
    strongest_first = sorted((int(peak) - 1 for peak in peaks), key=lambda i: (-ratios[i], i))
    taken = [0.0, duration_s]
    kept: list[int] = []
    for gap in strongest_first:
        place = bisect(taken, middles[gap])
        around = taken[max(place - 1, 0) : place + 1]
        if min(abs(middles[gap] - edge) for edge in around) >= config.min_segment_s:
            taken.insert(place, float(middles[gap]))
            kept.append(gap)
    return np.array(sorted(kept), np.int64)
