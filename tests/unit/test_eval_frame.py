from __future__ import annotations

import numpy as np
import pytest

from vau.errors import InputError
from vau.eval.frame import LabelledScores, interval_labels, pooled_auc, pooled_auc_interval


def _video(name: str, scores: list[float], labels: list[int]) -> LabelledScores:
    return LabelledScores(name, np.array(scores, float), np.array(labels, bool))


def test_pooled_auc_counts_pairs_across_videos_with_ties_at_half() -> None:
    videos = [_video("a", [0.1, 0.9], [0, 1]), _video("b", [0.9, 0.2], [0, 0])]
    # Pairs of the one abnormal frame (0.9) with 0.1, 0.9, 0.2: won, tied, won.
    assert pooled_auc(videos) == pytest.approx(2.5 / 3)


def test_interval_is_reproducible_ordered_and_widens_with_fewer_videos() -> None:
    rng = np.random.default_rng(1)
    videos = [
        LabelledScores(str(i), rng.normal(size=50) + (labels := np.arange(50) >= 25) * 0.8, labels) for i in range(20)
    ]
    low, high = pooled_auc_interval(videos)
    assert (low, high) == pooled_auc_interval(videos)
    assert low < pooled_auc(videos) < high
    few_low, few_high = pooled_auc_interval(videos[:4])
    assert few_high - few_low > high - low


def test_one_class_and_malformed_input_are_refused() -> None:
    with pytest.raises(InputError, match="both classes"):
        pooled_auc([_video("a", [0.1], [0])])
    with pytest.raises(InputError, match="NaN"):
        _video("a", [float("nan")], [0])
    with pytest.raises(InputError, match="shape"):
        _video("a", [0.1, 0.2], [0])


def test_interval_labels_are_closed() -> None:
    assert interval_labels(np.array([0.0, 1.0, 2.0, 2.5]), [(1.0, 2.0)]).tolist() == [False, True, True, False]
