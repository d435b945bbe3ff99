"""Partial credit in a tree of labels: hierarchical precision, recall and F, Wu-Palmer similarity, pair accuracy.

A label is its path from below the root to itself, such as anomaly > conditional > climbing > cliff. The set-based
figures are those of Kiritchenko et al. (2006). How CueBench's own hierarchy score is computed is not public; what this
module gives is standard, and is not that score.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from vau.errors import InputError
from vau.eval.metrics.sums import Summed, f1, mean

Float64 = NDArray[np.float64]
Path = tuple[str, ...]  # levels from the top; equal names below different parents are different labels


def shared_levels(first: Path, second: Path) -> int:
    """Returns how many levels two paths have in common from the top."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count


def wu_palmer(first: Path, second: Path) -> float:
    """Returns twice the depth of the lowest common ancestor over the sum of depths, in [0, 1]."""
    depths = len(first) + len(second)
    return 2 * shared_levels(first, second) / depths if depths else 1.0


def hierarchy_figures(predictions: Sequence[Path | None], truths: Sequence[Path]) -> tuple[Summed, ...]:
    """Returns hP, hR, hF over sums of ancestors, and the mean Wu-Palmer similarity.

    Args:
        predictions: paths of N items; None for a failed one, which has no ancestor and similarity 0.
        truths: N paths, none of them empty.

    Raises:
        InputError: a true path is empty, or numbers differ.
    """
    if len(predictions) != len(truths) or not all(truths):
        raise InputError(f"{len(predictions)} predictions for {len(truths)} true paths, none of which may be empty")
    rows = [
        (shared_levels(given or (), true), len(given or ()), len(true))
        for given, true in zip(predictions, truths, strict=True)
    ]
    counts = np.array(rows, np.float64)
    similar = [
        0.0 if given is None else wu_palmer(given, true) for given, true in zip(predictions, truths, strict=True)
    ]
    return (
        Summed("hP", counts[:, [0, 1]], _zero_where_none),
        Summed("hR", counts[:, [0, 2]]),
        Summed("hF", counts, f1),
        mean("Wu-Palmer", similar),
    )


def pair_accuracy(right: Sequence[bool], pairs: Sequence[Hashable | None]) -> Summed:
    """Returns the share of matched pairs in which every member is right; by chance 25 % for two of two answers.

    Args:
        right: whether each of N items is.
        pairs: what pair an item belongs to; None for no pair.
    """
    members: dict[Hashable, list[int]] = defaultdict(list)
    for place, pair in enumerate(pairs):
        if pair is not None:
            members[pair].append(place)
    both, first = np.zeros(len(right)), np.zeros(len(right), bool)
    for places in members.values():
        both[places[0]] = all(right[place] for place in places)
        first[places[0]] = True
    return mean("pair accuracy", both, first)


def _zero_where_none(sums: Float64) -> Float64:
    # Nothing predicted at all is no precision to be proud of.
    found: Float64 = np.divide(sums[:, 0], sums[:, 1], out=np.zeros(len(sums)), where=sums[:, 1] > 0)
    return found
