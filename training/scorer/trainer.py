"""The one training loop for all networks: early stopping on held-out sources, and resuming after a kill to the bit.

Everything that decides the next step is in one file, replaced atomically: weights, optimiser, both random states, the
best weights so far, and counts. It is a safetensors file with JSON in its header; no pickle is written or read. The
weights that count are those with the best validation figure, never the last ones, and never chosen on a test set.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from vau.errors import CheckpointError, InputError
from vau.files import replace_file
from vau.scoring.heads.base import Head
from vau.training.scorer.bags import Bag, collate
from vau.training.scorer.objectives import Objective, Settings

Draw = Callable[[torch.Generator], list[Bag]]  # the bags of one step, from the generator's choices alone
Judge = Callable[[Head], float]  # a validation figure, higher is better
Log = Callable[[int, Mapping[str, float]], None]
STATE = "training.safetensors"
_CLIP_NORM = 5.0


@dataclass(frozen=True)
class Plan:
    """How long to train, and how often to look."""

    steps: int
    validate_every: int = 50
    patience: int = 20  # validations without a better figure, after which training ends
    save_every: int = 50
    seed: int = 0


@dataclass
class Progress:
    """How far training has come."""

    step: int = 0
    best: float = float("-inf")
    best_step: int = 0
    since_best: int = 0  # validations
    history: list[tuple[int, float]] = field(default_factory=list)  # step, validation figure
    done: bool = False


class Training:
    """One run; `run` may be called again on another day, in another process."""

    def __init__(
        self,
        head: Head,
        objective: Objective,
        settings: Settings,
        plan: Plan,
        draw: Draw,
        judge: Judge,
        folder: Path,
        *,
        identity: str = "",
    ) -> None:
        """Sets up a run, or takes up the one that the folder holds.

        Args:
            head: the network; its weights are initialised here, from the seed, by whoever built it under `seeded`.
            objective: the loss.
            settings: the optimiser.
            plan: length and seed.
            draw: chooses the bags of a step.
            judge: measures the network, in evaluation mode, on the validation split.
            folder: of the run's state.
            identity: of data, split and recipe; a state of another one is refused.

        Raises:
            CheckpointError: the folder's state is damaged, or of another run.
        """
        self.head, self.objective, self.plan = head, objective, plan
        self.draw, self.judge = draw, judge
        self.optimiser = settings.build(head.parameters())
        self.generator = torch.Generator().manual_seed(plan.seed)
        self.progress = Progress()
        self.best = _copy(head)
        self._file = Path(folder) / STATE
        self._identity = hashlib.sha256(
            json.dumps([identity, asdict(settings), plan.seed, plan.validate_every], sort_keys=True).encode()
        ).hexdigest()
        if self._file.exists():
            self._restore()
        else:
            Path(folder).mkdir(parents=True, exist_ok=True)
            torch.manual_seed(plan.seed + 1)

    def run(self, log: Log | None = None, report: Callable[[str, float], None] | None = None) -> Progress:
        """Trains to the end of the plan or of patience; the best weights are in `best` and in the head afterwards.

        Raises:
            InputError: the loss is no longer finite.
        """
        state, plan = self.progress, self.plan
        state.done = self._at_end()
        while not state.done:
            terms = self._step()
            state.step += 1
            if log is not None:
                log(state.step, {f"train/{name}": value for name, value in terms.items()})
            if state.step % plan.validate_every == 0 or state.step == plan.steps:
                self._validate(log)
            state.done = self._at_end()
            if state.step % plan.save_every == 0 or state.done:
                self._save()
            if report is not None:
                report("training", 1.0 if state.done else state.step / plan.steps)
        self.head.load_state_dict(self.best)
        self.head.eval()
        return state

    def _at_end(self) -> bool:
        return self.progress.step >= self.plan.steps or self.progress.since_best >= self.plan.patience

    def _step(self) -> dict[str, float]:
        self.head.train()
        bags = sorted(self.draw(self.generator), key=lambda bag: bag.label == 0)  # abnormal first
        terms = self.objective(self.head, collate(bags), generator=self.generator, step=self.progress.step)
        loss = torch.stack([term.reshape(()) for term in terms.values()]).sum()
        if not bool(torch.isfinite(loss)):
            broken = ", ".join(f"{name} {float(term.detach()):.3g}" for name, term in terms.items())
            raise InputError(
                f"the loss is not finite at step {self.progress.step}: {broken}; try a lower learning rate"
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.head.parameters(), _CLIP_NORM)
        self.optimiser.step()
        return {name: float(term.detach()) for name, term in terms.items()} | {"loss": float(loss.detach())}

    def _validate(self, log: Log | None) -> None:
        state = self.progress
        self.head.eval()
        figure = self.judge(self.head)
        state.history.append((state.step, figure))
        if figure > state.best:
            state.best, state.best_step, state.since_best = figure, state.step, 0
            self.best = _copy(self.head)
        else:
            state.since_best += 1
        if log is not None:
            log(state.step, {"validation": figure})

    def _save(self) -> None:
        arrays: dict[str, Tensor] = {f"head.{name}": value for name, value in self.head.state_dict().items()}
        arrays |= {f"best.{name}": value for name, value in self.best.items()}
        plain: dict[str, Any] = {}
        for index, values in self.optimiser.state_dict()["state"].items():
            for name, value in values.items():
                if isinstance(value, Tensor):
                    arrays[f"optimiser.{index}.{name}"] = value
                else:
                    plain[f"{index}.{name}"] = value
        arrays["random.torch"] = torch.get_rng_state()
        arrays["random.generator"] = self.generator.get_state()
        state = asdict(self.progress)
        state["best"] = repr(state["best"])  # JSON has no infinity
        told = {"identity": self._identity, "progress": state, "optimiser": plain}
        whole = {name: value.detach().cpu().clone().contiguous() for name, value in arrays.items()}
        replace_file(self._file, save(whole, metadata={"state": json.dumps(told)}))

    def _restore(self) -> None:
        try:
            with safe_open(self._file, framework="pt") as file:
                told = json.loads((file.metadata() or {})["state"])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        except (SafetensorError, OSError, KeyError, ValueError, RecursionError) as error:
            raise CheckpointError(f"{self._file}: not readable: {str(error)[:200]}; remove it to begin anew") from error
        if told.get("identity") != self._identity:
            raise CheckpointError(
                f"{self._file}: belongs to a run with other data, seed or settings; choose another folder, or remove it"
            )
        try:
            self.head.load_state_dict(_under("head.", arrays))
            self.best = _under("best.", arrays)
            groups = self.optimiser.state_dict()["param_groups"]
            kept: dict[int, dict[str, Any]] = {}
            values = [*_under("optimiser.", arrays).items(), *told["optimiser"].items()]
            for key, value in values:
                index, name = key.split(".", 1)
                kept.setdefault(int(index), {})[name] = value
            self.optimiser.load_state_dict({"state": kept, "param_groups": groups})
            torch.set_rng_state(arrays["random.torch"])
            self.generator.set_state(arrays["random.generator"])
            state = dict(told["progress"])
            state["best"] = float(state["best"])
            state["history"] = [(int(step), float(figure)) for step, figure in state["history"]]
            self.progress = Progress(**state)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(f"{self._file}: damaged: {str(error)[:200]}; remove it to begin anew") from error


def balanced(bags: list[Bag], a_side: int) -> Draw:
    """Returns a draw of `a_side` abnormal and as many normal bags, or as many as both kinds have."""
    sides = [[bag for bag in bags if (bag.label > 0) is kind] for kind in (True, False)]
    count = min(a_side, *(len(side) for side in sides))
    if not count:
        raise InputError("training needs normal and abnormal videos")

    def draw(generator: torch.Generator) -> list[Bag]:
        chosen = [torch.randperm(len(side), generator=generator)[:count].tolist() for side in sides]
        return [side[index] for side, picks in zip(sides, chosen, strict=True) for index in picks]

    return draw


def _copy(head: Head) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in head.state_dict().items()}


def _under(prefix: str, arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}
