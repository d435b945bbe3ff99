"""What the page shows, as plain data for the template: every text cleaned, every time and confidence in words.

Knows nothing of HTML; the template escapes. One function a part of the page.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from vau.report import graph, narrated, overlay, timeline
from vau.report.evidence import Evidence
from vau.report.text import ROLE_TITLES, THREATS, actor, certainty, clean, clock, measure, percent, span
from vau.types import Account, Claim, Event, Report

ACTOR_COLOURS = 7
MAX_ROWS = 200
MAX_LIVE_ROWS = 20_000  # boxes of tracks that are drawn over a playing video
PHASES = {"pre": "before", "during": "during", "post": "after"}
ADVICE = ("nothing stands out", "worth a look", "act on it")


def build(report: Report, video_href: str | None, licences: Mapping[str, str]) -> dict[str, Any]:
    """Returns all that the template needs.

    Args:
        report: the report.
        video_href: checked relative address of the video file, or None.
        licences: licence by model name.
    """
    duration = max(report.video.duration_s, float(report.scores.times_s[-1]) if len(report.scores) else 0.0, 0.1)
    colours = colours_of(report)
    evidence = Evidence(report)
    curve = timeline.curve(report.scores, duration)
    events = [_event(report, event, number, evidence) for number, event in enumerate(report.events)]
    keyframes = _keyframes(report, colours)
    peak = float(curve.times_s[curve.scores.argmax()]) if len(curve.times_s) else 0.0
    told = report.narration
    first = max(report.events, key=lambda event: (_level(report, event), event.score), default=None)
    return {
        "verdict": _verdict(report, evidence),
        "video": _video(report),
        "video_href": video_href,
        "notes": [clean(note, 500) for note in report.notes] + _own_notes(report) + narrated.notices(told),
        "events": events,
        "whole_told": None if told is None else narrated.block(told.event(None), evidence),
        "narration": narrated.technical(told),
        "axis": _axis(report, curve, duration),
        "keyframes": keyframes,
        "strip": _strip(keyframes, events),
        "graph": _graph(report, colours),
        "tracks": _tracks(report, colours),
        "hidden_tracks": max(len(report.tracks) - MAX_ROWS, 0),
        "relations": [
            {**evidence.relation(item), "measures": [measure(part) for part in item.measures]}
            for item in sorted(report.relations, key=lambda item: (item.start_s, item.relation_id))[:MAX_ROWS]
        ],
        "hidden_relations": max(len(report.relations) - MAX_ROWS, 0),
        "technical": _technical(report, licences),
        "data": _data(report, curve, duration, keyframes, events, video_href, colours, first.peak_s if first else peak),
    }


def colours_of(report: Report) -> dict[int, int]:
    """Returns a colour index for each track: actors of relations first, so that they differ from each other."""
    actors = [actor for item in report.relations for actor in (item.subject, item.object) if actor is not None]
    ids = dict.fromkeys([*actors, *(track.track_id for track in report.tracks)])
    return {track_id: index % ACTOR_COLOURS for index, track_id in enumerate(ids)}


def _level(report: Report, event: Event) -> int:
    return next((item.threat_level for item in report.accounts if item.event_id == event.event_id), 1)


def _verdict(report: Report, evidence: Evidence) -> dict[str, Any]:
    whole = next((item for item in report.accounts if item.event_id is None), None)
    levels = [_level(report, event) for event in report.events]
    level = max([*levels, whole.threat_level if whole else 0])
    count = len(report.events)
    headline = clean(whole.title, 300) if whole else ""
    top = float(report.scores.scores.max()) if len(report.scores) else 0.0
    when = clock(float(report.scores.times_s[report.scores.scores.argmax()])) if len(report.scores) else "–"
    return {
        "level": level,
        "word": THREATS[level],
        "advice": ADVICE[level],
        "headline": headline
        or ("No abnormal event found" if not count else f"{count} abnormal event{'s'[: count > 1]} found"),
        "doubted": _doubted(whole),
        "summary": [_claim(claim, evidence) for claim in whole.claims if claim.role == "what"] if whole else [],
        "rest": _roles(whole, evidence, skip=("what",)) if whole else [],
        "certainty": certainty(whole.confidence) if whole else "",
        "confidence": f"{whole.confidence:.2f}" if whole else "",
        "facts": [
            ("Events", str(count) if count else "none"),
            ("Highest score", f"{top:.2f} at {when}"),
            ("Tracks", _count_labels(report)),
            ("Watched", clock(report.video.duration_s)),
        ],
    }


def _count_labels(report: Report) -> str:
    counts: dict[str, int] = {}
    for track in report.tracks:
        label = clean(track.label, 24)
        counts[label] = counts.get(label, 0) + 1
    named = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:3]
    return ", ".join(f"{count} × {label}" for label, count in named) or "no one"


def _video(report: Report) -> dict[str, Any]:
    video = report.video
    name = clean(video.source.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1], 160) or "unnamed video"
    rate = f"{video.nominal_fps:.3g} frames/s" + (" (variable)" if video.variable_rate else "")
    return {
        "name": name,
        "meta": [clock(video.duration_s), f"{video.width} × {video.height}", rate, clean(video.codec, 24)],
        "ratio": round(video.width / video.height, 4),
        "width": video.width,
        "height": video.height,
        "sha256": clean(video.sha256, 64),
    }


def _own_notes(report: Report) -> list[str]:
    if report.video.truncated and not any("truncated" in note.lower() for note in report.notes):
        return ["Truncated file: the video ends before its declared end; only what could be decoded was analysed."]
    return []


def _claim(claim: Claim, evidence: Evidence) -> dict[str, Any]:
    return {
        "text": clean(claim.text, 1200),
        "times": [{"s": round(time, 3), "text": clock(time)} for time in claim.times_s[:6]],
        "certainty": certainty(claim.confidence),
        "confidence": f"{claim.confidence:.2f}",
        "supported": claim.supported,
        "evidence": evidence.items(claim.evidence),
    }


def _roles(account: Account, evidence: Evidence, skip: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    result = []
    for role, title in ROLE_TITLES:
        claims = [_claim(claim, evidence) for claim in account.claims if claim.role == role and role not in skip]
        if claims:
            result.append({"role": role, "title": title, "claims": claims})
    return result


def _event(report: Report, event: Event, number: int, evidence: Evidence) -> dict[str, Any]:
    account = next((item for item in report.accounts if item.event_id == event.event_id), None)
    label = clean(event.label or "", 80)
    title = clean(account.title, 200) if account else ""
    level = _level(report, event)
    top = max((mean for _, mean in event.signals), default=0.0)
    return {
        "number": number,
        "id": clean(event.event_id, 24),
        "title": title or label or "Unusual moment",
        "doubted": _doubted(account),
        "label": label,
        "level": level,
        "word": THREATS[level],
        "span": span(event.start_s, event.end_s),
        "start": round(event.start_s, 3),
        "end": round(event.end_s, 3),
        "peak": round(event.peak_s, 3),
        "peak_text": clock(event.peak_s),
        "score": f"{event.score:.2f}",
        "certainty": certainty(account.confidence) if account else "",
        "confidence": f"{account.confidence:.2f}" if account else "",
        "roles": _roles(account, evidence) if account else [],
        "signals": [
            {"name": clean(name, 60), "value": f"{mean:.2f}", "width": round(100 * mean / top, 1) if top > 0 else 0}
            for name, mean in event.signals[:6]
        ],
        "lead": _lead(report, event),
        "told": None if report.narration is None else narrated.block(report.narration.event(event.event_id), evidence),
    }


def _doubted(account: Account | None) -> bool:
    return account is not None and any(claim.role == "title" and not claim.supported for claim in account.claims)


def _lead(report: Report, event: Event) -> int | None:
    """Returns the index of the keyframe that shows the event best: the one nearest to its peak."""
    own = [
        (abs(keyframe.time_s - event.peak_s), index)
        for index, keyframe in enumerate(report.keyframes)
        if keyframe.event_id == event.event_id and keyframe.jpeg
    ]
    return min(own)[1] if own else None


def _keyframes(report: Report, colours: Mapping[int, int]) -> list[dict[str, Any]]:
    size = (report.video.width, report.video.height)
    result = []
    for index, keyframe in enumerate(report.keyframes):
        if not keyframe.jpeg.startswith(b"\xff\xd8\xff"):
            continue
        marks = overlay.overlay(keyframe.time_s, report.tracks, report.relations, colours, size)
        result.append(
            {
                "index": index,
                "id": clean(keyframe.keyframe_id, 24),
                "event": keyframe.event_id,
                "event_name": clean(keyframe.event_id, 24),
                "phase": keyframe.phase,
                "phase_word": PHASES[keyframe.phase],
                "time": round(keyframe.time_s, 3),
                "clock": clock(keyframe.time_s),
                "src": "data:image/jpeg;base64," + base64.b64encode(keyframe.jpeg).decode("ascii"),
                "marks": marks,
            }
        )
    return result


def _strip(keyframes: list[dict[str, Any]], events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for keyframe in keyframes:
        groups.setdefault(keyframe["event"], []).append(keyframe)
    known = {event["id"]: event for event in events}
    return [
        {"event": known.get(clean(event, 24)), "name": clean(event, 24), "items": items}
        for event, items in groups.items()
    ]


def _axis(report: Report, curve: timeline.Curve, duration: float) -> dict[str, Any]:
    bands = timeline.bands(report.events, duration)
    numbers = {event.event_id: index for index, event in enumerate(report.events)}
    totals = curve.shares.sum(axis=0) if len(curve.times_s) else [0.0] * len(curve.names)
    whole = float(sum(totals)) or 1.0
    return {
        "duration": round(duration, 3),
        "areas": curve.areas,
        "outline": curve.outline,
        "names": [clean(name, 60) for name in curve.names],
        "shares": [percent(float(total) / whole) for total in totals],
        "ticks": timeline.ticks(duration),
        "boundaries": timeline.boundaries(report.segments, duration),
        "bands": [
            {"left": band.left, "width": band.width, "row": band.row, "event": numbers[band.event_id]} for band in bands
        ],
        "rows": max((band.row for band in bands), default=-1) + 1,
        "marks": [
            {"index": index, "left": timeline.percent(item.time_s, duration), "phase": item.phase}
            for index, item in enumerate(report.keyframes)
            if item.jpeg
        ],
    }


def _graph(report: Report, colours: Mapping[int, int]) -> graph.Figure | None:
    actors: dict[str, int | None] = {item.relation_id: item.subject for item in report.relations}
    actors |= {change.change_id: actors.get(change.relation_id) for change in report.changes}
    names = {track.track_id: clean(track.name, 16) for track in report.tracks}
    return graph.layout(report.graph.graph, actors, names, colours)


def _tracks(report: Report, colours: Mapping[int, int]) -> list[dict[str, Any]]:
    counts: dict[int, int] = {}
    for item in report.relations:
        for track_id in {item.subject, item.object}:
            if track_id is not None:
                counts[track_id] = counts.get(track_id, 0) + 1
    order = sorted(report.tracks, key=lambda track: (-counts.get(track.track_id, 0), track.start_s, track.track_id))
    return [
        {
            "name": clean(track.name, 60),
            "colour": colours[track.track_id],
            "start": round(track.start_s, 3),
            "span": span(track.start_s, track.end_s),
            "seen": percent(float(track.detected.mean())),
            "certainty": certainty(track.confidence),
            "confidence": f"{track.confidence:.2f}",
            "relations": counts.get(track.track_id, 0),
        }
        for track in order[:MAX_ROWS]
    ]


def _technical(report: Report, licences: Mapping[str, str]) -> dict[str, Any]:
    total = sum(seconds for _, seconds in report.timings_s)
    ratio = report.video.duration_s / total if total > 0 else 0.0
    return {
        "models": [
            {"name": clean(name, 120), "licence": clean(licences.get(name, "not stated"), 120)}
            for name in report.models
        ],
        "versions": [(clean(name, 60), clean(version, 60)) for name, version in report.versions],
        "config": clean(report.config_digest, 64),
        "scorer": clean(report.scores.scorer, 120),
        "sampled": len(report.scores),
        "segments": len(report.segments),
        "container": clean(report.video.container, 60),
        "timings": [
            (clean(stage, 60), f"{seconds:.2f} s", round(100 * seconds / total, 1) if total > 0 else 0)
            for stage, seconds in report.timings_s
        ],
        "total": f"{total:.1f} s",
        "speed": f"{ratio:.1f} times" if ratio else "",
    }


def _data(
    report: Report,
    curve: timeline.Curve,
    duration: float,
    keyframes: list[dict[str, Any]],
    events: list[dict[str, Any]],
    video_href: str | None,
    colours: Mapping[int, int],
    start: float,
) -> dict[str, Any]:
    """Returns what the page's script needs; it only ever becomes text, never markup."""
    tracks = {track.track_id: track for track in report.tracks}
    return {
        "duration": round(duration, 3),
        "start": round(start, 3),
        "times": [round(float(time), 3) for time in curve.times_s],
        "scores": [round(float(score), 3) for score in curve.scores],
        "shares": [[round(float(value), 3) for value in row] for row in curve.shares],
        "names": [clean(name, 60) for name in curve.names],
        "keyframes": [{key: item[key] for key in ("index", "id", "time", "phase", "event_name")} for item in keyframes],
        "events": [{key: item[key] for key in ("id", "start", "end", "peak", "title")} for item in events],
        "relations": [
            {
                "start": round(item.start_s, 3),
                "end": round(item.end_s, 3),
                "text": f"{actor(item.subject, tracks)} {clean(item.predicate, 60)}"
                + (f" {actor(item.object, tracks)}" if item.object is not None else ""),
                "sure": certainty(item.confidence),
                "pair": [item.subject, item.object],
            }
            for item in report.relations[:MAX_ROWS]
        ],
        "tracks": _live_tracks(report, colours) if video_href else [],
    }


def _live_tracks(report: Report, colours: Mapping[int, int]) -> list[dict[str, Any]]:
    result, rows = [], 0
    for track in sorted(report.tracks, key=lambda track: -track.confidence):
        rows += len(track.times_s)
        if rows > MAX_LIVE_ROWS:
            break
        result.append(
            {
                "id": track.track_id,
                "name": clean(track.name, 28),
                "colour": colours[track.track_id],
                "times": [round(float(time), 2) for time in track.times_s],
                "boxes": [[round(float(value)) for value in box] for box in track.boxes],
            }
        )
    return result
