"""Where the figures of a training go besides the screen: TensorBoard or Weights & Biases, where one is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vau.errors import MissingExtraError

if TYPE_CHECKING:
    from vau.training.scorer.trainer import Log


def tensorboard(folder: Path) -> Log:
    """Returns a log that writes event files; raises MissingExtraError where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtraError("Logging to TensorBoard", "logging") from error
    writer: Any = SummaryWriter(str(folder))

    def log(step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            writer.add_scalar(name, value, step)
        writer.flush()

    return log


def wandb(project: str) -> Log:
    """Returns a log to a Weights & Biases project; raises MissingExtraError where `wandb` is not installed."""
    try:
        import wandb as library
    except ImportError as error:
        raise MissingExtraError("Logging to Weights & Biases", "logging") from error
    run: Any = library.init(project=project)

    def log(step: int, figures: Mapping[str, float]) -> None:
        run.log(dict(figures), step=step)

    return log


def several(logs: list[Log]) -> Log | None:
    """Returns one log that feeds all; None for none."""
    if not logs:
        return None

    def log(step: int, figures: Mapping[str, float]) -> None:
        for one in logs:
            one(step, figures)

    return log
