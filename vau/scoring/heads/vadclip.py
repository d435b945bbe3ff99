"""VadCLIP: weakly supervised detection with a local-global temporal adapter and text-aligned classes.

The C-branch scores a snippet without text, the A-branch by its likeness to class texts that the video itself has
adjusted. Source: Wu et al., AAAI 2024, sections 3.2 to 3.4, and the released code. Ours: padding is masked everywhere,
a projection where features are not of the texts' size, and the learned offset a class name where texts come embedded;
the paper's learned tokens are in `vau.scoring.heads.prompts`.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from vau.scoring.heads.base import Head, HeadOutput

_TEMPERATURE = 0.07
_ALIKE = 0.7  # cosine from which two snippets are neighbours in the similarity graph


class QuickGelu(nn.Module):
    """x * sigmoid(1.702 x), the activation of CLIP."""

    def forward(self, x: Tensor) -> Tensor:
        """Returns the activation of any shape."""
        return functional.silu(1.702 * x) / 1.702


def window_mask(mask: Tensor, window: int) -> Tensor:
    """Returns (B, T / window, window, window) bool for mask (B, T): the key of a block is no padding, or the query."""
    itself = torch.eye(window, dtype=torch.bool, device=mask.device)
    return mask.unflatten(1, (-1, window))[:, :, None] | itself


def similarity_graph(x: Tensor, mask: Tensor) -> Tensor:
    """Returns the row-normalised weights (B, T, T) of snippets that look alike.

    Cosines below 0.7 count as 0 and then enter the softmax like all others, as in the released code; padding does not.
    """
    unit = functional.normalize(x, dim=-1)
    cosines = unit @ unit.transpose(1, 2)
    cosines = torch.where(cosines < _ALIKE, torch.zeros_like(cosines), cosines)
    weights = cosines.masked_fill(~mask[:, None, :], -math.inf).softmax(dim=-1)
    return weights * mask[:, :, None]


def distance_graph(mask: Tensor) -> Tensor:
    """Returns the weights (B, T, T) exp(-|i - j| / e) between steps that are no padding, not normalised."""
    steps = torch.arange(mask.shape[1], device=mask.device, dtype=torch.float32)
    weights = torch.exp(-(steps[:, None] - steps).abs() / math.e)
    return weights * mask[:, None, :] * mask[:, :, None]


class WindowLayer(nn.Module):
    """A transformer block of CLIP (norms first) whose attention stays inside a block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), QuickGelu(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, mask: Tensor, window: int) -> Tensor:
        """Returns (B, T, width) for x (B, T, width) and mask (B, T) bool, in blocks of `window` steps."""
        x = x + self._attend(self.norms[0](x), mask, window)
        out: Tensor = x + self.feed(self.norms[1](x))
        return out

    def _attend(self, x: Tensor, mask: Tensor, window: int) -> Tensor:
        """Attention block by block: that of the whole under a block mask, at a fraction of its cost."""
        beyond = -x.shape[1] % window  # steps that fill the last block
        joint = functional.linear(x, self.attention.in_proj_weight, self.attention.in_proj_bias)
        blocks = functional.pad(joint, (0, 0, 0, beyond)).unflatten(1, (-1, window)).flatten(0, 1)
        query, key, value = blocks.unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (blocks, heads, w, d)
        allowed = window_mask(functional.pad(mask, (0, beyond)), window).flatten(0, 1)[:, None]
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        seen = seen.transpose(1, 2).flatten(2).unflatten(0, (len(x), -1)).flatten(1, 2)
        out: Tensor = self.attention.out_proj(seen[:, : x.shape[1]])
        return out


