"""Whole runs of SFT and GRPO by TRL on tiny models, a few steps on a CPU: trained, killed, resumed, loaded."""

from __future__ import annotations

import json
import math
import shutil

import cv2
import pytest

trl = pytest.importorskip("trl")
torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from tests import tiny_families  # noqa: E402
from tests.tiny_families import FAMILIES  # noqa: E402
from vau.training import tiny_vlm  # noqa: E402
from vau.training.recipes import load_recipe  # noqa: E402
from vau.training.tuning.run import Order, last_checkpoint  # noqa: E402

SHORT = {"optimiser.max_steps": 2, "save_steps": 1, "frames.count": 3}
DATA = ("simulated:0-0",)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    folder = tmp_path_factory.mktemp("tiny")
    tiny_vlm.build(seed=0).save(folder)
    return str(folder)


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    return tmp_path_factory.mktemp("frames")


def order(recipe, model, out, frames, **changes):
    return Order(load_recipe(recipe, {**SHORT, **changes}), model, DATA, out, frames=frames)


@pytest.mark.parametrize("lora", [False, True])
def test_sft_then_grpo_on_the_tiny_model(tmp_path, model, frames, lora):
    """Both really train, write what inference loads, and the reward columns reach the log."""
    from vau.mllm.interface import Message
    from vau.mllm.local import LocalMllm
    from vau.mllm.local_load import LocalModel
    from vau.training.grpo import train_grpo
    from vau.training.sft import train_sft

    adapter = {"model.lora": {"rank": 4, "alpha": 8.0, "dropout": 0.0, "targets": "all-linear"}} if lora else {}
    cold = train_sft(order("tiny_cpu_sft", model, tmp_path / "sft", frames, **adapter))
    assert cold["steps"] == 2 and math.isfinite(cold["figures"]["loss"][0])
    begun = str(tmp_path / "sft" / "model")
    short = {"grpo.max_completion_length": 8, "optimiser.batch": 4, "grpo.num_generations": 4, "grpo.beta": 0.04}
    card = train_grpo(order("tiny_cpu", begun, tmp_path / "grpo", frames, **short, **adapter))
    assert card["steps"] == 2 and card["data"]["simulated"] == 18 and "kl" in card["figures"]
    logged = {f"rewards/{item['name']}/mean" for item in card["recipe"]["rewards"]}
    assert logged & set(card["figures"])
    out = tmp_path / "grpo"
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert {"reward", "frac_reward_zero_std", "entropy", "completions/mean_length"} <= set(rows[0])
    assert "simulated drawings" in (out / "model" / "README.md").read_text()
    for folder in (out / "model", *([out / "adapter"] if lora else [])):
        assert {file.suffix for file in folder.iterdir()} <= {".json", ".safetensors", ".md", ".jinja"}
    local = LocalMllm(LocalModel(str(out / "model"), precision="float32", device="cpu", offline=True))
    assert local.generate((Message.of("user", "Is it?"),), choices=("yes", "no")).text in ("yes", "no")
    if lora:
        merged = local.likelihood((Message.of("user", "Is it?"),), ("yes", "no")).log_probs
        wanted = LocalModel(begun, out / "adapter", precision="float32", device="cpu", offline=True)
        apart = LocalMllm(wanted).likelihood((Message.of("user", "Is it?"),), ("yes", "no")).log_probs
        assert merged == pytest.approx(apart, abs=1e-4)


@pytest.mark.parametrize("lora", [False, True])
def test_a_run_that_was_cut_off_goes_on_to_the_same_weights(tmp_path, model, frames, caplog, lora):
    """The library's own resuming goes on from the base model where it does not know the names of the weights."""
    from transformers import AutoModelForImageTextToText

    from vau.training.sft import train_sft

    adapter = {"model.lora": {"rank": 4, "alpha": 8.0, "dropout": 0.0, "targets": "all-linear"}} if lora else {}

    def run(out):
        train_sft(order("tiny_cpu_sft", model, out, frames, **adapter))
        loaded, told = AutoModelForImageTextToText.from_pretrained(out / "model", output_loading_info=True)
        assert not told["missing_keys"] and not told["unexpected_keys"]
        return loaded.state_dict()

    whole = run(tmp_path / "whole")
    cut = tmp_path / "cut"
    shutil.copytree(tmp_path / "whole", cut)
    for gone in (cut / "checkpoints" / "checkpoint-2", cut / "model"):
        shutil.rmtree(gone)
    assert last_checkpoint(cut).endswith("checkpoint-1")
    again = run(cut)
    for name, value in whole.items():
        torch.testing.assert_close(again[name], value, atol=1e-5, rtol=1e-4)
    assert "missing keys" not in caplog.text


def test_grpo_goes_on_from_its_checkpoint_and_keeps_its_reference(tmp_path, model, frames):
    from vau.training.grpo import train_grpo

    changes = {"grpo.max_completion_length": 4, "optimiser.batch": 2, "grpo.num_generations": 2, "grpo.beta": 0.04}
    out = tmp_path / "run"
    train_grpo(order("tiny_cpu", model, out, frames, **changes))
    shutil.rmtree(out / "checkpoints" / "checkpoint-2")
    card = train_grpo(order("tiny_cpu", model, out, frames, **changes))
    assert card["steps"] == 2 and card["figures"]["kl"][0] >= 0


