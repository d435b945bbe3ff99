"""The last minutes of a stream as `Observations`, in memory that does not grow however long the stream lasts.

Tracks that reach further back begin where the window does. It knows neither scores nor events.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from vau.perception.motion import MOTION_CHANNELS
from vau.perception.observe import Look, Models, Observer
from vau.perception.sightings import Sightings
from vau.perception.tracking import Linker
from vau.types import Detection, Detections, Observations, UInt8, VideoInfo

_SLACK = 0.25  # of the window by which a track may reach further back before it is cut, which costs its length


class ForgetfulLinker(Linker):
    """A linker that forgets what lies too far back."""

    def forget(self, before_s: float, *, slack_s: float = 0.0) -> None:
        """Drops tracks that ended before a time, and of those that begin `slack_s` before it what lies before it."""
        for key, line in list(self._lines.items()):
            if line.times_s[-1] < before_s:
                del self._lines[key]
            elif line.times_s[0] < before_s - slack_s:
                self._lines[key] = later = _later(line, before_s)
                if key in self._fresh:
                    self._fresh[key] = later

    @property
    def sightings(self) -> int:
        """Number of sightings that are kept."""
        return sum(map(len, self._lines.values()))


def _later(line: Sightings, from_s: float) -> Sightings:
    """Returns the sightings from a time on."""
    kept, poses = Sightings(), iter(line.poses)
    for row, posed in enumerate(line.posed):
        pose = next(poses).copy() if posed else None
        if line.times_s[row] >= from_s:
            box, confidence = line.boxes[row].copy(), float(line.confidences[row])
            seen = Detection(line.labels[row], confidence, box, "", pose)
            kept.append(float(line.times_s[row]), seen, line.flows[row].copy())
    return kept


class Window:
    """What was seen within the last seconds.

    Args:
        info: the stream, for its size in pixels.
        models: look at sampled frames.
        sample_fps: sampled frames a second.
        seconds: length.
    """

    def __init__(self, info: VideoInfo, models: Models, *, sample_fps: float, seconds: float) -> None:
        self._info = info
        self._models = models
        self._seconds = seconds
        self._linker = ForgetfulLinker(sample_fps)
        self._observer = Observer(info, models, sample_fps=sample_fps, linker=self._linker)
        self._looks: deque[Look] = deque()

    def __len__(self) -> int:
        return len(self._looks)

    @property
    def sightings(self) -> int:
        """Number of sightings of objects that are kept."""
        return self._linker.sightings

    @property
    def latest(self) -> Look:
        """What was seen in the newest sampled frame."""
        return self._looks[-1]

    @property
    def start_s(self) -> float:
        """Time of the earliest sampled frame that is kept."""
        return self._looks[0].time_s

    def push(self, image: UInt8, time_s: float) -> bool:
        """Takes the next frame; says whether it was one that was looked at."""
        look = self._observer.push(image, time_s)
        if look is None:
            return False
        self._looks.append(look)
        while self._looks[0].time_s < time_s - self._seconds:
            self._looks.popleft()
        self._linker.forget(self.start_s, slack_s=_SLACK * self._seconds)
        return True

    def observations(self) -> Observations:
        """Returns all that was seen within the window; there must be one sampled frame."""
        looks = list(self._looks)
        self._linker.forget(self.start_s)
        times = np.array([look.time_s for look in looks])
        return Observations(
            times_s=times,
            embeddings=np.stack([look.embedding for look in looks]),
            motion=np.stack([look.motion for look in looks]),
            motion_channels=MOTION_CHANNELS,
            tracks=self._linker.tracks(times),
            detections=Detections.of(look.detections for look in looks),
            frame_size=(self._info.width, self._info.height),
            duration_s=float(times[-1]),
            models=self._models.names,
        )
