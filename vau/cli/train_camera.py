"""`vau train camera`: minutes of one camera's normal video in, a checkpoint with its card out."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from vau.cli.failures import guard
from vau.cli.inputs import expand
from vau.cli.progress import stages
from vau.cli.show import clean, console, print_json
from vau.cli.work import configuration, log_to_stderr


class Method(StrEnum):
    """How normality is learned."""

    DENSITY = "density"
    EFFICIENT_AD = "efficient-ad"


def camera(
    videos: Annotated[list[str], typer.Argument(help="Normal videos of one camera: files, folders, quoted patterns.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the checkpoint.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the checkpoint that OUT holds.")] = False,
    method: Annotated[
        Method, typer.Option(help="density: what moves, with named reasons; efficient-ad: heat maps, needs torch.")
    ] = Method.DENSITY,
    fps: Annotated[float, typer.Option(min=1, max=60, help="Frames a second that are looked at.")] = 12.0,
    pose: Annotated[bool, typer.Option(help="Learn poses too (density); takes most of the time.")] = True,
    causal: Annotated[bool, typer.Option(help="Scores never look ahead, as a live stream needs (density).")] = False,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of all random choices.")] = 0,
    config: Annotated[Path | None, typer.Option(help="YAML file with settings.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting, such as video.max_side=480.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the card as JSON on standard output.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only (and the JSON).")] = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks and log messages.")] = False,
) -> None:
    """Learns what a fixed camera usually sees, from normal videos alone.

    Use the result with: vau analyze VIDEO --scorer FOLDER. It says how each moment is unlike this camera: by place,
    size, speed, appearance or pose of what moves.
    """
    with guard(debug):
        log_to_stderr(debug)
        from vau.scoring.checkpoint import claim_folder
        from vau.training.camera.run import CameraTraining, train_camera

        settled = configuration(config, settings or ())
        paths = list(dict.fromkeys(path for given in videos for path in expand(given)))
        claim_folder(out, force)
        training = CameraTraining(method=method.value, fps=fps, pose=pose, causal=causal, seed=seed)
        with stages(f"{len(paths)} normal videos", quiet) as progress:
            card = train_camera(paths, out, training, settled, progress=progress)
        if as_json:
            print_json(card.model_dump(mode="json"))
        elif not quiet:
            screen = console()
            screen.print(f"{clean(card.data.name)}, {card.data.duration_s:.0f} s")
            for metric in card.metrics:
                screen.print(f"  {clean(metric.name)}: {metric} ({clean(metric.data)})", highlight=False)
            screen.print(f"Checkpoint: {clean(out)}", soft_wrap=True)
