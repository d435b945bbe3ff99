"""Arrays that grow row by row in place, for what is kept of every sampled frame of a video that may last a day.

Lists of small arrays and of objects cost several times the numbers that they hold.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_FIRST = 8  # rows


class Column:
    """Rows of one shape and type; `rows` is a view, `take` hands the array over."""

    def __init__(self, dtype: type[np.generic], *shape: int) -> None:
        self._data: NDArray[Any] = np.zeros((_FIRST, *shape), dtype)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, row: ArrayLike) -> None:
        """Adds one row."""
        self._reserve(1)
        self._data[self._count] = row
        self._count += 1

    def extend(self, rows: NDArray[Any]) -> None:
        """Adds several rows."""
        self._reserve(len(rows))
        self._data[self._count : self._count + len(rows)] = rows
        self._count += len(rows)

    def _reserve(self, more: int) -> None:
        if self._count + more > len(self._data):
            # In place: the memory is moved by the operating system, not copied beside itself. No view of it outlives
            # the statement that asks for it.
            rows = self._count + max(more, self._count // 4 + _FIRST)
            self._data.resize((rows, *self._data.shape[1:]), refcheck=False)

    @property
    def rows(self) -> NDArray[Any]:
        """The rows so far, valid until the next is added."""
        return self._data[: self._count]

    def take(self) -> NDArray[Any]:
        """Returns all rows as a read-only array that owns its memory; the column is empty afterwards."""
        data = self._data
        data.resize((self._count, *data.shape[1:]), refcheck=False)
        data.setflags(write=False)
        self._data, self._count = np.zeros((_FIRST, *data.shape[1:]), data.dtype), 0
        return data
