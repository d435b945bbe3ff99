from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from tests.tracks import FRAME, boxes_on, clock, falling, line, observations, standing, track
from vau.relations.extract import extract_relations, relation_changes
from vau.relations.vocabulary import PREDICATES
from vau.types import Observations, Relation, Track


def scene() -> Observations:
    """Returns a scene with a fall, a chase, a walk and a crash."""
    times = clock(8.0)
    way = np.minimum(50 + 330 * times[:17], 792)
    return observations(
        [
            falling(1),
            track(2, times[:13], standing(line(times[:13], (300, 300), (240, 0)))),
            track(3, times[:13], standing(line(times[:13], (150, 300), (240, 0)))),
            track(4, times, standing(line(times, (100, 690), (80, 0)))),
            track(5, times[:17], standing(np.stack([way, np.full(17, 600.0)], 1), 75, 150), "car"),
            track(6, times[:17], standing(np.tile([930.0, 600.0], (17, 1)), 75, 150), "car"),
        ]
    )


def moved(seen: Observations, by_s: float = 0.0, scale: float = 1.0) -> Observations:
    def one(item: Track) -> Track:
        points = None if item.keypoints is None else item.keypoints * np.array([scale, scale, 1.0])
        return replace(item, times_s=item.times_s + by_s, boxes=item.boxes * scale, keypoints=points)

    size = (round(FRAME[0] * scale), round(FRAME[1] * scale))
    return replace(
        seen,
        times_s=seen.times_s + by_s,
        tracks=tuple(map(one, seen.tracks)),
        frame_size=size,
        duration_s=seen.duration_s + by_s,
    )


def shape(relations: tuple[Relation, ...]) -> list[tuple]:
    return [
        (
            r.relation_id,
            r.subject,
            r.predicate,
            r.object,
            pytest.approx(r.start_s),
            pytest.approx(r.end_s),
            pytest.approx(r.confidence, abs=1e-3),
        )
        for r in relations
    ]


def test_the_scene_holds_what_was_put_there():
    found = {relation.predicate for relation in extract_relations(scene())}
    assert {"fell", "lying", "chasing", "running", "collided"} <= found


@pytest.mark.parametrize("scale", [0.5, 2.0, 3.0])
def test_relations_do_not_depend_on_the_size_of_the_picture(scale):
    plain = [
        (r.relation_id, r.subject, r.predicate, r.object, r.start_s, r.end_s, r.confidence)
        for r in extract_relations(scene())
    ]
    assert plain == shape(extract_relations(moved(scene(), scale=scale)))


def test_relations_move_with_time():
    plain, later = extract_relations(scene()), extract_relations(moved(scene(), by_s=100.0))
    assert [(r.subject, r.predicate, r.object, r.start_s + 100, r.end_s + 100) for r in plain] == [
        (r.subject, r.predicate, r.object, pytest.approx(r.start_s), pytest.approx(r.end_s)) for r in later
    ]


def test_relations_do_not_depend_on_the_sampling_rate():
    def at(rate: float) -> set[str]:
        times = clock(8.0, rate=rate)
        down = np.clip((times - 4) / 0.5, 0, 1)
        fall = track(1, times, boxes_on(line(times, (600, 500), (0, 0)), 40 + 65 * down, 100 - 62 * down))
        run = track(2, times, standing(line(times, (50, 300), (140, 0)), 60))
        return {relation.predicate for relation in extract_relations(observations([fall, run]))}

    assert at(4.0) == at(8.0) == {"fell", "lying", "running"}


def test_ids_count_in_order_of_beginning_and_every_predicate_is_known():
    seen = scene()
    relations = extract_relations(seen)
    assert [relation.relation_id for relation in relations] == [f"R{n}" for n in range(1, len(relations) + 1)]
    starts = [relation.start_s for relation in relations]
    assert starts == sorted(starts)
    ids = {item.track_id for item in seen.tracks}
    for relation in relations:
        predicate = PREDICATES[relation.predicate]
        assert relation.subject in ids
        assert (relation.object in ids) == predicate.binary
        assert 0 <= relation.start_s <= relation.end_s <= seen.duration_s


