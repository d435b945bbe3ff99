"""Where a staged actor can go without crossing anything real: searches routes over free ground.

Knows walkers, occupancy and known obstacles; knows no scenario's plot. Routes are scored by the actor's size in the
picture, so that what happens is seen well, and rejected where the actor would have to pass behind something.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vau.demo.actors import Route, curved_route, straight_route
from vau.demo.cutout import Box, Walker
from vau.demo.scene import Scene

Float64 = NDArray[np.float64]

CLEAR = 8  # pixels kept free around an actor
MAX_APPROACH_S = 14.0
_OFF = 0.45  # own heights beyond the frame's edge at which an actor is out of sight
_BEST_HEIGHT = 0.27  # of the frame's height; actors nearer than that fill too much of it


@dataclass(frozen=True, eq=False)
class Place:
    """A route that is free, with the row of it at which the plot turns."""

    walker: Walker
    route: Route
    turn: int  # row of the route
    score: float


class Occupancy:
    """What must not be touched: moving boxes by frame, and fixed things that an actor cannot pass behind."""

    def __init__(self, scene: Scene, frames: int, obstacles: Sequence[Box]) -> None:
        most = max((len(row) for row in scene.boxes[:frames]), default=0)
        self._boxes = np.full((frames, max(most, 1), 4), -1e6)
        for index, row in enumerate(scene.boxes[:frames]):
            if row:
                self._boxes[index, : len(row)] = row
        self._obstacles = np.asarray(obstacles, dtype=np.float64).reshape(-1, 4)
        self._scene = scene

    def touched(self, first: int, boxes: Float64) -> int:
        """Counts frames from `first` on in which the actor's box (n, 4) comes within CLEAR pixels of a moving one."""
        last = min(first + len(boxes), len(self._boxes))
        begin = max(first, 0)
        if last <= begin:
            return 0
        mine, others = boxes[begin - first : last - first, None, :], self._boxes[begin:last]
        across = np.minimum(mine[..., 2], others[..., 2]) - np.maximum(mine[..., 0], others[..., 0])
        down = np.minimum(mine[..., 3], others[..., 3]) - np.maximum(mine[..., 1], others[..., 1])
        return int(((across > -CLEAR) & (down > -CLEAR)).any(axis=1).sum())

    def hidden(self, boxes: Float64) -> bool:
        """Whether the actor would have to pass behind a known obstacle, which stands on its box's lower edge."""
        tall = (self._obstacles[:, 3] - self._obstacles[:, 1]) > (self._obstacles[:, 2] - self._obstacles[:, 0])
        mine, fixed = boxes[:, None, :], self._obstacles[None, tall]  # flat things lie on the ground and hide nobody
        across = np.minimum(mine[..., 2], fixed[..., 2]) - np.maximum(mine[..., 0], fixed[..., 0])
        down = np.minimum(mine[..., 3], fixed[..., 3]) - np.maximum(mine[..., 1], fixed[..., 1])
        return bool(((across > 0) & (down > 0) & (mine[..., 3] < fixed[..., 3])).any())

    def cluttered(self, box: Float64) -> bool:
        """Whether a known obstacle reaches into a box (4,)."""
        across = np.minimum(box[2], self._obstacles[:, 2]) - np.maximum(box[0], self._obstacles[:, 0])
        down = np.minimum(box[3], self._obstacles[:, 3]) - np.maximum(box[1], self._obstacles[:, 1])
        return bool(((across > 0) & (down > 0)).any())

    def on_ground(self, feet: Float64) -> float:
        """Returns the share of feet inside the frame that stand where real feet were seen nearby."""
        width, height = self._scene.size
        cols, rows = feet[:, 0].round().astype(int), feet[:, 1].round().astype(int)
        inside = (cols >= 0) & (cols < width) & (rows >= 0) & (rows < height)
        return float(self._scene.walkable[rows[inside], cols[inside]].mean()) if inside.any() else 0.0


def upright_boxes(scene: Scene, feet: Float64) -> Float64:
    """Returns the boxes (n, 4) of an actor standing at these places (n, 2)."""
    heights = np.array([scene.perspective.height(y) for y in feet[:, 1]])
    x, y = feet[:, 0], feet[:, 1]
    return np.stack([x - 0.25 * heights, y - heights, x + 0.25 * heights, y + 2], axis=1)


def lying_box(scene: Scene, foot: Float64, heading: Float64) -> Float64:
    """Returns a box (4,) that holds an actor lying on the ground after a fall in this heading."""
    height = scene.perspective.height(float(foot[1]))
    x0, x1 = sorted((float(foot[0]), float(foot[0] + np.sign(heading[0]) * 1.35 * height)))
    return np.array([x0 - 0.2 * height, foot[1] - 0.42 * height, x1 + 0.2 * height, foot[1] + 0.22 * height])


def out_of_sight(scene: Scene, foot: Float64) -> bool:
    """Whether a standing actor at this place is wholly outside the frame."""
    height = scene.perspective.height(float(foot[1]))
    x, y = float(foot[0]), float(foot[1])
    return x < -_OFF * height or x > scene.size[0] + _OFF * height or y - 1.1 * height > scene.size[1]


