"""Answers about who and what is in the picture: counts, presence, who took part, who did what."""

from __future__ import annotations

from collections.abc import Iterable

from vau.reasoning.answers.base import Context, Draft, say, telling
from vau.reasoning.answers.checks import DIRECTED, MISSED, focus_of, relation_evidence
from vau.reasoning.answers.events import no_event
from vau.reasoning.language import LIKELY, SURE, article, clean, clock, join_words, number, plural, shorten_list, span
from vau.reasoning.lexicon import ObjectKind
from vau.reasoning.questions import Focus
from vau.types import Claim, Relation, Track


def count(ctx: Context) -> Draft:
    """Counts tracks of a kind, at most at once and in all; or who took part in a relation."""
    if ctx.question.concept is not None and ctx.matches:
        ids = actors_of(ctx.matches, ctx.matches[0].predicate)
        labels = {ctx.label(item) for item in ids}
        noun = labels.pop() if len(labels) == 1 else "track"
        text = f"{plural(len(ids), noun)} took part: {ctx.names(ids)}" if ids else "nobody who took part was tracked"
        first = ctx.matches[0]
        told = ctx.describe(first)
        claim = say(
            text,
            role="who",
            evidence=relation_evidence(list(ctx.matches[:5])),
            times=(first.start_s,),
            confidence=first.confidence,
        )
        return Draft(
            [claim, say(told, evidence=(first.relation_id,), times=(first.start_s,), confidence=first.confidence)],
            focus=focus_of(ctx, first),
        )
    kinds = [kind for kind in ctx.question.kinds if kind.labels] or [_PEOPLE, _VEHICLES]
    claims = [claim for kind in kinds[:3] for claim in _count_kind(ctx, kind)]
    claims.append(say("one who leaves or is hidden may be counted again on coming back", role="limit"))
    return Draft(claims, focus=Focus(span=ctx.window))


def presence(ctx: Context) -> Draft:
    """Says whether a kind of thing was tracked, and when."""
    named = [track for track in ctx.report.tracks if track.label and track.label.lower() in ctx.question.text]
    kinds = [kind for kind in ctx.question.kinds if kind.labels]
    labels = {label for kind in kinds[-1:] for label in kind.labels} | {track.label for track in named}
    anything = any(not kind.labels for kind in ctx.question.kinds)
    found = sorted(tracks_in_view(ctx, labels if labels or not anything else None), key=lambda track: -track.confidence)
    if found:
        listed = [f"{ctx.name(t.track_id)} {span(t.start_s, t.end_s)}" for t in found]
        best = found[0].confidence
        lead = "yes:" if best >= SURE else "probably:" if best >= LIKELY else "possibly:"
        lead = "tracked:" if ctx.question.negated else lead
        ids = tuple(track.track_id for track in found[:5])
        text = join_words(shorten_list(listed))
        claim = say(
            lead,
            text,
            role="who",
            evidence=(f"T{i}" for i in ids),
            times=(t.start_s for t in found[:5]),
            confidence=best,
        )
        return Draft(
            [claim], focus=Focus(track_ids=ids if len(ids) == 1 else (), span=(found[0].start_s, found[0].end_s))
        )
    at = span(*ctx.window) if ctx.window else ""
    seen = sorted({clean(track.label, 40) for track in ctx.report.tracks})
    what = join_words([article(kind.name) for kind in kinds], "or") or "this"
    tail = (
        f"; tracked in the video: {join_words(shorten_list(seen, 8))}" if seen else "; nothing was tracked in the video"
    )
    return Draft(
        [say(f"the evidence does not show {what}", at, tail, role="limit"), say(MISSED, role="limit")], supported=False
    )


def who(ctx: Context) -> Draft:
    """Names the tracks that take part in an event or a relation."""
    if ctx.matches:
        return actor(ctx)
    event, around = ctx.event, ctx.window or ctx.question.focus.span
    if event is None and around is None:
        tracks = sorted(tracks_in_view(ctx, None), key=lambda track: -track.confidence)
        return Draft([_listing(ctx, tracks), no_event(ctx)] if tracks else [no_event(ctx)], supported=bool(tracks))
    claims = ctx.claims(event.event_id, "who") if event else []
    bounds = (event.start_s, event.end_s) if event else around or (0.0, 0.0)
    relations = telling([r for r in ctx.report.relations if r.start_s <= bounds[1] and r.end_s >= bounds[0]])
    ids = actors_of(relations)
    if not claims and ids:
        claims = [
            say(
                f"{ctx.names(ids)}",
                role="who",
                evidence=(f"T{i}" for i in ids),
                times=(bounds[0],),
                confidence=relations[0].confidence,
            )
        ]
    if not claims:
        seen = [track for track in ctx.report.tracks if track.start_s <= bounds[1] and track.end_s >= bounds[0]]
        claims = [_listing(ctx, seen)] if seen else [say(f"nobody was tracked {span(*bounds)}", role="limit")]
    claims.append(say("vau numbers people and does not know who they are", role="limit"))
    return Draft(
        claims,
        supported=bool(ids or claims[0].role == "who"),
        focus=Focus(event.event_id if event else None, bounds, ids[:2]),
    )


