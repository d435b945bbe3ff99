"""What every trainable score head returns. B counts videos, T time steps, D feature dimensions, C anomaly classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from torch import Tensor, nn


@dataclass
class HeadOutput:
    """Result of a head for a padded batch."""

    logits: Tensor  # (B, T) of "abnormal"; the sigmoid is the score
    class_logits: Tensor | None = None  # (B, T, 1 + C), class 0 is normal
    extra: dict[str, Tensor] = field(default_factory=dict)  # what the head's own training losses need, by name


class Head(nn.Module, ABC):
    """A network from snippet features to anomaly logits."""

    chunk: int | None = None  # longest sequence that one pass may see; None: any length

    @abstractmethod
    def forward(self, features: Tensor, mask: Tensor, text: Tensor | None = None) -> HeadOutput:
        """Scores a padded batch.

        Args:
            features: (B, T, D) float32; padding rows hold zeros.
            mask: (B, T) bool, False at padding; every video has at least one True.
            text: (1 + C, E) unit-norm text embeddings of the definitions, row 0 the normal one, for heads that are
                conditioned on text; None for all others.

        Returns:
            HeadOutput; its values at padding are to be ignored.
        """
