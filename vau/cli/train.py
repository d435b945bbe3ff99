"""`vau train`: commands that train what the analysis uses; the work is done in `vau.training`, imported when run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vau.cli.failures import guard
from vau.cli.progress import stages
from vau.cli.show import clean, console
from vau.cli.work import configuration, log_to_stderr
from vau.errors import InputError

if TYPE_CHECKING:
    from vau.config import Config
    from vau.scoring.card import Card
    from vau.training.scorer.run import Texts
    from vau.training.scorer.trainer import Log

METHODS = ("auto", "clip-stats", "mil", "topk", "rtfm", "ur-dmu", "gs-moe", "vadclip", "lagovad")

train = typer.Typer(
    name="train", help="Train an anomaly scorer on your own videos.", no_args_is_help=True, add_completion=False
)


@train.callback()
def _root() -> None:
    pass


@train.command()
def scorer(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder with the folder normal/ and one folder of videos for each kind of anomaly; videos of one "
            "recording belong in one subfolder. Or a folder with labels.csv (video, label, source, spans)."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the checkpoint.")] = Path("scorer"),
    force: Annotated[bool, typer.Option("--force", help="Replace the checkpoint that OUT holds.")] = False,
    method: Annotated[
        str,
        typer.Option(
            help=f"One of {', '.join(METHODS)}; auto takes clip-stats for up to 400 videos, ur-dmu for more. "
            "mil is the deep multiple-instance ranking of Sultani et al."
        ),
    ] = "auto",
    labels: Annotated[Path | None, typer.Option(help="CSV or JSON lines with the labels.")] = None,
    normal: Annotated[str, typer.Option(help="Label, or name of the folder, that means normal.")] = "normal",
    name: Annotated[str, typer.Option(help="How reports call the data; the folder's name otherwise.")] = "",
    features: Annotated[
        Path | None, typer.Option(help="Folder in which features are kept between runs; OUT.features otherwise.")
    ] = None,
    parts: Annotated[
        str, typer.Option(help="Parts of the features, such as embedding,motion,signals,pose; the method's otherwise.")
    ] = "",
    validation: Annotated[
        float, typer.Option(min=0.01, max=0.5, help="Share of the videos set aside to choose the weights.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of split, weights and batches.")] = 0,
    steps: Annotated[int | None, typer.Option(min=1, help="Most optimiser steps; the method's own otherwise.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The method's own otherwise.")] = None,
    patience: Annotated[
        int, typer.Option(min=1, help="Validations without a better figure, after which it ends.")
    ] = 20,
    tensorboard: Annotated[Path | None, typer.Option(help="Folder for TensorBoard's event files.")] = None,
    wandb: Annotated[str, typer.Option(help="Project of Weights & Biases.")] = "",
    config: Annotated[Path | None, typer.Option(help="YAML file with settings.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting, such as video.sample_fps=8.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks and log messages.")] = False,
) -> None:
    """Trains an anomaly scorer on labelled videos and writes a checkpoint with its model card.

    Each video is looked at once; a run that was cut off goes on where it stopped, with the same result. The weights are
    chosen on a validation split of whole sources, never on a test set: choosing them by the test score is the field's
    most common leak. Keep the videos that you will test on out of FOLDER. Then: vau analyze VIDEO --scorer OUT
    """
    with guard(debug):
        log_to_stderr(debug)
        if method not in METHODS:
            raise InputError(f"--method {method!r}: choose from {', '.join(METHODS)}")
        settled = configuration(config, settings or ())
        from vau.scoring.card import doubt
        from vau.scoring.checkpoint import claim_folder
        from vau.training.scorer.dataset import read_dataset
        from vau.training.scorer.run import Options, train_scorer
        from vau.training.scorer.store import FeatureStore

        options = Options(
            method=method,
            parts=tuple(part.strip() for part in parts.split(",") if part.strip()),
            validation=validation,
            seed=seed,
            steps=steps,
            learning_rate=learning_rate,
            patience=patience,
        )
        if learning_rate is not None and not 0 < learning_rate < math.inf:
            raise InputError(f"--learning-rate must be positive and finite, got {learning_rate}")
        dataset = read_dataset(folder, labels=labels, normal=normal, name=name)
        claim_folder(out, force)
        place = out.resolve()  # folders beside it get its name, which "." does not have
        log = _log(tensorboard, wandb)
        texts = _texts(settled) if method in ("vadclip", "lagovad") else None
        store = FeatureStore(features or place.with_name(place.name + ".features"), settled)
        with stages(f"{dataset.name}: {len(dataset.items)} videos", quiet) as progress:
            card = train_scorer(dataset, store, options, place, texts=texts, progress=progress, log=log)
        for line in store.skipped:
            typer.echo(f"left out: {clean(line)}", err=True)
        if doubt(card):
            typer.echo(f"warning: {clean(doubt(card))}", err=True)
        if not quiet:
            _tell(card, out)


def _log(tensorboard: Path | None, project: str) -> Log | None:
    if tensorboard is None and not project:
        return None
    from vau.training.scorer import loggers

    logs = [loggers.tensorboard(tensorboard)] if tensorboard is not None else []
    return loggers.several(logs + ([loggers.wandb(project)] if project else []))


def _texts(config: Config) -> Texts:
    from vau.scoring.load import class_texts

    return class_texts(config.perception)


def _tell(card: Card, out: Path) -> None:
    screen = console()
    data = card.data
    screen.print(
        f"{card.kind} on {data.videos} videos ({data.abnormal} abnormal) of {data.sources} sources", markup=False
    )
    for metric in card.metrics:
        screen.print(f"  {metric.name} {metric}: {metric.data}", markup=False)
    screen.print(f"Written to {clean(str(out))}; use it: vau analyze VIDEO --scorer {clean(str(out))}", markup=False)
