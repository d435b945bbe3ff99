"""Recipes for fine-tuning: the YAML files of this folder, and the typed form that they must have.

A recipe leaves no choice to a library's default: what the papers disagree on has no default here either, so that each
file says it. Unknown keys are refused. `training.sft` and `training.grpo` turn a recipe into a run.
"""

from __future__ import annotations

import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vau.errors import ConfigError
from vau.training.rewards.answers import Task

MAX_BYTES = 200_000
RewardName = Literal[
    "fmt_think_answer",
    "fmt_think_answer_time",
    "fmt_parts",
    "fmt_json",
    "acc_choice",
    "acc_label",
    "detection",
    "anticipation",
    "t_iou",
    "hier",
    "flat",
    "ano_verify",
    "len_band",
    "temporal_contrast",
    "claim_faithfulness",
]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Lora(_Section):
    """Parameters that control low-rank adapters (arXiv 2106.09685)."""

    rank: int = Field(ge=1, le=1024)
    alpha: float = Field(gt=0)
    dropout: float = Field(ge=0, lt=1)
    targets: str | tuple[str, ...] = Field(description="names of layers, or a pattern; all-linear: all of them")


class ModelSettings(_Section):
    """Parameters that control how the model is held."""

    precision: Literal["bfloat16", "float32"]
    quantisation: Literal["4bit", "8bit"] | None = Field(description="by bitsandbytes; needs lora")
    attention: Literal["sdpa", "eager", "flash_attention_2"]
    lora: Lora | None = Field(description="null: all weights are trained")

    @model_validator(mode="after")
    def _trainable(self) -> ModelSettings:
        if self.quantisation is not None and self.lora is None:
            raise ValueError("quantised weights cannot be trained themselves: give lora")
        return self


class Frames(_Section):
    """Parameters that control what is shown of a video; see `training.data.frames`."""

    count: int = Field(ge=1, le=64)
    sampler: Literal["uniform", "caes"]
    max_pixels: int = Field(ge=28 * 28, le=4096 * 4096, description="of each frame")
    total_pixels: int | None = Field(None, ge=28 * 28, description="of all frames together")


class Tasks(_Section):
    """Parameters that control what is asked."""

    mix: dict[Task, Annotated[float, Field(gt=0, le=1)]] = Field(min_length=1, description="share of rows by task")
    think: bool
    lead_s: float = Field(2.0, gt=0, description="seconds before an event at which anticipation ends")


class Reward(_Section):
    """One term of the reward."""

    name: RewardName
    weight: float = Field(ge=0, le=100)
    options: dict[str, Any] = {}


class Optimiser(_Section):
    """Parameters that control the steps."""

    learning_rate: float = Field(gt=0, lt=1)
    schedule: Literal["linear", "cosine", "constant", "constant_with_warmup"]
    warmup_steps: int = Field(ge=0)
    weight_decay: float = Field(ge=0)
    max_grad_norm: float = Field(gt=0)
    epochs: float = Field(gt=0)
    max_steps: int | None = Field(None, ge=1, description="ends before the epochs do")
    batch: int = Field(ge=1, description="rows of one pass on one device; completions for GRPO")
    accumulation: int = Field(ge=1, description="passes of one step")
    gradient_checkpointing: bool


class Vllm(_Section):
    """Parameters that control generation by vLLM."""

    mode: Literal["colocate", "server"]
    memory: float = Field(0.3, gt=0, lt=1, description="share of the GPU's memory, colocate")
    url: str = Field("", description="of `trl vllm-serve`, server")
    sleep: bool = Field(False, description="free that memory while the model is trained, colocate")


class Grpo(_Section):
    """Parameters that control group-relative policy optimisation (arXiv 2402.03300); names are TRL's."""

    loss_type: Literal["grpo", "bnpo", "dr_grpo", "dapo"]
    beta: float = Field(ge=0, description="of the KL term against the model before training")
    num_generations: int = Field(ge=2, le=128)
    max_completion_length: int = Field(ge=1, le=32_768)
    temperature: float = Field(gt=0, le=2)
    top_p: float = Field(gt=0, le=1)
    top_k: int = Field(ge=0, description="0: all tokens")
    repetition_penalty: float = Field(gt=0)
    num_iterations: int = Field(ge=1)
    epsilon: float = Field(gt=0)
    scale_rewards: Literal["group", "batch", "none"]
    importance_sampling_level: Literal["token", "sequence"]
    mask_truncated_completions: bool
    vllm: Vllm | None = None