def test_rewards_that_ask_again_do_so_on_the_model_in_training(tmp_path, model, frames):
    from vau.training.grpo import train_grpo

    changes = {
        "tasks.mix": {"vad_r1": 1.0},
        "rewards": [{"name": "ano_verify", "weight": 1.0}, {"name": "temporal_contrast", "weight": 1.0}],
        "grpo.max_completion_length": 6,
        "optimiser.batch": 2,
        "grpo.num_generations": 2,
        "optimiser.max_steps": 1,
    }
    card = train_grpo(order("tiny_cpu", model, tmp_path / "out", frames, **changes))
    assert card["figures"]["rewards/temporal_contrast/mean"] == [0.0, 0.0]
    assert "rewards/ano_verify/mean" in card["figures"]


@pytest.mark.parametrize("family", FAMILIES)
def test_families_of_models_take_a_step_of_grpo_with_an_adapter(tmp_path, frames, monkeypatch, family):
    """The contract of TRL and of inference with each family: pictures in their places, gradients, adapter, merge."""
    from safetensors.torch import load_file

    from vau.mllm.interface import Message
    from vau.mllm.local import LocalMllm
    from vau.mllm.local_load import LocalModel
    from vau.training import rewards
    from vau.training.grpo import train_grpo

    def variety(completions, **_):
        """Ranks random text, so that a group has variance and the step a gradient."""
        return [float(len(set(one[0]["content"]))) for one in completions]

    monkeypatch.setattr(rewards, "build", lambda wanted, tools: [variety])
    if family == "SmolVLM":
        pytest.importorskip("num2words")  # its processor wants it
    torch.manual_seed(0)
    changes = {
        "model.lora": {"rank": 2, "alpha": 4.0, "dropout": 0.0, "targets": ["q_proj", "v_proj"]},
        "rewards": [{"name": "t_iou", "weight": 1.0}],
        "tasks.think": True,
        "tasks.mix": {"vau_r1_classify": 1.0},
        # The trainer does not tell LLaVA-OneVision how many pictures a prompt has.
        "frames.count": 1 if family == "LLaVA-OneVision" else 2,
        "grpo.max_completion_length": 6,
        "optimiser.batch": 4,
        "grpo.num_generations": 4,
        "optimiser.max_steps": 1,
    }
    name = tiny_families.save(family, tmp_path / "base")
    out = tmp_path / "out"
    card = train_grpo(order("tiny_cpu", name, out, frames, **changes))
    assert card["steps"] == 1 and card["figures"]["rewards/variety/mean"][0] > 0
    adapter = load_file(out / "adapter" / "adapter_model.safetensors")
    assert any(value.abs().max() > 0 for key, value in adapter.items() if "lora_B" in key)  # they begin at zero
    local = LocalMllm(LocalModel(str(out / "model"), precision="float32", device="cpu", offline=True))
    assert local.generate((Message.of("user", "Is it?"),), choices=("yes", "no")).text in ("yes", "no")


def test_several_pictures_are_refused_where_the_trainer_cannot_take_them(tmp_path, frames):
    """GRPO on LLaVA-OneVision would fail in its first step; SFT takes several pictures."""
    from vau.errors import ConfigError
    from vau.training.grpo import train_grpo
    from vau.training.sft import train_sft

    name = tiny_families.save("LLaVA-OneVision", tmp_path / "base")
    with pytest.raises(ConfigError, match="one picture a prompt"):
        train_grpo(order("tiny_cpu", name, tmp_path / "out", frames))
    assert not (tmp_path / "out").exists()
    changes = {"optimiser.max_steps": 1, "optimiser.batch": 2, "frames.count": 2}
    card = train_sft(order("tiny_cpu_sft", name, tmp_path / "sft", frames, **changes))
    assert math.isfinite(card["figures"]["loss"][0])


def test_an_adapter_is_trained_on_a_base_in_four_bits(tmp_path, model, frames):
    """QLoRA, where bitsandbytes can hold four bits on this machine; the merge is made on the base in full."""
    pytest.importorskip("bitsandbytes")
    from transformers import AutoModelForImageTextToText

    from vau.training.sft import train_sft

    lora = {"rank": 2, "alpha": 4.0, "dropout": 0.0, "targets": ["q_proj", "v_proj"]}
    changes = {"model.quantisation": "4bit", "model.lora": lora, "optimiser.max_steps": 1, "optimiser.batch": 2}
    out = tmp_path / "out"
    card = train_sft(order("tiny_cpu_sft", model, out, frames, **changes))
    assert math.isfinite(card["figures"]["loss"][0])
    merged, told = AutoModelForImageTextToText.from_pretrained(out / "model", output_loading_info=True)
    assert not told["missing_keys"] and not getattr(merged, "is_loaded_in_4bit", False)
    base = AutoModelForImageTextToText.from_pretrained(model).state_dict()
    moved = [name for name, value in merged.state_dict().items() if not torch.equal(value, base[name])]
    assert moved and all("q_proj" in name or "v_proj" in name for name in moved)
