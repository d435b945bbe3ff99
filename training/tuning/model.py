"""How a model is opened for training: precision, quantisation, adapters; safetensors alone, no code of strangers."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from vau.errors import InputError, MissingExtraError, WeightsError
from vau.training.recipes import Lora, ModelSettings

PACKAGES = ("torch", "torchvision", "transformers", "accelerate", "trl", "peft", "datasets")


def check_packages(settings: ModelSettings) -> None:
    """Raises MissingExtraError or InputError where a package is not installed that these settings need."""
    if any(find_spec(name) is None for name in PACKAGES):
        raise MissingExtraError("fine-tuning a multimodal model", "train")
    if settings.quantisation is not None and find_spec("bitsandbytes") is None:
        raise MissingExtraError(f"{settings.quantisation} weights", "gpu")
    if settings.attention == "flash_attention_2" and find_spec("flash_attn") is None:
        raise InputError("flash_attention_2 needs the package flash-attn; or set model.attention=sdpa")


def lora_config(lora: Lora) -> Any:
    """Returns an adapter's configuration of PEFT."""
    from peft import LoraConfig

    targets = lora.targets if isinstance(lora.targets, str) else list(lora.targets)
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=targets,
        bias="none",
        task_type="CAUSAL_LM",
    )


def load_options(settings: ModelSettings) -> dict[str, Any]:
    """Returns what `from_pretrained` is told."""
    return {
        "dtype": settings.precision,
        "attn_implementation": settings.attention,
        "use_safetensors": True,
        "trust_remote_code": False,
    }


def quantisation(settings: ModelSettings) -> Any:
    """Returns how weights are quantised; None where they are not. NF4 with double quantisation, QLoRA 2305.14314."""
    if settings.quantisation is None:
        return None
    import torch
    from transformers import BitsAndBytesConfig

    if settings.quantisation == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, settings.precision),
    )


def open_processor(model: str) -> tuple[Any, Any]:
    """Returns the configuration and the processor of a model; raises WeightsError where there is none."""
    from transformers import AutoConfig, AutoProcessor

    try:
        config = AutoConfig.from_pretrained(model, trust_remote_code=False)
        processor = AutoProcessor.from_pretrained(model, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(f"cannot open the multimodal model {model!r}: {first}") from error
    if not hasattr(processor, "image_processor"):
        raise WeightsError(f"{model!r} has no processor for pictures: name an image-text-to-text model")
    processor.tokenizer.padding_side = "left"
    return config, processor


def export(trainer: Any, processor: Any, base: str, settings: ModelSettings, out: Path) -> Path:
    """Writes what was trained as safetensors and returns the folder that `mllm.model` takes.

    All weights go to OUT/model. An adapter goes to OUT/adapter, and merged into its base to OUT/model; under
    quantisation the base is opened anew in full precision for that, as merging into four bits would lose digits.
    """
    import torch
    from transformers import AutoModelForImageTextToText

    folder = out / "model"
    model = trainer.accelerator.unwrap_model(trainer.model)
    if settings.lora is None:
        trainer.save_model(str(folder))
    else:
        from peft import PeftModel

        trainer.save_model(str(out / "adapter"))
        if not trainer.accelerator.is_main_process:
            return folder
        if settings.quantisation is not None:
            whole = AutoModelForImageTextToText.from_pretrained(
                base, dtype=getattr(torch, settings.precision), use_safetensors=True, trust_remote_code=False
            )
            model = PeftModel.from_pretrained(whole, str(out / "adapter"))
        model.merge_and_unload().save_pretrained(str(folder), safe_serialization=True)
    if trainer.accelerator.is_main_process:
        processor.save_pretrained(str(folder))
        for place in (folder, out / "adapter"):
            # A pickle of the trainer's arguments, which nothing reads.
            (place / "training_args.bin").unlink(missing_ok=True)
    return folder
