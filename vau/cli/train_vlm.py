"""`vau train sft` and `vau train grpo`: labelled videos and a recipe in, a fine-tuned multimodal model out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
import yaml

from vau.cli.failures import guard
from vau.cli.progress import stages, waiting
from vau.cli.show import clean, console, print_json
from vau.cli.work import log_to_stderr
from vau.errors import InputError

if TYPE_CHECKING:
    from vau.training.tuning.run import Log, Order

_Recipe = Annotated[str, typer.Option(help="Name of a packaged recipe, or a YAML file.")]
_Model = Annotated[str, typer.Option(help="Folder or hub name of an image-text-to-text model, safetensors.")]
_Data = Annotated[
    list[str],
    typer.Option(
        help="Records as JSON lines; or simulated:FIRST-LAST for drawn scenes of these seeds. May be repeated."
    ),
]
_Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of the run; one that was cut off goes on.")]
_HeldOut = Annotated[
    list[Path] | None,
    typer.Option(help="Test videos, records or a list of names: training on one of them is refused. May be repeated."),
]
_Frames = Annotated[
    Path | None, typer.Option(help="Folder in which frames are kept between runs; OUT.frames otherwise.")
]
_Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One value, such as optimiser.max_steps=10.")
]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what the run would need, and leave.")]
_TensorBoard = Annotated[Path | None, typer.Option(help="Folder for TensorBoard's event files.")]
_Wandb = Annotated[str, typer.Option(help="Project of Weights & Biases.")]
_Json = Annotated[bool, typer.Option("--json", help="Print the card, or the estimate, as JSON on standard output.")]
_Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only (and the JSON).")]
_Debug = Annotated[bool, typer.Option(help="Show tracebacks and log messages.")]


def register(train: typer.Typer) -> None:
    """Adds the commands to `vau train`."""
    train.command()(sft)
    train.command()(grpo)
    train.command()(records)


def sft(
    model: _Model,
    data: _Data,
    recipe: _Recipe = "cue_r1_sft",
    out: _Out = Path("tuned-sft"),
    held_out: _HeldOut = None,
    frames: _Frames = None,
    settings: _Set = None,
    dry_run: _DryRun = False,
    tensorboard: _TensorBoard = None,
    wandb: _Wandb = "",
    as_json: _Json = False,
    quiet: _Quiet = False,
    debug: _Debug = False,
) -> None:
    """Teaches a multimodal model the replies of labelled videos: the cold start before GRPO.

    Writes OUT/model, which vau takes as mllm.model, and OUT/adapter where an adapter was trained.
    """
    with guard(debug):
        log_to_stderr(debug)
        order = _order("sft", recipe, model, data, out, held_out, frames, settings)
        _go(order, dry_run, _loggers(tensorboard, wandb), as_json, quiet)


def grpo(
    model: _Model,
    data: _Data,
    recipe: _Recipe = "cue_r1",
    out: _Out = Path("tuned-grpo"),
    held_out: _HeldOut = None,
    frames: _Frames = None,
    settings: _Set = None,
    dry_run: _DryRun = False,
    tensorboard: _TensorBoard = None,
    wandb: _Wandb = "",
    as_json: _Json = False,
    quiet: _Quiet = False,
    debug: _Debug = False,
) -> None:
    """Trains a multimodal model by GRPO with verifiable rewards, best after vau train sft.

    Writes OUT/model, which vau takes as mllm.model, and OUT/adapter where an adapter was trained. Gates warn of groups
    without variance, a format that is learnt and nothing else, lost entropy, and lengths that run away.
    """
    with guard(debug):
        log_to_stderr(debug)
        order = _order("grpo", recipe, model, data, out, held_out, frames, settings)
        _go(order, dry_run, _loggers(tensorboard, wandb), as_json, quiet)


def records(
    benchmark: Annotated[str, typer.Argument(help="vau-bench, cuebench or context-proxy.")],
    folder: Annotated[Path, typer.Argument(help="Folder of its annotation.")],
    videos: Annotated[Path, typer.Option(help="Folder of its videos.")],
    split: Annotated[str, typer.Option(help="Such as val or train; a test split is refused.")] = "train",
    out: Annotated[Path, typer.Option("--out", "-o", help="File of JSON lines.")] = Path("records.jsonl"),
    debug: _Debug = False,
) -> None:
    """Writes a benchmark's annotation as records for vau train sft and vau train grpo."""
    with guard(debug):
        log_to_stderr(debug)
        from vau.training.data.benchmarks import take_records
        from vau.training.data.records import write_records

        taken = take_records(benchmark, folder, split, videos)
        if not taken.records:
            raise InputError(f"{videos}: none of the {len(taken.missing)} annotated videos is there")
        write_records(out, taken.records)
        screen = console()
        screen.print(f"{len(taken.records)} records written to {clean(str(out))}", soft_wrap=True)
        if taken.missing:
            names = ", ".join(clean(name) for name in taken.missing[:3])
            typer.echo(f"left out: {len(taken.missing)} videos that are not there, such as {names}", err=True)


