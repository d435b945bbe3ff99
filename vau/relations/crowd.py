"""What many tracks do together, and what one does against the many.

Gathering, dispersing, against the flow, stopped on the road, and luggage left behind by all.

All need a number of tracks to stand on and stay silent below it. Thresholds are ours.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

import numpy as np

from vau.perception.fusion import LUGGAGE, PERSON, VEHICLES
from vau.relations.kinematics import Motion
from vau.relations.single import RUNNING, spans
from vau.types import Float64, Measure, Relation

_CROWD = 4
_NEAR = 2.0  # body heights
_FLOW_TRACKS = 8
_FLOW_S = 120.0  # how far back and ahead the flow is looked at
_COMING_S = 4.0
_LEFT_S = 10.0
_ALONE = 1.5  # body heights to the nearest person
_STOP_S = 5.0
_ROAD_TRACKS = 4


def crowd_relations(motions: list[Motion], times_s: Float64) -> Iterator[Relation]:
    """Yields relations of groups, without ids.

    Args:
        motions: all tracks.
        times_s: (N,) times of the sampled frames.
    """
    people = [motion for motion in motions if motion.track.label == PERSON and motion.track.confidence >= 0.4]
    vehicles = [motion for motion in motions if motion.track.label in VEHICLES and motion.track.confidence >= 0.4]
    yield from _gatherings(people, times_s)
    yield from _scattering(people, times_s)
    for kind in (people, vehicles):
        yield from _against(kind)
    yield from _stopped(vehicles)
    luggage = [motion for motion in motions if motion.track.label in LUGGAGE]
    yield from _left_behind(luggage, people)


def _presence(people: list[Motion], times_s: Float64) -> list[list[tuple[Motion, int]]]:
    """Returns, a sampled time, who is there and at which row of his track."""
    present: list[list[tuple[Motion, int]]] = [[] for _ in times_s]
    for motion in people:
        for row, place in enumerate(np.searchsorted(times_s, motion.times_s)):
            if place < len(present):
                present[place].append((motion, row))
    return present


def _company(states: list[tuple[Motion, int]]) -> list[Motion]:
    """Returns the largest group within reach of one person, that person first."""
    best: list[Motion] = []
    for motion, row in states:
        reach = _NEAR * motion.size[row]
        others = [
            other
            for other, at in states
            if other is not motion and np.hypot(*(other.foot[at] - motion.foot[row])) <= reach
        ]
        if len(others) >= len(best):
            best = [motion, *others]
    return best


def _gatherings(people: list[Motion], times_s: Float64) -> Iterator[Relation]:
    if len(people) < _CROWD:
        return
    groups = [_company(states) for states in _presence(people, times_s)]
    sizes = np.array([len(group) for group in groups])
    for first, last in spans(sizes >= _CROWD, times_s, 3.0):
        if not _came_together(groups[first], float(times_s[first])):
            continue
        centre = groups[first][0]
        yield centre.relation(
            "gathering",
            float(times_s[first]),
            min(float(times_s[last]), centre.track.end_s),
            0.4 * centre.track.confidence,
            Measure("people together", float(sizes[first : last + 1].max()), ""),
        )


def _came_together(group: list[Motion], time_s: float) -> bool:
    """Says whether most of a group were seen clearly farther apart some seconds before.

    People who only pass behind each other in the picture, or are counted anew, have not gathered.
    """
    before_s = time_s - _COMING_S
    known = [motion for motion in group if motion.track.start_s <= before_s]
    return len(known) >= max(3, len(group) / 2) and _width(known, before_s) > 1.5 * _width(known, time_s)


def _width(people: list[Motion], time_s: float) -> float:
    """Returns the mean distance of people from their middle at a time, in body heights."""
    places = np.array([motion.foot[motion.at(time_s)] / np.median(motion.size) for motion in people])
    return float(np.hypot(*(places - places.mean(axis=0)).T).mean())


def _scattering(people: list[Motion], times_s: Float64) -> Iterator[Relation]:
    """Yields dispersing: several people run at the same time."""
    if len(people) < _CROWD:
        return
    paces = [motion.displacement(0.75) for motion in people]
    running = np.zeros(len(times_s), int)
    present = np.zeros(len(times_s), int)
    for motion, pace in zip(people, paces, strict=True):
        rows = np.searchsorted(times_s, motion.times_s)
        rows = rows[rows < len(times_s)]
        running[rows] += pace[: len(rows)] > 0.8 * RUNNING
        present[rows] += 1
    mask = (running >= 3) & (running >= 0.5 * present)
    for first, last in spans(mask, times_s, 0.7):
        middle_s = float(times_s[(first + last) // 2])
        runners = [
            motion
            for motion, pace in zip(people, paces, strict=True)
            if motion.track.start_s <= middle_s <= motion.track.end_s and pace[motion.at(middle_s)] > 0.8 * RUNNING
        ]
        if len(runners) < 2 or not _spreads(runners, float(times_s[first]), float(times_s[last])):
            continue
        lead = max(runners, key=lambda motion: motion.track.confidence)
        share = float((running / np.maximum(present, 1))[first : last + 1].mean())
        yield lead.relation(
            "dispersing",
            float(times_s[first]),
            float(times_s[last]),
            min(1.0, share) * lead.track.confidence,
            Measure("people running at once", float(running[first : last + 1].max()), ""),
        )


def _spreads(runners: list[Motion], start_s: float, end_s: float) -> bool:
    """Says whether people are clearly farther from each other at the end of a span than at its beginning."""
    return _width(runners, end_s) > 1.25 * _width(runners, start_s) + 0.1


def _left_behind(luggage: list[Motion], people: list[Motion]) -> Iterator[Relation]:
    """Yields luggage that lies still for long while nobody is near it."""
    for motion in luggage:
        attended = np.zeros(len(motion.times_s), bool)
        for person in people:
            _, rows, others = np.intersect1d(motion.times_s, person.times_s, return_indices=True)
            away = np.hypot(*(motion.foot[rows] - person.foot[others]).T) / person.size[others]
            attended[rows] |= away < _ALONE
        for first, last in spans((motion.displacement(1.0) < 0.1) & ~attended, motion.times_s, _LEFT_S):
            yield motion.relation(
                "left behind",
                float(motion.times_s[first]),
                float(motion.times_s[last]),
                motion.track.confidence,
                Measure("unattended for", float(motion.times_s[last] - motion.times_s[first]), "s"),
            )


def _heading(motion: Motion) -> tuple[Float64, float]:
    """Returns the unit direction of a track from its first to its last place, and the way in body sizes."""
    way = motion.centre[-1] - motion.centre[0]
    length = float(np.hypot(*way))
    return way / max(length, 1e-9), length / float(np.median(motion.size))


def _against(kind: list[Motion]) -> Iterator[Relation]:
    """Yields tracks that go against nearly all others that pass the same place."""
    moving = [(motion, *_heading(motion)) for motion in kind]
    moving = [item for item in moving if item[2] >= 2.0]
    if len(moving) < _FLOW_TRACKS:
        return
    moving.sort(key=lambda item: item[0].track.start_s)
    starts = [item[0].track.start_s for item in moving]
    for motion, heading, way in moving:
        place = motion.centre.mean(axis=0)
        reach = 3.0 * float(np.median(motion.size))
        first = bisect_right(starts, motion.track.start_s - _FLOW_S)
        last = bisect_left(starts, motion.track.start_s + _FLOW_S)
        neighbours = [
            other_heading
            for other, other_heading, _ in moving[first:last]
            if other is not motion and np.hypot(*(other.centre - place).T).min() < reach
        ]
        if len(neighbours) < _FLOW_TRACKS - 1:
            continue
        cosines = np.array([float(heading @ other) for other in neighbours])
        if (cosines < -0.7).mean() >= 0.9:
            yield motion.relation(
                "against the flow",
                motion.track.start_s,
                motion.track.end_s,
                0.7 * motion.track.confidence,
                Measure("others going the other way", float(len(neighbours)), ""),
                Measure("way", way, "body sizes"),
            )


def _stopped(vehicles: list[Motion]) -> Iterator[Relation]:
    """Yields vehicles that were driving and then stand where other vehicles drive past."""
    for motion in vehicles:
        pace = motion.displacement(1.0)
        driven = np.maximum.accumulate(pace) > 0.6
        for first, last in spans((pace < 0.08) & driven, motion.times_s, _STOP_S):
            place, size = motion.centre[first], float(motion.size[first])
            passing = sum(
                bool(np.hypot(*(other.centre - place).T).min() < 2.0 * size) and _heading(other)[1] > 2.0
                for other in vehicles
                if other is not motion
            )
            if passing >= _ROAD_TRACKS:
                yield motion.relation(
                    "stopped on the road",
                    float(motion.times_s[first]),
                    float(motion.times_s[last]),
                    0.6 * motion.track.confidence,
                    Measure("stood for", float(motion.times_s[last] - motion.times_s[first]), "s"),
                    Measure("vehicles passing there", float(passing), ""),
                )
