from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.eval_speed import FRAMES, VIDEOS, draw_truth, read_truth, timed, with_random_scores
from vau.errors import InputError


def _write(path: Path, lengths: list[int]) -> Path:
    np.savez(path, names=np.array(["Arson1_x", "Normal2"]), n=np.array(lengths), gt=np.array([0, 1, 1, 0, 0]))
    return path


def test_truth_is_read_by_video_and_timed(tmp_path: Path) -> None:
    videos = read_truth(_write(tmp_path / "gt.npz", [3, 2]), "n", "gt")
    assert [(video.video, video.category, video.labels.tolist()) for video in videos] == [
        ("Arson1_x", "Arson", [False, True, True]),
        ("Normal2", "", [False, False]),
    ]
    scored = with_random_scores(videos, 2)
    assert scored[0].scores[0] == scored[0].scores[1] != scored[0].scores[2]
    result, seconds = timed(scored, 2)
    assert result.used == 2 and len(seconds) == 2 and min(min(seconds)) >= 0


def test_truth_that_does_not_add_up_is_refused(tmp_path: Path) -> None:
    path = _write(tmp_path / "gt.npz", [3, 3])
    with pytest.raises(InputError, match="lengths of 6 frames, labels of 5"):
        read_truth(path, "n", "gt")
    with pytest.raises(InputError, match="no array other"):
        read_truth(path, "n", "other")


def test_drawn_sizes_are_like_those_of_the_real_set() -> None:
    videos = draw_truth()
    assert len(videos) == VIDEOS and sum(map(len, videos)) == pytest.approx(FRAMES, rel=0.01)
    assert 0.05 < sum(int(video.labels.sum()) for video in videos) / FRAMES < 0.1
