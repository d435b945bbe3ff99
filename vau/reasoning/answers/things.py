"""Answers about who and what is in the picture: counts, presence, actors, places, single tracks, speeds."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from vau.reasoning.answers.base import Context, Draft, say, telling
from vau.reasoning.answers.checks import MISSED, focus_of, relation_evidence
from vau.reasoning.answers.events import no_event
from vau.reasoning.language import LIKELY, SURE, clean, clock, join_words, plural, shorten_list, span
from vau.reasoning.lexicon import ObjectKind
from vau.reasoning.questions import Focus
from vau.relations.vocabulary import PREDICATES
from vau.types import Claim, Relation, Track

# Predicates in which the subject does something to the object, so that "who did it" has an answer.
_DIRECTED = ("hit", "chasing", "following", "approaching")
_COLUMNS = ("left", "centre", "right")
_ROWS = ("upper", "middle", "lower")


def count(ctx: Context) -> Draft:
    """Counts tracks of a kind, at most at once and in all; or who took part in a relation."""
    if ctx.question.concept is not None and ctx.matches:
        ids = _actors(ctx.matches, ctx.matches[0].predicate)
        text = (
            f"{plural(len(ids), 'tracked one')} took part: {ctx.names(ids)}"
            if ids
            else "nobody who took part was tracked"
        )
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
    found = sorted(_seen(ctx, labels if labels or not anything else None), key=lambda track: -track.confidence)
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
    what = join_words([kind.name for kind in kinds], "or") or "this"
    tail = (
        f"; tracked in the video: {join_words(shorten_list(seen, 8))}" if seen else "; nothing was tracked in the video"
    )
    return Draft(
        [say(f"the evidence does not show {what}", at, tail, role="limit"), say(MISSED, role="limit")], supported=False
    )


def who(ctx: Context) -> Draft:
    """Names the tracks that take part in an event or a relation."""
    if ctx.question.concept is not None and ctx.matches:
        return actor(ctx)
    event = ctx.event
    if event is None and ctx.window is None:
        tracks = sorted(_seen(ctx, None), key=lambda track: -track.confidence)
        return Draft([_listing(ctx, tracks), no_event(ctx)] if tracks else [no_event(ctx)], supported=bool(tracks))
    claims = ctx.claims(event.event_id, "who") if event else []
    bounds = (event.start_s, event.end_s) if event else ctx.window or (0.0, 0.0)
    relations = telling([r for r in ctx.report.relations if r.start_s <= bounds[1] and r.end_s >= bounds[0]])
    ids = _actors(relations)
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
    if first.object is not None and not any(item.predicate in _DIRECTED for item in relations):
        earlier = [
            item for item in ctx.report.relations
            if item.predicate in _DIRECTED and {item.subject, item.object} == {first.subject, first.object} and item.start_s <= first.start_s
        ]  # fmt: skip
        claims.append(say("the evidence does not show who of them began", role="limit"))
        claims += [ctx.state(item, "before it,") for item in earlier[:1]]
    return Draft(claims, focus=focus_of(ctx, first))


def where(ctx: Context) -> Draft:
    """Says in which part of the picture it was."""
    if ctx.matches:
        bounds, ids = (ctx.matches[0].start_s, ctx.matches[0].end_s), _actors(ctx.matches[:1])
        focus = focus_of(ctx, ctx.matches[0])
    elif ctx.question.track_ids:
        bounds, ids, focus = (
            ctx.window or (0.0, ctx.report.video.duration_s),
            ctx.question.track_ids,
            Focus(track_ids=ctx.question.track_ids),
        )
    elif ctx.event is not None:
        event = ctx.event
        told = ctx.claims(event.event_id, "where")
        focus, bounds = Focus(event.event_id, (event.start_s, event.end_s)), (event.start_s, event.end_s)
        if told:
            return Draft(told, focus=focus)
        ids = _actors(telling([r for r in ctx.report.relations if r.start_s <= bounds[1] and r.end_s >= bounds[0]]))
    else:
        return Draft([no_event(ctx)], supported=False)
    claims = []
    for track in (ctx.track(item) for item in ids[:4]):
        region = region_of(track, bounds, ctx.report.video.width, ctx.report.video.height) if track else None
        if track and region:
            text = f"{ctx.name(track.track_id)} was {region}"
            claims.append(
                say(
                    text,
                    role="where",
                    evidence=(f"T{track.track_id}",),
                    times=(max(bounds[0], track.start_s),),
                    confidence=track.confidence,
                )
            )
    if not claims:
        return Draft(
            [say("the evidence does not tie this to a place in the picture: nobody in it was tracked", role="limit")],
            supported=False,
            focus=focus,
        )
    return Draft(claims, focus=focus)


def track_story(ctx: Context) -> Draft:
    """Tells what is known of one track, or of each of a few."""
    ids = ctx.track_ids or tuple(track.track_id for track in sorted(_seen(ctx, None), key=lambda t: -t.confidence)[:1])
    claims = [claim for item in ids[:3] for claim in _tell_track(ctx, item, 4 if len(ids) == 1 else 2)]
    if not claims:
        return Draft([say("nothing was tracked in this video", role="limit")], supported=False)
    return Draft(claims, focus=Focus(track_ids=ids[:1] if len(ids) == 1 else ids))


def speed(ctx: Context) -> Draft:
    """Gives mean and top speed of a track in its own lengths a second."""
    ids = ctx.track_ids or _subjects(ctx.matches) or _subjects(ctx.find(("running", "chasing")))
    labels = {label for kind in ctx.question.kinds for label in kind.labels}
    if not ids and labels:
        ids = tuple(track.track_id for track in ctx.report.tracks if track.label in labels)
    if not ids:
        ids = tuple(track.track_id for track in _seen(ctx, None))
    rated = [(track, *_speeds(track, ctx.window)) for track in (ctx.track(item) for item in ids) if track]
    rated = sorted((item for item in rated if item[2] > 0 or item[1] > 0), key=lambda item: -item[2])[:3]
    if not rated:
        return Draft([say("no speed was measured: nothing moving was tracked there", role="limit")], supported=False)
    claims = []
    for track, mean, top, time in rated:
        unit = "body heights a second" if track.label == "person" else "of its own lengths a second"
        text = f"{ctx.name(track.track_id)} moved at {mean:.1f} {unit} on average and {top:.1f} at the most, at {clock(time)}"
        claims.append(say(text, evidence=(f"T{track.track_id}",), times=(time,), confidence=track.confidence))
    claims.append(say("vau gives no km/h or mph, since the camera's view is not calibrated", role="limit"))
    return Draft(claims, focus=Focus(track_ids=tuple(track.track_id for track, *_ in rated[:1])))


def region_of(track: Track, bounds: tuple[float, float], width: int, height: int) -> str | None:
    """Returns the part of the picture in which a track is during a span, of nine; None where it has no row there."""
    inside = (track.times_s >= bounds[0]) & (track.times_s <= bounds[1])
    if not inside.any():
        return None
    boxes = track.boxes[inside]
    x = float(np.median(boxes[:, [0, 2]].mean(1))) / width
    y = float(np.median(boxes[:, [1, 3]].mean(1))) / height
    column, row = _COLUMNS[min(max(int(x * 3), 0), 2)], _ROWS[min(max(int(y * 3), 0), 2)]
    if row == "middle":
        return "in the centre of the picture" if column == "centre" else f"on the {column} of the picture, halfway up"
    return f"in the {row} {'middle' if column == 'centre' else column} part of the picture"


_PEOPLE = ObjectKind("person", ("person",))
_VEHICLES = ObjectKind("vehicle", ("car", "truck", "bus", "motorcycle", "bicycle", "train", "boat", "airplane"))


def _seen(ctx: Context, labels: set[str] | None) -> list[Track]:
    """Returns the tracks of some labels, or of any for None, that are in view in the question's time."""
    start, end = ctx.window or (0.0, float("inf"))
    tracks = [track for track in ctx.report.tracks if track.start_s <= end and track.end_s >= start]
    return [track for track in tracks if labels is None or track.label in labels]


