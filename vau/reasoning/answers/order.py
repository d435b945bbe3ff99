"""Answers about the order of things: at a time, before, after, what led to it, what followed."""

from __future__ import annotations

from vau.reasoning.answers.base import LOOK_S, Context, Draft, overlapping, quote, say, telling
from vau.reasoning.answers.events import event_focus, no_event
from vau.reasoning.language import LIKELY, clean, clock, span
from vau.reasoning.questions import Focus
from vau.types import Claim, Relation

_SLACK_S = 0.25  # a relation may begin this much after what it led to, by the coarseness of sampling


def moment(ctx: Context) -> Draft:
    """Says what there is at a time: the event it lies in, relations, and who is in view."""
    if ctx.window is None:
        return before_or_after(ctx, "after") if ctx.anchor else Draft([no_event(ctx)], supported=False)
    start, end = ctx.window
    asked = ctx.question.times
    exact = asked is not None and asked.start_s == asked.end_s and asked.sense == "within"
    at, when_s = span(start, end), start
    if asked is not None and exact:
        at, when_s = f"at {clock(asked.start_s)}", min(asked.start_s, end)
    curve = ctx.report.scores
    within = curve.scores[(curve.times_s >= start) & (curve.times_s <= end)]
    score = float(within.mean()) if len(within) else 0.0
    inside = sorted(overlapping(ctx.events, start, end), key=lambda event: event.start_s)
    claims = [
        say(
            f"{event.event_id} runs {span(event.start_s, event.end_s)}", *_headline(ctx, event.event_id),
            role="when", evidence=(event.event_id,), times=(event.start_s, event.peak_s), confidence=event.score,
        )
        for event in inside[:3]
    ]  # fmt: skip
    if not inside:
        claims.append(
            say(
                f"no event was reported {at}; the anomaly score there is {score:.2f} of 1", role="when", times=(when_s,)
            )
        )
    relations = telling([r for r in ctx.report.relations if r.start_s <= end and r.end_s >= start])
    claims += [ctx.state(item) for item in relations]
    seen = [t for t in ctx.report.tracks if t.start_s <= end and t.end_s >= start and t.confidence >= LIKELY]
    if seen:
        names = ctx.names(track.track_id for track in seen)
        times = (max(when_s, seen[0].start_s),)
        surest = max(track.confidence for track in seen)
        claims.append(
            say(
                f"in view {at}: {names}",
                role="who",
                evidence=(f"T{t.track_id}" for t in seen[:5]),
                times=times,
                confidence=surest,
            )
        )
    else:
        claims.append(say(f"nobody and nothing was tracked {at}", role="limit", times=(when_s,)))
    focus = Focus(inside[0].event_id if inside else None, ctx.window)
    return Draft(claims, supported=bool(inside or relations or seen), focus=focus)


def before(ctx: Context) -> Draft:
    """Tells what came before a time, an event or a relation."""
    return before_or_after(ctx, "before")


def after(ctx: Context) -> Draft:
    """Tells what came after a time, an event or a relation."""
    return before_or_after(ctx, "after")


def cause(ctx: Context) -> Draft:
    """Tells what led to an event or a relation, as far as the evidence goes."""
    return _chain(ctx, "cause")


def effect(ctx: Context) -> Draft:
    """Tells what an event or a relation led to, as far as the evidence goes."""
    return _chain(ctx, "effect")


