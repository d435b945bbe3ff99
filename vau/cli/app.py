"""The command line as a whole: its commands, its exit codes, its entry point.

Only argument handling and printing live in this room; the work is done by the pipeline and its stages, which the
commands import when they run, so that ``vau --help`` answers at once.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from vau import __version__
from vau.cli.analyze import analyze
from vau.cli.ask import ask
from vau.cli.data import data
from vau.cli.demo import demo
from vau.cli.doctor import doctor
from vau.cli.evaluate import evaluate
from vau.cli.score import score
from vau.cli.serve import serve
from vau.cli.train import train
from vau.cli.train_camera import camera
from vau.cli.train_vlm import register as register_vlm
from vau.cli.weights import weights

EXIT_CODES = (
    "Exit codes: 0 all went well; 1 an unexpected failure, or the demo's account was wrong; 2 an input or an argument "
    "cannot be used, or at least one of several videos failed; 3 something is missing (weights, an extra, a system "
    "library, a model's server); 130 interrupted."
)

app = typer.Typer(
    name="vau",
    help="Video anomaly understanding: when, who, why, what led to it and what followed, with evidence.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(analyze)
app.command()(ask)
app.command()(demo)
app.command()(doctor)
app.add_typer(data, name="data")
evaluate.command()(score)
app.add_typer(evaluate, name="eval")
app.command()(serve)
train.command()(camera)
register_vlm(train)
app.add_typer(train, name="train")
app.add_typer(weights, name="weights")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vau {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Runs the command line and leaves with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A file name or a sentence that the terminal's encoding lacks must not end a long run.
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
    app()
