"""From a checkpoint to a fixed camera's scorer, by its kind."""

from __future__ import annotations

import numpy as np

from vau.errors import CheckpointError
from vau.scoring.camera.watch import CameraScorer
from vau.scoring.card import Card

KINDS = ("camera-density", "camera-efficient-ad")


def camera_scorer(card: Card, arrays: dict[str, np.ndarray]) -> CameraScorer:
    """Returns the scorer of a checkpoint that `vau train camera` wrote.

    Raises:
        CheckpointError: it is of another kind, or damaged.
        MissingExtraError: it needs torch, which is not installed.
    """
    if card.kind == "camera-density":
        from vau.scoring.camera.objects import density_camera

        return density_camera(card, arrays)
    if card.kind == "camera-efficient-ad":
        from vau.scoring.camera.heat import heat_camera

        return heat_camera(card, arrays)
    raise CheckpointError(f"a checkpoint of kind {card.kind!r} is no fixed camera's; known: {', '.join(KINDS)}")
