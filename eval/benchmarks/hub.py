"""Rows of annotation in the forms of the Hugging Face hub: JSON, JSON lines, Arrow and Parquet, and their download.

Arrow and Parquet are read by `datasets`, which is optional. Knows no benchmark's fields.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vau.errors import InputError, MissingExtraError
from vau.eval import files

MAX_ROWS = 1_000_000


def rows(path: Path) -> list[dict[str, Any]]:
    """Returns the rows of a file (.json, .jsonl, .parquet, .arrow) or of a folder of Arrow or Parquet files.

    A JSON file holds a list of objects, or one object of them by name; the name then comes as the field ``_key``.

    Raises:
        InputError: another form, a damaged file, or over a million rows.
        MissingExtraError: it is Arrow or Parquet, and `datasets` is not installed.
    """
    suffix = path.suffix.lower()
    if path.is_dir() or suffix in (".arrow", ".parquet"):
        found: Any = _arrow(path)
    elif suffix == ".jsonl":
        found = [
            _line(line, path, number) for number, line in enumerate(files.text(path).split("\n"), 1) if line.strip()
        ]
    elif suffix == ".json":
        found = files.json_value(path)
        if isinstance(found, dict):
            found = [{"_key": key, **value} if isinstance(value, dict) else value for key, value in found.items()]
    else:
        raise InputError(f"{path}: rows come as .json, .jsonl, .arrow or .parquet, not {suffix or 'without a suffix'}")
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise InputError(f"{path}: expected a list of objects")
    if len(found) > MAX_ROWS:
        raise InputError(f"{path}: {len(found):,} rows; the limit is {MAX_ROWS:,}")
    return found


def fetch(hub_id: str, patterns: Sequence[str], folder: Path) -> Path:
    """Downloads the files of a data set that fit the patterns, annotation and no videos, into a folder.

    Raises:
        MissingExtraError: `huggingface_hub` is not installed.
        InputError: the data set is not there, is closed, or the hub cannot be reached.
    """
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError as error:
        raise MissingExtraError("downloading from the Hugging Face hub", "eval") from error
    wanted = [form for pattern in patterns for form in (pattern, f"*/{pattern}")]
    try:
        return Path(snapshot_download(hub_id, repo_type="dataset", allow_patterns=wanted, local_dir=str(folder)))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise InputError(f"{hub_id}: cannot be fetched from the hub: {str(error)[:200]}") from error


def _line(line: str, path: Path, number: int) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}, line {number}: not a JSON object: {str(error)[:120]}") from error


def _arrow(path: Path) -> list[dict[str, Any]]:
    try:
        import datasets
        import pyarrow
    except ImportError as error:
        raise MissingExtraError("reading Arrow and Parquet", "eval") from error
    parts = [path] if path.is_file() else sorted(one for kind in ("*.arrow", "*.parquet") for one in path.rglob(kind))
    if not parts:
        raise InputError(f"{path}: no .arrow or .parquet file in it")
    found: list[dict[str, Any]] = []
    for part in parts:
        try:
            table = (
                pyarrow.parquet.read_table(part)
                if part.suffix == ".parquet"
                else datasets.Dataset.from_file(str(part)).data.table
            )
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise InputError(f"{part}: not Arrow or Parquet that can be read: {str(error)[:200]}") from error
        if len(found) + table.num_rows > MAX_ROWS:
            raise InputError(f"{path}: over {MAX_ROWS:,} rows")
        found += table.to_pylist()
    return found
