"""Event boundaries: where the features of a video change by much more than they usually do around that time.

After EventVAD (arXiv 2504.13092): features on a graph, composite discontinuity, signal ratio, robust threshold,
merging. Ours: the strongest boundary of a cluster is kept, it must stand out from what is beside it, and segments
partition the video exactly. It does not know what an event means, only that something changed.
"""

from __future__ import annotations

from bisect import bisect

import numpy as np
from scipy.signal import find_peaks

from vau.config import EventsConfig
from vau.events.change import Change, echo_s, measure_change
from vau.events.features import NodeFeatures, node_features, root_speeds
from vau.events.graph import EventGraph, build_graph, half_band, propagate, to_sparse
from vau.events.published import attend, block_graph
from vau.types import Float32, Float64, Int64, Observations, Segments

PROMINENCE = 0.5  # of the threshold
_LEAST_DURATION_S = 1e-3
_LEAST_STRENGTH = 1e-3


def segment(observations: Observations, config: EventsConfig) -> Segments:
    """Partitions a video at its event boundaries.

    Args:
        observations: N sampled frames, N from 0 up.
        config: `alpha`, `band_s`, `neighbours`, `decay`, `propagation`, `window_s`, `background_s`, `deviations`,
            `min_ratio`, `min_segment_s`, and the switches of `recipe`.

    Returns:
        Segments from 0 to the duration. By default each has at least `min_segment_s` but for the first and the last,
        which may be as short as half of `window_s`, and a boundary lies midway between two sampled frames. A
        boundary's strength in (0, 1) is the share of the change that exceeds the background: 0.5 is twice, 0.9 ten
        times the background. A video without length is taken as one of a millisecond.

    Raises:
        InputError: the recipe asks for mean flow that the observations lack, or for a quadratic graph of a long video.
    """
    times = observations.times_s
    duration = duration_of(observations)
    change = measure_change(joined_features(observations, config), root_speeds(observations), times, config)
    gaps, ratios = pick_boundaries(change, duration, config)
    edges, strengths = change.times_s[gaps], strength(ratios)
    if config.recipe.tail_s and len(edges) and edges[-1] + config.recipe.tail_s < duration:
        edges, strengths = np.r_[edges, edges[-1] + config.recipe.tail_s], np.r_[strengths, _LEAST_STRENGTH]
    return Segments(np.r_[0.0, edges, duration], np.r_[0.0, strengths, 0.0])


def duration_of(observations: Observations) -> float:
    """Returns the end of the last segment: the video's, but not before its last frame and never 0."""
    last_s = float(observations.times_s[-1]) if len(observations) else 0.0
    return max(observations.duration_s, last_s, _LEAST_DURATION_S)


def strength(ratios: Float64) -> Float64:
    """Returns the strength in (0, 1) of boundaries whose change is so many times the background."""
    return np.maximum(1 - 1 / np.maximum(ratios, 1), _LEAST_STRENGTH)


def joined_features(observations: Observations, config: EventsConfig) -> Float32:
    """Returns the vectors (N, C) whose differences are measured: fused, and mixed over the event graph."""
    features = node_features(observations, config.alpha, config.recipe)
    fused, recipe = features.fused(), config.recipe
    if config.propagation == 0 or len(features) < 2:
        return fused
    order: Int64 | None = None
    if recipe.graph == "band" and recipe.attention == "weighted" and recipe.order == "time":
        fused = propagate(fused, event_graph(features, config), config.propagation)
    else:
        edges, order = block_graph(features, decay=config.decay)
        if recipe.graph == "band":
            edges = to_sparse(event_graph(features, config))
        fused = attend(fused, edges, config.propagation, weighted=recipe.attention == "weighted")
    if recipe.remove_mean:
        fused -= fused.mean(axis=0)
    return fused[order] if recipe.order == "insertion" and order is not None else fused


def event_graph(features: NodeFeatures, config: EventsConfig) -> EventGraph:
    """Builds the banded event graph of a video: `band_s`, `neighbours`, `decay`."""
    width = half_band(features.times_s, config.band_s)
    return build_graph(features, width=width, neighbours=config.neighbours, decay=config.decay)


def pick_boundaries(change: Change, duration_s: float, config: EventsConfig) -> tuple[Int64, Float64]:
    """Chooses the gaps that are boundaries.

    A boundary is a peak of a signal's excess that reaches 1 and stands out by half of that; of peaks closer than
    `min_segment_s` to each other the strongest is kept, and none is closer than half of `window_s` to either end. Near
    a change of picture, motion has no boundaries of its own.

    Args:
        change: at G gaps.
        duration_s: end of the video.
        config: `min_segment_s`, `window_s`, and of `recipe`: `threshold` "mad" takes every gap that exceeds 1, `keep`
            "last" the last of a chain of close ones.

    Returns:
        Positions of the K boundaries in time order, and the ratios (K,) that speak for them.
    """
    times = change.times_s
    found = _keep(_candidates(change.picture.excess, config), times, change.picture.excess, duration_s, config)
    ratios = change.picture.ratios[found]
    if change.motion is not None:
        moving = _candidates(change.motion.excess, config)
        moving = moving[_distance(times[moving], times[change.picture.excess >= 1]) >= echo_s(config)]
        moving = _keep(moving, times, change.motion.excess, duration_s, config)
        found, ratios = np.r_[found, moving], np.r_[ratios, change.motion.ratios[moving]]
    order = np.argsort(found, kind="stable")
    return found[order], ratios[order]


def _candidates(excess: Float64, config: EventsConfig) -> Int64:
    if len(excess) == 0:
        return np.zeros(0, np.int64)
    if config.recipe.threshold == "mad":
        return np.flatnonzero(excess > 1)
    # Without a level there is no peak; the ends are padded so that a change next to them is still one.
    known = np.maximum(excess, -1.0)
    peaks = find_peaks(np.r_[known.min(), known, known.min()], height=1, prominence=PROMINENCE)[0] - 1
    return np.asarray(peaks, dtype=np.int64)


def _distance(times_s: Float64, others_s: Float64) -> Float64:
    """Returns how far each time is from the nearest of the others, which increase; infinity where there are none."""
    padded = np.r_[-np.inf, others_s, np.inf]
    place = np.searchsorted(padded, times_s)
    nearest: Float64 = np.minimum(padded[place] - times_s, times_s - padded[place - 1])
    return nearest


def _keep(found: Int64, times: Float64, excess: Float64, duration_s: float, config: EventsConfig) -> Int64:
    """Returns those of some gaps that are neither too close to each other nor to the ends."""
    if config.recipe.keep == "last":
        found = found[(times[found] > 0) & (times[found] < duration_s)]
        return found[np.r_[np.diff(times[found]) >= config.min_segment_s, np.full(min(len(found), 1), True)]]
    inside = (times >= config.window_s / 2) & (times <= duration_s - config.window_s / 2)
    return _strongest(found[inside[found]], times, excess, config.min_segment_s)


def _strongest(found: Int64, times_s: Float64, excess: Float64, apart_s: float) -> Int64:
    taken: list[float] = []
    kept: list[int] = []
    for gap in sorted(found.tolist(), key=lambda i: (-excess[i], i)):
        moment = float(times_s[gap])
        place = bisect(taken, moment)
        if all(abs(moment - other) >= apart_s - 1e-6 for other in taken[max(place - 1, 0) : place + 1]):
            taken.insert(place, moment)
            kept.append(gap)
    return np.array(sorted(kept), np.int64)
