"""Bags of snippet features with video-level labels, and padded batches of them.

Multiple-instance learning (Sultani et al., CVPR 2018) sees a video as a bag: it is known that something abnormal
happens in it, and perhaps what, but not when.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vau.errors import InputError


@dataclass(frozen=True, eq=False)
class Bag:
    """Features of one video."""

    video: str
    features: NDArray[np.float32]  # (T, D), T >= 1
    label: int  # 0 normal, 1 ... C the anomaly class; a set without classes uses 1
    frame_labels: NDArray[np.bool_] | None = None  # (T,) where frames are annotated, for validation and tests

    def __post_init__(self) -> None:
        if self.features.ndim != 2 or not len(self.features):
            raise InputError(f"{self.video}: features must be (T, D) with T >= 1, got {self.features.shape = }")
        if not np.isfinite(self.features).all():
            raise InputError(f"{self.video}: features hold NaN or infinity")
        if self.label < 0:
            raise InputError(f"{self.video}: label must be 0 (normal) or a class from 1 on, got {self.label}")
        if self.frame_labels is not None and self.frame_labels.shape != (len(self.features),):
            raise InputError(f"{self.video}: {self.frame_labels.shape = } does not fit {self.features.shape = }")


@dataclass(frozen=True)
class Batch:
    """Padded bags, the abnormal ones first."""

    features: Tensor  # (B, T, D) float32
    mask: Tensor  # (B, T) bool
    labels: Tensor  # (B,) int64
    frame_labels: Tensor | None = None  # (B, T) float32 in [0, 1], where all bags have them (synthetic videos)

    @property
    def abnormal(self) -> Tensor:
        """Which bags are abnormal (B,) bool."""
        return self.labels > 0


def collate(bags: Sequence[Bag], *, device: str = "cpu") -> Batch:
    """Pads bags to the longest of them."""
    longest = max(len(bag.features) for bag in bags)
    features = torch.zeros(len(bags), longest, bags[0].features.shape[1])
    mask = torch.zeros(len(bags), longest, dtype=torch.bool)
    for row, bag in enumerate(bags):
        features[row, : len(bag.features)] = torch.from_numpy(np.array(bag.features))
        mask[row, : len(bag.features)] = True
    frame_labels = None
    if all(bag.frame_labels is not None for bag in bags):
        frame_labels = torch.zeros(len(bags), longest)
        for row, bag in enumerate(bags):
            frame_labels[row, : len(bag.features)] = torch.from_numpy(np.array(bag.frame_labels, np.float32))
    labels = torch.tensor([bag.label for bag in bags])
    return Batch(
        features.to(device),
        mask.to(device),
        labels.to(device),
        None if frame_labels is None else frame_labels.to(device),
    )
