from __future__ import annotations

import numpy as np
import pytest

from tests.tracks import boxes_on, clock, falling, line, observations, standing, track
from vau.relations.extract import extract_relations
from vau.relations.single import spans


def found(*tracks, **channels) -> dict[str, list]:
    """Returns the relations of tracks by predicate."""
    result: dict[str, list] = {}
    for relation in extract_relations(observations(tracks, **channels)):
        result.setdefault(relation.predicate, []).append(relation)
    return result


def posture(seconds: float, knots: list[tuple[float, float, float]], **options):
    """Returns one person on the spot whose box goes through (time, width, height)."""
    times = clock(seconds)
    columns = np.array(knots).T
    wide, tall = (np.interp(times, columns[0], column) for column in columns[1:])
    return track(1, times, boxes_on(line(times, (600, 500), (0, 0)), wide, tall), **options)


def test_a_fall_is_found_once_at_its_time_and_the_person_lies_after_it():
    seen = found(falling(1, at_s=4.0))
    (fall,) = seen["fell"]
    assert fall.start_s <= 4.5 and fall.end_s >= 4.0
    assert fall.end_s - fall.start_s < 2.5
    assert fall.confidence > 0.6
    assert all(np.isfinite(measure.value) for measure in fall.measures)
    (lying,) = seen["lying"]
    assert lying.start_s == pytest.approx(4.4, abs=1.0)
    assert lying.end_s == pytest.approx(8.0, abs=0.6)


def test_a_fall_needs_a_body_that_the_pose_model_sees():
    seen = found(falling(1, posed=False))
    assert "fell" not in seen
    assert "lying" not in seen


@pytest.mark.parametrize(
    "knots",
    [
        pytest.param([(0, 40, 100), (3, 40, 100), (4, 60, 62), (5, 40, 100), (8, 40, 100)], id="bends down and rises"),
        pytest.param([(0, 40, 100), (3, 40, 100), (4, 55, 70), (8, 55, 70)], id="sits down"),
        pytest.param([(0, 40, 100), (3, 40, 100), (4, 50, 60), (8, 50, 60)], id="squats"),
        pytest.param([(0, 40, 100), (3, 40, 100), (4, 60, 62), (8, 60, 62)], id="sits on the ground"),
        pytest.param([(0, 40, 100), (8, 40, 100)], id="stands"),
        pytest.param([(0, 40, 100), (3, 40, 100), (3.5, 90, 100), (4, 40, 100), (8, 40, 100)], id="spreads the arms"),
        pytest.param([(0, 105, 40), (8, 105, 40)], id="lies all the time"),
        pytest.param([(0, 105, 40), (3, 105, 40), (4, 40, 100), (8, 40, 100)], id="gets up"),
    ],
)
def test_other_postures_are_no_fall(knots):
    assert "fell" not in found(posture(8.0, knots))


def test_lying_all_the_time_is_lying_and_no_more():
    seen = found(posture(8.0, [(0, 105, 40), (8, 105, 40)]))
    assert set(seen) == {"lying"}
    assert seen["lying"][0].end_s - seen["lying"][0].start_s > 6


def test_two_falls_of_one_person_are_two():
    knots = [
        (0, 40, 100),
        (4, 40, 100),
        (4.5, 105, 38),
        (9, 105, 38),
        (10, 40, 100),
        (15, 40, 100),
        (15.5, 105, 38),
        (20, 105, 38),
    ]
    falls = found(posture(20.0, knots))["fell"]
    assert [round(fall.start_s) for fall in falls] == [pytest.approx(4, abs=1), pytest.approx(15, abs=1)]


def test_a_track_that_goes_over_to_a_thing_on_the_floor_is_no_fall():
    times = clock(8.0)
    far = times >= 4
    feet = np.where(far[:, None], (800.0, 500.0), (500.0, 500.0))
    boxes = boxes_on(feet, np.where(far, 105.0, 40.0), np.where(far, 38.0, 100.0))
    assert "fell" not in found(track(1, times, boxes))


