"""What many tracks do together, and what one does against the many.

Gathering, dispersing, against the flow, stopped on the road.

All need a number of tracks to stand on and stay silent below it. Thresholds are ours.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vau.perception.fusion import PERSON, VEHICLES
from vau.relations.kinematics import Motion
from vau.relations.single import RUNNING, spans
from vau.types import Float64, Measure, Relation

_CROWD = 4
_NEAR = 2.0  # body heights
_FLOW_TRACKS = 8
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


def _states(people: list[Motion], time_s: float) -> list[tuple[Motion, int]]:
    return [
        (motion, motion.at(time_s))
        for motion in people
        if motion.track.start_s - 1e-6 <= time_s <= motion.track.end_s + 1e-6
    ]


def _company(states: list[tuple[Motion, int]]) -> tuple[int, Motion | None]:
    """Returns the size of the largest group within reach of one person, and that person."""
    best: tuple[int, Motion | None] = (0, None)
    for motion, row in states:
        reach = _NEAR * motion.size[row]
        size = sum(bool(np.hypot(*(other.foot[at] - motion.foot[row])) <= reach) for other, at in states)
        if size > best[0]:
            best = (size, motion)
    return best


def _gatherings(people: list[Motion], times_s: Float64) -> Iterator[Relation]:
    if len(people) < _CROWD:
        return
    groups = [_company(_states(people, float(time_s))) for time_s in times_s]
    sizes = np.array([size for size, _ in groups])
    for first, last in spans(sizes >= _CROWD, times_s, 3.0):
        earlier = sizes[(times_s >= times_s[first] - 6.0) & (times_s < times_s[first] - 1.0)]
        if not len(earlier) or earlier.max() > _CROWD - 2:
            continue
        centre = groups[first][1]
        assert centre is not None
        yield Relation(
            "",
            centre.track.track_id,
            "gathering",
            None,
            float(times_s[first]),
            float(times_s[last]),
            0.6 * centre.track.confidence,
            (Measure("people together", float(sizes[first : last + 1].max()), ""),),
        )


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
        if not runners:
            continue
        lead = max(runners, key=lambda motion: motion.track.confidence)
        share = float((running / np.maximum(present, 1))[first : last + 1].mean())
        yield Relation(
            "",
            lead.track.track_id,
            "dispersing",
            None,
            float(times_s[first]),
            float(times_s[last]),
            min(1.0, share) * lead.track.confidence,
            (Measure("people running at once", float(running[first : last + 1].max()), ""),),
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
    for motion, heading, way in moving:
        place = motion.centre.mean(axis=0)
        reach = 3.0 * float(np.median(motion.size))
        neighbours = [
            other_heading
            for other, other_heading, _ in moving
            if other is not motion and np.hypot(*(other.centre - place).T).min() < reach
        ]
        if len(neighbours) < _FLOW_TRACKS - 1:
            continue
        cosines = np.array([float(heading @ other) for other in neighbours])
        if (cosines < -0.7).mean() >= 0.9:
            yield Relation(
                "",
                motion.track.track_id,
                "against the flow",
                None,
                motion.track.start_s,
                motion.track.end_s,
                0.7 * motion.track.confidence,
                (Measure("others going the other way", float(len(neighbours)), ""), Measure("way", way, "body sizes")),
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
                yield Relation(
                    "",
                    motion.track.track_id,
                    "stopped on the road",
                    None,
                    float(motion.times_s[first]),
                    float(motion.times_s[last]),
                    0.6 * motion.track.confidence,
                    (
                        Measure("stood for", float(motion.times_s[last] - motion.times_s[first]), "s"),
                        Measure("vehicles passing there", float(passing), ""),
                    ),
                )
