"""LAD2000 (Wan et al., IET Image Processing 2021): 560 test videos, 280 abnormal, 14 classes.

Frame labels come in one MATLAB file a video. The zero-shot files of LaGoVAD name the 560 test videos.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vau.errors import InputError
from vau.eval import files
from vau.eval.protocols.base import NORMAL, Dataset, Expected, Protocol, Source
from vau.eval.protocols.readers import label_files, lagovad_source, npz_source

_NAME = re.compile(r"v_([A-Za-z]+)_([an])_s\d+_c\d+")
_ORIGIN = "https://github.com/wanboyang/anomaly_detection_LAD2000"


def mat_labels(path: Path) -> NDArray[np.bool_]:
    """Returns the frame labels (N,) of ``gt_<video>.mat``, variable ``gt``."""
    variables = files.matlab(path)
    if "gt" not in variables:
        raise InputError(f"{path}: no variable gt in it")
    return files.vector(variables["gt"], path)


def category(video: str) -> str | None:
    """Returns the class of an abnormal video; the letter after it says abnormal (a) or normal (n)."""
    match = _NAME.fullmatch(video)
    if match is None:
        return None
    return NORMAL if match[2] == "n" else match[1]


LAD = Dataset(
    name="lad",
    title="LAD2000",
    protocols=(
        Protocol("full-frame", "lad", "Wan et al.: every frame, official labels", Expected(560, 280), order="name"),
    ),
    sources=(
        Source(
            "frame-labels",
            ("GT_mat/all/gt_*.mat", "GT/GT_mat/all/gt_*.mat", "gt_*.mat"),
            label_files(mat_labels, lambda path: "v_" + path.name.removeprefix("gt_").removesuffix(".mat")),
            _ORIGIN,
            lists_all=False,
        ),
        lagovad_source("lad_test_anno.json"),
        npz_source("*lad*gt*.npz"),
    ),
    videos_from=_ORIGIN,
    terms="repository MIT; research use of the videos",
    category=category,
)
