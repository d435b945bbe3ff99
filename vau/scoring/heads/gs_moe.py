"""GS-MoE: one expert a class over UR-DMU features, and a gate over the experts (arXiv 2508.06318, sections 3.2 to 3.4).

No official code is public; the default sizes are the paper's as others reported them. They contradict themselves: these
layers hold 116 million parameters, 6 in each of 13 experts, where 16 and 0.5 are reported; give smaller ones where
that matters. The paper's figures are not claimed. Ours: experts speak in logits, and `class_logits` reads them against
a normal class of logit 0; and each attention of the gate is added to what asks. No source says so, but attention alone
averages over the video, and the gate then gave all of its snippets one score.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from vau.scoring.heads.attention import MaskedAttention, TransformerBlock
from vau.scoring.heads.base import Head, HeadOutput
from vau.scoring.heads.ur_dmu import UrDmuHead


class Expert(nn.Module):
    """Scores one class of anomaly: a transformer block and a GELU network."""

    def __init__(self, width: int, *, heads: int, hidden: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.block = TransformerBlock(width, heads=heads, hidden=hidden)
        self.score = _network([width, *sizes, 1])

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Maps x (B, T, W) with mask (B, T) to logits (B, T)."""
        result: Tensor = self.score(self.block(x, mask)).squeeze(-1)
        return result


class Gate(nn.Module):
    """Weighs the experts' scores by attention between them and the features, in both directions."""

    def __init__(self, width: int, *, experts: int, heads: int, hidden: int, sizes: Sequence[int]) -> None:
        super().__init__()
        self.project = nn.Linear(experts, width)
        self.from_features = MaskedAttention(width, heads)
        self.from_scores = MaskedAttention(width, heads)
        self.block = TransformerBlock(2 * width, heads=heads, hidden=hidden)
        self.score = _network([2 * width, *sizes, 1])

    def forward(self, x: Tensor, scores: Tensor, mask: Tensor) -> Tensor:
        """Joins features and experts.

        Args:
            x: (B, T, W) features.
            scores: (B, T, experts) in [0, 1].
            mask: (B, T) bool.

        Returns:
            Logits (B, T).
        """
        projected = self.project(scores)
        attended = [x + self.from_features(x, projected, mask), projected + self.from_scores(projected, x, mask)]
        result: Tensor = self.score(self.block(torch.cat(attended, dim=-1), mask)).squeeze(-1)
        return result


class GsMoeHead(Head):
    """UR-DMU features, class experts, and a gate."""

    def __init__(
        self,
        *,
        classes: int,
        base: dict[str, Any] | None = None,
        expert_heads: int = 2,
        expert_hidden: int = 512,
        expert_sizes: Sequence[int] = (512, 256, 128, 64),
        gate_heads: int = 4,
        gate_hidden: int = 1024,
        gate_sizes: Sequence[int] = (1024, 512, 256, 128),
    ) -> None:
        """Builds the network.

        Args:
            classes: C, one expert each: anomaly classes, or clusters of abnormal videos where classes are unknown.
            base: constructor arguments of `UrDmuHead`, whose width decides that of the rest (twice as wide).
            expert_heads: attention heads of an expert.
            expert_hidden: units of its feed-forward part.
            expert_sizes: hidden layers of its network.
            gate_heads: attention heads of the gate.
            gate_hidden: units of its feed-forward part; the paper's value is unknown.
            gate_sizes: hidden layers of its network.
        """
        super().__init__()
        self.base = UrDmuHead(**(base or {}))
        self.chunk = self.base.chunk
        width = 2 * self.base.width
        self.experts = nn.ModuleList(
            Expert(width, heads=expert_heads, hidden=expert_hidden, sizes=expert_sizes) for _ in range(classes)
        )
        self.gate = Gate(width, experts=classes, heads=gate_heads, hidden=gate_hidden, sizes=gate_sizes)

    def assemble(self, coarse: HeadOutput, mask: Tensor) -> HeadOutput:
        """Adds experts and gate to the base's output.

        Returns:
            The gate's logits; `class_logits` (B, T, 1 + C); `extra` holds `coarse` (B, T), the base's logits, `experts`
            (B, T, C), and `features` (B, T, 2 W).
        """
        features = coarse.extra["features"]
        experts = torch.stack([expert(features, mask) for expert in self.experts], dim=-1)
        logits = self.gate(features, torch.sigmoid(experts), mask)
        class_logits = torch.cat([torch.zeros_like(experts[..., :1]), experts], dim=-1)
        extra = {"coarse": coarse.logits, "experts": experts, "features": features}
        return HeadOutput(logits, class_logits, extra)

    def forward(self, features: Tensor, mask: Tensor, text: Tensor | None = None) -> HeadOutput:
        """Scores a padded batch; see `assemble`."""
        return self.assemble(self.base(features, mask), mask)


def _network(sizes: Sequence[int]) -> nn.Sequential:
    """Dense layers of these sizes with GELU between them."""
    layers: list[nn.Module] = []
    for size, after in pairwise(sizes):
        layers += [nn.Linear(size, after), nn.GELU()]
    return nn.Sequential(*layers[:-1])
