"""Bags of a fixed number of segments (Sultani et al., CVPR 2018, section 4.1; rule of the authors' code).

The N clips of a video are cut at round(linspace(1, N, segments + 1)), a segment is the mean of its clips scaled to unit
length, and its score is given back to them. The authors' code means to add the last clip to the last segment, but tests
for an index that never comes: that clip is never seen, and its score stays 0. `last_clip=False` reproduces it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vau.errors import InputError
from vau.training.scorer.bags import Bag

SEGMENTS = 32


def segment_bounds(clips: int, segments: int = SEGMENTS, *, last_clip: bool = True) -> NDArray[np.int64]:
    """Returns first row and row after the last (segments, 2) of each segment of a video with `clips` rows.

    With fewer clips than segments, a segment that would be empty takes the clip at its start, and neighbours share it.
    """
    if clips < 1 or segments < 1:
        raise InputError(f"needs at least one clip and one segment, got {clips} clips and {segments} segments")
    # the code's `round` takes halves up, NumPy's to the even neighbour; rows here count from 0, there from 1
    cuts = np.floor(np.linspace(1, clips, segments + 1) + 0.5).astype(np.int64) - 1
    bounds = np.stack([cuts[:-1], np.maximum(cuts[1:], cuts[:-1] + 1)], axis=1)
    if last_clip:
        bounds[-1, 1] = clips
    return bounds


def to_segments(
    features: NDArray[np.float32], segments: int = SEGMENTS, *, last_clip: bool = True, unit: bool = True
) -> NDArray[np.float32]:
    """Averages the clips of each segment.

    Args:
        features: (N, D), N >= 1.
        segments: their number.
        last_clip: whether the last segment holds the last clip; False as in the authors' code.
        unit: whether rows are scaled to unit length afterwards; a row of zeros stays.

    Returns:
        (segments, D).
    """
    bounds = segment_bounds(len(features), segments, last_clip=last_clip)
    means = np.stack([features[first:stop].mean(0) for first, stop in bounds])
    if unit:
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return means.astype(np.float32)


def to_clips(scores: NDArray[np.floating], clips: int, *, last_clip: bool = True) -> NDArray[np.float64]:
    """Gives the segments' scores (segments,) back to the clips (clips,); a clip that no segment covers scores 0."""
    result = np.zeros(clips)
    for score, (first, stop) in zip(scores, segment_bounds(clips, len(scores), last_clip=last_clip), strict=True):
        result[first:stop] = score
    return result


def segment_bag(bag: Bag, segments: int = SEGMENTS, *, last_clip: bool = True, unit: bool = True) -> Bag:
    """Returns the bag of segments of a bag of clips; a segment is abnormal if any of its clips is."""
    labels = None
    if bag.frame_labels is not None:
        bounds = segment_bounds(len(bag.features), segments, last_clip=last_clip)
        labels = np.array([bag.frame_labels[first:stop].any() for first, stop in bounds])
    return Bag(bag.video, to_segments(bag.features, segments, last_clip=last_clip, unit=unit), bag.label, labels)
