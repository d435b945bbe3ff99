"""What a simulated scene is made of, as value types: zones with rules, things that stand about, actors, happenings.

Knows no pixels. All lengths are in metres, all times in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from vau.training.simulate.course import Motion

Script = Literal[
    "road accident",
    "fight",
    "fall",
    "taking",
    "loitering",
    "abandoned object",
    "wrong way",
    "crowd flight",
    "intrusion",
]
SCRIPTS: tuple[Script, ...] = get_args(Script)
Weather = Literal["day", "night", "rain"]
WEATHERS: tuple[Weather, ...] = get_args(Weather)
ZoneKind = Literal[
    "road",
    "pavement",
    "entrance",
    "restricted area",
    "counter flow lane",
    "pedestrian zone",
    "training mat",
    "bus stop",
]

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (205, 45, 40),
    "blue": (45, 85, 205),
    "green": (40, 150, 65),
    "yellow": (225, 195, 40),
    "white": (232, 232, 228),
    "black": (38, 38, 42),
    "purple": (140, 60, 165),
    "orange": (240, 125, 25),
    "grey": (120, 122, 126),
    "brown": (115, 78, 48),
}
MAIN_COLOURS = ("red", "blue", "green", "yellow", "white", "black", "purple")  # of those who matter
EXTRA_COLOURS = ("grey", "brown")  # of those who only pass


@dataclass(frozen=True)
class Zone:
    """A piece of ground with the rule that holds on it."""

    kind: ZoneKind
    corners: tuple[tuple[float, float], ...]
    rule: str = ""
    one_way: float | None = None  # heading in radians of the arrows painted on it

    def holds(self, x: float, y: float) -> bool:
        """Says whether a point lies in the zone, by the even-odd rule."""
        inside = False
        for (x0, y0), (x1, y1) in zip(self.corners, (*self.corners[1:], self.corners[0]), strict=True):
            if (y0 > y) != (y1 > y) and x < (x1 - x0) * (y - y0) / (y1 - y0) + x0:
                inside = not inside
        return inside


@dataclass(frozen=True)
class Prop:
    """A thing that stands in the scene all the time: a bench, a pole, a fence post."""

    kind: Literal["bench", "pole", "post", "tree"]
    at: tuple[float, float]


@dataclass(frozen=True)
class Smoke:
    """Smoke that begins to rise somewhere."""

    at: tuple[float, float]
    start_s: float


@dataclass(frozen=True, eq=False)
class Actor:
    """One person, vehicle or bag with all its motion."""

    actor_id: int
    label: str  # a COCO class name
    role: str
    colour: str
    size_m: tuple[float, float, float]  # length, width, height
    motion: Motion
    vest: bool = False
    held_by: tuple[tuple[int, float, float], ...] = ()  # of a bag: who carries it from when to when

    @property
    def name(self) -> str:
        """The actor as a witness would call it."""
        if self.label == "person":
            return "the person in the orange vest" if self.vest else f"the person in {self.colour}"
        return f"the {self.colour} {self.label}"


@dataclass(frozen=True)
class Happening:
    """The one thing that a scene is about; abnormal, or the innocent twin of something abnormal."""

    script: Script
    abnormal: bool
    start_s: float
    end_s: float
    actors: tuple[int, ...]  # ids, the one who acts first
    what: str
    why: str  # why it is abnormal, or why it is not
    cause: str
    effect: str
    before: str
    after: str

    def __post_init__(self) -> None:
        if not 0 <= self.start_s < self.end_s:
            raise ValueError(f"a happening needs 0 <= start_s < end_s, got {self.start_s!r}, {self.end_s!r}")
        if not self.actors:
            raise ValueError("a happening needs an actor")

    @property
    def label(self) -> str:
        """The class name of the event; "normal" for a twin."""
        return self.script if self.abnormal else "normal"


@dataclass(frozen=True)
class Stage:
    """The ground, its zones, and what stands on it."""

    zones: tuple[Zone, ...]
    props: tuple[Prop, ...] = ()
    wall_y: float = 18.0
    door_x: float = 0.0
    smoke: Smoke | None = None

    def zone(self, kind: ZoneKind) -> Zone | None:
        """Returns the first zone of a kind, None where there is none."""
        return next((zone for zone in self.zones if zone.kind == kind), None)


def distance(first: Actor, second: Actor) -> np.ndarray:
    """Returns (T,) metres between the places of two actors, infinity where one is absent."""
    apart = np.hypot(*(first.motion.at - second.motion.at).T)
    return np.where(first.motion.present & second.motion.present, apart, np.inf)
