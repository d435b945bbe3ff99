"""Event spans: where an absolute anomaly score stays high, with edges moved to event boundaries nearby.

Hysteresis on the score track: an event begins at a high threshold and lasts down to a lower one. The score is never
normalised here, so a quiet video has no event. It does not know what the score means.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vau.config import EventsConfig
from vau.types import Event, Float64, ScoreTrack, Segments


@dataclass(frozen=True)
class _Span:
    start_s: float
    end_s: float
    first: int  # rows of the score track, both inclusive
    last: int
    active_s: float  # time at or above the lower threshold


def find_events(
    scores: ScoreTrack, segments: Segments, config: EventsConfig, *, threshold: float | None = None
) -> tuple[Event, ...]:
    """Finds the events of a video.

    An event is a span that reaches the threshold and stays at or above `hold` times it; spans at most `merge_gap_s`
    apart are one; spans above the lower threshold for less than `min_event_s` are left out. Each edge is then moved to
    the strongest boundary within `snap_s`, never past the peak, into a neighbouring event, or so that less than
    `min_event_s` remains.

    Args:
        scores: N scores in [0, 1].
        segments: partition of the same video.
        config: `threshold`, `hold`, `merge_gap_s`, `min_event_s`, `snap_s`.
        threshold: in (0, 1]; `config.threshold` where it is None.

    Returns:
        Events in time order that do not overlap and lie within the segments; mean contributions of the signals that
        have any, largest first.

    Raises:
        ValueError: the threshold is not in (0, 1].
    """
    high = config.threshold if threshold is None else threshold
    if not 0 < high <= 1:
        raise ValueError(f"the threshold must lie in (0, 1], got {high!r}")
    duration = float(segments.edges_s[-1])
    spans = _merge(_runs(scores, high, config, duration), config.merge_gap_s)
    # A video shorter than the least event may still hold one.
    least = min(config.min_event_s, duration)
    spans = [span for span in spans if span.active_s >= least - 1e-9]
    events: list[Event] = []
    for i, span in enumerate(spans):
        floor = events[-1].end_s if events else 0.0
        ceiling = spans[i + 1].start_s if i + 1 < len(spans) else duration
        events.append(_event(f"E{i + 1}", span, scores, segments, config, floor, ceiling))
    return tuple(events)


def _runs(scores: ScoreTrack, high: float, config: EventsConfig, duration_s: float) -> list[_Span]:
    """Returns the runs at or above the lower threshold that reach the higher one."""
    times, values = scores.times_s, scores.scores
    if len(times) == 0:
        return []
    # A small slack: scores are float32, thresholds are not.
    held = values >= high * config.hold - 1e-6
    steps = np.diff(times)
    typical = float(np.median(steps)) if len(steps) else duration_s
    starts, ends = _cells(times, typical, duration_s)
    breaks = ~held[:-1] | ~held[1:] | (steps > max(config.merge_gap_s, 2 * typical))
    groups = np.split(np.arange(len(times)), np.flatnonzero(breaks) + 1)
    return [
        _Span(float(starts[g[0]]), float(ends[g[-1]]), int(g[0]), int(g[-1]), float(ends[g[-1]] - starts[g[0]]))
        for g in groups
        if held[g[0]] and values[g].max() >= high - 1e-6
    ]


def _cells(times: Float64, typical_s: float, duration_s: float) -> tuple[Float64, Float64]:
    """Returns the span (N,), (N,) for which each sample stands: midway to its neighbours, but not across gaps."""
    middles = (times[:-1] + times[1:]) / 2
    starts = np.maximum(np.r_[times[0] - typical_s / 2, middles], times - typical_s)
    ends = np.minimum(np.r_[middles, times[-1] + typical_s], times + typical_s)
    return np.clip(starts, 0, duration_s), np.clip(ends, 0, duration_s)


def _merge(spans: list[_Span], gap_s: float) -> list[_Span]:
    merged: list[_Span] = []
    for span in spans:
        if merged and span.start_s - merged[-1].end_s <= gap_s:
            before = merged.pop()
            span = _Span(before.start_s, span.end_s, before.first, span.last, before.active_s + span.active_s)
        merged.append(span)
    return merged


def _event(
    event_id: str,
    span: _Span,
    scores: ScoreTrack,
    segments: Segments,
    config: EventsConfig,
    floor_s: float,
    ceiling_s: float,
) -> Event:
    """Builds one event whose edges may move between `floor_s` and `ceiling_s`."""
    rows = slice(span.first, span.last + 1)
    top = span.first + int(scores.scores[rows].argmax())
    # Sample times may pass the declared end of the video by rounding; the partition has the last word.
    peak = float(np.clip(scores.times_s[top], span.start_s, span.end_s))
    least = min(config.min_event_s, span.end_s - span.start_s)
    start, start_strength = _snap(span.start_s, segments, config.snap_s, floor_s, min(peak, span.end_s - least))
    end, end_strength = _snap(span.end_s, segments, config.snap_s, max(peak, start + least), ceiling_s)
    inside = (scores.times_s >= start) & (scores.times_s <= end)
    inside[top] = True
    means = scores.contributions[inside].mean(axis=0)
    shares = [(name, float(mean)) for name, mean in zip(scores.signals, means, strict=True) if mean > 0]
    shares.sort(key=lambda share: (-share[1], share[0]))
    score = float(np.clip(scores.scores[top], 0, 1))
    return Event(event_id, start, end, peak, score, None, start_strength, end_strength, tuple(shares))


def _snap(edge_s: float, segments: Segments, reach_s: float, low_s: float, high_s: float) -> tuple[float, float]:
    """Returns the strongest boundary near an edge and its strength, or the edge itself and 0 where there is none."""
    edges, strengths = segments.edges_s[1:-1], segments.strengths[1:-1]
    near = np.flatnonzero((np.abs(edges - edge_s) <= reach_s) & (edges >= low_s) & (edges <= high_s))
    if len(near) == 0:
        return edge_s, 0.0
    best = min(near.tolist(), key=lambda i: (-strengths[i], abs(edges[i] - edge_s)))
    return float(edges[best]), float(strengths[best])
