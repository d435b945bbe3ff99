"""Casts a scene: gives actors numbers and colours, lets bags follow those who carry them, notes who does what to whom.

Knows the ground and the clock; knows no script and no camera.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vau.training.simulate.course import POSTURE, Course, Motion
from vau.training.simulate.stages import off
from vau.training.simulate.world import EXTRA_COLOURS, MAIN_COLOURS, Actor, Stage

VEHICLE_SIZES = {"car": (4.2, 1.8, 1.45), "truck": (6.2, 2.2, 2.7), "bus": (9.0, 2.4, 2.9)}
BAG = "suitcase"
_BAG_SIZE = (0.5, 0.26, 0.55)


@dataclass(frozen=True)
class Deed:
    """What a script states that one actor does to another, or by itself."""

    subject: int
    predicate: str
    object: int | None
    start_s: float
    end_s: float


class Director:
    """Collects the cast of one scene.

    Args:
        rng: of the seed; twins share it, so all draws come before a script looks at whether it is the twin.
        rate: frames a second.
        duration_s: of the scene.
        stage: the ground; a script may replace it.
    """

    def __init__(self, rng: np.random.Generator, rate: float, duration_s: float, stage: Stage) -> None:
        self.rng, self.rate, self.duration_s, self.stage = rng, rate, duration_s, stage
        self.frames = round(duration_s * rate)
        self.side = float(rng.choice([-1.0, 1.0]))
        self.actors: list[Actor] = []
        self.deeds: list[Deed] = []
        self._colours = [str(name) for name in rng.permutation(MAIN_COLOURS)]

    def course(self, x: float, y: float, start_s: float = 0.0, heading: float = 0.0) -> Course:
        """Begins a course at a place and moment."""
        return Course(self.rate, (x, y), start_s, heading)

    def person(self, course: Course, role: str, *, vest: bool = False, stays: bool = True) -> Actor:
        """Casts someone who matters, in a colour that nobody else wears while colours last."""
        tall = float(self.rng.uniform(1.62, 1.88))
        return self._cast(
            "person", role, self._colour(), (0.4, 0.5, tall), course.motion(self.frames, stays=stays), vest
        )

    def vehicle(self, course: Course, role: str, label: str = "car", *, stays: bool = True) -> Actor:
        """Casts a vehicle that matters."""
        size = VEHICLE_SIZES[label]
        return self._cast(label, role, self._colour(), size, course.motion(self.frames, stays=stays))

    def passer(self, course: Course, label: str = "person") -> Actor:
        """Casts someone or something that only passes."""
        colour = str(self.rng.choice(EXTRA_COLOURS))
        size = VEHICLE_SIZES[label] if label != "person" else (0.4, 0.5, float(self.rng.uniform(1.6, 1.9)))
        return self._cast(label, "passes", colour, size, course.motion(self.frames, stays=False))

    def passers(self, count: int, y: tuple[float, float]) -> None:
        """Casts people who walk through, one after the other."""
        for number in range(count):
            depth, way = float(self.rng.uniform(*y)), float(self.rng.choice([-1.0, 1.0]))
            start_s = self.duration_s * (number + float(self.rng.uniform(0, 0.7))) / max(count, 1)
            far = off(depth)
            self.passer(
                self.course(-way * far, depth, start_s).go((way * far, depth), float(self.rng.uniform(1.1, 1.5)))
            )

    def bag(self, role: str, holds: Sequence[tuple[Actor, float, float]], lies: tuple[float, float]) -> Actor:
        """Casts a bag that lies at a place, before, between and after those who carry it.

        Args:
            role: what it is to the script.
            holds: who carries it from when to when, in order; it stays where the last one leaves it.
            lies: where it lies as long as nobody has carried it.
        """
        at = np.tile(np.array(lies), (self.frames, 1))
        rows = np.zeros((self.frames, len(POSTURE)))
        present = np.ones(self.frames, bool)
        for actor, start_s, end_s in holds:
            first, last = round(start_s * self.rate), min(round(end_s * self.rate), self.frames)
            motion = actor.motion
            heading = motion.heading[first:last]
            at[first:last] = motion.at[first:last] - [0.0, 0.3]  # in the hand on the camera's side
            rows[first:last, POSTURE.index("heading")] = heading
            rows[first:last, POSTURE.index("lift")] = 0.22 * (1 - 0.8 * np.minimum(motion.crouch[first:last], 1))
            present[first:last] = motion.present[first:last]
            if last < self.frames:
                at[last:], rows[last:, 0] = at[last - 1], heading[-1]
                present[last:] = present[last - 1]
        bag = self._cast(BAG, role, self._colour(), _BAG_SIZE, Motion(at, rows, present))
        self.actors[-1] = replace(bag, held_by=tuple((actor.actor_id, start, end) for actor, start, end in holds))
        return self.actors[-1]

    def deed(self, subject: Actor, predicate: str, start_s: float, end_s: float, other: Actor | None = None) -> None:
        """Notes what an actor does; cut to the scene."""
        last = self.duration_s
        target = None if other is None else other.actor_id
        if start_s < last:
            self.deeds.append(Deed(subject.actor_id, predicate, target, max(start_s, 0.0), min(end_s, last)))

    def _colour(self) -> str:
        return self._colours.pop() if self._colours else str(self.rng.choice(EXTRA_COLOURS))

    def _cast(
        self,
        label: str,
        role: str,
        colour: str,
        size: tuple[float, float, float],
        motion: Motion,
        vest: bool = False,
    ) -> Actor:
        self.actors.append(Actor(len(self.actors) + 1, label, role, colour, size, motion, vest))
        return self.actors[-1]
