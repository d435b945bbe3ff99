"""Loads a multimodal model of the transformers library: precision, quantisation, adapters, and what is refused.

Weights are read from safetensors alone and no code that comes with a model is ever run. It knows the families by their
common interface: Qwen2.5-VL, Qwen3-VL, InternVL and SmolVLM all load by `AutoModelForImageTextToText`.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from vau.errors import CheckpointError, InputError, MissingExtraError, WeightsError

Precision = Literal["bfloat16", "float16", "float32"]
Quantisation = Literal["4bit", "8bit"]

_ADAPTER_WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True)
class LocalModel:
    """Which model to load and how.

    Parameters that control what is loaded: `model` is a folder or the name of a model on the hub; `adapter` a folder
    with a LoRA adapter of PEFT; `offline` forbids every look at the hub. Parameters that control how it is held:
    `precision` of the weights that are not quantised, `quantisation` by bitsandbytes, `device` such as "cpu" or
    "cuda:0", chosen where empty.
    """

    model: str
    adapter: Path | None = None
    precision: Precision = "bfloat16"
    quantisation: Quantisation | None = None
    device: str = ""
    offline: bool = False

    @property
    def name(self) -> str:
        """The model with all that changes what it says."""
        parts = [Path(self.model).name if Path(self.model).is_dir() else self.model]
        if self.adapter is not None:
            parts.append(self.adapter.name)
        return " + ".join(parts) + f" ({self.quantisation or self.precision})"


def load(wanted: LocalModel) -> tuple[Any, Any]:
    """Loads a model and its processor, ready for inference.

    Returns:
        The model in evaluation mode, and the processor.

    Raises:
        MissingExtraError: transformers, PEFT or bitsandbytes is not installed.
        WeightsError: there is no such model, or none in safetensors.
        CheckpointError: the adapter is none, or holds pickled weights.
        InputError: the device is not there.
    """
    for package in ("torch", "torchvision", "transformers", "accelerate"):
        if find_spec(package) is None:
            raise MissingExtraError("a local multimodal model", "mllm")
    if wanted.quantisation is not None and find_spec("bitsandbytes") is None:
        raise MissingExtraError(f"{wanted.quantisation} weights", "gpu")
    if wanted.adapter is not None:
        check_adapter(wanted.adapter)
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    device = _device(wanted.device)
    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": wanted.offline}
    held: dict[str, Any] = {"dtype": getattr(torch, wanted.precision), "device_map": {"": device}}
    if wanted.quantisation is not None:
        held["quantization_config"] = _quantised(wanted.quantisation, held["dtype"])
    try:
        processor = AutoProcessor.from_pretrained(wanted.model, **options)
        model = AutoModelForImageTextToText.from_pretrained(wanted.model, use_safetensors=True, **options, **held)
    except (OSError, ValueError, KeyError, ImportError) as error:
        # transformers tells a missing model, a pickled one and an unknown architecture apart in words alone.
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(
            f"cannot load the multimodal model {wanted.model!r}: {first}; name a folder or hub model that transformers "
            "knows as image-text-to-text, with safetensors weights"
        ) from error
    if wanted.adapter is not None:
        model = _adapted(model, wanted.adapter)
    return model.eval(), processor


def check_adapter(folder: Path) -> None:
    """Refuses a folder that holds no LoRA adapter in safetensors; nothing in it is opened.

    Raises:
        MissingExtraError: PEFT is not installed.
        CheckpointError: something is missing, or the weights are pickled.
    """
    if find_spec("peft") is None:
        raise MissingExtraError("a LoRA adapter", "train")
    if not (folder / "adapter_config.json").is_file():
        raise CheckpointError(f"{folder} is no adapter: it holds no adapter_config.json")
    if not (folder / _ADAPTER_WEIGHTS).is_file():
        raise CheckpointError(f"{folder} holds no {_ADAPTER_WEIGHTS}; pickled weights are not read: save it anew")


def _adapted(model: Any, folder: Path) -> Any:
    from peft import PeftModel

    try:
        return PeftModel.from_pretrained(model, str(folder), is_trainable=False)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(f"the adapter {folder} does not fit the model: {error}") from error


def _device(wanted: str) -> str:
    import torch

    if not wanted:
        return "cuda:0" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"there is no device {wanted!r} here; leave it empty to have one chosen")
    return wanted


def _quantised(kind: Quantisation, compute: Any) -> Any:
    from transformers import BitsAndBytesConfig

    if kind == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=compute
    )
