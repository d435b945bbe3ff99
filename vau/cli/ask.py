"""`vau ask`: questions about an analysed video, answered from its report; a video is analysed first where needed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vau.cli.failures import guard
from vau.cli.inputs import content_of, result_folder
from vau.cli.progress import waiting
from vau.cli.show import clean, console, print_json
from vau.cli.work import DEFAULT_OUT, configuration, log_to_stderr, produce
from vau.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from vau.reasoning.answer import Answer
    from vau.types import Report

_FAREWELLS = frozenset({"q", "quit", "exit", "bye"})
_REPORT_NAME = "report.json"


def ask(
    source: Annotated[Path, typer.Argument(help="A report (its folder, report.json or report.html), or a video.")],
    question: Annotated[str | None, typer.Argument(help="The question; none: a conversation.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder where reports are kept.")] = DEFAULT_OUT,
    config: Annotated[Path | None, typer.Option(help="YAML file with settings, for a video not analysed yet.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object an answer.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks and log messages.")] = False,
) -> None:
    """Answers questions about a video from what was found in it, with the times to check.

    Without a question, a conversation begins; questions may also come line by line on standard input.
    """
    with guard(debug):
        log_to_stderr(debug)
        report = _report(source, out, config, quiet)
        with waiting("reading", quiet):
            respond = _responder(report)
        screen = console()
        asked = 0
        for text in [question] if question is not None else _questions(screen):
            asked += 1
            found = respond(text)
            if as_json:
                print_json(_plain(text, found))
            else:
                _show(found, screen)
        if not asked and not sys.stdin.isatty():
            raise InputError('no question given; for instance: vau ask REPORT "What happened?"')


def _report(source: Path, out: Path, config: Path | None, quiet: bool) -> Report:
    """Reads the report that is meant; for a video the one of the same content below `out`, made where there is none."""
    from vau.report import read_json

    if source.is_dir():
        return read_json(source / _REPORT_NAME)
    if source.suffix.lower() == ".json":
        return read_json(source)
    if source.suffix.lower() == ".html":
        return read_json(source.with_name(_REPORT_NAME))
    from vau.video import probe

    settled = configuration(config, ())
    sha256 = probe(source, settled.video).sha256
    folder = result_folder(out, source, sha256)
    if content_of(folder) == sha256:
        return read_json(folder / _REPORT_NAME)
    return produce(source, settled, out, quiet=quiet).report


def _responder(report: Report) -> Callable[[str], Answer]:
    """Returns a function that answers one question after another, each knowing the answers before it."""
    from vau.reasoning.answer import Answerer
    from vau.reasoning.minilm import MiniLM
    from vau.weights import locate

    answerer = Answerer(MiniLM(locate("all-minilm-l6-v2"), locate("all-minilm-l6-v2-tokenizer")))
    history: list[Answer] = []

    def respond(text: str) -> Answer:
        found = answerer.answer(report, text, history)
        history.append(found)
        return found

    return respond


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


def _show(found: Answer, screen: Console) -> None:
    from vau.report.text import clock

    screen.print(clean(found.text))
    if found.times_s:
        screen.print("Check at: " + ", ".join(clock(time) for time in found.times_s), style="dim")


def _plain(question: str, found: Answer) -> dict[str, Any]:
    return {
        "question": question,
        "answer": found.text,
        "supported": found.supported,
        "intent": found.intent,
        "times_s": list(found.times_s),
        "keyframes": list(found.keyframe_ids),
        "claims": [
            {"text": claim.text, "evidence": list(claim.evidence), "times_s": list(claim.times_s)}
            for claim in found.claims
        ],
    }
