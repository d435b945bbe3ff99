"""Answers about events as their accounts tell them: what, when, how long, why, how grave, how sure, which frames."""

from __future__ import annotations

import numpy as np

from vau.reasoning.answers.base import Context, Draft, is_momentary, overlapping, quote, say
from vau.reasoning.answers.checks import focus_of
from vau.reasoning.language import LIKELY, certainty, clean, clock, duration, join_words, plural, shorten_list, span
from vau.reasoning.questions import Focus
from vau.types import Claim, Event

_THREAT = {
    0: "0 of 2, nothing dangerous was found",
    1: "1 of 2, unusual: it is worth a look",
    2: "2 of 2, dangerous: a person should look at it at once",
}


def overview(ctx: Context) -> Draft:
    """Tells the whole video, or one event where the question names it."""
    asked = ctx.event if ctx.question.event_id or ctx.question.concept else None
    if asked is not None:
        claims = ctx.claims(asked.event_id, "title", "what", "who", "when", "cause", "effect")
        return Draft(claims or [_event_line(asked)], focus=event_focus(ctx, asked))
    claims = ctx.claims(None, "title", "what")
    if not claims:
        claims = [_event_line(event) for event in ctx.events[:4]] or [no_event(ctx)]
    if ctx.event is not None and len(ctx.events) == 1:
        claims = quote([*claims, *ctx.claims(ctx.event.event_id, "when", "cause", "effect")])
    elif len(ctx.events) > 1:
        listed = [f"{event.event_id} {span(event.start_s, event.end_s)}" for event in ctx.events]
        text = f"{plural(len(listed), 'event')}: {join_words(shorten_list(listed))}"
        times = [event.start_s for event in ctx.events[:5]]
        claims = [*claims, say(text, role="when", evidence=(event.event_id for event in ctx.events), times=times)]
    return Draft(claims, supported=bool(ctx.events), focus=event_focus(ctx, ctx.event) if ctx.event else None)


def when(ctx: Context) -> Draft:
    """Gives start, end and peak of an event, or the span of the relation asked for."""
    if ctx.matches:
        first = min(ctx.matches, key=lambda item: item.start_s)
        more = sorted((item for item in ctx.matches if item is not first), key=lambda item: item.start_s)
        claims = [ctx.state(first, role="when"), *(ctx.state(item, role="when") for item in more[:3])]
        return Draft(claims, focus=focus_of(ctx, first))
    if ctx.event is None:
        return Draft([no_event(ctx)], supported=False)
    single = ctx.question.event_id or ctx.question.focus.event_id or ctx.window
    events = [ctx.event] if single else list(ctx.events)[:5]
    return Draft([_event_line(event) for event in events], focus=event_focus(ctx, ctx.event))


def length(ctx: Context) -> Draft:
    """Says how long an event or a relation lasted."""
    if ctx.matches:
        held = [item for item in ctx.matches if not is_momentary(item)] or list(ctx.matches)
        lasting = sorted(held, key=lambda item: item.start_s - item.end_s)[:3]
        claims = [
            say(
                ctx.describe(item, when=False),
                f"{'within' if is_momentary(item) else 'for'} {duration(item.end_s - item.start_s)},",
                span(item.start_s, item.end_s),
                role="when",
                evidence=(item.relation_id,),
                times=(item.start_s, item.end_s),
                confidence=item.confidence,
            )
            for item in lasting
        ]
        return Draft(claims, focus=focus_of(ctx, lasting[0]))
    if ctx.event is None:
        return Draft([no_event(ctx)], supported=False)
    event = ctx.event
    text = f"{event.event_id} lasts {duration(event.end_s - event.start_s)}, {span(event.start_s, event.end_s)}"
    claim = say(
        text, role="when", evidence=(event.event_id,), times=(event.start_s, event.end_s), confidence=event.score
    )
    return Draft([claim], focus=event_focus(ctx, event))


def why(ctx: Context) -> Draft:
    """Says why an event counts as abnormal: the account's reasons and the signals that raised its score."""
    event = ctx.event
    if event is None:
        return Draft([no_event(ctx)], supported=False)
    claims = ctx.claims(event.event_id, "why")
    return Draft([*claims, *_signals(event)], focus=event_focus(ctx, event))


def count_events(ctx: Context) -> Draft:
    """Counts the events and lists them."""
    if not ctx.events:
        return Draft([no_event(ctx)], supported=False)
    total = say(f"vau reports {plural(len(ctx.events), 'event')}", evidence=(event.event_id for event in ctx.events))
    return Draft([total, *(_event_line(event) for event in ctx.events[:6])])


