"""RBDC and TBDC: whether the right places are found, by region and by track (Ramachandra & Jones, WACV 2020).

Both are areas, from 0 to 1 false positive a frame, under the share of true regions found and of true tracks found. A
true region is found by the highest score of any predicted box that overlaps it enough; predictions that overlap no
true region are the false positives; further predictions on a found region count neither way. Box areas count both edge
pixels, as in the public code. That code takes boxes of equal score in the order of the file; here they are one
operating point, joined to the last by a straight line, so that order cannot matter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vau.errors import InputError

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Regions:
    """Predicted boxes of one video.

    Raises:
        InputError: unequal lengths, values that are not finite, or boxes that end before they start.
    """

    video: str
    frames: Int64  # (N,) from 0
    boxes: Float64  # (N, 4) xyxy in pixels, both edges inside
    scores: Float64  # (N,) higher is more abnormal

    def __post_init__(self) -> None:
        _check_boxes(self.video, self.frames, self.boxes)
        if self.scores.shape != self.frames.shape or not np.isfinite(self.scores).all():
            raise InputError(f"{self.video}: a box needs one finite score, got {self.scores.shape = }")


@dataclass(frozen=True, eq=False)
class RegionTrack:
    """True boxes of one abnormal actor, one a frame.

    Raises:
        InputError: as `Regions`, and for no box or two in one frame.
    """

    video: str
    frames: Int64  # (T,) from 0
    boxes: Float64  # (T, 4)

    def __post_init__(self) -> None:
        _check_boxes(self.video, self.frames, self.boxes)
        if len(self.frames) == 0 or len(np.unique(self.frames)) != len(self.frames):
            raise InputError(f"{self.video}: a true track needs one box a frame, got frames {self.frames.tolist()}")


@dataclass(frozen=True)
class RegionFigures:
    """Areas in [0, 1] with what they rest on."""

    rbdc: float
    tbdc: float
    regions: int  # true
    tracks: int  # true
    predictions: int
    frames: int


def region_figures(
    predictions: Sequence[Regions],
    tracks: Sequence[RegionTrack],
    lengths: Mapping[str, int],
    *,
    alpha: float = 0.1,
    beta: float = 0.1,
) -> RegionFigures:
    """Computes RBDC and TBDC.

    Args:
        predictions: boxes of each video, those of normal videos too; at most one entry a video.
        tracks: true tracks of all videos.
        lengths: number of frames of every test video.
        alpha: share of a track's regions that must be found, in (0, 1].
        beta: intersection over union from which a box finds a region, in (0, 1].

    Raises:
        InputError: no tracks, a video named twice or unknown, a frame outside its video, or shares outside (0, 1].
    """
    if not 0 < alpha <= 1 or not 0 < beta <= 1:
        raise InputError(f"alpha and beta must lie in (0, 1], got {alpha} and {beta}")
    if not tracks:
        raise InputError("RBDC and TBDC need at least one true track")
    by_video = {regions.video: regions for regions in predictions}
    if len(by_video) < len(predictions):
        raise InputError("predicted regions of one video are given twice")
    every: list[Regions | RegionTrack] = [*predictions, *tracks]
    for boxes in every:
        length = lengths.get(boxes.video)
        if length is None or (len(boxes.frames) and not 0 <= boxes.frames.min() <= boxes.frames.max() < length):
            raise InputError(f"{boxes.video}: frames lie outside the video, whose length is given as {length}")
    unmatched = {video: np.ones(len(regions.scores), bool) for video, regions in by_video.items()}
    found = []  # for each track, the score at which each of its regions is found
    for track in tracks:
        scores = np.full(len(track.frames), -np.inf)
        if track.video in by_video:
            regions = by_video[track.video]
            true, predicted = _overlaps(track, regions, beta)
            np.maximum.at(scores, true, regions.scores[predicted])
            unmatched[track.video][predicted] = False
        found.append(scores)
    false = np.concatenate([np.zeros(0), *(by_video[video].scores[rows] for video, rows in unmatched.items())])
    frames = sum(lengths.values())
    return RegionFigures(
        rbdc=_area(np.concatenate(found), false, frames),
        tbdc=_area(np.array([_track_score(scores, alpha) for scores in found]), false, frames),
        regions=sum(map(len, found)),
        tracks=len(found),
        predictions=sum(len(regions.scores) for regions in predictions),
        frames=frames,
    )


def _overlaps(track: RegionTrack, regions: Regions, beta: float) -> tuple[Int64, Int64]:
    """Returns the pairs of a true box and a predicted one, in the same frame, that overlap enough."""
    order = np.argsort(track.frames)
    place = np.searchsorted(track.frames[order], regions.frames)
    true = order[np.minimum(place, len(order) - 1)]
    predicted = np.flatnonzero(track.frames[true] == regions.frames)
    true = true[predicted]
    a, b = track.boxes[true], regions.boxes[predicted]
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]) + 1
    shared = np.maximum(sides, 0).prod(axis=1)
    areas = (a[:, 2:] - a[:, :2] + 1).prod(axis=1) + (b[:, 2:] - b[:, :2] + 1).prod(axis=1)
    enough = shared / (areas - shared) >= beta
    return true[enough], predicted[enough]


def _track_score(found: Float64, alpha: float) -> float:
    """Returns the score at which enough of a track's regions are found."""
    needed = int(np.argmax(np.arange(1, len(found) + 1) / len(found) >= alpha))
    return float(np.sort(found)[::-1][needed])


def _area(found: Float64, false: Float64, frames: int) -> float:
    """Returns the area under the share found over false positives a frame, from 0 to 1.

    Args:
        found: (T,) scores at which true things are found, minus infinity for never.
        false: (F,) scores of false positives.
        frames: number of frames.
    """
    levels = np.unique(np.concatenate([found[np.isfinite(found)], false]))[::-1]
    rates = np.append(0.0, len(false) - np.searchsorted(np.sort(false), levels)) / frames
    shares = np.append(0.0, len(found) - np.searchsorted(np.sort(found), levels)) / len(found)
    within = rates <= 1
    end = (
        shares[-1]
        if within.all()
        else np.interp(1.0, rates[len(rates[within]) - 1 :], shares[len(rates[within]) - 1 :])
    )
    return float(np.trapezoid(np.append(shares[within], end), np.append(rates[within], 1.0)))


def _check_boxes(video: str, frames: Int64, boxes: Float64) -> None:
    if frames.ndim != 1 or frames.dtype.kind not in "iu" or boxes.shape != (len(frames), 4):
        raise InputError(f"{video}: {frames.shape = } (whole numbers) and {boxes.shape = } must be (N,) and (N, 4)")
    if not np.isfinite(boxes).all() or (boxes[:, 2:] < boxes[:, :2]).any():
        raise InputError(f"{video}: boxes must be finite with x0 <= x1 and y0 <= y1")
