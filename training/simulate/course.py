"""How one body moves through a scene: a course is written step by step and gives one row a frame.

Knows no camera, no pixels and no other body. Gaits are ours: a stride angle and a cadence that grow with the pace.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
FLAT = np.pi / 2
POSTURE = ("heading", "pitch", "crouch", "phase", "stride", "left_arm", "right_arm", "lift")


@dataclass(frozen=True, eq=False)
class Motion:
    """Place and posture of one body, one row a frame of the scene; angles in radians, lengths in metres."""

    at: Float64  # (T, 2) where it stands
    posture: Float64  # (T, 8), columns as in POSTURE
    present: NDArray[np.bool_]  # (T,) False before it comes and after it is gone

    def __getattr__(self, name: str) -> Float64:
        if name in POSTURE:
            return self.posture[:, POSTURE.index(name)]
        raise AttributeError(name)

    def speed(self, rate: float) -> Float64:
        """Returns the pace (T,) in metres a second, 0 where the body is absent."""
        if len(self.at) < 2:
            return np.zeros(len(self.at))
        steps = np.hypot(*np.gradient(self.at, axis=0).T) * rate
        return np.where(self.present, steps, 0.0)


class Course:
    """Writes a motion step by step, from a place and a moment on; each step returns the course itself."""

    def __init__(self, rate: float, start: tuple[float, float], start_s: float = 0.0, heading: float = 0.0) -> None:
        self._rate = rate
        self._first = round(start_s * rate)
        self._at = [np.array(start, np.float64)]
        self._rows = [np.array([heading, 0, 0, 0, 0, 0, 0, 0], np.float64)]

    @property
    def now_s(self) -> float:
        """The moment that has been reached."""
        return (self._first + len(self._at) - 1) / self._rate

    @property
    def place(self) -> tuple[float, float]:
        """The place that has been reached."""
        return float(self._at[-1][0]), float(self._at[-1][1])

    def go(self, to: tuple[float, float], speed: float, end_speed: float | None = None, *, gait: bool = True) -> Course:
        """Goes straight to a place at a pace in metres a second that may change evenly on the way."""
        start, end = self._at[-1], np.array(to, np.float64)
        way = float(np.hypot(*(end - start)))
        if way < 1e-6:
            return self
        last = speed if end_speed is None else end_speed
        count = max(1, round(2 * way / (speed + last) * self._rate))
        share = np.arange(1, count + 1) / count
        gone = (2 * speed * share + (last - speed) * share**2) / (speed + last)
        row = self._upright()
        row[0] = np.arctan2(end[1] - start[1], end[0] - start[0])
        for index, part in enumerate(gone):
            pace = speed + (last - speed) * share[index]
            row = row.copy()
            row[4] = min(0.28 + 0.14 * pace, 0.85) if gait else 0.0
            row[3] += 2 * np.pi * (0.6 + 0.22 * pace) / self._rate
            self._add(start + part * (end - start), row)
        return self

    def wait(self, seconds: float) -> Course:
        """Stays as it is, on its feet or on the ground."""
        row = self._rows[-1].copy()
        row[4] = 0.0
        for _ in range(round(seconds * self._rate)):
            self._add(self._at[-1], row)
        return self

    def until(self, time_s: float) -> Course:
        """Stays as it is until a moment."""
        return self.wait(max(0.0, time_s - self.now_s))

    def turn(self, heading: float) -> Course:
        """Faces another way, in radians, from the next step on."""
        self._rows[-1] = self._rows[-1].copy()
        self._rows[-1][0] = heading
        return self

    def bow(self, seconds: float = 1.0, depth: float = 0.9) -> Course:
        """Crouches down and comes up again, as one who puts something down or takes it up."""
        for share in self._shares(seconds):
            row = self._upright()
            row[2] = depth * np.sin(np.pi * share)
            self._add(self._at[-1], row)
        return self

    def fall(self, seconds: float = 0.6, slide: tuple[float, float] = (0.0, 0.0)) -> Course:
        """Topples forward as a pendulum would, ever faster, and may be thrown along by `slide` metres."""
        return self._go_down(seconds, 2.2, slide, 0.0)

    def lie_down(self, seconds: float = 1.6, lift: float = 0.0) -> Course:
        """Lays itself down, at an even pace, on something `lift` metres high."""
        return self._go_down(seconds, 1.0, (0.0, 0.0), lift)

    def rise(self, seconds: float = 1.6) -> Course:
        """Gets up from lying."""
        pitch, lift = self._rows[-1][1], self._rows[-1][7]
        for share in self._shares(seconds):
            row = self._upright()
            row[1], row[7], row[2] = pitch * (1 - share), lift * (1 - share), 0.5 * np.sin(np.pi * share)
            self._add(self._at[-1], row)
        return self

    def strike(self, seconds: float, phase: float, beat: float = 2.7) -> Course:
        """Throws arms and body about, `beat` blows a second, about one place."""
        home, heading = self._at[-1].copy(), self._rows[-1][0]
        forward = np.array([np.cos(heading), np.sin(heading)])
        side = np.array([-np.sin(heading), np.cos(heading)])
        for step in range(round(seconds * self._rate)):
            clock = 2 * np.pi * beat * step / self._rate + phase
            row = self._upright()
            row[0] = heading + 0.7 * np.sin(0.37 * clock)
            row[1] = 0.07 * np.sin(0.3 * clock)
            row[4] = 0.5
            row[3] = 0.7 * clock
            row[5], row[6] = 1.2 + 1.2 * np.sin(clock), 1.2 + 1.2 * np.sin(1.1 * clock + 2.2)
            self._add(home + 0.08 * np.sin(0.3 * clock) * forward + 0.08 * np.sin(0.27 * clock) * side, row)
        row = self._upright()
        row[0] = heading
        self._add(home, row)
        return self

    def wave(self, seconds: float) -> Course:
        """Raises an arm and moves it to and fro."""
        for step in range(round(seconds * self._rate)):
            row = self._upright()
            row[6] = 2.6 + 0.35 * np.sin(2 * np.pi * 1.6 * step / self._rate)
            self._add(self._at[-1], row)
        return self

    def motion(self, frames: int, *, stays: bool = True) -> Motion:
        """Returns the rows of a whole scene; `stays` keeps the body where its course ends."""
        at, rows = np.zeros((frames, 2)), np.zeros((frames, len(POSTURE)))
        present = np.zeros(frames, bool)
        for frame in range(frames):
            step = frame - self._first
            if step >= 0 and (step < len(self._at) or stays):
                present[frame] = True
            step = min(max(step, 0), len(self._at) - 1)
            at[frame], rows[frame] = self._at[step], self._rows[step]
        last = self._first + len(self._at)
        if stays and last < frames:
            rows[last:, POSTURE.index("stride")] = 0.0
        return Motion(at, rows, present)

    def _go_down(self, seconds: float, power: float, slide: tuple[float, float], lift: float) -> Course:
        start, pitch = self._at[-1].copy(), self._rows[-1][1]
        for share in self._shares(seconds):
            row = self._upright()
            row[1] = pitch + (FLAT - pitch) * share**power
            row[2] = 0.35 * np.sin(np.pi * share)
            row[7] = lift * share
            row[5] = row[6] = 0.9 * share
            self._add(start + np.array(slide) * (1 - (1 - share) ** 2), row)
        return self

    def _shares(self, seconds: float) -> Float64:
        count = max(1, round(seconds * self._rate))
        return np.arange(1, count + 1) / count

    def _upright(self) -> Float64:
        row = np.zeros(len(POSTURE))
        row[0], row[3] = self._rows[-1][0], self._rows[-1][3]
        return row

    def _add(self, at: Float64, row: Float64) -> None:
        self._at.append(np.asarray(at, np.float64))
        self._rows.append(row.copy())
