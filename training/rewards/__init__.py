"""Verifiable rewards in the form that TRL calls: keyword arguments in, a number or None for each completion out.

None means that a reward does not apply to a row, as rows of several tasks stand in one batch (TRL's multi-task rule).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from vau.errors import ConfigError
from vau.training.rewards.accuracy import acc_choice, acc_label, accuracy, anticipation, detection
from vau.training.rewards.answers import TASKS, Reward
from vau.training.rewards.faithful import Load, claim_faithfulness
from vau.training.rewards.formats import fmt_json, fmt_parts, fmt_think_answer, fmt_think_answer_time
from vau.training.rewards.groups import RewardFunction
from vau.training.rewards.hierarchy import flat, hier
from vau.training.rewards.intervals import t_iou
from vau.training.rewards.length import len_band
from vau.training.rewards.regenerate import Generate, Rebuild, ano_verify, temporal_contrast

__all__ = [
    "ASK_AGAIN",
    "Tools",
    "acc_choice",
    "acc_label",
    "accuracy",
    "ano_verify",
    "anticipation",
    "build",
    "claim_faithfulness",
    "detection",
    "flat",
    "fmt_json",
    "fmt_parts",
    "fmt_think_answer",
    "fmt_think_answer_time",
    "hier",
    "len_band",
    "t_iou",
    "temporal_contrast",
]

ASK_AGAIN = ("ano_verify", "temporal_contrast")  # these need more generations
_SURROUNDINGS = {"generate", "rebuild", "load", "accuracy", "right"}
_PLAIN: tuple[Callable[..., Any], ...] = (
    fmt_think_answer,
    fmt_think_answer_time,
    fmt_parts,
    fmt_json,
    acc_choice,
    acc_label,
    detection,
    anticipation,
    t_iou,
    hier,
    flat,
)


@dataclass(frozen=True)
class Tools:
    """What some rewards need of their surroundings."""

    generate: Generate
    rebuild: Rebuild
    load_report: Load


def build(wanted: Sequence[tuple[str, Mapping[str, Any]]], tools: Tools) -> list[RewardFunction]:
    """Returns the rewards of a recipe.

    Args:
        wanted: names with their options, the keyword arguments of the function of that name; for all of them also
            ``tasks``, the only ones that it is for, and for `len_band` ``needs_right``, which pays right answers alone.
        tools: what they need of their surroundings.

    Raises:
        ConfigError: no reward has this name or this option.
    """
    return [_named(name, dict(options), tools) for name, options in wanted]


def _named(name: str, options: dict[str, Any], tools: Tools) -> RewardFunction:
    """Returns a reward that bears its name, as TRL logs it, and leaves out rows of tasks that it is not for."""
    tasks = options.pop("tasks", None)
    if tasks is not None and not (isinstance(tasks, list | tuple) and tasks and set(tasks) <= set(TASKS)):
        raise ConfigError(f"the reward {name} has tasks {tasks!r}; choose some of {', '.join(TASKS)}")
    function = _bound(name, options, tools)
    if tasks is None:
        return function

    def only(**columns: Any) -> Reward:
        found = function(**columns)
        return [value if task in tasks else None for value, task in zip(found, columns["task"], strict=True)]

    only.__name__ = name
    return only


def _bound(name: str, options: dict[str, Any], tools: Tools) -> RewardFunction:
    given: dict[str, Any] = {}
    match name:
        case "len_band":
            function: Callable[..., Any] = len_band
            given = {"right": accuracy} if options.pop("needs_right", False) else {}
        case "ano_verify":
            function, given = ano_verify, {"generate": tools.generate, "rebuild": tools.rebuild}
        case "temporal_contrast":
            function, given = temporal_contrast, {"generate": tools.generate, "accuracy": accuracy}
        case "claim_faithfulness":
            function, given = claim_faithfulness, {"load": tools.load_report}
        case _:
            found = next((item for item in _PLAIN if item.__name__ == name), None)
            if found is None:
                raise ConfigError(f"no reward is called {name!r}")
            function = found
    # Columns can be given by position, options by keyword alone; the surroundings are no business of a recipe.
    parameters = inspect.signature(function).parameters.values()
    known = {item.name for item in parameters if item.kind is item.KEYWORD_ONLY} - _SURROUNDINGS
    if unknown := sorted(set(options) - known):
        takes = ", ".join(sorted(known)) or "none"
        raise ConfigError(f"the reward {name} has no option {', '.join(unknown)}; it takes {takes}")
    return partial(function, **options, **given) if options or given else function
