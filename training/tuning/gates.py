"""Watches a GRPO run for the ways in which it goes wrong without failing, and says what to do about each.

The level of groups without variance is that of the recipes' notes; all others are ours. Nothing is changed or stopped.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from vau.training.recipes import Gates
from vau.training.tuning.figures import mean_of

_log = logging.getLogger(__name__)
_FLAT = 0.02  # change of a mean reward over a window that counts as none
_FORMATS = ("fmt_think_answer", "fmt_think_answer_time", "fmt_parts", "fmt_json")


def advice(history: Sequence[Mapping[str, Any]], gates: Gates, longest: int) -> dict[str, str]:
    """Returns what is wrong with a run by the name of its gate.

    Args:
        history: what TRL logged, a mapping a step, oldest first.
        gates: the levels.
        longest: tokens that a completion may have.
    """
    rows = [row for row in history if "reward" in row]
    last = history[-1] if history else {}
    broken = [name for name in ("loss", "grad_norm") if not math.isfinite(last.get(name) or 0.0)]
    found = {}
    if broken:
        found["finite"] = f"{' and '.join(broken)} not finite: lower the learning rate, or train in bfloat16 or float32"
    if len(rows) < gates.window:
        return found
    recent, first = rows[-gates.window :], rows[: gates.window]
    share = mean_of(recent, "frac_reward_zero_std")
    if share > gates.zero_variance:
        found["zero variance"] = (
            f"{share:.0%} of the groups have no variance and teach nothing: take harder or easier tasks, raise the "
            "temperature, or raise num_generations"
        )
    found |= _saturated(rows, recent, gates)
    entropy = mean_of(recent, "entropy")
    if entropy < gates.least_entropy:
        found["entropy"] = (
            f"the entropy fell to {entropy:.3f}: raise beta or the temperature, or lower the learning rate"
        )
    return found | _lengths(recent, first, gates, longest)


class SanityGates(TrainerCallback):
    """Logs each piece of advice once, when its gate is first passed; `passed` keeps them for the model card."""

    def __init__(self, gates: Gates, longest: int) -> None:
        self.passed: dict[str, str] = {}
        self._gates, self._longest = gates, longest

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Looks at what has been logged so far."""
        for name, text in advice(state.log_history, self._gates, self._longest).items():
            if name not in self.passed:
                self.passed[name] = f"step {state.global_step}: {text}"
                _log.warning("%s", self.passed[name])


def _saturated(rows: Sequence[Mapping[str, Any]], recent: Sequence[Mapping[str, Any]], gates: Gates) -> dict[str, str]:
    means = {key.split("/")[1] for row in rows for key in row if key.startswith("rewards/") and key.endswith("/mean")}
    formats = [name for name in means if name in _FORMATS]
    others = [name for name in means if name not in _FORMATS]
    before = rows[-2 * gates.window : -gates.window]
    if not formats or not others or len(before) < gates.window:
        return {}
    full = all(mean_of(recent, f"rewards/{name}/mean", 0.0) >= gates.format_saturated for name in formats)
    moves = [abs(mean_of(recent, f"rewards/{name}/mean") - mean_of(before, f"rewards/{name}/mean")) for name in others]
    if not full or any(not move < _FLAT for move in moves):
        return {}
    text = "the format is always right and no other reward rises: lower the format's weight, or take harder tasks"
    return {"format": text}


def _lengths(
    recent: Sequence[Mapping[str, Any]], first: Sequence[Mapping[str, Any]], gates: Gates, longest: int
) -> dict[str, str]:
    found = {}
    clipped = mean_of(recent, "completions/clipped_ratio")
    if clipped > gates.clipped:
        found["clipped"] = (
            f"{clipped:.0%} of the completions were cut off at {longest} tokens: raise max_completion_length, or teach "
            "the form by SFT first"
        )
    now, then = mean_of(recent, "completions/mean_length"), mean_of(first, "completions/mean_length")
    if now * gates.length_factor < then or now > then * gates.length_factor:
        found["length"] = (
            f"completions went from {then:.0f} to {now:.0f} tokens: check for a reward that pays for length, and add "
            "len_band"
        )
    return found
