"""What a run will need before it begins: weights, memory of the device, tokens, steps.

Weights are counted on a model without storage, tokens by the processor on real rows. The memory of activations is a
rule of thumb of ours; the rest follows from the number of weights and their sizes. It is an estimate, said to be one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vau.training.data.dataset import grpo_example
from vau.training.data.frames import FrameStore
from vau.training.data.targets import target
from vau.training.data.tasks import Row
from vau.training.recipes import Recipe

_BYTES = {"bfloat16": 2.0, "float32": 4.0}
_QUANTISED = {"4bit": 0.55, "8bit": 1.05}  # bytes a weight, scales included
_LAYER_VALUES = 34  # values that one layer keeps for a token, by hidden size (Korthikanti et al., arXiv 2205.05198)
_GIB = 2**30


@dataclass(frozen=True)
class Estimate:
    """Weights as counts, memory in GiB of one device, tokens of a row."""

    weights: int
    trained: int
    weights_gib: float
    reference_gib: float
    optimiser_gib: float
    activations_gib: float
    cache_gib: float  # keys and values while completions are written
    prompt_tokens: int  # mean of the looked-at rows
    prompt_tokens_most: int
    completion_tokens: int  # longest
    rows: int
    steps: int
    tokens: int  # of all steps on one device, prompts and longest completions

    @property
    def total_gib(self) -> float:
        """All memory together."""
        return self.weights_gib + self.reference_gib + self.optimiser_gib + max(self.activations_gib, self.cache_gib)

    def lines(self) -> list[tuple[str, str]]:
        """Returns names and values to show."""
        return [
            ("weights", f"{self.weights:,}, {self.trained:,} of them trained"),
            ("rows", f"{self.rows:,}"),
            ("steps", f"{self.steps:,}"),
            ("prompt", f"{self.prompt_tokens:,} tokens, at most {self.prompt_tokens_most:,}"),
            ("completion", f"at most {self.completion_tokens:,} tokens"),
            ("tokens of the run", f"at most {self.tokens:,} on one device"),
            ("memory for weights", f"{self.weights_gib:.2f} GiB"),
            ("memory for the reference", f"{self.reference_gib:.2f} GiB"),
            ("memory for gradients and optimiser", f"{self.optimiser_gib:.2f} GiB"),
            ("memory for activations", f"about {self.activations_gib:.2f} GiB"),
            ("memory for writing", f"about {self.cache_gib:.2f} GiB"),
            ("memory in all", f"about {self.total_gib:.2f} GiB on one device, without sharding"),
        ]


def estimate(
    recipe: Recipe,
    config: Any,
    processor: Any,
    rows: Sequence[Row],
    store: FrameStore,
    *,
    devices: int = 1,
    look: int = 4,
) -> Estimate:
    """Estimates a run.

    Args:
        recipe: of the run.
        config: of the model, a configuration of transformers.
        processor: of the model.
        rows: all rows; the first ones are looked at.
        store: of their frames.
        devices: that share the rows.
        look: how many rows are looked at.
    """
    weights, trained = count_weights(config, recipe)
    tokens = [prompt_tokens(processor, row, store) for row in rows[:look]]
    longest = (
        recipe.grpo.max_completion_length if recipe.grpo else max(_reply_tokens(processor, row) for row in rows[:look])
    )
    optimiser = recipe.optimiser
    held = _QUANTISED.get(recipe.model.quantisation or "", _BYTES[recipe.model.precision])
    size = _BYTES[recipe.model.precision]
    text = config.get_text_config()
    hidden, layers = int(text.hidden_size), int(text.num_hidden_layers)
    passed = optimiser.batch * (max(tokens) + longest)
    kept = 2 * layers + _LAYER_VALUES if optimiser.gradient_checkpointing else layers * _LAYER_VALUES
    # The logits of what is predicted, in single precision, with their gradient.
    logits = 2 * 4 * optimiser.batch * longest * int(text.vocab_size)
    heads = int(getattr(text, "num_key_value_heads", text.num_attention_heads))
    one = getattr(text, "head_dim", None) or hidden // int(text.num_attention_heads)
    written = optimiser.batch * optimiser.accumulation if recipe.grpo else 0
    cache = 2 * layers * heads * one * size * written * (max(tokens) + longest)
    steps = step_count(recipe, len(rows), devices)
    a_step = optimiser.batch * optimiser.accumulation
    full = recipe.grpo is not None and recipe.grpo.beta > 0 and recipe.model.lora is None
    return Estimate(
        weights=weights,
        trained=trained,
        weights_gib=weights * held / _GIB,
        reference_gib=weights * held / _GIB if full else 0.0,
        optimiser_gib=3 * trained * size / _GIB,
        activations_gib=(passed * hidden * kept * size + logits) / _GIB,
        cache_gib=cache / _GIB,
        prompt_tokens=round(sum(tokens) / len(tokens)),
        prompt_tokens_most=max(tokens),
        completion_tokens=longest,
        rows=len(rows),
        steps=steps,
        tokens=steps * a_step * (round(sum(tokens) / len(tokens)) + longest),
    )


def step_count(recipe: Recipe, rows: int, devices: int = 1) -> int:
    """Returns the optimiser steps of a run."""
    optimiser, group = recipe.optimiser, recipe.grpo.num_generations if recipe.grpo else 1
    a_step = max(1, optimiser.batch * optimiser.accumulation * devices // group)
    steps = math.ceil(optimiser.epochs * rows / a_step) * (recipe.grpo.num_iterations if recipe.grpo else 1)
    return max(1, min(steps, optimiser.max_steps or steps))


def count_weights(config: Any, recipe: Recipe) -> tuple[int, int]:
    """Returns how many weights a model has and how many are trained, without making any."""
    import torch
    from transformers import AutoModelForImageTextToText

    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
        total = sum(weight.numel() for weight in model.parameters())
        if recipe.model.lora is None:
            return total, total
        from peft import get_peft_model

        from vau.training.tuning.model import lora_config

        adapted = get_peft_model(model, lora_config(recipe.model.lora))
    return total, sum(weight.numel() for weight in adapted.parameters() if weight.requires_grad)


def prompt_tokens(processor: Any, row: Row, store: FrameStore) -> int:
    """Returns the tokens of a row's prompt with its pictures."""
    example = grpo_example(row, store)
    pictures = iter(example["images"])
    chat = [
        {
            **message,
            "content": [
                part | {"image": next(pictures)} if part["type"] == "image" else part for part in message["content"]
            ],
        }
        for message in example["prompt"]
    ]
    batch = processor.apply_chat_template(
        chat, tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )
    return int(batch["input_ids"].shape[1])


def _reply_tokens(processor: Any, row: Row) -> int:
    tokenizer = getattr(processor, "tokenizer", processor)
    return len(tokenizer(target(row) or "", add_special_tokens=False)["input_ids"]) + 2
