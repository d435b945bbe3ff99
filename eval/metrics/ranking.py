"""Areas under the ROC and the precision-recall curve over frames of many videos, all from one sort.

Micro figures pool the frames of all videos; abnormal-only figures those of videos with an anomaly; macro figures
average over videos. The field calls two different areas AP (step-wise and by trapezoids), which differ much on tied
scores, so both are named. Own code rather than scikit-learn's, which sorts anew for every figure; equal to it to 1e-12.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from vau.eval.frame import LabelledScores, check_videos

Float64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ranked:
    """Frames of many videos in descending order of score; neighbours in time that are alike are one weighted row."""

    scores: Float64  # (M,) descending
    labels: NDArray[np.bool_]  # (M,)
    owners: NDArray[np.unsignedinteger]  # (M,) index of the video
    weights: Float64  # (M,) frames in the row
    videos: int  # V

    def among(self, keep: NDArray[np.bool_]) -> Ranked:
        """Returns the rows of the videos that `keep` (V,) marks; the videos keep their indices."""
        rows = np.flatnonzero(keep[self.owners])
        return Ranked(self.scores[rows], self.labels[rows], self.owners[rows], self.weights[rows], self.videos)

    @cached_property
    def abnormal(self) -> Float64:
        """Abnormal frames of each video (V,)."""
        rows = np.flatnonzero(self.labels)
        return np.bincount(self.owners[rows], self.weights[rows], self.videos).astype(np.float64)

    @cached_property
    def normal(self) -> Float64:
        """Normal frames of each video (V,)."""
        return np.bincount(self.owners, self.weights, self.videos) - self.abnormal

    @cached_property
    def rising(self) -> Float64:
        """Scores (M,) ascending."""
        return self.scores[::-1].copy()

    @cached_property
    def passed(self) -> Float64:
        """Frames in the first 0 to M rows (M + 1,)."""
        return np.append(0.0, np.cumsum(self.weights))


def rank(videos: Sequence[LabelledScores]) -> Ranked:
    """Sorts all frames of all videos by score."""
    scores = np.concatenate([video.scores for video in videos])
    labels = np.concatenate([video.labels for video in videos])
    numbers = np.arange(len(videos), dtype=np.min_scalar_type(len(videos)))
    owners = np.repeat(numbers, [len(video) for video in videos])
    changes = (scores[1:] != scores[:-1]) | (labels[1:] != labels[:-1]) | (owners[1:] != owners[:-1])
    starts = np.concatenate([[0], np.flatnonzero(changes) + 1])
    weights = np.diff(starts, append=len(scores)).astype(np.float64)
    order = np.argsort(-scores[starts])
    rows = starts[order]
    return Ranked(scores[rows], labels[rows], owners[rows], weights[order], len(videos))


@dataclass(frozen=True, eq=False)
class Curve:
    """Counts at each distinct score that an abnormal frame has, from the highest; all areas follow from these."""

    scores: Float64  # (L,) descending
    gains: Float64  # (L,) abnormal frames of this score
    ties: Float64  # (L,) normal frames of this score
    false_positives: Float64  # (L,) normal frames of this score or a higher one
    normal: float  # normal frames in all

    @classmethod
    def of(cls, ranked: Ranked) -> Curve:
        """Counts the frames at the scores of abnormal frames."""
        rows = np.flatnonzero(ranked.labels)
        scores = ranked.scores[rows]
        firsts = np.flatnonzero(np.append(True, scores[1:] != scores[:-1])) if len(rows) else rows
        scores = scores[firsts]
        higher, level = _counts(ranked, scores)
        gains = np.add.reduceat(ranked.weights[rows], firsts) if len(rows) else scores
        false_positives = higher + level - np.cumsum(gains)
        return cls(scores, gains, level - gains, false_positives, float(ranked.normal.sum()))

    def joined(self, normal: Ranked) -> Curve:
        """Returns the curve with more normal frames added."""
        higher, level = _counts(normal, self.scores)
        return Curve(
            self.scores,
            self.gains,
            self.ties + level,
            self.false_positives + higher + level,
            self.normal + float(normal.normal.sum()),
        )

    @property
    def defined(self) -> bool:
        """Whether there are abnormal and normal frames."""
        return len(self.gains) > 0 and self.normal > 0

    def auc(self) -> float:
        """Returns the ROC area: the share of pairs in which the abnormal frame ranks higher, tied pairs at half."""
        won = self.normal - self.false_positives + self.ties / 2
        return float((self.gains * won).sum() / (self.gains.sum() * self.normal))

    def ap_step(self) -> float:
        """Returns average precision: the precision at each threshold, weighted by the gain in recall."""
        found = np.cumsum(self.gains)
        return float((self.gains * found / (found + self.false_positives)).sum() / found[-1])

    def ap_trapezoid(self) -> float:
        """Returns the area under straight lines from point to point, from precision 1 at recall 0."""
        found = np.cumsum(self.gains)
        precision = found / (found + self.false_positives)
        reported = found - self.gains + self.false_positives - self.ties  # at the next higher score of any frame
        before = np.where(reported > 0, (found - self.gains) / np.maximum(reported, 1), 1)
        return float((self.gains * (precision + before)).sum() / 2 / found[-1])


def _counts(ranked: Ranked, levels: Float64) -> tuple[Float64, Float64]:
    """Counts the frames above and at each of some descending scores (L,)."""
    rising, total = ranked.rising, ranked.passed
    above = total[len(rising) - np.searchsorted(rising, levels[::-1], side="right")][::-1]
    reached = total[len(rising) - np.searchsorted(rising, levels[::-1], side="left")][::-1]
    return above, reached - above


@dataclass(frozen=True)
class Figures:
    """Point figures of one score, in [0, 1]; None where undefined."""

    auc: float
    ap_step: float
    ap_trapezoid: float
    auc_abnormal_only: float | None  # AUC_A: frames of videos with an abnormal frame
    ap_step_abnormal_only: float | None  # AP_A
    ap_trapezoid_abnormal_only: float | None
    macro_auc: float | None  # mean over videos with abnormal and normal frames


def figures(ranked: Ranked) -> Figures:
    """Computes all point figures from one sort; the frames must be of both classes."""
    pooled, own = Curve.of(ranked), ranked.among(ranked.abnormal > 0)
    alone, macro = Curve.of(own), mixed_aucs(own)
    return Figures(
        pooled.auc(),
        pooled.ap_step(),
        pooled.ap_trapezoid(),
        alone.auc() if alone.defined else None,
        alone.ap_step() if alone.defined else None,
        alone.ap_trapezoid() if alone.defined else None,
        float(macro.mean()) if len(macro) else None,
    )


def pooled_auc(videos: Sequence[LabelledScores]) -> float:
    """Returns the ROC area over all frames of all videos (micro AUC).

    Raises:
        InputError: no videos, two of one name, or one class only.
    """
    check_videos(videos)
    return Curve.of(rank(videos)).auc()


def mixed_aucs(ranked: Ranked) -> Float64:
    """Returns the ROC area of each video that holds abnormal and normal frames, in order of the videos."""
    pairs = ranked.abnormal * ranked.normal
    areas: Float64 = _wins(ranked)[pairs > 0] / pairs[pairs > 0]
    return areas


def padded_macro_auc_inflated(ranked: Ranked) -> float:
    """Returns the "macro AUC" of common one-class code, only to be told apart from `Figures.macro_auc`.

    A normal frame of score 0 and an abnormal frame of endless score are added to every video, so that videos of one
    class have an area as well. The two frames are mostly ranked rightly by construction: the figure lies far above the
    mean over mixed videos and does not compare with it.
    """
    rows = np.flatnonzero(ranked.labels)
    over_zero = (np.sign(ranked.scores[rows]) + 1) / 2 * ranked.weights[rows]
    wins = _wins(ranked) + np.bincount(ranked.owners[rows], over_zero, ranked.videos) + ranked.normal + 1
    return float((wins / ((ranked.abnormal + 1) * (ranked.normal + 1))).mean())


def _wins(ranked: Ranked) -> Float64:
    """Counts, for each video (V,), pairs of its abnormal over its normal frames, ties half."""
    mixed = ranked.among((ranked.abnormal > 0) & (ranked.normal > 0))
    wins = np.zeros(ranked.videos)
    if not len(mixed.scores):
        return wins
    order = np.argsort(mixed.owners, kind="stable")  # a radix sort, since the numbers are small
    scores, owners, weights = mixed.scores[order], mixed.owners[order], mixed.weights[order]
    last = np.append(np.flatnonzero((scores[1:] != scores[:-1]) | (owners[1:] != owners[:-1])), len(scores) - 1)
    found = np.cumsum(weights)[last]
    positives = np.cumsum(weights * mixed.labels[order])[last]
    gains = np.diff(positives, prepend=0)
    normal = np.diff(found - positives, prepend=0)
    earlier = (np.cumsum(mixed.abnormal) - mixed.abnormal)[owners[last]]  # abnormal frames of the videos before
    won = normal * (positives - gains / 2 - earlier)
    return np.bincount(owners[last], won, ranked.videos).astype(np.float64)
