from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import training_free
from benchmarks.clips import Clip
from vau.config import Config


def seen(name: str, events: tuple[tuple[float, float], ...], signals: list[float]) -> training_free.Seen:
    count = len(signals)
    embeddings = np.random.default_rng(0).normal(size=(count, 8)).astype(np.float32)
    times_s = np.arange(count, dtype=float)
    return training_free.Seen(
        Clip(name, "x", events), 0, float(count), times_s, embeddings, np.array(signals), np.zeros(count)
    )


CLIPS = [
    seen("crash.mp4", ((2, 3),), [0.1, 0.2, 0.9, 0.3, 0.1]),
    seen("fall.mp4", ((0, 1),), [0.1, 0.2, 0.3, 0.7, 0.1]),
    seen("street.mp4", (), [0.1, 0.2, 0.1, 0.0]),
    seen("market.mp4", (), [0.1, 0.6, 0.1, 0.0]),
]


def row(scorer: str, processing: str) -> training_free.Row:
    scores = [training_free.scorers(Config())[scorer](clip) for clip in CLIPS]
    return training_free.measure(CLIPS, scorer, scores, processing)


def test_figures_of_a_row() -> None:
    found = row("signals", "none")
    assert (found.peaks, found.quiet) == ("1/2 (50 %)", "1/2 (50 %)")
    assert (found.result.used, found.result.abnormal_videos, found.result.frames) == (4, 2, 18)
    # Abnormal 0.9, 0.3, 0.1, 0.2 against six normal frames of the same clips: 0.1, 0.2, 0.1 and 0.3, 0.7, 0.1.
    assert found.result.auc_abnormal_only.value == pytest.approx((6 + 4.5 + 1.5 + 3.5) / 24)


def test_scores_of_no_absolute_scale_are_never_called_quiet() -> None:
    assert row("frame difference", "none").quiet is None
    assert row("frame difference", "none").peaks == "0/2 (0 %)"
    assert row("frame difference", "none").result.auc.value == 0.5


@pytest.mark.parametrize("processing", training_free.PROCESSING)
def test_every_scorer_goes_through_every_processing(processing: str) -> None:
    for scorer in training_free.scorers(Config()):
        assert 0 <= row(scorer, processing).result.auc.value <= 1


def test_table_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    training_free.print_rows([row("signals", "none")])
    assert "| signals | none | 0." in capsys.readouterr().out
    assert {"nova", "flashback"}.isdisjoint(training_free.scorers(Config()))
    assert "nova and flashback" in training_free.LEFT_OUT


def test_cache_gives_back_what_was_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "crash.mp4").write_bytes(b"video")
    looks: list[str] = []

    def look(clip: Clip, *_: object) -> training_free.Seen:
        looks.append(clip.file)
        return CLIPS[0]

    monkeypatch.setattr(training_free, "look", look)
    ask = (CLIPS[0].clip, 0, tmp_path, None, Config(), tmp_path / "cache")
    first, again = (training_free.remembered(*ask) for _ in range(2))  # type: ignore[arg-type]
    assert looks == ["crash.mp4"]
    for name in ("times_s", "embeddings", "signals", "difference"):
        assert (getattr(first, name) == getattr(again, name)).all()
    assert (again.duration_s, again.clip) == (first.duration_s, first.clip)
    (tmp_path / "crash.mp4").write_bytes(b"another video")
    training_free.remembered(*ask)  # type: ignore[arg-type]
    assert len(looks) == 2
