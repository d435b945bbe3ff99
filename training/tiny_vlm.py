"""A tiny Qwen2.5-VL with its own tokenizer, image processor and chat template, for tests of the whole way of a model.

It has the architecture of Qwen2.5-VL (arXiv 2502.13923) at about 3 million parameters. `tiny_school` trains it on
simulated scenes and examines what it reads off them. It is for tests of the machinery: never use it on real video.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

from vau.training.simulate.questions import questions
from vau.training.simulate.scene import simulate
from vau.training.simulate.world import SCRIPTS

NOTE = "Tiny model trained on simulated scenes for tests; knows nothing of real video."
SIZE = (168, 112)  # width, height of the pictures that it sees: 6 x 4 tokens
_VOCABULARY = 1024
_END, _TURN_END = "<|endoftext|>", "<|im_end|>"
_SPECIAL = (
    _END,
    "<|im_start|>",
    _TURN_END,
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
# The form of Qwen's chats: turns between im_start and im_end, a picture between vision_start and vision_end.
TEMPLATE = """\
{%- for message in messages -%}
<|im_start|>{{ message['role'] }}
{% if message['content'] is string -%}
{{ message['content'] }}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'text' -%}{{ part['text'] }}
{%- else -%}<|vision_start|><|image_pad|><|vision_end|>{%- endif -%}
{%- endfor -%}
{%- endif -%}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant
{% endif -%}"""


@dataclass(frozen=True, eq=False)
class TinyVlm:
    """The model with the processor that feeds it."""

    model: Qwen2_5_VLForConditionalGeneration
    processor: Qwen2_5_VLProcessor

    @property
    def parameters(self) -> int:
        """Number of weights; tied ones count once."""
        return sum(weight.numel() for weight in self.model.parameters())

    def save(self, folder: Path) -> None:
        """Writes weights as safetensors with configuration, tokenizer and processor, loadable by `from_pretrained`."""
        self.model.save_pretrained(folder, safe_serialization=True)
        self.processor.save_pretrained(folder)
        (folder / "README.md").write_text(f"# A tiny Qwen2.5-VL\n\n{NOTE}\n", encoding="utf-8")


def build(seed: int = 0, *, texts: Iterable[str] | None = None) -> TinyVlm:
    """Builds an untrained model.

    Args:
        seed: of the weights.
        texts: what the tokenizer learns its words from; everything that is said of simulated scenes where None.
    """
    processor = _processor(_tokenizer(spoken() if texts is None else texts))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2_5_VLForConditionalGeneration(_config(processor.tokenizer))
    return TinyVlm(model.eval(), processor)


def load(folder: Path) -> TinyVlm:
    """Reads a model that `TinyVlm.save` wrote; nothing but safetensors."""
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, use_safetensors=True, local_files_only=True)
    processor = Qwen2_5_VLProcessor.from_pretrained(folder, local_files_only=True)
    return TinyVlm(model.eval(), processor)


def spoken(seeds: int = 6) -> list[str]:
    """Returns all questions and answers of some scenes of every script, with words of ordinary prompts."""
    texts = [
        "You are shown frames of a video, each after its time in seconds. Answer the question about it in English."
    ]
    for script in SCRIPTS:
        for seed in range(seeds):
            for normal in (False, True):
                for question in questions(simulate(script, seed, normal=normal, rate=4.0)):
                    texts += [question.text, question.answer, *question.choices]
    return [*texts, *(f"<{tenth / 10:.1f} seconds>" for tenth in range(0, 500, 7))]


def _tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Learns a byte-level BPE, which can write any text; digits stay apart so that times can be learnt."""
    tokenizer = Tokenizer(models.BPE())
    words = Regex(r"\p{N}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        special_tokens=list(_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=_TURN_END,
        pad_token=_END,
        additional_special_tokens=list(_SPECIAL[1:]),
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=8192,
    )
    fast.chat_template = TEMPLATE
    return fast


def _processor(tokenizer: PreTrainedTokenizerFast) -> Qwen2_5_VLProcessor:
    pixels = {"shortest_edge": 28 * 28, "longest_edge": SIZE[0] * SIZE[1]}
    return Qwen2_5_VLProcessor(
        Qwen2VLImageProcessor(size=pixels),
        tokenizer,
        Qwen2VLVideoProcessor(size=pixels),
        chat_template=TEMPLATE,
    )


def _config(tokenizer: PreTrainedTokenizerFast) -> Qwen2_5_VLConfig:
    number = tokenizer.convert_tokens_to_ids
    text: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 192,
        "intermediate_size": 448,
        "num_hidden_layers": 4,
        "num_attention_heads": 6,
        "num_key_value_heads": 6,
        "max_position_embeddings": 8192,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [4, 6, 6]},
        "bos_token_id": number(_END),
        "eos_token_id": number(_TURN_END),
        "pad_token_id": number(_END),
        "tie_word_embeddings": True,
    }
    vision: dict[str, Any] = {
        "depth": 4,
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_heads": 4,
        "out_hidden_size": 192,
        "window_size": 112,
        "fullatt_block_indexes": [1, 3],
    }
    return Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=number("<|image_pad|>"),
        video_token_id=number("<|video_pad|>"),
        vision_start_token_id=number("<|vision_start|>"),
        vision_end_token_id=number("<|vision_end|>"),
        tie_word_embeddings=True,
    )
