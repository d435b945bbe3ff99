"""How a cut-out person moves: walking and running along a route, gait cycle, falling over.

Pure functions of time in the units of the picture; knows no pixels' colours and no scenario. A fall is an inverted
pendulum about the feet, theta'' = k sin(theta), with the trunk ahead of the legs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vau.demo.cutout import Perspective, Walker

Float64 = NDArray[np.float64]

CAMERA_ELEVATION = np.deg2rad(25.0)  # typical of a camera on a first floor; only the foreshortening of falls needs it
RIGHT_ANGLE = np.pi / 2
_THUMB = 96  # rows and columns of the pictures in which two moments of a gait are compared


@dataclass(frozen=True)
class Pose:
    """Where and how one actor is drawn in one frame."""

    foot: tuple[float, float]  # x, y in pixels
    height: float  # standing height in pixels at that place
    picture: int  # which cut-out
    mirrored: bool
    legs: float  # radians from upright
    trunk: float  # radians from upright
    heading: tuple[float, float]  # image direction in which the body leans or falls, unit length


@dataclass(frozen=True, eq=False)
class Route:
    """Positions of the feet at a steady pace, one row a frame."""

    feet: Float64  # (n, 2) pixels
    headings: Float64  # (n, 2) unit image directions


def gait_loop(walker: Walker, shortest: int = 7) -> tuple[int, int]:
    """Returns the range of cut-outs [i, j) whose ends match best, so that it can be played in a circle."""
    thumbs = _silhouettes(walker)
    best, span = np.inf, (0, len(walker))
    for start in range(0, max(1, len(walker) // 3)):
        for end in range(start + shortest, len(walker)):
            change = float(np.abs(thumbs[start] - thumbs[end]).mean()) * (1.0 + 4.0 / (end - start))
            if change < best:
                best, span = change, (start, end)
    return span


def _silhouettes(walker: Walker) -> list[Float64]:
    """Opacity of every cut-out around its anchor at one common scale (96, 96)."""
    grid = (np.arange(_THUMB) + 0.5) / _THUMB
    thumbs = []
    for picture, anchor, height in zip(walker.frames, walker.anchors, walker.heights, strict=True):
        rows = np.clip((anchor[1] - (1.1 - 1.2 * grid) * height).round().astype(int), 0, picture.shape[0] - 1)
        cols = np.clip((anchor[0] + (grid - 0.5) * height).round().astype(int), 0, picture.shape[1] - 1)
        thumbs.append(picture[np.ix_(rows, cols)][..., 3].astype(np.float64) / 255.0)
    return thumbs


def straight_route(
    start: tuple[float, float],
    direction: tuple[float, float],
    speed: float,
    perspective: Perspective,
    frames: int,
) -> Route:
    """Walks a straight line at `speed` own heights a frame, so that nearer steps are longer in pixels."""
    unit = np.asarray(direction) / np.hypot(*direction)
    feet = [np.asarray(start, dtype=np.float64)]
    for _ in range(frames - 1):
        feet.append(feet[-1] + unit * speed * perspective.height(float(feet[-1][1])))
    return Route(np.stack(feet), np.tile(unit, (frames, 1)))


def curved_route(points: Sequence[tuple[float, float]], speed: float, perspective: Perspective) -> Route:
    """Follows a smooth curve through corner points at `speed` own heights a frame until its end."""
    corners = np.asarray(points, dtype=np.float64)
    for _ in range(4):  # Chaikin's corner cutting keeps the ends and rounds what lies between
        quarter, three = 0.75 * corners[:-1] + 0.25 * corners[1:], 0.25 * corners[:-1] + 0.75 * corners[1:]
        inner = np.stack([quarter, three], axis=1).reshape(-1, 2)
        corners = np.concatenate([corners[:1], inner, corners[-1:]])
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
    places, position = [0.0], corners[0]
    while places[-1] < along[-1]:
        places.append(places[-1] + max(1.0, speed * perspective.height(float(position[1]))))
        position = np.array([np.interp(places[-1], along, corners[:, axis]) for axis in (0, 1)])
    feet = np.stack([np.interp(places, along, corners[:, axis]) for axis in (0, 1)], axis=1)
    steps = np.gradient(feet, axis=0)
    return Route(feet, steps / np.maximum(np.hypot(steps[:, 0], steps[:, 1]), 1e-6)[:, None])


def pendulum(duration_s: float, tilt: float = 0.12) -> Callable[[float], float]:
    """Returns the angle of a body that topples from `tilt` radians to the ground in `duration_s` seconds.

    The angle is 0 before time 0 and pi/2 from `duration_s` on.
    """
    step, angle, rate = 2e-3, tilt, 0.0
    angles = [0.0, tilt]
    while angle < RIGHT_ANGLE:
        rate += step * np.sin(angle)
        angle += step * rate
        angles.append(angle)
    curve = np.asarray(angles)
    curve[-1] = RIGHT_ANGLE
    clock = np.linspace(0.0, duration_s, len(curve))
    return lambda time_s: float(np.interp(time_s, clock, curve, left=0.0, right=RIGHT_ANGLE))


def moving_poses(
    walker: Walker, route: Route, perspective: Perspective, *, pace: float, lean: float = 0.0
) -> list[Pose]:
    """Plays a walker along a route; `pace` is cut-outs a frame (1: the real gait), `lean` a tilt in radians."""
    start, end = gait_loop(walker)
    faces_right = walker.velocity[0] >= 0
    poses = []
    for step, (foot, heading) in enumerate(zip(route.feet, route.headings, strict=True)):
        picture = start + int(step * pace) % (end - start)
        poses.append(
            Pose(
                (float(foot[0]), float(foot[1])),
                perspective.height(float(foot[1])),
                picture,
                bool(heading[0] >= 0) != faces_right,
                lean,
                lean * 1.4,
                (float(heading[0]), float(heading[1])),
            )
        )
    return poses


def closed_step(walker: Walker) -> int:
    """Returns the cut-out in which the legs are closest together, to lie on the ground in."""
    widths = []
    for picture in walker.frames:
        cols = np.flatnonzero((picture[int(0.7 * picture.shape[0]) :, :, 3] > 128).any(axis=0))
        widths.append(int(np.ptp(cols)) if cols.size else picture.shape[1])
    return int(np.argmin(widths / walker.heights))


def falling_poses(
    last: Pose, rest: int, perspective: Perspective, frames: int, rate: float, duration_s: float
) -> list[Pose]:
    """Continues from a walking pose into a fall in its heading and the stillness after it, `frames` poses.

    Args:
        last: the last upright pose.
        rest: cut-out from half of the fall on, as from `closed_step`.
        perspective: standing height by place.
        frames: how many poses follow.
        rate: frames a second.
        duration_s: from losing balance to lying.
    """
    angle = pendulum(duration_s)
    poses = []
    for step in range(1, frames + 1):
        time_s = step / rate
        gone = min(time_s / duration_s, 1.0)
        # what is left of the walking speed carries the feet a little way on, fading out by the impact
        slide = 0.10 * last.height * (1.0 - (1.0 - gone) ** 2)
        foot = (last.foot[0] + last.heading[0] * slide, last.foot[1] + last.heading[1] * slide)
        trunk = min(angle(time_s * 1.12 + 0.04), RIGHT_ANGLE)
        legs = min(angle(time_s), RIGHT_ANGLE)
        hinge = 0.10 * np.sin(RIGHT_ANGLE * gone)  # knees give way and stay a little drawn up
        poses.append(
            Pose(
                foot,
                perspective.height(foot[1]),
                last.picture if gone < 0.5 else rest,
                last.mirrored,
                legs - hinge,
                trunk,
                last.heading,
            )
        )
    return poses


def body_axis(pose: Pose, samples: int = 40) -> Float64:
    """Returns the body's line from feet to head in the picture (samples, 2), in standing heights from the foot.

    Angles pass smoothly from legs to trunk around the hip. A body on the ground is seen from `CAMERA_ELEVATION`:
    across the picture at its full length, along the view foreshortened.
    """
    share = np.linspace(0.0, 1.0, samples)
    blend = np.clip((share - 0.35) / 0.3, 0.0, 1.0)
    angles = pose.legs + (pose.trunk - pose.legs) * blend * blend * (3.0 - 2.0 * blend)
    # the heading is an image direction: on the ground, its vertical part is longer by 1 / sin(elevation)
    ground = np.array([pose.heading[0], pose.heading[1] / np.sin(CAMERA_ELEVATION)])
    ground /= max(float(np.hypot(*ground)), 1e-6)
    across = np.sin(angles) * ground[0] / np.cos(CAMERA_ELEVATION)
    down = -np.cos(angles) + np.sin(angles) * ground[1] * np.tan(CAMERA_ELEVATION)
    steps = np.stack([across, down], axis=1) / (samples - 1)
    return np.concatenate([[[0.0, 0.0]], np.cumsum(steps[1:], axis=0)])
