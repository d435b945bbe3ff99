"""Annotation formats that several data sets share.

The JSON of LaGoVAD (Kamino666/LaGoVAD-PreVAD, zero-shot test files): a list of videos with `class_name` and spans that
are frame numbers of the original annotation divided by the number of frames. An npz of ground truth: `names`, and one
flat array of labels with one length a video. A CSV with a row a frame (`image_path`, `label`), as AnomalyRuler has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vau.errors import InputError
from vau.eval import files
from vau.eval.names import MAX_NAME
from vau.eval.protocols.base import Annotation, Annotations, Protocol, Source

LAGOVAD = "https://github.com/Kamino666/LaGoVAD-PreVAD (annotations; Apache-2.0)"


def one(paths: Sequence[Path]) -> Path:
    """Returns the only file that matches; raises InputError where there are several."""
    if len(paths) > 1:
        raise InputError(
            f"{len(paths)} files match: {', '.join(map(str, paths[:3]))}; name the one that is meant with --annotations"
        )
    return paths[0]


def lagovad_source(file: str) -> Source:
    """Returns the source for a LaGoVAD zero-shot test file of that name."""
    return Source("lagovad-json", (file, f"*/{file}"), lagovad, LAGOVAD)


def npz_source(*patterns: str) -> Source:
    """Returns the source for an npz of ground truth found by these patterns or as ``truth.npz``."""
    return Source(
        "npz",
        ("truth.npz", *patterns),
        ground_truth_npz,
        "your own, with names and the arrays that the protocol declares",
    )


def lagovad(paths: Sequence[Path], protocol: Protocol) -> Annotations:
    """Reads a LaGoVAD test file: spans as fractions of the number of frames."""
    path = one(paths)
    entries = files.json_value(path)
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{path}: expected a list of videos, got {type(entries).__name__}")
    return Annotations(tuple(_lagovad_video(entry, f"{path}, entry {index}") for index, entry in enumerate(entries)))


def _lagovad_video(entry: Any, where: str) -> Annotation:
    if not isinstance(entry, dict):
        raise InputError(f"{where}: expected an object, got {type(entry).__name__}")
    video, category, spans = entry.get("video_path"), entry.get("class_name"), entry.get("anomaly_span")
    if not isinstance(video, str) or not isinstance(category, str) or len(video) > MAX_NAME:
        raise InputError(f"{where}: video_path and class_name must be text")
    if not isinstance(spans, list):
        raise InputError(f"{where}: anomaly_span must be a list of pairs, got {spans!r:.80}")
    return Annotation(video, category, tuple(fraction_pair(span, where) for span in spans), fractions=True)


def fraction_pair(span: Any, where: str) -> tuple[float, float]:
    """Returns one [start, end] of fractions; raises InputError unless 0 <= start <= end and both are near [0, 1]."""
    match span:
        case [int() | float() as start, int() | float() as end] if 0 <= start <= end <= 1.1:
            return float(start), float(end)
    raise InputError(f"{where}: a span must be [start, end] within 0 and 1, got {span!r:.80}")


def ground_truth_npz(paths: Sequence[Path], protocol: Protocol) -> Annotations | None:
    """Reads labels on the protocol's grid from an npz; None where it holds another protocol's alone."""
    path = one(paths)
    arrays = files.npz(path)
    lengths_name, labels_name = protocol.arrays
    if not {"names", lengths_name, labels_name} <= arrays.keys():
        return None
    names = [str(name) for name in arrays["names"].reshape(-1)]
    lengths = [files.whole(length, f"{path}: {lengths_name}") for length in arrays[lengths_name].reshape(-1)]
    labels = files.vector(arrays[labels_name], f"{path}: {labels_name}")
    if len(names) != len(lengths) or sum(lengths) != len(labels):
        raise InputError(
            f"{path}: {len(names)} names, {len(lengths)} lengths that add up to {sum(lengths)}, {len(labels)} labels"
        )
    frames = _frames(arrays, len(names), path)
    categories = [str(value) for value in arrays["categories"].reshape(-1)] if "categories" in arrays else None
    if categories is not None and len(categories) != len(names):
        raise InputError(f"{path}: {len(names)} names, {len(categories)} categories")
    return Annotations(
        tuple(
            Annotation(
                name,
                categories[index] if categories else None,
                labels=part,
                on_grid=True,
                n_frames=frames[index] if frames else None,
            )
            for index, (name, part) in enumerate(zip(names, np.split(labels, np.cumsum(lengths)[:-1]), strict=True))
        )
    )


def _frames(arrays: dict[str, Any], count: int, path: Path) -> list[int] | None:
    if "n_frames" not in arrays:
        return None
    frames = [files.whole(value, f"{path}: n_frames") for value in arrays["n_frames"].reshape(-1)]
    if len(frames) != count:
        raise InputError(f"{path}: {count} names, {len(frames)} frame counts")
    return frames


def frame_csv(paths: Sequence[Path], protocol: Protocol) -> Annotations:
    """Reads a CSV with a row a frame: `image_path` (``.../video/0001.jpg``) and `label` (0 or 1), in frame order."""
    path = one(paths)
    labels: dict[str, list[int]] = defaultdict(list)
    for row, values in enumerate(files.csv_rows(path, "image_path", "label"), 2):
        parts = values["image_path"].replace("\\", "/").split("/")
        if len(parts) < 2 or values["label"] not in ("0", "1"):
            raise InputError(f"{path}, line {row}: expected video/frame.jpg and a label 0 or 1, got {values!r:.120}")
        labels[parts[-2]].append(int(values["label"]))
    if not labels:
        raise InputError(f"{path}: no frame in it")
    return Annotations(
        tuple(Annotation(video, labels=np.array(marks, bool), n_frames=len(marks)) for video, marks in labels.items())
    )


def label_files(
    load: Callable[[Path], NDArray[np.bool_]], name: Callable[[Path], str] = lambda path: path.name
) -> Callable[[Sequence[Path], Protocol], Annotations]:
    """Returns a reader of one file of frame labels a video: `load` gives the labels (N,), `name` the video."""

    def read(paths: Sequence[Path], protocol: Protocol) -> Annotations:
        loaded = [(name(path), load(path)) for path in paths]
        return Annotations(tuple(Annotation(video, labels=marks, n_frames=len(marks)) for video, marks in loaded))

    return read


def npy_labels(path: Path) -> NDArray[np.bool_]:
    """Returns the frame labels (N,) of an npy file."""
    return files.vector(files.npy(path), path)


def interval_cells(path: Path, protocol: Protocol, count: int) -> Annotations:
    """Reads Liu et al.'s ``gt`` (ped1.mat, ped2.mat, avenue.mat): a cell a test video, 2 x k starts and ends, 1-based.

    The cells have no names; the videos are numbered from 1.
    """
    cells = files.matlab(path).get("gt")
    if not isinstance(cells, np.ndarray) or cells.dtype != object or cells.size != count:
        shape = getattr(cells, "shape", None)
        raise InputError(f"{path}: expected a cell array gt of {count} videos, got {type(cells).__name__} {shape}")
    videos = []
    for number, cell in enumerate(cells.reshape(-1), 1):
        where = f"{path}, video {number}"
        bounds = np.asarray(cell)
        if bounds.dtype.kind not in "iuf" or bounds.ndim != 2 or (bounds.size and bounds.shape[0] != 2):
            raise InputError(f"{where}: expected 2 x k starts and ends, got {bounds.dtype} {bounds.shape}")
        pairs = [
            (files.whole(start, where, 1), files.whole(end, where, 1))
            for start, end in bounds.reshape(2, -1).T.tolist()
        ]
        videos.append(Annotation(str(number), intervals=tuple(pairs)))
    return Annotations(tuple(videos))


def pairs(fields: list[str], where: str) -> tuple[tuple[int, int], ...]:
    """Returns ``s1 e1 s2 e2 ...`` as pairs; ``-1 -1`` stands for no interval, a single -1 is refused."""
    if len(fields) % 2:
        raise InputError(f"{where}: {len(fields)} numbers do not make pairs of start and end")
    numbers = [files.whole(field, where, -1) for field in fields]
    found = []
    for start, end in zip(numbers[::2], numbers[1::2], strict=True):
        if (start, end) == (-1, -1):
            continue
        if start < 0 or end < 0:
            raise InputError(f"{where}: interval {start} {end}: -1 stands for none and must be in both places")
        found.append((start, end))
    return tuple(found)