def before_or_after(ctx: Context, way: str) -> Draft:
    """Tells the relations in the seconds before or after what the question refers to."""
    anchor = ctx.anchor
    if anchor is None:
        return Draft([no_event(ctx)], supported=False)
    end = ctx.report.video.duration_s
    reach = ctx.question.offset_s or LOOK_S
    look = (max(anchor[0] - reach, 0.0), anchor[0]) if way == "before" else (anchor[1], min(anchor[1] + reach, end))
    edge = clock(anchor[0] if way == "before" else anchor[1])
    if look[1] - look[0] < 0.1:
        limit = "the video begins there" if way == "before" else "the video ends there"
        return Draft([say(f"what came {way} {edge} is not known: {limit}", role="limit")], supported=False)
    found = [item for item in ctx.report.relations if _falls_in(item, look, way)]
    if ctx.track_ids:
        found = [item for item in found if {item.subject, item.object} & set(ctx.track_ids)]
    # What began there comes first, then what was going on anyway; those of the event before bystanders.
    actors = {key for item in ctx.matches[:1] for key in (item.subject, item.object) if key is not None}
    fresh = [item for item in found if way == "before" or item.start_s >= anchor[0]]
    own = [item for item in fresh if {item.subject, item.object} & actors]
    found = own or fresh or found
    claims = [ctx.state(item) for item in telling(found)]
    events = [
        e
        for e in overlapping(ctx.events, *look)
        if (e.start_s < anchor[0] if way == "before" else e.start_s >= anchor[1])
    ]
    for event in events[:2]:
        text = f"{event.event_id} begins at {clock(event.start_s)}"
        claims.append(
            say(
                text,
                *_headline(ctx, event.event_id),
                evidence=(event.event_id,),
                times=(event.start_s,),
                confidence=event.score,
            )
        )
    asked = ctx.question
    told = ctx.event.event_id if ctx.event and asked.times is None and not claims else None
    if told:
        claims = ctx.claims(told, "cause" if way == "before" else "effect")
    if not claims:
        text = f"the evidence shows nothing in particular {way} {edge}: no relation and no event begins {span(*look)}"
        return Draft([say(text, role="limit", times=look)], supported=False, focus=Focus(span=look))
    return Draft(claims, focus=Focus(events[0].event_id if events else None, look))


def _chain(ctx: Context, role: str) -> Draft:
    """Tells cause or effect: the account's claims for an event, neighbouring relations of the same actors otherwise."""
    way = "before" if role == "cause" else "after"
    if ctx.matches:
        return _around_relation(ctx, ctx.matches[0], way)
    event = ctx.event
    if event is None:
        return Draft([no_event(ctx)], supported=False)
    claims = ctx.claims(event.event_id, "cause" if role == "cause" else "effect")
    focus = event_focus(ctx, event)
    if claims:
        return Draft(claims, focus=focus)
    draft = before_or_after(ctx, way)
    word = "what led to" if role == "cause" else "what followed from"
    head = say(f"the evidence does not show {word} {event.event_id}", role="limit", evidence=(event.event_id,))
    if not draft.supported:
        return Draft([head], supported=False, focus=focus)
    return Draft([head, *draft.claims], supported=False, focus=focus)


def _around_relation(ctx: Context, relation: Relation, way: str) -> Draft:
    """Tells what the actors of a relation did before or after it: order in time, said to be no proof of a cause."""
    actors = {relation.subject, relation.object} - {None}
    edge = relation.start_s if way == "before" else relation.end_s
    look = (edge - LOOK_S, edge) if way == "before" else (edge, edge + LOOK_S)
    near = [
        item for item in ctx.report.relations
        if item is not relation and actors & {item.subject, item.object} and _falls_in(item, look, way)
    ]  # fmt: skip
    start = ctx.state(relation, hedged=True)
    focus = Focus((event.event_id if (event := ctx.event_of(relation)) else None), look, (), ctx.concept)
    if not near:
        what = "led to it" if way == "before" else "followed from it"
        return Draft(
            [start, say(f"the evidence does not show what {what}", role="limit")], supported=False, focus=focus
        )
    told = telling(near, 3)
    claims: list[Claim] = [start]
    claims += [ctx.state(item, "before that," if way == "before" else "after that,") for item in told]
    if way == "before":
        claims.append(say("that the one led to the other is likely from their order, not proven", role="limit"))
    return Draft(quote(claims), focus=focus)


def _falls_in(relation: Relation, look: tuple[float, float], way: str) -> bool:
    if way == "before":
        return relation.end_s >= look[0] and relation.start_s < look[1] - _SLACK_S
    return look[0] - _SLACK_S <= relation.start_s <= look[1] or relation.start_s < look[0] < look[1] <= relation.end_s


def _headline(ctx: Context, event_id: str) -> tuple[str, ...]:
    titles = ctx.claims(event_id, "title")
    return (f": {clean(titles[0].text, 160).rstrip('.')}",) if titles else ()
