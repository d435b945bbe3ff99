"""Training of GS-MoE (arXiv 2508.06318, sections 3.1 to 3.4): UR-DMU, class experts, gate, splatting after a warm-up.

No official code is public. As others reported the paper: an expert learns from the videos of its class against all
others by top-k learning; splatting starts after a warm-up without it. Ours, for want of a source: every curve makes its
own pseudo-labels, an expert's only in videos of its class, and the three parts weigh the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from vau.errors import InputError
from vau.scoring.heads.base import Head
from vau.scoring.heads.gs_moe import GsMoeHead
from vau.training.scorer.bags import Batch
from vau.training.scorer.objectives import Settings
from vau.training.scorer.objectives.topk import bag_cross_entropy
from vau.training.scorer.objectives.ur_dmu import UrDmuObjective
from vau.training.scorer.splatting import Splatting, splatting_loss

SETTINGS = Settings(
    "adamw", learning_rate=1e-4, steps=3_000, bags_a_side=64
)  # rate and steps: UR-DMU's, none is stated


@dataclass(frozen=True)
class GsMoeObjective:
    """Terms of the base (with their names), of the experts and of the gate."""

    base: UrDmuObjective = field(default_factory=UrDmuObjective)
    splatting: Splatting | None = field(default_factory=Splatting)  # of base, experts and gate; None: top-k alone
    warm_up: int = 25  # steps without splatting; the paper has one epoch
    experts: float = 1.0
    gate: float = 1.0

    def __call__(self, head: Head, batch: Batch, *, generator: torch.Generator, step: int) -> dict[str, Tensor]:
        """Computes the terms of one step.

        Raises:
            InputError: the head is not GS-MoE, or a label has no expert.
        """
        if not isinstance(head, GsMoeHead):
            raise InputError(f"this objective trains GS-MoE, got {type(head).__name__}")
        classes = len(head.experts)
        if int(batch.labels.max()) > classes:
            raise InputError(f"label {int(batch.labels.max())} has no expert, the head has {classes}")
        mask = batch.mask
        terms, coarse = self.base.run(head.base, batch, generator=generator, step=step)
        output = head.assemble(coarse, mask)
        own = batch.labels[:, None] == torch.arange(1, classes + 1, device=mask.device)  # (B, C)
        experts = output.extra["experts"]
        terms["experts"] = self.experts * _mean_by_class(experts, mask, own)
        terms["gate"] = self.gate * bag_cross_entropy(output.logits, mask, batch.abnormal)
        if self.splatting is not None and step >= self.warm_up:
            terms["splatting_base"] = splatting_loss(coarse.logits, mask, batch.abnormal, self.splatting)
            terms["splatting_experts"] = self._splat_experts(experts, batch, own, self.splatting)
            terms["splatting_gate"] = splatting_loss(output.logits, mask, batch.abnormal, self.splatting)
        return terms

    def _splat_experts(self, experts: Tensor, batch: Batch, own: Tensor, splatting: Splatting) -> Tensor:
        """Mean over experts, each on the videos of its class and the normal ones."""
        losses = []
        for column in range(own.shape[1]):
            rows = own[:, column] | ~batch.abnormal
            losses.append(splatting_loss(experts[rows][..., column], batch.mask[rows], own[rows, column], splatting))
        return torch.stack(losses).mean()


def _mean_by_class(experts: Tensor, mask: Tensor, own: Tensor) -> Tensor:
    """Top-k cross-entropy of every expert (B, T, C) with own (B, C), "is this bag of its class", mean over experts."""
    losses = [bag_cross_entropy(experts[..., column], mask, own[:, column]) for column in range(own.shape[1])]
    return torch.stack(losses).mean()
