"""What one track does by itself: fell, lying, running, loitering.

Thresholds are in body sizes and seconds and are ours; each finding carries the measurements that it rests on. People
walk at about 0.8 and run above about 1.8 body heights a second.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vau.perception.fusion import PERSON
from vau.relations.kinematics import Motion
from vau.types import Bool, Float64, Int64, Measure, Relation

RUNNING = 1.7  # body heights a second over 0.75 s
_RUN_S = 0.7
_LYING_S = 1.5
_FALL_WINDOW_S = 1.5
_POSED = 0.2
_SAME_BODY = (0.5, 1.7)  # longer side of the box after a fall over that before
_LOITER_S = 30.0
_LOITER_REACH = 2.5  # body heights


def single_relations(motion: Motion) -> Iterator[Relation]:
    """Yields what one track does, without ids."""
    if motion.track.label == PERSON:
        down = lying_evidence(motion)
        yield from _falls(motion, down)
        yield from _lying(motion, down)
        yield from _running(motion)
        if np.median(down) < 0.5:
            yield from _loitering(motion)


def spans(mask: Bool, times_s: Float64, shortest_s: float) -> Iterator[tuple[int, int]]:
    """Yields first and last rows of runs of True that last at least `shortest_s`."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    for first, after in zip(edges[::2], edges[1::2], strict=True):
        if times_s[after - 1] - times_s[first] >= shortest_s - 1e-6:
            yield int(first), int(after - 1)


def lying_evidence(motion: Motion) -> Float64:
    """Returns, a row, how much a person's box and torso look like lying: 0 upright, 1 flat.

    A standing body is about 0.4 as wide as it is high, a sitting one 0.7 to 0.9, one that lies across the view 2 and
    more. One that lies along the line of sight is missed by the box and shows, if at all, in the torso.
    """
    by_box = _ramp(motion.aspect, 1.0, 1.7)
    by_torso = _ramp(motion.tilt, 40.0, 70.0)
    return np.where(np.isnan(by_torso), by_box, 0.7 * by_box + 0.3 * np.nan_to_num(by_torso))


def _ramp(values: Float64, low: float, high: float) -> Float64:
    return np.clip((values - low) / (high - low), 0.0, 1.0)


def _falls(motion: Motion, down: Float64) -> Iterator[Relation]:
    """Yields falls, the surest first, none within the window of a surer one."""
    found = [(*_fall_evidence(motion, down, row), row) for row in range(2, len(motion.times_s) - 2)]
    taken: list[float] = []
    for surety, drop, row in sorted(found, key=lambda item: (-item[0], item[2])):
        time_s = float(motion.times_s[row])
        if surety <= 0:
            return
        if all(abs(time_s - other_s) > _FALL_WINDOW_S for other_s in taken):
            taken.append(time_s)
            yield _fall(motion, surety, row, drop)


def _fall_evidence(motion: Motion, down: Float64, row: int) -> tuple[float, float]:
    """Returns how surely a person went from upright to lying around one row, 0 for not, and the head's way down."""
    track, time_s = motion.track, motion.times_s[row]
    before = _detected(motion, time_s - _FALL_WINDOW_S, time_s - 0.2)
    after = _detected(motion, time_s + 0.2, time_s + _FALL_WINDOW_S)
    if len(before) < 2 or len(after) < 2 or _posed(motion, after) < _POSED:
        return 0.0, 0.0
    tops, sides = track.boxes[:, 1], motion.side
    sizes = np.median(sides[after]) / np.median(sides[before])
    moved = np.hypot(*(np.median(motion.centre[after], 0) - np.median(motion.centre[before], 0)))
    # The same body lies about as long as it stood, near where it stood; else the box went to something else. One who
    # walks out of the picture shrinks to a wide stump at its edge, so there the full length must be seen.
    shortest = 0.85 if motion.cut[after].mean() > 0.3 else _SAME_BODY[0]
    if not shortest < sizes < _SAME_BODY[1] or moved > 1.2 * motion.size[row]:
        return 0.0, 0.0
    change = float(np.median(down[after]) - np.median(down[before]))
    drop = float((np.median(tops[after]) - np.median(tops[before])) / motion.size[row])
    if change < 0.5 or drop < 0.2 or np.median(down[before]) > 0.4:
        return 0.0, 0.0
    return min(1.0, change) * min(1.0, drop / 0.35), drop


