"""What a tracker has linked of one object, kept as columns: a busy street has millions of sightings a day."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vau.perception.columns import Column
from vau.types import Bool, Detection, Float32, Float64

_POSE = (17, 3)


class Sightings:
    """Sightings of one object in time order."""

    def __init__(self) -> None:
        self._times = Column(np.float64)
        self._boxes = Column(np.float32, 4)
        self._flows = Column(np.float32, 4)
        self._confidences = Column(np.float64)
        self._poses = Column(np.float32, *_POSE)
        self._pose_rows: list[int] = []
        self.labels: list[str] = []

    def __len__(self) -> int:
        return len(self._times)

    def append(self, time_s: float, detection: Detection, flow: Float32) -> None:
        """Adds a sighting with the motion (4,) inside its box."""
        if detection.keypoints is not None:
            self._pose_rows.append(len(self))
            self._poses.append(detection.keypoints)
        self._times.append(time_s)
        self._boxes.append(detection.box)
        self._flows.append(flow)
        self._confidences.append(detection.confidence)
        self.labels.append(detection.label)

    def extend(self, later: Sightings) -> None:
        """Adds all sightings of another series behind these."""
        self._pose_rows.extend(len(self) + row for row in later._pose_rows)
        self._poses.extend(later.poses)
        self._times.extend(later.times_s)
        self._boxes.extend(later.boxes)
        self._flows.extend(later.flows)
        self._confidences.extend(later.confidences)
        self.labels.extend(later.labels)

    @property
    def times_s(self) -> Float64:
        """Times (T,)."""
        return self._times.rows

    @property
    def boxes(self) -> Float32:
        """Boxes (T, 4)."""
        return self._boxes.rows

    @property
    def flows(self) -> Float32:
        """Motion inside the boxes (T, 4)."""
        return self._flows.rows

    @property
    def confidences(self) -> Float64:
        """Confidences (T,)."""
        return self._confidences.rows

    @property
    def poses(self) -> Float32:
        """Poses (P, 17, 3) of the sightings that have one."""
        return self._poses.rows

    @property
    def posed(self) -> Bool:
        """Which sightings (T,) have a pose."""
        mask = np.zeros(len(self), bool)
        mask[self._pose_rows] = True
        return mask


def joined(parts: Sequence[Sightings]) -> Sightings:
    """Returns one series of sightings made of several, in the order given."""
    if len(parts) == 1:
        return parts[0]
    whole = Sightings()
    for part in parts:
        whole.extend(part)
    return whole
