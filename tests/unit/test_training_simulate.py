"""The scene simulator: scripts, twins, tracks and relations agree with each other, and everything can be repeated."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vau.relations.extract import extract_relations
from vau.relations.vocabulary import PREDICATES
from vau.training.simulate.camera import Camera
from vau.training.simulate.course import Course
from vau.training.simulate.questions import PARTS, questions
from vau.training.simulate.scene import Scene, SimulationError, simulate
from vau.training.simulate.tracks import VISIBLE, observations, relations, tracks
from vau.training.simulate.world import MAIN_COLOURS, SCRIPTS, Zone, distance

scripts = st.sampled_from(SCRIPTS)
seeds = st.integers(0, 10_000)


def acting(scene: Scene) -> np.ndarray:
    """Paces of those who act while they go somewhere, until the happening is over."""
    told = scene.happening
    paces = []
    for number in told.actors:
        motion = scene.actor(number).motion
        speed = motion.speed(scene.rate)
        until = np.arange(len(speed)) / scene.rate < min(told.end_s, told.start_s + 4.0)
        paces.append(speed[motion.present & until & (speed > 0.75)])
    return np.concatenate(paces)


@settings(max_examples=25, deadline=None)
@given(script=scripts, seed=seeds, normal=st.booleans())
def test_same_arguments_same_scene(script, seed, normal):
    first, second = (simulate(script, seed, normal=normal) for _ in range(2))
    assert first.happening == second.happening and first.camera == second.camera and first.stage == second.stage
    for one, other in zip(first.actors, second.actors, strict=True):
        np.testing.assert_array_equal(one.motion.at, other.motion.at)
        np.testing.assert_array_equal(one.motion.posture, other.motion.posture)


@settings(max_examples=25, deadline=None)
@given(script=scripts, seed=seeds, normal=st.booleans(), size=st.sampled_from([(320, 240), (448, 252), (160, 120)]))
def test_boxes_lie_in_the_frame_and_lasting_tracks_know_their_rows(script, seed, normal, size):
    scene = simulate(script, seed, normal=normal, size=size)
    for track in tracks(scene):
        x0, y0, x1, y1 = track.boxes.T
        assert (x0 >= 0).all() and (y0 >= 0).all() and (x1 <= size[0]).all() and (y1 <= size[1]).all()
        assert (x1 > x0).all() and (y1 > y0).all()
        assert np.isin(np.round(track.times_s * scene.rate), np.arange(scene.frame_count)).all()
        assert track.end_s < scene.duration_s
        if track.keypoints is not None:
            seen = track.keypoints[..., 2] > 0
            inside = (track.keypoints[..., 0] >= x0[:, None] - 2) & (track.keypoints[..., 0] <= x1[:, None] + 2)
            assert inside[seen].all()


@settings(max_examples=30, deadline=None)
@given(script=scripts, seed=seeds, normal=st.booleans())
def test_relations_hold_in_the_world(script, seed, normal):
    scene = simulate(script, seed, normal=normal)
    seen = {track.track_id: track for track in tracks(scene)}
    times = np.arange(scene.frame_count) / scene.rate
    for relation in relations(scene):
        predicate = PREDICATES[relation.predicate]
        assert predicate.binary == (relation.object is not None)
        assert relation.subject in seen
        assert seen[relation.subject].start_s <= relation.start_s <= relation.end_s <= seen[relation.subject].end_s
        during = (times >= relation.start_s) & (times <= relation.end_s)
        actor = scene.actor(relation.subject)
        if relation.predicate in ("fighting", "hit", "near"):
            apart = distance(actor, scene.actor(relation.object))[during]
            assert apart.min() < {"fighting": 1.3, "hit": 3.2, "near": 1.5}[relation.predicate]
        if relation.predicate == "lying" and during.any():
            assert (actor.motion.pitch[during] > 1.0).all()
        if relation.predicate == "left behind":
            assert np.ptp(actor.motion.at[during], axis=0).max(initial=0) < 1e-6


@pytest.mark.parametrize("script", SCRIPTS)
def test_twins_move_alike_and_mean_something_else(script):
    for seed in range(6):
        scene, twin = simulate(script, seed), simulate(script, seed, normal=True)
        assert scene.happening.abnormal and not twin.happening.abnormal
        assert scene.happening.label == script and twin.happening.label == "normal"
        assert len(scene.events) == 1 and scene.events[0].label == script and twin.events == ()
        assert scene.camera == twin.camera and scene.weather == twin.weather
        assert scene.happening.why != twin.happening.why
        severe = {"hit", "collided", "fell", "fighting", "chasing", "left behind", "loitering", "dispersing"}
        assert not severe & {relation.predicate for relation in relations(twin)}
        paces = [float(np.quantile(acting(item), 0.9)) for item in (scene, twin)]
        assert paces[1] == pytest.approx(paces[0], rel=0.3), (script, seed)


def test_sparring_is_as_wild_as_a_fight_while_it_lasts():
    churn = []
    for normal in (False, True):
        values = []
        for seed in range(5):
            scene = simulate("fight", seed, normal=normal)
            told = scene.happening
            for track in tracks(scene)[:2]:
                during = (track.times_s > told.start_s + 0.2) & (track.times_s < told.end_s - 0.9)
                values.append(float(np.median(track.flow[during, 2])))
        churn.append(float(np.median(values)))
    assert churn[1] == pytest.approx(churn[0], rel=0.15)


@pytest.mark.parametrize(
    ("script", "predicate", "least"),
    [
        ("road accident", "hit", 3),
        ("fight", "fell", 4),
        ("fall", "fell", 4),
        ("loitering", "loitering", 4),
        ("wrong way", "against the flow", 4),
    ],
)
def test_extraction_recognises_what_is_staged(script, predicate, least):
    found = 0
    for seed in range(5):
        scene = simulate(script, seed)
        told = scene.happening
        found += any(
            relation.predicate == predicate
            and relation.start_s <= told.end_s + 1
            and relation.end_s >= told.start_s - 1
            for relation in extract_relations(observations(scene))
        )
    assert found >= least


@settings(max_examples=25, deadline=None)
@given(script=scripts, seed=seeds, normal=st.booleans())
def test_questions_are_answered_by_the_truth(script, seed, normal):
    scene = simulate(script, seed, normal=normal)
    told = scene.happening
    assert 0 <= told.start_s < told.end_s <= scene.duration_s
    asked = {question.kind: question for question in questions(scene)}
    assert asked["class"].answer == ("normal" if normal else script)
    assert asked["abnormal"].answer == ("no" if normal else "yes")
    assert asked["when"].answer == f"from {told.start_s:.1f} s to {told.end_s:.1f} s"
    third = PARTS.index(asked["part"].answer)
    assert third / 3 <= told.start_s / scene.duration_s <= (third + 1) / 3
    counts = {q.text: int(q.answer) for q in questions(scene) if q.kind == "how many"}
    assert sum(counts.values()) == len(tracks(scene))
    if "colour" in asked:
        assert asked["colour"].answer in MAIN_COLOURS and asked["colour"].answer in told.what + asked["who"].answer
    assert all(question.answer for question in questions(scene))


def test_main_actors_are_seen_while_it_happens():
    for script in SCRIPTS:
        for normal in (False, True):
            for seed in range(4):
                scene = simulate(script, seed, normal=normal)
                told = scene.happening
                lead = next((track for track in tracks(scene) if track.track_id == told.actors[0]), None)
                seen = any(
                    ((track.times_s >= told.start_s - 0.3) & (track.times_s <= told.end_s)).any()
                    for track in tracks(scene)
                    if track.track_id in told.actors
                )
                assert lead is not None and seen, (script, normal, seed)


def test_a_projected_point_lands_where_the_pinhole_says():
    camera = Camera(height_m=3.0, tilt_deg=45.0, view_deg=90.0, size=(200, 100))
    pixel, depth = camera.project(np.array([0.0, 3.0, 0.0]))
    np.testing.assert_allclose(pixel, [100, 50], atol=1e-9)  # straight ahead of a camera tilted by 45 degrees
    assert depth == pytest.approx(3 * np.sqrt(2))
    right, _ = camera.project(np.array([1.0, 3.0, 0.0]))
    assert right[0] == pytest.approx(100 + 100 / (3 * np.sqrt(2)))
    behind, _ = camera.project(np.array([0.0, -9.0, 0.0]))
    assert np.isnan(behind).all()


def test_a_course_keeps_its_pace_and_comes_and_goes():
    course = Course(10.0, (0.0, 0.0), start_s=1.0).go((3.0, 0.0), 1.5).fall(0.5)
    motion = course.motion(60, stays=False)
    assert course.now_s == pytest.approx(3.5)
    assert not motion.present[:10].any() and motion.present[10:36].all() and not motion.present[36:].any()
    assert np.median(motion.speed(10.0)[12:28]) == pytest.approx(1.5)
    assert motion.pitch[35] == pytest.approx(np.pi / 2)


def test_zones_hold_what_lies_in_them():
    zone = Zone("restricted area", ((0, 0), (2, 0), (2, 1), (0, 1)))
    assert zone.holds(1.0, 0.5) and not zone.holds(3.0, 0.5) and not zone.holds(1.0, 2.0)
    for seed in range(5):
        scene = simulate("intrusion", seed)
        area = scene.stage.zone("restricted area")
        motion = scene.actor(scene.happening.actors[0]).motion
        inside = np.array([area.holds(*at) for at in motion.at]) & motion.present
        entered_s = np.flatnonzero(inside)[0] / scene.rate
        assert entered_s == pytest.approx(scene.happening.start_s, abs=0.5)


@pytest.mark.parametrize(
    "wrong", [{"script": "flood"}, {"weather": "fog"}, {"rate": 1.0}, {"duration_s": 3.0}, {"duration_s": float("nan")}]
)
def test_impossible_scenes_are_refused(wrong):
    with pytest.raises(SimulationError):
        simulate(**{"script": "fall", **wrong})


def test_visibility_rule_is_a_share():
    assert 0 < VISIBLE < 1
