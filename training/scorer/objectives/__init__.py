"""Training objectives: named loss terms of a head on a padded batch. One file a published method.

An objective is called as `objective(head, batch, generator=generator, step=step)`. It runs the head itself, once or
more often, and returns named scalar terms, already weighted: the loss is their sum. A term may be left out at steps
where the method does not have it. `step` counts optimiser steps from 0, for schedules such as a warm-up. Random choices
inside an objective draw from `generator` alone; dropout of the head draws from torch's global generator, which the
trainer seeds. A batch holds abnormal and normal bags, the abnormal ones first; padding must never change a term.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from vau.scoring.heads.base import Head
from vau.training.scorer.bags import Batch


class Objective(Protocol):
    """A training objective."""

    def __call__(self, head: Head, batch: Batch, *, generator: torch.Generator, step: int) -> dict[str, Tensor]:
        """Computes the loss terms of one step.

        Args:
            head: the network, in training mode.
            batch: padded bags, at least one normal and one abnormal.
            generator: the source of this objective's own random choices.
            step: optimiser steps done before this one, from 0.

        Returns:
            Weighted terms by name, each a scalar; the loss is their sum.
        """
        ...


@dataclass(frozen=True)
class Settings:
    """How a paper or its code trains: the optimiser, and what one step sees."""

    optimiser: Literal["adagrad", "adadelta", "adam", "adamw"]
    learning_rate: float
    steps: int
    bags_a_side: int  # abnormal bags in a batch, and as many normal ones
    weight_decay: float = 0.0
    eps: float = 1e-8

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Returns the optimiser for these parameters."""
        kinds = {
            "adagrad": torch.optim.Adagrad,
            "adadelta": torch.optim.Adadelta,
            "adam": torch.optim.Adam,
            "adamw": torch.optim.AdamW,
        }
        return kinds[self.optimiser](parameters, lr=self.learning_rate, weight_decay=self.weight_decay, eps=self.eps)
