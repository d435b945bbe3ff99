"""Writing of result files, whole or not at all, with the folder they go to."""

from __future__ import annotations

from pathlib import Path

from vau.errors import ReportError
from vau.files import replace_file


def write_bytes(data: bytes, path: Path) -> Path:
    """Writes a file atomically, making its folder where needed; an older file stays whole until the new one is.

    Args:
        data: the whole content.
        path: where to write it.

    Returns:
        The path.

    Raises:
        ReportError: the folder or file cannot be written (the message says why).
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, data)
    except OSError as error:
        raise ReportError(f"cannot write {path}: {error.strerror}; choose another folder or free some space") from error
    return path


def write_text(text: str, path: Path) -> Path:
    """Writes UTF-8 text atomically, as `write_bytes` does."""
    return write_bytes(text.encode("utf-8", "replace"), path)
