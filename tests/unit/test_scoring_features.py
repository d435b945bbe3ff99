from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tracks import clock, falling, line, observations, standing, track
from vau.errors import InputError
from vau.perception.motion import MOTION_CHANNELS
from vau.scoring.features import (
    MOTION,
    PARTS,
    SIGNAL_COLUMNS,
    frame_parts,
    motion_columns,
    snippet_features,
    width,
    window_rows,
    windowed,
)
from vau.scoring.people import PEOPLE, people_columns


def lively(seconds: float = 10.0, seed: int = 0):
    """Returns a scene with noise in all channels and two people."""
    times = clock(seconds)
    walker = track(1, times, standing(line(times, (300.0, 400.0), (20.0, 0.0))))
    base = observations([walker, falling(2, seconds)], times=times)
    random = np.random.default_rng(seed)
    motion = np.abs(random.normal(0.1, 0.05, base.motion.shape)).astype(np.float32)
    motion[0] = 0
    return replace(base, motion=motion)


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 9])
@pytest.mark.parametrize("window_s", [0.0, 2.0])
def test_every_length_gives_finite_features_of_the_stated_width(rows, window_s):
    seen = observations(times=clock(10.0)[:rows])
    for part in PARTS:
        found = snippet_features(seen, [part], window_s=window_s)
        assert found.shape == (rows, width(part, 8, window_s)) and found.dtype == np.float32
        assert np.isfinite(found).all()


def test_parts_stand_side_by_side_in_the_order_that_is_asked_for():
    seen = lively()
    found = snippet_features(seen, ("signals", "motion"))
    assert found.shape == (len(seen), len(SIGNAL_COLUMNS) + len(MOTION))
    assert (found[:, len(SIGNAL_COLUMNS) :] == motion_columns(seen)).all()
    assert list(frame_parts(seen, ("pose", "embedding"))) == ["pose", "embedding"]


@pytest.mark.parametrize("parts", [(), ("sound",), ("motion", "Motion")])
def test_unknown_parts_are_refused(parts):
    with pytest.raises(InputError, match="choose from"):
        snippet_features(lively(), parts)


def test_the_first_frame_without_flow_takes_that_of_the_second():
    found = motion_columns(lively())
    assert (found[0] == found[1]).all()


def test_features_do_not_change_when_the_picture_is_mirrored():
    seen = lively()
    motion = seen.motion.copy()
    at = {name: index for index, name in enumerate(MOTION_CHANNELS)}
    left, right = [at[f"cell_{i}"] for i in range(24)], [at[f"cell_{6 * (i // 6) + 5 - i % 6}"] for i in range(24)]
    motion[:, left] = seen.motion[:, right]
    motion[:, at["incoherence_x"]] = 1 - seen.motion[:, at["incoherence_x"]]
    # Sector i spans [-180 + 45 i, -135 + 45 i] degrees; mirrored in x it becomes sector (3 - i) modulo 8.
    for i in range(8):
        motion[:, at[f"direction_{i}"]] = seen.motion[:, at[f"direction_{(3 - i) % 8}"]]
    assert motion_columns(replace(seen, motion=motion)) == pytest.approx(motion_columns(seen), abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(rows=st.integers(1, 40), window_s=st.floats(0.1, 20), seed=st.integers(0, 99))
def test_windows_hold_what_a_plain_loop_finds(rows, window_s, seed):
    values = np.random.default_rng(seed).normal(size=(rows, 3)).astype(np.float32)
    times = np.arange(rows) / 4
    found = windowed("motion", values, times, window_s)
    first = min(1, rows - 1)
    length = min(window_rows(times, window_s), rows - first)
    for row in range(rows):
        start = int(np.clip(row - length // 2, first, rows - length))
        inside = values[start : start + length]
        wanted = [inside.mean(0), *np.quantile(inside, [0.1, 0.9], axis=0), inside.std(0)]
        assert found[row] == pytest.approx(np.concatenate(wanted), abs=1e-5)


def test_a_clip_shorter_than_the_window_reads_the_same_everywhere():
    found = snippet_features(lively(1.5), ("motion", "signals", "pose"), window_s=2.0)
    assert (found == found[0]).all()


def test_windows_of_a_long_video_are_made_in_chunks():
    values = np.random.default_rng(0).normal(size=(9000, 2)).astype(np.float32)
    found = windowed("motion", values, np.arange(9000) / 4, 2.0)
    assert found[5000] == pytest.approx(windowed("motion", values[4000:6000], np.arange(2000) / 4, 2.0)[1000])


def test_nobody_is_a_scene_without_people():
    empty = people_columns(observations(times=clock(3.0)))
    assert empty.shape == (13, len(PEOPLE)) and (empty == empty[0]).all() and empty[0, 0] == 0


def test_people_who_are_near_and_move_read_higher():
    times = clock(4.0)
    still = track(1, times, standing(line(times, (300.0, 400.0), (0.0, 0.0))))
    far = track(2, times, standing(line(times, (900.0, 400.0), (0.0, 0.0))))
    near = track(2, times, standing(line(times, (320.0, 400.0), (0.0, 0.0))), parts=2.0)
    column = {name: index for index, name in enumerate(PEOPLE)}
    apart, close = (people_columns(observations([still, other]))[5] for other in (far, near))
    assert close[column["distance of the nearest pair"]] < apart[column["distance of the nearest pair"]]
    assert close[column["overlap of a pair"]] > 0 == apart[column["overlap of a pair"]]
    assert close[column["greatest motion of body parts"]] > apart[column["greatest motion of body parts"]]
    assert close[0] == apart[0] == pytest.approx(np.log(3))
