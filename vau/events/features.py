"""Node features of the event graph: appearance and motion of a sampled frame as one vector.

After EventVAD (arXiv 2504.13092): unit-norm embedding times alpha beside motion times 1 - alpha. Ours: motion is the
flow's magnitude and direction histogram, robustly scaled, where the paper's released code takes the spatial mean of
flow, in which opposing motions cancel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vau.types import Float32, Float64, Observations

MOTION_PREFIXES = ("speed_", "direction_")
_MAD_TO_SIGMA = 1.4826
_SPREAD_TO_SIGMA = 1 / 3.29  # of a normal distribution, from the 5th to the 95th percentile
# Root speeds (frame heights a second) that vary less than this are compression noise and must not be scaled up.
_LEAST_SPREAD = 0.05
_LIMIT = 3.0  # deviations at which a channel saturates: one burst must not drown the rest of the video


@dataclass(frozen=True, eq=False)
class NodeFeatures:
    """Features of N nodes in time order."""

    times_s: Float64  # (N,)
    semantic: Float32  # (N, D) unit norm, or zero where a frame has no embedding
    motion: Float32  # (N, M) a typical frame has norm about 1
    alpha: float

    def __len__(self) -> int:
        return len(self.times_s)

    def fused(self) -> Float32:
        """Returns the vectors (N, D + M) whose differences are discontinuities."""
        split = self.semantic.shape[1]
        fused = np.empty((len(self), split + self.motion.shape[1]), np.float32)
        np.multiply(self.semantic, self.alpha, out=fused[:, :split])
        np.multiply(self.motion, 1 - self.alpha, out=fused[:, split:])
        return fused


def node_features(observations: Observations, alpha: float) -> NodeFeatures:
    """Builds the node features of a video.

    Args:
        observations: N sampled frames.
        alpha: weight of appearance in [0, 1].

    Returns:
        Features of N nodes; finite for constant and for all-zero input.
    """
    names = observations.motion_channels
    chosen = [i for i, name in enumerate(names) if name.startswith(MOTION_PREFIXES)] or list(range(len(names)))
    return NodeFeatures(
        observations.times_s, observations.embeddings, robust_scale(observations.motion[:, chosen]), alpha
    )


def robust_scale(channels: Float32) -> Float32:
    """Brings motion channels to one scale, bounded and insensitive to bursts.

    The signed root evens out the heavy tail of speeds; deviations from the median are then measured in robust
    standard deviations, softly limited, and divided by the root of the number of channels.

    Args:
        channels: (N, M) of any finite values.

    Returns:
        (N, M) float32; zeros where a channel is constant.
    """
    if channels.size == 0:
        return np.zeros(channels.shape, np.float32)
    root = np.sign(channels) * np.sqrt(np.abs(channels))
    centre = np.median(root, axis=0)
    mad = np.median(np.abs(root - centre), axis=0) * _MAD_TO_SIGMA
    # A channel that is zero most of the time has no MAD, but its bursts still set its scale.
    low, high = np.percentile(root, [5, 95], axis=0)
    scale = np.maximum(np.maximum(mad, (high - low) * _SPREAD_TO_SIGMA), _LEAST_SPREAD)
    deviation = (root - centre) / scale
    limited = deviation / np.sqrt(1 + (deviation / _LIMIT) ** 2)
    return np.asarray(limited / np.sqrt(channels.shape[1]), dtype=np.float32)
