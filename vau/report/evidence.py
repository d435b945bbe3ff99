"""From the ids that a claim names to what a reader can check: relations with measures, tracks, events, signals.

Knows nothing of HTML. An id that the report does not hold is shown as such rather than dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vau.report.text import certainty, clean, measure, span, triplet
from vau.types import Relation, Report

MAX_ITEMS = 12
SIGNAL_PREFIX = "S:"


class Evidence:
    """Looks up evidence ids of one report."""

    def __init__(self, report: Report) -> None:
        self._tracks = {track.track_id: track for track in report.tracks}
        self._relations = {item.relation_id: item for item in report.relations}
        self._events = {item.event_id: item for item in report.events}
        self._changes = {item.change_id: item for item in report.changes}
        self._named = {f"T{track.track_id}": track for track in report.tracks}
        self._signals = set(report.scores.signals)

    def items(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Returns one entry an id, the first twelve: `id`, `text`, `detail`, `time`, `known`."""
        return [self._item(name) for name in ids[:MAX_ITEMS]]

    def relation(self, item: Relation) -> dict[str, Any]:
        """Returns a relation in words."""
        return {
            "id": clean(item.relation_id, 24),
            "text": triplet(item, self._tracks),
            "span": span(item.start_s, item.end_s),
            "start": round(item.start_s, 3),
            "certainty": certainty(item.confidence),
            "confidence": f"{item.confidence:.2f}",
        }

    def _item(self, name: str) -> dict[str, Any]:
        if name in self._relations:
            return self._relation_item(self._relations[name])
        if name in self._changes:
            change = self._changes[name]
            parent = self._relation_item(self._relations[change.relation_id])
            how = "abruptly" if change.sharpness >= 0.6 else "gradually"
            return {
                **parent,
                "id": clean(name, 24),
                "text": f"{parent['text']} {change.kind} {how}",
                "time": change.time_s,
            }
        if name in self._events:
            event = self._events[name]
            detail = f"{span(event.start_s, event.end_s)}, score {event.score:.2f}"
            return _entry(name, clean(event.label or "event", 80), detail, event.peak_s)
        if name in self._named:
            track = self._named[name]
            detail = (
                f"in view {span(track.start_s, track.end_s)}, {certainty(track.confidence)} ({track.confidence:.2f})"
            )
            return _entry(name, clean(track.name, 60), detail, track.start_s)
        signal = name.removeprefix(SIGNAL_PREFIX)
        if name.startswith(SIGNAL_PREFIX) and signal in self._signals:
            return _entry("signal", clean(signal, 60), "share of the anomaly score, see the time axis", None)
        return {**_entry(name, "not in this report", "", None), "known": False}

    def _relation_item(self, item: Relation) -> dict[str, Any]:
        detail = f"{span(item.start_s, item.end_s)}, {certainty(item.confidence)} ({item.confidence:.2f})"
        measures = "; ".join(measure(part) for part in item.measures[:8])
        return _entry(
            item.relation_id, triplet(item, self._tracks), f"{detail}; {measures}" if measures else detail, item.start_s
        )


def _entry(name: str, text: str, detail: str, time: float | None) -> dict[str, Any]:
    return {"id": clean(name, 40), "text": text, "detail": detail, "time": time, "known": True}
