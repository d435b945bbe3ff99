"""What two tracks do to each other.

Near, approaching, following, chasing, in contact, hit, collided, fighting, riding, carrying.

A picture has no depth, so two boxes that overlap may be metres apart: contact is believed only where the feet stand on
about the same line and the sizes fit, and a collision only where at least one of the two also changes its motion at
once. Thresholds are ours, in body sizes and seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vau.perception.fusion import LUGGAGE, PERSON, VEHICLES
from vau.relations.kinematics import Motion
from vau.relations.single import RUNNING, spans
from vau.types import Bool, Float64, Measure, Relation

_NEAR = 1.0  # body sizes between feet
_CONTACT_S = 0.4
_NEAR_S = 1.5
_TWO_READINGS = 0.6  # of the smaller box
_FOLLOW_S = 4.0
_CHASE_S = 1.0
_IN_FRONT = 0.7  # cosine
_PURSUIT = 4.0  # body sizes between one who chases and one who is chased
_TAIL = 1.5  # between one who follows at a walk and the other; farther apart they just go the same way
_RIDE_S = 1.5
_FIGHT_S = 0.7
_AGITATED = 0.75  # body sizes a second, of parts about the body's mean
_CLOSING = 1.0  # body sizes a second
_SPEED_LEFT = 0.4  # share of its speed that a vehicle keeps after a collision, at most
_JOLT = 1.2  # body sizes a second of speed gained or lost within half a second


@dataclass(frozen=True, eq=False)
class _Pair:
    """Two tracks on the times that they share."""

    a: Motion
    b: Motion
    times_s: Float64
    rows_a: np.ndarray
    rows_b: np.ndarray
    apart: Float64  # between feet, in mean body sizes
    closing: Float64  # body sizes a second, positive when they come nearer
    touching: Bool

    def relation(self, predicate: str, first: int, last: int, confidence: float, *measures: Measure) -> Relation:
        return Relation(
            "",
            self.a.track.track_id,
            predicate,
            self.b.track.track_id,
            float(self.times_s[first]),
            float(self.times_s[last]),
            float(np.clip(confidence, 0.0, 1.0)),
            measures,
        )

    @property
    def trust(self) -> float:
        return min(self.a.track.confidence, self.b.track.confidence)


def pair_relations(motions: list[Motion]) -> Iterator[Relation]:
    """Yields what each pair of tracks does, without ids; the actor of a directed relation is its subject."""
    ordered = sorted(motions, key=lambda motion: (motion.track.start_s, motion.track.track_id))
    for index, first in enumerate(ordered):
        for second in ordered[index + 1 :]:
            if second.track.start_s > first.track.end_s:
                break  # so do all later ones: a long video costs no more a minute than a short one
            pair = _pair(first, second)
            if pair is None:
                continue
            labels = {first.track.label, second.track.label}
            if labels == {PERSON}:
                yield from _people(pair)
            elif PERSON in labels and labels & LUGGAGE:
                yield from _together(pair, LUGGAGE, "carrying")
            elif PERSON in labels and labels & {"bicycle", "motorcycle", "horse"}:
                yield from _together(pair, frozenset({"bicycle", "motorcycle", "horse"}), "riding")
            if labels & VEHICLES:
                yield from _collision(pair)


def _pair(a: Motion, b: Motion) -> _Pair | None:
    times, rows_a, rows_b = np.intersect1d(a.times_s, b.times_s, return_indices=True)
    if len(times) < 2:
        return None
    size = (a.size[rows_a] + b.size[rows_b]) / 2
    apart = np.hypot(*(a.foot[rows_a] - b.foot[rows_b]).T) / size
    boxes_a, boxes_b = a.track.boxes[rows_a].astype(np.float64), b.track.boxes[rows_b].astype(np.float64)
    across = np.minimum(boxes_a[:, 2], boxes_b[:, 2]) - np.maximum(boxes_a[:, 0], boxes_b[:, 0])
    down = np.minimum(boxes_a[:, 3], boxes_b[:, 3]) - np.maximum(boxes_a[:, 1], boxes_b[:, 1])
    smaller = np.minimum(_areas(boxes_a), _areas(boxes_b))
    # Boxes that mostly coincide are two readings of one object, and a bridged box saw nothing.
    apart_enough = np.maximum(across, 0) * np.maximum(down, 0) < _TWO_READINGS * smaller
    seen = a.track.detected[rows_a] & b.track.detected[rows_b]
    same_line = np.abs(boxes_a[:, 3] - boxes_b[:, 3]) < 0.3 * np.minimum(a.size[rows_a], b.size[rows_b])
    fits = np.maximum(a.size[rows_a], b.size[rows_b]) < 3 * np.minimum(a.size[rows_a], b.size[rows_b])
    return _Pair(
        a,
        b,
        times,
        rows_a,
        rows_b,
        apart,
        -np.gradient(apart, times),
        (across > 0) & (down > 0) & same_line & fits & apart_enough & seen,
    )


def _areas(boxes: Float64) -> Float64:
    areas: Float64 = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return areas


def _people(pair: _Pair) -> Iterator[Relation]:
    yield from _fights(pair)
    near = pair.apart < _NEAR
    for first, last in spans(near, pair.times_s, _NEAR_S):
        rows = slice(first, last + 1)
        yield pair.relation(
            "near",
            first,
            last,
            pair.trust,
            Measure("apart", float(np.median(pair.apart[rows])), "body heights"),
        )
    for first, last in spans(pair.touching, pair.times_s, _CONTACT_S):
        yield pair.relation(
            "in contact",
            first,
            last,
            0.7 * pair.trust,
            Measure("for", float(pair.times_s[last] - pair.times_s[first]), "s"),
        )
    yield from _approaches(pair)
    yield from _pursuits(pair)


def _approaches(pair: _Pair) -> Iterator[Relation]:
    for first, last in spans((pair.closing > 0.3) & (pair.apart > 0.6), pair.times_s, 1.0):
        nearer = float(pair.apart[first] - pair.apart[last])
        if nearer < 1.0 or pair.apart[last] > 2.0:
            continue
        mover = _mover(pair, first, last)
        yield mover.relation(
            "approaching",
            first,
            last,
            pair.trust * min(1.0, nearer / 2.0),
            Measure("came nearer by", nearer, "body heights"),
            Measure("to", float(pair.apart[last]), "body heights"),
        )


def _mover(pair: _Pair, first: int, last: int) -> _Pair:
    """Returns the pair with the one who moves more as its subject."""
    way_a = np.hypot(*(pair.a.centre[pair.rows_a[last]] - pair.a.centre[pair.rows_a[first]]))
    way_b = np.hypot(*(pair.b.centre[pair.rows_b[last]] - pair.b.centre[pair.rows_b[first]]))
    return pair if way_a >= way_b else _swap(pair)


def _swap(pair: _Pair) -> _Pair:
    return _Pair(pair.b, pair.a, pair.times_s, pair.rows_b, pair.rows_a, pair.apart, pair.closing, pair.touching)


def _pursuits(pair: _Pair) -> Iterator[Relation]:
    """Yields following and chasing: both move the same way, one behind the other."""
    velocity_a, velocity_b = pair.a.velocity[pair.rows_a], pair.b.velocity[pair.rows_b]
    pace_a = pair.a.displacement(0.75)[pair.rows_a]
    pace_b = pair.b.displacement(0.75)[pair.rows_b]
    norm = np.maximum(np.hypot(*velocity_a.T) * np.hypot(*velocity_b.T), 1e-9)
    aligned = (velocity_a * velocity_b).sum(1) / norm > 0.8
    ahead = pair.b.centre[pair.rows_b] - pair.a.centre[pair.rows_a]
    # Cosine between the way that both go and the line to the second: near 1 where the second is straight in front.
    way = velocity_a + velocity_b
    lead = (ahead * way).sum(1) / np.maximum(np.hypot(*ahead.T) * np.hypot(*way.T), 1e-9)
    for behind, sign in ((pair, 1.0), (_swap(pair), -1.0)):
        in_line = aligned & (sign * lead > _IN_FRONT) & (pair.apart > 0.5) & (pair.apart < _PURSUIT)
        both_run = (pace_a > RUNNING) & (pace_b > RUNNING)
        for first, last in spans(in_line & both_run, pair.times_s, _CHASE_S):
            rows = slice(first, last + 1)
            yield behind.relation(
                "chasing",
                first,
                last,
                0.8 * pair.trust,
                Measure("pace", float(np.median(np.minimum(pace_a, pace_b)[rows])), "body heights a second"),
                Measure("gap", float(np.median(pair.apart[rows])), "body heights"),
            )
        walking = (pace_a > 0.3) & (pace_b > 0.3) & ~both_run & (pair.apart < _TAIL)
        for first, last in spans(in_line & walking, pair.times_s, _FOLLOW_S):
            yield behind.relation(
                "following",
                first,
                last,
                0.7 * pair.trust,
                Measure("for", float(pair.times_s[last] - pair.times_s[first]), "s"),
                Measure("gap", float(np.median(pair.apart[first : last + 1])), "body heights"),
            )


def _fights(pair: _Pair) -> Iterator[Relation]:
    """Yields fighting: two people at arm's length whose bodies both churn in many directions for a while."""
    churn = np.minimum(pair.a.track.flow[pair.rows_a, 2], pair.b.track.flow[pair.rows_b, 2])
    spread = np.minimum(pair.a.track.flow[pair.rows_a, 3], pair.b.track.flow[pair.rows_b, 3])
    close = (pair.apart < 0.8) | pair.touching
    for first, last in spans(close & (churn > _AGITATED) & (spread > 0.7), pair.times_s, _FIGHT_S):
        rows = slice(first, last + 1)
        level = float(np.median(churn[rows]))
        # People who walk side by side swing limbs too, but travel: fighters stay about where they are.
        travel = float(np.median(np.minimum(pair.a.displacement(1.0)[pair.rows_a], 3.0)[rows]))
        calm = 1.0 if travel < 1.0 else 0.6
        yield pair.relation(
            "fighting",
            first,
            last,
            min(1.0, level / (2 * _AGITATED)) * calm * min(1.0, 0.3 + pair.trust),
            Measure("limbs and body parts moved at", level, "body heights a second"),
            Measure("apart", float(np.median(pair.apart[rows])), "body heights"),
        )


