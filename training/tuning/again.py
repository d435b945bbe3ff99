"""Asks the model in training for fresh completions, for the rewards of Vad-R1 and Video-R1 that need some."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vau.errors import ConfigError
from vau.training.rewards.regenerate import Conversation

_AT_ONCE = 8  # conversations of one pass


class Policy:
    """The model as it is at this step; `bind` names its trainer, which is made after the rewards."""

    def __init__(self, most_tokens: int, temperature: float) -> None:
        self._options = {"max_new_tokens": most_tokens, "do_sample": True, "temperature": temperature}
        self._trainer: Any = None

    def bind(self, trainer: Any) -> None:
        """Names the trainer; raises ConfigError where its processes hold parts of the weights alone.

        There every process would have to ask equally often, which these rewards do not.
        """
        accelerator = trainer.accelerator
        stage = getattr(accelerator.state.deepspeed_plugin, "zero_stage", 0) if accelerator.num_processes > 1 else 0
        if stage == 3 or getattr(trainer, "is_fsdp_enabled", False):
            raise ConfigError(
                "rewards that ask the model again need whole weights: use DDP or ZeRO-2, not ZeRO-3 or FSDP"
            )
        self._trainer = trainer

    def __call__(self, conversations: Sequence[Conversation]) -> list[str]:
        """Returns one fresh completion of each conversation, sampled as the recipe samples."""
        import torch
        from trl.models import unwrap_model_for_generation

        trainer = self._trainer
        processor = trainer.processing_class
        tokenizer = getattr(processor, "tokenizer", processor)
        texts: list[str] = []
        with (
            unwrap_model_for_generation(trainer.model_wrapped, trainer.accelerator) as model,
            torch.no_grad(),
        ):
            for start in range(0, len(conversations), _AT_ONCE):
                inputs = processor.apply_chat_template(
                    [list(item) for item in conversations[start : start + _AT_ONCE]],
                    tokenize=True,
                    add_generation_prompt=True,
                    return_dict=True,
                    return_tensors="pt",
                    processor_kwargs={"padding": True, "padding_side": "left"},
                ).to(trainer.accelerator.device)
                output = model.generate(**inputs, **self._options)
                texts += tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return texts
