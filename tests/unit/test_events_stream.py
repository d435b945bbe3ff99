"""A stream is segmented the same however it is cut into chunks, within the stated delay and in bounded memory."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from vau.config import EventsConfig, RecipeConfig
from vau.errors import ConfigError
from vau.events import Boundary, Segmenter, segment_causal
from vau.events.change import scales_of
from vau.events.features import NodeFeatures, fixed_scale, fuse, signed_root
from vau.events.graph import CausalBand, edge_weights, random_maps
from vau.events.running import Tail
from vau.types import Detections, Observations

CHANNELS = ("speed_mean", "direction_0", "direction_entropy", "luminance")
RATE = 4.0


def scenes(seed: int, count: int, *, channels: int = len(CHANNELS), dim: int = 16) -> Observations:
    """A video of scenes of random length, with noise, bursts of motion and uneven times."""
    rng = np.random.default_rng(seed)
    scene = np.cumsum(rng.random(count) < 0.04)
    units = rng.standard_normal((count + 1, dim))
    embeddings = units[scene] + 0.3 * rng.standard_normal((count, dim))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    motion = np.abs(0.05 * rng.standard_normal((count, channels))) * (1 + 20 * (rng.random((count, 1)) < 0.05))
    times = np.cumsum(rng.uniform(0.8, 1.2, count)) / RATE
    duration = float(times[-1]) + 0.2 if count else 1.0
    return Observations(
        times, embeddings, motion, CHANNELS[:channels], (), Detections.of([()] * count), (64, 48), duration
    )


def stream(observations: Observations, sizes: list[int], config: EventsConfig) -> list[Boundary]:
    """What a segmenter says that is given chunks of these sizes, over and over."""
    segmenter = Segmenter(config, observations.motion_channels, rate=RATE)
    found: list[Boundary] = []
    start = turn = 0
    while start < len(observations):
        part = slice(start, start + sizes[turn % len(sizes)])
        found += segmenter.push(observations.times_s[part], observations.embeddings[part], observations.motion[part])
        start, turn = part.stop, turn + 1
    return [*found, *segmenter.finish(observations.duration_s)]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    count=st.integers(0, 150),
    sizes=st.lists(st.integers(0, 40), min_size=1, max_size=8).filter(any),
    propagation=st.sampled_from([0.0, 0.5]),
)
def test_chunks_do_not_matter(seed: int, count: int, sizes: list[int], propagation: float) -> None:
    observations, config = scenes(seed, count), EventsConfig(propagation=propagation)
    whole = stream(observations, [max(count, 1)], config)
    assert stream(observations, sizes, config) == whole, "to the last bit"
    times = [item.time_s for item in whole]
    assert (np.diff(times) >= config.min_segment_s - 1e-5).all()
    middles = (observations.times_s[:-1] + observations.times_s[1:]) / 2
    assert np.isin(times, middles).all()
    assert all(0 < item.strength < 1 for item in whole)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 9, 40, 400])
def test_whole_videos_are_partitioned(count: int) -> None:
    observations = scenes(1, count)
    segments = segment_causal(observations, EventsConfig())
    assert segments.edges_s[0] == 0 and segments.edges_s[-1] == observations.duration_s
    assert np.array_equal(segment_causal(observations, EventsConfig()).edges_s, segments.edges_s)
    assert len(segments) > (count == 400) * 4


def causal_reference(observations: Observations, config: EventsConfig, ahead: int) -> list[float]:
    """The same boundaries from whole arrays, by plain loops; no graph."""
    root = signed_root(observations.motion[:, :2])
    rows = fuse(observations.embeddings, fixed_scale(root), config.alpha).astype(np.float64)
    gaps = len(rows) - 1
    excesses = []
    for scale in scales_of(1 / RATE, config):
        data, half = (root if scale.motion else rows).astype(np.float64), scale.half
        change = np.zeros(gaps)
        for g in range(gaps):
            before, after = data[max(g + 1 - half, 0) : g + 1], data[g + 1 : g + 1 + half]
            a, b = before.mean(0), after.mean(0)
            change[g] = ((a - b) ** 2).sum()
            if not scale.motion:
                change[g] += 1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b)
            change[g] *= 2 * len(before) * len(after) / (half * (len(before) + len(after)))
        radius = 0 if half == 1 else max(1, round(half * 0.5))
        kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / (half * 0.25)) ** 2)
        smooth = np.convolve(np.pad(change, radius, mode="edge"), kernel / kernel.sum(), mode="valid")
        after_n = min(ahead - half - radius, scale.background // 2)
        before_n = scale.background - after_n
        ratio = np.array(
            [
                (smooth[g] + 1e-3) / (np.median(smooth[max(g - before_n, 0) : g + after_n + 1]) + 1e-3)
                for g in range(gaps)
            ]
        )
        excess = np.zeros(gaps)
        for g in range(gaps):
            # The threshold is that of the hop in which the gap is measured.
            hop_end = min((max(g + ahead, 3) // 4 + 1) * 4 - ahead, gaps) if g + ahead < len(rows) // 4 * 4 else gaps
            seen = ratio[max(hop_end - 1200, 0) : hop_end]
            centre = np.median(seen)
            spread = np.median(np.abs(seen - centre)) * 1.4826
            excess[g] = (ratio[g] - centre) / max(config.deviations * spread, config.min_ratio - centre)
        excesses.append(excess)
    picture = np.max(excesses[:2], axis=0)
    times = (observations.times_s[:-1] + observations.times_s[1:]) / 2
    found = []
    for signal, echo in ((picture, 0.0), (excesses[2], 3 * config.window_s)):
        best = signal.copy()
        best[(times < config.window_s / 2) | (times > observations.duration_s - config.window_s / 2)] = -1
        for g in np.flatnonzero(best >= 1):
            near = np.abs(times - times[g]) < config.min_segment_s - 1e-6
            left, right = best[:g][near[:g]], best[g + 1 :][near[g + 1 :]]
            clear = all(len(side) == 0 or best[g] - side.min() >= 0.5 for side in (left, right))
            clear &= not (picture[np.abs(times - times[g]) < echo] >= 1).any()
            if clear and (left < best[g]).all() and (right <= best[g]).all():
                found.append(float(times[g]))
    return sorted(found)


@pytest.mark.parametrize("seed", range(6))
def test_stream_equals_plain_arrays(seed: int) -> None:
    observations, config = scenes(seed, 203), EventsConfig(propagation=0.0)
    ahead = 16  # frames: 8 of motion's window, 4 of its smoothing, 4 beyond
    expected = causal_reference(observations, config, ahead)
    assert len(expected) > 3
    assert [item.time_s for item in stream(observations, [7], config)] == expected


def test_every_boundary_comes_within_the_stated_delay() -> None:
    observations = scenes(3, 800)
    segmenter = Segmenter(EventsConfig(), CHANNELS, rate=RATE)
    worst, certain = 0.0, 0.0
    for row in range(len(observations)):
        part = slice(row, row + 1)
        found = segmenter.push(observations.times_s[part], observations.embeddings[part], observations.motion[part])
        for item in found:
            worst = max(worst, float(observations.times_s[row]) - item.time_s)
            assert certain < item.time_s <= segmenter.certain_s
        certain = segmenter.certain_s
    assert 0 < worst <= segmenter.delay_s * 1.2  # frames come unevenly, by a fifth
    assert segmenter.delay_s == pytest.approx(8.0)


def test_memory_does_not_grow() -> None:
    segmenter = Segmenter(EventsConfig(background_s=5.0), CHANNELS, rate=RATE)

    def size() -> int:
        seen: set[int] = set()

        def of(item: object) -> int:
            if id(item) in seen:
                return 0
            seen.add(id(item))
            if isinstance(item, np.ndarray):
                return item.nbytes
            inside = list(vars(item).values()) if hasattr(item, "__dict__") and not isinstance(item, type) else []
            inside += list(item) if isinstance(item, list | tuple) else []
            return sys.getsizeof(item) + sum(map(of, inside))

        return of(segmenter)

    observations = scenes(5, 1500)
    sizes = []
    for turn in range(6):
        times = observations.times_s + turn * 400
        segmenter.push(times, observations.embeddings, observations.motion)
        sizes.append(size())
    assert max(sizes[2:]) <= 1.1 * sizes[1]


def test_what_cannot_be_used_is_refused_and_changes_nothing() -> None:
    observations = scenes(7, 120)
    plain = stream(observations, [120], EventsConfig())
    segmenter = Segmenter(EventsConfig(), CHANNELS, rate=RATE)
    times, seen, moved = observations.times_s, observations.embeddings, observations.motion
    found = list(segmenter.push(times[:61], seen[:61], moved[:61]))
    bad = np.full((2, 16), np.nan)
    for chunk in (
        (times[50:52], seen[50:52], moved[50:52]),
        (times[61:63], bad, moved[61:63]),
        (times[61:63], seen[61:63, :9], moved[61:63]),
        (times[61:63], seen[61:64], moved[61:63]),
        (times[61:63], seen[61:63], moved[61:63, :2]),
        (times[61:63][::-1], seen[61:63], moved[61:63]),
    ):
        with pytest.raises(ValueError):
            segmenter.push(*chunk)
    found += segmenter.push(times[61:], seen[61:], moved[61:])
    assert [*found, *segmenter.finish(observations.duration_s)] == plain
    with pytest.raises(ValueError, match="finished"):
        segmenter.push(times[:0], seen[:0], moved[:0])
    with pytest.raises(ValueError, match="once"):
        segmenter.finish(1.0)


@pytest.mark.parametrize("rate", [0.0, -1.0, np.inf, np.nan])
def test_rate_must_be_a_rate(rate: float) -> None:
    with pytest.raises(ConfigError, match="rate"):
        Segmenter(EventsConfig(), CHANNELS, rate=rate)


def test_another_recipe_is_refused() -> None:
    with pytest.raises(ConfigError, match="default recipe"):
        Segmenter(EventsConfig(recipe=RecipeConfig(motion="mean")), CHANNELS, rate=RATE)


def test_causal_band_is_the_graph_of_earlier_nodes() -> None:
    rng = np.random.default_rng(0)
    count, config = 60, EventsConfig(neighbours=3)
    semantic = rng.random((count, 12)).astype(np.float32)
    semantic /= np.linalg.norm(semantic, axis=1, keepdims=True)
    motion = rng.random((count, 4)).astype(np.float32)
    times = np.arange(count) / RATE
    features = NodeFeatures(times, semantic, motion, config.alpha)
    fused = features.fused()
    band = CausalBand(config, width=5)
    parts = [slice(start, start + 7) for start in range(0, count, 7)]
    mixed = np.concatenate([band.mix(times[p], semantic[p], motion[p], fused[p]) for p in parts])
    query, key, signs = random_maps(16)
    weights = edge_weights(features, slice(0, count), slice(0, count), config.decay)
    for row in range(1, count):
        near = np.arange(max(row - 5, 0), row)
        best = near[np.argsort(-weights[row, near], kind="stable")][:3]
        logits = (fused[row] @ query) @ (fused[best] @ key).T / 4 + np.log(weights[row, best])
        attention = np.exp(logits - logits.max())
        mean = attention @ fused[best] / attention.sum()
        assert np.linalg.norm(mixed[row] - fused[row]) == pytest.approx(0.5 * np.linalg.norm(mean), rel=1e-4)
    assert np.linalg.norm(mixed[0] - fused[0]) == pytest.approx(0.5 * np.linalg.norm(fused[0]), rel=1e-4)
    assert signs.shape == (16,)


def test_tail_is_addressed_by_place() -> None:
    tail = Tail()
    values: NDArray[np.float64] = np.arange(10.0)
    tail.append(values[:4])
    tail.forget(3)
    tail.append(values[4:])
    assert (tail.start, tail.stop) == (3, 10) and tail.between(3, 6).tolist() == [3, 4, 5]
    tail.forget(12)
    assert tail.start == tail.stop == 10
