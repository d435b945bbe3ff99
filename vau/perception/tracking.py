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
from vau.perception.sightings import Sightings, joined
from vau.types import Detection, Float32, Float64, Track

_LOST_S = 2.0
_RECALL_S = 3.0
_MIN_SIGHTINGS = 3
_DOUBLE = 0.6  # of the smaller box, and of the rows of the shorter track
_STITCH_REACH = 0.5  # box sizes
_STILL = 0.15  # box sizes
_POSED = 0.2  # share of sightings


@dataclass
class Linker:
    """Links detections frame by frame; `tracks` returns the result."""

    rate: float  # sampled frames a second
    _trackers: dict[str, CBIoUTracker] = field(default_factory=dict)
    _lines: dict[tuple[str, int, int], Sightings] = field(default_factory=lambda: defaultdict(Sightings))
    _fresh: dict[tuple[str, int, int], Sightings] = field(default_factory=dict)  # people seen within _RECALL_S
    _shot: int = 0

    def cut(self) -> None:
        """Forgets all open tracks: after a shot change nothing is the same object any more."""
        self._trackers.clear()
        self._fresh.clear()
        self._shot += 1

    def update(self, time_s: float, detections: list[Detection], flows: list[Float32]) -> None:
        """Adds the detections of one sampled frame, each with the motion (4,) inside its box."""
        families = {group(item.label) for item in detections} | set(self._trackers)
        for family in families:
            members = [index for index, item in enumerate(detections) if group(item.label) == family]
            for index, track_id in self._link(family, [detections[index] for index in members]):
                place = members[index]
                line = self._lines[family, self._shot, track_id]
                line.append(time_s, detections[place], flows[place])
                if family == PERSON:
                    self._fresh[family, self._shot, track_id] = line

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
        self._fresh = {key: line for key, line in self._fresh.items() if time_s - line.times_s[-1] <= _RECALL_S}
        lost = [line for line in self._fresh.values() if len(line) >= _MIN_SIGHTINGS and time_s > line.times_s[-1]]
        boxes = [line.boxes[-1].copy() for line in lost]
        return sorted(boxes, key=lambda box: (-float((box[2] - box[0]) * (box[3] - box[1])), float(box[0])))

    def tracks(self, sample_times_s: Float64 | list[float]) -> tuple[Track, ...]:
        """Returns the tracks with at least three sightings, numbered by their first appearance from 1."""
        grid = np.asarray(sample_times_s, np.float64)
        need = min(_MIN_SIGHTINGS, max(len(grid), 1))
        lines = [line for line in map(joined, _stitch(self._lines)) if len(line) >= need]
        lines.sort(key=lambda line: (float(line.times_s[0]), float(line.boxes[0, 0])))
        tracks = _without_doubles([_build(number, line, grid) for number, line in enumerate(lines, start=1)])
        return tuple(replace(track, track_id=number) for number, track in enumerate(tracks, start=1))


def _stitch(lines: dict[tuple[str, int, int], Sightings]) -> list[list[Sightings]]:
    """Joins a track that ends with one of its family that begins soon after at the same place.

    A person who falls changes the shape of his box faster than the tracker's motion model allows, and would come out
    as one who vanishes and another who lies there.
    """
    open_lines: list[tuple[str, list[Sightings]]] = []
    done: list[list[Sightings]] = []
    shot = 0
    for key in sorted(lines, key=lambda key: (lines[key].times_s[0], key)):
        line, first_s = lines[key], lines[key].times_s[0]
        if key[1] != shot:
            done += [parts for _, parts in open_lines]
            open_lines, shot = [], key[1]
        done += [parts for _, parts in open_lines if first_s - parts[-1].times_s[-1] > _LOST_S]
        open_lines = [item for item in open_lines if first_s - item[1][-1].times_s[-1] <= _LOST_S]
        near = [
            (_apart(parts[-1].boxes[-1], line.boxes[0]), parts)
            for family, parts in open_lines
            if parts[-1].times_s[-1] < first_s and family == key[0]
        ]
        distance, best = min(near, key=lambda item: item[0], default=(np.inf, []))
        if distance < _STITCH_REACH:
            best.append(line)
        else:
            open_lines.append((key[0], [line]))
    return done + [parts for _, parts in open_lines]


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


def _build(track_id: int, line: Sightings, grid: Float64) -> Track:
    seen_s = line.times_s
    times = grid[(grid >= seen_s[0]) & (grid <= seen_s[-1])]
    filled = np.stack([np.interp(times, seen_s, side) for side in line.boxes.T], 1).astype(np.float32)
    flow = np.stack([np.interp(times, seen_s, part) for part in line.flows.T], 1).astype(np.float32)
    keypoints = None
    if line.posed.any():
        keypoints = np.zeros((len(times), 17, 3), np.float32)
        keypoints[np.searchsorted(times, seen_s[line.posed])] = line.poses
    votes: Counter[str] = Counter()
    for label, confidence in zip(line.labels, line.confidences, strict=True):
        votes[label] += confidence
    label = max(sorted(votes), key=lambda name: votes[name])
    return Track(track_id, label, _confidence(label, line), times, filled, np.isin(times, seen_s), flow, keypoints)


def _is_fixture(line: Sightings) -> bool:
    """Says whether a box stays put all the time while hardly ever a pose is seen in it."""
    boxes = line.boxes
    size = float(np.median(np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])))
    middle = np.stack([(boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2], 1)
    away = np.hypot(*(middle - np.median(middle, axis=0)).T)
    return bool(np.quantile(away, 0.9) < _STILL * size and line.posed.mean() < _POSED)


def _confidence(label: str, line: Sightings) -> float:
    """Says how surely a track is one real object of its label.

    The better half of the sightings counts, discounted while there are few of them. A person who never moves and whom
    no pose model sees is more often a post, a bin or a stain.
    """
    best = np.sort(line.confidences)[len(line) // 2 :]
    confidence = float(best.mean()) * (1 - 0.5 ** (len(line) / 2))
    if label == PERSON and _is_fixture(line):
        confidence *= 0.45
    return float(min(confidence, 1.0))
