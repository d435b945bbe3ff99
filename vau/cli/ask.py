"""`vau ask`: questions about an analysed video, answered from its report; a video is analysed first where needed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vau.cli.failures import guard
from vau.cli.inputs import content_of, result_folder
from vau.cli.show import clean, console, print_json
from vau.cli.work import DEFAULT_OUT, configuration, log_to_stderr, produce
from vau.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from vau.reasoning.answer import Answer
    from vau.types import Report

_FAREWELLS = frozenset({"q", "quit", "exit", "bye"})


def ask(
    source: Annotated[Path, typer.Argument(help="A report (its folder, report.json or report.html), or a video.")],
    question: Annotated[str | None, typer.Argument(help="The question; none: a conversation.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder where reports are kept.")] = DEFAULT_OUT,
    config: Annotated[Path | None, typer.Option(help="YAML file with settings, for a video not analysed yet.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object an answer.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks and log messages.")] = False,
) -> None:
    """Answers questions about a video from what was found in it, with the times to check."""
    with guard(debug):
        log_to_stderr(debug)
        report = _report(source, out, config, quiet)
        from vau.reasoning.answer import answer
        from vau.reasoning.minilm import load_encoder

        encoder = load_encoder()
        screen = console()
        asked = False
        for text in [question] if question is not None else _questions():
            asked = True
            found = answer(text, report, encoder)
            if as_json:
                print_json({"question": text, **asdict(found)})
            else:
                _show(found, screen)
        if not asked and not sys.stdin.isatty():
            raise InputError('give a question: vau ask REPORT "what happened?"')
