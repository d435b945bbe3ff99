from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.tracks import clock, observations
from vau.errors import CheckpointError, ScoreError
from vau.reasoning import signal_words as words
from vau.reasoning import signals
from vau.scoring.card import Calibration, Card, DataInfo
from vau.scoring.features import VERSION, width
from vau.scoring.kernel import KernelModel, kernel, part_kernel, standardise
from vau.scoring.learned import LearnedScorer, calibrated, data_name
from vau.types import Event


class Fixed:
    """Returns what it was given."""

    def __init__(self, logits, effects):
        self.logits, self.effects = np.asarray(logits, float), np.asarray(effects, float)

    def explain(self, features):
        return self.logits, self.effects


def card(parts=("motion", "signals"), **changes) -> Card:
    fields = {
        "kind": "clip-stats",
        "parts": parts,
        "dims": tuple(width(part, 8, 0.0) for part in parts),
        "features_version": VERSION,
        "data": DataInfo(name="yard"),
        "perception": {"sample_fps": 4.0},
    }
    return Card(**fields | changes)


def scene(rows: int = 5, **changes):
    return replace(observations(times=clock(10.0)[:rows]), **changes)


def test_the_score_is_half_at_the_level_and_shares_sum_to_it():
    scorer = LearnedScorer(
        card(calibration=Calibration(threshold=1.5, scale=0.5)),
        Fixed([1.5, 2.0, 1.0, 900, -900], np.random.default_rng(0).normal(size=(5, 2))),
    )
    found = scorer.score(scene())
    assert found.scores == pytest.approx([0.5, 0.7311, 0.2689, 1.0, 0.0], abs=1e-4)
    assert found.contributions.sum(1) == pytest.approx(found.scores)
    assert found.signals == ("learned motion (yard)", "learned signals (yard)")
    assert found.scorer == "clip-stats trained on yard"


def test_sensitivity_moves_the_score():
    low, high = (calibrated(np.zeros(1), 0.0, 1.0, shift)[0] for shift in (-2, 2))
    assert low == pytest.approx(0.1192, abs=1e-4) and high == pytest.approx(1 - low)


def test_another_embedder_is_refused():
    scorer = LearnedScorer(card(("embedding",), embedder="clip"), Fixed(np.zeros(5), np.zeros((5, 1))))
    with pytest.raises(CheckpointError, match="not interchangeable"):
        scorer.score(scene(models=("ssd", "efficientnet")))
    assert len(scorer.score(scene(models=("ssd", "clip")))) == 5


def test_wrong_dimensions_and_faster_samples_are_refused():
    wrong = LearnedScorer(card(("embedding",), embedder="clip", dims=(9,)), Fixed(np.zeros(5), np.zeros((5, 1))))
    with pytest.raises(CheckpointError, match="reads 9 features, got 8"):
        wrong.score(scene(models=("clip",)))
    slow = LearnedScorer(card(perception={"sample_fps": 2.0}), Fixed(np.zeros(5), np.zeros((5, 2))))
    with pytest.raises(CheckpointError, match=r"video\.sample_fps"):
        slow.score(scene())


@pytest.mark.parametrize("logits", [[0, np.nan, 0, 0, 0], [np.inf] * 5])
def test_nan_never_becomes_a_score(logits):
    with pytest.raises(ScoreError, match="NaN"):
        LearnedScorer(card(), Fixed(logits, np.zeros((5, 2)))).score(scene())


@pytest.mark.parametrize("changes", [{"features_version": VERSION + 1}, {"parts": ()}, {"dims": (1,)}])
def test_features_of_another_version_are_refused(changes):
    with pytest.raises(CheckpointError, match="train it again"):
        LearnedScorer(card(**changes) if "parts" not in changes else card((), dims=()), Fixed([], []))


@pytest.mark.parametrize(
    ("name", "shown"), [("my yard", "my-yard"), ("<b>x</b>\n", "b-x-b"), ("", "unnamed"), ("é" * 50, "unnamed")]
)
def test_the_name_of_the_data_is_fit_to_be_shown(name, shown):
    assert data_name(card(data=DataInfo(name=name))) == shown


def test_the_narrator_says_who_ranks_and_never_what_it_was():
    event = Event("E1", 0, 2, 1, 0.6, signals=(("learned motion (fights)", 0.6),))
    spoken = signals.deed("learned motion (fights)", event.score)
    assert 'a scorer trained on "fights" ranks what was seen as' in spoken
    assert 'trained on "fights" ranks the motion as abnormal' in words.words("learned motion (fights)").reason
    assert "trained on" in signals.heading("learned signals (fights)", 0.6)
    assert words.plain("learned motion (<script>)") == "without a name"


def machine(seed: int = 0) -> KernelModel:
    random = np.random.default_rng(seed)
    return KernelModel(
        random.normal(size=6), random.uniform(0.5, 2, 6), random.normal(size=(7, 6)), random.normal(size=7), 0.3, (2, 4)
    )


def test_the_machine_says_exactly_what_each_part_adds():
    model, rows = machine(), np.random.default_rng(1).normal(size=(9, 6)).astype(np.float32)
    logits, effects = model.explain(rows)
    assert effects.sum(1) == pytest.approx(logits)
    assert model.logits(rows) == pytest.approx(logits)
    scaled = standardise(rows, model.mean, model.std)
    assert logits == pytest.approx(3 * (kernel(scaled, model.reference, (2, 4)) @ model.weights + 0.3))


def test_the_kernel_is_a_mean_of_gaussians():
    a, b = np.random.default_rng(0).normal(size=(3, 5)), np.random.default_rng(1).normal(size=(4, 5))
    apart = ((a[:, None] - b) ** 2).mean(-1)
    assert part_kernel(a, b) == pytest.approx(np.mean([np.exp(-w * apart) for w in (0.05, 0.1, 0.2, 0.4)], axis=0))


def test_the_machine_comes_back_from_its_arrays():
    model, rows = machine(), np.random.default_rng(1).normal(size=(5000, 6)).astype(np.float32)
    again = KernelModel.of(model.arrays(), model.dims)
    assert again.logits(rows) == pytest.approx(model.logits(rows), abs=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        {"mean": np.zeros(5)},
        {"std": np.zeros(6)},
        {"reference": np.zeros((6, 6))},
        {"weights": np.zeros((7, 1))},
        {"bias": np.zeros(2)},
    ],
)
def test_arrays_that_do_not_fit_are_refused(change):
    with pytest.raises(CheckpointError):
        KernelModel.of(machine().arrays() | change, (2, 4))
    with pytest.raises(CheckpointError, match="lacks"):
        KernelModel.of({"mean": np.zeros(6)}, (2, 4))