def unusual(ctx: Context) -> Draft:
    """Says what stands out apart from what the last answer told."""
    told = ctx.question.focus.event_id
    others = [event for event in ctx.events if event.event_id != told]
    if ctx.window is not None:
        others = overlapping(others, *ctx.window)
    if others:
        lead = "apart from that," if told else ""
        listed = say(lead, f"vau reports {plural(len(others), 'event')}", evidence=(event.event_id for event in others))
        top = max(others, key=lambda event: event.score)
        return Draft([listed, *(_event_line(event) for event in others[:5])], focus=event_focus(ctx, top))
    rest = _highest(ctx, ctx.events)
    text = "nothing else was reported" if ctx.events else "no event was reported"
    if rest is None:
        return Draft([say(text, role="limit")], supported=False)
    time, score = rest
    place = "elsewhere" if ctx.events else "in the video"
    tail = f"; the highest anomaly score {place} is {score:.2f} of 1, at {clock(time)}"
    return Draft([say(text + tail, role="limit", times=(time,))], supported=False)


def compare(ctx: Context) -> Draft:
    """Sets the events side by side and names the highest scored and the longest."""
    if len(ctx.events) < 2:
        found = f"there is only one event, {ctx.events[0].event_id}" if ctx.events else "no event was reported"
        return Draft([say(f"{found}, so there is nothing to compare", role="limit")], supported=False)
    claims = []
    for event in ctx.events[:5]:
        account = ctx.account(event.event_id)
        level = f", threat level {account.threat_level} of 2" if account else ""
        text = f"{_title(ctx, event)}: {span(event.start_s, event.end_s)}, score {event.score:.2f}{level}"
        claims.append(say(text, evidence=(event.event_id,), times=(event.peak_s,), confidence=event.score))
    top = max(ctx.events, key=lambda event: (_level(ctx, event), event.score))
    longest = max(ctx.events, key=lambda event: event.end_s - event.start_s)
    text = (
        f"the gravest by threat level and score is {top.event_id}, "
        f"the longest {longest.event_id} with {duration(longest.end_s - longest.start_s)}"
    )
    claims.append(say(text, evidence=(top.event_id, longest.event_id), times=(top.peak_s,)))
    return Draft(claims, focus=event_focus(ctx, top))


def threat(ctx: Context) -> Draft:
    """Gives the threat level with what it rests on; whether to call for help is left to a person."""
    single = ctx.event if (ctx.question.event_id or ctx.window or ctx.matches or ctx.question.focus.event_id) else None
    if ctx.window is not None and single is None:
        return Draft([say(f"no event was reported {span(*ctx.window)}", role="limit")], supported=False)
    gravest = single or max(ctx.events, key=lambda event: (_level(ctx, event), event.score), default=None)
    account = ctx.account(gravest.event_id if gravest else None)
    level = account.threat_level if account else 0
    where = f"of {gravest.event_id}, {span(gravest.start_s, gravest.end_s)}," if gravest else "of the video"
    sure = account.confidence if account else LIKELY
    ids = (gravest.event_id,) if gravest else ()
    times = (gravest.peak_s,) if gravest else ()
    claims = [say(f"the threat level {where} is {_THREAT[level]}", evidence=ids, times=times, confidence=sure)]
    if gravest is not None:
        claims += ctx.claims(gravest.event_id, "title", "effect")[:3]
        claims.append(
            say(f"whether to call for help is for a person to decide: look at {clock(gravest.peak_s)}", role="limit")
        )
    else:
        claims.append(say("vau can miss things; if you see danger yourself, act on that", role="limit"))
    return Draft(claims, focus=event_focus(ctx, gravest) if gravest else None)


def sureness(ctx: Context) -> Draft:
    """Says how sure the account is, what is least sure in it, and what it cannot tell."""
    if ctx.question.concept is not None and ctx.matches:
        first = ctx.matches[0]
        sure = f"vau is {certainty(first.confidence)} of it, confidence {first.confidence:.2f} of 1"
        text = f"{ctx.describe(first, hedged=False)}: {sure}"
        claim = say(text, evidence=(first.relation_id,), times=(first.start_s,), confidence=first.confidence)
        return Draft([claim], focus=focus_of(ctx, first))
    event = ctx.event
    account = ctx.account(event.event_id if event else None) or ctx.account(None)
    if account is None:
        return Draft([say("the report states no confidence", role="limit")], supported=False)
    name = event.event_id if event else "the whole video"
    claims = [
        say(
            f"vau is {certainty(account.confidence)} of its account of {name}:",
            f"confidence {account.confidence:.2f} of 1",
            evidence=(event.event_id,) if event else (),
            times=(event.peak_s,) if event else (),
            confidence=account.confidence,
        )
    ]
    told = [claim for claim in account.claims if claim.supported and claim.role not in ("title", "limit")]
    weakest = min(told, key=lambda claim: claim.confidence, default=None)
    if weakest is not None and weakest.confidence < account.confidence:
        text = f"least sure ({weakest.confidence:.2f}) is this: {clean(weakest.text, 300)}"
        claims.append(say(text, evidence=weakest.evidence, times=weakest.times_s, confidence=weakest.confidence))
    claims += quote(claim for claim in account.claims if claim.role == "limit")[:2]
    return Draft(claims, focus=event_focus(ctx, event) if event else None)


