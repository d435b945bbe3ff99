"""Score files of any system, read as named videos with scores on one stated grid.

Two forms. JSONL: an object a video, with `video`, `scores`, and one of `times_s` (seconds), `frames` (from 0) or
`stride` (frames a score stands for); with none of them there is a score a frame. npz: the same fields as flat arrays
with `names` and `lengths`, or one array a video under the video's name. Times need the video's rate: `fps`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vau.errors import InputError
from vau.eval import files
from vau.eval.names import MAX_NAME

GridKind = Literal["per-frame", "stride", "frames", "times_s"]
_MAX_LINE = 32 << 20  # bytes; an hour of frames with their times needs five million
_FIELDS = ("times_s", "frames", "stride")


@dataclass(frozen=True, eq=False)
class VideoScores:
    """Scores of one video as a file gives them.

    Raises:
        InputError: there are no scores, one is not a finite number, or positions and scores do not go together.
    """

    video: str
    scores: NDArray[np.float64]  # (N,) any real scale, higher is more abnormal
    kind: GridKind
    positions: NDArray[np.float64] | None = None  # (N,) strictly rising: frames from 0, or seconds
    stride: int = 1  # frames that a score stands for
    fps: float | None = None

    def __post_init__(self) -> None:
        bad = int(np.count_nonzero(~np.isfinite(self.scores)))
        if bad or not len(self.scores):
            what = f"{bad} of {len(self.scores)} scores are NaN or infinite" if bad else "no scores"
            raise InputError(f"{self.video}: {what}; every frame needs a number")
        if self.positions is None:
            return
        if self.positions.shape != self.scores.shape:
            raise InputError(f"{self.video}: {len(self.scores)} scores for {len(self.positions)} {self.kind}")
        rising = np.isfinite(self.positions).all() and bool((np.diff(self.positions) > 0).all())
        if not rising or self.positions[0] < 0:
            raise InputError(f"{self.video}: {self.kind} must rise strictly from 0 or later and hold no NaN")


def read_scores(path: Path) -> tuple[VideoScores, ...]:
    """Reads a score file, ``.jsonl`` or ``.npz``.

    Raises:
        InputError: another format, a malformed or empty file, NaN, or videos on different kinds of grid.
    """
    files.regular(path)
    suffix = path.suffix.lower()
    if suffix not in (".jsonl", ".npz"):
        raise InputError(f"{path}: scores come as .jsonl or .npz, not {suffix or 'without a suffix'}")
    videos = tuple(_jsonl(path) if suffix == ".jsonl" else _npz(path))
    if not videos:
        raise InputError(f"{path}: no video in it")
    grids = Counter(f"stride {video.stride}" if video.kind == "stride" else video.kind for video in videos)
    if len(grids) > 1:
        told = ", ".join(f"{count} {grid}" for grid, count in grids.most_common())
        raise InputError(f"{path}: videos on different grids ({told}); one file has one grid")
    return videos


def _jsonl(path: Path) -> Iterator[VideoScores]:
    with path.open("rb") as file:
        number = 0
        while line := file.readline(_MAX_LINE + 1):
            number += 1
            if len(line) > _MAX_LINE:
                raise InputError(f"{path}, line {number}: longer than {_MAX_LINE >> 20} MiB")
            if line.strip():
                yield _from_json(line, f"{path}, line {number}")


def _from_json(line: bytes, where: str) -> VideoScores:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not a JSON object on one line: {str(error)[:120]}") from error
    if not isinstance(entry, dict):
        raise InputError(f"{where}: expected an object, got {type(entry).__name__}")
    return _record(entry.get("video"), entry, where)


def _record(video: Any, fields: dict[str, Any], where: str) -> VideoScores:
    if not isinstance(video, str) or not 0 < len(video) <= MAX_NAME:
        raise InputError(f"{where}: video must be a name, got {video!r:.80}")
    where = f"{where} ({video})"
    given = [name for name in _FIELDS if fields.get(name) is not None]
    if len(given) > 1:
        raise InputError(f"{where}: {' and '.join(given)}: give one of them, so that it is clear where a score lies")
    scores = _numbers(fields.get("scores"), f"{where}: scores")
    fps = _fps(fields.get("fps"), where)
    if not given:
        return VideoScores(video, scores, "per-frame", fps=fps)
    if given == ["stride"]:
        return VideoScores(
            video, scores, "stride", stride=files.whole(fields["stride"], f"{where}: stride", 1), fps=fps
        )
    positions = _numbers(fields[given[0]], f"{where}: {given[0]}")
    if given == ["frames"]:
        if (positions != np.floor(positions)).any():
            raise InputError(f"{where}: frames must be whole numbers")
        return VideoScores(video, scores, "frames", positions, fps=fps)
    return VideoScores(video, scores, "times_s", positions, fps=fps)


def _fps(value: Any, where: str) -> float | None:
    if value is None:
        return None
    rate = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else float("nan")
    if not 0 < rate <= 1000:
        raise InputError(f"{where}: fps must be above 0 and at most 1000, got {value!r:.40}")
    return rate


def _numbers(values: Any, where: str) -> NDArray[np.float64]:
    if isinstance(values, list):
        odd = next((value for value in values if isinstance(value, bool) or not isinstance(value, int | float)), None)
        if odd is not None or None in values:
            raise InputError(f"{where}: must be a list of numbers, got {odd!r:.40} in it")
        try:
            return np.array(values, np.float64)
        except OverflowError as error:
            raise InputError(f"{where}: a number in it is too large") from error
    if isinstance(values, np.ndarray) and values.dtype.kind in "iuf" and values.size == max(values.shape, default=0):
        return values.reshape(-1).astype(np.float64)
    shape = f"{values.dtype} {values.shape}" if isinstance(values, np.ndarray) else f"{values!r:.40}"
    raise InputError(f"{where}: must be a list of numbers, got {shape}")


def _npz(path: Path) -> Iterator[VideoScores]:
    arrays = files.npz(path)
    if "names" not in arrays:
        for name, scores in arrays.items():
            yield _record(name, {"scores": scores}, str(path))
        return
    missing = [name for name in ("lengths", "scores") if name not in arrays]
    if missing:
        raise InputError(f"{path}: names without {' and '.join(missing)}; it has {', '.join(arrays)}")
    names = [str(name) for name in arrays["names"].reshape(-1)]
    lengths = [files.whole(length, f"{path}: lengths", 1) for length in arrays["lengths"].reshape(-1)]
    if len(names) != len(lengths):
        raise InputError(f"{path}: {len(names)} names, {len(lengths)} lengths")
    flat: dict[str, NDArray[Any]] = {
        name: arrays[name].reshape(-1) for name in ("scores", "frames", "times_s") if name in arrays
    }
    for name, values in flat.items():
        if len(values) != sum(lengths):
            raise InputError(f"{path}: {len(values)} {name}, lengths add up to {sum(lengths)}")
    shared: dict[str, Any] = {
        name: _scalar(arrays[name], f"{path}: {name}") for name in ("stride", "fps") if name in arrays
    }
    start = 0
    for name, length in zip(names, lengths, strict=True):
        own: dict[str, Any] = {field: values[start : start + length] for field, values in flat.items()}
        yield _record(name, own | shared, str(path))
        start += length


def _scalar(array: NDArray[Any], where: str) -> float | int:
    if array.size != 1 or array.dtype.kind not in "iuf":
        raise InputError(f"{where}: must be one number for all videos, got {array.dtype} {array.shape}")
    value = array.reshape(-1)[0].item()
    return int(value) if float(value).is_integer() else float(value)
