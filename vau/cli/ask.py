"""`vau ask`: questions about an analysed video, answered from its report; a video is analysed first where needed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vau.cli.ask_answers import Evidence, Model, Responder
from vau.cli.failures import guard
from vau.cli.inputs import content_of, result_folder
from vau.cli.progress import waiting
from vau.cli.show import console
from vau.cli.work import DEFAULT_OUT, configuration, log_to_stderr, produce, with_mllm
from vau.errors import InputError, MllmError

if TYPE_CHECKING:
    from rich.console import Console

    from vau.config import Config
    from vau.types import Report

_FAREWELLS = frozenset({"q", "quit", "exit", "bye"})
_REPORT_NAME = "report.json"


def ask(
    source: Annotated[Path, typer.Argument(help="A report (its folder, report.json or report.html), or a video.")],
    question: Annotated[str | None, typer.Argument(help="The question; none: a conversation.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder where reports are kept.")] = DEFAULT_OUT,
    config: Annotated[Path | None, typer.Option(help="YAML file with settings.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting, such as mllm.frames=4.")
    ] = None,
    mllm: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="A language model that answers, sentence by checked sentence: the address of an OpenAI-compatible "
            "server, a folder or hub name of a model, or evidence: the report alone.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object an answer.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks and log messages.")] = False,
) -> None:
    """Answers questions about a video from what was found in it, with the times to check.

    Without a question, a conversation begins; questions may also come line by line on standard input. Where a language
    model fails, the report answers, and the exit code tells.
    """
    with guard(debug), ExitStack() as opened:
        log_to_stderr(debug)
        settled = configuration(config, settings or ())
        report, video = _report(source, out, settled, quiet)
        with waiting("reading", quiet):
            respond = _responder(report, with_mllm(settled, mllm), video, opened)
        screen = console()
        asked = 0
        failure: MllmError | None = None
        for text in [question] if question is not None else _questions(screen):
            asked += 1
            try:
                respond.tell(text, screen, as_json)
            except MllmError as error:
                failure = error
                _instead(report, text, error, screen, as_json)
        if failure is not None:
            raise typer.Exit(failure.exit_code)
        if not asked and not sys.stdin.isatty():
            raise InputError('no question given; for instance: vau ask REPORT "What happened?"')


def _report(source: Path, out: Path, settled: Config, quiet: bool) -> tuple[Report, Path | None]:
    """Reads the report that is meant; for a video the one of the same content below `out`, made where there is none.

    Returns:
        The report, and the video where it was given.
    """
    from vau.report import read_json

    if source.is_dir():
        return read_json(source / _REPORT_NAME), None
    if source.suffix.lower() == ".json":
        return read_json(source), None
    if source.suffix.lower() == ".html":
        return read_json(source.with_name(_REPORT_NAME)), None
    from vau.video import probe

    sha256 = probe(source, settled.video).sha256
    folder = result_folder(out, source, sha256)
    if content_of(folder) == sha256:
        return read_json(folder / _REPORT_NAME), source
    return produce(source, settled, out, quiet=quiet).report, source


def _responder(report: Report, settled: Config, video: Path | None, opened: ExitStack) -> Responder:
    """Returns what answers one question after another, each with the answers before it in mind."""
    from vau.mllm.open import is_evidence, open_mllm

    if is_evidence(settled.mllm):
        return Evidence(report)
    return Model(opened.enter_context(open_mllm(settled.mllm)), report, settled, video)


def _instead(report: Report, text: str, error: MllmError, screen: Console, as_json: bool) -> None:
    """Says that the model failed, and answers from the report."""
    from vau.cli.failures import describe

    failure = describe(error)
    message = failure.message if failure is not None else str(error)
    typer.echo(f"error: {message}; from the report alone (--mllm evidence):", err=True)
    Evidence(report, failed=message).tell(text, screen, as_json)


def _questions(screen: Console) -> Iterator[str]:
    """Yields questions: typed at a prompt until an empty line or a farewell, or the lines of standard input."""
    watched = sys.stdin.isatty()
    if watched:
        screen.print("Ask about the video; an empty line ends.", style="dim")
    while True:
        if watched:
            screen.print("> ", end="", style="bold")
        line = sys.stdin.readline()
        text = line.strip()
        if not line or text.lower() in _FAREWELLS or (watched and not text):
            return
        if text:
            yield text
