"""Scores that never look at a frame, to stand beside every result: what they reach, a figure does not prove.

The perfect video label says how far a detector gets that knows which videos are abnormal but not when; the centre and
the length priors use where annotators found anomalies and how long such videos are. Their rows on public test sets are
known to come near published results. Each is a scorer: it takes a labelled video and gives it other scores.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vau.eval.frame import LabelledScores
from vau.eval.metrics.ranking import Figures, figures, rank

Float64 = NDArray[np.float64]
Prior = Callable[[LabelledScores], LabelledScores]


def oracle(video: LabelledScores) -> LabelledScores:
    """Scores every frame 1 in a video with an abnormal frame, else 0: perfect detection of videos, none in time."""
    return replace(video, scores=np.full(len(video), float(video.abnormal)))


def centre(video: LabelledScores) -> LabelledScores:
    """Scores a frame by a Gaussian over its place in the video, around frame N // 2 with a standard deviation of N / 2.

    It is the weight by place that VERA multiplies its scores with (CVPR 2025). For an area all that matters of the
    width is that it grows with the video. Frames equally far from the middle tie exactly, whatever the rounding.
    """
    return replace(video, scores=_centre(len(video)))


def oracle_centre(video: LabelledScores) -> LabelledScores:
    """Scores as `centre` does in a video with an abnormal frame, else 0."""
    return replace(video, scores=_centre(len(video)) * video.abnormal)


def shortness(video: LabelledScores) -> LabelledScores:
    """Scores every frame 1 / N: short videos are the abnormal ones."""
    return replace(video, scores=np.full(len(video), 1 / len(video)))


def random(video: LabelledScores, *, seed: int = 0) -> LabelledScores:
    """Scores every frame evenly in [0, 1); the seed and the video's name fix them, whatever the order of videos."""
    generator = np.random.default_rng([seed, zlib.crc32(video.video.encode())])
    return replace(video, scores=generator.random(len(video)))


def priors(videos: Sequence[LabelledScores], *, seed: int = 0) -> dict[str, Figures]:
    """Returns the figures of every prior on these videos, by name."""
    named: dict[str, Prior] = {
        "video-label oracle": oracle,
        "centre": centre,
        "video-label oracle x centre": oracle_centre,
        "1 / length": shortness,
        "random": lambda video: random(video, seed=seed),
    }
    return {name: figures(rank([prior(video) for video in videos])) for name, prior in named.items()}


def _centre(frames: int) -> Float64:
    offsets = np.arange(frames) - frames // 2
    weights: Float64 = np.exp(-(offsets**2) / (2 * (frames / 2) ** 2))
    return weights
