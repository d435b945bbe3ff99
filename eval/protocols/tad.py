"""TAD, Traffic Anomaly Dataset (Lv et al., TIP 2021): 100 test videos, 60 abnormal.

The annotation is a text file (``name frames s1 e1 ...``, ``-1 -1`` for none). Frame labels in circulation were made
from it with that -1 taken for an index, which marks frames near the end of normal videos: 38 of them. They are removed
and counted; 6,276 abnormal frames remain.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from vau.errors import InputError
from vau.eval import files
from vau.eval.protocols.base import NORMAL, Annotation, Annotations, Dataset, Expected, Protocol, Source
from vau.eval.protocols.readers import label_files, lagovad_source, npy_labels, npz_source, one, pairs

_NAME = re.compile(r"(?:\d+_)?([A-Za-z]+)_\d+")


def annotation_txt(paths: Sequence[Path], protocol: Protocol) -> Annotations:
    """Reads ``name frames s1 e1 s2 e2 ...``, a line a test video; -1 -1 stands for no interval."""
    return Annotations(tuple(files.each_line(one(paths), _line)))


def _line(fields: list[str], where: str) -> Annotation:
    if len(fields) < 4:
        raise InputError(f"{where}: expected name, frames and pairs of frames, got {' '.join(fields)!r:.80}")
    return Annotation(fields[0], intervals=pairs(fields[2:], where), n_frames=files.whole(fields[1], where, 1))


def category(video: str) -> str | None:
    """Returns the class in a name: 01_Accident_004 is Accident, Normal_012 is Normal."""
    match = _NAME.fullmatch(video)
    if match is None:
        return None
    return NORMAL if match[1] == NORMAL else match[1]


TAD = Dataset(
    name="tad",
    title="TAD",
    protocols=(
        Protocol(
            "full-frame",
            "tad",
            "every frame, numbers taken to count from 0, interval ends included",
            Expected(100, 60, 88_052),
            sources=("annotation", "lagovad-json"),
            note="the number of abnormal frames under this reading is not published",
        ),
        Protocol(
            "tevad",
            "tad",
            "TEVAD: frame labels a video, stray ones in normal videos removed",
            Expected(100, 60, 88_052, 6_276),
            sources=("frame-labels", "npz"),
        ),
    ),
    sources=(
        Source(
            "annotation",
            ("vals.txt", "tad_annotation.txt", "*/vals.txt"),
            annotation_txt,
            "https://github.com/ktr-hubrt/WSAL (with the frames of TAD)",
        ),
        lagovad_source("tad_test_anno.json"),
        Source("frame-labels", ("tad_labels/*.npy",), label_files(npy_labels), "TEVAD's labels, one npy a video"),
        npz_source("*tad*gt*.npz"),
    ),
    videos_from="https://github.com/ktr-hubrt/WSAL",
    terms="none stated; research",
    category=category,
    stray_defect="-1, which stands for no interval, was used as an index into the labels of normal videos",
)
