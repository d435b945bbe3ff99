"""Keyframes: phases, budget, mass sampling and the baselines."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vau.config import SamplingConfig
from vau.sampling import ats, caes, overview, top_k, uniform
from vau.sampling.caes import split_budget
from vau.sampling.mass import spread, systematic
from vau.types import Event, RelationChange, ScoreTrack

SAMPLERS = (caes, uniform, top_k, ats)


def track(values, rate=4.0):
    scores = np.asarray(values, np.float32)
    return ScoreTrack(np.arange(len(scores)) / rate, scores, "test", scores[:, None], ("a",))


def change(number, time_s, sharpness=1.0):
    return RelationChange(f"C{number}", "R1", "begins", time_s, sharpness)


def one_event(start_s=20.0, end_s=30.0, peak_s=24.0):
    values = np.full(200, 0.05)
    values[int(start_s * 4) : int(end_s * 4)] = 0.6
    values[int(peak_s * 4)] = 0.9
    return track(values), (Event("E1", start_s, end_s, peak_s, 0.9),)


@st.composite
def scenes(draw):
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    count = draw(st.integers(1, 120))
    times = np.cumsum(rng.uniform(0.05, 0.5, count))
    values = rng.random(count).astype(np.float32)
    scores = ScoreTrack(times, values, "test", values[:, None], ("a",))
    borders = np.sort(rng.choice(times, min(count, 2 * draw(st.integers(0, 4))), replace=draw(st.booleans())))
    events = []
    for i in range(len(borders) // 2):
        start, end = borders[2 * i], borders[2 * i + 1]
        inside = np.flatnonzero((times >= start) & (times <= end))
        peak = inside[values[inside].argmax()]
        events.append(Event(f"E{i + 1}", float(start), float(end), float(times[peak]), float(values[peak])))
    changes = [change(i, float(t), float(rng.random())) for i, t in enumerate(rng.uniform(0, times[-1], 6))]
    config = SamplingConfig(keyframes=draw(st.integers(1, 12)), context_s=draw(st.sampled_from([0.0, 1.0, 8.0])))
    return scores, tuple(events), config, changes


@settings(max_examples=200, deadline=None)
@given(scene=scenes(), sampler=st.sampled_from(SAMPLERS))
def test_what_holds_for_every_sampler(scene, sampler):
    scores, events, config, changes = scene
    frames = sampler(scores, events, config, changes)
    times = [frame.time_s for frame in frames]
    assert all(before < after for before, after in pairwise(times)), "sorted and unique"
    assert set(times) <= set(scores.times_s.tolist())
    assert [frame.keyframe_id for frame in frames] == [f"K{i + 1}" for i in range(len(frames))]
    by_id = {event.event_id: event for event in events}
    for frame in frames:
        event = by_id[frame.event_id]
        if frame.phase == "during":
            assert event.start_s <= frame.time_s <= event.end_s
        else:
            reach = max(min(max(event.end_s - event.start_s, 2.0), config.context_s), 0)
            assert event.start_s - reach - 1e-9 <= frame.time_s <= event.end_s + reach + 1e-9
            assert (frame.time_s <= event.start_s) == (frame.phase == "pre")
            assert not any(other.start_s < frame.time_s < other.end_s for other in events), "inside another event"
    for event in events:
        assert sum(frame.event_id == event.event_id for frame in frames) <= config.keyframes
    assert frames == sampler(scores, events, config, changes)


@settings(max_examples=200, deadline=None)
@given(scene=scenes())
def test_what_caes_adds(scene):
    scores, events, config, changes = scene
    touching = any(before.end_s == after.start_s for before, after in pairwise(events))
    frames = caes(scores, events, config, changes)
    full = caes(scores, events, config.model_copy(update={"keyframes": 10_000}), changes)
    for event in events if not touching else ():
        own = [frame for frame in frames if frame.event_id == event.event_id]
        available = [frame for frame in full if frame.event_id == event.event_id]
        assert event.peak_s in [frame.time_s for frame in own]
        assert len(own) == min(config.keyframes, len(available)), "the budget is used"
        if config.keyframes >= 3:
            assert {frame.phase for frame in own} == {frame.phase for frame in available}


def test_budget_is_split_about_evenly_between_event_and_context():
    scores, events = one_event()
    phases = [frame.phase for frame in caes(scores, events, SamplingConfig(keyframes=8))]
    assert phases == ["pre"] * 2 + ["during"] * 4 + ["post"] * 2


@given(
    budget=st.integers(1, 64),
    available=st.tuples(st.integers(0, 30), st.integers(1, 30), st.integers(0, 30)),
    share=st.sampled_from([0.0, 0.1, 0.25, 0.5]),
)
def test_budget_never_falls_when_it_grows(budget, available, share):
    small, large = (split_budget(size, available, share) for size in (budget, budget + 1))
    assert sum(small) == min(budget, sum(available))
    assert all(0 <= few <= many <= most for few, many, most in zip(small, large, available, strict=True))
    assert small[1] >= 1


def test_context_shows_the_sharpest_relation_changes():
    scores, events = one_event()
    changes = [change(1, 15.1), change(2, 17.4, 0.2), change(3, 33.0), change(4, 25.0), change(5, 45.0)]
    frames = caes(scores, events, SamplingConfig(keyframes=4), changes)
    assert [frame.time_s for frame in frames if frame.phase != "during"] == [15.0, 33.0]
    two = caes(scores, events, SamplingConfig(keyframes=8), changes)
    assert [frame.time_s for frame in two if frame.phase == "pre"] == [15.0, 17.5]


def test_context_without_changes_is_evenly_spaced():
    scores, events = one_event()
    pre = [f.time_s for f in caes(scores, events, SamplingConfig(keyframes=16)) if f.phase == "pre"]
    assert len(pre) == 4 and np.ptp(np.diff(pre)) <= 0.25 and pre[0] < 14


def test_context_is_as_long_as_the_event_within_limits():
    scores, events = one_event(20.0, 24.0, 22.0)
    frames = caes(scores, events, SamplingConfig(keyframes=64, context_s=8.0))
    assert (frames[0].time_s, frames[-1].time_s) == (16.0, 28.0)
    scores, events = one_event(20.0, 20.5, 20.0)
    frames = caes(scores, events, SamplingConfig(keyframes=64, context_s=8.0))
    assert (frames[0].time_s, frames[-1].time_s) == (18.0, 22.5)
    assert {f.phase for f in caes(scores, events, SamplingConfig(keyframes=64, context_s=0.0))} == {"during"}


def test_neighbouring_events_share_the_time_between_them():
    scores, _ = one_event()
    events = (Event("E1", 10.0, 20.0, 12.0, 0.9), Event("E2", 24.0, 34.0, 30.0, 0.9))
    frames = caes(scores, events, SamplingConfig(keyframes=64))
    between = [frame for frame in frames if 20.0 < frame.time_s < 24.0]
    assert all((frame.event_id, frame.phase) == ("E1", "post") for frame in between if frame.time_s <= 22)
    assert all((frame.event_id, frame.phase) == ("E2", "pre") for frame in between if frame.time_s > 22)


def test_overlapping_events_are_refused():
    scores, _ = one_event()
    with pytest.raises(ValueError, match="overlap"):
        caes(scores, (Event("E1", 0, 5, 1, 0.9), Event("E2", 4, 8, 5, 0.9)), SamplingConfig())


masses = st.lists(st.floats(0.01, 10), min_size=1, max_size=60).map(np.array)


@settings(max_examples=300, deadline=None)
@given(mass=masses, count=st.integers(0, 70), data=st.data())
def test_mass_sampling_is_exact_and_keeps_what_it_must(mass, count, data):
    forced = data.draw(st.lists(st.integers(0, len(mass) - 1), max_size=min(count, 3), unique=True))
    taken = systematic(mass, count, forced)
    assert len(taken) == min(count, len(mass))
    assert (np.diff(taken) > 0).all()
    assert set(forced) <= set(taken.tolist())


@settings(max_examples=300, deadline=None)
@given(mass=masses, count=st.integers(1, 30), factor=st.floats(1.0, 20), data=st.data())
def test_mass_sampling_is_monotone_in_mass(mass, count, factor, data):
    start = data.draw(st.integers(0, len(mass) - 1))
    stop = data.draw(st.integers(start + 1, len(mass)))
    raised = mass.copy()
    raised[start:stop] *= factor
    before, after = systematic(mass, count), systematic(raised, count)
    assert ((after >= start) & (after < stop)).sum() >= ((before >= start) & (before < stop)).sum()


def test_mass_sampling_starts_at_mass_zero():
    assert systematic(np.r_[5.0, np.full(50, 0.1)], 4)[0] == 0


def test_mass_sampling_refuses_impossible_mass():
    for bad in (np.array([1.0, np.nan]), np.array([1.0, 0.0]), np.array([1.0, -1.0])):
        with pytest.raises(ValueError, match="finite and positive"):
            systematic(bad, 1)


def test_spread_fills_the_widest_gap():
    assert spread(np.arange(11.0), 3, [10]).tolist() == [0, 5, 10]
    assert spread(np.arange(3.0), 9, [1]).tolist() == [0, 1, 2]
    assert spread(np.zeros(0), 2).tolist() == []


def test_baselines_choose_by_their_rules():
    scores, events = one_event()
    best = top_k(scores, events, SamplingConfig(keyframes=3))
    assert [frame.time_s for frame in best] == [20.0, 20.25, 24.0]
    even = [frame.time_s for frame in uniform(scores, events, SamplingConfig(keyframes=8))]
    assert np.ptp(np.diff(even)) <= 0.25
    dense = ats(scores, events, SamplingConfig(keyframes=8))
    assert sum(frame.phase == "during" for frame in dense) > 4


def test_overview_is_spread_and_prefers_high_scores():
    scores = np.zeros(100)
    scores[52] = 0.4
    frames = overview(np.arange(100) / 4, scores, 5)
    times = [frame.time_s for frame in frames]
    assert len(times) == 5 and 52 / 4 in times
    assert max(np.diff([0, *times, 25])) < 8
    assert {(frame.phase, frame.event_id) for frame in frames} == {("during", "")}
    assert overview(np.zeros(0), np.zeros(0), 5) == ()
    assert len(overview(np.arange(3.0), np.zeros(3), 5)) == 3
