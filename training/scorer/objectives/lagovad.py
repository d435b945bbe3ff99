"""Training of LaGoVAD (2503.13160, section 3): definitions that change with every batch, dense pseudo-labels, contrast.

Terms have weight 1, as released. Ours: descriptions belong to classes, since a bag carries no caption of its own;
which other classes a definition names is drawn anew each time; a class may be left out, and its videos are then normal
by that definition; the scale 1/0.07 of normalised similarities, which the paper does not state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from vau.errors import InputError
from vau.scoring.heads.base import Head
from vau.training.scorer.bags import Batch
from vau.training.scorer.objectives import Settings
from vau.training.scorer.objectives.topk import top_k_lengths, top_k_mean
from vau.training.scorer.objectives.vadclip import class_top_k

SETTINGS = Settings("adamw", learning_rate=5e-5, steps=13_000, bags_a_side=32)  # about 40 epochs of PreVAD
SHARPNESS = 0.02  # temperature of the weights that pool a video's abnormal and normal part
LEAST_RANGE = 0.2  # of an abnormal video's scores, from which its normal part is a negative
SMOOTHING = 0.1  # of the contrastive labels
SCALE = 1 / 0.07  # of normalised similarities
Mining = Literal["paper", "code", "none"]


@dataclass(frozen=True)
class DefinitionBank:
    """Text embeddings of the classes, from which every batch draws its definition."""

    names: Tensor  # (1 + C, E) unit norm, row 0 normal
    descriptions: tuple[Tensor, ...] = ()  # 1 + C of (K, E): wordings of each class; empty where there are names only

    def __post_init__(self) -> None:
        if self.names.ndim != 2 or len(self.names) < 2:
            raise InputError(f"names must be (1 + C, E) with C >= 1, got {self.names.shape = }")
        if self.descriptions and [len(self.names)] != [len(self.descriptions)]:
            raise InputError(f"{len(self.names)} names need as many sets of descriptions, got {len(self.descriptions)}")
        if any(item.ndim != 2 or not len(item) or item.shape[1] != self.names.shape[1] for item in self.descriptions):
            raise InputError(f"each set of descriptions must be (K, {self.names.shape[1]}) with K >= 1")

    def draw(
        self, labels: Tensor, generator: torch.Generator, *, described: bool, undefined: float
    ) -> tuple[Tensor, Tensor]:
        """Draws a definition for a batch.

        Args:
            labels: (B,) classes of the bags, 0 normal.
            generator: source of the choices, on the CPU.
            described: take a description of each class in place of its name.
            undefined: probability that a class of the batch is left out of the definition; one always stays.

        Returns:
            Texts (1 + S, E) and targets (B,), the row of each bag's class in them; bags of a class left out get 0.

        Raises:
            InputError: a label has no text.
        """
        classes = len(self.names) - 1
        if int(labels.max()) > classes:
            raise InputError(f"the bank knows {classes} classes, but a bag has label {int(labels.max())}")
        present = torch.zeros(classes + 1, dtype=torch.bool)
        present[labels.cpu()] = True
        share, chances = torch.rand((), generator=generator), torch.rand(classes + 1, generator=generator)
        chosen = torch.where(present, chances >= undefined, chances < share)
        if bool(present[1:].any()) and not bool((chosen & present)[1:].any()):
            best = chances.masked_fill(~present, -1.0)[1:].argmax() + 1
            chosen[best] = True
        chosen[0] = True
        kept = chosen.nonzero()[:, 0]
        rows = torch.zeros(classes + 1, dtype=torch.long)
        rows[kept] = torch.arange(len(kept))
        return self._texts(kept, generator, described).to(labels.device), rows[labels.cpu()].to(labels.device)

    def _texts(self, kept: Tensor, generator: torch.Generator, described: bool) -> Tensor:
        if not described:
            return self.names[kept]
        picks = [self.descriptions[int(index)] for index in kept]
        return torch.stack([item[int(torch.randint(len(item), (), generator=generator))] for item in picks])


def bag_loss(logits: Tensor, mask: Tensor, targets: Tensor, *, share: int = 16) -> Tensor:
    """Returns the cross-entropy of the mean of the max(T // share, 1) highest logits (B, T) with targets (B,)."""
    means = top_k_mean(logits, mask, top_k_lengths(mask, share=share, plus_one=False))
    return functional.binary_cross_entropy_with_logits(means, targets.to(means.dtype))


def dense_losses(logits: Tensor, mask: Tensor, labels: Tensor, abnormal: Tensor) -> tuple[Tensor, Tensor]:
    """The two parts of L_dvs.

    Args:
        logits: (B, T).
        mask: (B, T) bool.
        labels: (B, T) pseudo-labels in [0, 1].
        abnormal: (B,) bool; labels of the other bags are taken as 0.

    Returns:
        Mean cross-entropy a step, and MIL over a quarter of the labelled span (normal bags: of the whole).
    """
    labels = labels * abnormal[:, None]
    pointwise = functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    span = mask & (labels > 0.5)
    span = torch.where(span.any(dim=1, keepdim=True), span, mask)
    return pointwise[mask].mean(), bag_loss(logits, span, abnormal, share=4)


def contrast_loss(
    temporal: Tensor,
    logits: Tensor,
    mask: Tensor,
    text: Tensor,
    targets: Tensor,
    *,
    mining: Mining = "paper",
    labels: Tensor | None = None,
) -> Tensor:
    """L_neg: each class text is near the abnormal part of its videos, and far from their normal part.

    Args:
        temporal: (B, T, W) features before fusion.
        logits: (B, T); they say where a video is abnormal and get no gradient from here.
        mask: (B, T) bool.
        text: (1 + S, W); row 0 and classes without a video take no part.
        targets: (B,) rows of the text, 0 for normal videos.
        mining: "paper" takes negatives from the least abnormal steps and compares unit vectors; "code" takes them from
            steps with a pseudo-label and compares vectors as they are; "none" has no negatives.
        labels: (B, T) pseudo-labels for "code"; without them all steps count.

    Returns:
        Mean of text-to-video and video-to-text cross-entropy, 0 where the batch has no abnormal video.
    """
    owners = targets > 0
    used = torch.unique(targets[owners])
    if not len(used):
        return temporal.sum() * 0.0
    logits = logits.detach()
    columns = _pool(temporal, logits / SHARPNESS, mask)
    if mining != "none":
        score = torch.sigmoid(logits)
        spread = score.masked_fill(~mask, 0.0).amax(dim=1) - score.masked_fill(~mask, 1.0).amin(dim=1)
        mined = owners & (spread >= LEAST_RANGE)
        where = mask if mining == "paper" or labels is None else mask & (labels > 0)
        where = torch.where(where.any(dim=1, keepdim=True), where, mask)
        columns = torch.cat([columns, _pool(temporal, -logits / SHARPNESS, where)[mined]])
    rows = text[used]
    if mining == "code":
        similar = rows @ columns.T
    else:
        similar = SCALE * functional.normalize(rows, dim=-1) @ functional.normalize(columns, dim=-1).T
    match = (used[:, None] == targets).to(similar.dtype)  # (S, B)
    wanted = functional.pad(match / match.sum(dim=1, keepdim=True), (0, len(columns) - len(targets)))
    to_video = _smoothed_cross_entropy(similar, wanted)
    to_text = _smoothed_cross_entropy(similar[:, : len(targets)].T[owners], match.T[owners])
    return (to_video + to_text) / 2


def _pool(features: Tensor, weights: Tensor, rows: Tensor) -> Tensor:
    """Returns means (B, W) of features (B, T, W) weighted by the softmax of weights (B, T) over the rows (B, T)."""
    return torch.einsum("bt,btw->bw", weights.masked_fill(~rows, -torch.inf).softmax(dim=1), features)


def _smoothed_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    smoothed = (1 - SMOOTHING) * targets + SMOOTHING / logits.shape[1]
    return -(smoothed * logits.log_softmax(dim=1)).sum(dim=1).mean()


@dataclass(frozen=True)
class LaGoVadObjective:
    """All terms of LaGoVAD on a batch, best one of synthetic videos (`vau.training.scorer.synthesis`)."""

    bank: DefinitionBank
    dense: bool = True  # L_dvs from the batch's frame labels; False where those are no pseudo-labels
    contrast: bool = True
    mining: Mining = "paper"
    undefined: float = 0.0  # see DefinitionBank.draw

    def __call__(self, head: Head, batch: Batch, *, generator: torch.Generator, step: int) -> dict[str, Tensor]:
        """Computes the terms of a pass with names and, where the bank has them, of one with descriptions."""
        terms = self._terms(head, batch, generator, described=False, last=not self.bank.descriptions)
        if self.bank.descriptions:
            found = self._terms(head, batch, generator, described=True, last=True)
            terms |= {f"described_{name}": value for name, value in found.items()}
        return terms

    def _terms(
        self, head: Head, batch: Batch, generator: torch.Generator, *, described: bool, last: bool
    ) -> dict[str, Tensor]:
        text, targets = self.bank.draw(batch.labels, generator, described=described, undefined=self.undefined)
        output = head(batch.features, batch.mask, text)
        if output.class_logits is None or "temporal" not in output.extra:
            raise InputError(f"this objective trains LaGoVAD, got {type(head).__name__}")
        abnormal = targets > 0
        classes = class_top_k(output.class_logits, batch.mask, plus_one=False)
        terms = {
            "top_k": bag_loss(output.logits, batch.mask, abnormal),
            "classes": functional.cross_entropy(classes, targets),
        }
        if not described and self.dense and batch.frame_labels is not None:
            terms["dense"], terms["span"] = dense_losses(output.logits, batch.mask, batch.frame_labels, abnormal)
        if last and self.contrast:
            terms["contrast"] = contrast_loss(
                output.extra["temporal"],
                output.logits,
                batch.mask,
                output.extra["text"],
                targets,
                mining=self.mining,
                labels=batch.frame_labels if self.dense else None,
            )
        return terms
