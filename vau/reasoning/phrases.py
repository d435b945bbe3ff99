"""Clauses for measured relations: who did what, when, with a hedge that follows the confidence.

A `Fact` joins relations that one clause can tell. Words for predicates come from the vocabulary and hedges from
`language.hedge`; nothing here knows events or causes. Ours throughout: VADER leaves the wording to a language model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from vau.reasoning.evidence import actors, usable
from vau.reasoning.language import article, clock, hedge, join_words, plural, shorten_list, span
from vau.reasoning.scene import SURE_TRACK, Scene
from vau.relations.vocabulary import PREDICATES, Predicate
from vau.types import Measure, Relation

_MUTUAL = frozenset({"near", "in contact", "collided", "fighting"})  # true of both sides alike
_NOUN_TITLES = {"collided": "collision", "fighting": "fight"}
_PEOPLE = frozenset({"fighting", "gathering", "dispersing"})  # of people even where no track carries it
_CROWD = frozenset({"gathering", "dispersing"})  # the subject is one of many
_UNITS = {"s": "seconds", "deg": "degrees", "°": "degrees", "%": "percent", "m": "metres", "px": "pixels"}
_MEASURE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9 %°/-]{0,59}")
_AGAIN_S = 1.0  # spans closer than this are one


@dataclass(frozen=True)
class Fact:
    """Relations of one predicate that one clause can tell."""

    predicate: Predicate
    subjects: tuple[int | None, ...]
    object: int | None
    spans: tuple[tuple[float, float], ...]  # in order, not overlapping
    confidence: float  # the least of the relations, held down by doubtful tracks
    relations: tuple[Relation, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the relations."""
        return tuple(item.relation_id for item in self.relations)

    @property
    def start_s(self) -> float:
        """Beginning of the first span."""
        return self.spans[0][0]

    @property
    def end_s(self) -> float:
        """End of the last span."""
        return self.spans[-1][1]

    @property
    def actors(self) -> tuple[int, ...]:
        """Ids of the tracks that take part, subjects first."""
        return tuple(dict.fromkeys(item for item in (*self.subjects, self.object) if item is not None))

    @property
    def weight(self) -> float:
        """How much the fact matters: severity times squared confidence, everyday relations just above nothing.

        Squared, so that a doubtful grave relation does not silence a sure milder one.
        """
        return (self.predicate.severity + 0.05) * self.confidence**2

    @property
    def evidence(self) -> tuple[str, ...]:
        """Ids of the relations and of their tracks."""
        return (*self.ids, *(f"T{item}" for item in self.actors))


def gather(relations: Iterable[Relation], scene: Scene) -> list[Fact]:
    """Joins relations into facts, weightiest first.

    Both directions of a mutual relation become one; repetitions of a triplet become spans of one fact; what several
    tracks did by themselves in overlapping time becomes one fact where it calls for the same hedge.
    """
    triplets: dict[tuple[str, int | None, int | None, str], list[Relation]] = {}
    for item in usable(relations):
        subject, other = item.subject, item.object
        if item.predicate in _MUTUAL and other is not None and (subject is None or other < subject):
            subject, other = other, subject
        degree = hedge(_limited(item.confidence, scene.confidence(actors(item))))
        triplets.setdefault((item.predicate, subject, other, degree), []).append(item)
    facts = []
    for (name, subject, other, _), items in triplets.items():
        confidence = _limited(min(item.confidence for item in items), scene.confidence({subject, other}))
        facts.append(Fact(PREDICATES[name], (subject,), other, _merged(items), confidence, tuple(items)))
    facts.sort(key=_rank)
    joined: list[Fact] = []
    for fact in facts:
        for i, known in enumerate(joined):
            if _same_deed(known, fact):
                joined[i] = _join(known, fact)
                break
        else:
            joined.append(fact)
    return sorted(joined, key=_rank)


def _limited(relation: float, tracks: float) -> float:
    """Returns a relation's confidence, held down by doubtful tracks.

    Part of a track's doubt is about its label, which is said apart ("what looks like"); 0.2 of it is forgiven here, so
    that below 0.5 a track still calls for a hedge.
    """
    return min(relation, tracks + 0.2)


def _rank(fact: Fact) -> tuple[float, float, int, str]:
    return (-fact.weight, fact.start_s, len(fact.ids[0]), fact.ids[0])


def _merged(items: Sequence[Relation]) -> tuple[tuple[float, float], ...]:
    spans: list[tuple[float, float]] = []
    for item in items:
        if spans and not PREDICATES[item.predicate].momentary and item.start_s <= spans[-1][1] + _AGAIN_S:
            spans[-1] = (spans[-1][0], max(spans[-1][1], item.end_s))
        else:
            spans.append((item.start_s, item.end_s))
    return tuple(spans)


def _same_deed(first: Fact, second: Fact) -> bool:
    return (
        first.predicate == second.predicate
        and not first.predicate.binary
        and hedge(first.confidence) == hedge(second.confidence)
        and None not in (*first.subjects, *second.subjects)
        and len(first.spans) == len(second.spans) == 1
        and first.start_s <= second.end_s
        and second.start_s <= first.end_s
    )


def _join(first: Fact, second: Fact) -> Fact:
    return replace(
        first,
        subjects=(*first.subjects, *second.subjects),
        spans=((min(first.start_s, second.start_s), max(first.end_s, second.end_s)),),
        confidence=min(first.confidence, second.confidence),
        relations=(*first.relations, *second.relations),
    )