def _order(
    method: Literal["sft", "grpo"],
    recipe: str,
    model: str,
    data: list[str],
    out: Path,
    held_out: list[Path] | None,
    frames: Path | None,
    settings: list[str] | None,
) -> Order:
    from vau.training.recipes import load_recipe

    settled = load_recipe(recipe, _changes(settings or []))
    if settled.method != method:
        raise InputError(f"the recipe {settled.name} is for {settled.method}: use vau train {settled.method}")
    from vau.training.tuning.model import check_packages

    check_packages(settled.model)
    from vau.training.tuning.run import Order

    return Order(settled, model, tuple(data), out, tuple(held_out or ()), frames)


def _changes(settings: list[str]) -> dict[str, object]:
    changes: dict[str, object] = {}
    for item in settings:
        key, sign, value = item.partition("=")
        if not sign or not key.strip():
            raise InputError(f"--set {item!r}: write KEY=VALUE, such as optimiser.max_steps=10")
        try:
            changes[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise InputError(f"--set {item!r}: not readable as YAML") from error
    return changes


def _loggers(tensorboard: Path | None, project: str) -> Log | None:
    from vau.training.scorer import loggers

    logs = [loggers.tensorboard(tensorboard)] if tensorboard is not None else []
    return loggers.several(logs + ([loggers.wandb(project)] if project else []))


def _go(order: Order, dry_run: bool, log: Log | None, as_json: bool, quiet: bool) -> None:
    if dry_run:
        _estimate(order, as_json, quiet)
        return
    with stages(f"{order.recipe.name}: {order.model}", quiet) as progress:
        if order.recipe.method == "sft":
            from vau.training.sft import train_sft

            card = train_sft(order, progress=progress, log=log)
        else:
            from vau.training.grpo import train_grpo

            card = train_grpo(order, progress=progress, log=log)
    if not card:  # another process of this run tells
        return
    if as_json:
        print_json(card)
        return
    for text in card["warnings"].values():
        typer.echo(f"warning: {clean(text)}", err=True)
    if not quiet:
        screen = console()
        for name, (first, last) in card["figures"].items():
            screen.print(f"  {clean(name)}: {first:g} -> {last:g}", highlight=False)
        screen.print(f"Written to {clean(str(order.out / 'model'))}", soft_wrap=True)


def _estimate(order: Order, as_json: bool, quiet: bool) -> None:
    from dataclasses import asdict

    from vau.training.tuning.estimate import estimate
    from vau.training.tuning.model import open_processor
    from vau.training.tuning.run import prepare

    with waiting("counting", quiet):
        config, processor = open_processor(order.model)
        prepared = prepare(order)
        found = estimate(order.recipe, config, processor, prepared.rows, prepared.store)
    if as_json:
        print_json(asdict(found) | {"total_gib": found.total_gib})
        return
    screen = console()
    for name, value in found.lines():
        screen.print(f"{name}: {value}", markup=False, highlight=False)
