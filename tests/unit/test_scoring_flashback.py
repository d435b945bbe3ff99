from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from tests.text_space import ToyTower, seen
from vau.errors import ScoreError
from vau.scoring.definitions import Bank, Definitions, standard_banks
from vau.scoring.flashback import FlashbackScorer

TOWER = ToyTower()
CALM, FIRE, FIGHT = "people walking quietly", "flames fire burning", "men fight punching"
DEFINITIONS = Definitions((FIRE, FIGHT), (CALM, "an empty corridor"))


class Fixed:
    """The last word of a text is its axis."""

    name = "fixed"

    def encode(self, texts):
        return np.eye(4, dtype=np.float32)[[int(text.split()[-1]) for text in texts]]


def test_the_vote_by_hand():
    banks = (Bank("one", ("0",), ("2", "3")), Bank("two", ("1",), ("3", "2")))  # shared sentences count once
    scorer = FlashbackScorer(banks, Fixed(), alpha=0.5, recalled=3, temperature=0.1)
    base = seen(TOWER, ["x"], each_s=0.25)
    row = np.array([[0.7, 0.1, 0.5, 0.5]], np.float32)
    object.__setattr__(base, "embeddings", row)  # of unit norm
    found = scorer.score(base)
    weights = softmax(np.array([0.35, 0.5, 0.5]) / 0.1)  # the three nearest of 0.35, 0.05, 0.5, 0.5
    assert found.contributions[0].tolist() == pytest.approx([weights[0], 0.0], abs=1e-6)
    assert found.scores[0] == pytest.approx(weights[0], abs=1e-6)


def test_the_right_moment_scores_and_the_right_definition_says_why():
    found = FlashbackScorer(DEFINITIONS.banks(), TOWER).score(seen(TOWER, [CALM, FIRE, CALM, FIGHT]))
    per_scene = found.scores.reshape(4, -1)[:, 5:35].mean(axis=1)
    assert per_scene[[1, 3]].min() > 0.6 > 0.3 > per_scene[[0, 2]].max()
    assert found.signals[int(found.contributions[50:70].sum(axis=0).argmax())] == f"text match: {FIRE}"
    assert found.signals[int(found.contributions[130:150].sum(axis=0).argmax())] == f"text match: {FIGHT}"
    assert found.contributions.sum(axis=1) == pytest.approx(found.scores, abs=1e-5)


def test_alpha_and_sensitivity_move_all_scores_one_way():
    footage = seen(TOWER, [CALM, FIRE])
    banks = DEFINITIONS.banks()
    by_alpha = [FlashbackScorer(banks, TOWER, alpha=a).score(footage).scores.mean() for a in (0.8, 0.95, 1.0)]
    by_sense = [FlashbackScorer(banks, TOWER, sensitivity=s).score(footage).scores.mean() for s in (0.0, 0.5, 1.0)]
    for found in (by_alpha, by_sense):
        assert found == sorted(found) and found[0] < found[2]


def test_a_long_video_is_scored_in_parts_as_in_one(monkeypatch):
    footage = seen(TOWER, [CALM, FIRE, CALM])
    scorer = FlashbackScorer(standard_banks(), TOWER)
    whole = scorer.score(footage).contributions
    monkeypatch.setattr("vau.scoring.flashback._BATCH", 7)
    np.testing.assert_allclose(scorer.score(footage).contributions, whole, atol=1e-4)


@pytest.mark.parametrize("rows", [0, 1])
def test_tiny_videos_are_scored(rows):
    footage = seen(TOWER, ["x"], each_s=0.25)
    for name in ("times_s", "embeddings", "motion"):
        object.__setattr__(footage, name, getattr(footage, name)[:rows])
    assert len(FlashbackScorer(DEFINITIONS.banks(), TOWER).score(footage)) == rows


def test_what_does_not_fit_is_refused():
    with pytest.raises(ScoreError, match="at least one bank"):
        FlashbackScorer((), TOWER)
    with pytest.raises(ScoreError, match="efficientnet"):
        FlashbackScorer(DEFINITIONS.banks(), TOWER).score(seen(TOWER, ["x"], models=("efficientnet",)))
