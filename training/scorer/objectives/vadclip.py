"""Training of VadCLIP (Wu et al., AAAI 2024, section 3.5): what is abnormal, which class it is, and texts kept apart.

Terms and weights are those of the released code: 0.1 for the separation on UCF-Crime, 1e-4 on XD-Violence.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vau.errors import InputError
from vau.scoring.heads.base import Head
from vau.scoring.heads.prompts import PromptedTexts
from vau.scoring.heads.vadclip import VadClip
from vau.training.scorer.bags import Batch
from vau.training.scorer.objectives import Settings
from vau.training.scorer.objectives.topk import bag_cross_entropy, top_k_lengths, top_k_mean

SETTINGS = Settings("adamw", learning_rate=2e-5, weight_decay=0.01, steps=130, bags_a_side=64)  # about ten epochs


def class_top_k(class_logits: Tensor, mask: Tensor, *, plus_one: bool) -> Tensor:
    """Returns the mean (B, 1 + C) over each class's own k highest logits (B, T, 1 + C)."""
    classes = class_logits.shape[2]
    rows = class_logits.transpose(1, 2).flatten(0, 1)
    seen = mask.repeat_interleave(classes, dim=0)
    means = top_k_mean(rows, seen, top_k_lengths(seen, plus_one=plus_one))
    return means.unflatten(0, (-1, classes))


def alignment_loss(class_logits: Tensor, mask: Tensor, targets: Tensor) -> Tensor:
    """Multi-label MIL-align: cross-entropy of the top-k class logits with the labels of the video.

    Args:
        class_logits: (B, T, 1 + C).
        mask: (B, T) bool.
        targets: (B, 1 + C) non-negative, a positive sum a row; several labels share the weight.
    """
    shares = targets / targets.sum(dim=1, keepdim=True)
    logged = class_top_k(class_logits, mask, plus_one=True).log_softmax(dim=1)
    return -(shares * logged).sum(dim=1).mean()


def separation_loss(text: Tensor) -> Tensor:
    """Returns the mean absolute cosine between the normal text and each class text, for text (1 + C, E)."""
    return functional.cosine_similarity(text[1:], text[:1]).abs().mean()


@dataclass(frozen=True)
class VadClipObjective:
    """Binary MIL, MIL-align and separation."""

    text: Tensor  # (1 + C, E) unit norm, row 0 normal; the order of the bags' labels
    separation: float = 0.1
    prompts: PromptedTexts | None = None  # learned tokens in place of `text`; the head must own them to train them

    def __call__(self, head: Head, batch: Batch, *, generator: torch.Generator, step: int) -> dict[str, Tensor]:
        """Computes the three terms.

        Raises:
            InputError: the head is not VadCLIP, or a label has no text.
        """
        if not isinstance(head, VadClip):
            raise InputError(f"this objective trains VadCLIP, got {type(head).__name__}")
        if int(batch.labels.max()) >= len(self.text):
            raise InputError(f"there are {len(self.text)} class texts, but a bag has label {int(batch.labels.max())}")
        text = (self.text if self.prompts is None else self.prompts()).to(batch.features.device)
        output = head(batch.features, batch.mask, text)
        assert output.class_logits is not None
        targets = functional.one_hot(batch.labels, len(text)).to(output.logits.dtype)
        return {
            "top_k": bag_cross_entropy(output.extra["binary"], batch.mask, batch.abnormal),
            "alignment": alignment_loss(output.class_logits, batch.mask, targets),
            "separation": self.separation * separation_loss(output.extra["text"]),
        }