class Names:
    """Calls tracks by name within one account: a doubtful one is introduced as what it looks like, once."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._known: set[int] = set()

    def call(self, track_id: int) -> str:
        """Returns ``person 3``, or on first mention of a doubtful track ``what looks like a person (person 3)``."""
        label = self._scene.label(track_id)
        name = f"{label} {track_id}"
        first = track_id not in self._known
        self._known.add(track_id)
        if first and self._scene.confidence([track_id]) < SURE_TRACK:
            return f"what looks like {article(label)} ({name})"
        return name

    def subject(self, fact: Fact) -> str:
        """Returns the subject of a clause."""
        known = [self.call(item) for item in fact.subjects if item is not None]
        if known:
            return join_words(shorten_list([*known, *(["others"] if fact.predicate.name == "dispersing" else [])], 4))
        return "some people" if fact.predicate.name in _PEOPLE else "someone or something"

    def object(self, fact: Fact) -> str:
        """Returns the object of a clause, empty for a predicate without one."""
        if not fact.predicate.binary:
            return ""
        if fact.object is not None:
            return self.call(fact.object)
        if fact.predicate.name == "fighting":
            return "each other" if fact.subjects == (None,) else "someone who was not tracked"
        return "something that was not tracked"


def clause(fact: Fact, names: Names, *, when: bool = True, repeat: str = "") -> str:
    """Returns a clause such as ``person 3 probably fell at 0:12.5``, without capital or full stop.

    Args:
        fact: what happened.
        names: of the account.
        when: whether to say the time.
        repeat: a subject to leave out because the clause before had it; empty for none.
    """
    subject = names.subject(fact)
    many = len(fact.subjects) > 1 or (fact.subjects == (None,) and fact.predicate.name in _PEOPLE)
    many |= fact.predicate.name == "dispersing"
    parts = ["" if subject == repeat else subject, _verb(fact, many), names.object(fact), _times(fact) if when else ""]
    return " ".join(part for part in parts if part)


def _verb(fact: Fact, many: bool) -> str:
    words, adverb = fact.predicate.past, hedge(fact.confidence)
    if words.startswith("was "):
        return " ".join(part for part in ("were" if many else "was", adverb, words[4:]) if part)
    return f"{adverb} {words}".strip()


def _times(fact: Fact) -> str:
    if len(fact.subjects) > 1 and not fact.predicate.momentary:
        start, end = clock(fact.start_s), clock(fact.end_s)
        return f"at {start}" if start == end else f"between {start} and {end}"
    if fact.predicate.momentary:
        moments = list(dict.fromkeys(clock((start + end) / 2) for start, end in fact.spans))
        if len(fact.subjects) > 1 and fact.end_s - fact.start_s > 1:
            return f"between {moments[0]} and {clock(fact.end_s)}"
        if len(moments) == 1:
            return f"at {moments[0]}"
        if len(moments) <= 4:
            return f"{'twice' if len(moments) == 2 else f'{len(moments)} times'}, at {join_words(moments)}"
        return f"{len(moments)} times between {moments[0]} and {moments[-1]}"
    if len(fact.spans) > 2:
        return f"several times between {clock(fact.start_s)} and {clock(fact.end_s)}"
    return " and again ".join(span(*item) for item in fact.spans)


def headline(fact: Fact, scene: Scene, *, down: float = 0.0) -> str:
    """Returns a fact as a headline, such as ``Probable collision between a car and a motorcycle``.

    Args:
        fact: what the account is about.
        scene: for the labels.
        down: confidence that the one who fell stayed on the ground; said where it is 0.45 or more.
    """
    degree = hedge(fact.confidence)
    labels = [scene.label(item) for item in fact.actors]
    noun = _NOUN_TITLES.get(fact.predicate.name)
    if noun is not None:
        noun = " ".join(part for part in (degree.replace("bly", "ble"), noun) if part)
        return (noun + _between(labels)).capitalize()
    if fact.predicate.name in _CROWD:
        return " ".join(part for part in ("People", degree, fact.predicate.past.split()[0]) if part)
    many = len(fact.subjects) > 1 or (fact.subjects == (None,) and fact.predicate.name in _PEOPLE)
    text = f"{_kinds(fact, scene)} {_verb(fact, many)}"
    if fact.predicate.binary:
        text += " something" if fact.object is None else f" {_other(fact, scene)}"
    if fact.predicate.name == "fell" and hedge(down) in ("", "probably"):
        doubt = "probably " if hedge(down) and not degree else ""
        text += f" and {doubt}stayed down"
    return text[:1].upper() + text[1:]


def _between(labels: Sequence[str]) -> str:
    if len(labels) < 2:
        return f" involving {article(labels[0])}" if labels else ""
    if len(set(labels)) == 1:
        return f" between {plural(len(labels), labels[0])}"
    return f" between {join_words([article(label) for label in labels])}"


def _kinds(fact: Fact, scene: Scene) -> str:
    labels = [scene.label(item) for item in fact.subjects if item is not None]
    if not labels:
        return "people" if fact.predicate.name in _PEOPLE else "someone or something"
    if len(labels) == 1:
        return article(labels[0])
    return plural(len(labels), labels[0] if len(set(labels)) == 1 else "object")


def _other(fact: Fact, scene: Scene) -> str:
    label = scene.label(fact.object)
    same = [item for item in fact.subjects if item is not None and scene.label(item) == label]
    return f"another {label}" if same else article(label)


def measured(measures: Sequence[Measure], most: int = 3) -> list[str]:
    """Returns measures as words, such as ``head came down by 0.9 body heights``; odd names are left out."""
    found: dict[str, str] = {}
    for item in measures:
        unit = _UNITS.get(item.unit.strip(), item.unit.strip())
        if _MEASURE.fullmatch(item.name) and (not unit or _MEASURE.fullmatch(unit)):
            found.setdefault(item.name, f"{item.name} {_number(item.value)} {unit}".strip())
    return list(found.values())[:most]


def _number(value: float) -> str:
    if abs(value) >= 10 or value == round(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 0.095 else f"{value:.1g}"
