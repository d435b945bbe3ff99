"""Benchmarks that ask for a score a frame: how one video's scores are read, and areas over the frames of all videos.

A failed video is scored wrong on every frame, normal ones above all others and abnormal ones below, so that failing
never pays. Knows no data set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vau.errors import InputError
from vau.eval.align import on_grid
from vau.eval.benchmarks.base import Item
from vau.eval.frame import LabelledScores
from vau.eval.metrics.bootstrap import Estimate, resampled_areas
from vau.eval.metrics.ranking import figures, rank
from vau.eval.metrics.sums import Clusters, Mask
from vau.eval.scorefile import VideoScores
from vau.eval.truth import VideoTruth

Float64 = NDArray[np.float64]
Kind = Literal["auc", "ap_step"]
_POSITIONS = ("times_s", "frames", "stride")


def take_scores(value: Any, item: Item) -> Float64:
    """Returns a score for each label of a video, from a list, or from an object as a score file has them.

    Raises:
        InputError: they are no finite numbers, or do not fit the video.
    """
    truth: VideoTruth = item.truth
    fields = value if isinstance(value, dict) else {"scores": value}
    scores = _numbers(fields.get("scores"), "scores")
    given = [name for name in _POSITIONS if fields.get(name) is not None]
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)}: give one of them, so that it is clear where a score lies")
    if not given or given == ["stride"]:
        stride = fields.get("stride", 1)
        if isinstance(stride, bool) or not isinstance(stride, int) or stride < 1:
            raise InputError(f"stride must be a whole number from 1, got {stride!r:.40}")
        sizes = (len(truth.labels), truth.n_frames)
        if not max(1, min(sizes) // stride) <= len(scores) <= -(-max(sizes) // stride):
            raise InputError(f"{len(scores)} scores of {stride} frames each for {truth.n_frames} frames")
        return on_grid(VideoScores(item.video, scores, "stride", stride=stride), truth, "hold")
    kind: Literal["times_s", "frames"] = "times_s" if given == ["times_s"] else "frames"
    fps = fields.get("fps")
    if fps is not None and (isinstance(fps, bool) or not isinstance(fps, int | float) or not 0 < fps <= 1000):
        raise InputError(f"fps must be above 0 and at most 1000, got {fps!r:.40}")
    return on_grid(VideoScores(item.video, scores, kind, _numbers(fields[kind], kind), fps=fps), truth, "hold")


@dataclass(frozen=True, eq=False)
class FrameArea:
    """An area over the frames of N items, each a video with labels."""

    name: str
    videos: tuple[LabelledScores, ...]  # (N,)
    kind: Kind
    scale: float = 100.0

    def value(self, chosen: Mask | None = None) -> float | None:
        """Returns the area over the chosen videos (N,), None where they hold one class of frames alone."""
        videos = [video for video, kept in zip(self.videos, _mask(chosen, self.videos), strict=True) if kept]
        if len({bool(label) for video in videos for label in (video.labels.any(), video.labels.all())}) < 2:
            return None
        return float(getattr(figures(rank(videos)), self.kind))

    def estimate(self, clusters: Clusters) -> Estimate:
        """Returns the area with its interval over videos."""
        own = self.value()
        if own is None:
            return Estimate(None)
        ranked = rank(self.videos)
        # Items may share a video: it is drawn as a whole.
        owners = clusters.place[ranked.owners].astype(ranked.owners.dtype)
        areas = resampled_areas(replace(ranked, owners=owners, videos=clusters.count), clusters.resampling)
        return Estimate(own, *(() if areas is None else clusters.resampling.interval(getattr(areas, self.kind))))


def frame_figures(items: Sequence[Item], answers: Sequence[Float64 | None]) -> tuple[FrameArea, ...]:
    """Returns the pooled ROC area and step-wise average precision of items whose truth has `labels`."""
    given = [answer for answer in answers if answer is not None]
    low = min((float(answer.min()) for answer in given), default=0.0)
    high = max((float(answer.max()) for answer in given), default=1.0)
    videos = tuple(
        LabelledScores(
            item.item_id,
            np.where(item.truth.labels, low - 1, high + 1) if answer is None else answer,
            item.truth.labels,
        )
        for item, answer in zip(items, answers, strict=True)
    )
    return FrameArea("AUC", videos, "auc"), FrameArea("AP", videos, "ap_step")


def frame_priors(items: Sequence[Item]) -> dict[str, list[Float64]]:
    """Returns scores that never saw a frame: the perfect label of the video, and closeness to its middle."""
    sizes = [len(item.truth.labels) for item in items]
    places = [np.arange(size) - size // 2 for size in sizes]
    centre = [np.exp(-(place**2) / (2 * (size / 2) ** 2)) for place, size in zip(places, sizes, strict=True)]
    oracle = [np.full(size, float(item.truth.labels.any())) for item, size in zip(items, sizes, strict=True)]
    return {
        "video-label oracle": oracle,
        "centre": centre,
        "oracle x centre": [one * other for one, other in zip(oracle, centre, strict=True)],
    }


def _mask(chosen: Mask | None, videos: Sequence[LabelledScores]) -> Mask:
    return np.ones(len(videos), bool) if chosen is None else chosen


def _numbers(values: Any, what: str) -> Float64:
    if not isinstance(values, list) or not values:
        raise InputError(f"{what} must be a list of numbers, got {values!r:.40}")
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
        raise InputError(f"{what} must be numbers and nothing else")
    return np.array(values, np.float64)
