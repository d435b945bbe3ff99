"""`vau analyze`: videos, folders and patterns in; one report a video out; what failed and why at the end."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vau.cli.failures import BAD_INPUT, MISSING, Attempt, Failure, guard
from vau.cli.inputs import expand
from vau.cli.live import Watching, watch_live
from vau.cli.progress import waiting
from vau.cli.show import clean, console, print_json, show_report, summary
from vau.cli.work import DEFAULT_OUT, Result, configuration, log_to_stderr, produce, with_mllm, with_scorer
from vau.errors import InputError

if TYPE_CHECKING:
    from vau.narration import Narration


@dataclass(frozen=True)
class Output:
    """How results are told."""

    as_json: bool
    quiet: bool
    debug: bool


def analyze(
    videos: Annotated[list[str], typer.Argument(help="Video files, folders (with subfolders) or quoted patterns.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder for the reports, one inside for each.")
    ] = DEFAULT_OUT,
    config: Annotated[Path | None, typer.Option(help="YAML file with settings.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting, such as video.max_side=480.")
    ] = None,
    sample_fps: Annotated[float | None, typer.Option(help="Frames a second that the detectors see.")] = None,
    sensitivity: Annotated[float | None, typer.Option(help="0 to 1; higher reports weaker events.")] = None,
    scorer: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="A trained scorer, from `vau train scorer` or `vau train camera`."),
    ] = None,
    anomaly: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="What counts as abnormal, for scorers that read text; may be repeated."),
    ] = None,
    normal: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="What counts as normal beside it; may be repeated.")
    ] = None,
    mllm: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="A language model that tells the events too, sentence by checked sentence: the address of an "
            "OpenAI-compatible server, a folder or hub name of a model, or evidence (none). More by --set mllm.*",
        ),
    ] = None,
    live: Annotated[
        bool,
        typer.Option(
            "--live",
            help="Watch one file or stream (rtsp, rtsps, http, https) as it comes and tell each event as it closes.",
        ),
    ] = False,
    speed: Annotated[
        float | None,
        typer.Option(
            min=0, max=1000, help="Live, of a file: 1, as fast as it happened, is usual; 0 as fast as it goes."
        ),
    ] = None,
    give_up_after: Annotated[
        float | None,
        typer.Option(min=0, metavar="SECONDS", help="Live: leave a stream that is lost for so long; else never."),
    ] = None,
    ca_file: Annotated[
        Path | None, typer.Option(metavar="PEM", help="Live: certificates to trust for an encrypted stream.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a video on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only (and the JSON).")] = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks and log messages.")] = False,
) -> None:
    """Analyses videos and writes a report for each: a page to read, JSON, subtitles and tables.

    With several videos, a failure does not stop the others: the run ends with a list of what failed and why, and
    exit code 2. Missing weights or packages stop it at once with exit code 3.
    """
    with guard(debug):
        log_to_stderr(debug)
        output = Output(as_json, quiet, debug)
        settled = with_scorer(
            configuration(config, settings or (), sample_fps, sensitivity), scorer, anomaly or (), normal or ()
        )
        settled = with_mllm(settled, mllm)
        if live:
            if len(videos) != 1:
                raise InputError(f"--live watches one file or stream, got {len(videos)}")
            how = Watching(1.0 if speed is None else speed, give_up_after or 0.0, ca_file)
            watch_live(videos[0], settled, out, how, as_json=as_json, quiet=quiet)
            return
        if (speed, give_up_after, ca_file) != (None, None, None):
            raise InputError("--speed, --give-up-after and --ca-file are for --live alone")
        from vau.mllm.ready import ready_mllm
        from vau.perception.observe import load_models
        from vau.scoring.load import load_scorer

        # What is wrong with the scorer is no video's fault. One that asks the language model waits until that is open.
        asks = settled.scoring.method == "eventvad" and not settled.scoring.checkpoint
        loaded = None if asks else load_scorer(settled.scoring, settled.perception, settled.video)
        wanted, failures = _find(videos, output)
        alone = len(wanted) + len(failures) == 1
        done, models, speaker = 0, None, None
        with ExitStack() as opened:
            if wanted:
                with waiting("opening the language model", quiet or settled.mllm.model == "evidence"):
                    speaker = opened.enter_context(ready_mllm(settled.mllm))
            if loaded is None:
                loaded = load_scorer(settled.scoring, mllm=settled.mllm, events=settled.events, model=speaker)
            for video in wanted:
                attempt = Attempt(debug)
                with attempt:
                    if models is None and len(wanted) > 1:
                        models = load_models(settled.perception)
                    made = produce(video, settled, out, quiet=quiet, models=models, scorer=loaded, mllm=speaker)
                    _tell(made, video, output)
                if attempt.failure is None:
                    done += 1
                    continue
                failures.append((clean(video), attempt.failure))
                _tell_failure(clean(video), attempt.failure, output)
                if attempt.failure.exit_code == MISSING:
                    break  # every other video would fail for the same reason
        _finish(done, failures, alone)


def _find(given: Sequence[str], output: Output) -> tuple[list[Path], list[tuple[str, Failure]]]:
    """Returns the videos that the arguments mean, each once, and the arguments that mean none."""
    found: dict[Path, Path] = {}
    failures = []
    for argument in given:
        attempt = Attempt(output.debug)
        with attempt:
            for video in expand(argument):
                found.setdefault(video.resolve(), video)
        if attempt.failure is not None:
            failures.append((clean(argument), attempt.failure))
            _tell_failure(clean(argument), attempt.failure, output)
    return list(found.values()), failures


def _tell(result: Result, video: Path, output: Output) -> None:
    told = result.report.narration
    if told is not None and any(event.failures for event in told.events):
        typer.echo(f"warning: {clean(video)}: {_untold(told)}", err=True)
    if output.as_json:
        print_json(summary(result, video))
    elif not output.quiet:
        screen = console()
        show_report(result.report, result.html, screen)
        screen.print()


def _untold(told: Narration) -> str:
    """Returns what the language model did not tell; the report has the reasons."""
    if any(event.sentences for event in told.events):
        return "the language model told some parts only, see the report"
    return "the language model told nothing, see the report; the account of what was measured is whole"


def _tell_failure(name: str, failure: Failure, output: Output) -> None:
    typer.echo(f"error: {_line(name, failure)}", err=True)
    if output.as_json:
        print_json({"video": name, "error": failure.message, "exit_code": failure.exit_code})


def _line(name: str, failure: Failure) -> str:
    return failure.message if name in failure.message else f"{name}: {failure.message}"


def _finish(done: int, failures: list[tuple[str, Failure]], alone: bool) -> None:
    """Ends with the one video's own exit code; of several, a list of what failed, and the code for that."""
    if not failures:
        return
    if alone:
        raise typer.Exit(failures[0][1].exit_code)
    typer.echo(f"\n{done} analysed, {len(failures)} failed:", err=True)
    for name, failure in failures:
        typer.echo(f"  {_line(name, failure)}", err=True)
    raise typer.Exit(MISSING if failures[-1][1].exit_code == MISSING else BAD_INPUT)
