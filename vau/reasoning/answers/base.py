"""The answer's type, and what every kind of answer needs: the matter in hand, its event, relations, names, keyframes.

Everything comes from the report; what it does not hold is not said. Text out of the report is cleaned and capped, since
a saved report can be edited by anyone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from vau.reasoning.evidence import severity
from vau.reasoning.language import article, clean, clock, hedge, join_words, sentence, shorten_list, span
from vau.reasoning.lexicon import Concept
from vau.reasoning.questions import Focus, Question
from vau.relations.vocabulary import PREDICATES
from vau.types import Account, Claim, Event, Relation, Report, Role, Track

MAX_CLAIMS = 8  # sentences an answer
MAX_TIMES = 12
MAX_KEYFRAMES = 8
MAX_SENTENCE = 400  # characters
MOMENT_S = 0.5  # "at 12 s" is half a second around it
LOOK_S = 8.0  # how far before and after are looked at, where the question does not say
_UNCOUNTED = ("near", "following", "in contact", "loitering", "against the flow")  # their nouns take no article
_WORTH_SAYING = ("near", "approaching", "carrying", "riding")  # said only where nothing graver is there


@dataclass(frozen=True)
class Answer:
    """An answer with what it rests on.

    `supported` is False where the evidence does not show what was asked for, or cannot.
    """

    text: str
    claims: tuple[Claim, ...]  # one a sentence of the text
    times_s: tuple[float, ...]
    keyframe_ids: tuple[str, ...]
    intent: str
    supported: bool
    focus: Focus = field(default_factory=Focus)  # hand the answers back as `history` to allow follow-up questions


@dataclass(frozen=True)
class Draft:
    """What an answering function returns."""

    claims: Sequence[Claim]
    supported: bool = True
    focus: Focus | None = None
    keyframe_ids: tuple[str, ...] | None = None  # None: those nearest to the claims' times


def say(
    *parts: str,
    role: Role = "what",
    evidence: Iterable[str] = (),
    times: Iterable[float] = (),
    confidence: float = 1.0,
) -> Claim:
    """Makes a claim of one sentence out of parts."""
    text = clean(sentence(*parts), MAX_SENTENCE)
    moments = tuple(sorted({round(time, 3) for time in times}))
    return Claim(text, role, tuple(dict.fromkeys(evidence)), moments, min(max(confidence, 0.0), 1.0))


def quote(claims: Iterable[Claim], most: int = MAX_CLAIMS) -> list[Claim]:
    """Returns the supported claims of an account as they stand, cleaned, each text once."""
    out: dict[str, Claim] = {}
    for claim in claims:
        text = sentence(clean(claim.text, MAX_SENTENCE))
        if claim.supported and text:
            out.setdefault(text, claim if text == claim.text else replace(claim, text=text))
    return list(out.values())[:most]


@dataclass(frozen=True)
class Context:
    """A report and a question about it."""

    report: Report
    question: Question

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """Events in time order."""
        return tuple(sorted(self.report.events, key=lambda event: event.start_s))

    @cached_property
    def window(self) -> tuple[float, float] | None:
        """The span that the question names, cut to the video; a moment is widened by half a second."""
        times, end = self.question.times, self.report.video.duration_s
        if times is None:
            return None
        if times.sense == "before":
            return 0.0, min(times.start_s, end)
        if times.sense == "after":
            return min(times.end_s, end), end
        pad = MOMENT_S if times.end_s - times.start_s < MOMENT_S else 0.0
        return max(min(times.start_s, end) - pad, 0.0), min(times.end_s + pad, end)

    @cached_property
    def concept(self) -> Concept | None:
        """What the question, or else the answer before it, is about."""
        return self.question.concept or self.question.focus.concept

    @cached_property
    def track_ids(self) -> tuple[int, ...]:
        """Tracks that the question names, or else those of the answer before it where it names nothing."""
        return self.question.track_ids or self.question.focus.track_ids

    @cached_property
    def matches(self) -> tuple[Relation, ...]:
        """Relations of the concept that fit all that the question names, gravest and surest first."""
        return self.find(self.concept.predicates) if self.concept else ()

    @cached_property
    def event(self) -> Event | None:
        """The event meant: named, else at the time or relation asked for, else the last answer's, else the top."""
        wanted = self.question.event_id
        if wanted is None and self.window is not None:
            inside = overlapping(self.events, *self.window)
            return max(inside, key=lambda event: event.score, default=None)
        if wanted is None and self.matches:
            return self.event_of(self.matches[0])
        focus = self.question.focus
        if wanted is None and focus.event_id is None and focus.span is not None:
            return max(overlapping(self.events, *focus.span), key=lambda event: event.score, default=None)
        wanted = wanted or focus.event_id
        if wanted is not None:
            return next((event for event in self.events if event.event_id == wanted), None)
        return max(self.events, key=lambda event: event.score, default=None)

    @cached_property
    def anchor(self) -> tuple[float, float] | None:
        """The span that "before" and "after" refer to."""
        if self.question.times is not None:
            return self.question.times.start_s, self.question.times.end_s
        if self.question.concept is None and self.question.event_id is None and self.question.focus.span is not None:
            return self.question.focus.span
        if self.matches:
            return self.matches[0].start_s, self.matches[0].end_s
        return (self.event.start_s, self.event.end_s) if self.event else None

    def find(self, predicates: Sequence[str]) -> tuple[Relation, ...]:
        """Returns relations of some predicates within the question's time, event, tracks and kinds of vehicle.

        They stand in the order of `predicates`, surest first.
        """
        bounds = self.window
        if bounds is None and self.question.event_id and self.event:
            bounds = self.event.start_s, self.event.end_s
        ids = set(self.track_ids)
        # What is left behind or carried is often tracked without a class, so the kind of thing is no test there.
        tested = () if {"left behind", "carrying"} & set(predicates) else self.question.kinds
        labels = [kind.labels for kind in tested if kind.labels and "person" not in kind.labels]
        found = []
        for relation in self.report.relations:
            actors = {item for item in (relation.subject, relation.object) if item is not None}
            if relation.predicate not in predicates or not ids <= actors:
                continue
            if bounds and (relation.end_s < bounds[0] or relation.start_s > bounds[1]):
                continue
            seen = {self.label(item) for item in actors}
            if all(seen & set(group) for group in labels):
                found.append(relation)
        return tuple(sorted(found, key=lambda item: (predicates.index(item.predicate), -item.confidence, item.start_s)))

    def event_of(self, relation: Relation) -> Event | None:
        """Returns the event that a relation overlaps, the highest scored where there are several."""
        inside = overlapping(self.events, relation.start_s, relation.end_s)
        return max(inside, key=lambda event: event.score, default=None)

    def account(self, event_id: str | None) -> Account | None:
        """Returns the account of an event, or of the video for None, or None where the report has none."""
        return next((item for item in self.report.accounts if item.event_id == event_id), None)

    def claims(self, event_id: str | None, *roles: Role) -> list[Claim]:
        """Returns the supported claims of some roles, in the order of the roles."""
        account = self.account(event_id)
        if account is None:
            return []
        return quote(claim for role in roles for claim in account.claims if claim.role == role)

    def track(self, track_id: int) -> Track | None:
        """Returns a track, or None where the report has no such track."""
        return next((track for track in self.report.tracks if track.track_id == track_id), None)

    def label(self, track_id: int) -> str:
        """Returns the label of a track, ``track`` where it is not known."""
        track = self.track(track_id)
        return clean(track.label, 40) if track else "track"

    def name(self, track_id: int | None) -> str:
        """Returns how a track is called, such as ``person 3``."""
        return "something that was not tracked" if track_id is None else f"{self.label(track_id)} {track_id}"

    def names(self, track_ids: Iterable[int]) -> str:
        """Returns names of tracks as a list in words, at most five of them."""
        return join_words(shorten_list([self.name(item) for item in track_ids]))

    def describe(self, relation: Relation, hedged: bool = True, when: bool = True) -> str:
        """Returns a relation as a clause: ``person 1 probably struck person 2 at 0:10.5``."""
        adverb = hedge(relation.confidence) if hedged else ""
        predicate = PREDICATES.get(relation.predicate)
        past = predicate.past if predicate else f"was “{clean(relation.predicate, 40)}”"
        target = self.name(relation.object) if relation.object is not None else ""
        if predicate is not None and relation.subject is None and relation.object is None:
            noun = predicate.noun if relation.predicate in _UNCOUNTED else article(predicate.noun)
            time = span(relation.start_s, relation.end_s) if when else ""
            return " ".join(part for part in ("the motion", time, adverb, "fits", noun) if part)
        if relation.object is None and predicate is not None and predicate.binary:
            target = self.name(None)
        verb, rest = ("was", past[4:]) if past.startswith("was ") else ("", past)
        time = span(relation.start_s, relation.end_s) if when else ""
        if is_momentary(relation) and when:
            time = f"at {clock((relation.start_s + relation.end_s) / 2)}"
        return " ".join(part for part in (self.name(relation.subject), verb, adverb, rest, target, time) if part)

    def state(self, relation: Relation, lead: str = "", role: Role = "what", hedged: bool = True) -> Claim:
        """Returns a relation as a claim, with what was measured."""
        measured = join_words([clean(str(measure), 60) for measure in relation.measures[:3]])
        tail = f"(measured: {measured})" if measured else ""
        return say(
            lead,
            self.describe(relation, hedged),
            tail,
            role=role,
            evidence=(relation.relation_id, *track_evidence(relation)),
            times=((relation.start_s + relation.end_s) / 2 if is_momentary(relation) else relation.start_s,),
            confidence=relation.confidence,
        )

    def frames_of(self, event_id: str) -> tuple[str, ...]:
        """Returns the ids of the keyframes of an event, in time order."""
        frames = sorted(self.report.keyframes, key=lambda frame: frame.time_s)
        return tuple(frame.keyframe_id for frame in frames if frame.event_id == event_id)[:MAX_KEYFRAMES]

    def frames_near(self, times: Iterable[float], reach_s: float = 2.0) -> tuple[str, ...]:
        """Returns the ids of the keyframes nearest to some times, none farther away than `reach_s`."""
        chosen = {}
        for time in times:
            nearest = min(self.report.keyframes, key=lambda frame: abs(frame.time_s - time), default=None)
            if nearest is not None and abs(nearest.time_s - time) <= reach_s:
                chosen[nearest.keyframe_id] = nearest.time_s
        return tuple(sorted(chosen, key=lambda frame_id: chosen[frame_id]))[:MAX_KEYFRAMES]


def is_momentary(relation: Relation) -> bool:
    """Tells whether a relation is a moment, such as a blow, rather than a state."""
    predicate = PREDICATES.get(relation.predicate)
    return predicate is not None and predicate.momentary


def track_evidence(relation: Relation) -> tuple[str, ...]:
    """Returns the evidence ids of the tracks in a relation."""
    return tuple(f"T{item}" for item in (relation.subject, relation.object) if item is not None)


def overlapping(events: Iterable[Event], start_s: float, end_s: float) -> list[Event]:
    """Returns the events that share a moment with a span."""
    return [event for event in events if event.start_s <= end_s and event.end_s >= start_s]


def telling(relations: Iterable[Relation], most: int = 4) -> list[Relation]:
    """Returns the relations most worth telling, in time order: the gravest and surest, everyday ones only for want."""
    items = list(relations)
    grave = [item for item in items if item.predicate not in _WORTH_SAYING]
    ranked = sorted(grave or items, key=lambda item: (-severity(item), -item.confidence, item.start_s))[:most]
    return sorted(ranked, key=lambda item: item.start_s)