def _together(pair: _Pair, carried: frozenset[str], predicate: str) -> Iterator[Relation]:
    """Yields a person and a thing that move as one."""
    bearer = pair if pair.a.track.label == PERSON else _swap(pair)
    if bearer.b.track.label not in carried:
        return
    # Velocities come in each one's own sizes; the bearer's size serves for both.
    ratio = (bearer.b.size[bearer.rows_b] / bearer.a.size[bearer.rows_a])[:, None]
    velocity_gap = np.hypot(*(bearer.a.velocity[bearer.rows_a] - ratio * bearer.b.velocity[bearer.rows_b]).T)
    moving = bearer.a.displacement(1.0)[bearer.rows_a] > 0.3
    close = bearer.apart < (0.6 if predicate == "riding" else 0.8)
    for first, last in spans(close & moving & (velocity_gap < 0.5), pair.times_s, _RIDE_S):
        yield bearer.relation(
            predicate,
            first,
            last,
            0.9 * pair.trust,
            Measure("moved together for", float(pair.times_s[last] - pair.times_s[first]), "s"),
        )


def _collision(pair: _Pair) -> Iterator[Relation]:
    """Yields a collision: they close in, touch, and at that moment one of them is jolted out of its motion."""
    meets = np.flatnonzero(pair.touching[1:] & ~pair.touching[:-1]) + 1
    for row in meets:
        time_s = pair.times_s[row]
        before = (pair.times_s >= time_s - 1.0) & (pair.times_s < time_s)
        if before.sum() < 2 or pair.closing[before].max() < _CLOSING:
            continue
        jolt = max(_jolt(pair.a, time_s), _jolt(pair.b, time_s))
        if jolt < _JOLT or min(_speed_left(pair.a, time_s), _speed_left(pair.b, time_s)) > _SPEED_LEFT:
            continue
        actor = _mover(pair, int(np.flatnonzero(before)[0]), int(row))
        last = min(int(row) + 1, len(pair.times_s) - 1)
        predicate = "hit" if {pair.a.track.label, pair.b.track.label} & {PERSON} else "collided"
        yield actor.relation(
            predicate,
            int(row),
            last,
            min(1.0, jolt / (2 * _JOLT)) * min(1.0, 0.2 + pair.trust),
            Measure("closed in at", float(pair.closing[before].max()), "body sizes a second"),
            Measure("speed changed by", jolt, "body sizes a second"),
        )


def _speed_left(motion: Motion, time_s: float) -> float:
    """Returns the share of its speed that a moving track keeps after a moment; 1 where that is not known."""
    before = motion.speed[motion.window(time_s - 1.0, time_s)]
    after = motion.speed[motion.window(time_s + 0.25, time_s + 1.5)]
    if len(before) < 2 or len(after) < 2 or before.mean() < _CLOSING / 2:
        return 1.0
    return float(after.mean() / before.mean())


def _jolt(motion: Motion, time_s: float) -> float:
    """Returns the change of velocity around a moment in body sizes a second, 0 where one side is not seen."""
    before = motion.velocity[motion.window(time_s - 0.75, time_s)]
    after = motion.velocity[motion.window(time_s, time_s + 0.75)]
    if len(before) < 2 or len(after) < 2:
        return 0.0
    return float(np.hypot(*(after.mean(0) - before.mean(0))))
