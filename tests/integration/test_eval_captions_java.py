"""Caption metrics that need Java, held against pycocoevalcap's own; each start of METEOR takes some seconds."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from vau.eval.metrics.captions import METRICS, caption_figures, meteor, meteor_counts, tokenise
from vau.eval.metrics.dense import Told, dense_figures

pytest.importorskip("pycocoevalcap")
pytestmark = pytest.mark.skipif(shutil.which("java") is None, reason="no Java: apt-get install default-jre-headless")

TRUE = [
    ["a man in black runs across the street"],
    ["two cars collide at the crossing", "a car hits another car"],
    ["a woman picks up the red bag and leaves"],
    ["a man in black runs across the street"],
]
GIVEN = ["a man runs over the street", "two cars crash", "a woman leaves with a bag", TRUE[3][0]]
HOSTILE = ["a\nb", "a ||| b", "a\x85b\u2028c\rd", "\x00 a \x1b[2J", "\ud83d", "\U0001f525 a", "", " "]


def test_hostile_sentences_stay_one_line_and_meteor_is_pycocoevalcaps() -> None:
    from pycocoevalcap.meteor.meteor import Meteor

    tokens = tokenise([*HOSTILE, *GIVEN])
    assert tokens[:2] == ["a b", "a b"] and tokens[len(HOSTILE) :] == GIVEN
    true = [["a b"]] * len(HOSTILE) + TRUE
    expected, segments = Meteor().compute_score(dict(enumerate(true)), {key: [one] for key, one in enumerate(tokens)})
    counts = meteor_counts(tokens, true)
    assert meteor(counts) == pytest.approx(segments, abs=1e-12)
    assert meteor(counts.sum(axis=0, keepdims=True))[0] == pytest.approx(expected, abs=1e-12)


def test_all_metrics_of_perfect_and_failed_sentences() -> None:
    figures = {one.name: one for one in caption_figures([*(group[0] for group in TRUE), *[None] * 4], TRUE * 2)}
    assert set(figures) == set(METRICS)
    perfect, failed = np.arange(8) < 4, np.arange(8) >= 4
    for name, figure in figures.items():
        assert figure.value(perfect) > (3 if name == "CIDEr" else 1 - 1e-6), name
        assert figure.value(failed) == pytest.approx(0, abs=1e-9), name
        assert figure.value(failed) <= figure.value() < figure.value(perfect)


def test_dense_captions_of_perfect_half_right_and_failed_videos() -> None:
    two = (Told((0.0, 10.0), "a man runs across the street"), Told((20.0, 30.0), "a car hits the wall"))
    one = (Told((5.0, 9.0), "two women talk at the gate"),)
    # One of two sentences, half of its span too much: the overlap of 1/2 counts at 0.3 and 0.5 alone.
    half = (Told((0.0, 20.0), two[0].sentence),)
    figures = {
        figure.name: figure for figure in dense_figures([two[::-1], one, half, None, ()], [two, one, two, two, one])
    }
    place = np.arange(5)
    perfect = {name: figure.value(place < 2) for name, figure in figures.items()}
    assert perfect["recall"] == perfect["precision"] == 1
    assert perfect["METEOR"] == pytest.approx(1) and perfect["SODA_c"] == pytest.approx(1) and perfect["CIDEr"] > 5
    found = {name: figure.value(place == 2) for name, figure in figures.items()}
    assert found["recall"] == pytest.approx((0.5 + 0.5 + 0 + 0) / 4) and found["precision"] == pytest.approx(0.5)
    assert found["METEOR"] == pytest.approx(0.5) and found["SODA_c"] == pytest.approx(2 * 0.5 * 0.25 / 0.75)
    assert {figure.value(place > 2) for figure in figures.values()} == {0}
