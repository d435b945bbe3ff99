"""LaGoVAD: an anomaly score that depends on the video and on a written definition of what is abnormal.

Definitions are text embeddings, given with every call, so they can change without training. Source: Liu et al.,
2503.13160, section 3 and its released code. Where neither says so the choice is ours: the projections to one width,
the learned role marks of normal and abnormal texts, inputs scaled to unit channels, and fusion in spans of long
videos. The paper's 32 soft tokens belong to the text tower: see `vau.scoring.heads.prompts`; here texts come embedded.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from vau.scoring.heads.base import Head, HeadOutput
from vau.scoring.heads.rotary import BandEncoder, start_at_identity

_MIN_TEMPERATURE = 0.01


class CoAttention(nn.Module):
    """Text attends to the video and the video to the text, both from the layer's inputs; norms come after."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.to_text = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.to_video = nn.MultiheadAttention(width, heads, dropout, batch_first=True)
        self.feeds = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(4 * width, width))
            for _ in range(2)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(4))
        self.drop = nn.Dropout(dropout)
        start_at_identity(self.to_text.out_proj, self.to_video.out_proj, *(feed[-1] for feed in self.feeds))

    def forward(self, video: Tensor, text: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Returns both, fused: video (B, T, width), text (B, 1 + C, width), mask (B, T) bool with a True a row."""
        read, _ = self.to_text(text, video, video, key_padding_mask=~mask, need_weights=False)
        told, _ = self.to_video(video, text, text, need_weights=False)
        text = self.norms[0](text + self.drop(read))
        text = self.norms[1](text + self.drop(self.feeds[0](text)))
        video = self.norms[2](video + self.drop(told))
        video = self.norms[3](video + self.drop(self.feeds[1](video)))
        return video, text


class LaGoVad(Head):
    """Temporal encoder, fusion with the definitions, a binary and a multi-class head; videos of any length."""

    def __init__(
        self,
        *,
        dim: int,
        text_dim: int = 512,
        width: int | None = None,
        layers: int = 2,
        heads: int = 4,
        window: int = 12,
        fusion_layers: int = 2,
        fusion_heads: int = 8,
        kernel: int = 9,
        dropout: float = 0.1,
        span: int = 512,
        roles: bool = True,
        matched: bool = False,
    ) -> None:
        """Builds the network; the defaults are the paper's.

        Args:
            dim: D of the features.
            text_dim: E of the text embeddings.
            width: channels inside; None takes `text_dim`. Features or texts of another size are projected.
            layers: of the temporal encoder.
            heads: of the temporal encoder.
            window: steps to either side that one layer of it sees.
            fusion_layers: co-attention layers.
            fusion_heads: their heads.
            kernel: steps that the binary heads see, odd.
            dropout: in all layers.
            span: longest run of steps that the texts see at once; longer videos are fused span by span.
            roles: mark row 0 of the texts as normal and the others as abnormal by a learned vector (ours).
            matched: add to the binary logits, by a learned weight that starts at 1, how much better the best abnormal
                text fits than the normal one (ours).

        Raises:
            ValueError: `kernel` is even, or `width` does not fit the heads.
        """
        super().__init__()
        width = text_dim if width is None else width
        if kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, got {kernel}")
        self.span = span
        self.video_in = nn.Identity() if dim == width else nn.Linear(dim, width)
        self.text_in = nn.Identity() if text_dim == width else nn.Linear(text_dim, width, bias=False)
        self.roles = nn.Parameter(torch.zeros(2, width)) if roles else None
        self.temporal = BandEncoder(width, layers, heads, window, dropout)
        self.fusion = nn.ModuleList(CoAttention(width, fusion_heads, dropout) for _ in range(fusion_layers))
        self.before = nn.Conv1d(width, 1, kernel)
        self.after = nn.Conv1d(width, 1, kernel)
        self.alpha = nn.Parameter(torch.tensor(0.25))
        self.temperature = nn.Parameter(torch.tensor(0.2))
        self.match = nn.Parameter(torch.tensor(1.0)) if matched else None

    def forward(self, features: Tensor, mask: Tensor, text: Tensor | None = None) -> HeadOutput:
        """Scores a padded batch; arguments as in `Head.forward`, padding at the end of each row.

        Returns:
            HeadOutput; class logits are cosines over the learned temperature. `extra`: "temporal" (B, T, width), the
            features before fusion, and "text" (1 + C, width), the texts before fusion, for the contrastive loss.

        Raises:
            ValueError: `text` is None.
        """
        if text is None:
            raise ValueError("LaGoVad needs the text embeddings of its definitions, got None")
        width = self.before.in_channels
        texts = self.text_in(text)
        video = self.video_in(functional.normalize(features, dim=-1) * features.shape[-1] ** 0.5)
        video = video + self.temporal(video, mask)
        fused, classes = self._fuse(video, functional.normalize(texts, dim=-1) * width**0.5, mask)
        share = torch.sigmoid(10 * self.alpha)
        logits = share * _along(self.before, video, mask) + (1 - share) * _along(self.after, fused, mask)
        if self.match is not None:
            logits = logits + self.match * (classes[..., 1:].amax(dim=-1) - classes[..., 0])
        return HeadOutput(logits, classes, {"temporal": video, "text": texts})

    def _fuse(self, video: Tensor, text: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the fused video (B, T, width) and the class logits (B, T, 1 + C)."""
        if self.roles is not None:
            text = text + torch.cat([self.roles[:1], self.roles[1:].expand(len(text) - 1, -1)])
        videos, logits = [], []
        for start in range(0, video.shape[1], self.span):
            piece, seen = video[:, start : start + self.span], mask[:, start : start + self.span].clone()
            seen[:, 0] |= ~seen.any(dim=1)  # a span of padding alone: any value will do, but no NaN
            words = text.expand(len(piece), -1, -1)
            for layer in self.fusion:
                piece, words = layer(piece, words, seen)
            videos.append(piece)
            cosines = functional.normalize(piece, dim=-1) @ functional.normalize(words, dim=-1).transpose(1, 2)
            logits.append(cosines / self.temperature.clamp(min=_MIN_TEMPERATURE))
        return torch.cat(videos, dim=1), torch.cat(logits, dim=1)


def _along(head: nn.Conv1d, x: Tensor, mask: Tensor) -> Tensor:
    """Applies a convolution over time (B, T, width) -> (B, T); each video continues past its ends as its end rows."""
    reach = head.kernel_size[0] // 2
    steps = torch.arange(-reach, x.shape[1] + reach, device=x.device)
    last = mask.sum(dim=1, keepdim=True) - 1
    rows = torch.minimum(steps.clamp(min=0).expand(len(x), -1), last)
    taps = functional.linear(x, head.weight[0].T)  # what each step adds to each of its neighbours
    out: Tensor = taps.gather(1, rows.unfold(1, 2 * reach + 1, 1)).sum(-1) + head.bias
    return out
