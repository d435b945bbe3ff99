"""One frame-level evaluation: every figure beside how much data it rests on and what trivial scores reach.

`evaluate_frames` is the one entry. It knows neither files nor data sets: a protocol hands it named videos on its grid.
Frames of one video are near copies of each other, so every interval resamples whole videos.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from vau.errors import InputError
from vau.eval.frame import LabelledScores, check_videos
from vau.eval.metrics.bootstrap import Areas, Estimate, Resampling, resampled_areas, resampled_means
from vau.eval.metrics.priors import priors
from vau.eval.metrics.ranking import Figures, Ranked, figures, mixed_aucs, padded_macro_auc_inflated, rank
from vau.eval.metrics.tables import GroupRow, by_category, by_length
from vau.types import Float64


@dataclass(frozen=True)
class FrameResult:
    """What one set of scores reaches on one grid, all areas in [0, 1].

    A figure is None where it is undefined: no abnormal or no normal frame among those that it looks at. Intervals are
    None there too, and with a single video.
    """

    used: int  # videos scored
    expected: int  # videos of the protocol
    frames: int
    abnormal_frames: int
    abnormal_videos: int  # with an abnormal frame
    mixed_videos: int  # with abnormal and normal frames
    auc: Estimate  # micro: all frames of all videos in one ROC, ties at mid-rank
    ap_step: Estimate  # average precision, step-wise
    ap_trapezoid: Estimate  # area under the precision-recall curve by trapezoids, which the field also calls AP
    auc_abnormal_only: Estimate  # AUC_A: frames of abnormal videos alone
    ap_step_abnormal_only: Estimate  # AP_A
    ap_trapezoid_abnormal_only: Estimate
    macro_auc: Estimate  # mean over the mixed videos
    padded_macro_auc_inflated: float  # mean over all videos, each with two made-up frames; never compare with it
    priors: dict[str, Figures]  # what scores that never saw a frame reach: see vau.eval.metrics.priors
    by_category: tuple[GroupRow, ...]
    by_length: tuple[GroupRow, ...]
    level: float  # of the intervals
    resamples: int
    seed: int  # of the resampling and of the random prior

    @property
    def complete(self) -> bool:
        """Whether every video of the protocol was scored."""
        return self.used == self.expected

    def to_dict(self) -> dict[str, Any]:
        """Returns the result as data for JSON; undefined figures are None."""
        return asdict(self) | {"complete": self.complete}


def evaluate_frames(
    videos: Sequence[LabelledScores],
    *,
    expected: int,
    allow_partial: bool = False,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    length_bins: int = 4,
) -> FrameResult:
    """Computes every frame-level figure of named videos on one grid, with intervals, priors and tables.

    Args:
        videos: scores and labels of each video; `category` fills the table by class.
        expected: number of videos that the protocol has.
        allow_partial: whether fewer videos than expected may be scored; the result says so either way.
        resamples: bootstrap resamples of whole videos; 0 for no intervals.
        level: coverage of the intervals, in (0, 1).
        seed: of the resampling and of the random prior.
        length_bins: rows of the table by length, each with about as many videos.

    Raises:
        InputError: no videos, two of one name, not as many as expected, or only one class of frames.
    """
    check_videos(videos)
    if len(videos) > expected or (len(videos) < expected and not allow_partial):
        raise InputError(
            f"scores of {len(videos)} videos where the protocol has {expected}: a figure over other videos cannot be "
            "compared; score them all, or allow partial data"
        )
    resampling = Resampling(resamples, level, seed)
    ranked = rank(videos)
    abnormal, normal = ranked.abnormal, ranked.normal
    return FrameResult(
        used=len(videos),
        expected=expected,
        frames=int((abnormal + normal).sum()),
        abnormal_frames=int(abnormal.sum()),
        abnormal_videos=int((abnormal > 0).sum()),
        mixed_videos=int(((abnormal > 0) & (normal > 0)).sum()),
        **_estimates(ranked, resampling),
        padded_macro_auc_inflated=padded_macro_auc_inflated(ranked),
        priors=priors(videos, seed=seed),
        by_category=by_category(videos, ranked),
        by_length=by_length(videos, ranked, bins=length_bins),
        level=level,
        resamples=resamples,
        seed=seed,
    )


def _estimates(ranked: Ranked, resampling: Resampling) -> dict[str, Estimate]:
    """Joins the point figures with their intervals, by the name of the figure."""
    samples: dict[str, Float64 | None] = {
        **_named(resampled_areas(ranked, resampling), ""),
        **_named(resampled_areas(ranked.among(ranked.abnormal > 0), resampling), "_abnormal_only"),
        "macro_auc": resampled_means(mixed_aucs(ranked), resampling),
    }
    own = figures(ranked)
    return {
        name: Estimate(getattr(own, name), *(() if values is None else resampling.interval(values)))
        for name, values in samples.items()
    }


def _named(areas: Areas | None, suffix: str) -> dict[str, Float64 | None]:
    names = [field.name for field in fields(Areas)]
    return {name + suffix: None if areas is None else getattr(areas, name) for name in names}