class Sft(_Section):
    """Parameters that control supervised fine-tuning."""

    max_length: int | None = Field(description="tokens of a row; null keeps all, as cutting would cut pictures")
    loss_type: Literal["nll", "dft"]


class Gates(_Section):
    """Levels beyond which a run is warned about; see `training.tuning.gates`."""

    zero_variance: float = Field(0.7, gt=0, le=1, description="share of groups whose rewards are all alike")
    format_saturated: float = Field(0.98, gt=0, le=1)
    least_entropy: float = Field(0.02, ge=0)
    clipped: float = Field(0.3, gt=0, le=1, description="share of completions cut off at their longest")
    length_factor: float = Field(3.0, gt=1, description="by which the mean length may shrink or grow")
    window: int = Field(20, ge=2, description="logged steps that are averaged")


class Recipe(_Section):
    """How one model is fine-tuned."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,60}$")]
    method: Literal["sft", "grpo"]
    about: Annotated[str, Field(max_length=500)]
    source: Annotated[str, Field(max_length=300, description="paper, or ours")]
    model: ModelSettings
    frames: Frames
    tasks: Tasks
    optimiser: Optimiser
    rewards: tuple[Reward, ...] = ()
    grpo: Grpo | None = None
    sft: Sft | None = None
    gates: Gates = Gates()
    save_steps: int = Field(ge=1)
    keep_checkpoints: int = Field(2, ge=1)
    seed: int = Field(42, ge=0, lt=2**32)

    @model_validator(mode="after")
    def _whole(self) -> Recipe:
        if self.method == "grpo" and (self.grpo is None or not self.rewards or self.sft is not None):
            raise ValueError("a grpo recipe needs the sections grpo and rewards, and no sft")
        if self.method == "sft" and (self.sft is None or self.rewards or self.grpo is not None):
            raise ValueError("an sft recipe needs the section sft, and neither grpo nor rewards")
        names = [reward.name for reward in self.rewards]
        if len(set(names)) < len(names):
            raise ValueError(f"a reward comes twice among {', '.join(names)}")
        optimiser = self.optimiser
        if self.grpo is not None and optimiser.batch * optimiser.accumulation % self.grpo.num_generations:
            raise ValueError(
                f"batch {optimiser.batch} times accumulation {optimiser.accumulation} must be a multiple of the "
                f"{self.grpo.num_generations} completions of a prompt"
            )
        return self

    def digest(self) -> str:
        """Returns what tells this recipe from others: 16 hexadecimal digits over all values."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()[:16]


def names() -> tuple[str, ...]:
    """Returns the names of the packaged recipes."""
    files = (item.name for item in resources.files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in files if name.endswith(".yaml")))


def load_recipe(wanted: str | Path, changes: dict[str, object] | None = None) -> Recipe:
    """Reads a packaged recipe by its name, or a file by its path.

    Args:
        wanted: a name out of `names()`, or a path that ends in .yaml or .yml.
        changes: values for dotted keys, such as ``optimiser.max_steps``.

    Raises:
        ConfigError: there is no such recipe, or something in it is wrong.
    """
    text = str(wanted)
    if text in names():
        data = yaml.safe_load(resources.files(__name__).joinpath(f"{text}.yaml").read_text(encoding="utf-8"))
    elif text.endswith((".yaml", ".yml")):
        data = _read(Path(text))
    else:
        raise ConfigError(f"no recipe is called {text!r}; choose from {', '.join(names())}, or give a .yaml file")
    if not isinstance(data, dict):
        raise ConfigError(f"{text}: a recipe is a mapping, got {type(data).__name__}")
    for dotted, value in (changes or {}).items():
        *sections, key = dotted.split(".")
        place = data
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise ConfigError(f"{dotted}: {section} is a value, not a section")
        place[key] = value
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        lines = [f"{'.'.join(str(part) for part in item['loc']) or 'recipe'}: {item['msg']}" for item in error.errors()]
        raise ConfigError(f"{text}: " + "; ".join(lines[:8])) from error


def _read(path: Path) -> object:
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"{path}: no file of at most {MAX_BYTES} bytes")
        data: object = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not readable as YAML: {error}") from error
    return data
