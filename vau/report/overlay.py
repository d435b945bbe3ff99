"""What to draw over the picture at one moment: boxes with names, and arrows for relations, in pixels of the source.

Knows nothing of HTML; positions of labels are also given as shares of the picture, so that text can keep its size on
any screen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from vau.report.text import certainty, clean
from vau.types import Relation, Track

MAX_BOXES = 24
MAX_ARROWS = 8
SLACK_S = 0.15  # a keyframe may lie between two sampled frames
MAX_WORDS = 2  # predicates named beside one arrow, the briefest first: "hit" says more than "near"
NOMINAL_WIDTH = 720.0  # width in CSS pixels at which labels are placed without overlap
CHARACTER_WIDTH, LABEL_HEIGHT = 6.6, 18.0


@dataclass(frozen=True)
class Label:
    """A name at a place: shares of the picture's width and height in [0, 1] of its top left corner."""

    text: str
    left: float
    top: float
    colour: int  # index into the page's colours of actors, -1 for a relation


@dataclass(frozen=True)
class BoxMark:
    """A box in source pixels."""

    x: float
    y: float
    width: float
    height: float
    colour: int
    detected: bool  # False: bridged by the tracker, drawn dashed
    involved: bool  # part of a relation at this moment


@dataclass(frozen=True)
class ArrowMark:
    """An arrow from subject to object in source pixels; `head` is the triangle's points."""

    x1: float
    y1: float
    x2: float
    y2: float
    head: str


@dataclass(frozen=True)
class Overlay:
    """All marks of one moment."""

    boxes: tuple[BoxMark, ...] = ()
    arrows: tuple[ArrowMark, ...] = ()
    labels: tuple[Label, ...] = ()
    description: str = ""


@dataclass
class _Placer:
    """Puts labels where no other label is."""

    width: float
    height: float
    taken: list[tuple[float, float, float, float]] = field(default_factory=list)

    def place(self, text: str, colour: int, spots: Sequence[tuple[float, float]]) -> Label | None:
        """Returns the label at the first free spot (source pixels of its top left corner), or None."""
        scale = self.width / NOMINAL_WIDTH
        wide, tall = (len(text) * CHARACTER_WIDTH + 10) * scale, LABEL_HEIGHT * scale
        for left, top in spots:
            x = min(max(left, 0.0), max(self.width - wide, 0.0))
            y = min(max(top, 0.0), max(self.height - tall, 0.0))
            if all(x + wide <= a or c <= x or y + tall <= b or d <= y for a, b, c, d in self.taken):
                self.taken.append((x, y, x + wide, y + tall))
                return Label(text, x / self.width, y / self.height, colour)
        return None


def box_at(track: Track, time_s: float) -> tuple[float, float, float, float, bool] | None:
    """Returns a track's box at a time, interpolated between rows, and whether it was seen there; None where absent."""
    if not track.start_s - SLACK_S <= time_s <= track.end_s + SLACK_S:
        return None
    x0, y0, x1, y1 = (float(np.interp(time_s, track.times_s, column)) for column in track.boxes.T)
    nearest = int(np.abs(track.times_s - time_s).argmin())
    return x0, y0, x1, y1, bool(track.detected[nearest])


