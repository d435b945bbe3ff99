"""Supervised fine-tuning of a multimodal model on replies that are known: the cold start before GRPO.

TRL's SFTTrainer does it, unmodified; the loss is on the reply alone. Source of the order SFT first, then GRPO:
DeepSeek-R1 (arXiv 2501.12948), Vad-R1 (2505.19877).
"""

from __future__ import annotations

from typing import Any

from vau.errors import ConfigError, MissingExtraError
from vau.training.tuning.model import check_packages, export, lora_config, open_processor, quantisation

try:
    from trl import SFTConfig, SFTTrainer
except ImportError as error:
    raise MissingExtraError("fine-tuning a multimodal model", "train") from error

from vau.training.data.dataset import sft_dataset
from vau.training.tuning.card import write_card
from vau.training.tuning.run import (
    Follow,
    Log,
    Order,
    Prepared,
    Progress,
    arguments,
    carry_out,
    claim,
    keep_log,
    prepare,
)


def train_sft(order: Order, *, progress: Progress | None = None, log: Log | None = None) -> dict[str, Any]:
    """Trains, or goes on where a killed run stopped, and writes OUT/model (and OUT/adapter) with cards.

    Args:
        order: a recipe of method sft with model, data and folder.
        progress: called with a stage and how much of it is done.
        log: called with step and figures.

    Returns:
        The card.

    Raises:
        ConfigError: the recipe is of another method.
        InputError, MissingExtraError, WeightsError: see `training.tuning`.
    """
    recipe = order.recipe
    if recipe.sft is None:
        raise ConfigError(f"the recipe {recipe.name} is for {recipe.method}: use vau train {recipe.method}")
    check_packages(recipe.model)
    _, processor = open_processor(order.model)
    prepared = prepare(order)
    data = sft_dataset(prepared.rows, prepared.store)
    told = sft_config(order)
    with told.main_process_first(local=False, desc="taking the folder"):
        checkpoint = claim(order, prepared)
    trainer = SFTTrainer(
        order.model,
        args=told,
        train_dataset=data,
        processing_class=processor,
        quantization_config=quantisation(recipe.model),
        peft_config=None if recipe.model.lora is None else lora_config(recipe.model.lora),
        callbacks=[Follow(progress, log)],
    )
    carry_out(trainer, checkpoint)
    return finish(trainer, processor, order, prepared, {})


def sft_config(order: Order) -> SFTConfig:
    """Returns the trainer's settings."""
    recipe = order.recipe
    if recipe.sft is None:
        raise ConfigError(f"the recipe {recipe.name} has no section sft")
    return SFTConfig(
        **arguments(order),
        max_length=recipe.sft.max_length,
        loss_type=recipe.sft.loss_type,
        completion_only_loss=True,
        packing=False,
        shuffle_dataset=False,
    )


def finish(trainer: Any, processor: Any, order: Order, prepared: Prepared, warnings: dict[str, str]) -> dict[str, Any]:
    """Exports what was trained and writes log and cards; for SFT and GRPO alike."""
    history = list(trainer.state.log_history)
    folder = export(trainer, processor, order.model, order.recipe.model, order.out)
    if not trainer.accelerator.is_main_process:
        return {}
    keep_log(order.out, history)
    return write_card(order, prepared, history, warnings, (folder, order.out / "adapter"))
