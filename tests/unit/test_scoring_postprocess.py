from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vau.errors import ScoreError
from vau.scoring.postprocess import (
    LAVAD,
    VADTREE,
    VERA,
    Refinement,
    embedding_motion,
    motion_gate,
    on_track,
    refine,
    smooth,
)
from vau.types import ScoreTrack

HOWS = [LAVAD, VERA, VADTREE, Refinement(temperature=0.5, share=0.3, window_s=2.0, causal=True)]


def series(seed: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns scores, embeddings and irregular times."""
    random = np.random.default_rng(seed)
    return random.random(count), random.normal(size=(count, 5)), np.cumsum(random.uniform(0.05, 1.0, count))


sizes = st.integers(0, 70)
seeds = st.integers(0, 1000)


def test_refinement_by_hand() -> None:
    # The first two look alike, the third does not: K = 2 takes one's own score and the twin's, cos 1 and 0.8.
    embeddings = np.array([[1.0, 0.0], [0.8, 0.6], [-1.0, 0.0]])
    found = refine(np.array([1.0, 0.0, 0.5]), embeddings, np.arange(3.0), Refinement(temperature=0.1, neighbours=2))
    weight = 1 / (1 + np.exp(-2.0))
    assert found[:2] == pytest.approx([weight, 1 - weight])
    # Of the third, cosines are 1 with itself and -0.8 with the second.
    assert found[2] == pytest.approx(0.5 / (1 + np.exp(-18.0)))


def test_settings_are_those_of_the_papers() -> None:
    assert (LAVAD.neighbours, LAVAD.temperature) == (10, 1.0)
    assert (VERA.share, VERA.temperature) == (0.15, 0.1)
    assert (VADTREE.neighbours, VADTREE.temperature) == (10, 0.1)


@pytest.mark.parametrize("how", HOWS)
@settings(max_examples=40, deadline=None)
@given(seed=seeds, count=sizes)
def test_refinement_stays_in_bounds_and_keeps_constants(how: Refinement, seed: int, count: int) -> None:
    scores, embeddings, times = series(seed, count)
    found = refine(scores, embeddings, times, how)
    assert found.shape == scores.shape
    if count:
        assert scores.min() - 1e-12 <= found.min() and found.max() <= scores.max() + 1e-12
    assert refine(np.full(count, 0.3), embeddings, times, how) == pytest.approx(np.full(count, 0.3))


@pytest.mark.parametrize("how", HOWS)
def test_refinement_equals_the_formula(how: Refinement) -> None:
    scores, embeddings, times = series(4, 300)
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    found = refine(scores, embeddings, times, how)
    for i in (0, 5, 150, 299):
        near = np.abs(times - times[i]) <= how.window_s
        near &= times <= times[i] if how.causal else True
        rows = np.flatnonzero(near)
        count = how.neighbours or int(np.ceil(how.share * len(rows)))
        alike = units[rows] @ units[i]
        best = np.argsort(-alike)[:count]
        weights = np.exp(alike[best] / how.temperature)
        assert found[i] == pytest.approx((weights * scores[rows][best]).sum() / weights.sum())


@settings(max_examples=40, deadline=None)
@given(seed=seeds, count=st.integers(1, 60))
def test_without_window_the_order_of_moments_does_not_matter(seed: int, count: int) -> None:
    scores, embeddings, times = series(seed, count)
    order = np.random.default_rng(seed).permutation(count)
    found = refine(scores[order], embeddings[order], times, VERA)
    assert found == pytest.approx(refine(scores, embeddings, times, VERA)[order])


@settings(max_examples=40, deadline=None)
@given(seed=seeds, count=sizes, cut=sizes)
def test_causal_forms_do_not_see_the_future(seed: int, count: int, cut: int) -> None:
    scores, embeddings, times = series(seed, count)
    how = HOWS[-1]
    whole, part = refine(scores, embeddings, times, how), refine(scores[:cut], embeddings[:cut], times[:cut], how)
    assert part == pytest.approx(whole[:cut])
    whole, part = (smooth(scores[:n], times[:n], 0.7, causal=True) for n in (count, cut))
    assert part == pytest.approx(whole[:cut])


@settings(max_examples=60, deadline=None)
@given(seed=seeds, count=sizes, sigma_s=st.floats(0.01, 20), causal=st.booleans())
def test_smoothing_stays_in_bounds_and_keeps_constants(seed: int, count: int, sigma_s: float, causal: bool) -> None:
    scores, _, times = series(seed, count)
    found = smooth(scores, times, sigma_s, causal=causal)
    if count:
        assert scores.min() - 1e-12 <= found.min() and found.max() <= scores.max() + 1e-12
    assert smooth(np.full(count, 0.7), times, sigma_s, causal=causal) == pytest.approx(np.full(count, 0.7))


def test_smoothing_by_hand_and_against_scipy() -> None:
    pair = smooth(np.array([1.0, 0.0]), np.array([0.0, 2.0]), 2.0)
    weight = np.exp(-0.5)
    assert pair == pytest.approx([1 / (1 + weight), weight / (1 + weight)])
    assert smooth(np.array([1.0, 0.0]), np.array([0.0, 2.0]), 2.0, causal=True) == pytest.approx([1, pair[1]])
    from scipy.ndimage import gaussian_filter1d

    values = np.random.default_rng(0).random(400)
    expected = gaussian_filter1d(values, 8.0)[40:-40]
    assert smooth(values, np.arange(400) / 4, 2.0)[40:-40] == pytest.approx(expected, abs=1e-9)


def test_centred_smoothing_is_symmetric_in_time() -> None:
    scores, _, times = series(1, 40)
    back = smooth(scores[::-1], -times[::-1], 1.0)[::-1]
    assert back == pytest.approx(smooth(scores, times, 1.0))


def test_motion_of_embeddings() -> None:
    turns = np.array([0.0, 90.0, 180.0, 180.0, 180.0]) * np.pi / 180
    embeddings = 3 * np.stack([np.cos(turns), np.sin(turns)], 1)
    assert embedding_motion(embeddings) == pytest.approx([1, 2, 1, 0, 0], abs=1e-12)
    assert embedding_motion(np.zeros((3, 2))).tolist() == [0, 0, 0]
    assert embedding_motion(np.zeros((0, 2))).shape == (0,)


@given(seed=seeds, count=sizes)
def test_gate_only_lowers_and_more_motion_lowers_less(seed: int, count: int) -> None:
    scores, embeddings, _ = series(seed, count)
    motion = embedding_motion(embeddings)
    gated = motion_gate(scores, motion)
    assert ((gated >= 0) & (gated <= scores)).all()
    assert (motion_gate(scores, motion + 0.1) >= gated).all()


def test_gate_by_hand() -> None:
    found = motion_gate(np.ones(3), np.array([0.0, 0.02, 0.12]))
    assert found == pytest.approx([1 / (1 + np.exp(0.4)), 0.5, 1 / (1 + np.exp(-2))])
    assert motion_gate(np.ones((3, 2)), np.zeros(3)).shape == (3, 2)


def test_contributions_still_sum_to_the_score() -> None:
    random = np.random.default_rng(0)
    _, embeddings, times = series(0, 90)
    levels = (random.dirichlet([1, 1], 90) * random.random((90, 1))).astype(np.float32)
    track = ScoreTrack(times, levels.sum(1), "base", levels, ("a", "b"))
    for note, change in (
        ("refined", lambda values: refine(values, embeddings, times, VERA)),
        ("smoothed", lambda values: smooth(values, times, 1.0)),
        ("gated", lambda values: motion_gate(values, embedding_motion(embeddings))),
    ):
        found = on_track(track, change, note)
        assert found.scorer == f"base, {note}"
        assert found.contributions.sum(1) == pytest.approx(found.scores, abs=1e-5)
        assert found.scores == pytest.approx(change(track.scores.astype(float)), abs=1e-5)


@pytest.mark.parametrize(
    "call",
    [
        lambda: refine(np.ones(3), np.ones((2, 2)), np.arange(3.0), VERA),
        lambda: refine(np.array([np.nan]), np.ones((1, 2)), np.arange(1.0), VERA),
        lambda: smooth(np.ones(3), np.arange(2.0), 1.0),
        lambda: smooth(np.array([np.inf]), np.arange(1.0), 1.0),
        lambda: motion_gate(np.ones(2), np.ones(3)),
        lambda: motion_gate(np.ones(2), np.array([0.0, np.nan])),
    ],
)
def test_what_does_not_fit_is_refused(call) -> None:
    with pytest.raises(ScoreError):
        call()


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": 0.0, "neighbours": 3},
        {"temperature": 1.0},
        {"temperature": 1.0, "neighbours": 3, "share": 0.1},
        {"temperature": 1.0, "neighbours": 0},
        {"temperature": 1.0, "neighbours": 0, "share": 0.1},
        {"temperature": 1.0, "share": 1.5},
        {"temperature": float("nan"), "share": 0.5},
        {"temperature": 1.0, "share": 0.5, "window_s": -1.0},
    ],
)
def test_settings_out_of_range(wrong) -> None:
    with pytest.raises(ValueError, match=r"temperature|neighbours"):
        Refinement(**wrong)


def test_sigma_must_be_positive() -> None:
    with pytest.raises(ValueError, match="sigma_s"):
        smooth(np.ones(2), np.arange(2.0), 0.0)
