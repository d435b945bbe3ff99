"""Clusters of abnormal videos in place of classes, for experts where classes are unknown (GS-MoE, arXiv 2508.06318).

The paper clusters by k-means; of what is unknown. Ours: of what stands out in a video, that is the mean of its most
abnormal snippets less the mean of the whole, by the scores of a head trained without classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vau.errors import InputError, MissingExtraError
from vau.training.scorer.bags import Bag

CLUSTERS = 7  # reported as the best number


def assign_clusters(
    bags: Sequence[Bag], scores: Sequence[NDArray[np.floating]], clusters: int = CLUSTERS, *, seed: int = 0
) -> list[Bag]:
    """Replaces the labels of abnormal bags by clusters 1 ... `clusters`; normal bags stay 0.

    Args:
        bags: normal and abnormal bags in any order.
        scores: (T,) of each bag, higher is more abnormal; those of normal bags are not read.
        clusters: their number.
        seed: of k-means.

    Raises:
        InputError: fewer abnormal bags than clusters, or scores that do not fit the bags.
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.cluster import KMeans
    except ImportError as error:
        raise MissingExtraError("Clustering of videos", "scorers") from error
    if [len(values) for values in scores] != [len(bag.features) for bag in bags]:
        raise InputError(f"needs one score a snippet of each of {len(bags)} bags, got {len(scores)} of other lengths")
    abnormal = [index for index, bag in enumerate(bags) if bag.label]
    if len(abnormal) < clusters:
        raise InputError(f"{clusters} clusters need as many abnormal bags, got {len(abnormal)}")
    described = np.stack([_what_stands_out(bags[index].features, scores[index]) for index in abnormal])
    found = KMeans(clusters, n_init=10, random_state=seed).fit_predict(described)
    labels = dict(zip(abnormal, (1 + found).tolist(), strict=True))
    return [replace(bag, label=labels.get(index, 0)) for index, bag in enumerate(bags)]


def _what_stands_out(features: NDArray[np.float32], scores: NDArray[np.floating]) -> NDArray[np.float64]:
    best = np.argsort(scores)[::-1][: len(scores) // 16 + 1]
    difference = features[best].mean(0, dtype=np.float64) - features.mean(0, dtype=np.float64)
    return np.asarray(difference / max(float(np.linalg.norm(difference)), 1e-12))
