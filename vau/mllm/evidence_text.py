"""What of a report goes into a prompt as text: events, tracks, timed relation triplets, the shape of the curve.

The lines are for a language model to cite by id. Nothing here is told as a story and no account is handed on, so that a
model does not repeat the narrator. Labels out of a saved report are foreign and cleaned. The choice of lines is ours;
for the curve as a picture see `vau.mllm.curve`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vau.reasoning.claimcheck import ClaimCheck
from vau.reasoning.evidence import severity
from vau.reasoning.language import clean, clock
from vau.relations.vocabulary import PREDICATES
from vau.types import Event, Keyframe, Relation, Report, ScoreTrack, Track

MAX_RELATIONS = 40
MAX_TRACKS = 40
MAX_EVENTS = 20
BEFORE_S = 20.0  # relations that end earlier before an event, or begin later after it, are left out
_BUCKETS = 24  # of the curve's summary
_LEVELS = "0123456789"


def evidence_text(
    report: Report, event_id: str | None = None, *, scores: bool = True, max_relations: int = MAX_RELATIONS
) -> str:
    """Returns events, tracks and relations, one a line.

    Args:
        report: the analysed video.
        event_id: only what lies around this event; None for the whole video.
        scores: name the events and their scores; leave them out where a model shall judge by itself.
        max_relations: gravest and surest kept, in order of time.

    Raises:
        KeyError: the report has no such event.
    """
    event = _event(report, event_id)
    relations = [item for item in report.relations if event is None or _around(item.start_s, item.end_s, event)]
    kept = sorted(relations, key=lambda item: (-(severity(item) + 0.1) * item.confidence, item.start_s))[:max_relations]
    kept.sort(key=lambda item: (item.start_s, item.relation_id))
    named = {who for item in kept for who in (item.subject, item.object)}
    tracks = [item for item in report.tracks if event is None or _around(item.start_s, item.end_s, event)]
    tracks.sort(key=lambda item: (item.track_id not in named, -item.confidence, item.track_id))
    left = len(relations) - len(kept)
    lines = [f"The video lasts {report.video.duration_s:.2f} s."]
    if scores:
        shown = list(report.events)[:MAX_EVENTS] if event is None else [event]
        lines += ["", "Events found by the anomaly score:", *([_event_line(item) for item in shown] or ["none"])]
    lines += ["", "Tracks (an object may carry several in turn):"]
    lines += [track_line(item) for item in sorted(tracks[:MAX_TRACKS], key=lambda item: item.track_id)] or ["none"]
    lines += ["", "Relations measured between tracks (id: subject, predicate, object; times; confidence):"]
    names = {item.track_id: _name(item) for item in report.tracks}
    lines += [relation_line(item, names, event) for item in kept] or ["none"]
    if left:
        lines.append(f"({left} less telling ones left out)")
    return "\n".join(lines)


def relation_line(item: Relation, names: dict[int, str], event: Event | None = None) -> str:
    """Returns ``R4: person 1 | struck | person 2; 10.50 to 11.00 s (0:10.5 to 0:11); confidence 0.58; during E1``."""
    known = PREDICATES.get(item.predicate.removesuffix(" with"))
    predicate = known.past if known else clean(item.predicate, 40)
    who = names.get(item.subject, "something") if item.subject is not None else "something"
    parts = [who, predicate] + ([names.get(item.object, "something")] if item.object is not None else [])
    line = f"{clean(item.relation_id, 8)}: {' | '.join(parts)}; {_span(item.start_s, item.end_s)}"
    line += f"; confidence {item.confidence:.2f}"
    if event is not None:
        line += f"; {_phase(item.start_s, item.end_s, event)} {clean(event.event_id, 8)}"
    measures = ", ".join(clean(str(measure), 60) for measure in item.measures[:3])
    return f"{line}; {measures}" if measures else line


def track_line(item: Track) -> str:
    """Returns ``T3: person 3; 2.00 to 23.50 s (...); confidence 0.90``."""
    return f"T{item.track_id}: {_name(item)}; {_span(item.start_s, item.end_s)}; confidence {item.confidence:.2f}"


def curve_text(scores: ScoreTrack, events: Sequence[Event]) -> str:
    """Returns a summary of the score curve: its level, spans, peaks with named signals, and its shape in 24 buckets."""
    if not len(scores):
        return "There is no score."
    values, times = scores.scores, scores.times_s
    top = int(values.argmax())
    lines = [
        f"Scorer {clean(scores.scorer, 60)}, from 0 (usual) to 1, from {times[0]:.2f} to {times[-1]:.2f} s.",
        f"Median {np.median(values):.2f}, highest {values[top]:.2f} at {times[top]:.2f} s ({_signals(scores, top)}).",
    ]
    for event in list(events)[:MAX_EVENTS]:
        row = int(np.abs(times - event.peak_s).argmin())
        lines.append(
            f"{clean(event.event_id, 8)}: {_span(event.start_s, event.end_s)}, peak {event.score:.2f}"
            f" at {event.peak_s:.2f} s ({_signals(scores, row)})."
        )
    edges = np.linspace(times[0], times[-1] + 1e-9, _BUCKETS + 1)
    rows = np.clip(np.searchsorted(edges, times, side="right") - 1, 0, _BUCKETS - 1)
    highest = [float(values[rows == bucket].max()) if (rows == bucket).any() else 0.0 for bucket in range(_BUCKETS)]
    shape = "".join(_LEVELS[min(int(value * 10), 9)] for value in highest)
    lines.append(f"Highest value in each of {_BUCKETS} equal parts of that time, in tenths: {shape}")
    return "\n".join(lines)


def findings_text(checked: ClaimCheck) -> str:
    """Returns what a claim check found, one sentence a line with its verdict and the reason, for `claim_repair`."""
    return "\n".join(
        f"{item.verdict}: {clean(item.text, 300)} ({clean('; '.join(item.reasons), 200)})" for item in checked.sentences
    )


def frame_note(item: Keyframe) -> str:
    """Returns how a keyframe is announced before its picture: ``before E1``, ``during E1``, ``after E1``."""
    words = {"pre": "before", "during": "during", "post": "after"}
    return f"{words[item.phase]} {clean(item.event_id, 8)}"


def _event(report: Report, event_id: str | None) -> Event | None:
    if event_id is None:
        return None
    for event in report.events:
        if event.event_id == event_id:
            return event
    raise KeyError(event_id)


def _event_line(event: Event) -> str:
    peak = f"peak at {event.peak_s:.2f} s; score {event.score:.2f}"
    return f"{clean(event.event_id, 8)}: {_span(event.start_s, event.end_s)}; {peak}"


def _around(start_s: float, end_s: float, event: Event) -> bool:
    return start_s <= event.end_s + BEFORE_S and end_s >= event.start_s - BEFORE_S


def _phase(start_s: float, end_s: float, event: Event) -> str:
    return "before" if end_s < event.start_s else "after" if start_s > event.end_s else "during"


def _span(start_s: float, end_s: float) -> str:
    return f"{start_s:.2f} to {end_s:.2f} s ({clock(start_s)} to {clock(end_s)})"


def _name(track: Track) -> str:
    return f"{clean(track.label, 40)} {track.track_id}"


def _signals(scores: ScoreTrack, row: int) -> str:
    order = np.argsort(-scores.contributions[row], kind="stable")[:3]
    parts = [
        f"{clean(scores.signals[k], 60)} {scores.contributions[row, k]:.2f}"
        for k in order
        if scores.contributions[row, k] > 0
    ]
    return ", ".join(parts) or "no signal"
