"""Subject-predicate-object relations of a video, and the moments at which they change.

VADER reads relations out of single frames with a scene-graph network; here they come from tracks, pose and flow over
time, scale-free and without weights. That choice and every threshold are ours.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby

from vau.relations.crowd import crowd_relations
from vau.relations.kinematics import measure
from vau.relations.pairs import pair_relations
from vau.relations.single import single_relations
from vau.relations.struggle import struggles
from vau.relations.vocabulary import PREDICATES
from vau.types import Observations, Relation, RelationChange

_CAMERA_MOVES = 0.04  # frame heights a second, median over the clip
_MOST = 400
_MUTUAL = frozenset({"near", "in contact", "fighting"})


def extract_relations(observations: Observations) -> tuple[Relation, ...]:
    """Returns the relations of all tracks, numbered R1, R2, ... in order of their beginning.

    A camera that moves by itself makes standing things run and fall, so then only relations between tracks are kept
    and all confidences are halved. Of very many relations the surest and most severe are kept.
    """
    motions = [measure(track, observations.frame_size) for track in observations.tracks]
    moving = camera_moves(observations)
    found: list[Relation] = list(pair_relations(motions))
    if not moving:
        for motion in motions:
            found.extend(single_relations(motion))
        found.extend(crowd_relations(motions, observations.times_s))
        found.extend(struggles(motions, observations))
        found = [relation for relation in found if not _shaken(relation, observations)]
    else:
        found = [replace(relation, confidence=relation.confidence / 2) for relation in found]
    found = _without_twins(_merge(_without_riders(found)))
    found.sort(key=lambda item: -item.confidence * (0.1 + PREDICATES[item.predicate].severity))
    found = sorted(found[:_MOST], key=_order)
    return tuple(replace(item, relation_id=f"R{number}") for number, item in enumerate(found, start=1))


def _without_twins(relations: list[Relation]) -> list[Relation]:
    """Drops a fight whose people are not known where one between known people covers part of the same time."""
    named = [item for item in relations if item.predicate == "fighting" and item.subject is not None]
    return [
        item
        for item in relations
        if item.predicate != "fighting"
        or item.subject is not None
        or not any(other.start_s <= item.end_s and item.start_s <= other.end_s for other in named)
    ]


def _without_riders(relations: list[Relation]) -> list[Relation]:
    """Drops the running of people who ride at that time."""
    rides = [item for item in relations if item.predicate == "riding"]
    return [
        item
        for item in relations
        if item.predicate != "running"
        or not any(
            ride.subject == item.subject and ride.start_s < item.end_s and item.start_s < ride.end_s for ride in rides
        )
    ]


def _shaken(relation: Relation, observations: Observations) -> bool:
    """Says whether the camera moved while something seemed to fall, run or fight."""
    if PREDICATES[relation.predicate].severity < 0.3 or not len(observations):
        return False
    rows = (observations.times_s >= relation.start_s - 0.5) & (observations.times_s <= relation.end_s + 0.5)
    return bool(rows.any() and observations.channel("camera_speed")[rows].mean() > _CAMERA_MOVES)


def camera_moves(observations: Observations) -> bool:
    """Says whether the camera moves during most of the clip."""
    if not len(observations):
        return False
    speeds = sorted(observations.channel("camera_speed").tolist())
    return bool(speeds[len(speeds) // 2] > _CAMERA_MOVES)


def relation_changes(relations: tuple[Relation, ...], observations: Observations) -> tuple[RelationChange, ...]:
    """Returns begin and end of each relation that lies within the video, numbered C1, C2, ... in time order.

    Sharpness is the relation's confidence, halved where the change falls on the first or last appearance of one of
    its tracks: then the relation may only have come into view or left it.
    """
    tracks = {track.track_id: track for track in observations.tracks}
    changes: list[tuple[float, str, str, float]] = []
    for relation in relations:
        members = [tracks[key] for key in (relation.subject, relation.object) if key in tracks]
        first = max((track.start_s for track in members), default=0.0)
        last = min((track.end_s for track in members), default=observations.duration_s)
        begins = relation.confidence * (0.5 if relation.start_s <= first + 0.3 else 1.0)
        ends = relation.confidence * (0.5 if relation.end_s >= last - 0.3 else 1.0)
        changes.append((relation.start_s, relation.relation_id, "begins", begins))
        if not PREDICATES[relation.predicate].momentary:
            changes.append((relation.end_s, relation.relation_id, "ends", ends))
    changes.sort(key=lambda item: (item[0], int(item[1][1:]), item[2]))
    return tuple(
        RelationChange(f"C{number}", relation_id, "begins" if kind == "begins" else "ends", time_s, sharpness)
        for number, (time_s, relation_id, kind, sharpness) in enumerate(changes, start=1)
    )


def _order(relation: Relation) -> tuple[float, float, int, str, int]:
    return relation.start_s, relation.end_s, relation.subject or 0, relation.predicate, relation.object or 0


def _merge(relations: list[Relation]) -> list[Relation]:
    """Joins pieces of one relation between the same two that are less than a second apart."""

    def who(item: Relation) -> tuple[str, int, int]:
        pair = (item.subject or 0, item.object or 0)
        return item.predicate, *(sorted(pair) if item.predicate in _MUTUAL else pair)

    merged: list[Relation] = []
    for _, pieces in groupby(sorted(relations, key=lambda item: (*who(item), item.start_s)), key=who):
        line: list[Relation] = []
        for piece in pieces:
            if line and piece.start_s - line[-1].end_s < 1.0:
                surer = max(line[-1], piece, key=lambda item: item.confidence)
                start_s, end_s = line[-1].start_s, max(line[-1].end_s, piece.end_s)
                # Durations belong to the whole, all other measurements to the surer piece.
                measures = tuple(
                    replace(item, value=end_s - start_s) if item.unit == "s" else item for item in surer.measures
                )
                line[-1] = replace(surer, start_s=start_s, end_s=end_s, measures=measures)
            else:
                line.append(piece)
        merged.extend(line)
    return merged
