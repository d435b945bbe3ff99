"""What a report holds, laid out for checking statements against it: relations, tracks and events by who and when.

It never looks at the video. Tolerances are ours: a model reads times off sampled frames, and boxes come and go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property

from vau.reasoning.evidence import actors as relation_actors
from vau.reasoning.scene import SURE_TRACK, most_at_once
from vau.reasoning.statements import Actor, Clause
from vau.relations.vocabulary import PREDICATES
from vau.types import Relation, Report, Track

TOLERANCE_S = 1.0
BOUND_S = 0.3  # by which "before" and "after" a time may be off
MUTUAL = frozenset({"near", "in contact", "collided", "fighting"})  # subject and object may change places
GROUPS = frozenset({"gathering", "dispersing"})  # one track stands for all that take part
_JOIN_S = 3.0  # a relation that breaks off for less than this counts as one
_SLACK_S = 3.0  # by which "from ... to" may be longer than a brief relation
_MIN_CONFIDENCE = 0.25


class Ledger:
    """One report, for looking things up."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.tracks = {track.track_id: track for track in report.tracks}
        self.events = sorted(report.events, key=lambda event: event.start_s)
        self.duration_s = report.video.duration_s

    @cached_property
    def relations(self) -> tuple[Relation, ...]:
        """Relations of the vocabulary, surest first; "in contact with" counts as "in contact"."""
        found = []
        for item in self.report.relations:
            name = item.predicate.removesuffix(" with")
            if name in PREDICATES and item.confidence >= _MIN_CONFIDENCE:
                found.append(item if name == item.predicate else replace(item, predicate=name))
        return tuple(sorted(found, key=lambda item: -item.confidence))

    @cached_property
    def ids(self) -> frozenset[str]:
        """All ids of evidence that a text may cite."""
        report = self.report
        named = [item.relation_id for item in report.relations] + [item.event_id for item in report.events]
        named += [item.change_id for item in report.changes] + [item.keyframe_id for item in report.keyframes]
        return frozenset([*named, *(f"T{item}" for item in self.tracks)])

    def label(self, track_id: int | None) -> str:
        """Returns the class of a track, the empty string where it is not known."""
        track = None if track_id is None else self.tracks.get(track_id)
        return "" if track is None else track.label

    def of(self, predicates: Sequence[str]) -> list[Relation]:
        """Returns the relations of some predicates, surest first."""
        return [item for item in self.relations if item.predicate in predicates]

    def is_one(self, actor: Actor, track_id: int | None) -> bool:
        """Says whether a track may be the actor named; an unknown class may be anything."""
        if actor.ids:
            return track_id in actor.ids
        label = self.label(track_id)
        return not actor.labels or label in actor.labels or label in ("", "moving object")

    def fits(self, item: Relation, clause: Clause) -> bool:
        """Says whether a relation may be the one stated, by who takes part and in which part."""
        subjects, objects = single(clause.subjects), single(clause.objects)
        both = (item.subject, item.object)
        if not PREDICATES[item.predicate].binary:
            people = subjects or objects
            return not people or any(self.is_one(actor, item.subject) for actor in people)
        among = len(subjects) > 1 or any((actor.count or 1) > 1 for actor in subjects)
        wider = item.predicate != clause.mention.predicates[0] and not PREDICATES[clause.mention.predicates[0]].binary
        if item.predicate in MUTUAL or clause.mention.noun or (among and not objects) or wider:
            named = [actor for actor in (*subjects, *objects) if actor.ids or actor.labels]
            if not all(any(self.is_one(actor, one) for one in both) for actor in named):
                return False
            # Two different kinds cannot both be the one of the pair that is of that kind.
            return len(named) != 2 or self._pairs(named, both)
        return all(self.is_one(actor, item.subject) for actor in subjects) and all(
            self.is_one(actor, item.object) for actor in objects
        )

    def _pairs(self, named: Sequence[Actor], both: tuple[int | None, int | None]) -> bool:
        first, second = named
        one, other = both
        return (self.is_one(first, one) and self.is_one(second, other)) or (
            self.is_one(first, other) and self.is_one(second, one)
        )

    def taking_part(self, items: Iterable[Relation], clause: Clause) -> set[int]:
        """Returns the tracks that the subject of a clause may stand for in some relations."""
        own = clause.mention.predicates[0]
        found: set[int] = set()
        for item in items:
            everyone = item.predicate in MUTUAL or clause.mention.noun or not PREDICATES[own].binary
            if clause.mention.passive and not everyone:
                found |= {item.object} if item.object is not None else set()
                continue
            if everyone or not clause.objects:
                found |= relation_actors(item)
            elif item.subject is not None:
                found.add(item.subject)
        return found

    def of_kind(self, labels: Sequence[str], *, sure: bool = False) -> list[Track]:
        """Returns the tracks of some classes, all of any class for none; `sure` leaves doubtful ones out."""
        least = SURE_TRACK if sure else 0.0
        return [t for t in self.tracks.values() if (not labels or t.label in labels) and t.confidence >= least]

    def number_of(self, labels: Sequence[str]) -> tuple[int, int]:
        """Returns how few and how many things of some classes there may be.

        As many as were there at once for certain, and at most one a track: one thing may have several tracks.
        """
        return most_at_once(self.of_kind(labels, sure=True))[0], len(self.of_kind(labels))