def off_edge(scene: Scene, start: Float64, direction: Float64, speed: float) -> Float64 | None:
    """Walks from a place until out of sight; returns the places (n, 2), None where that takes too long."""
    frames = int(MAX_APPROACH_S * scene.rate)
    feet = straight_route((start[0], start[1]), (direction[0], direction[1]), speed, scene.perspective, frames).feet
    for index, foot in enumerate(feet):
        if out_of_sight(scene, foot):
            return feet[: index + 1]
    return None


def straight_places(
    scene: Scene, occupancy: Occupancy, turn_frame: int, *, lies: bool, least_frames: int, walkers: Sequence[Walker]
) -> list[Place]:
    """Finds straight walks in from the edge of the picture that reach their turn at `turn_frame`, best first.

    Args:
        scene: the surveyed footage.
        occupancy: what must not be touched.
        turn_frame: frame of the turn of the plot.
        lies: the actor falls there and stays; otherwise the walk goes on out of the picture.
        least_frames: walks in sight of the camera before the turn for at least so many frames.
        walkers: who may walk.
    """
    places = []
    for walker, velocity in _directions(walkers):
        speed, direction = float(np.hypot(*velocity)), velocity / np.hypot(*velocity)
        for foot in _grid(scene):
            back = off_edge(scene, foot, -direction, speed)
            if back is None or not least_frames < len(back) <= turn_frame:
                continue
            feet, after = back[::-1], np.zeros((0, 2))
            if not lies:
                forth = off_edge(scene, foot, direction, speed)
                if forth is None:
                    continue
                after = forth[1:]
            path = np.concatenate([feet, after])
            boxes = upright_boxes(scene, path)
            turn, still = len(feet) - 1, np.zeros((0, 4))
            if lies:
                bed = lying_box(scene, foot, direction)
                if bed[0] < 8 or bed[1] < 8 or bed[2] > scene.size[0] - 8 or bed[3] > scene.size[1] - 8:
                    continue
                if occupancy.cluttered(bed):
                    continue
                still = np.tile(bed, (len(scene.boxes), 1))
            if occupancy.on_ground(path) < 0.9 or occupancy.hidden(boxes):
                continue
            touched = occupancy.touched(turn_frame - turn, boxes) + occupancy.touched(turn_frame, still)
            score = _worth(scene, walker, foot) - 0.08 * touched
            places.append(Place(walker, Route(path, np.tile(direction, (len(path), 1))), turn, score))
    return sorted(places, key=lambda place: -place.score)


def curved_places(
    scene: Scene, occupancy: Occupancy, first_frame: int, *, speed: float, lag: int, walkers: Sequence[Walker]
) -> list[Place]:
    """Finds runs that come in at one side, bend round and leave at the same side, best first.

    Args:
        scene: the surveyed footage.
        occupancy: what must not be touched.
        first_frame: frame at which the run begins, out of sight.
        speed: own heights a frame.
        lag: frames after which a second runner follows on the same route.
        walkers: who may run.
    """
    width, height = scene.size
    places = []
    for walker in walkers:
        for near in np.arange(0.45 * height, 1.05 * height, 0.05 * height):
            stature = scene.perspective.height(near)
            for far in (near - 0.6 * stature, near - 0.9 * stature):
                for share in (0.35, 0.5, 0.65, 0.8):
                    for side in (0, 1):
                        corners = _bend(width, float(near), float(far), share, side, stature)
                        route = curved_route(corners, speed, scene.perspective)
                        boxes = upright_boxes(scene, route.feet)
                        if occupancy.on_ground(route.feet) < 0.85 or occupancy.hidden(boxes):
                            continue
                        touched = occupancy.touched(first_frame, boxes) + occupancy.touched(first_frame + lag, boxes)
                        score = _worth(scene, walker, np.array([width / 2, (near + far) / 2])) - 0.08 * touched
                        places.append(Place(walker, route, len(route.feet) // 2, score + 0.03 * len(route.feet)))
    return sorted(places, key=lambda place: -place.score)


def _bend(width: int, near: float, far: float, share: float, side: int, stature: float) -> list[tuple[float, float]]:
    out, turn = -0.6 * stature, share * width
    points = [(out, near), (0.55 * turn, near), (turn, near), (turn + 0.3 * stature, (near + far) / 2), (turn, far)]
    points += [(0.45 * turn, far), (out, far)]
    return points if side == 0 else [(width - x, y) for x, y in points]


def _directions(walkers: Sequence[Walker]) -> Iterator[tuple[Walker, Float64]]:
    """Yields each walker with its own direction of travel and its mirror image."""
    for walker in walkers:
        yield walker, np.array(walker.velocity)
        yield walker, np.array([-walker.velocity[0], walker.velocity[1]])


def _grid(scene: Scene) -> Iterator[Float64]:
    width, height = scene.size
    for y in np.arange(0.35 * height, 0.97 * height, height / 36):
        for x in np.arange(0.1 * width, 0.91 * width, width / 32):
            yield np.array([x, y])


def _worth(scene: Scene, walker: Walker, foot: Float64) -> float:
    size = scene.perspective.height(float(foot[1])) / (_BEST_HEIGHT * scene.size[1])
    enlarged = scene.perspective.height(float(foot[1])) / float(walker.heights.mean())
    central = 1.0 - abs(float(foot[0]) / scene.size[0] - 0.5)
    return 5.0 * min(size, 1 / size) + walker.score + central - 0.6 * max(0.0, enlarged - 1.25)
