"""Top-k multiple-instance learning: the mean of a bag's k highest scores against the bag's label.

Used by VadCLIP (AAAI 2024), UR-DMU (AAAI 2023) and LaGoVAD (ICLR 2026), which differ in k alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vau.scoring.heads.base import Head
from vau.training.scorer.bags import Batch

SHARE = 16  # one snippet in so many counts


def top_k_lengths(mask: Tensor, *, share: int = SHARE, plus_one: bool = True) -> Tensor:
    """Returns k (B,) for bags of mask (B, T): floor(length / share) + 1, or without the one, but never under 1."""
    lengths = mask.sum(1)
    return (lengths // share + int(plus_one)).clamp(min=1).minimum(lengths)


def top_k_rows(values: Tensor, mask: Tensor, k: Tensor) -> Tensor:
    """Returns which rows (B, T) hold the k (B,) highest of the values (B, T), never padding."""
    order = values.detach().masked_fill(~mask, -torch.inf).argsort(dim=1, descending=True, stable=True)
    rank = torch.arange(values.shape[1], device=values.device)
    return torch.zeros_like(mask).scatter(1, order, rank < k[:, None])


def mean_over(values: Tensor, rows: Tensor) -> Tensor:
    """Returns the mean (B,) or (B, F) of values (B, T) or (B, T, F) over the rows (B, T) that are True."""
    weights = rows / rows.sum(1, keepdim=True)
    if values.ndim == 2:
        return (torch.where(rows, values, 0) * weights).sum(1)  # not a bare product: padding may hold anything
    return torch.einsum("bt,btf->bf", weights, torch.where(rows[..., None], values, 0))


def top_k_mean(scores: Tensor, mask: Tensor, k: Tensor | None = None) -> Tensor:
    """Returns the mean (B,) of the k (B,) highest scores (B, T) of each bag, k by default of `top_k_lengths`."""
    return mean_over(scores, top_k_rows(scores, mask, top_k_lengths(mask) if k is None else k))


def bag_cross_entropy(logits: Tensor, mask: Tensor, targets: Tensor, *, plus_one: bool = True) -> Tensor:
    """Returns the mean over bags of the cross-entropy of their top-k score.

    Args:
        logits: (B, T).
        mask: (B, T) bool.
        targets: (B,) in [0, 1], or bool.
        plus_one: which k, see `top_k_lengths`.
    """
    scores = top_k_mean(torch.sigmoid(logits), mask, top_k_lengths(mask, plus_one=plus_one))
    return probability_loss(scores, targets)


def probability_loss(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Returns the mean binary cross-entropy of probabilities, which rounding may have carried past 1."""
    return functional.binary_cross_entropy(probabilities.clamp(0, 1), targets.to(probabilities.dtype))


@dataclass(frozen=True)
class TopKObjective:
    """Cross-entropy of the top-k score with the label of the bag."""

    plus_one: bool = True  # k = floor(T / 16) + 1 of VadCLIP and UR-DMU; False: max(floor(T / 16), 1) of LaGoVAD

    def __call__(self, head: Head, batch: Batch, *, generator: torch.Generator, step: int) -> dict[str, Tensor]:
        """Computes the one term."""
        logits = head(batch.features, batch.mask).logits
        return {"top_k": bag_cross_entropy(logits, batch.mask, batch.abnormal, plus_one=self.plus_one)}
