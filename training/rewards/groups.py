"""Which completions of a batch answer the same prompt, for rewards that compare them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from vau.training.rewards.answers import Reward

RewardFunction = Callable[..., Reward]  # keyword arguments alone, as TRL calls it


def groups(sample_id: Sequence[str]) -> list[list[int]]:
    """Returns the rows of each prompt, in order of first appearance.

    Over several processes these are the rows of this process alone: TRL hands no other to a reward.
    """
    found: dict[str, list[int]] = {}
    for row, name in enumerate(sample_id):
        found.setdefault(name, []).append(row)
    return list(found.values())


def rows_of(columns: dict[str, Any], rows: Sequence[int], count: int) -> dict[str, Any]:
    """Returns the columns of some rows; what is no column of `count` rows, such as TRL's callbacks, stays away."""
    return {
        name: [values[row] for row in rows]
        for name, values in columns.items()
        if isinstance(values, list | tuple) and len(values) == count
    }
