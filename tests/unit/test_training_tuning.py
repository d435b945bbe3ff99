"""Recipes, gates, estimates, and the folder of a run; whole runs are in tests/integration/test_training_vlm.py."""

from __future__ import annotations

import json
import math

import cv2
import pytest
from typer.testing import CliRunner

from vau.errors import CheckpointError, ConfigError, InputError
from vau.training.recipes import load_recipe, names

trl = pytest.importorskip("trl")
torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from vau.training import tiny_vlm  # noqa: E402
from vau.training.recipes import Gates  # noqa: E402
from vau.training.tuning.gates import advice  # noqa: E402
from vau.training.tuning.run import Order, claim, prepare  # noqa: E402

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


@pytest.mark.parametrize("name", names())
def test_packaged_recipes_are_whole(name):
    recipe = load_recipe(name)
    assert recipe.name == name and recipe.source and recipe.digest() == load_recipe(name).digest()
    assert (recipe.method == "sft") is name.endswith("_sft")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vau_r1", ("grpo", 0.04, 4, 1.0, 1e-6, 1024, 1)),
        ("vad_r1", ("grpo", 0.04, 4, 1.0, 1e-6, 1024, 1)),
        ("video_r1", ("grpo", 0.04, 8, 1.0, 1e-6, 768, 1)),
    ],
)
def test_reproductions_have_the_published_knobs(name, expected):
    recipe = load_recipe(name)
    grpo = recipe.grpo
    found = (grpo.loss_type, grpo.beta, grpo.num_generations, grpo.temperature, recipe.optimiser.learning_rate,
             grpo.max_completion_length, grpo.num_iterations)  # fmt: skip
    assert found == expected
    assert recipe.frames.max_pixels == 128 * 28 * 28 or recipe.frames.total_pixels == 3584 * 28 * 28


def test_wrong_recipes_are_explained(tmp_path):
    for changes, words in (
        ({"optimiser.steps": 2}, "optimiser.steps"),
        ({"grpo.num_generations": 3}, "multiple of the 3 completions"),
        ({"grpo": None}, "needs the sections grpo"),
        ({"model.quantisation": "4bit"}, "give lora"),
        ({"grpo.beta": math.nan}, "grpo.beta"),
        ({"name.x": 1}, "is a value"),
    ):
        with pytest.raises(ConfigError, match=words):
            load_recipe("vau_r1", changes)
    with pytest.raises(ConfigError, match="choose from"):
        load_recipe("poem")
    file = tmp_path / "mine.yaml"
    file.write_text("- 1\n")
    with pytest.raises(ConfigError, match="mapping"):
        load_recipe(file)
    with pytest.raises(ConfigError, match="no file"):
        load_recipe(tmp_path / "none.yaml")


def test_every_knob_must_be_said():
    import yaml

    text = yaml.safe_dump(load_recipe("tiny_cpu").model_dump(mode="json"))
    for section, key in (("grpo", "beta"), ("grpo", "loss_type"), ("grpo", "scale_rewards"), ("optimiser", "schedule")):
        told = yaml.safe_load(text)
        del told[section][key]
        with pytest.raises(Exception, match=key):
            type(load_recipe("tiny_cpu")).model_validate(told)


def test_a_folder_belongs_to_one_run(tmp_path, model, frames):
    first = order("tiny_cpu_sft", model, tmp_path / "run", frames)
    prepared = prepare(first)
    assert claim(first, prepared) is None and claim(first, prepared) is None
    other = order("tiny_cpu_sft", model, tmp_path / "run", frames, **{"optimiser.learning_rate": 0.5})
    with pytest.raises(InputError, match="another recipe"):
        claim(other, prepared)
    (tmp_path / "run" / "run.json").write_text("{")
    with pytest.raises(CheckpointError, match="damaged"):
        claim(first, prepared)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "photo").write_text("x")
    with pytest.raises(InputError, match="not empty"):
        claim(order("tiny_cpu_sft", model, tmp_path / "full", frames), prepared)


def test_held_out_videos_are_refused(tmp_path, model, frames):
    held_out = tmp_path / "test.txt"
    held_out.write_text("simulated:fall:0\n")
    wanted = Order(load_recipe("tiny_cpu_sft"), model, DATA, tmp_path / "o", (held_out,), frames)
    with pytest.raises(InputError, match="2 of 18 training videos are held out"):
        prepare(wanted)
    for data in ("simulated:5-2", "simulated:0-999999"):
        with pytest.raises(InputError, match="FIRST"):
            prepare(Order(load_recipe("tiny_cpu_sft"), model, (data,), tmp_path / "o"))


