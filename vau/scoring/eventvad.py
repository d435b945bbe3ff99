"""EventVAD (arXiv 2504.13092) with a multimodal model: each event of the partition is described, then judged.

An event is shown as several frames with their times; its degree of abnormality is read by likelihood where the backend
has it (see `vau.scoring.eventvad_judge`), refined across events that look alike, and smoothed over the frames. The
paper's prompt, its smoothing and its handling of failures are unknown or faulty; those here are ours, and a reply that
cannot be read is no score: the piece counts as not judged, is filled by a stated rule and named in the notes.

What is protected: site notes and the model's own descriptions are quoted as data, the model cannot act, and nothing it
writes but the degree reaches the score. What is not: words that stand in the picture are seen by the model, and may
sway its description and its judgement. Hence descriptions that read like orders are flagged in the notes, and the
training-free scorer, which reads no words, runs beside: `Work.measured` is its track, and the notes say where it
reports an event that the model does not.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image
from scipy.special import expit, logit

from vau.config import EventsConfig, MllmConfig
from vau.errors import MllmCancelled, MllmError, MllmTimeout, MllmUnavailable, ScoreError
from vau.events.boundaries import segment
from vau.jpeg import encode
from vau.mllm.interface import Sampling, TimedFrame
from vau.mllm.open import OpenMllm
from vau.mllm.pool import Outcome, Retries, run_all
from vau.reasoning.language import clean
from vau.scoring.eventvad_judge import WAYS, Cost, Judgement, Panel, Piece, Talk, Way
from vau.scoring.eventvad_notes import notes
from vau.scoring.eventvad_pieces import cut, filled, looks, moments, refined, rows_of
from vau.scoring.pictures import Pictures, Progress
from vau.scoring.postprocess import Refinement, smooth
from vau.scoring.training_free import SignalScorer
from vau.types import Float64, Observations, Relation, ScoreTrack

NAME = "EventVAD-style judge 1"
SIMILAR = Refinement(temperature=0.1, neighbours=10)  # as VADTree has it, over the whole video
SIGNALS = ("judged by the model", "filled from neighbouring events")
_LEAST_JUDGED = 0.5  # share of the time that must have been judged for a curve
_FIRST = 3  # pieces that may fail, one after the other, before the video does
_JPEG_QUALITY = 90


@dataclass(frozen=True)
class EventVadSettings:
    """How degrees are got and turned into a curve."""

    longest_s: float = 32.0  # longer segments are cut
    refinement: Refinement | None = SIMILAR  # None: each event for itself
    sigma_s: float = 1.0  # of the Gaussian over the frames; 0: none
    causal: bool = False  # refinement, filling and smoothing look back only; the partition itself is not causal
    ways: tuple[Way, ...] = tuple(WAYS)

    def __post_init__(self) -> None:
        if not (self.longest_s > 0 and self.sigma_s >= 0 and self.ways):
            raise ValueError(f"longest_s must be positive, sigma_s at least 0, and one way given, got {self!r}")


class EventVadScorer:
    """The judge of many videos; `with_pictures` starts on one. See the module for what it does.

    Args:
        model: the model to ask.
        mllm: frames, picture size, lengths and limits of calls, site notes.
        events: how the video is partitioned.
        sensitivity: 0.5 takes degrees as they are; 1 adds 2 to the log odds of every degree, 0 takes 2 away.
        settings: see there.
        retries: when a failed call is made again.
    """

    def __init__(
        self,
        model: OpenMllm,
        *,
        mllm: MllmConfig | None = None,
        events: EventsConfig | None = None,
        sensitivity: float = 0.5,
        settings: EventVadSettings | None = None,
        retries: Retries | None = None,
    ) -> None:
        self.model = model
        self.mllm = mllm or MllmConfig()
        self.events = events or EventsConfig()
        self.sensitivity = sensitivity
        self.settings = settings or EventVadSettings()
        self.retries = retries or Retries()

    @property
    def name(self) -> str:
        """Name and version of the method; that of the model is known to the work on a video."""
        return NAME

    def with_pictures(
        self, pictures: Pictures, progress: Progress | None = None, *, cancel: threading.Event | None = None
    ) -> Work:
        """Starts on a video.

        Args:
            pictures: reads its frames.
            progress: called with the share of the pieces that are done.
            cancel: set it, from any thread, to give up with `MllmCancelled`.
        """
        return Work(self, pictures, progress, cancel or threading.Event())

    def score(self, observations: Observations, relations: Sequence[Relation] = ()) -> ScoreTrack:
        """Raises ScoreError: observations hold no pictures."""
        raise ScoreError("a model that judges pictures cannot score observations alone; call with_pictures first")


class Work:
    """The judge of one video."""

    def __init__(
        self, scorer: EventVadScorer, pictures: Pictures, progress: Progress | None, cancel: threading.Event
    ) -> None:
        self._scorer = scorer
        self._pictures = pictures
        self._progress = progress
        self._cancel = cancel
        self._notes: tuple[str, ...] = ()
        self._way = ""
        self.pieces: tuple[Piece, ...] = ()
        self.outcomes: tuple[Outcome[Judgement], ...] = ()  # one a piece: what the model said of it, or why not
        self.measured: ScoreTrack | None = None  # the training-free track of the same video
        self.cost = Cost()

    @property
    def name(self) -> str:
        """The method's name with that of the model and, once it is known, the way in which the model judged."""
        if not self._way:
            return NAME
        return f"{NAME} ({clean(self._scorer.model.name, 80)}, {self._way})"

    @property
    def notes(self) -> tuple[str, ...]:
        """How the model judged, what it cost, what was not judged, what is suspicious, where measurements disagree."""
        return self._notes

    def score(self, observations: Observations, relations: Sequence[Relation] = ()) -> ScoreTrack:
        """Has the model judge the video.

        Args:
            observations: what perception saw; its frames give the partition and say which events look alike.
            relations: for the training-free track beside it; the model is not told of them.

        Returns:
            ScoreTrack on the sampled times with the signals of `SIGNALS`; 0.5 is the level of a reported event.

        Raises:
            MllmError: the model cannot be asked, cannot judge at all, or judged less than half of the time before the
                deadline; `MllmCancelled` where the work was given up.
        """
        scorer, settings = self._scorer, self._scorer.settings
        self.measured = SignalScorer(scorer.sensitivity).score(observations, relations)
        times = observations.times_s
        if not len(times):
            empty = np.zeros((0, len(SIGNALS)), np.float32)
            return ScoreTrack(times, empty.sum(axis=1), self.name, empty, SIGNALS)
        self.pieces = tuple(cut(segment(observations, scorer.events), settings.longest_s))
        panel = Panel(
            scorer.model.for_prompt,
            site_notes=scorer.mllm.site_notes,
            sampling=Sampling(max_tokens=scorer.mllm.max_tokens),
            timeout_s=scorer.mllm.timeout_s,
            ways=settings.ways,
        )
        talks = [Talk(panel, piece, partial(self._frames, piece)) for piece in self.pieces]
        self.outcomes = tuple(self._ask(panel, talks))
        self.cost, self._way = panel.cost, panel.how
        degrees = np.array([math.nan if item.value is None else item.value.degree for item in self.outcomes])
        self._check(degrees)
        alike = looks(self.pieces, observations, causal=settings.causal)
        levels = refined(self.pieces, self._shifted(degrees), alike, settings.refinement)
        levels, missing = filled(self.pieces, levels, causal=settings.causal)
        rows = rows_of(self.pieces, times)
        shares = np.where(np.stack([~missing, missing], axis=1), levels[:, None], 0.0)[rows]
        if settings.sigma_s > 0:
            shares = smooth(shares, times, settings.sigma_s, causal=settings.causal)
        contributions = shares.astype(np.float32)
        scores = np.clip(contributions.sum(axis=1), 0, 1).astype(np.float32)
        track = ScoreTrack(times, scores, self.name, contributions, SIGNALS)
        self._notes = notes(panel, talks, self.outcomes, missing, track, self.measured)
        return track

    def _frames(self, piece: Piece) -> list[TimedFrame]:
        batch = self._pictures(moments(piece, self._scorer.mllm.frames))
        return [
            TimedFrame(_jpeg(image, self._scorer.mllm.image_side), float(time_s))
            for image, time_s in zip(batch.images, batch.times_s, strict=True)
        ]

    def _ask(self, panel: Panel, talks: Sequence[Talk]) -> list[Outcome[Judgement]]:
        """Asks about the first piece alone, which finds the way that all are judged in, then about all others."""
        end = time.monotonic() + self._scorer.mllm.deadline_s
        outcomes: list[Outcome[Judgement]] = []
        while panel.way is None and len(outcomes) < len(talks):
            outcomes += self._run(talks, slice(len(outcomes), len(outcomes) + 1), end)
            error = outcomes[-1].error
            # A server that is not there, or a model that can judge in no way, fails for every other piece too.
            hopeless = isinstance(error, MllmUnavailable | MllmTimeout | MllmCancelled) or len(outcomes) >= _FIRST
            if error is not None and panel.way is None and hopeless:
                raise error
        outcomes += self._run(talks, slice(len(outcomes), len(talks)), end)
        if self._cancel.is_set():
            raise MllmCancelled("the judging of the video was given up")
        return outcomes

    def _run(self, talks: Sequence[Talk], part: slice, end: float) -> list[Outcome[Judgement]]:
        done = part.start

        def tell(_: int, __: Outcome[Judgement]) -> None:
            nonlocal done
            done += 1
            if self._progress is not None:
                self._progress(done / len(talks))

        return run_all(
            talks[part],
            concurrency=self._scorer.mllm.concurrency,
            retries=self._scorer.retries,
            deadline_s=max(end - time.monotonic(), 0.0),
            cancel=self._cancel,
            progress=tell,
        )

    def _check(self, degrees: Float64) -> None:
        """Raises MllmError where too little was judged to fill the rest from."""
        lengths = np.array([piece.end_s - piece.start_s for piece in self.pieces])
        judged = np.isfinite(degrees)
        if lengths[judged].sum() >= _LEAST_JUDGED * lengths.sum() and judged.any():
            return
        first = next(item.error for item in self.outcomes if item.error is not None)
        raise MllmError(
            f"the model judged {int(judged.sum())} of {len(degrees)} events, too few for a score; the first that failed"
            f" says: {first}. Raise mllm.deadline_s or mllm.timeout_s, choose another model, or scoring.method signals"
        )

    def _shifted(self, degrees: Float64) -> Float64:
        shift = 4 * (self._scorer.sensitivity - 0.5)
        with np.errstate(divide="ignore"):
            return degrees if shift == 0 else np.asarray(expit(logit(degrees) + shift), np.float64)


def _jpeg(image: np.ndarray, longest: int) -> bytes:
    picture = Image.fromarray(image)
    picture.thumbnail((longest, longest))  # never larger than it was
    return encode(picture, _JPEG_QUALITY)
