"""Event boundaries: planted changes are found, noise is not, and segments partition the video."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vau.config import EventsConfig, RecipeConfig
from vau.events import segment
from vau.events.change import discontinuity
from vau.events.features import node_features, robust_scale
from vau.types import Detections, Observations

CHANNELS = (*(f"speed_{i}" for i in range(4)), *(f"direction_{i}" for i in range(8)), "luminance")
RATE = 4.0


def observe(embeddings, motion, rate=RATE, duration_s=None, channels=CHANNELS):
    count = len(embeddings)
    return Observations(
        times_s=np.arange(count) / rate,
        embeddings=embeddings,
        motion=motion,
        motion_channels=channels,
        tracks=(),
        detections=Detections.of([()] * count),
        frame_size=(640, 480),
        duration_s=count / rate if duration_s is None else duration_s,
    )


def planted(seed, *, count=400, cuts=4, jump=0.3, noise=0.3):
    """A video whose scene changes at known times; its frames are 512-d embeddings and motion, both noisy."""
    rng = np.random.default_rng(seed)
    gap = int(5 * RATE)
    slack = np.sort(rng.integers(0, count - gap * (cuts + 1), cuts))
    places = slack + gap * np.arange(1, cuts + 1)
    scene = np.searchsorted(places, np.arange(count), side="right")
    unit = rng.standard_normal((cuts + 2, 512))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    embeddings = unit[-1] + jump * unit[scene] + noise * rng.standard_normal((count, 512)) / np.sqrt(512)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    level = 0.1 * np.exp(0.5 * rng.standard_normal((cuts + 1, len(CHANNELS))))
    motion = level[scene] * np.exp(0.3 * rng.standard_normal((count, len(CHANNELS))))
    return observe(embeddings, motion), (places - 0.5) / RATE


def found_at(observations, config=None):
    return segment(observations, config or EventsConfig()).edges_s[1:-1]


def test_planted_changes_are_found_where_they_are():
    hits = found = true = 0
    offsets = []
    for seed in range(8):
        observations, cuts = planted(seed)
        edges = found_at(observations)
        near = [edges[np.abs(edges - cut).argmin()] - cut for cut in cuts if len(edges)]
        offsets += [offset for offset in near if abs(offset) <= 1]
        hits, found, true = hits + sum(abs(o) <= 1 for o in near), found + len(edges), true + len(cuts)
    assert 2 * hits / (found + true) >= 0.9
    assert abs(np.mean(offsets)) < 0.05, "boundaries must not lag or lead"


def test_window_finds_what_neighbouring_frames_do_not():
    faint = [planted(seed, noise=0.5) for seed in range(4)]
    single = sum(len(found_at(o, EventsConfig(recipe=RecipeConfig(scales="frames")))) for o, _ in faint)
    wide = sum(len(found_at(o)) for o, _ in faint)
    assert wide >= 14 and single <= wide / 2


def test_stationary_noise_has_no_boundary():
    quiet = sum(len(segment(planted(seed, cuts=0)[0], EventsConfig())) == 1 for seed in range(20))
    assert quiet >= 18


def test_still_picture_with_sensor_noise_has_no_boundary():
    rng = np.random.default_rng(0)
    embeddings = np.ones((200, 64)) / 8 + 1e-4 * rng.standard_normal((200, 64))
    motion = 1e-4 * np.abs(rng.standard_normal((200, len(CHANNELS))))
    motion[100:] *= 2
    assert len(segment(observe(embeddings, motion), EventsConfig())) == 1


def test_motion_alone_makes_a_boundary():
    rng = np.random.default_rng(0)
    embeddings = np.tile(np.eye(1, 64), (240, 1))
    motion = np.abs(0.02 + 0.002 * rng.standard_normal((240, len(CHANNELS))))
    motion[120:] *= 20
    edges = found_at(observe(embeddings, motion))
    assert len(edges) == 1 and abs(edges[0] - 119.5 / RATE) < 0.3


def test_quickly_following_shots_are_told_apart():
    rng = np.random.default_rng(1)
    shots = rng.standard_normal((5, 256))
    embeddings = np.repeat(shots, 10, axis=0) + 0.3 * rng.standard_normal((50, 256))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    edges = found_at(observe(embeddings, np.zeros((50, len(CHANNELS)))))
    assert np.allclose(edges, np.array([9.5, 19.5, 29.5, 39.5]) / RATE)


def test_the_strongest_of_close_boundaries_is_kept():
    rng = np.random.default_rng(2)
    a, b = np.eye(2, 64)
    embeddings = np.tile(a, (200, 1))
    embeddings[98:] = 0.95 * a + 0.31 * b
    embeddings[102:] = b
    embeddings = embeddings + 0.01 * rng.standard_normal((200, 64))
    edges = found_at(observe(embeddings, np.zeros((200, len(CHANNELS)))))
    assert np.allclose(edges, [101.5 / RATE])


def test_strength_grows_with_the_change():
    weak, strong = (segment(planted(3, cuts=1, jump=jump)[0], EventsConfig()).strengths[1] for jump in (0.25, 0.6))
    assert 0.5 <= weak < strong < 1


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 10])
def test_short_videos_are_one_segment_of_their_length(count):
    rng = np.random.default_rng(count)
    for motion in (np.zeros((count, len(CHANNELS))), np.abs(rng.standard_normal((count, len(CHANNELS))))):
        segments = segment(observe(np.ones((count, 8)) / np.sqrt(8), motion), EventsConfig())
        assert segments.edges_s[0] == 0 and segments.edges_s[-1] == max(count / RATE, 1e-3)
    constant = segment(observe(np.zeros((count, 8)), np.zeros((count, len(CHANNELS)))), EventsConfig())
    assert len(constant) == 1


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(0, 80),
    scale=st.sampled_from([0.0, 1e-6, 0.01, 1.0, 100.0]),
    propagation=st.sampled_from([0.0, 0.5]),
)
def test_segments_partition_any_video(seed, count, scale, propagation):
    rng = np.random.default_rng(seed)
    times = np.cumsum(rng.uniform(0.01, 1.0, count))
    steps = np.cumsum(scale * rng.standard_normal((count, 6)) * (rng.random((count, 1)) < 0.1), axis=0)
    embeddings = steps + 1e-3
    motion = scale * np.abs(rng.standard_normal((count, 2)))
    duration = float(times[-1]) + 0.1 if count else 3.0
    observations = Observations(
        times, embeddings, motion, ("speed_a", "b"), (), Detections.of([()] * count), (8, 8), duration
    )
    config = EventsConfig(propagation=propagation, min_segment_s=1.0)
    segments = segment(observations, config)
    assert segments.edges_s[0] == 0 and segments.edges_s[-1] == duration
    assert (np.diff(segments.edges_s[1:-1]) >= 1.0 - 1e-6).all()
    middles = (times[:-1] + times[1:]) / 2
    assert np.isin(segments.edges_s[1:-1], middles).all()
    assert segments.strengths[0] == segments.strengths[-1] == 0
    assert ((segments.strengths[1:-1] > 0) & (segments.strengths[1:-1] < 1)).all()
    again = segment(observations, config)
    assert np.array_equal(again.edges_s, segments.edges_s)


def test_discontinuity_of_neighbours_is_the_composite_of_the_paper():
    features = np.random.default_rng(0).standard_normal((30, 12)).astype(np.float32)
    before, after = features[:-1].astype(np.float64), features[1:].astype(np.float64)
    cosine = (before * after).sum(1) / np.linalg.norm(before, axis=1) / np.linalg.norm(after, axis=1)
    assert np.allclose(discontinuity(features, 1), ((after - before) ** 2).sum(1) + 1 - cosine)


def test_discontinuity_does_not_depend_on_blocks(monkeypatch):
    features = np.random.default_rng(0).standard_normal((100, 12)).astype(np.float32)
    whole = discontinuity(features, 4)
    monkeypatch.setattr("vau.events.change._BLOCK", 7)
    assert np.allclose(discontinuity(features, 4), whole)


def test_motion_channels_are_chosen_by_name_and_bounded():
    rng = np.random.default_rng(0)
    motion = np.abs(rng.standard_normal((50, len(CHANNELS))))
    motion[10] = 1e6
    features = node_features(observe(np.eye(50), motion), 0.8)
    assert features.motion.shape == (50, 12), "luminance is no motion"
    assert np.linalg.norm(features.motion, axis=1).max() <= 3
    other = observe(np.eye(50), motion, channels=tuple(f"x{i}" for i in range(len(CHANNELS))))
    assert node_features(other, 0.8).motion.shape == (50, len(CHANNELS)), "all, where no name fits"


def test_scaling_leaves_noise_small_and_keeps_rare_bursts():
    noise = 1e-5 * np.abs(np.random.default_rng(0).standard_normal((100, 3)))
    assert np.abs(robust_scale(noise)).max() < 0.2
    burst = np.zeros((100, 1))
    burst[40:42] = 1.0
    scaled = robust_scale(burst)
    assert scaled[41, 0] > 2 and not scaled[:40].any()


def test_time_is_linear_in_length():
    rng = np.random.default_rng(0)
    observations = observe(rng.standard_normal((20_000, 256)), np.abs(rng.standard_normal((20_000, len(CHANNELS)))))
    started = time.process_time()
    segment(observations, EventsConfig())
    assert time.process_time() - started < 10
