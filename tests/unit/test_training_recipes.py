from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")

from vau.cli.train import METHODS as COMMAND_METHODS  # noqa: E402 - torch first
from vau.cli.train import train  # noqa: E402
from vau.errors import InputError, MissingExtraError  # noqa: E402
from vau.scoring.card import Card  # noqa: E402
from vau.scoring.checkpoint import read_checkpoint, write_checkpoint  # noqa: E402
from vau.scoring.head_model import HeadModel, head_arrays  # noqa: E402
from vau.training.scorer import loggers  # noqa: E402
from vau.training.scorer.bags import Bag, collate  # noqa: E402
from vau.training.scorer.recipes import METHODS, TEXT_METHODS, recipe  # noqa: E402
from vau.training.scorer.trainer import Plan, Training  # noqa: E402

DIM, CLASSES, WORDS = 16, 2, 16
_BASE = {"input_size": DIM, "width": 32, "layers": 1, "head_width": 8}
SMALL = {
    "mil": {"hidden": [32, 8]},
    "ur-dmu": _BASE,
    "gs-moe": {"base": _BASE, "expert_hidden": 32, "expert_sizes": [32], "gate_hidden": 32, "gate_sizes": [32]},
}


def bags(count: int = 8) -> list[Bag]:
    random = np.random.default_rng(0)
    return [
        Bag(f"v{index}", random.normal(size=(20 + 40 * index, DIM)).astype(np.float32), index % (CLASSES + 1))
        for index in range(count)
    ]


def texts() -> np.ndarray:
    rows = np.random.default_rng(1).normal(size=(1 + CLASSES, WORDS)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_and_its_checkpoint_scores_alike(method, tmp_path):
    text = texts() if method in TEXT_METHODS else None
    way = recipe(method, dim=DIM, classes=CLASSES, text=text)
    way = replace(way, settings=replace(way.settings, bags_a_side=2), arguments=way.arguments | SMALL.get(method, {}))
    head = way.head(0)
    start = [value.clone() for value in head.state_dict().values()]
    draw = way.draw(way.bags(bags()))
    run = Training(head, way.objective, way.settings, Plan(2, validate_every=1), draw, lambda _: 0.5, tmp_path / "s")
    run.run()
    # Patience keeps the first weights that were validated; they have moved from the start.
    assert any(not torch.equal(a, b) for a, b in zip(start, run.best.values(), strict=True))
    rows = bags()[1].features
    model = HeadModel(run.head, np.zeros(DIM), np.ones(DIM), [DIM], text)
    card = Card(kind=way.kind, arguments=way.arguments, parts=("embedding",), dims=(DIM,))
    write_checkpoint(tmp_path / "c", card, head_arrays(run.head, np.zeros(DIM), np.ones(DIM), text))
    again = HeadModel.of(*read_checkpoint(tmp_path / "c"))
    assert again.logits(rows) == pytest.approx(model.logits(rows), abs=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_training_bags_have_the_length_of_the_method(method):
    way = recipe(method, dim=DIM, classes=CLASSES, text=texts())
    lengths = [len(bag.features) for bag in way.bags(bags())]
    assert max(lengths) <= way.longest
    if way.exactly:
        assert set(lengths) == {way.longest}


def test_synthetic_videos_are_labelled_step_by_step():
    way = recipe("lagovad", dim=DIM, classes=CLASSES, text=texts())
    drawn = way.draw(way.bags(bags()))(torch.Generator().manual_seed(0))
    assert collate(drawn).frame_labels is not None
    assert sum(bag.label > 0 for bag in drawn) == sum(bag.label == 0 for bag in drawn)


def test_methods_that_read_texts_ask_for_them():
    with pytest.raises(InputError, match="3 classes"):
        recipe("vadclip", dim=DIM, classes=CLASSES)
    with pytest.raises(InputError, match="choose from"):
        recipe("magic", dim=DIM, classes=CLASSES)


def test_the_command_knows_every_method():
    assert set(COMMAND_METHODS) == {*METHODS, "auto", "clip-stats"}


def test_the_command_says_that_the_test_set_is_a_leak():
    shown = " ".join(CliRunner().invoke(train, ["scorer", "--help"], env={"COLUMNS": "200"}).output.split())
    assert "never on a test set" in shown and "leak" in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--method", "magic"], "choose from"),
        (["--steps", "0"], "--steps"),
        (["--seed", "-1"], "--seed"),
        (["--validation", "7"], "--validation"),
        (["--learning-rate", "nan"], "positive"),
        (["--validation", "0.4"], "no such folder"),
    ],
)
def test_the_command_refuses_what_it_cannot_use(tmp_path, arguments, words):
    found = CliRunner().invoke(train, ["scorer", str(tmp_path / "nowhere"), *arguments])
    assert found.exit_code == 2 and words in found.output


@pytest.mark.parametrize(("name", "module"), [("tensorboard", "torch.utils.tensorboard"), ("wandb", "wandb")])
def test_a_missing_logger_is_named(name, module, monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(MissingExtraError, match="logging"):
        getattr(loggers, name)(tmp_path if name == "tensorboard" else "project")


def test_several_logs_are_fed_alike():
    one, two = [], []
    log = loggers.several([lambda step, figures: one.append((step, figures)), lambda *given: two.append(given)])
    log(3, {"loss": 1.0})
    assert one == two == [(3, {"loss": 1.0})]
    assert loggers.several([]) is None
