"""One run of fine-tuning as a folder: what is trained on what, its checkpoints, its log; resumed where it stopped.

The folder belongs to one recipe, model and set of rows; another run is refused it. Checkpoints are the trainer's own:
weights as safetensors, beside the states of optimiser and random numbers that it alone reads back.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PrinterCallback, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from vau.errors import CheckpointError, InputError
from vau.files import replace_file
from vau.training.data.frames import FrameSettings, FrameStore
from vau.training.data.leaks import read_held_out, refuse_leaks
from vau.training.data.records import Record, Vocabulary, read_records
from vau.training.data.simulated import simulated_records
from vau.training.data.tasks import Row, make_rows
from vau.training.recipes import Recipe
from vau.training.tuning.model import load_options

Progress = Callable[[str, float], None]
Log = Callable[[int, Mapping[str, float]], None]
IDENTITY, LOG, VOCABULARY = "run.json", "log.jsonl", "vocabulary.json"
_SIMULATED = re.compile(r"simulated:(\d{1,7})-(\d{1,7})")
_MAX_SEEDS = 20_000


@dataclass(frozen=True)
class Order:
    """What shall be trained: `data` is files of records, or ``simulated:FIRST-LAST`` for scenes of these seeds."""

    recipe: Recipe
    model: str
    data: tuple[str, ...]
    out: Path
    held_out: tuple[Path, ...] = ()
    frames: Path | None = None  # folder of kept frames; OUT.frames where None


@dataclass(frozen=True, eq=False)
class Prepared:
    """The data of a run."""

    records: tuple[Record, ...]
    vocabulary: Vocabulary
    rows: tuple[Row, ...]
    store: FrameStore
    held_out: int  # names that the training videos were compared with

    def digest(self) -> str:
        """Returns what tells these rows from others."""
        whole = hashlib.sha256()
        for row in self.rows:
            whole.update(row.model_dump_json().encode())
        return whole.hexdigest()[:16]


def prepare(order: Order) -> Prepared:
    """Reads the records, refuses those that are held out, and asks them the recipe's tasks.

    Raises:
        InputError: the data cannot be read, is held out for testing, or serves no task.
    """
    records = [record for given in order.data for record in _records(given)]
    if len({record.id for record in records}) < len(records):
        raise InputError(f"an id comes in more than one of {', '.join(order.data)}")
    if not records:
        raise InputError(f"no record in {', '.join(order.data)}")
    names = [name for path in order.held_out for name in read_held_out(path)]
    refuse_leaks(records, names)
    words = Vocabulary.of(records)
    tasks, frames = order.recipe.tasks, order.recipe.frames
    mix: dict[str, float] = {str(name): share for name, share in tasks.mix.items()}
    rows = make_rows(
        records, mix, words, think=tasks.think, seed=order.recipe.seed, lead_s=tasks.lead_s
    )  # fmt: skip
    place = order.frames or order.out.resolve().with_name(order.out.resolve().name + ".frames")
    store = FrameStore(place, FrameSettings(frames.count, frames.sampler, frames.max_pixels, frames.total_pixels))
    return Prepared(tuple(records), words, tuple(rows), store, len(names))


def claim(order: Order, prepared: Prepared) -> str | None:
    """Takes the folder of a run and returns its last checkpoint; None where it begins anew.

    Raises:
        InputError: the folder holds another run, or something else.
    """
    identity = {
        "recipe": order.recipe.digest(),
        "name": order.recipe.name,
        "model": order.model,
        "rows": prepared.digest(),
    }
    out, file = order.out, order.out / IDENTITY
    if file.is_file():
        try:
            known = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{file}: damaged; remove the folder to begin anew") from error
        if known != identity:
            raise InputError(
                f"{out} holds a run with another recipe, model or data; choose another folder, or remove it"
            )
        return last_checkpoint(out)
    if out.is_dir() and any(out.iterdir()):
        raise InputError(f"{out} is not empty and holds no run; choose another folder")
    out.mkdir(parents=True, exist_ok=True)
    replace_file(file, json.dumps(identity, indent=1).encode())
    replace_file(out / VOCABULARY, prepared.vocabulary.model_dump_json(indent=1).encode())
    return None


def last_checkpoint(out: Path) -> str | None:
    """Returns the newest whole checkpoint of a run; None where there is none."""
    found = [
        (int(path.name.rpartition("-")[2]), path)
        for path in (out / "checkpoints").glob("checkpoint-*")
        if path.name.rpartition("-")[2].isdecimal() and (path / "trainer_state.json").is_file()
    ]
    return str(max(found)[1]) if found else None


def arguments(order: Order) -> dict[str, Any]:
    """Returns what every trainer of the library is told; nothing that decides the result is left to its defaults."""
    import torch

    recipe, optimiser = order.recipe, order.recipe.optimiser
    cpu = not torch.cuda.is_available()
    return {
        "output_dir": str(order.out / "checkpoints"),
        "run_name": f"{recipe.name}-{order.out.name}",
        "learning_rate": optimiser.learning_rate,
        "lr_scheduler_type": optimiser.schedule,
        "warmup_steps": optimiser.warmup_steps,
        "weight_decay": optimiser.weight_decay,
        "max_grad_norm": optimiser.max_grad_norm,
        "num_train_epochs": optimiser.epochs,
        "max_steps": optimiser.max_steps or -1,
        "per_device_train_batch_size": optimiser.batch,
        "gradient_accumulation_steps": optimiser.accumulation,
        "gradient_checkpointing": optimiser.gradient_checkpointing,
        "optim": "adamw_torch",
        "adam_beta1": 0.9,
        "adam_beta2": 0.999,
        "adam_epsilon": 1e-8,
        "bf16": recipe.model.precision == "bfloat16",
        "use_cpu": cpu,
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "save_strategy": "steps",
        "save_steps": recipe.save_steps,
        "save_total_limit": recipe.keep_checkpoints,
        "logging_steps": 1,
        "report_to": "none",
        "remove_unused_columns": False,
        "disable_tqdm": True,
        "dataloader_num_workers": 0,
        "model_init_kwargs": load_options(recipe.model),
    }


class Follow(TrainerCallback):
    """Passes on how far a run has come, and what it logs, from the first process alone."""

    def __init__(self, progress: Progress | None, log: Log | None) -> None:
        self._progress, self._log = progress, log

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Reports the share of the steps that is done."""
        if self._progress is not None and state.max_steps > 0 and state.is_world_process_zero:
            self._progress("training", state.global_step / state.max_steps)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Hands figures to the loggers."""
        if self._log is not None and state.is_world_process_zero:
            self._log(state.global_step, {k: float(v) for k, v in (logs or {}).items() if isinstance(v, int | float)})


def carry_out(trainer: Any, checkpoint: str | None) -> None:
    """Trains from a checkpoint or from the start, and prints nothing: `Follow` passes on what is logged."""
    trainer.remove_callback(PrinterCallback)
    told = logging.getLogger("transformers.trainer")
    if checkpoint is not None and _restore(trainer, checkpoint):
        told.addFilter(_said_of_names)
    try:
        trainer.train(resume_from_checkpoint=checkpoint)
    finally:
        told.removeFilter(_said_of_names)


def _restore(trainer: Any, checkpoint: str) -> bool:
    """Puts a checkpoint's weights into the model; returns False where the trainer does so itself.

    transformers writes the weights of some families under older names, which `from_pretrained` knows and the trainer's
    own resuming does not: it would warn, and go on from the base model. Adapters and sharded states are not affected.
    """
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText

    model = trainer.accelerator.unwrap_model(trainer.model)
    if isinstance(model, PeftModel) or trainer.is_deepspeed_enabled or trainer.is_fsdp_enabled:
        return False
    saved, told = AutoModelForImageTextToText.from_pretrained(
        checkpoint,
        dtype=model.dtype,
        use_safetensors=True,
        trust_remote_code=False,
        local_files_only=True,
        output_loading_info=True,
    )
    if told["missing_keys"]:
        raise CheckpointError(
            f"{checkpoint}: lacks weights, such as {min(told['missing_keys'])}; remove this checkpoint"
        )
    model.load_state_dict(saved.state_dict())
    return True


def _said_of_names(record: logging.LogRecord) -> bool:
    """Leaves out what the trainer says of names that it does not know, once the weights are in the model."""
    return "keys in the checkpoint model loaded" not in record.getMessage()


def keep_log(out: Path, history: Sequence[dict[str, Any]]) -> None:
    """Writes what was logged, a JSON object a line."""
    replace_file(out / LOG, "".join(json.dumps(row) + "\n" for row in history).encode())


def _records(given: str) -> list[Record]:
    seeds = _SIMULATED.fullmatch(given)
    if seeds is None and given.startswith("simulated:"):
        raise InputError(f"{given[:80]!r}: write simulated:FIRST-LAST, such as simulated:0-20")
    if seeds is None:
        return list(read_records(Path(given)))
    first, last = int(seeds[1]), int(seeds[2])
    if not first <= last < first + _MAX_SEEDS:
        raise InputError(f"{given}: needs FIRST <= LAST, and at most {_MAX_SEEDS} seeds")
    return simulated_records(range(first, last + 1))
