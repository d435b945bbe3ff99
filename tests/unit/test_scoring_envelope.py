from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vau.config import EventsConfig
from vau.events.spans import find_events
from vau.scoring.envelope import CEILING, HALF_LIFE_S, with_envelope, with_floor
from vau.types import ScoreTrack, Segments


def made(contributions: np.ndarray, times: np.ndarray | None = None) -> ScoreTrack:
    levels = np.asarray(contributions, np.float32)
    times = np.arange(len(levels)) / 4 if times is None else times
    return ScoreTrack(times, levels.sum(1), "x", levels, tuple(f"s{k}" for k in range(levels.shape[1])))


@st.composite
def tracks(draw: st.DrawFn) -> ScoreTrack:
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    count = draw(st.integers(0, 60))
    levels = random.dirichlet([1, 1, 1], count).astype(np.float32) * random.random((count, 1)) ** draw(
        st.integers(1, 8)
    )
    levels[random.random(count) < 0.3] = 0
    return made(levels, np.cumsum(random.uniform(0.05, 2.0, count)))


def test_by_hand() -> None:
    track = made(np.array([[0.0], [0.8], [0.0], [0.1], [0.0], [0.0]]), np.array([0.0, 1.0, 3.0, 9.0, 11.0, 13.0]))
    found = with_envelope(track, half_life_s=2.0, ceiling=0.24)
    # 0.8 halves every two seconds: 0.4 at 3 s is cut to the ceiling, 0.05 at 9 s is below the moment's own 0.1.
    assert found.scores == pytest.approx([0.0, 0.8, 0.24, 0.1, 0.05, 0.025], abs=1e-6)


def test_what_is_added_belongs_to_the_signals_of_the_earlier_score() -> None:
    track = made(np.array([[0.3, 0.1], [0.0, 0.0]]), np.array([0.0, 2.0]))
    assert with_envelope(track, ceiling=1.0).contributions[1] == pytest.approx([0.15, 0.05])


@settings(max_examples=200, deadline=None)
@given(tracks())
def test_nothing_falls_and_nothing_rises_above_the_ceiling(track: ScoreTrack) -> None:
    found = with_envelope(track)
    assert (found.scores >= track.scores).all()
    risen = found.scores > track.scores
    assert (found.scores[risen] <= CEILING + 1e-6).all()
    assert found.contributions.sum(1) == pytest.approx(found.scores, abs=1e-5)
    assert (found.contributions >= track.contributions).all()


@settings(max_examples=200, deadline=None)
@given(tracks())
def test_peak_and_events_stay(track: ScoreTrack) -> None:
    found = with_envelope(track)
    if len(track):
        assert found.scores.max() == track.scores.max()
        assert found.scores.argmax() == track.scores.argmax()
    segments = Segments(np.array([0.0, 200.0]), np.zeros(2))
    before, after = (find_events(each, segments, EventsConfig()) for each in (track, found))
    spans = [[(event.start_s, event.end_s, event.peak_s, event.score) for event in each] for each in (before, after)]
    assert spans[0] == spans[1]


@settings(max_examples=100, deadline=None)
@given(tracks(), st.integers(0, 60))
def test_no_moment_sees_the_future(track: ScoreTrack, cut: int) -> None:
    known = ScoreTrack(track.times_s[:cut], track.scores[:cut], "x", track.contributions[:cut], track.signals)
    assert with_envelope(known).scores.tolist() == with_envelope(track).scores[:cut].tolist()


@settings(max_examples=100, deadline=None)
@given(tracks())
def test_equals_the_formula(track: ScoreTrack) -> None:
    scores, times = track.scores.astype(float), track.times_s
    faded = [max(scores[: i + 1] * 0.5 ** ((times[i] - times[: i + 1]) / HALF_LIFE_S)) for i in range(len(times))]
    expected = np.maximum(scores, np.minimum(faded, CEILING)) if len(times) else []
    assert with_envelope(track).scores == pytest.approx(expected, abs=1e-6)


def test_a_day_neither_overflows_nor_lasts() -> None:
    times = np.arange(0, 86_400, 0.25)
    levels = np.zeros((len(times), 1), np.float32)
    levels[[0, -3]] = 0.7
    found = with_envelope(made(levels, times)).scores
    assert np.isfinite(found).all()
    assert found[400] < 1e-9 and found[-4] < 1e-9
    assert found[-1] == pytest.approx(0.24)


def test_silence_stays_silence_and_values_are_checked() -> None:
    silent = made(np.zeros((5, 2)))
    assert with_envelope(silent).scores.tolist() == [0.0] * 5
    assert with_envelope(replace(silent, scorer="y")).scorer == "y"
    with pytest.raises(ValueError, match="half_life_s"):
        with_envelope(silent, half_life_s=0)
    with pytest.raises(ValueError, match="ceiling"):
        with_envelope(silent, ceiling=1.5)


@settings(max_examples=100, deadline=None)
@given(tracks(), st.integers(0, 100))
def test_a_floor_lifts_only_what_is_low_and_credits_itself(track: ScoreTrack, seed: int) -> None:
    levels = np.random.default_rng(seed).random((len(track), 2)).astype(np.float32) / 2
    weak = ScoreTrack(track.times_s, levels.sum(1), "weak", levels, ("w0", "w1"))
    found = with_floor(track, weak)
    assert found.signals == (*track.signals, "w0", "w1")
    assert found.scores == pytest.approx(np.maximum(track.scores, CEILING * weak.scores), abs=1e-6)
    assert found.contributions.sum(1) == pytest.approx(found.scores, abs=1e-5)
    assert (found.contributions[:, : len(track.signals)] == track.contributions).all()
    assert (found.scores[track.scores >= CEILING] == track.scores[track.scores >= CEILING]).all()


def test_a_floor_must_fit() -> None:
    track = made(np.zeros((3, 1)))
    with pytest.raises(ValueError, match="signals of their own"):
        with_floor(track, track)
    with pytest.raises(ValueError, match="same times"):
        with_floor(track, replace(track, times_s=np.arange(3.0), signals=("other",)))
    with pytest.raises(ValueError, match="ceiling"):
        with_floor(track, replace(track, signals=("other",)), ceiling=2.0)
