"""What a report says to one clause of an account: to a relation, an event, a peak, a threat level, someone's presence.

Tolerances are ours and wide enough for times that a model reads off sampled frames; see `vau.reasoning.claimcheck`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from vau.reasoning.language import LIKELY, clock, join_words, number, span
from vau.reasoning.ledger import GROUPS, TOLERANCE_S, Ledger, lasts, length_agrees, single, when
from vau.reasoning.statements import Actor, Clause
from vau.relations.vocabulary import PREDICATES
from vau.types import Event, Relation, Track

Verdict = Literal["supported", "unsupported", "contradicted", "not checkable"]
_OFTEN = re.compile(r"\b(?:several|many|multiple|a few|a couple of) times\b|\brepeatedly\b")
_PEAK_S = 1.5
_RARE = 0.25  # severity from which a relation is rare enough that the one stated must be the one measured
_SEEN_S = 1.5  # for the moment at which someone comes or goes


@dataclass(frozen=True)
class Finding:
    """What the evidence says to one clause."""

    verdict: Verdict
    reason: str
    evidence: tuple[str, ...] = ()
    times_s: tuple[float, ...] = ()
    confidence: float = 0.0
    starts: tuple[float, float] | None = None  # earliest and latest start of what supports it
    lasts: tuple[float, float] | None = None  # from the earliest start to the latest end of it


def check_clause(ledger: Ledger, clause: Clause) -> Finding | None:
    """Returns what the report says to a clause, None where the clause names nothing to look for."""
    kind = clause.mention.kind
    if clause.unreal:
        return _unreal(ledger, clause)
    if kind == "relation":
        return _relation(ledger, clause)
    if kind == "event":
        return _event(ledger, clause)
    if kind == "threat":
        return _threat(ledger, clause)
    if kind == "peak":
        return _peak(ledger, clause)
    return _presence(ledger, clause)


def _unreal(ledger: Ledger, clause: Clause) -> Finding | None:
    """Checks a deed that "almost" happened, which contradicts that it did; an attempt cannot be checked."""
    if clause.mention.kind != "relation" or clause.unreal != "nearly" or clause.negated:
        return None
    denied = _relation(ledger, replace(clause, negated=True, unreal=""))
    return denied if denied.verdict == "contradicted" else None


def _relation(ledger: Ledger, clause: Clause) -> Finding:
    predicates = clause.mention.predicates
    noun = PREDICATES[predicates[0]].noun
    pool = ledger.of(predicates)
    fits = [item for item in pool if ledger.fits(item, clause)]
    people = single(clause.subjects)
    if not PREDICATES[predicates[0]].binary and len(people) > 1 and not clause.negated:
        lone = [
            actor
            for actor in people
            if not any(ledger.is_one(actor, who) for r in fits for who in (r.subject, r.object))
        ]
        fits = [] if lone else fits
    placed = {item.relation_id: when(item.start_s, item.end_s, clause, ledger.duration_s) for item in fits}
    timed = [item for item in fits if placed[item.relation_id] == "in"]
    if clause.mention.ends:
        return _ended(ledger, clause, fits)
    if clause.negated:
        sure = [item for item in timed if item.confidence >= LIKELY]
        if sure:
            return _against(sure, f"measured: {_told(sure[0])}")
        return Finding("supported", f'no "{noun}" was measured that would speak against it', (), (), 0.5)
    own = [item for item in pool if item.predicate == predicates[0]]
    if not fits:
        other = [item for item in own if _may_be_meant(ledger, item, clause)]
        if other:
            return _against(other[:3], f"the evidence has it otherwise: {_told(other[0])}")
        return Finding("unsupported", f'no "{noun}" of this kind was measured')
    if not timed and _joined(ledger, clause, fits):
        timed = fits
    if not timed:
        if any(place == "over" for place in placed.values()):
            over = [item for item in fits if placed[item.relation_id] == "over"]
            return Finding(
                "unsupported",
                f"only a part of that time is shown: {_told(over[0])}",
                _ids(over[:3]),
                (over[0].start_s,),
                over[0].confidence,
            )
        return _against(fits[:3], f"at another time: {_told(fits[0])}")
    if any(actor.further for actor in clause.subjects) and not any(actor.ids for actor in clause.subjects):
        return Finding("unsupported", f"that it was a further one is not shown: {_told(timed[0])}", _ids(timed[:3]))
    return _amounts(ledger, clause, timed) or _supported(timed[:3], _told(timed[0]))


def _may_be_meant(ledger: Ledger, item: Relation, clause: Clause) -> bool:
    """Says whether a relation is the one that a clause means though it names others."""
    at_its_time = clause.span is None or when(item.start_s, item.end_s, clause, ledger.duration_s) == "in"
    named = single((*clause.subjects, *clause.objects))
    both = (item.subject, item.object)
    if any(actor.ids and ledger.is_one(actor, who) for actor in named for who in both):
        return at_its_time
    if PREDICATES[item.predicate].severity < _RARE or clause.span is not None:
        return clause.span is not None and at_its_time and PREDICATES[item.predicate].severity >= _RARE
    kinds = {ledger.label(who) for who in both} - {""}
    asked = {ledger.label(actor.ids[0]) if actor.ids else "" for actor in named}
    return bool(kinds & asked) or any(not actor.ids and kinds & set(actor.labels) for actor in named)


def _joined(ledger: Ledger, clause: Clause, fits: Sequence[Relation]) -> bool:
    """Says whether relations that follow on each other fill the stated time together."""
    spans = [(item.start_s, item.end_s) for item in fits]
    if len(spans) < 2 or len(lasts(spans)) > 1:
        return False
    return when(min(spans)[0], max(end for _, end in spans), clause, ledger.duration_s) == "in"


def _ended(ledger: Ledger, clause: Clause, fits: Sequence[Relation]) -> Finding:
    """Checks that a relation came to an end, at the time stated where there is one."""
    if not fits:
        return Finding(
            "unsupported", f'no "{PREDICATES[clause.mention.predicates[0]].noun}" was measured that could end'
        )
    by = clause.span.end_s + TOLERANCE_S if clause.span is not None else ledger.duration_s - TOLERANCE_S
    last = max(fits, key=lambda item: item.end_s)
    seen = ledger.tracks[last.subject].end_s if last.subject in ledger.tracks else ledger.duration_s
    goes_on = last.end_s > by or (clause.span is None and last.end_s >= seen - TOLERANCE_S)
    if goes_on != clause.negated:
        if clause.negated:
            return _against([last], f"it ended: {_told(last)}")
        return _against([last], f"it lasts longer: {_told(last)}")
    return _supported([last], _told(last))


def _amounts(ledger: Ledger, clause: Clause, items: Sequence[Relation]) -> Finding | None:
    """Returns what speaks against the numbers of a clause, None where they agree."""
    if clause.length_s is not None:
        lengths = lasts([(item.start_s, item.end_s) for item in items])
        if not length_agrees(clause.length_s, lengths, at_least=clause.at_least):
            return _against(items[:3], f"it lasted {max(lengths):.1f} seconds")
    who = ledger.taking_part(items, clause)
    for actor in (*clause.subjects, *clause.objects) if clause.mention.passive else clause.subjects:
        if actor.count is None or items[0].predicate in GROUPS:
            continue
        have = sum(ledger.is_one(actor, item) for item in who)
        many = actor.count > have
        few = actor.count < have and (actor.exact or (actor.count > 1 and not actor.least))
        if many or few:
            return _against(items[:3], f"{number(have)} took part, not {number(actor.count)}")
    if _OFTEN.search(clause.text) and len(items) < 2:
        return _against(items, "it was measured once")
    if clause.number is not None and clause.number != len(items):
        return _against(items[:3], f"it was measured {number(len(items))} times")
    return None


def _event(ledger: Ledger, clause: Clause) -> Finding:
    events = ledger.events
    if clause.negated:
        inside = [item for item in events if when(item.start_s, item.end_s, clause, ledger.duration_s) == "in"]
        if inside:
            return Finding(
                "contradicted",
                f"{inside[0].event_id} was found {span(inside[0].start_s, inside[0].end_s)}",
                _event_ids(inside),
                (inside[0].peak_s,),
                inside[0].score,
            )
        calm = 1.0 - float(ledger.report.scores.scores.max()) if len(ledger.report.scores) else 0.5
        return Finding("supported", "the report has no such event", (), (), max(min(calm, 1.0), 0.5))
    if not events:
        return Finding("contradicted", "the report has no event", (), (), 0.5)
    if clause.number is not None and clause.ordinal is None and clause.number != len(events) and clause.span is None:
        return Finding(
            "contradicted",
            f"the report has {number(len(events))}",
            _event_ids(events),
            (events[0].peak_s,),
            events[0].score,
        )
    named = re.findall(r"\be\d{1,3}\b", clause.text)
    pool = [item for item in events if item.event_id.lower() in named] or events
    if clause.ordinal is not None:
        if clause.ordinal >= len(events):
            return Finding("contradicted", f"the report has {number(len(events))}", _event_ids(events), (), 0.9)
        pool = [events[clause.ordinal]]
    placed = [(item, when(item.start_s, item.end_s, clause, ledger.duration_s)) for item in pool]
    timed = [item for item, place in placed if place == "in"]
    if not timed:
        over = [item for item, place in placed if place == "over"]
        item = (over or pool)[0]
        verdict: Verdict = "unsupported" if over else "contradicted"
        return Finding(
            verdict,
            f"{item.event_id} lasts {span(item.start_s, item.end_s)}",
            (item.event_id,),
            (item.peak_s,),
            item.score,
        )
    if clause.length_s is not None:
        lengths = [item.end_s - item.start_s for item in timed]
        if not length_agrees(clause.length_s, lengths, at_least=clause.at_least):
            return Finding(
                "contradicted", f"it lasted {max(lengths):.1f} seconds", _event_ids(timed), (timed[0].peak_s,), 0.8
            )
    best = timed[0]
    starts = (min(item.start_s for item in timed), max(item.start_s for item in timed))
    return Finding(
        "supported",
        f"{best.event_id} lasts {span(best.start_s, best.end_s)}",
        _event_ids(timed),
        (best.peak_s,),
        best.score,
        starts,
        (starts[0], max(item.end_s for item in timed)),
    )


def _threat(ledger: Ledger, clause: Clause) -> Finding:
    levels = {account.threat_level for account in ledger.report.accounts}
    agrees = (clause.mention.level in levels) != clause.negated
    text = f"the report rates {join_words([str(level) for level in sorted(levels)])}"
    return Finding("supported" if agrees else "contradicted", text, (), (), 0.8)


def _peak(ledger: Ledger, clause: Clause) -> Finding | None:
    if clause.span is None:
        return None
    scores = ledger.report.scores
    peaks = [event.peak_s for event in ledger.events]
    if len(scores):
        peaks.append(float(scores.times_s[int(scores.scores.argmax())]))
    near = [item for item in peaks if clause.span.start_s - _PEAK_S <= item <= clause.span.end_s + _PEAK_S]
    verdict: Verdict = "supported" if bool(near) != clause.negated else "contradicted"
    text = f"the score peaks at {join_words([clock(item) for item in sorted(set(peaks))[:5]])}"
    return Finding(verdict, text, (), tuple((near or peaks)[:1]), 0.8)


def _presence(ledger: Ledger, clause: Clause) -> Finding | None:
    """Checks that those named are there, and when they come or go; None where nobody is named."""
    found = [_there(ledger, clause, actor) for actor in single(clause.subjects) if actor.ids or actor.labels]
    for rank in ("contradicted", "unsupported"):
        for item in found:
            if item.verdict == rank:
                return item
    if not found:
        return None
    names = tuple(name for item in found for name in item.evidence)
    times = tuple(time for item in found for time in item.times_s)
    starts = found[0].starts if len(found) == 1 else None
    whole = found[0].lasts if len(found) == 1 else None
    return Finding(
        "supported", found[0].reason, names, times[:5], min(item.confidence for item in found), starts, whole
    )


def _there(ledger: Ledger, clause: Clause, actor: Actor) -> Finding:
    kind = clause.mention.kind
    if actor.ids:
        tracks = [ledger.tracks[item] for item in actor.ids if item in ledger.tracks]
    else:
        tracks = ledger.of_kind(actor.labels)
    if clause.negated:
        sure = [
            t for t in tracks if t.confidence >= 0.5 and when(t.start_s, t.end_s, clause, ledger.duration_s) == "in"
        ]
        if sure:
            return Finding(
                "contradicted",
                f"{sure[0].name} was tracked {span(sure[0].start_s, sure[0].end_s)}",
                (f"T{sure[0].track_id}",),
                (sure[0].start_s,),
                sure[0].confidence,
            )
        return Finding("supported", "none was tracked", (), (), 0.5)
    if not tracks:
        return Finding("unsupported", "nothing of this kind was tracked")
    if actor.count is not None and not actor.ids:
        low, high = ledger.number_of(actor.labels)
        if (
            actor.count > high
            or (actor.count < low and actor.count > 1 and not actor.least)
            or (actor.exact and actor.count < low)
        ):
            return Finding(
                "contradicted",
                f"{number(low)} to {number(high)} were tracked",
                tuple(f"T{t.track_id}" for t in tracks[:8]),
                (tracks[0].start_s,),
                0.7,
            )
    fits = []
    for track in tracks:
        if clause.span is not None and kind in ("enter", "leave"):
            at = track.start_s if kind == "enter" else track.end_s
            agrees = clause.span.start_s - _SEEN_S <= at <= clause.span.end_s + _SEEN_S
        elif kind == "leave":
            agrees = track.end_s < ledger.duration_s - 1.0
        else:
            agrees = when(track.start_s, track.end_s, clause, ledger.duration_s) == "in"
        if agrees:
            fits.append(track)
    crowd = 1 if clause.span is None or actor.count is None or actor.ids else actor.count
    if len(fits) < crowd:
        one = next((track for track in tracks if track not in fits), tracks[0])
        return Finding(
            "contradicted",
            f"{one.name} was tracked {span(one.start_s, one.end_s)}",
            (f"T{one.track_id}",),
            (one.start_s,),
            one.confidence,
        )
    best = max(fits, key=lambda track: track.confidence)
    moves = _comes_or_goes(kind, fits)
    return Finding(
        "supported",
        f"{best.name} was tracked {span(best.start_s, best.end_s)}",
        (f"T{best.track_id}",),
        (best.start_s,),
        best.confidence,
        moves,
        moves or (min(track.start_s for track in fits), max(track.end_s for track in fits)),
    )


def _comes_or_goes(kind: str, tracks: Sequence[Track]) -> tuple[float, float] | None:
    """Returns the earliest and latest time at which tracks begin or end, None where a clause states neither."""
    if kind not in ("enter", "leave"):
        return None
    times = [track.start_s if kind == "enter" else track.end_s for track in tracks]
    return min(times), max(times)


def _ids(items: Sequence[Relation]) -> tuple[str, ...]:
    tracks = (f"T{who}" for item in items for who in (item.subject, item.object) if who is not None)
    return tuple(dict.fromkeys([*(item.relation_id for item in items), *tracks]))


def _event_ids(items: Sequence[Event]) -> tuple[str, ...]:
    return tuple(item.event_id for item in items)


def _told(item: Relation) -> str:
    who = f"track {item.subject}" if item.subject is not None else "something"
    whom = f" track {item.object}" if item.object is not None else ""
    return f"{who} {PREDICATES[item.predicate].past}{whom} {span(item.start_s, item.end_s)} ({item.relation_id})"


def _against(items: Sequence[Relation], reason: str) -> Finding:
    return Finding("contradicted", reason, _ids(items), (items[0].start_s,), max(item.confidence for item in items))


def _supported(items: Sequence[Relation], reason: str) -> Finding:
    starts = (min(item.start_s for item in items), max(item.start_s for item in items))
    times = tuple(item.start_s for item in items)
    whole = (starts[0], max(item.end_s for item in items))
    return Finding("supported", reason, _ids(items), times, max(item.confidence for item in items), starts, whole)
