"""The judge of events with a real multimodal model of random weights: loaded here, and served over HTTP offline."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests import fake_models
from tests.fake_models import FPS, falling, scene
from tests.tracks import observations
from vau.config import Config, MllmConfig, ScoringConfig, VideoConfig
from vau.errors import MllmError
from vau.pipeline import analyze
from vau.scoring.eventvad import SIGNALS, EventVadScorer, Work
from vau.scoring.load import load_scorer
from vau.types import ScoreTrack
from vau.video import read_at

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("accelerate")

SECONDS = 9
_START_S = 120.0


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    images = [scene(falling(index / FPS)) for index in range(SECONDS * FPS)]
    return fake_models.write(tmp_path_factory.mktemp("clips") / "fall.mp4", images)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    from vau.training import tiny_vlm

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("tiny")
    tiny_vlm.build(seed=0).save(folder)
    return folder


def judged(clip: Path, model: str, folder: Path, **changes) -> tuple[Work, ScoreTrack]:
    options = {"frames": 4, "image_side": 112, "max_tokens": 16, "concurrency": 2, "precision": "float32"}
    mllm = MllmConfig(model=model, cache=str(folder / "replies.sqlite"), **(options | changes))
    scorer = load_scorer(ScoringConfig(method="eventvad"), mllm=mllm)
    assert isinstance(scorer, EventVadScorer)
    work = scorer.with_pictures(partial(read_at, clip, config=VideoConfig(), max_side=mllm.image_side))
    times = np.arange(4 * SECONDS) / 4
    looks = np.eye(4, dtype=np.float32)[(times > 4).astype(int)]
    return work, work.score(observations(times=times, embeddings=looks))


def check(work: Work, track: ScoreTrack) -> None:
    assert len(work.pieces) == 2 and all(item.value is not None for item in work.outcomes)
    assert len(track) == 4 * SECONDS and 0 < track.scores.min() <= track.scores.max() < 1
    assert all(item.get().description.strip() for item in work.outcomes)
    assert work.cost.usage.prompt_tokens > 0 and work.cost.usage.images >= 16


def test_a_model_loaded_here_judges_by_the_likelihood_of_degrees(clip, tiny, tmp_path):
    work, track = judged(clip, str(tiny), tmp_path)
    check(work, track)
    assert "expected value over the likelihoods of eleven degrees" in track.scorer
    again, same = judged(clip, str(tiny), tmp_path)
    assert same.scores.tolist() == track.scores.tolist()
    assert again.cost.cached == again.cost.calls == work.cost.calls == 4


def test_the_pipeline_shows_it_the_video_and_reports_how_it_judged(clip, tiny, tmp_path):
    mllm = MllmConfig(
        model=str(tiny), cache=str(tmp_path / "replies.sqlite"), frames=4, image_side=112, max_tokens=16,
        precision="float32",
    )  # fmt: skip
    scorer = load_scorer(ScoringConfig(method="eventvad"), mllm=mllm)
    report = analyze(clip, Config(), models=fake_models.models(), scorer=scorer)
    assert report.scores.signals == SIGNALS and report.scores.scorer in report.models
    assert any("A model judged" in note for note in report.notes)
    assert report.account(None).title


@pytest.fixture(scope="module")
def server(tiny) -> Iterator[str]:
    command = shutil.which("transformers", path=str(Path(sys.executable).parent))
    if command is None:
        pytest.skip("`transformers serve` is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    log = (tiny / "serve.log").open("wb")
    process = subprocess.Popen(
        [command, "serve", str(tiny), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"],
        env=environment, stdout=log, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        _wait(process, f"http://127.0.0.1:{port}", tiny / "serve.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end:
        if process.poll() is not None:
            said = log.read_text("utf-8", "replace")
            if "pip install" in said or "ModuleNotFoundError" in said or "ImportError" in said:
                pytest.skip(f"`transformers serve` lacks a package: {said[-300:]}")
            pytest.fail(f"`transformers serve` ended with {process.returncode}: {said[-2000:]}")
        try:
            httpx.get(f"{url}/health", timeout=2)
            return
        except httpx.HTTPError:
            time.sleep(0.3)
    pytest.fail("`transformers serve` did not start")


def test_a_served_model_judges_by_likelihood(clip, tiny, server, tmp_path):
    work, track = judged(clip, server, tmp_path, name=str(tiny))
    check(work, track)
    assert "as near as the server tells" in track.scorer
    assert not any(outcome.tries > 1 for outcome in work.outcomes)


def test_answers_beside_the_point_are_an_error_and_never_a_score(clip, tiny, server, tmp_path):
    """More pictures than its decisions take leave answers in words, and random weights say neither yes nor no."""
    with pytest.raises(MllmError, match="judged 0 of 2"):
        judged(clip, server, tmp_path, name=str(tiny), frames=6)
