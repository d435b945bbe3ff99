"""Answers about single tracks: where in the picture, what is known of one, how fast it moved."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from vau.reasoning.answers.base import Context, Draft, say, telling
from vau.reasoning.answers.checks import focus_of
from vau.reasoning.answers.events import no_event
from vau.reasoning.answers.things import actors_of, tracks_in_view
from vau.reasoning.language import LIKELY, SURE, clock, span
from vau.reasoning.questions import Focus
from vau.relations.vocabulary import PREDICATES
from vau.types import Claim, Relation, Track

_COLUMNS = ("left", "centre", "right")
_ROWS = ("upper", "middle", "lower")


def where(ctx: Context) -> Draft:
    """Says in which part of the picture it was."""
    labels = {label for kind in ctx.question.kinds if kind.name != "person" for label in kind.labels}
    if ctx.matches:
        bounds, ids = (ctx.matches[0].start_s, ctx.matches[0].end_s), actors_of(ctx.matches[:1])
        focus = focus_of(ctx, ctx.matches[0])
    elif ctx.question.track_ids or labels:
        bounds = ctx.window or (0.0, ctx.report.video.duration_s)
        ids = ctx.question.track_ids or tuple(track.track_id for track in tracks_in_view(ctx, labels))
        focus = Focus(track_ids=ids if len(ids) == 1 else ())
    elif ctx.event is not None:
        event = ctx.event
        told = ctx.claims(event.event_id, "where")
        focus, bounds = Focus(event.event_id, (event.start_s, event.end_s)), (event.start_s, event.end_s)
        if told:
            return Draft(told, focus=focus)
        ids = actors_of(telling([r for r in ctx.report.relations if r.start_s <= bounds[1] and r.end_s >= bounds[0]]))
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
    ids = ctx.track_ids or tuple(
        track.track_id for track in sorted(tracks_in_view(ctx, None), key=lambda t: -t.confidence)[:1]
    )
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
        ids = tuple(track.track_id for track in tracks_in_view(ctx, None))
    rated = [(track, *_speeds(track, ctx.window)) for track in (ctx.track(item) for item in ids) if track]
    rated = sorted((item for item in rated if item[2] > 0 or item[1] > 0), key=lambda item: -item[2])[:3]
    if not rated:
        return Draft([say("no speed was measured: nothing moving was tracked there", role="limit")], supported=False)
    claims = []
    for track, mean, top, time in rated:
        unit = "body heights a second" if track.label == "person" else "of its own lengths a second"
        most = f"{top:.1f} at the most, at {clock(time)}"
        text = f"{ctx.name(track.track_id)} moved at {mean:.1f} {unit} on average and {most}"
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


def _subjects(relations: Iterable[Relation]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(item.subject for item in relations if item.subject is not None))
