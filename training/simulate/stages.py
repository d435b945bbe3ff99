"""The grounds on which scenes play, and the cameras that look at them; both drawn from a seed.

A street has a pavement on the near side and a road with two lanes behind it; a square has no road.
"""

from __future__ import annotations

import numpy as np

from vau.training.simulate.camera import Camera
from vau.training.simulate.world import Prop, Stage, Zone, ZoneKind

KERB_Y = 11.0
LANES_Y = (12.6, 15.6)  # the near lane and the far lane
ROAD_END_Y = 17.2
_WIDE = 40.0  # half the width of what reaches past both sides of the picture


def off(y: float) -> float:
    """Returns how far to the side a body at depth `y` is surely out of the picture."""
    return 0.85 * y + 3.0


def rectangle(x0: float, x1: float, y0: float, y1: float) -> tuple[tuple[float, float], ...]:
    """Returns the corners of an axis-parallel rectangle."""
    return (x0, y0), (x1, y0), (x1, y1), (x0, y1)


def street(rng: np.random.Generator, *, one_way: float | None = None) -> Stage:
    """Returns a street; `one_way` is the heading in radians of all its traffic."""
    door = float(rng.uniform(-4, 4))
    rule = "all vehicles drive the same way" if one_way is not None else "vehicles drive, people cross with care"
    zones = (
        Zone("pavement", rectangle(-_WIDE, _WIDE, 2.5, KERB_Y)),
        Zone("road", rectangle(-_WIDE, _WIDE, KERB_Y, ROAD_END_Y), rule, one_way),
        Zone("entrance", rectangle(door - 0.9, door + 0.9, 17.6, 18.4)),
    )
    tree = float(rng.choice([-1, 1]) * rng.uniform(4.5, 6.5))
    return Stage(zones, (Prop("tree", (tree, 10.4)),), 18.4, door)


def square(rng: np.random.Generator, *, kind: ZoneKind = "pavement", one_way: float | None = None) -> Stage:
    """Returns a paved square before a building."""
    door = float(rng.uniform(-5, 5))
    wall = float(rng.uniform(13.5, 15.0))
    rule = "people walk only in the direction of the arrows" if one_way is not None else ""
    zones = (
        Zone(kind, rectangle(-_WIDE, _WIDE, 2.5, wall), rule, one_way),
        Zone("entrance", rectangle(door - 0.9, door + 0.9, wall - 0.9, wall)),
    )
    tree = float(rng.choice([-1, 1]) * rng.uniform(5.5, 7.0))
    return Stage(zones, (Prop("tree", (tree, wall - 1.5)),), wall, door)


def camera(rng: np.random.Generator, size: tuple[int, int]) -> Camera:
    """Returns one of many cameras that all have the middle of the scene in view."""
    height = float(rng.uniform(3.6, 6.0))
    aim = float(rng.uniform(8.5, 9.8))  # metres ahead at which the picture's middle meets the ground
    return Camera(
        height_m=height,
        tilt_deg=float(np.rad2deg(np.arctan2(height - 0.8, aim))),
        pan_deg=float(rng.uniform(-5, 5)),
        view_deg=float(rng.uniform(54, 62)),
        size=size,
    )
