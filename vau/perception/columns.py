"""Arrays that grow row by row in place, for what is kept of every sampled frame of a video that may last a day.

Lists of small arrays and of objects cost several times the numbers that they hold.
"""

from __future__ import annotations

from io import BufferedRandom
from tempfile import TemporaryFile
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vau.errors import PerceptionError

_FIRST = 8  # rows
_IN_MEMORY = 16 * 2**20  # bytes that a spool holds before it writes them
_BUFFER = 64 * 2**10


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
            rows = self._count + max(more, self._count // 16 + _FIRST)
            self._data.resize((rows, *self._data.shape[1:]), refcheck=False)

    @property
    def rows(self) -> NDArray[Any]:
        """The rows so far, valid until the next is added."""
        return self._data[: self._count]

    def clear(self) -> None:
        """Forgets the rows and keeps their place."""
        self._count = 0

    def take(self) -> NDArray[Any]:
        """Returns all rows as a read-only array that owns its memory; the column is empty afterwards."""
        data = self._data
        data.resize((self._count, *data.shape[1:]), refcheck=False)
        data.setflags(write=False)
        self._data, self._count = np.zeros((_FIRST, *data.shape[1:]), data.dtype), 0
        return data


class Spool:
    """Rows that are only needed at the end, and so many that they go to an unnamed temporary file as they come.

    Where there is no room for the file, the rows stay in memory.
    """

    def __init__(self, dtype: type[np.generic], *shape: int) -> None:
        self._recent = Column(dtype, *shape)
        self._file: BufferedRandom | None = None
        self._written = 0
        self._room = True

    def append(self, row: ArrayLike) -> None:
        """Adds one row."""
        self._recent.append(row)
        if self._room and self._recent.rows.nbytes >= _IN_MEMORY:
            self._write()

    def _write(self) -> None:
        rows = self._recent.rows
        try:
            self._file = self._file or cast(BufferedRandom, TemporaryFile(buffering=_BUFFER))  # noqa: SIM115 kept
            self._file.seek(self._written * rows[0].nbytes)  # where an earlier try may have ended half way
            self._file.write(rows.data)
            self._file.flush()
        except OSError:
            self._room = False
            return
        self._written += len(rows)
        self._recent.clear()

    def take(self) -> NDArray[Any]:
        """Returns all rows as a read-only array that owns its memory; to be called once, at the end."""
        rest = self._recent.take()
        if self._file is None:
            return rest
        whole = np.empty((self._written + len(rest), *rest.shape[1:]), rest.dtype)
        with self._file as file:
            file.seek(0)
            if file.readinto(whole[: self._written].data) < whole[: self._written].nbytes:
                raise PerceptionError("the temporary file with what was seen cannot be read back")
        whole[self._written :] = rest
        whole.setflags(write=False)
        return whole