def single(actors: Iterable[Actor]) -> list[Actor]:
    """Returns actors with one id each."""
    out = []
    for actor in actors:
        out += [replace(actor, ids=(item,)) for item in actor.ids] if len(actor.ids) > 1 else [actor]
    return out


def when(start_s: float, end_s: float, clause: Clause, duration_s: float) -> str:
    """Compares a span of the evidence with the time that a clause states.

    Returns:
        ``in`` where it agrees or nothing is stated, ``over`` where it holds for a part of the stated time only,
        ``out`` where it was at another time.
    """
    if clause.to_end and end_s < duration_s - max(2.0, 0.05 * duration_s):
        return "out"
    span = clause.span
    if span is None or (clause.to_end and span.end_s >= duration_s - 0.01):
        return "in"
    at = span.start_s
    if clause.until and span.sense in ("before", "within") and span.start_s == span.end_s:
        agrees = end_s >= at - TOLERANCE_S and (not clause.only or end_s <= at + TOLERANCE_S)
        return "in" if agrees else "out"
    if span.sense == "before":
        return "in" if start_s <= at + BOUND_S else "out"
    if span.sense == "after":
        if "from " in clause.text:
            return "in" if end_s >= at - TOLERANCE_S else "out"
        remains = min(TOLERANCE_S, 0.5 * (end_s - start_s))
        return "in" if start_s >= at - BOUND_S or end_s - at >= remains else "out"
    if clause.begins:
        return "in" if abs(start_s - at) <= 1.5 * TOLERANCE_S else "out"
    if clause.whole:
        edge = max(TOLERANCE_S, 0.05 * duration_s)
        return "in" if start_s <= edge and end_s >= duration_s - edge else "over"
    if span.end_s < start_s - TOLERANCE_S or span.start_s > end_s + TOLERANCE_S:
        return "out"
    if span.start_s >= start_s - TOLERANCE_S and span.end_s <= end_s + TOLERANCE_S:
        return "in"
    length = span.end_s - span.start_s
    shared = min(span.end_s, end_s) - max(span.start_s, start_s)
    within = start_s >= span.start_s - TOLERANCE_S and end_s <= span.end_s + TOLERANCE_S
    loosely = any(word in clause.text for word in ("between", "during", "within", "in the", "some"))
    brief = end_s - start_s <= 2 * TOLERANCE_S and not ("from " in clause.text and length > end_s - start_s + _SLACK_S)
    if (within and (loosely or brief)) or shared >= 0.75 * length:
        return "in"
    return "over"


def lasts(items: Sequence[tuple[float, float]]) -> list[float]:
    """Returns the lengths of spans in seconds, those less than 3 s apart joined."""
    joined: list[tuple[float, float]] = []
    for start_s, end_s in sorted(items):
        if joined and start_s - joined[-1][1] <= _JOIN_S:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end_s))
        else:
            joined.append((start_s, end_s))
    return [end_s - start_s for start_s, end_s in joined]


def length_agrees(stated_s: float, lengths: Sequence[float], *, at_least: bool) -> bool:
    """Says whether a stated length of time agrees with any measured one, within a quarter or a second."""
    if at_least:
        return any(length >= stated_s - TOLERANCE_S for length in lengths)
    return any(abs(length - stated_s) <= max(TOLERANCE_S, 0.25 * length) for length in lengths)
