"""Detections linked into tracks by C-BIoU (Yang et al., WACV 2023), one tracker a family of labels.

Buffered overlap suits four frames a second, where a running person no longer overlaps his last box. The tracker
comes from the `trackers` package; bridging of gaps, votes on labels and confidence are ours.
"""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace

import numpy as np
import supervision as sv
from trackers import CBIoUTracker

from vau.perception.fusion import PERSON, group
from vau.types import Detection, Float32, Track

_LOST_S = 2.0
_RECALL_S = 3.0
_MIN_SIGHTINGS = 3
_DOUBLE = 0.6  # of the smaller box, and of the rows of the shorter track
_STITCH_REACH = 0.5  # box sizes
_STILL = 0.15  # box sizes
_POSED = 0.2  # share of sightings


@dataclass
class _Row:
    time_s: float
    detection: Detection
    flow: Float32


@dataclass
class Linker:
    """Links detections frame by frame; `tracks` returns the result."""

    rate: float  # sampled frames a second
    _trackers: dict[str, CBIoUTracker] = field(default_factory=dict)
    _rows: dict[tuple[str, int, int], list[_Row]] = field(default_factory=lambda: defaultdict(list))
    _shot: int = 0

    def cut(self) -> None:
        """Forgets all open tracks: after a shot change nothing is the same object any more."""
        self._trackers.clear()
        self._shot += 1

    def update(self, time_s: float, detections: list[Detection], flows: list[Float32]) -> None:
        """Adds the detections of one sampled frame, each with the motion (4,) inside its box."""
        families = {group(item.label) for item in detections} | set(self._trackers)
        for family in families:
            members = [index for index, item in enumerate(detections) if group(item.label) == family]
            for index, track_id in self._link(family, [detections[index] for index in members]):
                place = members[index]
                self._rows[family, self._shot, track_id].append(_Row(time_s, detections[place], flows[place]))

    def _link(self, family: str, members: list[Detection]) -> list[tuple[int, int]]:
        if family not in self._trackers:
            # The buffer is counted in frames of a 30 fps video and scaled by the rate.
            self._trackers[family] = CBIoUTracker(
                lost_track_buffer=round(30 * _LOST_S),
                frame_rate=self.rate,
                track_activation_threshold=0.3,
                high_conf_det_threshold=0.4,
                minimum_consecutive_frames=1,
                minimum_iou_threshold_first_assoc=0.1,
                minimum_iou_threshold_second_assoc=0.2,
                minimum_iou_threshold_unconfirmed_assoc=0.1,
                buffer_ratio_first=0.4,
                buffer_ratio_second=0.7,
            )
        found = sv.Detections.empty()
        if members:
            found = sv.Detections(
                xyxy=np.stack([item.box for item in members]),
                confidence=np.array([item.confidence for item in members], np.float32),
                data={"row": np.arange(len(members))},
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            linked = self._trackers[family].update(found)
        if linked.tracker_id is None or not len(linked):
            return []
        rows = linked.data["row"]
        return [(int(row), int(key)) for row, key in zip(rows, linked.tracker_id, strict=True) if key >= 0]

    def unseen(self, time_s: float) -> list[Float32]:
        """Returns the last boxes (4,) of people who were followed until moments ago and then not seen again.

        Largest first. A person who falls or crouches no longer looks like what a detector knows: it is worth
        looking once more, and closer, at the place.
        """
        lost = [
            rows[-1]
            for (family, shot, _), rows in self._rows.items()
            if family == PERSON
            and shot == self._shot
            and len(rows) >= _MIN_SIGHTINGS
            and 0 < time_s - rows[-1].time_s <= _RECALL_S
        ]
        boxes = [row.detection.box for row in lost]
        return sorted(boxes, key=lambda box: (-float((box[2] - box[0]) * (box[3] - box[1])), float(box[0])))

    def tracks(self, sample_times_s: Float32 | list[float]) -> tuple[Track, ...]:
        """Returns the tracks with at least three sightings, numbered by their first appearance from 1."""
        grid = np.asarray(sample_times_s, np.float64)
        need = min(_MIN_SIGHTINGS, max(len(grid), 1))
        lines = [rows for rows in _stitch(self._rows) if len(rows) >= need]
        lines.sort(key=lambda rows: (rows[0].time_s, float(rows[0].detection.box[0])))
        tracks = _without_doubles([_build(number, rows, grid) for number, rows in enumerate(lines, start=1)])
        return tuple(replace(track, track_id=number) for number, track in enumerate(tracks, start=1))


def _stitch(rows: dict[tuple[str, int, int], list[_Row]]) -> list[list[_Row]]:
    """Joins a track that ends with one of its family that begins soon after at the same place.

    A person who falls changes the shape of his box faster than the tracker's motion model allows, and would come out
    as one who vanishes and another who lies there.
    """
    open_lines: list[list[_Row]] = []
    done: list[list[_Row]] = []
    shot = 0
    for key in sorted(rows, key=lambda key: (rows[key][0].time_s, key)):
        line, first = list(rows[key]), rows[key][0]
        if key[1] != shot:
            done += open_lines
            open_lines, shot = [], key[1]
        done += [other for other in open_lines if first.time_s - other[-1].time_s > _LOST_S]
        open_lines = [other for other in open_lines if first.time_s - other[-1].time_s <= _LOST_S]
        near = [
            other
            for other in open_lines
            if other[-1].time_s < first.time_s
            and group(other[0].detection.label) == key[0]
            and _apart(other[-1].detection.box, first.detection.box) < _STITCH_REACH
        ]
        if near:
            best = min(near, key=lambda other: _apart(other[-1].detection.box, first.detection.box))
            best.extend(line)
        else:
            open_lines.append(line)
    return done + open_lines


def _apart(a: Float32, b: Float32) -> float:
    """Returns the distance of two boxes' feet or centres, whichever is nearer, in sizes of the larger box."""
    size = max(a[2] - a[0], a[3] - a[1], b[2] - b[0], b[3] - b[1])
    ax, bx = (a[0] + a[2]) / 2, (b[0] + b[2]) / 2
    feet = np.hypot(ax - bx, a[3] - b[3])
    centres = np.hypot(ax - bx, (a[1] + a[3] - b[1] - b[3]) / 2)
    sizes = np.array([max(a[2] - a[0], a[3] - a[1]), max(b[2] - b[0], b[3] - b[1])])
    return float(min(feet, centres) / size) if sizes.max() < 2 * sizes.min() else np.inf


def _without_doubles(tracks: list[Track]) -> list[Track]:
    """Drops tracks that lie within a longer one of their family most of the time: one object read twice."""
    dropped: set[int] = set()
    for index, first in enumerate(tracks):
        for second in tracks[index + 1 :]:
            if second.start_s > first.end_s:
                break
            if group(first.label) != group(second.label):
                continue
            shorter, longer = sorted((first, second), key=lambda track: (len(track.times_s), -track.track_id))
            _, rows, others = np.intersect1d(shorter.times_s, longer.times_s, return_indices=True)
            a, b = shorter.boxes[rows], longer.boxes[others]
            sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
            both = np.prod(np.maximum(sides, 0), axis=1)
            smaller = np.minimum(np.prod(a[:, 2:] - a[:, :2], axis=1), np.prod(b[:, 2:] - b[:, :2], axis=1))
            if (both > _DOUBLE * smaller).sum() > _DOUBLE * len(shorter.times_s):
                dropped.add(shorter.track_id)
    return [track for track in tracks if track.track_id not in dropped]


def _build(track_id: int, rows: list[_Row], grid: np.ndarray) -> Track:
    seen_s = np.array([row.time_s for row in rows])
    times = grid[(grid >= seen_s[0]) & (grid <= seen_s[-1])]
    detected = np.isin(times, seen_s)
    boxes = np.stack([row.detection.box for row in rows])
    flows = np.stack([row.flow for row in rows])
    filled = np.stack([np.interp(times, seen_s, boxes[:, side]) for side in range(4)], 1).astype(np.float32)
    flow = np.stack([np.interp(times, seen_s, flows[:, part]) for part in range(4)], 1).astype(np.float32)
    keypoints = None
    if any(row.detection.keypoints is not None for row in rows):
        keypoints = np.zeros((len(times), 17, 3), np.float32)
        for row in rows:
            if row.detection.keypoints is not None:
                keypoints[int(np.searchsorted(times, row.time_s))] = row.detection.keypoints
    votes: Counter[str] = Counter()
    for row in rows:
        votes[row.detection.label] += row.detection.confidence  # type: ignore[assignment]
    label = max(sorted(votes), key=lambda name: votes[name])
    return Track(track_id, label, _confidence(label, rows), times, filled, detected, flow, keypoints)


def _is_fixture(rows: list[_Row]) -> bool:
    """Says whether a box stays put all the time while hardly ever a pose is seen in it."""
    boxes = np.stack([row.detection.box for row in rows])
    size = float(np.median(np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])))
    middle = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2], 1)
    away = np.hypot(*(middle - np.median(middle, axis=0)).T)
    posed = sum(row.detection.keypoints is not None for row in rows) / len(rows)
    return bool(np.quantile(away, 0.9) < _STILL * size and posed < _POSED)


def _confidence(label: str, rows: list[_Row]) -> float:
    """Says how surely a track is one real object of its label.

    The better half of the sightings counts, discounted while there are few of them. A person who never moves and whom
    no pose model sees is more often a post, a bin or a stain.
    """
    best = sorted(row.detection.confidence for row in rows)[len(rows) // 2 :]
    confidence = sum(best) / len(best) * (1 - 0.5 ** (len(rows) / 2))
    if label == PERSON and _is_fixture(rows):
        confidence *= 0.45
    return float(min(confidence, 1.0))
