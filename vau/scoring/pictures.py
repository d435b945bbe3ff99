"""Scorers that look at pictures of times of their own choice, once it is known what happens when in the video.

A scorer is kept for many videos and starts a `PictureWork` for each, which is that video's `Scorer`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from vau.types import FrameBatch, Observations, Relation, ScoreTrack

# The frames on screen at some times, sorted, none twice; times beyond the end mean the last frame. Any thread may call.
Pictures = Callable[[Sequence[float]], FrameBatch]
Progress = Callable[[float], None]  # takes how much is done, 0 to 1


class PictureWork(Protocol):
    """The scorer of one video."""

    @property
    def name(self) -> str:
        """Name and version of the scorer."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the report must know of how the score came about; empty before `score`."""
        ...

    def score(self, observations: Observations, relations: Sequence[Relation] = ()) -> ScoreTrack:
        """Scores the video; see `vau.scoring.scorer.Scorer`."""
        ...


@runtime_checkable
class PictureScorer(Protocol):
    """A scorer that must be shown pictures."""

    @property
    def name(self) -> str:
        """Name and version, as the report states it."""
        ...

    def with_pictures(self, pictures: Pictures, progress: Progress | None = None) -> PictureWork:
        """Starts on a video.

        Args:
            pictures: reads its frames.
            progress: called as the work goes on.
        """
        ...

    def score(self, observations: Observations, relations: Sequence[Relation] = ()) -> ScoreTrack:
        """Raises ScoreError: observations hold no pictures, so only the work on a video can score it."""
        ...
