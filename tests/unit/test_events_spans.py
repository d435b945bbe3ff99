"""Event spans: hysteresis on absolute scores, merging, snapping to boundaries."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vau.config import EventsConfig
from vau.events import find_events
from vau.types import ScoreTrack, Segments


def track(values, rate=4.0, shares=(0.3, 0.7, 0.0)):
    scores = np.asarray(values, np.float32)
    return ScoreTrack(np.arange(len(scores)) / rate, scores, "test", np.outer(scores, shares), ("a", "b", "c"))


def whole(duration_s, edges=(), strengths=()):
    return Segments(np.array([0.0, *edges, duration_s]), np.array([0.0, *strengths, 0.0]))


def bump(count, *spans):
    values = np.full(count, 0.05)
    for first, last, height in spans:
        values[first:last] = height
    return values


def test_quiet_video_has_no_event():
    assert find_events(track(np.linspace(0, 0.49, 100)), whole(25), EventsConfig()) == ()


def test_event_lasts_down_to_the_lower_threshold():
    values = bump(100, (30, 40, 0.3), (40, 50, 0.8), (50, 56, 0.3))
    values[44] = 0.9
    (event,) = find_events(track(values), whole(25), EventsConfig())
    assert event.event_id == "E1"
    assert (event.start_s, event.end_s) == pytest.approx((29.5 / 4, 55.5 / 4))
    assert event.peak_s == 11.0 and event.score == pytest.approx(0.9)
    assert [name for name, _ in event.signals] == ["b", "a"], "largest first, none without a share"


def test_threshold_argument_wins():
    values = bump(100, (40, 50, 0.4))
    assert find_events(track(values), whole(25), EventsConfig()) == ()
    assert len(find_events(track(values), whole(25), EventsConfig(), threshold=0.35)) == 1
    with pytest.raises(ValueError, match=r"1\.5"):
        find_events(track(values), whole(25), EventsConfig(), threshold=1.5)


def test_close_events_are_one_and_distant_ones_two():
    near, far = bump(200, (40, 50, 0.8), (56, 60, 0.7)), bump(200, (40, 50, 0.8), (70, 80, 0.9))
    assert len(find_events(track(near), whole(50), EventsConfig(merge_gap_s=2))) == 1
    events = find_events(track(far), whole(50), EventsConfig(merge_gap_s=2))
    assert [event.event_id for event in events] == ["E1", "E2"]


def test_a_single_frame_is_no_event_but_a_whole_short_clip_may_be():
    assert find_events(track(bump(100, (50, 51, 0.9))), whole(25), EventsConfig()) == ()
    (event,) = find_events(track([0.9]), whole(0.25), EventsConfig())
    assert (event.start_s, event.end_s) == (0, 0.25)


def test_edges_move_to_the_strongest_boundary_near():
    values = bump(100, (40, 50, 0.8), (50, 51, 0.9), (51, 60, 0.8))
    segments = whole(25, (9.5, 10.3, 14.2, 15.3, 18.0), (0.6, 0.9, 0.5, 0.8, 0.99))
    (event,) = find_events(track(values), segments, EventsConfig())
    assert (event.start_s, event.start_strength) == (10.3, pytest.approx(0.9))
    assert (event.end_s, event.end_strength) == (15.3, pytest.approx(0.8))


def test_edges_never_pass_the_peak():
    values = bump(100, (40, 60, 0.8))
    values[40] = 0.9  # the peak is the first row
    (event,) = find_events(track(values), whole(25, (10.5,), (0.9,)), EventsConfig())
    assert event.start_s == pytest.approx(9.875) and event.start_strength == 0


def test_a_hole_in_time_parts_events():
    times = np.r_[np.arange(20) / 4, 60 + np.arange(20) / 4]
    scores = np.full(40, 0.9, np.float32)
    series = ScoreTrack(times, scores, "test", scores[:, None], ("a",))
    events = find_events(series, whole(65), EventsConfig(merge_gap_s=2))
    assert len(events) == 2 and events[0].end_s < 6 and events[1].start_s > 59


def test_no_rows_no_events():
    assert find_events(track([]), whole(3), EventsConfig()) == ()


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(1, 120),
    gap=st.sampled_from([0.0, 0.5, 2.0]),
    least=st.sampled_from([0.01, 0.5, 2.0]),
    snap=st.sampled_from([0.0, 1.0, 5.0]),
)
def test_spans_are_sorted_apart_and_inside(seed, count, gap, least, snap):
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.05, 0.5, count)) - 0.05
    values = rng.random(count).astype(np.float32) ** 2
    duration = float(times[-1]) + rng.uniform(0, 0.5)
    series = ScoreTrack(times, values, "test", values[:, None], ("a",))
    edges = np.unique(rng.uniform(0.01, duration, rng.integers(0, 12)))
    edges = edges[edges < duration]
    segments = whole(duration, edges, rng.random(len(edges)))
    config = EventsConfig(merge_gap_s=gap, min_event_s=least, snap_s=snap)
    events = find_events(series, segments, config)
    for event in events:
        assert 0 <= event.start_s < event.end_s <= duration
        assert event.score >= 0.5 - 1e-6 and event.score == pytest.approx(float(values[times == event.peak_s].max()))
    assert all(before.end_s <= after.start_s for before, after in pairwise(events))
    assert [event.event_id for event in events] == [f"E{i + 1}" for i in range(len(events))]
    assert events == find_events(series, segments, config)
    if values.max() < 0.5:
        assert not events
