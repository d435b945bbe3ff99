"""Ranking loss of deep multiple-instance learning (Sultani et al., CVPR 2018, section 3).

The paper writes one pair of bags; the authors' code compares every abnormal bag with every normal one, sums over the
abnormal and averages over the normal. The default is the code. The paper's text and the code disagree on the learning
rate (0.001 there, 0.01 here) and on the weight of the L2 term; the code's values stand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from vau.errors import InputError
from vau.scoring.heads.base import Head
from vau.training.scorer.bags import Batch
from vau.training.scorer.objectives import Settings

SETTINGS = Settings("adagrad", learning_rate=0.01, steps=20_000, bags_a_side=30)
PORT_SETTINGS = Settings("adadelta", learning_rate=0.01, steps=40_000, bags_a_side=30)


@dataclass(frozen=True)
class SultaniObjective:
    """Ranking of bag maxima, sparsity and smoothness of abnormal bags, and the L2 norm of the weights.

    `pairs` chooses between the authors' code and a widespread PyTorch port: "all" pairs with sums over the abnormal
    bags, or "matched", the i-th abnormal with the i-th normal bag, everything averaged over pairs, and for each layer
    the plain norm of weights and biases together.
    """

    pairs: Literal["all", "matched"] = "all"
    sparsity: float = 8e-5
    smoothness: float = 8e-5
    weights: float = 1e-3

    def __call__(self, head: Head, batch: Batch, *, generator: torch.Generator, step: int) -> dict[str, Tensor]:
        """Computes the terms `ranking`, `sparsity`, `smoothness` and `weights`."""
        scores = torch.where(batch.mask, torch.sigmoid(head(batch.features, batch.mask).logits), 0)
        maxima = scores.amax(1)  # scores are never below 0, the value at padding
        abnormal, normal = maxima[batch.abnormal], maxima[~batch.abnormal]
        curves, rows = scores[batch.abnormal], batch.mask[batch.abnormal]
        steps = torch.where(rows[:, 1:], curves[:, 1:] - curves[:, :-1], 0)
        sparsity, smoothness = curves.sum(), steps.square().sum()
        if self.pairs == "all":
            ranking = torch.relu(1 - abnormal[None, :] + normal[:, None]).sum(1).mean()
            penalty = sum((weight.square().sum() for weight in _kernels(head)), scores.new_zeros(()))
        else:
            if len(abnormal) != len(normal):
                raise InputError(
                    f"matched pairs need as many abnormal as normal bags, got {len(abnormal)}, {len(normal)}"
                )
            ranking = torch.relu(1 - abnormal + normal).mean()
            sparsity, smoothness = sparsity / len(abnormal), smoothness / len(abnormal)
            penalty = sum((vector.norm() for vector in _layers(head)), scores.new_zeros(()))
        return {
            "ranking": ranking,
            "sparsity": self.sparsity * sparsity,
            "smoothness": self.smoothness * smoothness,
            "weights": self.weights * penalty,
        }


def _kernels(head: nn.Module) -> list[Tensor]:
    return [parameter for parameter in head.parameters() if parameter.ndim > 1]


def _layers(head: nn.Module) -> list[Tensor]:
    """One vector for each layer that has a kernel: all its parameters, flattened."""
    owned = [list(module.parameters(recurse=False)) for module in head.modules()]
    return [torch.cat([p.flatten() for p in layer]) for layer in owned if any(p.ndim > 1 for p in layer)]
