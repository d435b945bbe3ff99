"""The one interface of all anomaly scorers: what perception saw goes in, a score with named signals comes out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from vau.types import Observations, Relation, ScoreTrack


class Scorer(Protocol):
    """Something that scores every sampled frame of a video."""

    @property
    def name(self) -> str:
        """Name and version, as the report states it."""
        ...

    def score(self, observations: Observations, relations: Sequence[Relation] = ()) -> ScoreTrack:
        """Scores a video.

        Args:
            observations: what perception saw, N sampled frames.
            relations: relations of its tracks.

        Returns:
            ScoreTrack on the sampled times; 0.5 is the level from which an event is reported.

        Raises:
            ScoreError: the observations do not fit this scorer, or a score came out as NaN or infinity.
        """
        ...
