"""RTFM: the features of abnormal snippets are to be long, those of normal ones short (Tian et al., ICCV 2021).

The k snippets of a bag whose features are longest speak for it. Works with every head that puts "features" into its
extra output. Terms, weights and the dropout on the selection are those of the authors' code, with one defect left out:
its smoothness term runs over the flattened batch and so across the borders of videos.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from vau.errors import InputError
from vau.scoring.heads.base import Head
from vau.training.scorer.bags import Batch
from vau.training.scorer.objectives import Settings
from vau.training.scorer.objectives.topk import mean_over, probability_loss, top_k_lengths, top_k_rows

SETTINGS = Settings("adam", learning_rate=1e-3, weight_decay=5e-3, steps=15_000, bags_a_side=32)


@dataclass(frozen=True)
class RtfmObjective:
    """Cross-entropy and magnitude of the selected snippets, smoothness and sparsity of abnormal scores."""

    margin: float = 100.0  # length that mean abnormal features should have
    magnitude: float = 1e-4
    smoothness: float = 8e-4
    sparsity: float = 8e-3
    selection_dropout: float = 0.7  # probability that a snippet may not be selected
    share: int = 10  # k = floor(T / share): 3 of 32 segments

    def __call__(self, head: Head, batch: Batch, *, generator: torch.Generator, step: int) -> dict[str, Tensor]:
        """Computes the terms `bag`, `magnitude`, `smoothness` and `sparsity`."""
        output = head(batch.features, batch.mask)
        features = output.extra.get("features")
        if features is None:
            raise InputError(f"RTFM needs a head with features in its extra output, {type(head).__name__} has none")
        abnormal = batch.abnormal
        if int(abnormal.sum()) * 2 != len(abnormal):
            raise InputError(
                f"RTFM pairs as many abnormal as normal bags, got {int(abnormal.sum())} of {len(abnormal)}"
            )
        rows = self._select(features, batch.mask, generator)
        scores = torch.sigmoid(output.logits)
        lengths = mean_over(features, rows).norm(dim=1)
        apart = (self.margin - lengths[abnormal]).abs() + lengths[~abnormal]
        curves = torch.where(batch.mask, scores, 0)[abnormal]
        steps = torch.where(batch.mask[abnormal][:, 1:], curves[:, 1:] - curves[:, :-1], 0)
        return {
            "bag": probability_loss(mean_over(scores, rows), abnormal),
            "magnitude": self.magnitude * apart.square().mean(),
            "smoothness": self.smoothness * steps.square().sum(),
            "sparsity": self.sparsity * curves.norm(),
        }

    def _select(self, features: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
        """Which rows (B, T) speak for their bag: the longest of those that the dropout left."""
        drawn = torch.rand(mask.shape, generator=generator, device=generator.device).to(mask.device)
        magnitudes = features.detach().norm(dim=2) * (drawn >= self.selection_dropout)
        return top_k_rows(magnitudes, mask, top_k_lengths(mask, share=self.share, plus_one=False))
