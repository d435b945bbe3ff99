from __future__ import annotations

import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from tests.fake_models import models
from vau.cli.train import train
from vau.cli.train_camera import camera
from vau.scoring.card import Card
from vau.scoring.checkpoint import read_checkpoint, write_checkpoint
from vau.scoring.features import PARTS, width
from vau.training.scorer.store import Seen

PATCHED = "vau.training.scorer.store.FeatureStore"


@pytest.fixture
def clips(tmp_path):
    """Sixteen files that are no videos."""
    for label in ("normal", "fight"):
        (tmp_path / "clips" / label).mkdir(parents=True)
        for number in range(8):
            (tmp_path / "clips" / label / f"{number}.mp4").write_text(f"{label} {number}")
    return tmp_path / "clips"


@pytest.fixture
def untouched(monkeypatch):
    """Fails the test where a video is looked at."""
    monkeypatch.setattr(f"{PATCHED}._one", lambda self, item: pytest.fail("a video was looked at"))
    monkeypatch.setattr("vau.training.camera.run.find_footage", lambda *given: pytest.fail("a video was looked at"))


@pytest.fixture
def seen(monkeypatch):
    """Sees in each file what its name and its label say: abnormal ones move faster."""

    def one(self, item):
        random = np.random.default_rng(int(item.path.stem))
        parts = {part: random.normal(size=(12, width(part, 48, 0))).astype(np.float32) for part in PARTS}
        parts["motion"] += 4 * (item.label != "normal")
        return Seen(item, item.path.read_text(), np.arange(12) / 4, parts, 3.0)

    monkeypatch.setattr(f"{PATCHED}._one", one)
    monkeypatch.setattr("vau.training.scorer.store.load_models", lambda config: models())


def command(*arguments):
    app = typer.Typer()
    app.add_typer(train, name="train")
    app.command(name="camera")(camera)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def of_ours(folder):
    write_checkpoint(folder, Card(kind="x", seed=7), {})


def foreign(folder):
    folder.mkdir()
    (folder / "card.json").write_text(json.dumps({"name": "a library card"}))


def crowded(folder):
    folder.mkdir()
    (folder / "photo.jpg").touch()


@pytest.mark.parametrize("name", ["scorer", "camera"])
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: folder.touch(), "is a file"),
        (crowded, "not a checkpoint"),
        (foreign, "not a checkpoint"),
        (of_ours, "--force"),
    ],
)
def test_the_place_of_the_result_is_checked_before_any_video(clips, tmp_path, untouched, name, make, words):
    make(tmp_path / "out")
    arguments = ["train", "scorer"] if name == "scorer" else ["camera"]
    found = command(*arguments, clips, "--out", tmp_path / "out")
    assert found.exit_code == 2 and words in found.output and found.output.count("\n") == 1


@pytest.mark.parametrize("option", [["--out", "/proc/x"], ["--features", "AFILE"]])
def test_folders_that_cannot_be_written_are_refused_before_any_video(clips, tmp_path, untouched, option):
    (tmp_path / "AFILE").touch()
    option = [str(tmp_path / part) if part == "AFILE" else part for part in option]
    found = command("train", "scorer", clips, "--out", tmp_path / "out", *option)
    assert found.exit_code == 2 and f"{option[1]}: no folder that can be written" in found.output


def test_a_checkpoint_is_kept_until_force_is_given(clips, tmp_path, seen):
    of_ours(tmp_path / "out")
    assert command("train", "scorer", clips, "--out", tmp_path / "out").exit_code == 2
    assert read_checkpoint(tmp_path / "out")[0].seed == 7
    found = command("train", "scorer", clips, "--out", tmp_path / "out", "--force")
    assert found.exit_code == 0 and "warning" not in found.output, found.output
    assert read_checkpoint(tmp_path / "out")[0].kind == "clip-stats"


def test_a_run_that_was_cut_off_needs_no_force(clips, tmp_path, seen, monkeypatch):
    pytest.importorskip("torch")
    arguments = ["train", "scorer", clips, "--out", tmp_path / "out", "--method", "topk", "--steps", 2]
    arguments += ["--parts", "motion", "-q"]

    def cut(*given):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("vau.training.scorer.run.write_checkpoint", cut)
        assert command(*arguments).exit_code == 130
    assert (tmp_path / "out.training" / "training.safetensors").is_file()
    monkeypatch.setattr("vau.training.scorer.trainer.Training._step", lambda self: pytest.fail("learned again"))
    found = command(*arguments)
    assert found.exit_code == 0, found.output
    assert read_checkpoint(tmp_path / "out")[0].settings["steps"] == 2


def test_mil_is_the_network_of_sultani(clips, tmp_path, seen):
    pytest.importorskip("torch")
    found = command(
        "train", "scorer", clips, "--out", tmp_path / "out", "--method", "mil", "--steps", 2, "--parts", "motion"
    )
    assert found.exit_code == 0, found.output
    card, _ = read_checkpoint(tmp_path / "out")
    assert (card.kind, card.settings["method"], card.settings["optimiser"]) == ("sultani", "mil", "adagrad")


def test_figures_of_few_sources_come_with_a_warning(clips, tmp_path, seen):
    for path in sorted(clips.rglob("*.mp4")):
        if int(path.stem) > 2:
            path.unlink()
    found = command("train", "scorer", clips, "--out", tmp_path / "out", "-q")
    assert found.exit_code == 0 and found.output.startswith("warning: ") and found.output.count("\n") == 1, found.output
    assert "rest on 6 sources" in (tmp_path / "out" / "README.md").read_text()


def test_one_video_on_both_sides_is_refused(clips, tmp_path, seen):
    (clips / "fight" / "9.mp4").write_text("normal 3")
    found = command("train", "scorer", clips, "--out", tmp_path / "out")
    assert found.exit_code == 2 and "fight/9.mp4 and normal/3.mp4 are the same video" in found.output


def test_the_current_folder_can_hold_the_result(clips, tmp_path, seen, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    found = command("train", "scorer", clips, "--out", ".")
    assert found.exit_code == 0, found.output
    assert (tmp_path / "here" / "card.json").is_file() and (tmp_path / "here.features").is_dir()
