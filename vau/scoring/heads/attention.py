"""Attention over time that the score heads share. Rows at padding never reach others.

`DualAttention` and its transformer follow UR-DMU (Zhou et al., AAAI 2023, section 3.2).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class DualAttention(nn.Module):
    """Heads that each join softmax attention with a fixed attention to near snippets, both with their own values.

    The fixed weight of snippet j for snippet i is exp(-|i - j| / e), each row scaled to sum 1. The authors' code scales
    columns instead, which differs at the ends of a video only; rows are what their paper states.
    """

    def __init__(self, width: int, *, heads: int, head_width: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(width, 4 * heads * head_width, bias=False)
        self.join = nn.Sequential(nn.Linear(2 * heads * head_width, width), nn.Dropout(dropout))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Maps x (B, T, width) with mask (B, T) to (B, T, width)."""
        parts = self.project(x).unflatten(-1, (4, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, far, near = parts.unbind(0)  # each (B, heads, T, head width)
        by_content = functional.scaled_dot_product_attention(query, key, far, attn_mask=mask[:, None, None, :])
        by_distance = near_weights(mask)[:, None] @ near
        both = torch.cat([by_content, by_distance], dim=-1)
        result: Tensor = self.join(both.transpose(1, 2).flatten(2))
        return result


def near_weights(mask: Tensor) -> Tensor:
    """Returns the fixed attention (B, T, T) for a mask (B, T): 0 towards padding, rows of sum 1."""
    place = torch.arange(mask.shape[1], device=mask.device, dtype=torch.float32)
    weights = torch.exp(-(place[:, None] - place).abs() / math.e) * mask[:, None, :]
    total = weights.sum(-1, keepdim=True)
    return weights / total.clamp_min(torch.finfo(weights.dtype).tiny)  # a row far into the padding sums to 0


class DualLayer(nn.Module):
    """Pre-norm transformer layer with dual attention and a GELU feed-forward part."""

    def __init__(self, width: int, *, heads: int, head_width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = DualAttention(width, heads=heads, head_width=head_width, dropout=dropout)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, width),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Maps x (B, T, width) with mask (B, T) to (B, T, width)."""
        x = x + self.attention(self.norm(x), mask)
        result: Tensor = x + self.feed_forward(x)
        return result


class TransformerBlock(nn.Module):
    """Pre-norm transformer layer with softmax attention and a ReLU feed-forward part."""

    def __init__(self, width: int, *, heads: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = MaskedAttention(width, heads)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, width)
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Maps x (B, T, width) with mask (B, T) to (B, T, width)."""
        normed = self.norm(x)
        x = x + self.attention(normed, normed, mask)
        result: Tensor = x + self.feed_forward(x)
        return result


class MaskedAttention(nn.Module):
    """Multi-head softmax attention whose weights come from one sequence and whose values may come from another."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, x: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """Attends over time.

        Args:
            x: (B, T, width), gives queries and keys.
            values: (B, T, width), gives values.
            mask: (B, T) bool, False at padding.

        Returns:
            (B, T, width).
        """
        result: Tensor = self.attention(x, x, values, key_padding_mask=~mask, need_weights=False)[0]
        return result
