from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tracks import FRAME, clock, falling, line, observations, standing, track
from vau.config import ScoringConfig
from vau.errors import ScoreError
from vau.perception.motion import MOTION_CHANNELS
from vau.relations.extract import extract_relations
from vau.relations.vocabulary import PREDICATES
from vau.scoring.signals import SIGNALS, kinematic_surprise, level, light_change, relation_surprise
from vau.scoring.training_free import score
from vau.types import Observations, Relation, ScoreTrack

BURST = slice(120, 128)  # 30 to 32 s


def quiet(seconds: float = 60.0, seed: int | None = 0, **channels) -> Observations:
    """Returns a scene with stationary noise in all channels, or with nothing at all where `seed` is None."""
    times = clock(seconds)
    base = observations(times=times)
    if seed is None:
        return base
    random = np.random.default_rng(seed)
    motion = np.abs(random.normal(0.01, 0.005, base.motion.shape)).astype(np.float32)
    motion[:, MOTION_CHANNELS.index("luminance")] = 0.5 + random.normal(0, 0.01, len(times))
    for name, values in channels.items():
        motion[:, MOTION_CHANNELS.index(name)] = values
    looks = random.normal(size=8) + random.normal(0, 0.05, (len(times), 8))
    return replace(base, motion=motion, embeddings=looks / np.linalg.norm(looks, axis=1, keepdims=True))


def burst(**levels: float) -> Observations:
    """Returns a quiet scene in which channels jump to a level for two seconds."""
    base = quiet()
    motion = base.motion.copy()
    for name, value in levels.items():
        motion[BURST, MOTION_CHANNELS.index(name)] = value
    return replace(base, motion=motion)


def leading(found: ScoreTrack) -> str:
    return found.signals[int(found.contributions[int(found.scores.argmax())].argmax())]


def check(found: ScoreTrack, seen: Observations) -> None:
    assert len(found) == len(seen)
    assert found.signals == SIGNALS
    assert np.isfinite(found.contributions).all()
    assert found.contributions.sum(1) == pytest.approx(found.scores, abs=1e-3)
    assert (found.scores >= 0).all() and (found.scores <= 1).all()


@pytest.mark.parametrize("seed", [None, 0, 1, 2, 3])
def test_a_quiet_video_stays_quiet(seed):
    seen = quiet(seed=seed)
    found = score(seen)
    check(found, seen)
    assert found.scores.max() < 0.5
    if seed is None:
        assert not found.scores.any()


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 4, 11])
def test_the_shortest_videos_are_scored(rows):
    seen = observations(times=clock(10.0)[:rows], luminance=0.5)
    found = score(seen, ())
    check(found, seen)
    assert not found.scores.any()


def test_violent_motion_peaks_where_it_is_and_says_so():
    found = score(burst(incoherence_max=0.8, speed_block_max=1.0, direction_entropy=0.9))
    assert 29.5 <= found.times_s[found.scores.argmax()] <= 32.5
    assert found.scores.max() > 0.5
    assert leading(found) == "violent motion"
    away = np.abs(found.times_s - 31) > 3
    assert found.scores[away].max() < 0.5


def test_motion_at_an_unusual_place_peaks_where_it_is_and_says_so():
    found = score(burst(cell_3=1.5, cell_4=1.5))
    assert 29.5 <= found.times_s[found.scores.argmax()] <= 32.5
    assert leading(found) == "motion surprise"
    assert found.scores.max() > 0.5


def test_motion_that_comes_again_and_again_is_no_surprise():
    motion = quiet(120.0).motion.copy()
    for start in range(0, len(motion) - 8, 40):
        motion[start : start + 8, MOTION_CHANNELS.index("cell_3")] = 1.5
    assert score(replace(quiet(120.0), motion=motion)).scores.max() < 0.5


def test_a_new_look_is_told_but_is_no_event_by_itself():
    base = quiet()
    looks = base.embeddings.copy()
    looks[BURST] = np.roll(looks[BURST], 3, axis=1)
    found = score(replace(base, embeddings=looks))
    assert leading(found) == "appearance novelty"
    assert found.scores.max() < 0.5


def test_a_flash_is_a_light_change():
    found = score(burst(luminance=0.95))
    assert leading(found) == "light change"
    assert found.scores.max() > 0.5
    assert score(quiet(luminance=np.linspace(0.2, 0.9, 241))).scores.max() < 0.5


def test_light_change_does_not_depend_on_the_sampling_rate():
    def dawn(rate: float) -> float:
        times = clock(20.0, rate=rate)
        return float(
            light_change(observations(times=times, luminance=np.interp(times, [9, 10], [0.3, 0.6])), 1.0).max()
        )

    assert dawn(8.0) == pytest.approx(dawn(4.0), abs=0.1)


def test_a_fall_is_a_relation_surprise():
    seen = observations([falling(1, seconds=12.0, at_s=6.0)])
    relations = extract_relations(seen)
    found = score(seen, relations)
    check(found, seen)
    assert leading(found) == "relation surprise"
    assert 5.0 <= found.times_s[found.scores.argmax()] <= 8.0
    assert score(seen, ()).scores.max() < 0.5


@pytest.mark.parametrize("name", sorted(PREDICATES))
def test_relations_count_by_severity_and_confidence(name):
    seen = quiet(seed=None)

    def peak(confidence: float) -> float:
        relation = Relation("R1", 1, name, 2, 20.0, 25.0, confidence)
        found = relation_surprise(seen, (relation,), 1.0)
        assert not found[:70].any() and not found[110:].any()
        return float(found.max())

    assert peak(0.0) == 0
    assert (peak(0.9) > 0) == (PREDICATES[name].severity > 0)
    assert peak(0.4) <= peak(0.9) < 1


