"""How results are shown on a terminal: text of unknown origin made harmless, times, accounts, and the JSON line.

Knows the value types, not how they are made.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from vau.types import Account, Event, Report

THREATS = ("normal", "unusual: look at it", "dangerous: act")
_ROLES = ("what", "who", "when", "where", "why", "cause", "effect", "limit")


def clean(text: str | os.PathLike[str]) -> str:
    """Returns text without control, formatting and escape characters, so that no file name can steer a terminal."""
    return "".join(c for c in str(os.fspath(text)) if c.isprintable())


def clock(time_s: float) -> str:
    """Returns a time as minutes and seconds (``1:02.5``), with hours where there are any."""
    tenths = round(time_s * 10)
    hours, rest = divmod(tenths, 36_000)
    minutes, rest = divmod(rest, 600)
    seconds = f"{rest // 10:02d}.{rest % 10}"
    return f"{hours}:{minutes:02d}:{seconds}" if hours else f"{minutes}:{seconds}"


def console(stderr: bool = False) -> Console:
    """Returns a console that takes text literally: no markup, no emoji codes, no guessed colours."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=False)


def show_report(report: Report, page: Path, out: Console) -> None:
    """Prints the accounts of a report in plain sentences, and where its page is."""
    video = report.video
    head = Text(clean(video.source), style="bold")
    head.append(f"  {clock(video.duration_s)}, {video.width} x {video.height}", style="dim")
    if video.truncated:
        head.append("  truncated: only what could be decoded was analysed", style="yellow")
    out.print(head)
    for account in report.accounts:
        event = next((item for item in report.events if item.event_id == account.event_id), None)
        out.print(Padding(_account(account, event), (1, 0, 0, 2)))
    for note in report.notes:
        out.print(Padding(Text(f"Note: {clean(note)}", style="dim"), (1, 0, 0, 2)))
    out.print()
    out.print(f"Report: {clean(page)}", soft_wrap=True)


def _account(account: Account, event: Event | None) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    title = Text(clean(account.title) or "No account", style="bold")
    name = "All" if event is None else event.event_id
    table.add_row(name, title)
    if event is not None:
        span = f"{clock(event.start_s)} to {clock(event.end_s)}, strongest at {clock(event.peak_s)}"
        table.add_row("time", Text(span))
    for role in _ROLES:
        sentences = clean(account.role(role))
        if sentences:
            table.add_row(role, Text(sentences))
    level = f"{account.threat_level} of 2, {THREATS[account.threat_level]}"
    table.add_row("threat", Text(level, style=("green", "yellow", "red")[account.threat_level]))
    table.add_row("confidence", Text(f"{account.confidence:.2f}"))
    return table


def summary(report: Report, video: Path, files: dict[str, Path]) -> dict[str, Any]:
    """Returns the short form of a result that ``--json`` prints: verdict, events with their sentences, files."""
    verdict = report.account(None)
    return {
        "video": clean(video),
        "sha256": report.video.sha256,
        "duration_s": report.video.duration_s,
        "truncated": report.video.truncated,
        "report": str(files["json"]),
        "html": str(files["html"]),
        "verdict": _sentences(verdict),
        "events": [_event(report, event) for event in report.events],
        "models": list(report.models),
        "notes": list(report.notes),
    }


def _event(report: Report, event: Event) -> dict[str, Any]:
    span = {"start_s": event.start_s, "end_s": event.end_s, "peak_s": event.peak_s, "score": event.score}
    return {"id": event.event_id, "label": event.label, **span, **_sentences(report.account(event.event_id))}


def _sentences(account: Account) -> dict[str, Any]:
    said = {role: account.role(role) for role in _ROLES if account.role(role)}
    return {
        "title": account.title,
        **said,
        "threat_level": account.threat_level,
        "confidence": account.confidence,
    }


def print_json(data: dict[str, Any]) -> None:
    """Writes one object on one line of standard output; at once, so that a reader of the pipe sees it."""
    sys.stdout.write(json.dumps(data, allow_nan=False) + "\n")
    sys.stdout.flush()
