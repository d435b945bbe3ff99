"""Which videos a command line means, and the folder that each result goes to.

A result never overwrites that of another video: folders are compared by the content's SHA-256.
"""

from __future__ import annotations

import glob
import json
import os
import re
from pathlib import Path

from vau.errors import InputError

VIDEO_SUFFIXES = frozenset(
    [
        ".3gp",
        ".asf",
        ".avi",
        ".flv",
        ".m2ts",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".ogv",
        ".ts",
        ".webm",
        ".wmv",
    ]
)
_MAX_STEM_BYTES = 100  # file systems allow 255; the suffix and the user's own tools want some too


def expand(given: str) -> list[Path]:
    """Returns the videos that one argument means: a file, a folder (searched with its subfolders) or a pattern.

    A file is taken whatever it is called; in folders only files with a video's suffix are.

    Raises:
        InputError: nothing is there, or a folder or pattern holds no video.
    """
    path = Path(given)
    try:
        if path.is_dir():
            found = _walk(path)
            if not found:
                raise InputError(f"{given}: the folder holds no video ({', '.join(sorted(VIDEO_SUFFIXES))})")
            return found
        if path.exists() or not glob.has_magic(given):
            return [path]  # the reader says what is wrong with a file that is missing
        matches = sorted(Path(name) for name in glob.glob(given, recursive=True))  # noqa: PTH207 - absolute patterns too
    except (ValueError, OSError) as error:
        raise InputError(f"{given}: {error}") from error
    if not matches:
        raise InputError(f"{given}: no file matches this pattern")
    return [video for match in matches for video in (_walk(match) if match.is_dir() else [match])]


def _walk(folder: Path) -> list[Path]:
    found = []
    for parent, folders, names in os.walk(folder):  # follows no links to folders, hence ends
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(parent, name)
            for name in names
            if Path(name).suffix.lower() in VIDEO_SUFFIXES and not name.startswith(".")
        ]
    return sorted(found)


def stem_of(video: Path) -> str:
    """Returns a folder name made from a video's name: letters, digits, spaces and ``._-`` only, never empty."""
    stem = re.sub(r"[^\w .-]", "_", video.stem).strip(" .-")
    cut = stem.encode("utf-8", "replace")[:_MAX_STEM_BYTES].decode("utf-8", "ignore").strip(" .-")
    return cut or "video"


def result_folder(out: Path, video: Path, sha256: str) -> Path:
    """Returns the folder for a video's result: ``out/stem``, with the content's hash where that is another video's."""
    stem = stem_of(video)
    names = [stem, *(f"{stem}-{sha256[:digits]}" for digits in (8, 16, 64))]
    for name in names:
        folder = out / name
        if _is_free(folder) or content_of(folder) == sha256:
            return folder
    raise InputError(f"{out / names[-1]} holds something else; move it away or choose another --out")


def _is_free(folder: Path) -> bool:
    if not folder.exists() and not folder.is_symlink():
        return True
    return folder.is_dir() and next(folder.iterdir(), None) is None


def content_of(folder: Path) -> str | None:
    """Returns the SHA-256 of the video whose report a folder holds; None where it holds no readable report."""
    try:
        data = json.loads((folder / "report.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    video = data.get("video") if isinstance(data, dict) else None
    found = video.get("sha256") if isinstance(video, dict) else None
    return found if isinstance(found, str) else None
