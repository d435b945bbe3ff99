"""Precision, recall and F1 of event boundaries within a tolerance in seconds.

A predicted and a true boundary match if they are no further apart than the tolerance; each is in one match at most. The
number of matches is the largest possible: on a line with one tolerance, pairing both lists in order reaches it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vau.errors import InputError

TOLERANCES_S = (0.5, 1.0, 2.0)

_ROUNDING_S = 1e-9  # so that times written in decimals, 0.5 s apart, count as 0.5 s apart


@dataclass(frozen=True, eq=False)
class Boundaries:
    """Predicted and true boundaries of one video, in any order.

    Raises:
        InputError: times that are not finite or not (N,).
    """

    video: str
    predicted_s: NDArray[np.float64]  # (P,)
    true_s: NDArray[np.float64]  # (T,)

    def __post_init__(self) -> None:
        for times_s in (self.predicted_s, self.true_s):
            if times_s.ndim != 1 or not np.isfinite(times_s).all():
                raise InputError(f"{self.video}: boundaries must be finite times (N,), got {times_s.shape = }")


@dataclass(frozen=True)
class BoundaryFigures:
    """Counts over all videos and what follows from them, in [0, 1]; None where nothing is predicted or true."""

    tolerance_s: float
    matched: int
    predicted: int
    true: int

    @property
    def precision(self) -> float | None:
        """Matched of predicted."""
        return self.matched / self.predicted if self.predicted else None

    @property
    def recall(self) -> float | None:
        """Matched of true."""
        return self.matched / self.true if self.true else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of both."""
        return 2 * self.matched / (self.predicted + self.true) if self.predicted + self.true else None

    def to_dict(self) -> dict[str, float | int | None]:
        """Returns counts and shares as data for JSON."""
        return vars(self) | {"precision": self.precision, "recall": self.recall, "f1": self.f1}


def boundary_figures(
    videos: Sequence[Boundaries], *, tolerances_s: Sequence[float] = TOLERANCES_S
) -> tuple[BoundaryFigures, ...]:
    """Computes figures at each tolerance, boundaries of all videos counting alike.

    Raises:
        InputError: no videos, two of one name, or a tolerance that is negative or not finite.
    """
    if not videos or len({video.video for video in videos}) < len(videos):
        raise InputError(f"boundaries need videos, each once, got {[video.video for video in videos]}")
    if not all(0 <= tolerance_s < np.inf for tolerance_s in tolerances_s):
        raise InputError(f"tolerances must be finite seconds from 0, got {list(tolerances_s)}")
    predicted = sum(len(video.predicted_s) for video in videos)
    true = sum(len(video.true_s) for video in videos)
    return tuple(
        BoundaryFigures(tolerance_s, sum(matches(video, tolerance_s) for video in videos), predicted, true)
        for tolerance_s in tolerances_s
    )


def matches(video: Boundaries, tolerance_s: float) -> int:
    """Returns the largest number of one-to-one matches."""
    predicted, true = np.sort(video.predicted_s).tolist(), np.sort(video.true_s).tolist()
    here = there = count = 0
    while here < len(predicted) and there < len(true):
        apart = predicted[here] - true[there]
        if abs(apart) <= tolerance_s + _ROUNDING_S:
            count, here, there = count + 1, here + 1, there + 1
        elif apart < 0:
            here += 1
        else:
            there += 1
    return count
