"""Paints what does not move: sky, wall, ground, the marks of its zones, props, and the light of lamps at night."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vau.training.simulate.camera import Camera
from vau.training.simulate.stages import rectangle
from vau.training.simulate.world import Prop, Stage, Zone
from vau.types import UInt8

Float64 = NDArray[np.float64]
Colour = tuple[int, int, int]
_SKY: Colour = (176, 196, 214)
_FLOORS: dict[str, Colour] = {
    "road": (92, 94, 98),
    "pavement": (168, 164, 156),
    "pedestrian zone": (186, 168, 146),
    "entrance": (150, 140, 128),
    "restricted area": (196, 186, 120),
    "counter flow lane": (74, 138, 92),
    "training mat": (62, 104, 176),
    "bus stop": (190, 196, 150),
}
_WALL: Colour = (150, 128, 112)
_WHITE: Colour = (228, 228, 224)
_NEAR_Y = 2.6  # metres; nothing nearer is painted
_REACH = 40.0


class Ground:
    """The still part of a scene, painted once.

    Args:
        camera: of the size at which is painted.
        stage: the ground.
        seed: of the texture.
    """

    def __init__(self, camera: Camera, stage: Stage, seed: int) -> None:
        self._camera, self._stage = camera, stage
        width, height = camera.size
        self.picture: UInt8 = np.full((height, width, 3), _SKY, np.uint8)
        base = "pavement" if stage.zone("pedestrian zone") is None else "pedestrian zone"
        self._fill(rectangle(-_REACH, _REACH, _NEAR_Y, stage.wall_y), _FLOORS[base])
        horizon = int(camera.ground(0.0, _NEAR_Y)[1])
        self.picture[max(0, min(horizon, height)) :] = _FLOORS[base]
        self._wall()
        for zone in stage.zones:
            self._zone(zone)
        texture = np.random.default_rng([seed, 11]).normal(0, 5.0, (height // 4 + 1, width // 4 + 1)).astype(np.float32)
        grain = cv2.resize(texture, (width, height), interpolation=cv2.INTER_LINEAR)[..., None]
        self.picture = np.clip(self.picture + grain, 0, 255).astype(np.uint8)

    def prop(self, picture: UInt8, prop: Prop) -> None:
        """Paints one thing that stands about."""
        x, y = prop.at
        if prop.kind == "bench":
            self._box(picture, (x, y, 0.18), (1.0, 0.3, 0.38), (122, 82, 46))
        elif prop.kind == "post":
            self._stick(picture, (x, y), 1.0, (222, 60, 50), 0.09)
        elif prop.kind == "pole":
            self._stick(picture, (x, y), 2.4, (80, 84, 90), 0.07)
            self._box(picture, (x, y, 2.1), (0.28, 0.04, 0.5), (240, 205, 40))
        else:
            self._stick(picture, (x, y), 2.4, (96, 70, 48), 0.22)
            centre, depth = self._camera.project(np.array([x, y, 3.1]))
            radius = max(1, int(self._camera.focal / float(depth) * 1.1))
            cv2.circle(picture, (int(centre[0]), int(centre[1])), radius, (66, 112, 60), -1, cv2.LINE_AA)

    def lamplight(self, size: tuple[int, int]) -> NDArray[np.float32]:
        """Returns how much of the daylight is left at night (H, W): little, more under two lamps."""
        width, height = size
        across, down = np.meshgrid(np.arange(width) / width, np.arange(height) / height)
        light = np.full((height, width), 0.3)
        for x, y in ((-2.5, 9.0), (3.0, 9.5)):
            spot = self._camera.ground(x, y) / np.array(self._camera.size)
            light += 0.4 * np.exp(-(((across - spot[0]) / 0.28) ** 2) - ((down - spot[1]) / 0.3) ** 2)
        return light.astype(np.float32)

    def _wall(self) -> None:
        stage = self._stage
        self._upright(-_REACH, _REACH, stage.wall_y, 0.0, 6.0, _WALL)
        for x in np.arange(-24.0, 24.0, 3.0):
            if abs(x - stage.door_x) > 1.8:
                self._upright(x - 0.6, x + 0.6, stage.wall_y, 1.3, 2.7, (96, 112, 128))
        self._upright(stage.door_x - 0.7, stage.door_x + 0.7, stage.wall_y, 0.0, 2.2, (74, 52, 40))

    def _zone(self, zone: Zone) -> None:
        if zone.kind not in ("pavement", "pedestrian zone"):
            self._fill(zone.corners, _FLOORS[zone.kind])
        (x0, y0), (x1, y1) = np.min(zone.corners, 0), np.max(zone.corners, 0)
        if zone.kind == "road":
            self._fill(rectangle(x0, x1, y0, y0 + 0.12), _WHITE)
            middle = (y0 + y1) / 2
            for x in np.arange(-24.0, 24.0, 3.0):
                self._fill(rectangle(x, x + 1.5, middle - 0.06, middle + 0.06), _WHITE)
        if zone.kind == "restricted area":
            for x in np.arange(x0, x1 - 0.2, 0.8):
                self._fill(((x, y0), (x + 0.35, y0), (min(x + 1.1, x1), y1), (min(x + 0.75, x1), y1)), (70, 62, 50))
            for edge in (
                rectangle(x0, x1, y0 - 0.1, y0 + 0.05),
                rectangle(x0, x0 + 0.1, y0, y1),
                rectangle(x1, x1 + 0.1, y0, y1),
            ):
                self._fill(edge, (205, 40, 36))
        if zone.kind == "training mat":
            self._fill(rectangle(x0 + 0.25, x1 - 0.25, y0 + 0.25, y1 - 0.25), (78, 126, 200))
        if zone.kind == "bus stop":
            self._fill(rectangle(x0, x1, y1 - 0.3, y1 - 0.15), (230, 190, 30))
        if zone.one_way is not None:
            self._arrows(zone.one_way, y0, y1)
        if zone.kind == "counter flow lane" and (road := self._stage.zone("road")) and road.one_way is not None:
            self._arrows(np.pi - road.one_way, y0, y1, rows=1)

    def _arrows(self, heading: float, y0: float, y1: float, rows: int = 2) -> None:
        way = np.sign(np.cos(heading))
        first, last = max(y0, 5.0), y1
        for row in range(rows):
            y = first + (last - first) * (row + 0.5) / rows
            for x in np.arange(-15.0, 15.1, 5.0):
                self._fill(rectangle(x - 0.8, x + 0.5, y - 0.1, y + 0.1), _WHITE)
                tip = ((x + way * 1.3, y), (x + way * 0.4, y - 0.4), (x + way * 0.4, y + 0.4))
                self._fill(tip, _WHITE)

    def _fill(self, corners: tuple[tuple[float, float], ...], colour: Colour) -> None:
        points = np.array([(x, max(y, _NEAR_Y), 0.0) for x, y in corners])
        pixels, depth = self._camera.project(points)
        if (depth > 0.5).all():
            cv2.fillPoly(self.picture, [np.round(pixels).astype(np.int32)], colour, cv2.LINE_AA)

    def _upright(self, x0: float, x1: float, y: float, low: float, high: float, colour: Colour) -> None:
        points = np.array([(x0, y, low), (x1, y, low), (x1, y, high), (x0, y, high)])
        pixels, _ = self._camera.project(points)
        cv2.fillPoly(self.picture, [np.round(pixels).astype(np.int32)], colour, cv2.LINE_AA)

    def _stick(self, picture: UInt8, at: tuple[float, float], tall: float, colour: Colour, thick: float) -> None:
        foot, depth = self._camera.project(np.array([*at, 0.0]))
        head = self._camera.ground(*at, tall)
        width = max(1, round(self._camera.focal / float(depth) * thick))
        ends = [tuple(int(value) for value in np.round(point)) for point in (foot, head)]
        cv2.line(picture, ends[0], ends[1], colour, width, cv2.LINE_AA)

    def _box(
        self, picture: UInt8, at: tuple[float, float, float], half: tuple[float, float, float], colour: Colour
    ) -> None:
        """Fills the front and the top of an axis-parallel box; its height is the third of `half`, from `at` up."""
        x, y, z = at
        wide, deep, tall = half
        front = [
            (x - wide, y - deep, z),
            (x + wide, y - deep, z),
            (x + wide, y - deep, z + tall / 2),
            (x - wide, y - deep, z + tall / 2),
        ]
        top = [*front[:1:-1], (x - wide, y + deep, z + tall / 2), (x + wide, y + deep, z + tall / 2)]
        for face, shade in ((front, 0.7), (top, 1.0)):
            pixels, _ = self._camera.project(np.array(face))
            hull = cv2.convexHull(np.round(pixels).astype(np.int32))
            cv2.fillConvexPoly(picture, hull, tuple(int(shade * value) for value in colour), cv2.LINE_AA)