def overlay(
    time_s: float,
    tracks: Sequence[Track],
    relations: Sequence[Relation],
    colours: Mapping[int, int],
    size: tuple[int, int],
) -> Overlay:
    """Returns the marks to draw at one moment.

    Args:
        time_s: the moment in seconds.
        tracks: all tracks; those not there at this time are left out, and at most 24 are drawn.
        relations: all relations; the surest eight that hold at this time are drawn.
        colours: colour index of each track id.
        size: width and height of the source in pixels, in which boxes are given.

    Returns:
        The marks, and one sentence that says the same for those who cannot see them.
    """
    width, height = float(size[0]), float(size[1])
    places = {track.track_id: place for track in tracks if (place := box_at(track, time_s)) is not None}
    holding = [item for item in relations if item.start_s - SLACK_S <= time_s <= item.end_s + SLACK_S]
    holding = sorted(holding, key=lambda item: -item.confidence)[:MAX_ARROWS]
    involved = {actor for item in holding for actor in (item.subject, item.object) if actor is not None}
    shown = [track for track in tracks if track.track_id in places]
    shown = sorted(shown, key=lambda track: (track.track_id not in involved, -track.confidence))[:MAX_BOXES]

    placer = _Placer(width, height)
    boxes, arrows, labels = [], [], []
    label_height = LABEL_HEIGHT * width / NOMINAL_WIDTH
    for track in shown:
        x0, y0, x1, y1, detected = places[track.track_id]
        x0, x1 = max(x0, 0.0), min(x1, width)
        y0, y1 = max(y0, 0.0), min(y1, height)
        if x1 <= x0 or y1 <= y0:
            continue
        colour = colours.get(track.track_id, 0)
        boxes.append(BoxMark(x0, y0, x1 - x0, y1 - y0, colour, detected, track.track_id in involved))
        spots = [(x0, y0 - label_height), (x0, y1), (x0, y0 - 2 * label_height), (x0, y0)]
        labels.append(placer.place(clean(track.name, 28), colour, spots))
    for (subject_id, object_id), items in _pairs(holding).items():
        subject = places.get(subject_id) if subject_id is not None else None
        target = places.get(object_id) if object_id is not None else None
        if subject is None:
            continue
        x, y = (subject[0] + subject[2]) / 2, (subject[1] + subject[3]) / 2
        if target is not None:
            end_x, end_y = (target[0] + target[2]) / 2, (target[1] + target[3]) / 2
            arrows.append(_arrow(x, y, end_x, end_y, width / 55))
            x, y = (x + end_x) / 2, (y + end_y) / 2
        words = ", ".join(clean(item.predicate, 24) for item in items[:MAX_WORDS])
        half = len(words) * CHARACTER_WIDTH * width / NOMINAL_WIDTH / 2
        spots = [(x - half, y + step * label_height) for step in (0.4, -1.4, 1.5, -2.5, 2.6)]
        labels.append(placer.place(words, -1, spots))
    return Overlay(
        boxes=tuple(boxes),
        arrows=tuple(arrows),
        labels=tuple(label for label in labels if label is not None),
        description=_describe(shown, holding),
    )


def _pairs(relations: Sequence[Relation]) -> dict[tuple[int | None, int | None], list[Relation]]:
    """Returns relations by subject and object, the briefest first."""
    pairs: dict[tuple[int | None, int | None], list[Relation]] = {}
    for item in sorted(relations, key=lambda item: item.end_s - item.start_s):
        pairs.setdefault((item.subject, item.object), []).append(item)
    return pairs


def _arrow(x1: float, y1: float, x2: float, y2: float, size: float) -> ArrowMark:
    length = math.hypot(x2 - x1, y2 - y1)
    if length < 1e-6:
        return ArrowMark(x1, y1, x2, y2, "")
    ux, uy = (x2 - x1) / length, (y2 - y1) / length
    base_x, base_y = x2 - ux * size, y2 - uy * size
    corners = (
        (x2, y2),
        (base_x - uy * size / 2, base_y + ux * size / 2),
        (base_x + uy * size / 2, base_y - ux * size / 2),
    )
    return ArrowMark(x1, y1, base_x, base_y, " ".join(f"{x:.1f},{y:.1f}" for x, y in corners))


def _describe(tracks: Sequence[Track], relations: Sequence[Relation]) -> str:
    names = {track.track_id: clean(track.name, 40) for track in tracks}
    parts = ["marked: " + ", ".join(names.values())] if names else []
    for item in relations:
        words = [names.get(item.subject, "motion") if item.subject is not None else "motion", clean(item.predicate, 40)]
        if item.object is not None and item.object in names:
            words.append(names[item.object])
        parts.append(f"{' '.join(words)} ({certainty(item.confidence)})")
    return "; ".join(parts)
