from __future__ import annotations

import numpy as np
import pytest

from tests.tracks import clock, line, observations, standing, track
from vau.relations.extract import extract_relations


def found(*tracks, **channels) -> dict[str, list]:
    result: dict[str, list] = {}
    for relation in extract_relations(observations(tracks, **channels)):
        result.setdefault(relation.predicate, []).append(relation)
    return result


def walker(track_id: int, times: np.ndarray, start: tuple[float, float], pace: tuple[float, float], **options):
    return track(track_id, times, standing(line(times, start, pace)), **options)


def car(track_id: int, times: np.ndarray, x: np.ndarray | float, foot: float, wide: float = 200.0):
    feet = np.stack([np.broadcast_to(x, times.shape), np.full(len(times), foot)], 1)
    return track(track_id, times, standing(feet, wide / 2, wide), "car")


def test_a_chase_has_the_one_behind_as_its_subject():
    times = clock(4.0)
    front, back = walker(1, times, (300, 500), (240, 0)), walker(2, times, (150, 500), (240, 0))
    seen = found(front, back)
    (chase,) = seen["chasing"]
    assert (chase.subject, chase.object) == (2, 1)
    assert "following" not in seen
    assert {relation.subject for relation in seen["running"]} == {1, 2}


def test_a_chase_to_the_left_or_downwards_is_one_too():
    times = clock(3.0)
    for pace, behind in (((-240, 0), (150, 0)), ((0, 200), (0, -150)), ((-170, 170), (100, -100))):
        start = np.array((800, 200))
        seen = found(walker(1, times, tuple(start), pace), walker(2, times, tuple(start + behind), pace))
        (chase,) = seen["chasing"]
        assert chase.subject == 2, pace


@pytest.mark.parametrize(
    ("second", "pace"),
    [
        pytest.param((300, 120), (240, 0), id="far apart"),
        pytest.param((1200, 500), (-240, 0), id="towards each other"),
        pytest.param((150, 500), (90, 0), id="one walks"),
        pytest.param((150, 500), (0, 0), id="one stands"),
    ],
)
def test_two_who_run_are_not_always_a_chase(second, pace):
    times = clock(3.0)
    assert "chasing" not in found(walker(1, times, (300, 640), (240, 0)), walker(2, times, second, pace))


def test_joggers_side_by_side_do_not_chase():
    times = clock(3.0)
    assert "chasing" not in found(walker(1, times, (300, 500), (240, 0)), walker(2, times, (305, 590), (240, 0)))


def test_following_is_walking_behind():
    times = clock(8.0)
    seen = found(walker(1, times, (300, 500), (90, 0)), walker(2, times, (180, 500), (90, 0)))
    (following,) = seen["following"]
    assert (following.subject, following.object) == (2, 1)
    assert "chasing" not in seen


def test_an_approach_has_the_mover_as_its_subject():
    times = clock(5.0)
    seen = found(walker(1, times, (700, 500), (0, 0)), walker(2, times, (150, 500), (90, 0)))
    (approach,) = seen["approaching"]
    assert (approach.subject, approach.object) == (2, 1)
    assert "chasing" not in seen and "following" not in seen


def test_walking_away_is_no_approach():
    times = clock(5.0)
    assert not found(walker(1, times, (700, 500), (0, 0)), walker(2, times, (550, 500), (-90, 0)))


def test_near_needs_time_and_closeness():
    times = clock(5.0)
    standing_at = walker(1, times, (700, 500), (0, 0))
    assert "near" in found(standing_at, walker(2, times, (770, 500), (0, 0)))
    assert "near" not in found(standing_at, walker(2, times, (950, 500), (0, 0)))
    assert "near" not in found(standing_at, walker(2, times, (100, 520), (240, 0)))


def test_overlap_without_a_common_ground_line_is_no_contact():
    times = clock(5.0)
    near = track(1, times, standing(line(times, (600, 700), (0, 0)), 400))
    far = track(2, times, standing(line(times, (600, 500), (0, 0)), 300))
    assert not set(found(near, far)) & {"in contact", "fighting", "hit"}
    beside = track(2, times, standing(line(times, (700, 700), (0, 0)), 400))
    assert "in contact" in found(near, beside)


def test_a_car_that_passes_far_behind_a_person_does_not_hit_him():
    times = clock(5.0)
    near = track(1, times, standing(line(times, (600, 700), (0, 0)), 300))
    passing = car(2, times, 100 + 220 * times, 500, wide=300)
    assert not set(found(near, passing)) & {"hit", "collided", "in contact"}


def crash(stop: bool, foot: float = 500.0):
    """Returns a car that drives into a standing one at about 2 s and stops there, or drives on in front of it."""
    times = clock(4.0)
    way = 50 + 330 * times
    moving = car(1, times, np.minimum(way, 792) if stop else way, foot, 150.0)
    return moving, car(2, times, 930.0, 500.0, 150.0)


