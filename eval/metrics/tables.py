"""Figures of groups of videos: by class of the anomaly and by length.

A class is measured twice: among the frames of its own videos, which asks whether the moment is found, and with all
normal videos added, which also asks whether the video is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vau.errors import InputError
from vau.eval.frame import LabelledScores
from vau.eval.metrics.ranking import Curve, Ranked


@dataclass(frozen=True)
class GroupRow:
    """Figures of one group of videos; None where one class of frames is all there is."""

    group: str
    videos: int
    frames: int
    abnormal_frames: int
    auc: float | None  # frames of these videos
    ap_step: float | None
    auc_with_normal: float | None  # and of all videos without an abnormal frame
    ap_step_with_normal: float | None


def by_category(videos: Sequence[LabelledScores], ranked: Ranked) -> tuple[GroupRow, ...]:
    """Returns a row for each class of anomaly, by name; a video of several classes counts in each."""
    names = sorted({name for video in videos for name in video.categories})
    members = {name: np.array([name in video.categories for video in videos]) for name in names}
    return _rows(members, ranked)


def by_length(videos: Sequence[LabelledScores], ranked: Ranked, *, bins: int = 4) -> tuple[GroupRow, ...]:
    """Returns a row for each range of lengths in frames, with about as many videos in each; equal ones stay together.

    Raises:
        InputError: fewer than one range.
    """
    if bins < 1:
        raise InputError(f"a table by length needs at least one range, got {bins}")
    lengths = np.array([len(video) for video in videos])
    edges = np.unique(np.quantile(lengths, np.arange(1, bins) / bins, method="higher"))
    place = np.searchsorted(edges, lengths, side="left")
    members = {}
    for number in np.unique(place):
        inside = place == number
        members[f"{lengths[inside].min()} to {lengths[inside].max()} frames"] = inside
    return _rows(members, ranked)


def _rows(members: dict[str, NDArray[np.bool_]], ranked: Ranked) -> tuple[GroupRow, ...]:
    abnormal, normal = ranked.abnormal, ranked.normal
    normal_videos = abnormal == 0
    others = ranked.among(normal_videos)
    rows = []
    for name, inside in members.items():
        own = Curve.of(ranked.among(inside))
        joined = Curve.of(ranked.among(inside & ~normal_videos)).joined(others)
        counts = int(inside.sum()), int((abnormal + normal)[inside].sum()), int(abnormal[inside].sum())
        rows.append(GroupRow(name, *counts, *_areas(own), *_areas(joined)))
    return tuple(rows)


def _areas(curve: Curve) -> tuple[float | None, float | None]:
    return (curve.auc(), curve.ap_step()) if curve.defined else (None, None)
