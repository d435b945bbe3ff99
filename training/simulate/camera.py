"""A pinhole camera above a flat ground. The world is in metres: x to the right, y away from the camera, z up.

Knows nothing of what stands on the ground.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
NEAREST_M = 0.5


@dataclass(frozen=True)
class Camera:
    """Where the camera hangs and how it looks; it stands over (0, 0)."""

    height_m: float = 4.5
    tilt_deg: float = 24.0  # below the horizon
    pan_deg: float = 0.0  # to the right
    view_deg: float = 64.0  # horizontal angle of view
    size: tuple[int, int] = (320, 240)  # width, height in pixels

    def __post_init__(self) -> None:
        if not (self.height_m > 0 and 5 <= self.tilt_deg <= 85 and 10 <= self.view_deg <= 120):
            raise ValueError(f"a camera needs a height, a tilt in [5, 85] and a view in [10, 120] degrees, got {self}")
        if min(self.size) < 32 or max(self.size) > 4096:
            raise ValueError(f"size must lie in [32, 4096] pixels, got {self.size}")

    @property
    def focal(self) -> float:
        """Focal length in pixels."""
        return float(self.size[0] / 2 / np.tan(np.deg2rad(self.view_deg) / 2))

    def axes(self) -> Float64:
        """Returns the camera's right, down and forward as rows (3, 3)."""
        tilt, pan = np.deg2rad(self.tilt_deg), np.deg2rad(self.pan_deg)
        forward = np.array([np.cos(tilt) * np.sin(pan), np.cos(tilt) * np.cos(pan), -np.sin(tilt)])
        right = np.array([np.cos(pan), -np.sin(pan), 0.0])
        return np.stack([right, np.cross(forward, right), forward])

    def project(self, points: NDArray[Any]) -> tuple[Float64, Float64]:
        """Projects points (..., 3) in metres.

        Returns:
            Pixels (..., 2), and depth (...) in metres along the line of sight; pixels are NaN nearer than `NEAREST_M`.
        """
        seen = (np.asarray(points, np.float64) - [0.0, 0.0, self.height_m]) @ self.axes().T
        depth = seen[..., 2]
        safe = np.where(depth > NEAREST_M, depth, np.nan)
        centre = np.array(self.size, np.float64) / 2
        return centre + self.focal * seen[..., :2] / safe[..., None], depth

    def ground(self, x: float, y: float, z: float = 0.0) -> Float64:
        """Returns the pixel (2,) of one point."""
        return self.project(np.array([x, y, z]))[0]