def actor(ctx: Context) -> Draft:
    """Says who did what to whom; where that has no direction in the evidence, says so."""
    relations = ctx.matches
    if not relations:
        if ctx.event is None:
            return Draft([no_event(ctx)], supported=False)
        event = ctx.event
        relations = tuple(r for r in ctx.report.relations if r.start_s <= event.end_s and r.end_s >= event.start_s)
        relations = tuple(telling(relations))
    if not relations:
        return Draft(
            [say("the evidence does not show who did it: no relation was found in the event", role="limit")],
            supported=False,
        )
    claims = [ctx.state(item, role="who") for item in relations[:3]]
    first = relations[0]
    if first.object is not None and not any(item.predicate in DIRECTED for item in relations):
        pair = {first.subject, first.object}
        directed = [item for item in ctx.report.relations if item.predicate in DIRECTED]
        earlier = [i for i in directed if {i.subject, i.object} == pair and i.start_s <= first.start_s]
        claims.append(say("the evidence does not show who of them began", role="limit"))
        claims += [ctx.state(item, "before it,") for item in earlier[:1]]
    return Draft(claims, focus=focus_of(ctx, first))


_PEOPLE = ObjectKind("person", ("person",))
_VEHICLES = ObjectKind("vehicle", ("car", "truck", "bus", "motorcycle", "bicycle", "train", "boat", "airplane"))


def tracks_in_view(ctx: Context, labels: set[str] | None) -> list[Track]:
    """Returns the tracks of some labels, or of any for None, that are in view in the question's time."""
    start, end = ctx.window or (0.0, float("inf"))
    tracks = [track for track in ctx.report.tracks if track.start_s <= end and track.end_s >= start]
    return [track for track in tracks if labels is None or track.label in labels]


def _count_kind(ctx: Context, kind: ObjectKind) -> list[Claim]:
    tracks = tracks_in_view(ctx, set(kind.labels))
    sure = [track for track in tracks if track.confidence >= LIKELY]
    at = span(*ctx.window) if ctx.window else ""
    if not tracks:
        return [say(f"no {kind.name} was tracked", at, role="who", confidence=LIKELY)]
    most, time = _most_at_once(sure, ctx.window)
    text = f"vau tracked {plural(len(sure), kind.name)}"
    if len(sure) > 1:
        text += f" {at}" if at else " in all"
        text += f", at most {number(most)} at once, at {clock(time)}"
    elif at:
        text += f" {at}"
    doubtful = len(tracks) - len(sure)
    if doubtful:
        text += f"; {plural(doubtful, 'further track')} may be {'one' if doubtful == 1 else 'some'} too"
    ids = (f"T{track.track_id}" for track in sure[:8])
    surest = min((track.confidence for track in sure), default=LIKELY / 2)
    return [say(text, role="who", evidence=ids, times=(time,) if sure else (), confidence=surest)]


def _most_at_once(tracks: list[Track], window: tuple[float, float] | None) -> tuple[int, float]:
    start = window[0] if window else 0.0
    moments = [max(track.start_s, start) for track in tracks]
    held = [(sum(track.start_s <= moment <= track.end_s for track in tracks), -moment) for moment in moments]
    most, time = max(held, default=(0, 0.0))
    return most, -time


def actors_of(relations: Iterable[Relation], predicate: str | None = None) -> tuple[int, ...]:
    """Returns the ids of all tracks in some relations, or in those of one predicate, each once."""
    ids = [i for r in relations if predicate in (None, r.predicate) for i in (r.subject, r.object) if i is not None]
    return tuple(dict.fromkeys(ids))


def _listing(ctx: Context, tracks: list[Track]) -> Claim:
    names = ctx.names(track.track_id for track in tracks)
    ids = (f"T{track.track_id}" for track in tracks[:5])
    return say(
        f"in view: {names}", role="who", evidence=ids, times=(tracks[0].start_s,), confidence=tracks[0].confidence
    )
