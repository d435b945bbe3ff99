from __future__ import annotations

import numpy as np
import pytest

from tests.tracks import RATE, clock, line, standing
from vau.perception.tracking import Linker
from vau.types import Detection, Track

STILL = np.zeros(4, np.float32)
MOVES = np.array([1, 0, 0.5, 0.5], np.float32)


def sighting(box, label="person", confidence=0.8, keypoints=None) -> Detection:
    return Detection(label, confidence, np.array(box, np.float32), "test", keypoints)


def link(
    times: np.ndarray, *objects: dict[int, Detection], cuts: tuple[int, ...] = (), flow: np.ndarray = MOVES
) -> tuple[Track, ...]:
    """Links objects, each given as its detections by row of `times`."""
    linker = Linker(RATE)
    for row, time_s in enumerate(times.tolist()):
        if row in cuts:
            linker.cut()
        found = [item[row] for item in objects if row in item]
        linker.update(time_s, found, [flow] * len(found))
    return linker.tracks(times.tolist())


def walker(
    times: np.ndarray, start, pace, *, gap: range = range(0), label: str = "person", confidence: float = 0.8
) -> dict[int, Detection]:
    boxes = standing(line(times, start, pace))
    return {row: sighting(box, label, confidence) for row, box in enumerate(boxes) if row not in gap}


def test_one_walker_is_one_track_with_his_boxes():
    times = clock(5.0)
    (found,) = link(times, walker(times, (100, 400), (90, 0)))
    assert (found.track_id, found.label) == (1, "person")
    assert (found.start_s, found.end_s) == (0.0, 5.0)
    assert found.detected.all()
    assert found.boxes == pytest.approx(standing(line(times, (100, 400), (90, 0))), abs=0.01)
    assert found.flow[3] == pytest.approx(MOVES)
    assert found.confidence == pytest.approx(0.8, abs=0.02)


def test_a_runner_whose_boxes_hardly_overlap_is_one_track():
    times = clock(4.0)
    (found,) = link(times, walker(times, (100, 400), (220, 0)))
    assert len(found.times_s) == len(times)


def test_crossing_walkers_keep_their_identities():
    times = clock(8.0)
    first, second = walker(times, (100, 400), (100, 0)), walker(times, (900, 430), (-100, 0))
    found = link(times, first, second)
    assert len(found) == 2
    ways = sorted(float(track.boxes[-1, 0] - track.boxes[0, 0]) for track in found)
    assert ways == [pytest.approx(-800, abs=1), pytest.approx(800, abs=1)]


def test_a_gap_is_bridged_and_marked():
    times = clock(6.0)
    (found,) = link(times, walker(times, (100, 400), (40, 0), gap=range(10, 14)))
    assert len(found.times_s) == len(times)
    assert np.flatnonzero(~found.detected).tolist() == [10, 11, 12, 13]
    assert found.boxes == pytest.approx(standing(line(times, (100, 400), (40, 0))), abs=1)


def test_a_long_absence_is_not_bridged():
    times = clock(12.0)
    assert len(link(times, walker(times, (100, 400), (0, 0), gap=range(10, 38)))) == 2


def test_a_fall_that_flips_the_box_stays_one_track():
    times = clock(6.0)
    upright, flat = standing(np.array([[600.0, 500.0]]))[0], np.array([550, 462, 655, 500])
    person = {row: sighting(upright if row < 12 else flat) for row in range(len(times))}
    (found,) = link(times, person)
    assert len(found.times_s) == len(times)
    gone = {row: item for row, item in person.items() if row not in (12, 13)}
    assert len(link(times, gone)) == 1


def test_a_cut_ends_all_tracks():
    times = clock(6.0)
    found = link(times, walker(times, (100, 400), (20, 0)), walker(times, (600, 400), (20, 0)), cuts=(12,))
    assert [(track.start_s, track.end_s) for track in found] == [(0, 2.75), (0, 2.75), (3, 6), (3, 6)]


def test_two_sightings_are_no_track():
    times = clock(6.0)
    glimpse = {row: item for row, item in walker(times, (100, 400), (0, 0)).items() if row < 2}
    assert link(times, glimpse) == ()
    assert len(link(times, {row: item for row, item in walker(times, (100, 400), (0, 0)).items() if row < 4})) == 1


def test_a_clip_of_one_frame_may_hold_tracks():
    times = clock(0.0)
    (found,) = link(times, walker(times, (100, 400), (0, 0)))
    assert len(found.times_s) == 1


