from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from tests.text_space import DIM, ToyTower, seen
from vau.errors import ScoreError
from vau.scoring.definitions import Bank, Definitions, standard_banks
from vau.scoring.nova import NovaScorer, NovaSettings

TOWER = ToyTower()
CALM, FIRE, FIGHT = "people walking quietly", "flames fire burning", "men fight punching"
DEFINITIONS = Definitions((FIRE, FIGHT), (CALM, "an empty corridor"))
PLAIN = NovaSettings(anchor_share=0.0, gate=False, sigma_s=0.0)


def leading(track, at: slice) -> str:
    return track.signals[int(track.contributions[at].sum(axis=0).argmax())]


class Fixed:
    """Texts "0", "1", ... are the unit axes."""

    name = "fixed"

    def encode(self, texts):
        return np.eye(4, dtype=np.float32)[[int(text.split()[-1]) for text in texts]]


def frames_of(rows):
    base = seen(TOWER, ["x"] * len(rows), each_s=0.25)
    rows = np.array(rows, np.float32)
    object.__setattr__(base, "embeddings", rows / np.linalg.norm(rows, axis=1, keepdims=True))
    return base


def test_the_formula_by_hand():
    bank = Bank("one", ("0", "1"), ("2", "3"))
    row = np.array([0.8, 0.4, 0.4, 0.2])  # of unit norm: the mean of the upper half is 0.8 and 0.4
    found = NovaScorer((bank,), Fixed(), settings=PLAIN).score(frames_of([row]))
    assert found.scores[0] == pytest.approx(expit((0.90 * 0.8 - 0.4) / 0.03), abs=1e-6)
    even = NovaScorer((bank,), Fixed(), settings=NovaSettings(1.0, 0.9, 0.5, 0.0, gate=False, sigma_s=0.0))
    assert even.score(frames_of([row])).scores[0] == pytest.approx(expit((0.90 * 0.6 - 0.3) / 0.5), abs=1e-6)


def test_the_anchor_and_the_gate_by_hand():
    bank = Bank("one", ("0",), ("2",))
    rows = [[1, 0, 0, 0], [0.6, 0, 0.8, 0], [0.6, 0, 0.8, 0]]
    settings = NovaSettings(temperature=0.5, anchor_share=0.25, gate=True, sigma_s=0.0)
    found = NovaScorer((bank,), Fixed(), settings=settings).score(frames_of(rows)).scores
    first = expit((0.9 * np.array([1, 0.6, 0.6]) - np.array([0, 0.8, 0.8])) / 0.5)
    weights = np.exp(-first / 0.3) / np.exp(-first / 0.3).sum()
    anchor = weights @ np.array(rows)
    anchor /= np.linalg.norm(anchor)
    below = 0.75 * np.array([0, 0.8, 0.8]) + 0.25 * np.array(rows) @ anchor
    second = expit((0.9 * np.array([1, 0.6, 0.6]) - below) / 0.5)
    change = np.array([1 - 0.6, 1 - 0.6, 0.0])  # between the neighbours; the ends are their own neighbour
    np.testing.assert_allclose(found, second * expit(20 * (change - 0.02)), atol=1e-6)


def test_the_right_moment_scores_and_the_right_definition_says_why():
    found = NovaScorer(DEFINITIONS.banks(), TOWER).score(seen(TOWER, [CALM, CALM, FIRE, CALM, FIGHT, CALM]))
    per_scene = found.scores.reshape(6, -1)[:, 10:30].mean(axis=1)
    assert per_scene[[2, 4]].min() > 0.5 > 0.2 > per_scene[[0, 1, 3, 5]].max()
    assert leading(found, slice(80, 120)) == f"text match: {FIRE}"
    assert leading(found, slice(160, 200)) == f"text match: {FIGHT}"
    assert found.contributions.sum(axis=1) == pytest.approx(found.scores, abs=1e-5)


def test_what_is_defined_decides():
    footage = seen(TOWER, [CALM, FIRE, CALM])
    other = Definitions((FIGHT,), (CALM, FIRE))
    assert NovaScorer(DEFINITIONS.banks(), TOWER).score(footage).scores.max() > 0.5
    assert NovaScorer(other.banks(), TOWER).score(footage).scores.max() < 0.3


def test_the_anchor_lowers_what_the_camera_always_shows():
    footage = seen(TOWER, ["a lamp burning beside a door"] * 3)
    banks = Definitions(("a thing burning",), (CALM,)).banks()
    with_anchor = NovaScorer(banks, TOWER, settings=NovaSettings(gate=False)).score(footage).scores.mean()
    without = NovaScorer(banks, TOWER, settings=NovaSettings(gate=False, anchor_share=0.0)).score(footage).scores.mean()
    assert with_anchor < without - 0.1


def test_a_frozen_picture_scores_lower_than_a_lively_one():
    banks = DEFINITIONS.banks()
    still, lively = (
        NovaScorer(banks, TOWER).score(seen(TOWER, [CALM, FIRE, CALM], noise=noise)).scores[50:70].mean()
        for noise in (0.0, 0.3)
    )
    assert still < 0.5 < lively


def test_the_gaussian_is_in_seconds():
    banks = DEFINITIONS.banks()
    coarse, fine = (
        NovaScorer(banks, TOWER, settings=NovaSettings(gate=False)).score(seen(TOWER, [CALM, FIRE, CALM], rate=rate))
        for rate in (4.0, 16.0)
    )
    np.testing.assert_allclose(np.interp(coarse.times_s, fine.times_s, fine.scores), coarse.scores, atol=0.12)


@pytest.mark.parametrize("scenes", [[], ["x"]])
def test_tiny_videos_are_scored(scenes):
    footage = seen(TOWER, scenes or ["x"], each_s=0.25)
    if not scenes:
        for name in ("times_s", "embeddings", "motion"):
            object.__setattr__(footage, name, getattr(footage, name)[:0])
    assert len(NovaScorer(DEFINITIONS.banks(), TOWER).score(footage)) == len(scenes)


def test_sensitivity_never_lowers_a_score():
    footage = seen(TOWER, [CALM, FIRE])
    found = [NovaScorer(DEFINITIONS.banks(), TOWER, sensitivity=s).score(footage).scores.mean() for s in (0, 0.5, 1)]
    assert found == sorted(found) and found[0] < found[2]


def test_what_does_not_fit_is_refused():
    with pytest.raises(ScoreError, match="at least one bank"):
        NovaScorer((), TOWER)
    with pytest.raises(ScoreError, match=f"4 dimensions, the frames {DIM}"):
        NovaScorer((Bank("one", ("0",), ("1",)),), Fixed()).score(seen(TOWER, ["x"]))


def test_the_standard_banks_name_a_scene_in_their_own_words():
    scorer = NovaScorer(standard_banks(), TOWER)
    calm = "people walking along a pavement"
    found = scorer.score(seen(TOWER, [calm, "two cars crashing into each other", calm]))
    assert leading(found, slice(50, 70)) == "text match: traffic accident"
    assert (
        found.scores[50:70].mean() > found.scores[:30].mean() + 0.1
    )  # one sentence of a bank is seen, the upper half counts
