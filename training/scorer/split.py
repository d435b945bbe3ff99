"""Splits that never part the videos of one source: one of them in training and its sibling in validation is a leak.

The test set of a benchmark has no place here: choosing the checkpoint by its score on the test set is the field's most
common leak. The greedy rule is ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vau.errors import InputError
from vau.types import Bool, Int64


def grouped_folds(abnormal: Bool, sources: Sequence[str], folds: int, *, seed: int = 0) -> Int64:
    """Assigns whole sources to folds with about as many normal and abnormal videos each.

    Args:
        abnormal: (V,) label of each video.
        sources: of each video.
        folds: their number, at least 2.
        seed: of the order of sources that are alike in size.

    Returns:
        (V,) the fold of each video, from 0.

    Raises:
        InputError: there are fewer sources than folds.
    """
    labels = np.asarray(abnormal, bool)
    names, members = np.unique(np.asarray(sources), return_inverse=True)
    if folds < 2 or len(names) < folds:
        raise InputError(f"{folds} folds need at least as many sources, and two, got {len(names)}")
    counts = np.zeros((len(names), 2))
    np.add.at(counts, (members, labels.astype(int)), 1)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-counts[order].max(axis=1), kind="stable")]
    totals = np.maximum(counts.sum(axis=0), 1)
    filled = np.zeros((folds, 2))
    fold_of = np.zeros(len(names), np.int64)
    for source in order:
        # The fold that leaves the shares of both classes most even over the folds; the emptiest where several do.
        after = filled + counts[source]
        change = ((after / totals) ** 2).sum(axis=1) - ((filled / totals) ** 2).sum(axis=1)
        fold = min(range(folds), key=lambda index: (round(float(change[index]), 9), filled[index].sum()))
        filled[fold] += counts[source]
        fold_of[source] = fold
    return fold_of[members]


def merge_sources(sources: Sequence[str], contents: Sequence[str]) -> list[str]:
    """Returns the sources (V,) where videos of one content, and all that share a source with them, have one source.

    Args:
        sources: of each video.
        contents: of each video, such as its SHA-256.
    """
    parent = {source: source for source in sources}

    def root(source: str) -> str:
        while parent[source] != source:
            source = parent[source]
        return source

    first: dict[str, str] = {}
    for source, content in zip(sources, contents, strict=True):
        parent[root(source)] = root(first.setdefault(content, source))
    return [root(source) for source in sources]


def validation_rows(abnormal: Bool, sources: Sequence[str], share: float, *, seed: int = 0) -> Bool:
    """Returns which videos (V,) are set aside for validation.

    Args:
        abnormal: (V,) label of each video.
        sources: of each video.
        share: of all videos, above 0 and at most 0.5.
        seed: of the choice.

    Raises:
        InputError: the share is out of range, or one side would lack a class.
    """
    if not 0 < share <= 0.5:
        raise InputError(f"the share for validation must lie above 0 and at most at 0.5, got {share}")
    labels = np.asarray(abnormal, bool)
    folds = min(max(2, round(1 / share)), len(set(sources)))
    fold_of = grouped_folds(labels, sources, folds, seed=seed)
    # Each fold is as good as another: the first that leaves both classes on both sides.
    for fold in range(folds):
        held: Bool = fold_of == fold
        if all(0 < labels[side].sum() < side.sum() for side in (held, ~held)):
            return held
    raise InputError("no split by source leaves normal and abnormal videos on both sides; give more sources")
