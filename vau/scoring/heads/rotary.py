"""A transformer over time that sees only near neighbours: rotary positions and a band mask.

Positions enter as angles between query and key, so that only distances count, and each layer reaches `window` steps to
either side. A long sequence can therefore be encoded piece by piece with the result of one pass. It knows no text.
Source: Su et al., RoFormer, 2021; the band of +-12 is LaGoVAD's (2503.13160, section 3). Feed-forward size 4 and GELU
are the transformer's own; the paper does not state them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def rotate(x: Tensor) -> Tensor:
    """Turns each pair of channels by an angle that grows with time.

    Args:
        x: (..., T, d) with d even; channel i and i + d/2 form a pair, its angle is t * 10000^(-2i/d).

    Returns:
        (..., T, d); the dot product of two rows depends on their distance only.
    """
    steps, width = x.shape[-2:]
    rates = 10_000.0 ** (-torch.arange(width // 2, device=x.device, dtype=x.dtype) * 2 / width)
    angles = torch.arange(steps, device=x.device, dtype=x.dtype)[:, None] * rates
    first, second = x.chunk(2, dim=-1)
    return torch.cat(
        [first * angles.cos() - second * angles.sin(), first * angles.sin() + second * angles.cos()], dim=-1
    )


def band_mask(mask: Tensor, window: int) -> Tensor:
    """Says which key (last axis) each query may see.

    Args:
        mask: (B, T) bool, False at padding.
        window: largest distance in steps.

    Returns:
        (B, T, T) bool: |i - j| <= window and j is no padding; every row sees itself, so that no softmax is empty.
    """
    steps = torch.arange(mask.shape[1], device=mask.device)
    near = (steps[:, None] - steps).abs() <= window
    itself = torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
    return (near & mask[:, None, :]) | itself


def start_at_identity(*outputs: nn.Module) -> None:
    """Sets the last linear maps of residual branches to zero, so that training starts from the encoders' own space."""
    for output in outputs:
        for parameter in output.parameters():
            nn.init.zeros_(parameter)


class RotaryLayer(nn.Module):
    """Self-attention with rotary positions and a feed-forward part, each followed by its norm."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.feed = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(4 * width, width)
        )
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.drop = nn.Dropout(dropout)
        start_at_identity(self.out, self.feed[-1])

    def forward(self, x: Tensor, allowed: Tensor) -> Tensor:
        """Returns (B, T, width) for x (B, T, width) and allowed (B, T, T) bool."""
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1)
        )
        seen = functional.scaled_dot_product_attention(
            rotate(query), rotate(key), value, attn_mask=allowed[:, None], dropout_p=0.0
        )
        x = self.norms[0](x + self.drop(self.out(seen.transpose(1, 2).flatten(2))))
        out: Tensor = self.norms[1](x + self.drop(self.feed(x)))
        return out


class BandEncoder(nn.Module):
    """Rotary layers with a band mask; sequences longer than `span` are encoded in overlapping pieces, exactly."""

    def __init__(self, width: int, layers: int, heads: int, window: int, span: int, dropout: float) -> None:
        super().__init__()
        if width % (2 * heads):
            raise ValueError(f"width must be a multiple of twice the heads, got {width} and {heads}")
        self.layers = nn.ModuleList([RotaryLayer(width, heads, dropout) for _ in range(layers)])
        self.window, self.span, self.halo = window, span, layers * window

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Returns (B, T, width) for x (B, T, width) and mask (B, T) bool; row t depends on rows t +- halo only."""
        steps = x.shape[1]
        if steps <= self.span + 2 * self.halo:
            return self._encode(x, mask)
        pieces = []
        for start in range(0, steps, self.span):
            low, high = max(0, start - self.halo), min(steps, start + self.span + self.halo)
            piece = self._encode(x[:, low:high], mask[:, low:high])
            pieces.append(piece[:, start - low : start - low + self.span])
        return torch.cat(pieces, dim=1)

    def _encode(self, x: Tensor, mask: Tensor) -> Tensor:
        allowed = band_mask(mask, self.window)
        for layer in self.layers:
            x = layer(x, allowed)
        return x
