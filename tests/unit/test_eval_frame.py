from __future__ import annotations

import numpy as np
import pytest

from vau.errors import InputError
from vau.eval.frame import LabelledScores, check_videos, interval_labels


def _video(name: str, scores: list[float], labels: list[int]) -> LabelledScores:
    return LabelledScores(name, np.array(scores, float), np.array(labels))


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([float("nan")], [0], "NaN"),
        ([float("inf")], [0], "infinity"),
        ([0.1, 0.2], [0], "shape"),
        ([[0.1]], [[0]], "shape"),
        ([], [], "no frames"),
        ([0.1], [2], "labels"),
        ([0.1], [-1], "labels"),
    ],
)
def test_malformed_scores_and_labels_are_refused(scores: list[float], labels: list[int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        _video("a", scores, labels)


def test_text_is_no_score() -> None:
    with pytest.raises(InputError, match="no numbers"):
        LabelledScores("a", np.array(["0.5"]), np.array([True]))  # type: ignore[arg-type]


def test_whole_numbers_become_scores_and_labels() -> None:
    video = LabelledScores("a", np.array([1, 2]), np.array([0.0, 1.0]), "Arson+Fighting")  # type: ignore[arg-type]
    assert video.scores.dtype == np.float64 and video.labels.tolist() == [False, True]
    assert len(video) == 2 and video.abnormal and video.categories == ("Arson", "Fighting")
    assert _video("b", [1], [0]).categories == ()


def test_videos_that_cannot_be_pooled_are_refused() -> None:
    mixed = _video("a", [0.1, 0.2], [0, 1])
    check_videos([mixed, _video("b", [0.1], [0])])
    with pytest.raises(InputError, match="no videos"):
        check_videos([])
    with pytest.raises(InputError, match="'a' is given 2 times"):
        check_videos([mixed, mixed])
    with pytest.raises(InputError, match="both classes, got 0 abnormal of 1"):
        check_videos([_video("b", [0.1], [0])])
    with pytest.raises(InputError, match="both classes, got 1 abnormal of 1"):
        check_videos([_video("b", [0.1], [1])])


def test_interval_labels_are_closed() -> None:
    assert interval_labels(np.array([0.0, 1.0, 2.0, 2.5]), [(1.0, 2.0)]).tolist() == [False, True, True, False]
