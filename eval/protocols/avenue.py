"""CUHK Avenue (Lu et al., ICCV 2013): 21 test videos. Two frame-level truths are in circulation, 441 frames apart.

Liu et al. 2018 published intervals (``gt`` in avenue.mat); Reiss and Hoshen use labels a frame (a variable a video in
another avenue.mat). The authors' own pixel masks give a third: a frame is abnormal where its mask is not empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vau.errors import InputError
from vau.eval import files
from vau.eval.protocols.base import Annotation, Annotations, Dataset, Expected, Protocol, Source, numbered
from vau.eval.protocols.readers import frame_csv, interval_cells, label_files, npz_source, one

_VIDEOS = 21


def intervals(paths: Sequence[Path], protocol: Protocol) -> Annotations:
    """Reads Liu et al.'s avenue.mat."""
    return interval_cells(one(paths), protocol, _VIDEOS)


def frame_labels(paths: Sequence[Path], protocol: Protocol) -> Annotations | None:
    """Reads an avenue.mat with a variable of frame labels a video, "01" to "21"; None where it holds intervals."""
    path = one(paths)
    variables = files.matlab(path)
    if "gt" in variables:
        return None
    names = [f"{number:02d}" for number in range(1, _VIDEOS + 1)]
    missing = [name for name in names if name not in variables]
    if missing:
        raise InputError(f"{path}: neither intervals (gt) nor labels a video; missing: {', '.join(missing[:5])}")
    labels = [(name, files.vector(variables[name], f"{path}: {name}")) for name in names]
    return Annotations(tuple(Annotation(name, labels=marks, n_frames=len(marks)) for name, marks in labels))


def mask_labels(path: Path) -> NDArray[np.bool_]:
    """Returns which frames of a ``<number>_label.mat`` (cell array volLabel) have a pixel mask that is not empty."""
    cells = files.matlab(path).get("volLabel")
    if not isinstance(cells, np.ndarray) or cells.dtype != object:
        raise InputError(f"{path}: no cell array volLabel in it")
    return np.array([bool(np.any(mask)) for mask in cells.reshape(-1)], bool)


def _mask_name(path: Path) -> str:
    return path.name.removesuffix("_label.mat")


_LIU = "https://github.com/StevenLiuWen/ano_pred_cvpr2018 (avenue.mat)"
_MASKS = "testing_label_mask/*_label.mat"

AVENUE = Dataset(
    name="avenue",
    title="CUHK Avenue",
    protocols=(
        Protocol(
            "liu",
            "avenue",
            "Liu et al. 2018: intervals of avenue.mat, numbers count from 1, ends included",
            Expected(_VIDEOS, _VIDEOS, 15_324, 3_867),
            index_base=1,
            sources=("liu-intervals", "frame-csv", "npz"),
        ),
        Protocol(
            "frame-labels",
            "avenue",
            "Reiss and Hoshen 2022: labels a frame",
            Expected(_VIDEOS, None, 15_324, 3_712),
            sources=("frame-labels", "npz"),
        ),
        Protocol(
            "pixel-masks",
            "avenue",
            "Lu et al. 2013: frames whose pixel mask is not empty",
            Expected(_VIDEOS, None, 15_324),
            order="name",
            sources=("pixel-masks", "npz"),
        ),
    ),
    sources=(
        Source("liu-intervals", ("avenue.mat", "*/avenue.mat"), intervals, _LIU),
        Source(
            "frame-labels",
            ("avenue.mat", "*/avenue.mat"),
            frame_labels,
            "https://github.com/talreiss/Accurate-Interpretable-VAD (data/avenue.mat)",
        ),
        Source(
            "pixel-masks",
            (_MASKS, f"*/{_MASKS}"),
            label_files(mask_labels, _mask_name),
            "http://www.cse.cuhk.edu.hk/leojia/projects/detectabnormal/dataset.html (ground_truth_demo)",
        ),
        Source("frame-csv", ("test.csv", "*/test.csv"), frame_csv, "https://github.com/Yuchen413/AnomalyRuler (MIT)"),
        npz_source("*avenue*gt*.npz"),
    ),
    videos_from="http://www.cse.cuhk.edu.hk/leojia/projects/detectabnormal/dataset.html",
    terms="research, to be cited",
    rename=numbered("", 2),
)
