"""Training of UR-DMU (Zhou et al., AAAI 2023, section 3.5): what each memory shall know, and a score by top-k learning.

Terms and weights are those of the authors' code, but for one: there the answer of the normal memory is drawn from its
Gaussian in normal videos only, so that the noise itself tells the classes apart in training and is missing at test.
Here it is drawn in all videos; `drawn="normal"` is the code. Ours too: an optional term of splatted pseudo-labels
(see `splatting`), and averages that leave padding out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from vau.errors import InputError
from vau.scoring.heads.base import Head, HeadOutput
from vau.scoring.heads.ur_dmu import Recall, UrDmuHead
from vau.training.scorer.bags import Batch
from vau.training.scorer.objectives import Settings
from vau.training.scorer.objectives.topk import (
    bag_cross_entropy,
    mean_over,
    probability_loss,
    top_k_lengths,
    top_k_rows,
)
from vau.training.scorer.splatting import Splatting, splatting_loss

SETTINGS = Settings("adam", learning_rate=1e-4, weight_decay=5e-5, steps=3_000, bags_a_side=64)


@dataclass(frozen=True)
class UrDmuObjective:
    """All terms of UR-DMU, and temporal Gaussian splatting after a warm-up where it is asked for."""

    memories: float = 0.1
    triplet: float = 0.1
    divergence: float = 0.001
    distance: float = 0.0001
    drawn: Literal["all", "normal", "none"] = "all"  # videos in which the normal memory's answer is drawn
    triplet_margin: float = 1.0
    distance_margin: float = 100.0
    splatting: Splatting | None = None
    splatting_weight: float = 1.0
    warm_up: int = 0  # steps without splatting

    def __call__(self, head: Head, batch: Batch, *, generator: torch.Generator, step: int) -> dict[str, Tensor]:
        """Computes the terms; see `run` for the output that belongs to them."""
        return self.run(head, batch, generator=generator, step=step)[0]

    def run(
        self, head: Head, batch: Batch, *, generator: torch.Generator, step: int
    ) -> tuple[dict[str, Tensor], HeadOutput]:
        """Computes the terms of one step.

        Returns:
            The terms, and the head's output that they judge, for networks that build on it.

        Raises:
            InputError: the head is not UR-DMU, or the batch does not hold as many normal as abnormal bags.
        """
        if not isinstance(head, UrDmuHead):
            raise InputError(f"this objective trains UR-DMU, got {type(head).__name__}")
        abnormal, mask = batch.abnormal, batch.mask
        if int(abnormal.sum()) * 2 != len(abnormal):
            raise InputError(f"UR-DMU pairs normal and abnormal bags, got {int(abnormal.sum())} of {len(abnormal)}")
        recall = head.recall(batch.features, mask)
        drawn = self._draw(recall, abnormal, generator)
        output = head.classify(recall, drawn)
        terms = {"top_k": bag_cross_entropy(output.logits, mask, abnormal)}
        terms |= self._memory_terms(recall, mask, abnormal)
        terms |= self._margin_terms(recall, drawn, mask, abnormal)
        terms["divergence"] = self.divergence * _divergence(recall, mask, ~abnormal)
        if self.splatting is not None and step >= self.warm_up:
            terms["splatting"] = self.splatting_weight * splatting_loss(output.logits, mask, abnormal, self.splatting)
        return terms, output

    def _draw(self, recall: Recall, abnormal: Tensor, generator: torch.Generator) -> Tensor:
        """Answers of the normal memory (B, T, W): drawn where `drawn` says so, else the mean."""
        mean = recall.normal_mean
        if self.drawn == "none":
            return mean
        noise = torch.randn(mean.shape, generator=generator, device=generator.device).to(mean.device)
        spread = noise * (recall.normal_log_variance / 2).exp()
        return mean + (spread if self.drawn == "all" else torch.where(abnormal[:, None, None], 0, spread))

    def _memory_terms(self, recall: Recall, mask: Tensor, abnormal: Tensor) -> dict[str, Tensor]:
        """Normal videos: the normal memory knows all of it, the abnormal one nothing; abnormal ones: some of both."""
        k = top_k_lengths(mask)
        unknown = 1 - recall.normal_match
        known_abnormal = mean_over(recall.abnormal_match, top_k_rows(recall.abnormal_match, mask, k))
        unknown_abnormal = mean_over(unknown, top_k_rows(unknown, mask, k))
        inside = mask & ~abnormal[:, None]
        normal_match, abnormal_match = recall.normal_match[inside], recall.abnormal_match[inside]
        ones = torch.ones_like(known_abnormal[abnormal])
        losses = {
            "abnormal_knows_abnormal": probability_loss(known_abnormal[abnormal], ones),
            "normal_misses_abnormal": probability_loss(unknown_abnormal[abnormal], ones),
            "normal_knows_normal": probability_loss(normal_match, torch.ones_like(normal_match)),
            "abnormal_misses_normal": probability_loss(abnormal_match, torch.zeros_like(abnormal_match)),
        }
        return {name: self.memories * loss for name, loss in losses.items()}

    def _margin_terms(self, recall: Recall, drawn: Tensor, mask: Tensor, abnormal: Tensor) -> dict[str, Tensor]:
        k = top_k_lengths(mask)
        by_normal = top_k_rows(recall.normal_match, mask, k)
        by_abnormal = top_k_rows(recall.abnormal_match, mask, k)
        most_normal = functional.normalize(mean_over(recall.embedded, by_normal), dim=1)
        most_abnormal = functional.normalize(mean_over(recall.embedded, by_abnormal), dim=1)
        triplet = functional.triplet_margin_loss(
            most_normal[~abnormal], most_normal[abnormal], most_abnormal[abnormal], margin=self.triplet_margin
        )
        normal_length = mean_over(drawn, by_normal)[~abnormal].norm(dim=1)
        abnormal_length = mean_over(recall.abnormal_mean, by_abnormal)[abnormal].norm(dim=1)
        distance = torch.relu(self.distance_margin - abnormal_length + normal_length).mean()
        return {"triplet": self.triplet * triplet, "distance": self.distance * distance}


def _divergence(recall: Recall, mask: Tensor, normal: Tensor) -> Tensor:
    """Divergence of the normal answers from a unit Gaussian: sum over time, mean over bags and dimensions, as coded."""
    mean, log_variance = recall.normal_mean[normal], recall.normal_log_variance[normal]
    pointwise = -0.5 * (1 + log_variance - mean.square() - log_variance.exp())
    return torch.where(mask[normal][..., None], pointwise, 0).sum(1).mean()
