"""Temporal Gaussian splatting: soft pseudo-labels around peaks of a score curve (GS-MoE, arXiv 2508.06318, Eqs 3-6).

The paper's kernel width is a standard deviation of SCORES, while its argument is a distance in snippets: taken
literally the kernel is almost a delta. Three readings are therefore offered. How peaks are found is under-specified
too: here a peak may stand at the very start or end of a video, and a plateau counts once, at its middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d
from scipy.signal import find_peaks
from torch import Tensor
from torch.nn import functional

_LEAST = 1e-6  # deviation of a flat window


@dataclass(frozen=True)
class Splatting:
    """How pseudo-labels are made."""

    reading: Literal["scores", "index", "gap"] = "index"
    """What sigma is: "scores", the deviation of the scores around the peak, literally; "index", half the width of the
    peak in snippets; "gap", the deviation of scores again, but measured against the score's distance from the peak."""
    reach: int = 2  # snippets either side over which a peak is the maximum
    prominence: float = 0.2


def splatting_targets(scores: NDArray[np.floating], splatting: Splatting) -> NDArray[np.float32]:
    """Returns pseudo-labels in [0, 1] (T,) for the scores (T,) of one abnormal video; without a peak all are zero."""
    curve = np.asarray(scores, np.float64)
    targets = np.zeros(len(curve))
    for peak in _peaks(curve, splatting):
        width = _width(curve, peak)
        rows = np.arange(max(peak - width, 0), min(peak + width + 1, len(curve)))
        deviation = max(float(curve[rows].std()), _LEAST)
        distance, sigma = (rows - peak).astype(np.float64), deviation
        if splatting.reading == "index":
            sigma = max(1.0, width / 2)
        elif splatting.reading == "gap":
            distance = curve[rows] - curve[peak]
        kernel = np.exp(-(distance**2) / (2 * sigma**2)) * (curve[rows] >= curve[peak] - deviation)
        targets[rows] += kernel
    return np.clip(targets, 0, 1).astype(np.float32)


def splatting_loss(logits: Tensor, mask: Tensor, abnormal: Tensor, splatting: Splatting) -> Tensor:
    """Cross-entropy of scores with their own splatted peaks, normal videos with zeros.

    Args:
        logits: (B, T).
        mask: (B, T) bool.
        abnormal: (B,) bool.
        splatting: how pseudo-labels are made; no gradient flows through them.

    Returns:
        The mean over the snippets of each video, then over videos.
    """
    lengths = mask.sum(1).tolist()
    curves = torch.sigmoid(logits.detach()).float().cpu().numpy()
    targets = np.zeros(curves.shape, np.float32)
    for row in abnormal.nonzero().flatten().tolist():
        targets[row, : lengths[row]] = splatting_targets(curves[row, : lengths[row]], splatting)
    losses = functional.binary_cross_entropy_with_logits(
        torch.where(mask, logits, 0), torch.from_numpy(targets).to(logits), reduction="none"
    )
    return (torch.where(mask, losses, 0).sum(1) / mask.sum(1)).mean()


def _peaks(curve: NDArray[np.float64], splatting: Splatting) -> list[int]:
    padded = np.pad(curve, 1, constant_values=curve.min() - _LEAST)  # so that the ends can be peaks
    found = find_peaks(padded, prominence=splatting.prominence)[0] - 1
    kept = found[curve[found] >= maximum_filter1d(curve, 2 * splatting.reach + 1)[found]]
    return [int(place) for place in kept]


def _width(curve: NDArray[np.float64], peak: int) -> int:
    """Snippets over which the curve rises to the peak, or falls from it, whichever are fewer; at least 1."""
    before = curve[peak::-1]
    rise = _descent(before)
    fall = _descent(curve[peak:])
    return max(min(rise, fall), 1)


def _descent(curve: NDArray[np.float64]) -> int:
    """Steps from the start over which the curve never rises."""
    rises = np.flatnonzero(np.diff(curve) > 0)
    return int(rises[0]) if len(rises) else len(curve) - 1