def _count_kind(ctx: Context, kind: ObjectKind) -> list[Claim]:
    tracks = _seen(ctx, set(kind.labels))
    sure = [track for track in tracks if track.confidence >= LIKELY]
    at = span(*ctx.window) if ctx.window else ""
    if not tracks:
        return [say(f"no {kind.name} was tracked", at, role="who", confidence=LIKELY)]
    most, time = _most_at_once(sure, ctx.window)
    text = f"vau tracked {plural(len(sure), kind.name)}"
    if len(sure) > 1:
        text += f" {at}" if at else " in all"
        text += f", at most {plural(most, kind.name)} at once, at {clock(time)}"
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


def _actors(relations: Iterable[Relation], predicate: str | None = None) -> tuple[int, ...]:
    ids = [i for r in relations if predicate in (None, r.predicate) for i in (r.subject, r.object) if i is not None]
    return tuple(dict.fromkeys(ids))


def _subjects(relations: Iterable[Relation]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(item.subject for item in relations if item.subject is not None))


def _listing(ctx: Context, tracks: list[Track]) -> Claim:
    names = ctx.names(track.track_id for track in tracks)
    ids = (f"T{track.track_id}" for track in tracks[:5])
    return say(
        f"in view: {names}", role="who", evidence=ids, times=(tracks[0].start_s,), confidence=tracks[0].confidence
    )


def _tell_track(ctx: Context, track_id: int, most: int) -> list[Claim]:
    track = ctx.track(track_id)
    if track is None:
        return []
    size = ctx.report.video.width, ctx.report.video.height
    start, end = ctx.window or (track.start_s, track.end_s)
    first = region_of(track, (track.start_s, track.start_s + 1.0), *size)
    last = region_of(track, (track.end_s - 1.0, track.end_s), *size)
    path = f"first {first}, last {last}" if first != last else f"{first} at both ends"
    sure = "" if track.confidence >= SURE else "probably " if track.confidence >= LIKELY else "possibly "
    text = f"{ctx.name(track_id)} is {sure}in view {span(track.start_s, track.end_s)}, {path}"
    claims = [
        say(
            text,
            role="who",
            evidence=(f"T{track_id}",),
            times=(track.start_s, track.end_s),
            confidence=track.confidence,
        )
    ]
    own = [
        r for r in ctx.report.relations if track_id in (r.subject, r.object) and r.start_s <= end and r.end_s >= start
    ]
    claims += [ctx.state(item) for item in telling(own, most) if item.predicate in PREDICATES]
    if len(claims) == 1:
        claims.append(say("no relation to anyone or anything was measured for it", role="limit"))
    return claims


def _speeds(track: Track, window: tuple[float, float] | None) -> tuple[float, float, float]:
    """Returns mean, top (95th percentile) and the time of the top speed, over rows where the track was detected."""
    rows = track.detected.copy()
    if window is not None:
        rows &= (track.times_s >= window[0]) & (track.times_s <= window[1])
    if not rows.any():
        return 0.0, 0.0, track.start_s
    values = np.hypot(track.flow[rows, 0], track.flow[rows, 1])
    top = float(np.quantile(values, 0.95))
    return float(values.mean()), top, float(track.times_s[rows][int(np.argmin(np.abs(values - top)))])