def walkers(*paces: float) -> Observations:
    times = clock(8.0)
    tracks = [
        track(n + 1, times, standing(line(times, (50, 100 + 60 * n), (60 * pace, 0)), 60))
        for n, pace in enumerate(paces)
    ]
    return observations(tracks)


def test_haste_is_a_surprise_where_the_usual_pace_is_known():
    assert kinematic_surprise(walkers(1, 1, 1, 1, 1, 1), 1.0).max() < 0.1
    hasty = kinematic_surprise(walkers(0.5, 0.5, 0.5, 0.5, 0.5, 2.4), 1.0)
    assert 0.3 < hasty.max() <= 0.6
    assert not kinematic_surprise(walkers(0.5, 2.4), 1.0).any()


def test_a_moving_camera_and_shot_changes_say_little():
    still = score(burst(incoherence_max=0.8, speed_block_max=1.0, direction_entropy=0.9)).scores.max()
    panned = replace(burst(incoherence_max=0.8, speed_block_max=1.0, direction_entropy=0.9))
    motion = panned.motion.copy()
    motion[:, MOTION_CHANNELS.index("camera_speed")] = 0.5
    assert score(replace(panned, motion=motion)).scores.max() < 0.3 < still
    cut = burst(luminance=0.95)
    motion = cut.motion.copy()
    motion[[120, 128], MOTION_CHANNELS.index("cut")] = 0.9
    assert score(replace(cut, motion=motion)).scores.max() < 0.3


@pytest.mark.parametrize(
    "seen",
    [
        burst(incoherence_max=0.3, speed_block_max=1.0, direction_entropy=0.6),
        burst(cell_3=0.4),
        burst(luminance=0.62),
        walkers(0.5, 0.5, 0.5, 0.5, 0.5, 1.2),
        quiet(),
    ],
)
def test_sensitivity_never_lowers_a_score(seen):
    found = [score(seen, config=ScoringConfig(sensitivity=value)).scores for value in (0.0, 0.25, 0.5, 0.75, 1.0)]
    for lower, higher in pairwise(found):
        assert (higher >= lower - 1e-6).all()


def test_sensitivity_changes_something():
    seen = burst(cell_3=0.6)
    assert (
        score(seen, config=ScoringConfig(sensitivity=1)).scores.max()
        > score(seen, config=ScoringConfig(sensitivity=0)).scores.max()
    )


def test_level_is_half_at_its_scale_and_monotone():
    values = np.linspace(-1, 10, 200)
    levels = level(values, 0.7)
    assert level(np.array([0.7]), 0.7) == pytest.approx(0.5)
    assert (np.diff(levels) >= 0).all() and levels[0] == 0 and levels[-1] < 1


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 40), st.integers(0, 2**31), st.sampled_from([0.0, 1e-3, 1.0, 50.0, 1e6]))
def test_no_observations_give_nan(rows, seed, scale):
    random = np.random.default_rng(seed)
    times = np.cumsum(random.uniform(0.01, 2, rows))
    looks = random.normal(size=(rows, 8))
    base = observations(times=times, embeddings=looks / np.maximum(np.linalg.norm(looks, axis=1, keepdims=True), 1e-9))
    motion = (scale * np.abs(random.normal(size=base.motion.shape))).astype(np.float32)
    corners = random.uniform(-50, 1300, (rows, 2))
    boxes = np.concatenate([corners, corners + random.uniform(1, 1300, (rows, 2))], 1)
    tracks = (track(1, times, boxes), track(2, times[-1:], boxes[-1:], "car"))
    seen = replace(base, motion=motion, tracks=tracks)
    check(score(seen, extract_relations(seen)), seen)


def test_broken_numbers_are_refused_by_name():
    seen = quiet(10.0)
    motion = seen.motion.copy()
    motion[3, MOTION_CHANNELS.index("luminance")] = np.nan
    object.__setattr__(seen, "motion", motion)
    with pytest.raises(ScoreError, match="light change"):
        score(seen)


def test_scoring_hours_takes_seconds():
    seen = quiet(5000.0)
    assert len(seen) > 20_000
    began = time.process_time()
    found = score(seen)
    assert time.process_time() - began < 40
    assert found.scores.max() < 0.5


def test_scores_do_not_depend_on_the_frame_size_in_pixels():
    seen = observations([falling(1)])
    larger = replace(
        seen,
        frame_size=(FRAME[0] * 2, FRAME[1] * 2),
        tracks=tuple(
            replace(item, boxes=item.boxes * 2, keypoints=item.keypoints * np.array([2, 2, 1])) for item in seen.tracks
        ),
    )
    one, other = score(seen, extract_relations(seen)), score(larger, extract_relations(larger))
    assert one.scores == pytest.approx(other.scores, abs=1e-4)


def test_several_weak_signals_make_no_strong_one():
    weak = burst(luminance=0.65, incoherence_max=0.08, speed_block_max=0.6, direction_entropy=0.8)
    found = score(weak)
    alone = [
        score(burst(luminance=0.65)).scores.max(),
        score(burst(incoherence_max=0.08, speed_block_max=0.6, direction_entropy=0.8)).scores.max(),
    ]
    assert min(alone) > 0.1
    assert max(alone) <= found.scores.max() + 1e-3 < 1.25 * max(alone)


def test_unusual_motion_of_the_whole_picture_is_the_cameras():
    still = burst(cell_3=1.5)
    motion = still.motion.copy()
    motion[:, MOTION_CHANNELS.index("camera_speed")] = 0.5
    assert score(replace(still, motion=motion)).scores.max() < 0.5 * score(still).scores.max()
