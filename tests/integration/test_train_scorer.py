"""Training from files to a report: a run that is killed goes on to the same bit, and a checkpoint analyses a video."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402 - torch first

from vau.cli.analyze import analyze  # noqa: E402
from vau.cli.train import train  # noqa: E402
from vau.scoring.checkpoint import read_checkpoint  # noqa: E402
from vau.training.scorer.trainer import STATE  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
STEPS = 60


def start(folder: Path, pause_s: float) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.training_run", str(folder), str(STEPS), str(pause_s)]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"})


def step_of(file: Path) -> int:
    size = int.from_bytes(file.read_bytes()[:8], "little")
    header = json.loads(file.read_bytes()[8 : 8 + size])
    return json.loads(header["__metadata__"]["state"])["progress"]["step"]


def test_a_killed_run_goes_on_to_bit_identical_weights(tmp_path):
    assert start(tmp_path / "whole", 0.0).wait(timeout=300) == 0
    cut = start(tmp_path / "cut", 0.2)
    state = tmp_path / "cut" / STATE
    until = time.monotonic() + 240
    while not (state.exists() and step_of(state) >= 10) and time.monotonic() < until:
        time.sleep(0.05)
    cut.send_signal(signal.SIGKILL)
    assert cut.wait(timeout=60) == -signal.SIGKILL
    assert 10 <= step_of(state) < STEPS
    assert start(tmp_path / "cut", 0.0).wait(timeout=300) == 0
    whole, resumed = (load_file(tmp_path / name / "final.safetensors") for name in ("whole", "cut"))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.clips
@pytest.mark.weights
def test_from_a_folder_of_clips_to_a_report(clips_dir, weights, tmp_path):
    data = tmp_path / "yard"
    for label, kind, stem in (("normal", "noFight", "nofi"), ("quarrel", "fight", "fi")):
        (data / label).mkdir(parents=True)
        for number in (1, 5, 13, 15):
            (data / label / f"{number}.mp4").symlink_to(clips_dir / "surv-fight" / kind / f"{stem}{number:03}.mp4")
    (data / "normal" / "broken.mp4").write_bytes(b"no video")
    app = typer.Typer()
    app.add_typer(train, name="train")
    app.command()(analyze)
    runner, kept = CliRunner(), ["--features", str(tmp_path / "kept")]
    found = runner.invoke(app, ["train", "scorer", str(data), "--out", str(tmp_path / "scorer"), *kept])
    assert found.exit_code == 0, found.output
    assert "left out: normal/broken.mp4" in found.output
    card, _ = read_checkpoint(tmp_path / "scorer")
    assert card.kind == "clip-stats" and card.data.videos == 8 and card.classes == ("normal", "quarrel")
    video = str(clips_dir / "surv-fight" / "fight" / "fi019.mp4")
    out = tmp_path / "reports"
    found = runner.invoke(app, ["analyze", video, "--scorer", str(tmp_path / "scorer"), "--out", str(out), "-q"])
    assert found.exit_code == 0, found.output
    report = json.loads((out / "fi019" / "report.json").read_text())
    assert report["scores"]["scorer"] == "clip-stats trained on yard"
    assert report["scores"]["signals"] == ["learned motion (yard)", "learned signals (yard)"]
    told = " ".join(claim["text"] for account in report["accounts"] for claim in account["claims"])
    assert "quarrel" not in told  # the class of a training video is no finding
    # A network on the same features: nothing is looked at again.
    options = ["--method", "mil", "--steps", "4", "--validation", "0.5", *kept]
    found = runner.invoke(app, ["train", "scorer", str(data), "--out", str(tmp_path / "network"), *options])
    assert found.exit_code == 0, found.output
    assert read_checkpoint(tmp_path / "network")[0].embedder == "efficientnet-lite3"
    assert not (tmp_path / "network.training").exists()