def history(count, **changes):
    row = {
        "reward": 0.5, "frac_reward_zero_std": 0.1, "entropy": 1.0, "completions/clipped_ratio": 0.0,
        "completions/mean_length": 100.0, "rewards/fmt_think_answer/mean": 0.9, "rewards/hier/mean": 0.4,
        "loss": 0.1, "grad_norm": 1.0,
    }  # fmt: skip
    return [
        row | {key: value(step) if callable(value) else value for key, value in changes.items()}
        for step in range(count)
    ]


@pytest.mark.parametrize(
    ("changes", "gate"),
    [
        ({}, None),
        ({"frac_reward_zero_std": 0.9}, "zero variance"),
        ({"entropy": 0.001}, "entropy"),
        ({"completions/clipped_ratio": 0.6}, "clipped"),
        ({"completions/mean_length": lambda step: 100.0 + 10 * step}, "length"),
        ({"completions/mean_length": lambda step: 100.0 / (1 + step)}, "length"),
        ({"rewards/fmt_think_answer/mean": 1.0}, "format"),
        ({"rewards/fmt_think_answer/mean": 1.0, "rewards/hier/mean": lambda step: step / 60}, None),
        ({"loss": math.nan}, "finite"),
    ],
)
def test_gates(changes, gate):
    found = advice(history(60, **changes), Gates(), 768)
    assert set(found) == ({gate} if gate else set())
    if gate:
        assert ":" in found[gate]  # what is wrong, then what to do


def test_gates_wait_until_they_have_seen_enough():
    assert advice(history(10, frac_reward_zero_std=1.0), Gates(), 768) == {}
    assert advice([], Gates(), 768) == {}


def test_a_dry_run_estimates_and_writes_nothing(tmp_path, model, frames):
    from vau.cli.app import app

    out = tmp_path / "out"
    arguments = ["train", "grpo", "--model", model, "--data", DATA[0], "--recipe", "tiny_cpu", "--out", str(out)]
    extra = ["--frames", str(frames), "--set", "frames.count=3", "--dry-run", "--json"]
    ran = CliRunner().invoke(app, arguments + extra)
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    real = sum(weight.numel() for weight in tiny_vlm.build(seed=0).model.parameters())
    assert told["weights"] == told["trained"] == real and not out.exists()
    assert told["prompt_tokens"] > 3 * 24 and told["steps"] == 18 * 2 // 2
    assert told["total_gib"] > real * 16 / 2**30
    ran = CliRunner().invoke(app, ["train", "sft", *arguments[2:], *extra])
    assert ran.exit_code == 2 and "use vau train grpo" in ran.stderr


def test_adapters_train_few_weights(model):
    from transformers import AutoConfig

    from vau.training.tuning.estimate import count_weights

    changes = {"model.lora": {"rank": 2, "alpha": 4.0, "dropout": 0.0, "targets": "all-linear"}}
    weights, trained = count_weights(AutoConfig.from_pretrained(model), load_recipe("tiny_cpu", changes))
    assert 0 < trained < weights / 5


def test_what_is_missing_is_named(monkeypatch, tmp_path, model, frames):
    from vau.errors import MissingExtraError
    from vau.training import grpo
    from vau.training.tuning import model as opened

    lora = {"rank": 2, "alpha": 4.0, "dropout": 0.0, "targets": "all-linear"}
    wanted = order("tiny_cpu", model, tmp_path / "o", frames, **{"grpo.vllm": {"mode": "colocate"}})
    monkeypatch.setattr(grpo, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"vau\[gpu\]"):
        grpo.train_grpo(wanted)
    monkeypatch.setattr(opened, "find_spec", lambda name: None if name == "bitsandbytes" else object())
    settings = load_recipe("small_gpu_4bit", {"model.lora": lora}).model
    with pytest.raises(MissingExtraError, match=r"4bit weights.*vau\[gpu\]"):
        opened.check_packages(settings)
    server = load_recipe("tiny_cpu", {"grpo.vllm": {"mode": "server", "url": "there"}})
    with pytest.raises(ConfigError, match="address"):
        grpo.grpo_config(Order(server, model, DATA, tmp_path / "o"), server.grpo)


def test_every_knob_of_a_recipe_reaches_the_trainer(tmp_path, model):
    from vau.training.grpo import grpo_config

    for name in ("vau_r1", "vad_r1", "video_r1", "cue_r1"):
        recipe = load_recipe(name, {"model.precision": "float32"})
        config = grpo_config(Order(recipe, model, DATA, tmp_path / name), recipe.grpo)
        for key, value in recipe.grpo.model_dump(exclude={"vllm"}).items():
            assert getattr(config, key) == value, key
        optimiser = recipe.optimiser
        assert (config.learning_rate, config.weight_decay, config.max_grad_norm, config.num_train_epochs) == (
            optimiser.learning_rate, optimiser.weight_decay, optimiser.max_grad_norm, optimiser.epochs
        )  # fmt: skip
        assert config.generation_batch_size % config.num_generations == 0
        assert config.reward_weights == [item.weight for item in recipe.rewards]