def test_a_car_that_drives_into_another_collides():
    (collision,) = found(*crash(True))["collided"]
    assert (collision.subject, collision.object) == (1, 2)
    assert collision.start_s == pytest.approx(2.2, abs=0.6)
    assert collision.end_s - collision.start_s < 1.5


def test_a_car_that_drives_past_does_not_collide():
    assert not set(found(*crash(False, foot=520.0))) & {"collided", "hit"}


def test_a_car_that_parks_behind_another_does_not_collide():
    times = clock(8.0)
    coming = np.interp(times, [0, 1, 2, 3, 4, 5, 6, 8], [100, 320, 500, 600, 650, 670, 680, 680])
    assert not set(found(car(1, times, coming, 500.0), car(2, times, 880.0, 500.0))) & {"collided", "hit"}


def brawlers(parts: float, apart: float = 60.0):
    times = clock(6.0)
    return [walker(n, times, (600 + n * apart, 500), (0, 0), parts=parts, spread=0.9) for n in (1, 2)]


def test_two_whose_limbs_fly_at_arms_length_fight():
    (fight,) = found(*brawlers(1.6))["fighting"]
    assert {fight.subject, fight.object} == {1, 2}
    assert fight.confidence > 0.5


def test_calm_or_distant_people_do_not_fight():
    assert "fighting" not in found(*brawlers(0.2))
    assert "fighting" not in found(*brawlers(1.6, apart=300.0))


def churning():
    """Returns motion channels of violent motion between the two brawlers."""
    return {
        "incoherence_max": 0.8,
        "speed_block_max": 1.0,
        "direction_entropy": 0.95,
        "incoherence_x": 690 / 1280,
        "incoherence_y": 450 / 720,
    }


def test_violent_motion_where_two_people_are_is_a_fight():
    (fight,) = found(*brawlers(0.1), **churning())["fighting"]
    assert (fight.subject, fight.object) == (None, None)  # boxes pass from one to another in a brawl
    assert "fighting" not in found(brawlers(0.1)[0], **churning())
    assert "fighting" not in found(*brawlers(0.1, apart=-250.0), **churning())


def test_one_fight_seen_in_two_ways_is_one_relation():
    assert len(found(*brawlers(1.6), **churning())["fighting"]) == 1


def test_one_fight_seen_in_two_ways_is_one_relation_whoever_takes_longer_part():
    times = clock(8.0)
    first = walker(1, times[:21], (660, 500), (0, 0), parts=1.6, spread=0.9)
    second = walker(2, times, (720, 500), (0, 0), parts=1.6, spread=0.9)
    third = walker(3, times[13:], (620, 480), (0, 0))
    fights = found(first, second, third, **churning())["fighting"]
    assert len({frozenset((fight.subject, fight.object)) for fight in fights}) == len(fights)


def test_a_rider_and_his_bicycle_are_one():
    times = clock(4.0)
    person = walker(1, times, (100, 500), (200, 0))
    bicycle = track(2, times, standing(line(times, (100, 510), (200, 0)), 60, 90), "bicycle")
    seen = found(person, bicycle)
    (ride,) = seen["riding"]
    assert (ride.subject, ride.object) == (1, 2)
    assert not set(seen) & {"hit", "collided"}


def test_a_parked_bicycle_is_not_ridden():
    times = clock(4.0)
    bicycle = track(2, times, standing(line(times, (500, 500), (0, 0)), 60, 90), "bicycle")
    assert "riding" not in found(walker(1, times, (100, 500), (200, 0)), bicycle)
    assert "riding" not in found(walker(1, times, (500, 500), (0, 0)), bicycle)


def test_order_of_tracks_does_not_matter():
    pair = list(crash(True))
    assert found(*pair).keys() == found(*pair[::-1]).keys()
    assert found(*pair[::-1])["collided"][0].subject == 1


def test_a_rider_does_not_run():
    times = clock(4.0)
    person = walker(1, times, (100, 500), (240, 0))
    bicycle = track(2, times, standing(line(times, (100, 510), (240, 0)), 60, 90), "bicycle")
    seen = found(person, bicycle)
    assert "riding" in seen
    assert "running" not in seen


def test_a_car_that_turns_away_in_front_of_another_does_not_collide():
    times = clock(4.0)
    way = 330 * times
    feet = np.stack([50 + np.minimum(way, 742), 500 - np.maximum(way - 742, 0)], 1)
    turning = track(1, times, standing(feet, 75, 150), "car")
    assert not set(found(turning, car(2, times, 930.0, 500.0, 150.0))) & {"collided", "hit"}
