from __future__ import annotations

import numpy as np
import pytest

from tests.tracks import clock, line, observations, standing, track
from vau.relations.extract import extract_relations


def found(tracks) -> dict[str, list]:
    result: dict[str, list] = {}
    for relation in extract_relations(observations(tracks)):
        result.setdefault(relation.predicate, []).append(relation)
    return result


def ring(seconds: float, radius: list[tuple[float, float]], people: int = 6):
    """Returns people around one place, whose distance from it goes through (time, pixels)."""
    times = clock(seconds)
    far = np.interp(times, *np.array(radius).T)
    tracks = []
    for index in range(people):
        angle = 2 * np.pi * index / people
        feet = np.stack([640 + far * np.cos(angle), 380 + 0.8 * far * np.sin(angle)], 1)
        tracks.append(track(index + 1, times, standing(feet, 60)))
    return tracks


def test_people_who_come_together_gather():
    seen = found(ring(16.0, [(0, 400), (3, 400), (8, 50), (16, 50)]))
    (gathering,) = seen["gathering"]
    assert 6 < gathering.start_s < 9
    assert gathering.end_s > 15
    assert "dispersing" not in seen


def test_people_who_come_together_slowly_gather():
    assert "gathering" in found(ring(16.0, [(0, 400), (8, 50), (16, 50)]))


@pytest.mark.parametrize("radius", [[(0, 50), (16, 50)], [(0, 400), (16, 380)]])
def test_people_who_stand_together_or_apart_do_not_gather(radius):
    assert not set(found(ring(16.0, radius))) & {"gathering", "dispersing"}


def test_two_or_three_people_are_no_crowd():
    assert "gathering" not in found(ring(16.0, [(0, 400), (8, 30), (16, 30)], people=3))


def test_people_who_run_apart_disperse():
    seen = found(ring(8.0, [(0, 40), (4, 40), (6, 400), (8, 400)]))
    (scatter,) = seen["dispersing"]
    assert 3.5 < scatter.start_s < 5.5
    assert "dispersing" not in found(ring(16.0, [(0, 40), (4, 40), (16, 400)]))


@pytest.mark.parametrize("together", [True, False])
def test_people_who_run_in_a_group_or_to_one_place_do_not_disperse(together):
    times = clock(4.0)
    if together:
        runners = [
            track(n + 1, times, standing(line(times, (100 + 50 * n, 400 + 40 * n), (150, 0)), 60)) for n in range(5)
        ]
        assert "dispersing" not in found(runners)
    assert "dispersing" not in found(ring(8.0, [(0, 400), (2, 400), (4, 50), (8, 50)]))


def stream(count: int, *, back: int):
    """Returns people who walk right past one place, one after another, and `back` of them left."""
    tracks = []
    for index in range(count):
        times = clock(6.0, start_s=2.0 * index)
        right = index >= back
        start = (300.0, 400.0 + 5 * index) if right else (840.0, 400.0)
        tracks.append(track(index + 1, times, standing(line(times, start, (90.0 if right else -90.0, 0.0)))))
    return tracks


def test_one_against_many_goes_against_the_flow():
    seen = found(stream(12, back=1))
    (against,) = seen["against the flow"]
    assert against.subject == 1


@pytest.mark.parametrize(("count", "back"), [(12, 0), (12, 6), (4, 1)])
def test_no_flow_no_going_against_it(count, back):
    assert "against the flow" not in found(stream(count, back=back))


def traffic(passing: int, stands: bool):
    tracks = []
    for index in range(passing):
        times = clock(4.0, start_s=2.5 * index)
        tracks.append(track(index + 2, times, standing(line(times, (100, 560), (300, 0)), 60, 120), "car"))
    times = clock(20.0)
    way = 100 + 250 * times
    feet = np.stack([np.minimum(way, 640) if stands else np.minimum(way, 5000), np.full(len(times), 500.0)], 1)
    inside = feet[:, 0] < 1280
    return [*tracks, track(1, times[inside], standing(feet[inside], 60, 120), "car")]


def test_a_car_that_stops_where_others_drive_is_stopped_on_the_road():
    (stopped,) = found(traffic(7, True))["stopped on the road"]
    assert stopped.subject == 1
    assert stopped.start_s < 5 and stopped.end_s > 18


def test_cars_that_drive_or_stand_alone_are_not_stopped_on_the_road():
    assert "stopped on the road" not in found(traffic(7, False))
    assert "stopped on the road" not in found(traffic(1, True))


def test_a_car_parked_from_the_first_is_not_stopped_on_the_road():
    tracks = traffic(7, True)
    parked = track(1, tracks[-1].times_s, np.tile(tracks[-1].boxes[-1], (len(tracks[-1].times_s), 1)), "car")
    assert "stopped on the road" not in found([*tracks[:-1], parked])


def test_one_who_crosses_a_flow_does_not_go_against_it():
    times = clock(6.0, start_s=8.0)
    crossing = track(99, times, standing(line(times, (560, 200), (0, 90))))
    assert "against the flow" not in found([*stream(12, back=0), crossing])