def test_nothing_gives_nothing():
    assert link(clock(3.0)) == ()
    assert Linker(RATE).tracks([]) == ()


def test_ids_count_in_order_of_appearance_across_families():
    times = clock(8.0)
    late = {row: item for row, item in walker(times, (100, 400), (20, 0)).items() if row >= 8}
    car = {row: item for row, item in walker(times, (600, 400), (20, 0), label="car").items() if row >= 4}
    found = link(times, late, car, walker(times, (900, 200), (0, 0), label="dog"))
    assert [(track.track_id, track.label) for track in found] == [(1, "dog"), (2, "car"), (3, "person")]


def test_the_label_is_voted_within_a_family():
    times = clock(5.0)
    boxes = standing(line(times, (100, 400), (40, 0)))
    wavering = {row: sighting(box, "truck" if row % 3 == 0 else "car") for row, box in enumerate(boxes)}
    (found,) = link(times, wavering)
    assert found.label == "car" and len(found.times_s) == len(times)


def test_a_person_and_a_car_at_one_place_are_two():
    times = clock(5.0)
    found = link(times, walker(times, (100, 400), (40, 0)), walker(times, (100, 400), (40, 0), label="car"))
    assert sorted(track.label for track in found) == ["car", "person"]


def test_the_order_of_detections_does_not_matter():
    times = clock(6.0)
    people = [walker(times, (100 + 150 * n, 400), (20, 0)) for n in range(4)]
    one, other = link(times, *people), link(times, *people[::-1])
    assert [track.boxes.tolist() for track in one] == [track.boxes.tolist() for track in other]


def test_two_runs_agree():
    times = clock(8.0)
    random = np.random.default_rng(0)
    people = []
    for n in range(6):
        boxes = standing(line(times, (100 + 60 * n, 400), (30 - 10 * n, 0)) + random.normal(0, 4, (len(times), 2)))
        people.append(
            {
                row: sighting(box, confidence=float(random.uniform(0.3, 0.9)))
                for row, box in enumerate(boxes)
                if random.random() > 0.2
            }
        )
    one, other = link(times, *people), link(times, *people)
    assert [repr(track) for track in one] == [repr(track) for track in other]
    assert all((a.boxes == b.boxes).all() for a, b in zip(one, other, strict=True))


def test_confidence_grows_with_sightings_and_their_quality():
    times = clock(5.0)

    def confidence(rows: int, each: float) -> float:
        person = walker(times, (100, 400), (40, 0), confidence=each)
        return link(times, {row: item for row, item in person.items() if row < rows})[0].confidence

    assert confidence(4, 0.8) < confidence(20, 0.8)
    assert confidence(20, 0.5) < confidence(20, 0.8)


def test_what_never_moves_and_has_no_pose_is_hardly_a_person():
    times = clock(5.0)
    post = walker(times, (100, 400), (0, 0))
    points = np.full((17, 3), 0.5, np.float32)
    posed = {row: sighting(item.box, keypoints=points) for row, item in post.items()}
    assert link(times, post, flow=STILL)[0].confidence < 0.5 * link(times, posed, flow=STILL)[0].confidence


def test_keypoints_stay_with_their_rows():
    times = clock(3.0)
    boxes = standing(line(times, (100, 400), (40, 0)))
    person = {
        row: sighting(box, keypoints=np.full((17, 3), 0.5, np.float32) if row in (2, 5) else None)
        for row, box in enumerate(boxes)
    }
    (found,) = link(times, person)
    assert found.keypoints is not None
    assert np.flatnonzero(found.keypoints[:, 0, 2]).tolist() == [2, 5]


def test_unevenly_sampled_times_are_linked():
    times = np.cumsum(np.random.default_rng(1).uniform(0.15, 0.45, 24))
    (found,) = link(times, walker(times, (100, 400), (60, 0), gap=range(8, 10)))
    assert found.times_s.tolist() == times.tolist()


def test_a_bag_where_a_person_was_last_seen_is_not_that_person():
    times = clock(8.0)
    person = {row: item for row, item in walker(times, (600, 400), (0, 0)).items() if row < 12}
    small = standing(np.tile([600.0, 400.0], (len(times), 1)), 30)
    thing = {row: sighting(box) for row, box in enumerate(small) if row >= 16}
    assert len(link(times, person, thing)) == 2