@pytest.mark.parametrize(("pace", "runs"), [(0.5, False), (0.9, False), (1.2, False), (2.5, True), (3.5, True)])
def test_running_is_told_from_walking(pace, runs):
    times = clock(3.0)
    seen = found(track(1, times, standing(line(times, (100, 500), (100 * pace, 0)))))
    assert ("running" in seen) == runs
    if runs:
        (run,) = seen["running"]
        assert run.end_s - run.start_s > 2
        assert next(m.value for m in run.measures if m.name == "pace") == pytest.approx(pace, rel=0.15)


def test_a_box_that_jumps_to_and_fro_does_not_run():
    times = clock(8.0)
    feet = line(times, (600, 500), (0, 0)) + np.where(np.arange(len(times)) % 2, 30, -30)[:, None] * np.array([1, 0])
    assert not found(track(1, times, standing(feet)))


def test_a_box_that_slides_without_its_pixels_does_not_run():
    times = clock(3.0)
    slid = track(1, times, standing(line(times, (100, 500), (250, 0))))
    still = np.zeros_like(slid.flow)
    assert "running" not in found(type(slid)(1, "person", 0.9, times, slid.boxes, slid.detected, still, slid.keypoints))


def test_cars_do_not_run_fall_or_loiter():
    times = clock(40.0)
    assert not found(track(1, times, standing(line(times, (100, 500), (0, 0)), wide=200), "car"))
    times = clock(3.0)
    assert not found(track(1, times, standing(line(times, (100, 500), (400, 0)), wide=200), "car"))


def test_loitering_needs_a_long_stay_at_one_place():
    def person(seconds, pace):
        times = clock(seconds)
        return track(1, times, standing(line(times, (100, 500), (pace, 0))))

    assert set(found(person(40.0, 2.0))) == {"loitering"}
    assert "loitering" not in found(person(10.0, 2.0))
    assert "loitering" not in found(person(40.0, 25.0))


def owner_and_suitcase(leave_s: float):
    """Returns a person who brings a suitcase, stands beside it from 4 s and leaves at `leave_s`."""
    times = clock(30.0)
    x = np.interp(times, [0, 4, leave_s, leave_s + 8], [100, 500, 500, 1250])
    person = np.stack([x, np.full(len(x), 500.0)], 1)
    case = np.stack([np.minimum(x, 500) + 35, np.full(len(x), 500.0)], 1)
    return track(1, times, standing(person)), track(2, times, standing(case, 40, 30), "suitcase")


def test_a_suitcase_whose_owner_goes_is_left_behind():
    seen = found(*owner_and_suitcase(8.0))
    (left,) = seen["left behind"]
    assert left.subject == 2
    assert left.end_s > 25


def test_a_suitcase_that_moves_with_its_owner_is_carried():
    (carried,) = found(*owner_and_suitcase(8.0))["carrying"]
    assert (carried.subject, carried.object) == (1, 2)
    assert carried.start_s < 1.5 and carried.end_s == pytest.approx(4, abs=1)


def test_a_suitcase_beside_its_owner_is_not_left_behind():
    assert "left behind" not in found(*owner_and_suitcase(40.0))


def test_a_moving_suitcase_is_not_left_behind():
    times = clock(20.0)
    assert "left behind" not in found(track(1, times, standing(line(times, (100, 500), (40, 0)), 40, 30), "suitcase"))


def test_spans_gives_runs_that_last():
    times = clock(3.0)
    mask = np.isin(np.arange(13), [0, 1, 4, 5, 6, 7, 12])
    assert list(spans(mask, times, 0.0)) == [(0, 1), (4, 7), (12, 12)]
    assert list(spans(mask, times, 0.75)) == [(4, 7)]
    assert list(spans(np.zeros(13, bool), times, 0.0)) == []
    assert list(spans(np.zeros(0, bool), times[:0], 0.0)) == []


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_tracks_of_few_rows_are_measured(rows):
    times = clock(8.0)[:rows]
    boxes = standing(line(times, (100, 500), (100, 0)))
    seen = found(track(1, times, boxes), track(2, times, boxes), track(3, times, boxes, "car"))
    assert set(seen) <= {"in contact"}