class GraphStream(nn.Module):
    """Two graph convolutions width -> width/2 -> width/2; the first residual is a convolution over 5 steps."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.first = nn.Linear(width, half, bias=False)
        self.second = nn.Linear(half, half, bias=False)
        self.skip = nn.Conv1d(width, half, 5, padding=2)
        self.act = QuickGelu()

    def forward(self, x: Tensor, graph: Tensor, mask: Tensor) -> Tensor:
        """Returns (B, T, width // 2) for x (B, T, width), graph (B, T, T) and mask (B, T)."""
        x = x * mask[..., None]
        skip = self.skip(x.transpose(1, 2)).transpose(1, 2)
        x = self.act(graph @ self.first(x) + skip)
        out: Tensor = self.act(graph @ self.second(x) + x)
        return out


class LocalGlobalAdapter(nn.Module):
    """The LGT adapter: learned positions, block-local attention, then the similarity and the distance graph."""

    def __init__(self, width: int, layers: int, heads: int, window: int, chunk: int) -> None:
        super().__init__()
        self.window = window
        self.positions = nn.Parameter(0.01 * torch.randn(chunk, width))
        self.layers = nn.ModuleList(WindowLayer(width, heads) for _ in range(layers))
        self.alike, self.near = GraphStream(width), GraphStream(width)
        self.out = nn.Linear(2 * (width // 2), width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Returns (B, T, width) for x (B, T, width), T at most the number of learned positions."""
        x = x + self.positions[: x.shape[1]]
        for layer in self.layers:
            x = layer(x, mask, self.window)
        streams = [self.alike(x, similarity_graph(x, mask), mask), self.near(x, distance_graph(mask), mask)]
        out: Tensor = self.out(torch.cat(streams, dim=-1))
        return out


class VadClip(Head):
    """The whole of VadCLIP after its frozen encoders."""

    def __init__(
        self,
        *,
        dim: int,
        text_dim: int = 512,
        layers: int = 2,
        heads: int = 1,
        window: int = 8,
        chunk: int = 256,
        classes: int = 0,
        branch: Literal["binary", "aligned"] = "binary",
    ) -> None:
        """Builds the network; the defaults are those of UCF-Crime (XD-Violence: layers 1, window 64, branch aligned).

        Args:
            dim: D of the features; where it is not `text_dim` a projection is learned (ours).
            text_dim: E of the text embeddings and width of the network.
            layers: block-local transformer layers.
            heads: of their attention.
            window: steps a block.
            chunk: longest sequence of one pass; longer videos are scored chunk by chunk.
            classes: C for a learned offset a class name (ours), which binds the head to its classes; 0 for none.
            branch: what the score is: "binary" the C-branch, "aligned" one minus the A-branch's probability of normal.
        """
        super().__init__()
        self.chunk = chunk
        self.branch = branch
        self.project = nn.Identity() if dim == text_dim else nn.Linear(dim, text_dim)
        self.adapter = LocalGlobalAdapter(text_dim, layers, heads, window, chunk)
        self.binary = nn.Sequential(nn.Linear(text_dim, 4 * text_dim), QuickGelu(), nn.Linear(4 * text_dim, text_dim))
        self.classifier = nn.Linear(text_dim, 1)
        self.adjust = nn.Sequential(nn.Linear(text_dim, 4 * text_dim), QuickGelu(), nn.Linear(4 * text_dim, text_dim))
        self.offsets = nn.Parameter(torch.zeros(1 + classes, text_dim)) if classes else None

    def forward(self, features: Tensor, mask: Tensor, text: Tensor | None = None) -> HeadOutput:
        """Scores a padded batch; arguments as in `Head.forward`, T at most `chunk`.

        Returns:
            HeadOutput; `extra`: "binary" (B, T), the C-branch's logits, and "text" (1 + C, E), the class texts with
            their offsets before the visual prompt.

        Raises:
            ValueError: `text` is None or does not fit the head's classes, or T exceeds `chunk`.
        """
        if text is None or (self.offsets is not None and len(text) != len(self.offsets)):
            wanted = "text embeddings" if self.offsets is None else f"{len(self.offsets)} text embeddings"
            raise ValueError(f"VadClip needs {wanted}, got {None if text is None else len(text)}")
        if features.shape[1] > self.adapter.positions.shape[0]:
            raise ValueError(f"VadClip reads {self.adapter.positions.shape[0]} steps a pass, got {features.shape = }")
        x = self.adapter(self.project(features), mask)
        binary = self.classifier(x + self.binary(x))[..., 0]
        texts = text if self.offsets is None else text + self.offsets
        classes = self._align(x, binary, texts, mask)
        logits = binary if self.branch == "binary" else classes[..., 1:].logsumexp(-1) - classes[..., 0]
        return HeadOutput(logits, classes, {"binary": binary, "text": texts})

    def _align(self, x: Tensor, binary: Tensor, text: Tensor, mask: Tensor) -> Tensor:
        """Returns the class logits (B, T, 1 + C) of the A-branch."""
        weights = binary.masked_fill(~mask, 0.0)  # raw logits weigh the snippets, as in the released code
        prompt = functional.normalize(torch.einsum("bt,bte->be", weights, x), dim=-1)
        adjusted = text + prompt[:, None]
        adjusted = functional.normalize(adjusted + self.adjust(adjusted), dim=-1)
        return functional.normalize(x, dim=-1) @ adjusted.transpose(1, 2) / _TEMPERATURE
