"""Writing of result files so that a reader never meets half of one: a temporary file beside it, then one rename.

Knows nothing of what the files hold.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from vau.errors import ReportError


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
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".vau-", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ReportError(f"cannot write {path}: {error.strerror}; choose another folder or free some space") from error
    return path


def write_text(text: str, path: Path) -> Path:
    """Writes UTF-8 text atomically, as `write_bytes` does."""
    return write_bytes(text.encode("utf-8", "replace"), path)
