"""Checks and reprs that the value types share; every check raises ValueError and echoes the value."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ROWS = 4096


def own(array: object, dtype: type[np.generic], ndim: int, name: str) -> NDArray[Any]:
    """Returns a read-only array of the wanted type, refusing NaN, infinity and a wrong number of dimensions.

    An array that is read-only already and owns its data is taken as it is: an hour of embeddings is not copied each
    time that a value type is made from another.
    """
    frozen = isinstance(array, np.ndarray) and array.dtype == dtype and array.base is None and not array.flags.writeable
    value: NDArray[Any] = np.asarray(array) if frozen else np.array(array, dtype=dtype)
    if value.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimensions, got {value.shape = }")
    # A few rows at a time, since the answers for all of them would take a quarter of what the values take.
    if np.issubdtype(dtype, np.floating) and not all(
        np.isfinite(value[start : start + _ROWS]).all() for start in range(0, len(value), _ROWS)
    ):
        raise ValueError(f"{name} holds NaN or infinity")
    value.setflags(write=False)
    return value


def check_times(times: NDArray[np.float64], name: str) -> None:
    """Refuses times that do not strictly increase."""
    if times.size > 1 and not (np.diff(times) > 0).all():
        raise ValueError(f"{name} must be strictly increasing")


def check_rows(owner: str, count: int, **arrays: NDArray[Any] | None) -> None:
    """Refuses arrays of another length than `count`."""
    for name, value in arrays.items():
        if value is not None and len(value) != count:
            raise ValueError(f"{owner}.{name} must have {count} rows, got {value.shape = }")


def check_unit(name: str, value: float) -> None:
    """Refuses a value outside [0, 1]."""
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} must lie in [0, 1], got {value!r}")


def check_span(name: str, start_s: float, end_s: float) -> None:
    """Refuses a span that is not finite or ends before it starts."""
    if not (np.isfinite([start_s, end_s]).all() and start_s <= end_s):
        raise ValueError(f"{name} needs finite start_s <= end_s, got {start_s!r}, {end_s!r}")


class ShortRepr:
    """A repr that shows shapes of arrays and lengths of long tuples, never their data."""

    def __repr__(self) -> str:
        parts = []
        for spec in fields(self):  # type: ignore[arg-type]
            value = getattr(self, spec.name)
            if isinstance(value, np.ndarray):
                shown = f"{value.dtype}{list(value.shape)}"
            elif isinstance(value, tuple) and len(value) > 4:
                shown = f"<{len(value)} items>"
            elif isinstance(value, bytes):
                shown = f"<{len(value)} bytes>"
            else:
                shown = repr(value)
            parts.append(f"{spec.name}={shown}")
        return f"{type(self).__name__}({', '.join(parts)})"
