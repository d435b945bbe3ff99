"""Dense captioning: events with a span and a sentence each, against the events of a video.

Two readings. As ActivityNet Captions counts (Krishna et al., ICCV 2017): every predicted event is scored against each
true one that it overlaps by at least t, one that overlaps none scores 0, averaged over a video's pairs, over videos and
over t. And SODA_c (Fujita et al., ECCV 2020): the best matching in order of time, F of overlap times METEOR. Sentence
scores are METEOR's; CIDEr takes document frequencies from all true sentences of the split, not video by video as
ActivityNet's code does, where a video with one event has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vau.errors import InputError
from vau.eval.metrics import captions
from vau.eval.metrics.grounding import Span, check_span
from vau.eval.metrics.sums import Summed, mean

Float64 = NDArray[np.float64]

TIOUS = (0.3, 0.5, 0.7, 0.9)
MAX_EVENTS = 1000


@dataclass(frozen=True)
class Told:
    """A sentence about a span of a video."""

    span: Span
    sentence: str


def check_events(value: Any) -> tuple[Told, ...]:
    """Returns events; each is an object with `span_s` (or ActivityNet's `timestamp`) and `sentence`.

    Raises:
        InputError: they are none, or over 1,000.
    """
    given = value.get("events") if isinstance(value, dict) else value
    if not isinstance(given, list) or len(given) > MAX_EVENTS:
        raise InputError(f"a list of at most {MAX_EVENTS} events is needed, got {value!r:.80}")
    events = []
    for event in given:
        sentence = event.get("sentence") if isinstance(event, dict) else None
        if not isinstance(sentence, str):
            raise InputError(f"an event needs span_s and sentence, got {event!r:.80}")
        events.append(Told(check_span(event.get("span_s", event.get("timestamp"))), sentence))
    return tuple(events)


def dense_figures(
    predictions: Sequence[Sequence[Told] | None], truths: Sequence[Sequence[Told]], *, tious: Sequence[float] = TIOUS
) -> tuple[Summed, ...]:
    """Returns METEOR, CIDEr, recall and precision averaged over thresholds, and SODA_c, all means over videos.

    Args:
        predictions: events of each video, in any order; None for a failed one, which has none.
        truths: events of each video, at least one.
        tious: thresholds of the first four, in (0, 1].

    Raises:
        InputError: numbers of videos differ, or a video has no true event.
        MissingExtraError: pycocoevalcap is not installed.
    """
    if len(predictions) != len(truths) or not all(truths):
        raise InputError("dense captioning needs at least one true event a video, and as many videos as predictions")
    videos = [
        _Video([told.span for told in given or ()], [told.span for told in true])
        for given, true in zip(predictions, truths, strict=True)
    ]
    _score(videos, predictions, truths)
    figures = [
        mean(name, [_average(getattr(video, name), video.overlap, tious) for video in videos])
        for name in ("METEOR", "CIDEr")
    ]
    reach = [[_reached(video.overlap, tiou) for tiou in tious] for video in videos]
    recall, precision = np.mean(np.array(reach).reshape(len(videos), -1, 2), axis=1).T
    soda = [soda_f(video.overlap * video.METEOR) for video in videos]
    return (*figures, mean("recall", recall), mean("precision", precision), mean("SODA_c", soda))


def soda_f(gains: Float64) -> float:
    """Returns SODA's F of one video: harmonic mean of the best in-order sum over predictions and over true events.

    Args:
        gains: overlap times sentence score (P, T) of each prediction with each true event, both in order of time.
    """
    predicted, true = gains.shape
    if not predicted:
        return 0.0
    # best[t]: the highest sum that uses the predictions so far and the first t true events.
    best = np.zeros(true + 1)
    for row in gains:
        taken = np.maximum(best[1:], best[:-1] + row)
        best[1:] = np.maximum.accumulate(taken)
    total = float(best[-1])
    precision, recall = total / predicted, total / true
    return 2 * precision * recall / (precision + recall) if total > 0 else 0.0


class _Video:
    """Overlaps (P, T) of a video's predicted and true events, and METEOR and CIDEr of the pairs that overlap."""

    def __init__(self, given: Sequence[Span], true: Sequence[Span]) -> None:
        self.given = sorted(range(len(given)), key=lambda place: given[place])
        self.true = sorted(range(len(true)), key=lambda place: true[place])
        mine = np.array([given[place] for place in self.given], np.float64).reshape(-1, 1, 2)
        theirs = np.array([true[place] for place in self.true], np.float64).reshape(1, -1, 2)
        shared = np.minimum(mine[..., 1], theirs[..., 1]) - np.maximum(mine[..., 0], theirs[..., 0])
        hull = np.maximum(mine[..., 1], theirs[..., 1]) - np.minimum(mine[..., 0], theirs[..., 0])
        self.overlap: Float64 = np.divide(np.maximum(0, shared), hull, out=np.zeros(shared.shape), where=hull > 0)
        self.METEOR: Float64 = np.zeros(shared.shape)
        self.CIDEr: Float64 = np.zeros(shared.shape)


def _score(
    videos: Sequence[_Video], predictions: Sequence[Sequence[Told] | None], truths: Sequence[Sequence[Told]]
) -> None:
    """Fills in the sentence scores of all pairs of all videos that overlap, in one run of each scorer."""
    told = [[one.sentence for one in given or ()] for given in predictions]
    true = [[one.sentence for one in group] for group in truths]
    flat = iter(captions.tokenise([text for group in (*told, *true) for text in group]))
    told = [[next(flat) for _ in group] for group in told]
    true = [[next(flat) for _ in group] for group in true]
    pairs = [(number, *place) for number, video in enumerate(videos) for place in np.argwhere(video.overlap > 0)]
    given = [told[number][videos[number].given[row]] for number, row, _ in pairs]
    against = [[true[number][videos[number].true[column]]] for number, _, column in pairs]
    meteors = captions.meteor(captions.meteor_counts(given, against)) if pairs else ()
    ciders = captions.cider_among(given, against, [text for group in true for text in group]) if pairs else ()
    for (number, row, column), first, second in zip(pairs, meteors, ciders, strict=True):
        videos[number].METEOR[row, column] = first
        videos[number].CIDEr[row, column] = second


def _average(scores: Float64, overlap: Float64, tious: Sequence[float]) -> float:
    return float(np.mean([_matched(scores, overlap, tiou) for tiou in tious]))


def _matched(scores: Float64, overlap: Float64, tiou: float) -> float:
    """Returns the mean score of a video's pairs that overlap enough; predictions in none of them count as one of 0."""
    if not len(overlap):
        return 0.0
    pairs = overlap >= tiou
    count = int(pairs.sum()) + int((~pairs.any(axis=1)).sum())
    return float(scores[pairs].sum()) / count


def _reached(overlap: Float64, tiou: float) -> tuple[float, float]:
    """Returns the shares of true events that a prediction reaches, and of predictions that reach one."""
    if not len(overlap):
        return 0.0, 0.0
    pairs = overlap >= tiou
    return float(pairs.any(axis=0).mean()), float(pairs.any(axis=1).mean())
