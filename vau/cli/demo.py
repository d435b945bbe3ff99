"""`vau demo`: stages an incident on real footage, analyses it, and compares the account with what was staged."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vau.cli.failures import UNEXPECTED, guard
from vau.cli.progress import waiting
from vau.cli.show import clean, console, print_json, show_report, summary
from vau.cli.work import configuration, log_to_stderr, produce

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from vau.demo.truth import Check, Truth


class Scenario(StrEnum):
    """What can be staged."""

    fall = "fall"
    chase = "chase"
    struck = "struck"
    quiet = "quiet"


def demo(
    scenario: Annotated[Scenario, typer.Option("--scenario", "-s", help="What to stage.")] = Scenario.fall,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the clip and its report.")] = Path("demo"),
    footage: Annotated[
        Path | None, typer.Option(help="Fixed-camera footage of walking people; none: what a package brings.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the choice among equally good places.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only (and the JSON).")] = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks and log messages.")] = False,
) -> None:
    """Stages an incident on real footage, analyses it and compares; exit code 1 where the account is wrong."""
    with guard(debug):
        log_to_stderr(debug)
        from platformdirs import user_cache_path

        from vau.demo.footage import fetch_footage
        from vau.demo.stage import stage
        from vau.demo.truth import check_account

        with waiting(f"staging: {scenario.value}", quiet):
            source = footage or fetch_footage(user_cache_path("vau") / "footage")
            out.mkdir(parents=True, exist_ok=True)
            staged = stage(source, out / f"staged-{scenario.value}.mp4", scenario.value, seed=seed)
        result = produce(staged.path, configuration(None, ()), out, quiet=quiet, notes=(staged.truth.disclosure,))
        checks = check_account(result.report, staged.truth)
        if as_json:
            print_json({**summary(result, staged.path), "staged": _told(staged.truth, checks)})
        elif not quiet:
            screen = console()
            show_report(result.report, result.html, screen)
            _compare(staged.truth, checks, screen)
        if not all(check.agrees for check in checks):
            raise typer.Exit(UNEXPECTED)


def _told(truth: Truth, checks: Sequence[Check]) -> dict[str, Any]:
    return {
        "scenario": truth.scenario,
        "source": truth.source,
        "incident_s": [truth.incident_start_s, truth.incident_end_s],
        "sentences": list(truth.sentences),
        "checks": [asdict(check) for check in checks],
    }


def _compare(truth: Truth, checks: Sequence[Check], out: Console) -> None:
    out.print("\nWhat was staged", style="bold")
    for sentence in truth.sentences:
        out.print("  " + clean(sentence))
    out.print("\nDoes the account agree?", style="bold")
    for check in checks:
        mark = "yes" if check.agrees else "NO"
        out.print(f"  {mark:<4}{check.name}: {clean(check.detail)}", style="green" if check.agrees else "red")
