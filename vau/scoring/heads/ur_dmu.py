"""UR-DMU: dual memories of normal and abnormal patterns (Zhou et al., AAAI 2023, sections 3.2 to 3.4).

A convolution and dual attention embed the snippets, two memories answer them, a small network scores the embedding
together with the answers. Sizes are those of the authors' code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vau.scoring.heads.attention import DualLayer
from vau.scoring.heads.base import Head, HeadOutput


@dataclass
class Recall:
    """Embedding of a batch, and what the two memories answer to it; W is the width."""

    embedded: Tensor  # (B, T, W)
    normal_match: Tensor  # (B, T) in [0, 1], how well the normal memory knows a snippet
    abnormal_match: Tensor  # (B, T) in [0, 1]
    normal_mean: Tensor  # (B, T, W) answer of the normal memory, as the mean of a Gaussian
    normal_log_variance: Tensor  # (B, T, W) of the same Gaussian
    abnormal_mean: Tensor  # (B, T, W) answer of the abnormal memory


class Memory(nn.Module):
    """Slots that a snippet is matched with; the answer is the sum of the slots, each weighted by its match."""

    def __init__(self, slots: int, width: int) -> None:
        super().__init__()
        self.slots = nn.Parameter(torch.empty(slots, width).uniform_(-(width**-0.5), width**-0.5))
        self.best = slots // 16 + 1

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Asks the memory about x (B, T, W).

        Returns:
            The mean of the best matches (B, T) in [0, 1], and the answer (B, T, W).
        """
        weights = torch.sigmoid(x @ self.slots.T / math.sqrt(self.slots.shape[1]))
        return weights.topk(self.best, dim=-1).values.mean(-1), weights @ self.slots


class UrDmuHead(Head):
    """The network of UR-DMU."""

    def __init__(
        self,
        *,
        input_size: int = 1024,
        width: int = 512,
        layers: int = 2,
        attention_heads: int = 4,
        head_width: int = 128,
        normal_slots: int = 60,
        abnormal_slots: int = 60,
        classifier_width: int = 128,
        dropout: float = 0.5,
        chunk: int = 512,
    ) -> None:
        """Builds the network.

        Args:
            input_size: D of the features.
            width: W, of the embedding and of the memories' slots.
            layers: dual-attention layers.
            attention_heads: heads a layer.
            head_width: size of each.
            normal_slots: of the normal memory.
            abnormal_slots: of the abnormal memory.
            classifier_width: hidden units of the network that scores.
            dropout: probability in the attention layers.
            chunk: snippets that see each other at test. Ours: the authors test whole videos, whose cost is quadratic.
        """
        super().__init__()
        self.chunk = chunk
        self.width = width
        self.convolution = nn.Conv1d(input_size, width, 3, padding=1)
        self.layers = nn.ModuleList(
            DualLayer(width, heads=attention_heads, head_width=head_width, hidden=width, dropout=dropout)
            for _ in range(layers)
        )
        self.normal_memory = Memory(normal_slots, width)
        self.abnormal_memory = Memory(abnormal_slots, width)
        self.mean = nn.Linear(width, width)
        self.log_variance = nn.Linear(width, width)
        self.score = nn.Sequential(nn.Linear(2 * width, classifier_width), nn.ReLU(), nn.Linear(classifier_width, 1))

    def recall(self, features: Tensor, mask: Tensor) -> Recall:
        """Embeds features (B, T, D) under mask (B, T) and asks both memories."""
        masked = features * mask[..., None]  # the convolution must see zeros beyond the end
        x = torch.relu(self.convolution(masked.transpose(1, 2))).transpose(1, 2)
        for layer in self.layers:
            x = layer(x, mask)
        normal_match, normal = self.normal_memory(x)
        abnormal_match, abnormal = self.abnormal_memory(x)
        return Recall(
            embedded=x,
            normal_match=normal_match,
            abnormal_match=abnormal_match,
            normal_mean=self.mean(normal),
            normal_log_variance=self.log_variance(normal),
            abnormal_mean=self.mean(abnormal),
        )

    def classify(self, recall: Recall, normal_answer: Tensor | None = None) -> HeadOutput:
        """Scores an embedded batch.

        Args:
            recall: what `recall` returned.
            normal_answer: (B, T, W) in place of the mean answer of the normal memory: a draw, in training.

        Returns:
            Logits (B, T); `extra["features"]` (B, T, 2 W) is what they were computed from.
        """
        answer = recall.normal_mean if normal_answer is None else normal_answer
        features = torch.cat([recall.embedded, answer + recall.abnormal_mean], dim=-1)
        return HeadOutput(self.score(features).squeeze(-1), extra={"features": features})

    def forward(self, features: Tensor, mask: Tensor, text: Tensor | None = None) -> HeadOutput:
        """Scores a padded batch with the mean answers of both memories."""
        return self.classify(self.recall(features, mask))
