"""Deep multiple-instance ranking network (Sultani et al., CVPR 2018, section 4.1, sizes and init of the authors' code).

Each snippet is scored by itself. The second layer is linear in the authors' code, and so it is here.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from vau.scoring.heads.base import Head, HeadOutput


class SultaniHead(Head):
    """Three dense layers: ReLU after the first, none after the second, one logit after the third."""

    def __init__(self, *, input_size: int = 4096, hidden: Sequence[int] = (512, 32), dropout: float = 0.6) -> None:
        """Builds the network.

        Args:
            input_size: D of the features.
            hidden: sizes of the two hidden layers.
            dropout: probability after each of them.
        """
        super().__init__()
        first, second = hidden
        self.embed = nn.Sequential(nn.Linear(input_size, first), nn.ReLU())
        self.score = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(first, second), nn.Dropout(dropout), nn.Linear(second, 1)
        )
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_normal_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, features: Tensor, mask: Tensor, text: Tensor | None = None) -> HeadOutput:
        """Scores a padded batch; `extra["features"]` holds the first hidden layer (B, T, H)."""
        embedded = self.embed(features)
        return HeadOutput(self.score(embedded).squeeze(-1), extra={"features": embedded})
