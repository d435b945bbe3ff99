"""Node features of the event graph: appearance and motion of a sampled frame as one vector.

After EventVAD (arXiv 2504.13092): unit-norm embedding times alpha beside motion times 1 - alpha. Ours: motion is the
flow's magnitude and direction histogram, robustly scaled, where the paper's released code takes the spatial mean of
flow, in which opposing motions cancel. Both are here; `RecipeConfig` chooses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vau.config import RecipeConfig
from vau.errors import InputError
from vau.types import Float32, Float64, Observations

MOTION_PREFIXES = ("speed_", "direction_")
_UNITLESS = "direction_entropy"
_SECTORS = tuple(f"direction_{i}" for i in range(8))
_MAD_TO_SIGMA = 1.4826
_SPREAD_TO_SIGMA = 1 / 3.29  # of a normal distribution, from the 5th to the 95th percentile
# Root speeds (frame heights a second) that vary less than this are compression noise and must not be scaled up.
_LEAST_SPREAD = 0.05
_LIMIT = 3.0  # deviations at which a channel saturates: one burst must not drown the rest of the video
# The released code measures pixels between neighbouring frames of videos that have about 30 a second, at most 720p.
_PUBLISHED_FPS = 30.0
_PUBLISHED_HEIGHT = 720
_FIXED = 4.0
_PROJECTED = 128
_SEED = 42


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
        return fuse(self.semantic, self.motion, self.alpha)


def fuse(semantic: Float32, motion: Float32, alpha: float) -> Float32:
    """Returns ``[alpha s, (1 - alpha) m]`` (N, D + M) of appearance (N, D) and motion (N, M)."""
    split = semantic.shape[1]
    fused = np.empty((len(semantic), split + motion.shape[1]), np.float32)
    np.multiply(semantic, alpha, out=fused[:, :split])
    np.multiply(motion, 1 - alpha, out=fused[:, split:])
    return fused


def node_features(observations: Observations, alpha: float, recipe: RecipeConfig | None = None) -> NodeFeatures:
    """Builds the node features of a video.

    Args:
        observations: N sampled frames.
        alpha: weight of appearance in [0, 1].
        recipe: `motion`, `motion_scale`; None for ours.

    Returns:
        Features of N nodes; finite for constant and for all-zero input.

    Raises:
        InputError: mean flow is wanted of observations without the histogram of directions.
    """
    recipe = recipe or RecipeConfig()
    if recipe.motion == "mean":
        motion = mean_flow(observations)
    else:
        columns = motion_columns(observations.motion_channels, speeds_only=recipe.motion_scale != "robust")
        motion = observations.motion[:, columns]
    if recipe.motion_scale == "robust":
        motion = robust_scale(motion)
    elif recipe.motion_scale == "fixed":
        motion = fixed_scale(signed_root(motion))
    else:
        motion = motion * np.float32(min(observations.frame_size[1], _PUBLISHED_HEIGHT) / _PUBLISHED_FPS)
    if recipe.motion == "mean":
        motion = _project(motion)
    return NodeFeatures(observations.times_s, observations.embeddings, motion, alpha)


def motion_columns(channels: Sequence[str], *, speeds_only: bool) -> list[int]:
    """Returns the places of the channels that describe how things move: those with a known name, or else all."""
    found = [i for i, name in enumerate(channels) if name.startswith(MOTION_PREFIXES)] or list(range(len(channels)))
    return [i for i in found if not (speeds_only and channels[i] == _UNITLESS)]


def root_speeds(observations: Observations) -> Float32:
    """Returns the roots (N, M) of the channels that are speeds, which evens out their heavy tail."""
    return signed_root(observations.motion[:, motion_columns(observations.motion_channels, speeds_only=True)])


def mean_flow(observations: Observations) -> Float32:
    """Returns the mean flow vector (N, 2) in frame heights a second, from the histogram of directions.

    It is the spatial mean of the flow, the camera's part removed, but for the spread of directions inside a sector of
    45 degrees, which is taken as even.

    Raises:
        InputError: a direction's channel is missing.
    """
    missing = [name for name in _SECTORS if name not in observations.motion_channels]
    if missing:
        raise InputError(f"mean flow needs the motion channels {', '.join(missing)}; take motion: histogram")
    width = 2 * np.pi / len(_SECTORS)
    middles = -np.pi + width * (np.arange(len(_SECTORS)) + 0.5)
    shrink = np.sin(width / 2) / (width / 2)
    vectors = shrink * np.stack([np.cos(middles), np.sin(middles)], axis=1)
    chosen = observations.motion[:, [observations.motion_channels.index(name) for name in _SECTORS]]
    return np.asarray(chosen @ vectors.astype(np.float32), dtype=np.float32)


def _project(vectors: Float32) -> Float32:
    """Maps (N, 2) to (N, 128) by a fixed random matrix with orthonormal rows, which leaves all distances alone."""
    basis = np.linalg.qr(np.random.default_rng(_SEED).standard_normal((_PROJECTED, vectors.shape[1])))[0]
    return np.asarray(vectors @ basis.T.astype(np.float32), dtype=np.float32)


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
    root = signed_root(channels)
    return scaled(root, *spread(root))


def fixed_scale(root: Float32) -> Float32:
    """Scales roots of speeds (N, M) so that lively motion, a sixteenth of a frame height a second, has norm about 1."""
    return np.asarray(root * np.float32(_FIXED / np.sqrt(max(root.shape[1], 1))), dtype=np.float32)


def signed_root(channels: Float32) -> Float32:
    """Returns the root of each size with the sign of the value."""
    return np.asarray(np.sign(channels) * np.sqrt(np.abs(channels)), dtype=np.float32)


def spread(root: Float32) -> tuple[Float32, Float32]:
    """Returns centre and scale (M,) of channels (N, M), N >= 1."""
    centre = np.median(root, axis=0)
    mad = np.median(np.abs(root - centre), axis=0) * _MAD_TO_SIGMA
    # A channel that is zero most of the time has no MAD, but its bursts still set its scale.
    low, high = np.percentile(root, [5, 95], axis=0)
    return centre, np.maximum(np.maximum(mad, (high - low) * _SPREAD_TO_SIGMA), _LEAST_SPREAD)


def scaled(root: Float32, centre: Float32, scale: Float32) -> Float32:
    """Returns the deviations (N, M) from the centre in units of the scale, softly limited, over the root of M."""
    deviation = (root - centre) / scale
    limited = deviation / np.sqrt(1 + (deviation / _LIMIT) ** 2)
    return np.asarray(limited / np.sqrt(root.shape[1]), dtype=np.float32)
