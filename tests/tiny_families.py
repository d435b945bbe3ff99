"""Tiny random models of families of vision-language models, built from configurations alone, for contract tests.

Nothing is downloaded. Each speaks through its family's own processor, so that what differs from family to family (the
marks of pictures, tiles, how many tokens a picture takes) is met in tests.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
    "<|video_pad|>",
    "<image>", "<video>", "<IMG_CONTEXT>", "<img>", "</img>", "<fake_token_around_image>", "<global-img>",
    "<end_of_utterance>",
)  # fmt: skip
_CHAT = """\
{%- for message in messages -%}
<|im_start|>{{ message['role'] }}
{% if message['content'] is string -%}{{ message['content'] }}{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'text' -%}{{ part['text'] }}{%- else -%}PICTURE{%- endif -%}
{%- endfor -%}{%- endif -%}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant
{% endif -%}"""
_TEXT = {
    "vocab_size": 400, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 8192,
}  # fmt: skip


def save(family: str, folder: Path) -> str:
    """Writes a tiny model of a family with its processor into a folder and returns its name."""
    model, processor = FAMILIES[family]()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder)


def _tokenizer(**named: str) -> Any:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + len(SPECIAL), special_tokens=list(SPECIAL), initial_alphabet=alphabet,
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator(["a"], trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>", padding_side="left",
        additional_special_tokens=list(SPECIAL[1:]), model_max_length=8192, extra_special_tokens=named,
    )  # fmt: skip


def _text(tokenizer: Any, **changes: Any) -> dict[str, Any]:
    ends = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    return _TEXT | {"vocab_size": len(tokenizer)} | ends | changes


def _qwen3_vl() -> tuple[Any, Any]:
    tokenizer = _tokenizer()
    number = tokenizer.convert_tokens_to_ids
    size = {"shortest_edge": 32 * 32, "longest_edge": 96 * 64}
    pictures = {"patch_size": 16, "merge_size": 2, "temporal_patch_size": 2, "size": size}
    processor = transformers.Qwen3VLProcessor(
        transformers.Qwen2VLImageProcessor(**pictures), tokenizer, transformers.Qwen3VLVideoProcessor(**pictures),
        chat_template=_CHAT.replace("PICTURE", "<|vision_start|><|image_pad|><|vision_end|>"),
    )  # fmt: skip
    rope = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 1, 1], "mrope_interleaved": True}
    config = transformers.Qwen3VLConfig(
        text_config=_text(tokenizer, rope_parameters=rope),
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "patch_size": 16,
            "out_hidden_size": 32, "num_position_embeddings": 64, "deepstack_visual_indexes": [0, 1],
        },
        image_token_id=number("<|image_pad|>"), video_token_id=number("<|video_pad|>"),
        vision_start_token_id=number("<|vision_start|>"), vision_end_token_id=number("<|vision_end|>"),
    )  # fmt: skip
    return transformers.Qwen3VLForConditionalGeneration(config), processor


def _internvl() -> tuple[Any, Any]:
    tokenizer = _tokenizer(
        start_image_token="<img>", end_image_token="</img>", context_image_token="<IMG_CONTEXT>", video_token="<video>"
    )
    processor = transformers.InternVLProcessor(
        transformers.GotOcr2ImageProcessor(size={"height": 56, "width": 56}, crop_to_patches=False), tokenizer,
        transformers.InternVLVideoProcessor(size={"height": 56, "width": 56}), image_seq_length=4,
        chat_template=_CHAT.replace("PICTURE", "<IMG_CONTEXT>\n"),
    )  # fmt: skip
    config = transformers.InternVLConfig(
        text_config={"model_type": "qwen2", **_text(tokenizer)},
        vision_config={
            "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
            "image_size": [56, 56], "patch_size": [14, 14],
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"), image_seq_length=4,
    )  # fmt: skip
    return transformers.InternVLForConditionalGeneration(config), processor


def _smolvlm() -> tuple[Any, Any]:
    tokenizer = _tokenizer(
        fake_image_token="<fake_token_around_image>", image_token="<image>", global_image_token="<global-img>",
        end_of_utterance_token="<end_of_utterance>",
    )  # fmt: skip
    pictures = {"size": {"longest_edge": 64}, "max_image_size": {"longest_edge": 64}}
    processor = transformers.SmolVLMProcessor(
        transformers.SmolVLMImageProcessor(**pictures, do_image_splitting=False), tokenizer,
        transformers.SmolVLMVideoProcessor(**pictures), image_seq_len=4,
        chat_template=_CHAT.replace("PICTURE", "<image>"),
    )  # fmt: skip
    config = transformers.SmolVLMConfig(
        text_config={"model_type": "llama", **_text(tokenizer)},
        vision_config={
            "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
            "image_size": 64, "patch_size": 16,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"), scale_factor=2, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    return transformers.SmolVLMForConditionalGeneration(config), processor


def _llava_onevision() -> tuple[Any, Any]:
    tokenizer = _tokenizer(image_token="<image>", video_token="<video>")
    pictures = {"size": {"height": 28, "width": 28}, "image_grid_pinpoints": [[28, 28], [28, 56], [56, 28]]}
    processor = transformers.LlavaOnevisionProcessor(
        transformers.LlavaOnevisionImageProcessor(**pictures), tokenizer,
        transformers.LlavaOnevisionVideoProcessor(size={"height": 28, "width": 28}), num_image_tokens=4,
        vision_feature_select_strategy="full", chat_template=_CHAT.replace("PICTURE", "<image>"),
    )  # fmt: skip
    config = transformers.LlavaOnevisionConfig(
        text_config={"model_type": "qwen2", **_text(tokenizer)},
        vision_config={
            "model_type": "siglip_vision_model", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 2, "image_size": 28, "patch_size": 14, "vision_use_head": False,
        },
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=pictures["image_grid_pinpoints"], vision_feature_select_strategy="full",
        vision_feature_layer=-1,
    )  # fmt: skip
    return transformers.LlavaOnevisionForConditionalGeneration(config), processor


FAMILIES: dict[str, Callable[[], tuple[Any, Any]]] = {
    "Qwen3-VL": _qwen3_vl,
    "InternVL": _internvl,
    "SmolVLM": _smolvlm,
    "LLaVA-OneVision": _llava_onevision,
}
