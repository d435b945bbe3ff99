"""Reads what a trainer logged: TRL writes None where a reward applied to no row of a step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any


def numbers(rows: Sequence[Mapping[str, Any]], key: str) -> list[float]:
    """Returns the finite values of one figure in order."""
    values = (row.get(key) for row in rows)
    return [float(value) for value in values if isinstance(value, int | float) and math.isfinite(value)]


def mean_of(rows: Sequence[Mapping[str, Any]], key: str, missing: float = math.nan) -> float:
    """Returns the mean of one figure's finite values; `missing` where there is none."""
    values = numbers(rows, key)
    return sum(values) / len(values) if values else missing
