"""Group-relative policy optimisation of a multimodal model with verifiable rewards (GRPO, arXiv 2402.03300).

TRL's GRPOTrainer does it, unmodified: ours are rewards, data, recipes and the gates that watch. A video goes in as
single frames with their times as text, since the trainer has no column for videos.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from vau.errors import ConfigError, MissingExtraError
from vau.training.tuning.model import check_packages, lora_config, open_processor, quantisation

try:
    from trl import GRPOConfig, GRPOTrainer
except ImportError as error:
    raise MissingExtraError("fine-tuning a multimodal model", "train") from error

from vau.training import rewards
from vau.training.data.dataset import grpo_dataset, rebuild
from vau.training.data.frames import load_report
from vau.training.recipes import Grpo
from vau.training.sft import finish
from vau.training.tuning.again import Policy
from vau.training.tuning.gates import SanityGates
from vau.training.tuning.run import Follow, Log, Order, Progress, arguments, carry_out, claim, prepare


def train_grpo(order: Order, *, progress: Progress | None = None, log: Log | None = None) -> dict[str, Any]:
    """Trains, or goes on where a killed run stopped, and writes OUT/model (and OUT/adapter) with cards.

    Args:
        order: a recipe of method grpo with model, data and folder.
        progress: called with a stage and how much of it is done.
        log: called with step and figures.

    Returns:
        The card, with what the gates warned of.

    Raises:
        ConfigError: the recipe is of another method, or a reward or its options are unknown.
        InputError, MissingExtraError, WeightsError: see `training.tuning`.
    """
    recipe = order.recipe
    settings = recipe.grpo
    if settings is None:
        raise ConfigError(f"the recipe {recipe.name} is for {recipe.method}: use vau train {recipe.method}")
    check_packages(recipe.model)
    if settings.vllm is not None and find_spec("vllm") is None:
        raise MissingExtraError("generation by vLLM", "gpu")
    policy = Policy(settings.max_completion_length, settings.temperature)
    functions = rewards.build(
        [(item.name, item.options) for item in recipe.rewards], rewards.Tools(policy, rebuild, load_report)
    )
    config, processor = open_processor(order.model)
    _check_family(config, recipe.frames.count)
    prepared = prepare(order)
    data = grpo_dataset(prepared.rows, prepared.store)
    told = grpo_config(order, settings)
    with told.main_process_first(local=False, desc="taking the folder"):
        checkpoint = claim(order, prepared)
    gates = SanityGates(recipe.gates, settings.max_completion_length)
    trainer = GRPOTrainer(
        order.model,
        reward_funcs=functions,
        args=told,
        train_dataset=data,
        processing_class=processor,
        quantization_config=quantisation(recipe.model),
        peft_config=None if recipe.model.lora is None else lora_config(recipe.model.lora),
        callbacks=[Follow(progress, log), gates],
    )
    if any(item.name in rewards.ASK_AGAIN for item in recipe.rewards):
        policy.bind(trainer)
    carry_out(trainer, checkpoint)
    return finish(trainer, processor, order, prepared, gates.passed)


def grpo_config(order: Order, settings: Grpo) -> GRPOConfig:
    """Returns the trainer's settings; everything that decides the result comes from the recipe."""
    return GRPOConfig(
        **arguments(order),
        **_vllm(settings),
        loss_type=settings.loss_type,
        beta=settings.beta,
        num_generations=settings.num_generations,
        steps_per_generation=order.recipe.optimiser.accumulation,
        max_completion_length=settings.max_completion_length,
        temperature=settings.temperature,
        top_p=settings.top_p,
        top_k=settings.top_k,
        repetition_penalty=settings.repetition_penalty,
        num_iterations=settings.num_iterations,
        epsilon=settings.epsilon,
        scale_rewards=settings.scale_rewards,
        importance_sampling_level=settings.importance_sampling_level,
        mask_truncated_completions=settings.mask_truncated_completions,
        multi_objective_aggregation="sum_then_normalize",
        reward_weights=[item.weight for item in order.recipe.rewards],
        shuffle_dataset=True,
        log_completions=False,
    )


def _check_family(config: Any, frames: int) -> None:
    """Refuses what the trainer cannot do: TRL 1.16 does not tell LLaVA-OneVision how many pictures a prompt has."""
    if config.model_type == "llava_onevision" and frames > 1:
        raise ConfigError(
            f"GRPO on LLaVA-OneVision takes one picture a prompt and the recipe shows {frames}: set frames.count=1, "
            "use vau train sft, or take another family"
        )


def _vllm(settings: Grpo) -> dict[str, Any]:
    vllm = settings.vllm
    if vllm is None:
        return {"use_vllm": False}
    if vllm.mode == "server" and not vllm.url.startswith(("http://", "https://")):
        raise ConfigError(f"grpo.vllm.url must be the address of `trl vllm-serve`, got {vllm.url!r}")
    return {
        "use_vllm": True,
        "vllm_mode": vllm.mode,
        "vllm_gpu_memory_utilization": vllm.memory,
        "vllm_enable_sleep_mode": vllm.sleep,
        "vllm_server_base_url": vllm.url or None,
    }
