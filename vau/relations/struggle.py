"""Fighting where bodies can no longer be told apart: violent motion at a place where at least two people are.

In a brawl a detector sees one person where three grapple, so the limbs of a pair can rarely be measured one by one.
The flow still tells that bodies churn in many directions at one place; tracks tell that it is people who are there.
The confidence ends at 0.65: it may be a dance.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vau.perception.fusion import PERSON
from vau.perception.motion import turbulence
from vau.relations.kinematics import Motion
from vau.relations.single import spans
from vau.types import Measure, Observations, Relation

_VIOLENT = 0.07  # turbulence; people who pass each other stay below
_LONGEST_GAP_S = 1.5
_LONG_S = 0.7
_REACH = 0.75  # body heights from the box
_CEILING = 0.65


def struggles(motions: list[Motion], observations: Observations) -> Iterator[Relation]:
    """Yields fighting at a lasting burst of violent motion with at least two people near, without ids.

    Who takes part is left open: in a brawl boxes pass from one to another.

    Args:
        motions: all tracks.
        observations: for the motion channels.
    """
    times = observations.times_s
    if not len(times):
        return
    violence = turbulence(observations)
    people = [motion for motion in motions if motion.track.label == PERSON and motion.track.confidence >= 0.35]
    near = [_count_near(people, observations, row) if violence[row] > _VIOLENT else 0 for row in range(len(times))]
    mask = np.array(near) >= 2
    for first, last in spans(mask, times, _LONG_S):
        level = float(violence[first : last + 1].max())
        yield Relation(
            "",
            None,
            "fighting",
            None,
            float(times[first]),
            float(times[last]),
            min(_CEILING, level / (2.5 * _VIOLENT)),
            (
                Measure("turbulence", level, "of 1"),
                Measure("for", float(times[last] - times[first]), "s"),
                Measure("people there", float(max(near[first : last + 1])), ""),
            ),
        )


def _count_near(people: list[Motion], observations: Observations, row: int) -> int:
    """Returns how many people are within reach of the most violent place at one sampled frame."""
    width, height = observations.frame_size
    x = float(observations.channel("incoherence_x")[row]) * width
    y = float(observations.channel("incoherence_y")[row]) * height
    time_s = float(observations.times_s[row])
    count = 0
    for motion in people:
        if motion.track.start_s - _LONGEST_GAP_S <= time_s <= motion.track.end_s + _LONGEST_GAP_S:
            at = motion.at(time_s)
            box = motion.track.boxes[at]
            away = np.hypot(max(box[0] - x, 0.0, x - box[2]), max(box[1] - y, 0.0, y - box[3]))
            count += bool(away <= _REACH * motion.size[at])
    return count
