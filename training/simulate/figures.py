"""The bodies of actors as points in space: a jointed person, cuboids for vehicles and bags.

Knows no camera. Proportions are those of an average adult, in shares of the standing height.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vau.training.simulate.world import Actor

Float64 = NDArray[np.float64]
HEAD, NECK = 17, 18  # beyond the 17 points of COCO
# pairs of joints that a limb joins, with its half thickness in shares of the height, and what it wears
BONES: tuple[tuple[int, int, float, str], ...] = (
    (11, 13, 0.047, "legs"),
    (13, 15, 0.036, "legs"),
    (12, 14, 0.047, "legs"),
    (14, 16, 0.036, "legs"),
    (5, 7, 0.032, "top"),
    (7, 9, 0.026, "skin"),
    (6, 8, 0.032, "top"),
    (8, 10, 0.026, "skin"),
)
HEAD_RADIUS = 0.066
_THIGH, _SHIN, _ANKLE = 0.245, 0.245, 0.035
_TORSO, _UPPER, _FORE = 0.29, 0.17, 0.17
_HIP, _SHOULDER = 0.055, 0.105  # half widths


def person_joints(actor: Actor) -> Float64:
    """Returns the joints of a person (T, 19, 3) in metres: COCO's 17, the head's middle and the neck."""
    motion, tall = actor.motion, actor.size_m[2]
    joints = np.zeros((len(motion.at), 19, 3))  # forward, to the left, up; in heights
    swing = motion.stride * np.sin(motion.phase)
    thighs = np.stack([swing, -swing], 1) + 1.1 * motion.crouch[:, None]
    lifted = np.maximum(np.stack([np.cos(motion.phase), -np.cos(motion.phase)], 1), 0.0)
    shins = thighs - 1.2 * motion.stride[:, None] * lifted - 2.0 * motion.crouch[:, None]
    reach = _THIGH * np.cos(thighs) + _SHIN * np.cos(shins)
    hip_up = reach.max(1) + _ANKLE
    lean = 0.04 + 0.16 * motion.stride + 0.9 * motion.crouch
    neck_f, neck_up = _TORSO * np.sin(lean), hip_up + _TORSO * np.cos(lean)
    for side, sign in enumerate((1.0, -1.0)):
        hip, knee, ankle = 11 + side, 13 + side, 15 + side
        joints[:, hip] = _stack(0.0, sign * _HIP, hip_up)
        joints[:, knee] = joints[:, hip] + _bone(_THIGH, thighs[:, side])
        joints[:, ankle] = joints[:, knee] + _bone(_SHIN, shins[:, side])
        shoulder, elbow, wrist = 5 + side, 7 + side, 9 + side
        raised = motion.left_arm if side == 0 else motion.right_arm
        upper = raised - sign * 0.9 * swing + lean
        fore = upper + 0.25 + 0.9 * motion.stride + 0.35 * np.sin(2 * raised) ** 2
        joints[:, shoulder] = _stack(neck_f, sign * _SHOULDER, neck_up)
        joints[:, elbow] = joints[:, shoulder] + _bone(_UPPER, upper)
        joints[:, wrist] = joints[:, elbow] + _bone(_FORE, fore)
    joints[:, NECK] = _stack(neck_f, 0.0, neck_up)
    joints[:, HEAD] = joints[:, NECK] + _stack(0.11 * np.sin(lean), 0.0, 0.11 * np.cos(lean))
    face = ((0, 0.06, 0.0), (1, 0.05, 0.025), (2, 0.05, -0.025), (3, 0.0, 0.06), (4, 0.0, -0.06))
    for point, forward, left in face:
        joints[:, point] = joints[:, HEAD] + _stack(np.full(len(joints), forward), left, 0.0)
    return _placed(joints * tall, actor)


def _stack(forward: Float64 | float, left: float, up: Float64 | float) -> Float64:
    forward, up = np.broadcast_arrays(np.asarray(forward, np.float64), np.asarray(up, np.float64))
    return np.stack([forward, np.full(forward.shape, left), up], -1)


def _bone(length: float, angle: Float64) -> Float64:
    return np.stack([length * np.sin(angle), np.zeros(len(angle)), -length * np.cos(angle)], 1)


def _placed(points: Float64, actor: Actor) -> Float64:
    """Tips local points (T, P, 3) over by the pitch, turns them by the heading and puts them in their place."""
    motion = actor.motion
    tip, turn = motion.pitch[:, None], motion.heading[:, None]
    forward = points[..., 0] * np.cos(tip) + points[..., 2] * np.sin(tip)
    up = points[..., 2] * np.cos(tip) - points[..., 0] * np.sin(tip)
    up = up + 0.12 * np.abs(np.sin(tip)) + motion.lift[:, None]
    x = forward * np.cos(turn) - points[..., 1] * np.sin(turn) + motion.at[:, :1]
    y = forward * np.sin(turn) + points[..., 1] * np.cos(turn) + motion.at[:, 1:]
    return np.stack([x, y, np.maximum(up, 0.03)], -1)


def cuboid(actor: Actor) -> Float64:
    """Returns the corners of a vehicle or bag (T, 8, 3): the lower four around, then the upper four."""
    length, width, height = actor.size_m
    return _corners(actor, length, width, 0.0, height)


def parts(actor: Actor) -> tuple[tuple[Float64, str], ...]:
    """Returns the cuboids (T, 8, 3) that a vehicle or bag is drawn from, from below, with what each is made of."""
    length, width, height = actor.size_m
    if actor.label == "car":
        body = _corners(actor, length, width, 0.25, 0.58 * height)
        return (body, "paint"), (_corners(actor, 0.52 * length, 0.88 * width, 0.58 * height, height), "glass")
    if actor.label in ("bus", "truck"):
        lower = _corners(actor, length, width, 0.3, 0.5 * height)
        middle = _corners(actor, 0.98 * length, 0.99 * width, 0.5 * height, 0.8 * height)
        return (lower, "paint"), (middle, "glass"), (_corners(actor, length, width, 0.8 * height, height), "paint")
    return ((_corners(actor, length, width, 0.0, height), "paint"),)


def wheels(actor: Actor) -> Float64:
    """Returns the wheels of a vehicle as rings of points (T, 4, 10, 3)."""
    length, width, height = actor.size_m
    radius = min(0.34, 0.24 * height)
    angle = np.linspace(0, 2 * np.pi, 10, endpoint=False)
    rings = [
        np.stack(
            [sx * 0.31 * length + radius * np.cos(angle), np.full(10, sy * width / 2), radius * (1 + np.sin(angle))], 1
        )
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]
    flat = np.concatenate(rings)[None].repeat(len(actor.motion.at), 0)
    return _placed(flat, actor).reshape(len(flat), 4, 10, 3)


def _corners(actor: Actor, length: float, width: float, low: float, high: float) -> Float64:
    around = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)]) * (length / 2, width / 2)
    corners = np.concatenate([np.c_[around, np.full(4, low)], np.c_[around, np.full(4, high)]])
    return _placed(corners[None].repeat(len(actor.motion.at), 0), actor)