def show(ctx: Context) -> Draft:
    """Returns times and keyframes of what is asked for."""
    ids: tuple[str, ...] = ()
    if ctx.matches:
        first = ctx.matches[0]
        frames = ctx.frames_near(np.linspace(first.start_s, first.end_s, 3).tolist())
        times: tuple[float, ...] = (first.start_s, first.end_s)
        head, focus, ids = ctx.describe(first), focus_of(ctx, first), (first.relation_id,)
    elif ctx.window is not None:
        inside = [f for f in ctx.report.keyframes if ctx.window[0] <= f.time_s <= ctx.window[1]]
        frames = tuple(frame.keyframe_id for frame in inside) or ctx.frames_near(ctx.window, 3.0)
        times, head, focus = ctx.window, f"look {span(*ctx.window)}", Focus(span=ctx.window)
    elif ctx.event is not None:
        frames, times = ctx.frames_of(ctx.event.event_id), (ctx.event.start_s, ctx.event.peak_s, ctx.event.end_s)
        bounds = span(ctx.event.start_s, ctx.event.end_s)
        head = f"{_title(ctx, ctx.event)}: {bounds}, strongest at {clock(ctx.event.peak_s)}"
        focus, ids = event_focus(ctx, ctx.event), (ctx.event.event_id,)
    else:
        return Draft([no_event(ctx)], supported=False)
    at = {frame.keyframe_id: frame for frame in ctx.report.keyframes}
    shown = [f"{clean(frame, 20)} at {clock(at[frame].time_s)} ({at[frame].phase})" for frame in frames[:8]]
    tail = f"keyframes: {', '.join(shown)}" if shown else "there is no keyframe near it"
    claims = [
        say(head, role="when", evidence=ids, times=times),
        say(tail, times=(at[frame].time_s for frame in frames[:8])),
    ]
    return Draft(claims, focus=focus, keyframe_ids=tuple(frames[:8]))


def no_event(ctx: Context) -> Claim:
    """Says that no event was reported, with the highest score there was."""
    where = f" {span(*ctx.window)}" if ctx.window else ""
    rest = _highest(ctx, ())
    tail = f"; the highest anomaly score in the video is {rest[1]:.2f} of 1, at {clock(rest[0])}" if rest else ""
    return say(f"no event was reported{where}{tail}", role="limit", times=(rest[0],) if rest else ())


def event_focus(ctx: Context, event: Event) -> Focus:
    """Returns an event as the subject of the next question."""
    return Focus(event.event_id, (event.start_s, event.end_s), (), ctx.question.concept)


def _event_line(event: Event) -> Claim:
    text = f"{event.event_id} runs {span(event.start_s, event.end_s)}, strongest at {clock(event.peak_s)}"
    times = (event.start_s, event.peak_s, event.end_s)
    return say(text, role="when", evidence=(event.event_id,), times=times, confidence=event.score)


def _signals(event: Event) -> list[Claim]:
    strong = [(clean(name, 60), value) for name, value in event.signals[:3] if value >= 0.05]
    if not strong:
        return []
    listed = join_words([f"{name} ({value:.2f})" for name, value in strong])
    text = f"its score of {event.score:.2f} comes mostly from {listed}"
    ids = (event.event_id, *(f"S:{name}" for name, _ in strong))
    return [say(text, role="why", evidence=ids, times=(event.peak_s,), confidence=event.score)]


def _title(ctx: Context, event: Event) -> str:
    titles = ctx.claims(event.event_id, "title")
    return f"{event.event_id}, {titles[0].text.rstrip('.')}" if titles else event.event_id


def _level(ctx: Context, event: Event) -> int:
    account = ctx.account(event.event_id)
    return account.threat_level if account else 0


def _highest(ctx: Context, outside: tuple[Event, ...]) -> tuple[float, float] | None:
    """Returns time and value of the highest score outside some events, in the question's time; None for no sample."""
    track = ctx.report.scores
    keep = np.ones(len(track), bool)
    for event in outside:
        keep &= (track.times_s < event.start_s) | (track.times_s > event.end_s)
    if ctx.window is not None:
        keep &= (track.times_s >= ctx.window[0]) & (track.times_s <= ctx.window[1])
    if not keep.any():
        return None
    row = int(np.argmax(np.where(keep, track.scores, -1.0)))
    return float(track.times_s[row]), float(track.scores[row])
