"""Events, relations and scores as CSV (RFC 4180, UTF-8), safe to open in a spreadsheet.

Knows nothing of other outputs. A text that a spreadsheet would run as a formula gets a leading quote (OWASP, CSV
injection); numbers are written as numbers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from vau.report.files import write_text
from vau.report.text import actor, clean, measure
from vau.types import Report

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
Cell = str | int | float | None


def events_csv(report: Report) -> str:
    """Returns one row an event, with its account's title, reason, cause and effect."""
    accounts = {account.event_id: account for account in report.accounts}
    rows: list[list[Cell]] = []
    for event in report.events:
        account = accounts.get(event.event_id)
        said = [account.role(role) if account else "" for role in ("title", "why", "cause", "effect")]
        level, sure = (account.threat_level, round(account.confidence, 4)) if account else (None, None)
        numbers = [round(value, 3) for value in (event.start_s, event.end_s, event.peak_s)]
        rows.append([event.event_id, *numbers, round(event.score, 4), event.label, level, sure, *said])
    head = ("event_id", "start_s", "end_s", "peak_s", "score", "label", "threat_level", "confidence")
    return _table((*head, "title", "why", "cause", "effect"), rows)


def relations_csv(report: Report) -> str:
    """Returns one row a relation, with names of its tracks and what was measured."""
    tracks = {track.track_id: track for track in report.tracks}
    rows: list[list[Cell]] = [
        [
            item.relation_id,
            item.subject,
            actor(item.subject, tracks),
            item.predicate,
            item.object,
            actor(item.object, tracks) if item.object is not None else None,
            round(item.start_s, 3),
            round(item.end_s, 3),
            round(item.confidence, 4),
            "; ".join(measure(part) for part in item.measures),
        ]
        for item in report.relations
    ]
    head = ("relation_id", "subject_id", "subject", "predicate", "object_id", "object")
    return _table((*head, "start_s", "end_s", "confidence", "measures"), rows)


def scores_csv(report: Report) -> str:
    """Returns one row a sampled moment: time, score and the share of each signal in it."""
    scores = report.scores
    rows: list[list[Cell]] = [
        [round(float(time), 3), *(round(float(value), 5) for value in (score, *shares))]
        for time, score, shares in zip(scores.times_s, scores.scores, scores.contributions, strict=True)
    ]
    return _table(("time_s", "score", *scores.signals), rows)


def write_events(report: Report, path: Path) -> Path:
    """Writes `events_csv` atomically; returns the path; raises ReportError where it cannot."""
    return write_text(events_csv(report), path)


def write_relations(report: Report, path: Path) -> Path:
    """Writes `relations_csv` atomically; returns the path; raises ReportError where it cannot."""
    return write_text(relations_csv(report), path)


def write_scores(report: Report, path: Path) -> Path:
    """Writes `scores_csv` atomically; returns the path; raises ReportError where it cannot."""
    return write_text(scores_csv(report), path)


def safe_cell(value: Cell) -> Cell:
    """Returns a cell that no spreadsheet runs: text cleaned, and quoted where it starts like a formula."""
    if not isinstance(value, str):
        return value
    text = clean(value)
    return f"'{text}" if value.startswith(FORMULA_STARTS) or text.startswith(FORMULA_STARTS) else text


def _table(head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([safe_cell(name) for name in head])
    writer.writerows([safe_cell(value) for value in row] for row in rows)
    return out.getvalue()
