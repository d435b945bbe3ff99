"""Draws a cut-out person in a pose over a frame: bending warp, contact shadow, sensor noise, blending.

Knows no scenario and no time. The warp lays the cut-out along the body's line (`actors.body_axis`), each pixel taking
its colour from the nearest point of that line, so that a body can lean, bend and lie.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vau.demo.actors import Pose, body_axis
from vau.demo.cutout import Walker

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
UInt8 = NDArray[np.uint8]

SHADOW = 0.32  # share of light that a body takes away right beneath it, under an overcast sky
_BEYOND = 0.12  # how far past head and soles the line goes on, in body heights
_REACH = 0.42  # half the width of a body with swinging arms and legs, in body heights


@dataclass(frozen=True, eq=False)
class Layer:
    """A drawn body and its shadow, cut to the frame, ready to blend."""

    x0: int
    y0: int
    colour: Float32  # (h, w, 3) premultiplied by its opacity
    alpha: Float32  # (h, w)
    light: Float32  # (h, w) share of light that the shadow leaves

    @property
    def box(self) -> tuple[float, float, float, float] | None:
        """Box of what is visible, xyxy in pixels; None where the body lies outside the frame."""
        rows, cols = np.nonzero(self.alpha > 0.5)
        if rows.size < 12:
            return None
        x0, y0 = self.x0 + float(cols.min()), self.y0 + float(rows.min())
        return x0, y0, self.x0 + float(cols.max()) + 1.0, self.y0 + float(rows.max()) + 1.0


def draw(walker: Walker, pose: Pose, frame_size: tuple[int, int]) -> Layer | None:
    """Draws one actor; None where nothing of it falls into the frame.

    Args:
        walker: the cut-outs.
        pose: where and how.
        frame_size: width and height in pixels.
    """
    axis = body_axis(pose) * pose.height
    axis = _extended(axis) + np.asarray(pose.foot)
    margin = _REACH * pose.height + 4
    x0, y0 = (int(max(value, 0)) for value in np.floor(axis.min(0) - margin))
    x1, y1 = (int(min(value, size)) for value, size in zip(np.ceil(axis.max(0) + margin), frame_size, strict=True))
    if x1 - x0 < 2 or y1 - y0 < 2:
        return None
    grid = np.stack(np.meshgrid(np.arange(x0, x1), np.arange(y0, y1)), axis=-1).astype(np.float64)
    share, side = _along(grid.reshape(-1, 2), axis)
    scale = walker.heights[pose.picture] / pose.height
    anchor = walker.anchors[pose.picture]
    sign = -1.0 if pose.mirrored else 1.0
    from_x = (anchor[0] + sign * side * scale).reshape(grid.shape[:2]).astype(np.float32)
    from_y = (anchor[1] - share * walker.heights[pose.picture]).reshape(grid.shape[:2]).astype(np.float32)
    source = walker.frames[pose.picture].astype(np.float32)
    source[..., :3] *= source[..., 3:] / 255.0
    warped = cv2.remap(source, from_x, from_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    alpha = np.clip(warped[..., 3] / 255.0, 0.0, 1.0)
    colour = np.clip(warped[..., :3], 0.0, 255.0).astype(np.float32)
    return Layer(x0, y0, colour, alpha.astype(np.float32), _shadow(pose, axis, grid.shape[:2], (x0, y0)))


def blend(frame: UInt8, layer: Layer, noise_sigma: float, random: np.random.Generator) -> None:
    """Lays a layer over a frame in place, with noise of the footage's own strength on the body.

    Args:
        frame: (H, W, 3), changed.
        layer: from `draw`.
        noise_sigma: standard deviation of the footage's noise in grey levels.
        random: drawn from once a call, so that a frame's noise depends on the seed and the order of calls alone.
    """
    rows, cols = layer.alpha.shape
    window = frame[layer.y0 : layer.y0 + rows, layer.x0 : layer.x0 + cols]
    grain = random.normal(0.0, 1.0, (rows, cols)).astype(np.float32)
    grain = cv2.GaussianBlur(grain, (3, 3), 0.7) * (1.6 * noise_sigma)  # the blur takes about two fifths off
    alpha = layer.alpha[..., None]
    mixed = window * layer.light[..., None] * (1.0 - alpha) + layer.colour + grain[..., None] * alpha
    window[:] = np.clip(mixed, 0, 255).round().astype(np.uint8)


def _extended(axis: Float64) -> Float64:
    first, last = axis[1] - axis[0], axis[-1] - axis[-2]
    beyond = np.linspace(0.0, _BEYOND * (len(axis) - 1), 6)[1:, None]
    return np.concatenate([axis[0] - beyond[::-1] * first, axis, axis[-1] + beyond * last])


def _along(points: Float64, axis: Float64) -> tuple[Float64, Float64]:
    """Returns for each point its place along the body (0 feet, 1 head) and its distance to the right of it."""
    count = len(axis) - 10  # five points were added at either end
    shares = np.concatenate(
        [np.linspace(-_BEYOND, 0, 6)[:-1], np.linspace(0, 1, count), 1 + np.linspace(0, _BEYOND, 6)[1:]]
    )
    tangents = np.gradient(axis, axis=0)
    lengths = np.hypot(tangents[:, 0], tangents[:, 1])
    units = tangents / lengths[:, None]
    per_pixel = np.gradient(shares) / lengths  # change of share a pixel along the line
    gaps = (points[:, None, 0] - axis[None, :, 0]) ** 2 + (points[:, None, 1] - axis[None, :, 1]) ** 2
    nearest = gaps.argmin(axis=1)
    offset = points - axis[nearest]
    tangent = units[nearest]
    forward = (offset * tangent).sum(1)
    side = offset[:, 1] * tangent[:, 0] - offset[:, 0] * tangent[:, 1]
    return shares[nearest] + forward * per_pixel[nearest], side


def _shadow(pose: Pose, axis: Float64, shape: tuple[int, int], origin: tuple[int, int]) -> Float32:
    """Soft shade where the body is near the ground: at the feet of a standing one, along a lying one."""
    shade = np.zeros(shape, np.float32)
    thickness = max(2, round(0.09 * pose.height))
    foot = np.asarray(pose.foot) - origin
    centre = (round(float(foot[0])), round(float(foot[1])))
    cv2.ellipse(shade, centre, (round(0.13 * pose.height), max(2, thickness // 3)), 0, 0, 360, 1.0, cv2.FILLED)
    near = min(1.0, max(0.0, (pose.legs - 0.5) / 1.0))  # a body that leans far already darkens the ground below it
    if near > 0:
        line = axis[5:-5]  # without what was added beyond soles and head
        ground = np.stack([line[:, 0], line[:, 1] * near + pose.foot[1] * (1 - near)], axis=1) - origin
        ground[:, 1] += 0.03 * pose.height
        body = np.zeros(shape, np.float32)
        cv2.polylines(body, [ground.round().astype(np.int32).reshape(-1, 1, 2)], False, near, 2 * thickness)
        shade = np.maximum(shade, body)
    sigma = 0.035 * pose.height
    return np.asarray(1.0 - SHADOW * cv2.GaussianBlur(shade, (0, 0), sigma), dtype=np.float32)