def test_two_runs_agree():
    assert extract_relations(scene()) == extract_relations(scene())


def test_nothing_comes_of_nothing():
    for seen in (observations(), observations(times=clock(4.0)), observations(times=clock(0.0))):
        assert extract_relations(seen) == ()
        assert relation_changes((), seen) == ()


def test_a_moving_camera_makes_nobody_fall_or_run():
    still = extract_relations(scene())
    panned = extract_relations(observations(scene().tracks, camera_speed=0.5))
    assert {"fell", "running", "lying"} <= {relation.predicate for relation in still}
    assert not {relation.predicate for relation in panned} & {"fell", "running", "lying"}
    assert max(relation.confidence for relation in panned) <= 0.5
    jerk = np.where(np.abs(clock(8.0) - 4.2) < 1, 0.5, 0.0)
    assert "fell" not in {
        relation.predicate for relation in extract_relations(observations(scene().tracks, camera_speed=jerk))
    }


def lying_twice() -> Observations:
    times = clock(12.0)
    knots = ([0, 5, 5.25, 5.5, 5.75, 12], [105, 105, 50, 50, 105, 105], [38, 38, 60, 60, 38, 38])
    boxes = boxes_on(
        line(times, (600, 500), (0, 0)), np.interp(times, knots[0], knots[1]), np.interp(times, knots[0], knots[2])
    )
    return observations([track(1, times, boxes)])


def test_pieces_of_one_relation_are_joined():
    relations = extract_relations(lying_twice())
    assert [(relation.predicate, relation.start_s, relation.end_s) for relation in relations] == [("lying", 0.0, 12.0)]


def test_measured_durations_fit_the_joined_relation():
    (lying,) = extract_relations(lying_twice())
    lasted = next(measure.value for measure in lying.measures if measure.name == "for")
    assert lasted == pytest.approx(lying.end_s - lying.start_s, abs=1.0)


def test_changes_come_in_time_order_and_point_to_relations():
    seen = scene()
    relations = extract_relations(seen)
    changes = relation_changes(relations, seen)
    assert [change.change_id for change in changes] == [f"C{n}" for n in range(1, len(changes) + 1)]
    times = [change.time_s for change in changes]
    assert times == sorted(times)
    named = {relation.relation_id: relation for relation in relations}
    assert {change.relation_id for change in changes} == set(named)
    for change in changes:
        relation = named[change.relation_id]
        assert change.time_s == (relation.start_s if change.kind == "begins" else relation.end_s)
        assert 0 <= change.sharpness <= relation.confidence
    for key, relation in named.items():
        kinds = sorted(change.kind for change in changes if change.relation_id == key)
        assert kinds == (["begins"] if PREDICATES[relation.predicate].momentary else ["begins", "ends"])


def test_a_change_at_the_first_appearance_is_less_sharp():
    times = clock(10.0)
    seen = observations([track(1, times, standing(line(times, (100, 500), (0, 0))))])
    within = Relation("R1", 1, "lying", None, 3.0, 6.0, 0.8)
    coming = Relation("R1", 1, "lying", None, 0.0, 10.0, 0.8)
    assert [change.sharpness for change in relation_changes((within,), seen)] == [0.8, 0.8]
    assert [change.sharpness for change in relation_changes((coming,), seen)] == [0.4, 0.4]


def test_there_is_an_upper_bound_to_what_is_kept():
    times = clock(3.0)
    crowd = [track(n + 1, times, standing(np.tile([200.0 + 3 * n, 500.0], (len(times), 1)))) for n in range(50)]
    assert len(extract_relations(observations(crowd))) <= 400


def passers(count: int) -> Observations:
    """Returns people of whom at most three are there at a time, however many there are."""
    tracks = []
    for index in range(count):
        times = clock(4.0, start_s=2.0 * index)
        tracks.append(track(index + 1, times, standing(line(times, (100, 400 + 60 * (index % 3)), (90, 0)))))
    return observations(tracks)


def seconds(seen: Observations) -> float:
    began = time.process_time()
    extract_relations(seen)
    return time.process_time() - began


def test_cost_grows_with_the_length_of_the_video():
    assert seconds(passers(320)) < 8 * seconds(passers(80))