def _fall(motion: Motion, surety: float, row: int, drop: float) -> Relation:
    # The fall is where the head comes down fastest, not the middle of the window that showed it.
    near = motion.window(motion.times_s[row] - 1.0, motion.times_s[row] + 1.0)
    tops, times = motion.track.boxes[near, 1].astype(np.float64), motion.times_s[near]
    descent = np.diff(tops) / np.diff(times) / motion.size[row]
    steepest = int(descent.argmax())
    time_s, fall_rate = float(times[steepest : steepest + 2].mean()), float(descent[steepest])
    return motion.relation(
        "fell",
        max(time_s - 0.5, motion.track.start_s),
        min(time_s + 0.5, motion.track.end_s),
        min(surety * _trust(motion), 1.0),
        Measure("head came down by", drop, "body heights"),
        Measure("at up to", max(fall_rate, 0.0), "body heights a second"),
    )


def _trust(motion: Motion) -> float:
    """Confidence that the track is a person, kept high where pose and boxes agree over many rows."""
    return min(1.0, 0.25 + motion.track.confidence)


def _lying(motion: Motion, down: Float64) -> Iterator[Relation]:
    still = motion.displacement(1.0) < 0.5
    for first, last in spans((down > 0.6) & still, motion.times_s, _LYING_S):
        seen = float(motion.track.detected[first : last + 1].mean())
        rows = _detected(motion, float(motion.times_s[first]), float(motion.times_s[last]))
        if seen < 0.3 or _posed(motion, rows) < _POSED:
            continue
        yield motion.relation(
            "lying",
            float(motion.times_s[first]),
            float(motion.times_s[last]),
            float(np.median(down[first : last + 1])) * _trust(motion) * (0.6 + 0.4 * seen),
            Measure("body wider than high", float(np.median(motion.aspect[first : last + 1])), "times"),
            Measure("for", float(motion.times_s[last] - motion.times_s[first]), "s"),
        )


def _detected(motion: Motion, start_s: float, end_s: float) -> Int64:
    """Returns the rows of a closed span in which the person was seen, not bridged."""
    rows = motion.window(start_s, end_s)
    seen: Int64 = np.flatnonzero(motion.track.detected[rows]) + rows.start
    return seen


def _posed(motion: Motion, rows: Int64) -> float:
    """Returns the share of rows in which the pose model saw a body too: tables and bags lie as well.

    The pose model looks at every second sampled frame or more, so half is all that can be expected.
    """
    if motion.track.keypoints is None or not len(rows):
        return 0.0
    return float((motion.track.keypoints[rows, :, 2].max(axis=1) > 0).mean())


def _running(motion: Motion) -> Iterator[Relation]:
    pace = motion.displacement(0.75)
    # The flow inside the box must agree: a box that slides from one person to another does not move its pixels.
    flow = np.hypot(motion.track.flow[:, 0], motion.track.flow[:, 1])
    for first, last in spans(pace > RUNNING, motion.times_s, _RUN_S):
        rows = slice(first, last + 1)
        if flow[rows].mean() < 0.5 * RUNNING or motion.track.detected[rows].mean() < 0.5:
            continue
        typical = float(np.median(pace[rows]))
        yield motion.relation(
            "running",
            float(motion.times_s[first]),
            float(motion.times_s[last]),
            min(1.0, (typical - RUNNING) / 1.0 + 0.5) * _trust(motion),
            Measure("pace", typical, "body heights a second"),
        )


def _loitering(motion: Motion) -> Iterator[Relation]:
    stay_s = motion.track.end_s - motion.track.start_s
    if stay_s < _LOITER_S:
        return
    home = np.median(motion.centre, axis=0)
    away = np.hypot(*(motion.centre - home).T) / np.median(motion.size)
    wandering = float(np.quantile(away, 0.9))
    if wandering < _LOITER_REACH:
        yield motion.relation(
            "loitering",
            motion.track.start_s,
            motion.track.end_s,  # Over such a time a tracker in company may have passed from one person to another.
            0.7 * min(1.0, stay_s / (2 * _LOITER_S)) * motion.track.confidence,
            Measure("stayed for", stay_s, "s"),
            Measure("within", wandering, "body heights"),
        )
