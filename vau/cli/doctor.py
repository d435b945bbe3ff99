"""`vau doctor`: what this machine can run, what is missing, and how to get it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vau.cli.failures import MISSING, guard
from vau.cli.show import clean, console, print_json

if TYPE_CHECKING:
    from vau.doctor import Diagnosis

_MARKS = {"ok": ("ok", "green"), "missing": ("missing", "red"), "optional": ("-", "dim")}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
) -> None:
    """Says what this machine can run, what is missing and how to get it; exit code 3 where the default cannot run."""
    with guard(debug):
        from vau.doctor import examine

        found = examine()
        if as_json:
            print_json(
                {
                    "ready": found.ready,
                    "abilities": list(found.abilities),
                    "remedies": list(found.remedies),
                    "checks": [asdict(check) for check in found.checks],
                }
            )
        else:
            _show(found, console())
        if not found.ready:
            raise typer.Exit(MISSING)


def _show(found: Diagnosis, out: Console) -> None:
    for section in dict.fromkeys(check.section for check in found.checks):
        table = Table.grid(padding=(0, 2))
        for _ in range(3):
            table.add_column(overflow="fold")
        for check in found.checks:
            if check.section == section:
                mark, style = _MARKS[check.state]
                table.add_row(Text("  " + mark, style=style), Text(check.name), Text(clean(check.detail), style="dim"))
        out.print(section, style="bold")
        out.print(table)
    out.print("\nThis machine", style="bold")
    for sentence in found.abilities:
        out.print("  " + clean(sentence), soft_wrap=True)
    if found.remedies:
        out.print("\nTo get the rest", style="bold")
        for remedy in found.remedies:
            out.print("  " + clean(remedy), soft_wrap=True)
