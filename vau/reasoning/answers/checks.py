"""Answers to "is there a ...": relations that show it, the honest negative, and matters that no predicate can know."""

from __future__ import annotations

import re

from vau.reasoning.answers.base import Context, Draft, quote, say, telling, track_evidence
from vau.reasoning.language import LIKELY, SURE, clean, join_words, plural, span
from vau.reasoning.lexicon import Concept, lexicon
from vau.reasoning.questions import Focus
from vau.types import Claim, Relation

_DENIED = re.compile(r"\b(?:no|not|nobody|none|never|nothing|without|cannot)\b|n't\b", re.IGNORECASE)
# Predicates in which the subject does something to the object, so that "who did it" has an answer.
DIRECTED = ("hit", "chasing", "following", "approaching")
MISSED = "This is no proof that there was none: what is small, hidden, dark or out of view is missed"


def check(ctx: Context) -> Draft:
    """Says whether the relation asked for was seen, who was in it and when."""
    if ctx.concept is None:
        return Draft([say("the question names nothing that vau can look for", role="limit")], supported=False)
    if not ctx.matches:
        return not_shown(ctx, ctx.concept)
    first, *others = ctx.matches
    claims = [ctx.state(first, _lead(ctx, first), hedged=False)]
    claims += [ctx.state(item) for item in others if item.confidence >= LIKELY][:3]
    return Draft(claims, focus=focus_of(ctx, first))


def not_shown(ctx: Context, concept: Concept) -> Draft:
    """Says that the evidence does not show it, or quotes what else in the report speaks of it."""
    spoken = _spoken_of(ctx, concept.name)
    if spoken:
        return Draft(spoken)
    event = ctx.event if ctx.question.event_id else None
    bounds = ctx.window or ((event.start_s, event.end_s) if event else (0.0, ctx.report.video.duration_s))
    who = f"with {ctx.names(ctx.track_ids)} in it" if ctx.track_ids and ctx.question.concept else ""
    tracks = [track for track in ctx.report.tracks if track.start_s <= bounds[1] and track.end_s >= bounds[0]]
    relations = [item for item in ctx.report.relations if item.start_s <= bounds[1] and item.end_s >= bounds[0]]
    looked = (
        f"the evidence does not show {concept.noun} {who}: vau looked at {plural(len(tracks), 'track')} and "
        f"{plural(len(relations), 'relation')} between them {span(*bounds)}, and none is of that kind"
    )
    claims = [say(looked, role="limit", confidence=LIKELY)]
    near = ctx.find(concept.related)
    if near:
        claims.append(ctx.state(near[0], "closest to it:"))
    claims.append(say(MISSED, role="limit"))
    return Draft(claims, supported=False, focus=focus_of(ctx, near[0]) if near else Focus(concept=concept))


def unknowable(ctx: Context) -> Draft:
    """Says that the models cannot know it, unless the report itself speaks of it."""
    matter = ctx.question.unknowable
    if matter is None:
        tail = "vau's embedded models see people, vehicles and common objects and how they move, and nothing else"
        return Draft([say("the evidence does not show this:", tail, role="limit")], supported=False)
    named = [
        track for track in ctx.report.tracks if re.search(rf"\b{re.escape(track.label.lower())}\b", ctx.question.text)
    ]
    named = [track for track in named if lexicon().find_unknowable(track.label.lower())]
    if named:
        shown = join_words([f"{track.name} {span(track.start_s, track.end_s)}" for track in named[:4]])
        surest = max(track.confidence for track in named)
        text = f"the detector labelled {shown}; such small things are easily mistaken, so look at the frames"
        return Draft(
            [say(text, evidence=(f"T{t.track_id}" for t in named[:4]), times=(named[0].start_s,), confidence=surest)]
        )
    spoken = _spoken_of(ctx, matter.name)
    if spoken:
        return Draft(spoken)
    claims = [say(f"the evidence does not show this: vau's embedded models cannot {matter.says}", role="limit")]
    related = telling(ctx.find(matter.related), 2) if matter.related else []
    claims += [ctx.state(item, "what it does show:" if not index else "") for index, item in enumerate(related)]
    return Draft(claims, supported=False, focus=focus_of(ctx, related[0]) if related else None)


def focus_of(ctx: Context, relation: Relation) -> Focus:
    """Returns a relation as the subject of the next question."""
    event = ctx.event_of(relation)
    ids = tuple(item for item in (relation.subject, relation.object) if item is not None)
    return Focus(event.event_id if event else None, (relation.start_s, relation.end_s), ids, ctx.concept)


def _lead(ctx: Context, relation: Relation) -> str:
    """Returns yes, probably or possibly; no yes where the question is negated or asks for the other direction."""
    ids = ctx.question.track_ids[::-1] if re.search(r"\bby\b", ctx.question.text) else ctx.question.track_ids
    word = "shows" if relation.confidence >= SURE else "suggests"
    if len(ids) == 2 and (relation.subject, relation.object) == ids[::-1] and relation.predicate in DIRECTED:
        return f"the evidence {word} the reverse:"
    if ctx.question.negated and ctx.concept is not None:
        return f"the evidence {word} {ctx.concept.noun}:"
    if relation.confidence >= SURE:
        return "yes:"
    return "probably yes:" if relation.confidence >= LIKELY else "possibly, but this is weak evidence:"


def _spoken_of(ctx: Context, name: str) -> list[Claim]:
    """Returns labels of events and supported claims of accounts that name a matter without denying it.

    They are bound to no time, track or kind of thing, so nothing is returned where the question names one.
    """
    if ctx.window or ctx.question.track_ids or any(kind.name != "person" for kind in ctx.question.kinds):
        return []
    events = [ctx.event] if ctx.question.event_id and ctx.event else ctx.events
    found: list[Claim] = []
    for event in events:
        label = clean(event.label or "", 80)
        if name in _named(label):
            scorer = clean(ctx.report.scores.scorer, 40)
            text = f"{event.event_id}, {span(event.start_s, event.end_s)}, is labelled “{label}” by {scorer}"
            found.append(say(text, evidence=(event.event_id,), times=(event.peak_s,), confidence=event.score))
    for account in ctx.report.accounts:
        if ctx.question.event_id in (None, account.event_id):
            found += quote(claim for claim in account.claims if _says(claim, name))
    return found[:3]


def _says(claim: Claim, name: str) -> bool:
    told = claim.role not in ("limit", "title") and claim.supported and bool(claim.evidence)
    return told and not _DENIED.search(claim.text) and name in _named(claim.text)


def _named(text: str) -> set[str]:
    words, lower = lexicon(), text.lower()
    return {item.name for item in words.find_concepts(lower)} | {item.name for item in words.find_unknowable(lower)}


def relation_evidence(relations: list[Relation]) -> tuple[str, ...]:
    """Returns the evidence ids of relations and of the tracks in them."""
    return tuple(part for item in relations for part in (item.relation_id, *track_evidence(item)))
