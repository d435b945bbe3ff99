from __future__ import annotations

import numpy as np
import pytest

from tests.tracks import clock, observations
from vau.config import PerceptionConfig, ScoringConfig, VideoConfig
from vau.errors import CheckpointError, ConfigError
from vau.scoring.card import Card
from vau.scoring.checkpoint import write_checkpoint
from vau.scoring.features import VERSION
from vau.scoring.load import load_scorer
from vau.scoring.training_free import NAME, score


def test_the_default_scores_as_the_function_does():
    seen = observations(times=clock(5.0), incoherence_max=0.5, speed_block_max=0.6, direction_entropy=0.8)
    found = load_scorer(ScoringConfig(sensitivity=0.7)).score(seen)
    assert found.scorer == NAME
    assert (found.scores == score(seen, (), ScoringConfig(sensitivity=0.7)).scores).all()


@pytest.mark.parametrize("changes", [{}, {"method": "themis"}])
def test_definitions_for_a_scorer_that_reads_none_are_refused(changes):
    with pytest.raises(ConfigError, match="reads no text"):
        load_scorer(ScoringConfig(anomalies=("a fire",), **changes))


@pytest.mark.parametrize("method", ["nova", "flashback"])
def test_a_text_scorer_needs_an_embedder_with_words(method):
    with pytest.raises(ConfigError, match="open_clip"):
        load_scorer(ScoringConfig(method=method), PerceptionConfig())


@pytest.mark.parametrize("kind", ["unheard-of", "camera-of-another-kind"])
def test_an_unknown_kind_is_refused(tmp_path, kind):
    pytest.importorskip("torch")
    write_checkpoint(tmp_path / "scorer", Card(kind=kind), {})
    with pytest.raises(CheckpointError, match=kind):
        load_scorer(ScoringConfig(checkpoint=str(tmp_path / "scorer")))


def network(tmp_path, **changes):
    """Writes a small network's checkpoint and returns its folder."""
    torch = pytest.importorskip("torch")
    from vau.scoring.head_model import build_head, head_arrays

    torch.manual_seed(0)
    arguments = {"input_size": 8, "hidden": [6, 4]}
    arrays = head_arrays(build_head("sultani", arguments), np.zeros(8), np.ones(8), None)
    fields = {
        "kind": "sultani",
        "arguments": arguments,
        "parts": ("embedding",),
        "dims": (8,),
        "features_version": VERSION,
        "embedder": "tiny",
    }
    write_checkpoint(tmp_path / "scorer", Card(**fields | changes), arrays)
    return ScoringConfig(checkpoint=str(tmp_path / "scorer"))


def test_a_network_scores_in_chunks_what_it_scores_at_once(tmp_path):
    scorer = load_scorer(network(tmp_path))
    rows = np.random.default_rng(0).normal(size=(2500, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    seen = observations(times=np.arange(2500) / 4, embeddings=rows)
    from dataclasses import replace

    whole = scorer.score(replace(seen, models=("tiny",)))
    first = observations(times=np.arange(100) / 4, embeddings=rows[:100])
    assert whole.scores[:100] == pytest.approx(scorer.score(replace(first, models=("tiny",))).scores, abs=1e-5)
    assert whole.contributions.sum(1) == pytest.approx(whole.scores)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"arguments": {"input_size": 8, "hidden": [7, 4]}}, "do not fit"),
        ({"arguments": {"input_size": 8, "hidden": [60000, 60000]}}, "do not fit"),
        ({"arguments": {"input_size": 10**9, "hidden": [6, 4]}}, "refused"),
        ({"arguments": {"surprise": 1}}, "do not build"),
        ({"arguments": {"input_size": -1}}, "do not"),
        ({"dims": (9,)}, "features"),
        ({"kind": "vadclip", "arguments": {"dim": 8}}, "do not fit"),
    ],
)
def test_a_network_that_its_card_does_not_fit_is_refused(tmp_path, changes, words):
    with pytest.raises(CheckpointError, match=words):
        load_scorer(network(tmp_path, **changes))


def test_definitions_do_not_change_a_network_with_fixed_classes(tmp_path):
    config = network(tmp_path)
    with pytest.raises(ConfigError, match="reads no text"):
        load_scorer(config.model_copy(update={"anomalies": ("a fire",)}))


@pytest.mark.parametrize(
    ("trained", "perception", "video", "advice"),
    [
        ({"sample_fps": 4.0}, {}, {"sample_fps": 8}, "--set video.sample_fps=4.0"),
        ({"sample_fps": 4.0}, {}, {"sample_fps": 2}, "--set video.sample_fps=4.0"),
        ({"pose": True}, {"pose": False}, {}, "--set perception.pose=true"),
        ({"min_confidence": 0.5}, {}, {}, "--set perception.min_confidence=0.5"),
        ({"detector": "yolo"}, {}, {}, "--set perception.detector=yolo"),
        ({"embedder": "open_clip", "clip_model": "RN50"}, {"embedder": "open_clip"}, {}, "perception.clip_model=RN50"),
    ],
)
def test_settings_other_than_those_of_the_training_are_refused(tmp_path, trained, perception, video, advice):
    config = network(tmp_path, perception=trained)
    with pytest.raises(ConfigError, match=advice) as caught:
        load_scorer(config, PerceptionConfig(**perception), VideoConfig(**video))
    assert caught.value.exit_code == 2


def test_the_settings_of_the_training_pass(tmp_path):
    told = {"sample_fps": 8.0, "pose": False, "embedder": "efficientnet", "clip_model": "RN50", "something": 1}
    assert load_scorer(network(tmp_path, perception=told), PerceptionConfig(pose=False), VideoConfig(sample_fps=8))


@pytest.mark.parametrize("name", ["model.safetensors", "card.json", "README.md"])
def test_for_a_file_of_a_checkpoint_its_folder_is_asked_for(tmp_path, name):
    folder = network(tmp_path).checkpoint
    with pytest.raises(CheckpointError, match="give its folder") as caught:
        load_scorer(ScoringConfig(checkpoint=f"{folder}/{name}"))
    assert "run code" not in str(caught.value)
