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
    from vau.cli.work import Result
    from vau.narration import Narration
    from vau.types import Account, Event, Report

MAX_FAILURES = 5  # of a language model, that are listed
THREATS = ("normal", "unusual: look at it", "dangerous: act")
_STYLES = ("green", "yellow", "red")


def clean(text: str | os.PathLike[str]) -> str:
    """Returns text without control, formatting and escape characters, so that no file name can steer a terminal."""
    return "".join(c for c in str(os.fspath(text)) if c.isprintable())


def console(stderr: bool = False) -> Console:
    """Returns a console that takes text literally: no markup, no emoji codes, no guessed colours."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=False)


def show_report(report: Report, page: Path, out: Console) -> None:
    """Prints the accounts of a report in plain sentences, and where its page is."""
    from vau.report.text import clock

    video = report.video
    head = Text(clean(video.source), style="bold")
    head.append(f"  {clock(video.duration_s)}, {video.width} x {video.height}", style="dim")
    if video.truncated:
        head.append("  truncated: only what could be decoded was analysed", style="yellow")
    out.print(head)
    for account in report.accounts:
        event = next((item for item in report.events if item.event_id == account.event_id), None)
        out.print(Padding(_account(account, event), (1, 0, 0, 2)))
    if report.narration is not None:
        out.print(Padding(_narration(report.narration), (1, 0, 0, 2)))
    for note in report.notes:
        out.print(Padding(Text(f"Note: {clean(note)}"), (1, 0, 0, 2)))
    out.print()
    out.print(f"Report: {clean(page)}", soft_wrap=True)


def _account(account: Account, event: Event | None) -> Table:
    from vau.report.text import ROLE_TITLES, clock, span

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    table.add_row("Whole video" if event is None else event.event_id, Text(clean(account.title), style="bold"))
    if event is not None:
        table.add_row("Time", Text(f"{span(event.start_s, event.end_s)}, strongest at {clock(event.peak_s)}"))
    said = _sentences(account)
    for role, title in ROLE_TITLES:
        if role in said:
            table.add_row(title, Text(clean(said[role])))
    level = account.threat_level
    table.add_row("Threat", Text(f"{level} of 2, {THREATS[level]}", style=_STYLES[level]))
    table.add_row("Confidence", Text(f"{account.confidence:.2f}"))
    return table


def _narration(narration: Narration) -> Table:
    """Returns which model told the events, how much of it holds, and what it cost; its sentences are in the page."""
    from vau.report.narrated import calls, figure, suspicion, tokens

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    table.add_row("Language model", Text(clean(narration.model), style="bold"))
    table.add_row("Its sentences", Text(figure(narration.counts)))
    table.add_row("Calls", Text(calls(narration)))
    table.add_row("Tokens", Text(tokens(narration)))
    failures = narration.failures
    for event_id, failure in failures[:MAX_FAILURES]:
        line = f"{event_id or 'the video'}, {failure.role}: {failure.reason[:200]}"
        table.add_row("Not told", Text(clean(line), style="yellow"))
    if len(failures) > MAX_FAILURES:
        table.add_row("", Text(f"and {len(failures) - MAX_FAILURES} more", style="yellow"))
    for item in (*narration.suspected, *(text for event in narration.events for text in event.suspected)):
        table.add_row("Beware", Text(clean(suspicion(item)), style="yellow"))
    return table


def summary(result: Result, video: Path) -> dict[str, Any]:
    """Returns the short form of a result that ``--json`` prints: verdict, events with their sentences, files."""
    report = result.report
    return {
        "video": name_of(video),
        "sha256": report.video.sha256,
        "duration_s": report.video.duration_s,
        "truncated": report.video.truncated,
        "report": name_of(result.json),
        "html": name_of(result.html),
        "verdict": _told(report.account(None)),
        "events": [_event(report, event) for event in report.events],
        "models": list(report.models),
        "narration": None if report.narration is None else _narrated(report.narration),
        "notes": list(report.notes),
    }


def _narrated(narration: Narration) -> dict[str, Any]:
    counts = narration.counts
    return {
        "model": narration.model,
        "prompts": list(narration.prompts),
        "faithfulness": counts.faithfulness,
        "supported": counts.supported,
        "checkable": counts.checkable,
        "sentences": counts.checkable + counts.not_checkable,
        "calls": {"paid": narration.paid, "cached": narration.cached, "failed": narration.failed},
        "tokens": {"prompt": narration.prompt_tokens, "completion": narration.completion_tokens},
        "failures": [
            {"event": event_id, "role": failure.role, "reason": failure.reason}
            for event_id, failure in narration.failures
        ],
    }


def name_of(path: str | os.PathLike[str]) -> str:
    r"""Returns a path as text for JSON; bytes of it that are not UTF-8 appear as ``\udcXX``."""
    return os.fspath(path).encode("utf-8", "backslashreplace").decode("utf-8")


def _event(report: Report, event: Event) -> dict[str, Any]:
    span = {"start_s": event.start_s, "end_s": event.end_s, "peak_s": event.peak_s, "score": event.score}
    return {"id": event.event_id, "label": event.label, **span, **_told(report.account(event.event_id))}


def _sentences(account: Account) -> dict[str, str]:
    said: dict[str, str] = {}
    for claim in account.claims:
        said[claim.role] = f"{said[claim.role]} {claim.text}" if claim.role in said else claim.text
    return said


def _told(account: Account) -> dict[str, Any]:
    return {**_sentences(account), "threat_level": account.threat_level, "confidence": account.confidence}


def print_json(data: dict[str, Any]) -> None:
    """Writes one object on one line of standard output; at once, so that a reader of the pipe sees it."""
    sys.stdout.write(json.dumps(data, allow_nan=False) + "\n")
    sys.stdout.flush()
