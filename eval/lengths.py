"""How many frames each video has: from a lengths file, an npz, folders of frames, or the videos themselves.

Intervals alone make no frame labels. Counts differ between decoders by a frame or two, so where they came from is
always said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vau.errors import InputError
from vau.eval import files
from vau.eval.names import canonical
from vau.eval.protocols.base import check_unique

FILES = ("lengths.csv", "lengths.json", "lengths.npz")
_IMAGES = frozenset((".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp"))
_VIDEOS = frozenset((".mp4", ".avi", ".mkv", ".mov", ".webm"))
_DEPTH = 4  # folders that a data set's videos or frames lie under
_MAX_FRAMES = 100_000_000


@dataclass(frozen=True)
class Length:
    """Frames of one video, and its duration in seconds where it is known."""

    frames: int
    duration_s: float | None = None


@dataclass(frozen=True)
class Lengths:
    """Lengths by the data set's own name of the video, in the order of their source, and what that source is."""

    videos: Mapping[str, Length] = field(default_factory=dict)
    origin: str = "none"


def read_lengths(path: Path, rename: Callable[[str], str]) -> Lengths:
    """Reads a lengths file.

    CSV: a header with `video`, `frames` and perhaps `duration_s`. JSON: an object of video to frames, or of video to an
    object with `frames` and perhaps `duration_s`. npz: `names` with `n_frames` (or `lengths`) and perhaps `duration_s`.

    Raises:
        InputError: it is of another form, a video occurs twice, or a length is not a whole number above 0.
    """
    suffix = path.suffix.lower()
    if suffix == ".csv":
        rows: list[tuple[Any, Any, Any]] = [
            (row["video"], row["frames"], row.get("duration_s") or None)
            for row in files.csv_rows(path, "video", "frames")
        ]
    elif suffix == ".json":
        rows = _json_rows(path)
    elif suffix == ".npz":
        rows = _npz_rows(path)
    else:
        raise InputError(f"{path}: lengths come as .csv, .json or .npz, not {suffix or 'without a suffix'}")
    names = [rename(canonical(str(name))) for name, _, _ in rows]
    check_unique(names, path)
    lengths = {name: _length(row, f"{path}: {name}") for name, row in zip(names, rows, strict=True)}
    return Lengths(lengths, str(path))


def _json_rows(path: Path) -> list[tuple[Any, Any, Any]]:
    entries = files.json_value(path)
    if not isinstance(entries, dict):
        raise InputError(f"{path}: expected an object of video to frames, got {type(entries).__name__}")
    return [
        (name, entry.get("frames"), entry.get("duration_s")) if isinstance(entry, dict) else (name, entry, None)
        for name, entry in entries.items()
    ]


def _npz_rows(path: Path) -> list[tuple[Any, Any, Any]]:
    arrays = files.npz(path)
    frames = arrays.get("n_frames", arrays.get("lengths"))
    if "names" not in arrays or frames is None:
        raise InputError(f"{path}: needs names with n_frames or lengths; it has {', '.join(arrays)}")
    names = arrays["names"].reshape(-1)
    durations = arrays["duration_s"].reshape(-1) if "duration_s" in arrays else [None] * len(names)
    if not len(names) == frames.size == len(durations):
        raise InputError(f"{path}: {len(names)} names, {frames.size} lengths, {len(durations)} durations")
    return list(zip(names, frames.reshape(-1), durations, strict=True))


def _length(row: tuple[Any, Any, Any], where: str) -> Length:
    frames = files.whole(row[1], where, 1)
    if frames > _MAX_FRAMES:
        raise InputError(f"{where}: {frames} frames is more than a video has; the limit is {_MAX_FRAMES}")
    if row[2] is None:
        return Length(frames)
    try:
        duration_s = float(row[2])
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: duration_s {row[2]!r} is not a number") from error
    if not 0 < duration_s < _MAX_FRAMES:
        raise InputError(f"{where}: duration_s {duration_s} must be above 0")
    return Length(frames, duration_s)


def find_lengths_file(folder: Path, others: Iterable[str]) -> Path | None:
    """Returns the lengths file of a folder: one of `FILES`, else the npz with frame counts that `others` match.

    Raises:
        InputError: one of the patterns matches several such npz.
    """
    for name in FILES:
        if (folder / name).is_file():
            return folder / name
    for pattern in others:
        paths = [
            path
            for path in sorted(folder.glob(pattern))
            if path.suffix == ".npz" and {"names", "n_frames"} <= files.npz(path).keys()
        ]
        if len(paths) > 1:
            shown = ", ".join(map(str, paths[:3]))
            raise InputError(f"{len(paths)} files state lengths: {shown}; name the one that is meant with --lengths")
        if paths:
            return paths[0]
    return None


def from_frames(folder: Path, wanted: set[str], rename: Callable[[str], str]) -> Lengths:
    """Counts the images in folders that are named as a wanted video; folders of masks (``_gt``) are not frames."""
    found: dict[str, Length] = {}
    for parent in _folders(folder):
        name = rename(canonical(parent.name))
        if name in wanted and not parent.name.endswith("_gt"):
            count = sum(path.suffix.lower() in _IMAGES for path in parent.iterdir())
            if count and name in found and found[name].frames != count:
                raise InputError(f"{folder}: two folders of frames are called {name}, with other numbers of frames")
            if count:
                found[name] = Length(count)
    return Lengths(found, f"frames counted under {folder}")


def from_videos(folder: Path, wanted: set[str], rename: Callable[[str], str]) -> Lengths:
    """Reads the headers of local videos; a video whose header states no number of frames is left out."""
    paths: dict[str, Path] = {}
    for parent in _folders(folder):
        for path in sorted(parent.iterdir()):
            name = rename(canonical(path.name))
            if path.suffix.lower() in _VIDEOS and name in wanted:
                paths.setdefault(name, path)
    if not paths:
        return Lengths()
    from vau.config import VideoConfig
    from vau.video.probe import probe

    infos = {name: probe(path, VideoConfig()) for name, path in paths.items()}
    found = {name: Length(info.n_frames, info.duration_s or None) for name, info in infos.items() if info.n_frames}
    return Lengths(found, f"headers of {len(found)} videos under {folder}")


def _folders(folder: Path) -> list[Path]:
    """Returns the folder and those under it down to `_DEPTH`, links not followed, in order."""
    level, found = [folder], [folder]
    for _ in range(_DEPTH):
        level = sorted(
            child for parent in level for child in parent.iterdir() if child.is_dir() and not child.is_symlink()
        )
        found += level
    return found
