"""A transformer over time that sees only near neighbours: rotary positions and a band mask.

Positions enter as angles between query and key, so that only distances count, and each layer reaches `window` steps to
either side; time and memory are linear in the length. It knows no text.
Source: Su et al., RoFormer, 2021; the band of +-12 is LaGoVAD's (2503.13160, section 3). Feed-forward size 4 and GELU
are the transformer's own; the paper does not state them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_BLOCK = 64  # steps that attend together


def rotate(x: Tensor) -> Tensor:
    """Turns each pair of channels by an angle that grows with time.

    Args:
        x: (..., T, heads, d) with d even; channel i and i + d/2 form a pair, its angle is t * 10000^(-2i/d).

    Returns:
        (..., T, heads, d); the dot product of two steps depends on their distance only.
    """
    steps, width = x.shape[-3], x.shape[-1]
    rates = 10_000.0 ** (-torch.arange(width // 2, device=x.device, dtype=x.dtype) * 2 / width)
    angles = torch.arange(steps, device=x.device, dtype=x.dtype)[:, None, None] * rates
    first, second = x.chunk(2, dim=-1)
    return torch.cat(
        [first * angles.cos() - second * angles.sin(), first * angles.sin() + second * angles.cos()], dim=-1
    )


def banded_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, window: int) -> Tensor:
    """Lets each step attend to the steps at most `window` away, with time and memory linear in T.

    Steps are cut into blocks, and each block attends to itself and to `window` steps on either side of it.

    Args:
        query: (B, T, heads, d).
        key: (B, T, heads, d).
        value: (B, T, heads, d).
        mask: (B, T) bool, False at padding, which is not attended to; but every step sees itself, so that no softmax
            is empty.
        window: largest distance in steps.

    Returns:
        (B, T, heads, d).
    """
    steps = mask.shape[1]
    block = min(_BLOCK, steps)
    beyond = -steps % block  # steps that fill the last block
    rows = functional.pad(query, (0, 0, 0, 0, 0, beyond)).unflatten(1, (-1, block))  # (B, blocks, block, heads, d)
    near = [functional.pad(part, (0, 0, 0, 0, window, window + beyond)) for part in (key, value)]
    # (B, blocks, heads, d, block + 2 * window)
    keys, values = (part.unfold(1, block + 2 * window, block).flatten(0, 1).transpose(-1, -2) for part in near)
    real = functional.pad(mask, (window, window + beyond)).unfold(1, block + 2 * window, block)
    ahead = torch.arange(block + 2 * window, device=mask.device) - torch.arange(block, device=mask.device)[:, None]
    ahead = ahead - window  # (block, block + 2 * window), from a step to the one that it sees
    allowed = ((ahead.abs() <= window) & real[:, :, None]) | (ahead == 0)
    seen = functional.scaled_dot_product_attention(
        rows.flatten(0, 1).transpose(1, 2), keys, values, attn_mask=allowed.flatten(0, 1)[:, None]
    )
    return seen.transpose(1, 2).unflatten(0, (len(mask), -1)).flatten(1, 2)[:, :steps]


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

    def forward(self, x: Tensor, mask: Tensor, window: int) -> Tensor:
        """Returns (B, T, width) for x (B, T, width) and mask (B, T) bool; each step sees `window` steps either side."""
        query, key, value = self.qkv(x).unflatten(-1, (3, self.heads, -1)).unbind(2)
        seen = banded_attention(rotate(query), rotate(key), value, mask, window)
        x = self.norms[0](x + self.drop(self.out(seen.flatten(2))))
        out: Tensor = self.norms[1](x + self.drop(self.feed(x)))
        return out


class BandEncoder(nn.Module):
    """Rotary layers with a band mask."""

    def __init__(self, width: int, layers: int, heads: int, window: int, dropout: float) -> None:
        super().__init__()
        if width % (2 * heads):
            raise ValueError(f"width must be a multiple of twice the heads, got {width} and {heads}")
        self.layers = nn.ModuleList([RotaryLayer(width, heads, dropout) for _ in range(layers)])
        self.window = window

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Returns (B, T, width) for x (B, T, width) and mask (B, T) bool; row t depends on near rows only.

        Near are those at most `window` steps away for each layer.
        """
        for layer in self.layers:
            x = layer(x, mask, self.window)
        return x
