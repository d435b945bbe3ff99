"""What the narrator may look up about a video: tracks under safe names, places in the picture, what is usual in it.

Everything is measured on the observations; nothing is inferred about meaning. Labels outside the classes that detectors
are known to have read as "object", so that no foreign text reaches an account. All of this is ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vau.perception.coco import CLASS_NAMES
from vau.types import Event, Observations, ScoreTrack, Track, VideoInfo

SURE_TRACK = 0.5  # below it a label reads "what looks like a person"
VEHICLES = frozenset({"bicycle", "car", "motorcycle", "bus", "truck", "train", "boat", "airplane"})
MOVING_OBJECT = "moving object"
_LABELS = frozenset(CLASS_NAMES.values()) | {MOVING_OBJECT}
_MIN_USUAL = 8  # samples outside events that "usual in this clip" needs
_CUT = 0.2  # of the channel `cut`; frames of one shot stay below 0.05
_CELLS = (6, 4)  # across and down, of the channels `cell_0` to `cell_23`
CAMERA_MOVES = 0.04  # frame heights a second
_WHOLE = 0.5  # share of the picture
_REACH = 0.2  # of a box's size by which it is enlarged to hold a place


@dataclass(frozen=True)
class Scene:
    """One video's observations, scores and events, for looking things up."""

    info: VideoInfo
    observations: Observations
    scores: ScoreTrack
    events: tuple[Event, ...]

    @cached_property
    def tracks(self) -> dict[int, Track]:
        """Tracks by id."""
        return {track.track_id: track for track in self.observations.tracks}

    def label(self, track_id: int | None) -> str:
        """Returns the kind of a track in words that are safe to print; ``object`` for an unknown label."""
        track = None if track_id is None else self.tracks.get(track_id)
        return track.label if track is not None and track.label in _LABELS else "object"

    def confidence(self, track_ids: Iterable[int | None]) -> float:
        """Returns the least confidence among the tracks that are there, 1 where there is none."""
        known = [self.tracks[item].confidence for item in track_ids if item in self.tracks]
        return min(known, default=1.0)

    def existing(self, evidence: Iterable[str]) -> tuple[str, ...]:
        """Returns ids of evidence once each, without tracks that were not observed."""
        known = {f"T{item}" for item in self.tracks}
        return tuple(item for item in dict.fromkeys(evidence) if not item.startswith("T") or item in known)

    def present(self, start_s: float, end_s: float) -> list[Track]:
        """Returns the tracks of confidence 0.5 or more, without unnamed moving objects, that overlap a span of time."""
        return [
            track
            for track in self.observations.tracks
            if track.confidence >= SURE_TRACK
            and track.start_s <= end_s
            and track.end_s >= start_s
            and self.label(track.track_id) not in (MOVING_OBJECT, "object")
        ]

    def centre(self, track_id: int, time_s: float) -> tuple[float, float] | None:
        """Returns where a track is at a time, x and y in [0, 1], or None where it is not seen then."""
        box = self._box(track_id, time_s)
        if box is None:
            return None
        width, height = self.observations.frame_size
        x, y = (box[0] + box[2]) / (2 * width), (box[1] + box[3]) / (2 * height)
        return float(np.clip(x, 0, 1)), float(np.clip(y, 0, 1))

    def size(self, track_id: int, time_s: float) -> float | None:
        """Returns the larger side of a track's box in pixels at a time, or None where it is not seen then."""
        box = self._box(track_id, time_s)
        return None if box is None else float(max(box[3] - box[1], box[2] - box[0]))

    def motion_place(self, event: Event, *, disordered: bool) -> tuple[float, float, float] | None:
        """Returns time, x and y in [0, 1] of the motion that stands out within a second of the peak, None without any.

        Args:
            event: what is looked at.
            disordered: take the place where motion goes in most directions; otherwise the cell of the picture whose
                speed is farthest above its median in the clip.
        """
        observed = self.observations
        near = np.abs(observed.times_s - event.peak_s) <= 1.0
        near &= (observed.times_s >= event.start_s) & (observed.times_s <= event.end_s)
        if not near.any():
            return None
        if not disordered:
            return self._fast_cell(near)
        if not {"incoherence_max", "incoherence_x", "incoherence_y"} <= set(observed.motion_channels):
            return None
        strength = np.where(near, observed.channel("incoherence_max"), 0)
        if strength.max() <= 0:
            return None
        row = int(strength.argmax())
        x, y = (float(np.clip(observed.channel(f"incoherence_{axis}")[row], 0, 1)) for axis in "xy")
        return float(observed.times_s[row]), x, y

    def at_place(self, x: float, y: float, time_s: float) -> list[Track]:
        """Returns the tracks whose box, a fifth larger, holds a place at a time; surest first, three at most."""
        width, height = self.observations.frame_size
        found = []
        for track in self.observations.tracks:
            box = self._box(track.track_id, time_s)
            if box is None or self.label(track.track_id) in (MOVING_OBJECT, "object"):
                continue
            grow_x, grow_y = _REACH * (box[2] - box[0]), _REACH * (box[3] - box[1])
            inside_x = box[0] - grow_x <= x * width <= box[2] + grow_x
            if inside_x and box[1] - grow_y <= y * height <= box[3] + grow_y:
                found.append(track)
        found.sort(key=lambda track: (-track.confidence, track.track_id))
        return found[:3]

    def times_usual(self, channel: str, event: Event) -> tuple[float, float] | None:
        """Compares a motion channel with its level outside all events.

        Returns:
            The time of its maximum within the event and how many times the median outside that is; None where the
            clip has too little outside, or nothing to compare with.
        """
        observed = self.observations
        if channel not in observed.motion_channels:
            return None
        values = observed.channel(channel).astype(np.float64)
        outside = np.ones(len(values), bool)
        for item in self.events:
            outside &= (observed.times_s < item.start_s) | (observed.times_s > item.end_s)
        inside = (observed.times_s >= event.start_s) & (observed.times_s <= event.end_s)
        if outside.sum() < _MIN_USUAL or not inside.any():
            return None
        usual = float(np.median(values[outside]))
        row = int(np.where(inside, values, -np.inf).argmax())
        if usual <= 1e-3 or values[row] <= 0:
            return None
        return float(observed.times_s[row]), float(values[row] / usual)

    def level(self, channel: str, start_s: float, end_s: float) -> float:
        """Returns the median of a motion channel over a span of time, 0 where it is not measured."""
        if channel not in self.observations.motion_channels:
            return 0.0
        inside = (self.observations.times_s >= start_s) & (self.observations.times_s <= end_s)
        return float(np.median(self.observations.channel(channel)[inside])) if inside.any() else 0.0

    def cuts(self, start_s: float, end_s: float) -> list[float]:
        """Returns the times of shot changes within a span."""
        if "cut" not in self.observations.motion_channels:
            return []
        times = self.observations.times_s
        found = (self.observations.channel("cut") > _CUT) & (times >= start_s) & (times <= end_s)
        return [float(time) for time in times[found]]

    def picture_moves(self, start_s: float, end_s: float) -> bool:
        """Says whether the picture moves as a whole during a span: the camera does, or it looks as if it did."""
        if "moving_fraction" not in self.observations.motion_channels:
            return False
        times = self.observations.times_s
        rows = (times >= start_s) & (times <= end_s)
        wide = bool(rows.any() and self.observations.channel("moving_fraction")[rows].mean() > _WHOLE)
        return wide or self.level("camera_speed", start_s, end_s) > CAMERA_MOVES

    def share_with_detections(self, start_s: float, end_s: float) -> float:
        """Returns the share of sampled frames in a span in which anything was detected, 1 where there is no frame."""
        times = self.observations.times_s
        rows = np.flatnonzero((times >= start_s) & (times <= end_s))
        return float(np.mean(self.observations.detections.counts[rows] > 0)) if rows.size else 1.0

    def _fast_cell(self, rows: np.ndarray) -> tuple[float, float, float] | None:
        observed = self.observations
        if "cell_0" not in observed.motion_channels:
            return None
        first = observed.motion_channels.index("cell_0")
        cells = observed.motion[:, first : first + _CELLS[0] * _CELLS[1]]
        above = np.where(rows[:, None], cells - np.median(cells, axis=0), 0)
        if above.max() <= 0:
            return None
        row, cell = divmod(int(above.argmax()), above.shape[1])
        down, across = divmod(cell, _CELLS[0])
        return float(observed.times_s[row]), (across + 0.5) / _CELLS[0], (down + 0.5) / _CELLS[1]

    def _box(self, track_id: int, time_s: float) -> np.ndarray | None:
        track = self.tracks.get(track_id)
        if track is None:
            return None
        row = int(np.abs(track.times_s - time_s).argmin())
        return track.boxes[row] if abs(track.times_s[row] - time_s) <= 1.0 else None


def region(x: float, y: float) -> str:
    """Returns a place in the picture, x and y in [0, 1], as words: ``at the top left of the picture``."""
    column = ("left", "", "right")[min(int(x * 3), 2)]
    row = ("top", "", "bottom")[min(int(y * 3), 2)]
    if not column and not row:
        return "in the centre of the picture"
    if not row:
        return f"on the {column} side of the picture"
    return f"at the {row} {column} of the picture" if column else f"at the {row} of the picture"


def most_at_once(tracks: Sequence[Track]) -> tuple[int, float]:
    """Returns the largest number of tracks present at one time, and the first such time; (0, 0) for none."""
    steps = sorted([(track.start_s, 0) for track in tracks] + [(track.end_s, 1) for track in tracks])
    count = most = 0
    at = 0.0
    for time_s, leaves in steps:
        count += -1 if leaves else 1
        if count > most:
            most, at = count, time_s
    return most, at
