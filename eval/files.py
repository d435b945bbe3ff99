"""Reads the files that people hand to an evaluator, all of them untrusted: sizes are capped and pickles never loaded.

Knows formats (JSON, CSV, NumPy, MATLAB), not what is in them.
"""

from __future__ import annotations

import csv
import json
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vau.errors import InputError

MAX_TEXT_BYTES = 256 << 20
MAX_ARRAY_BYTES = 4 << 30
MAX_UNPACKED_BYTES = 512 << 20  # of an npz file: the largest test set is a hundredth of it, a bomb is refused unopened
# What the readers of NumPy, zipfile and SciPy raise on damaged or made-up files, MemoryError where a stated size lies.
_NUMPY_ERRORS = (
    ValueError,
    EOFError,
    OSError,
    KeyError,
    TypeError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
)
_MATLAB_ERRORS = (*_NUMPY_ERRORS, IndexError, OverflowError)


def regular(path: Path) -> None:
    """Raises InputError unless the path is a regular file; a pipe would keep its reader waiting for ever."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else getattr(error, "strerror", None) or error
        raise InputError(f"{path}: {reason}") from error
    if not stat.S_ISREG(mode):
        raise InputError(f"{path}: a {'folder' if stat.S_ISDIR(mode) else 'pipe or device'}, not a file")


def text(path: Path) -> str:
    """Returns a text file's content.

    Raises:
        InputError: it cannot be read, is larger than 256 MiB or is not UTF-8.
    """
    _check(path, MAX_TEXT_BYTES)
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error


def json_value(path: Path) -> Any:
    """Returns what a JSON file holds; raises InputError where it is not JSON."""
    try:
        return json.loads(text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON: {str(error)[:200]}") from error


def csv_rows(path: Path, *columns: str) -> list[dict[str, str]]:
    """Returns the rows of a CSV file with a header that has at least `columns`; raises InputError otherwise."""
    try:
        reader = csv.DictReader(text(path).splitlines(), skipinitialspace=True)
        missing = [column for column in columns if column not in (reader.fieldnames or ())]
        if missing:
            raise InputError(f"{path}: no column {', '.join(missing)}; it has {', '.join(reader.fieldnames or ())}")
        rows = [{key: value or "" for key, value in row.items() if key is not None} for row in reader]
    except csv.Error as error:
        raise InputError(f"{path}: not CSV: {error}") from error
    return rows


def npz(path: Path) -> dict[str, NDArray[Any]]:
    """Returns all arrays of an npz file.

    Raises:
        InputError: it cannot be read, holds Python objects (a pickle, never loaded), or unpacks to over 512 MiB.
    """
    _check(path, MAX_UNPACKED_BYTES)
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > MAX_UNPACKED_BYTES:
            raise InputError(f"{path}: unpacks to {size >> 20:,} MiB; the limit is {MAX_UNPACKED_BYTES >> 20} MiB")
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except _NUMPY_ERRORS as error:
        raise InputError(f"{path}: not an npz file of plain arrays: {_short(error)}") from error


def npy(path: Path) -> NDArray[Any]:
    """Returns the array of an npy file; raises InputError where it is none, too large, or holds Python objects."""
    _check(path, MAX_ARRAY_BYTES)
    try:
        with path.open("rb") as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))
    except _NUMPY_ERRORS as error:
        raise InputError(f"{path}: not an npy file of plain numbers: {_short(error)}") from error


def matlab(path: Path) -> dict[str, Any]:
    """Returns the variables of a MATLAB file of version 4 to 7.2; raises InputError where it cannot be read."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    _check(path, MAX_TEXT_BYTES)
    try:
        return dict(loadmat(path))
    except (*_MATLAB_ERRORS, MatReadError) as error:
        raise InputError(f"{path}: not a MATLAB file that can be read: {_short(error)}") from error


def vector(values: Any, where: object) -> NDArray[np.bool_]:
    """Returns frame labels (N,) as booleans; raises InputError unless they are one row or column of 0 and 1."""
    array = np.asarray(values)
    if array.dtype.kind not in "biuf" or array.size != max(array.shape, default=0):
        raise InputError(f"{where}: labels must be one row of 0 and 1, got {array.dtype} {array.shape}")
    if not np.isin(array, (0, 1)).all():
        raise InputError(f"{where}: labels must be 0 or 1, got values such as {array[~np.isin(array, (0, 1))].flat[0]}")
    return array.reshape(-1).astype(bool)


def whole(value: Any, where: str, low: int = 0) -> int:
    """Returns a whole number of at least `low`; raises InputError for anything else, booleans included."""
    try:
        number = int(float(value))
        if isinstance(value, bool) or number != float(value) or number < low:
            raise InputError(f"{where}: {value!r} is not a whole number of at least {low}")
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{where}: {value!r} is not a whole number") from error
    return number


def each_line(path: Path, parse: Callable[[list[str], str], Any]) -> list[Any]:
    """Returns `parse(fields, where)` for every line that is not blank; fields are separated by white space."""
    lines = enumerate(text(path).splitlines(), 1)
    return [parse(line.split(), f"{path}, line {number}") for number, line in lines if line.strip()]


def _check(path: Path, limit: int) -> None:
    """Refuses what is no regular file, or is larger than any such file is."""
    regular(path)
    size = path.stat().st_size
    if size > limit:
        raise InputError(f"{path}: {size:,} bytes, hence not the file that is meant; the limit is {limit:,}")


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error)[:200]}"
