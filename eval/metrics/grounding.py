"""Temporal grounding: overlap in time, R@K at IoU = m, and mean IoU by both conventions of the literature.

One query has one true span and a ranked list of predicted ones. The overlap's denominator is the hull of both spans,
as in UCA's and VAU-R1's evaluation; it differs from the union only where they do not touch, and there both give 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vau.errors import InputError
from vau.eval.metrics.sums import Summed, mean

Float64 = NDArray[np.float64]
Span = tuple[float, float]  # begin and end in seconds, or as shares of the video

RECALLED = (1, 5)
TIOUS = (0.3, 0.5, 0.7)
MAX_SPANS = 1000


def tiou(first: Span, second: Span) -> float:
    """Returns the overlap of two spans over their hull, in [0, 1]; 0 where both are points."""
    hull = max(first[1], second[1]) - min(first[0], second[0])
    shared = min(first[1], second[1]) - max(first[0], second[0])
    return max(0.0, shared) / hull if hull > 0 else 0.0


def check_span(value: Any) -> Span:
    """Returns a span as two finite numbers, begin not after end.

    Raises:
        InputError: it is none.
    """
    pair = list(value) if isinstance(value, list | tuple) else []
    good = len(pair) >= 2 and all(
        isinstance(number, int | float) and not isinstance(number, bool) and abs(number) < 1e9 for number in pair[:2]
    )
    if not good or not pair[0] <= pair[1]:
        raise InputError(f"a span is [begin, end] with begin <= end, got {value!r:.80}")
    return float(pair[0]), float(pair[1])


def check_spans(value: Any) -> tuple[Span, ...]:
    """Returns a ranked list of spans; a single [begin, end] is a list of one, a third number is a score and only read.

    Raises:
        InputError: it is none, is empty, or holds over 1,000.
    """
    given = value.get("spans_s", value.get("pred_relevant_windows")) if isinstance(value, dict) else value
    if isinstance(given, list | tuple) and given and not isinstance(given[0], list | tuple):
        given = [given]
    if not isinstance(given, list | tuple) or not 0 < len(given) <= MAX_SPANS:
        raise InputError(f"a ranked list of 1 to {MAX_SPANS} spans is needed, got {value!r:.80}")
    return tuple(check_span(one) for one in given)


def overlaps(predictions: Sequence[Sequence[Span] | None], truths: Sequence[Span], most: int) -> Float64:
    """Returns the overlap of each query's first `most` spans with the true one (N, most); 0 where there is none."""
    rows, columns, spans = [], [], []
    for row, ranked in enumerate(predictions):
        for column, span in enumerate((ranked or ())[:most]):
            rows.append(row)
            columns.append(column)
            spans.append(span)
    found = np.zeros((len(truths), most))
    if not spans:
        return found
    given = np.array(spans, np.float64)
    true = np.array(truths, np.float64)[rows]
    shared = np.minimum(given[:, 1], true[:, 1]) - np.maximum(given[:, 0], true[:, 0])
    hull = np.maximum(given[:, 1], true[:, 1]) - np.minimum(given[:, 0], true[:, 0])
    found[rows, columns] = np.divide(np.maximum(0, shared), hull, out=np.zeros(len(hull)), where=hull > 0)
    return found


def recall_figures(
    predictions: Sequence[Sequence[Span] | None],
    truths: Sequence[Span],
    *,
    recalled: Sequence[int] = RECALLED,
    tious: Sequence[float] = TIOUS,
) -> tuple[Summed, ...]:
    """Returns R@K, IoU=m for every K and m, and the mean IoU of first spans, pooled over all queries.

    Args:
        predictions: ranked spans of N queries; None for a failed one, which recalls nothing.
        truths: N true spans.
        recalled: K, how many spans of a query may be right.
        tious: m, in (0, 1]; an overlap of exactly m counts.
    """
    found = overlaps(predictions, truths, max(recalled))
    figures = []
    for k in recalled:
        best = found[:, :k].max(axis=1)
        figures += [mean(f"R@{k}, IoU={m:g}", best >= m) for m in tious]
    return (*figures, mean("mIoU", found[:, 0]))


def video_figures(
    predictions: Sequence[Span | str | None], truths: Sequence[Span | None], *, tious: Sequence[float] = TIOUS
) -> tuple[Summed, ...]:
    """Returns R@1 and mean IoU where videos may be normal, by both conventions.

    "anomalous" looks at videos with a true span alone, as VAU-R1's evaluation does. "all" counts a normal video as 1
    where no span is predicted and as 0 where one is; Vad-R1's high figures suggest it, its paper does not say.

    Args:
        predictions: a span, None for "no anomaly", or a text (the reason) for a failed item, which is always wrong.
        truths: the true span, None for a normal video.
        tious: thresholds in (0, 1].
    """
    values = [
        0.0
        if isinstance(given, str)
        else tiou(given, true)
        if given and true
        else float(given is None and true is None)
        for given, true in zip(predictions, truths, strict=True)
    ]
    scored = np.array(values)
    anomalous = np.array([true is not None for true in truths])
    figures = [mean(f"R@1, IoU={m:g}", scored >= m, anomalous) for m in tious]
    figures.append(mean("mIoU, anomalous", scored, anomalous))
    if not anomalous.all():
        figures += [mean("mIoU, all", scored), *(mean(f"R@1, IoU={m:g}, all", scored >= m) for m in tious)]
    return tuple(figures)


def length_bucket(duration_s: float | None) -> tuple[str, ...]:
    """Returns the row of a table by length of video: up to 60 s, up to 300 s, longer."""
    if duration_s is None or not math.isfinite(duration_s):
        return ()
    return ("video <= 60 s" if duration_s <= 60 else "60 s < video <= 300 s" if duration_s <= 300 else "video > 300 s",)
