"""UBnormal (Acsintoae et al., CVPR 2022): 211 test videos of virtual scenes, 158 abnormal.

The authors mark a frame where any abnormal actor's track (``id, first, last``, from 0, both included) covers it. Labels
that are constant in every abnormal video, as AnomalyRuler's are, say which videos are abnormal and not which frames;
they are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vau.errors import InputError
from vau.eval import files
from vau.eval.protocols.base import ABNORMAL, NORMAL, Annotation, Annotations, Dataset, Expected, Protocol, Source
from vau.eval.protocols.readers import label_files, lagovad_source, npz_source

_SUFFIX = "_tracks.txt"
_ORIGIN = "https://github.com/lilygeorgescu/UBnormal"
_LABELS = "ground_truth_frame_level.txt"


def tracks(paths: Sequence[Path], protocol: Protocol) -> Annotations:
    """Reads ``<video>_tracks.txt`` of each abnormal video; normal videos have none."""
    return Annotations(tuple(_video(path) for path in paths))


def _video(path: Path) -> Annotation:
    found = []
    for number, line in enumerate(files.text(path).splitlines(), 1):
        fields = line.split(",")
        where = f"{path}, line {number}"
        if len(fields) < 3:
            if line.strip():
                raise InputError(f"{where}: expected id, first frame, last frame, got {line!r:.80}")
            continue
        found.append((files.whole(fields[1], where), files.whole(fields[2], where)))
    return Annotation(path.name.removesuffix(_SUFFIX), intervals=tuple(found))


def text_labels(path: Path) -> NDArray[np.bool_]:
    """Returns frame labels (N,) of a text file with one number a line, as NumPy's savetxt writes it."""
    try:
        return files.vector([float(line) for line in files.text(path).split()], path)
    except ValueError as error:
        raise InputError(f"{path}: not one label a line: {error}") from error


def category(video: str) -> str | None:
    """Returns Normal or Abnormal, which a name begins with."""
    return {"normal": NORMAL, "abnormal": ABNORMAL}.get(video.split("_")[0])


UBNORMAL = Dataset(
    name="ubnormal",
    title="UBnormal",
    protocols=(
        Protocol(
            "full-frame",
            "ubnormal",
            "Acsintoae et al., write_frame_level_ground_truth.py: every frame, from 0, track ends included",
            Expected(211, 158),
            order="name",
        ),
    ),
    sources=(
        Source(
            "frame-labels",
            (f"*/{_LABELS}", f"testing/*/{_LABELS}", f"*/testing/*/{_LABELS}"),
            label_files(text_labels, lambda path: path.parent.name),
            f"made with {_ORIGIN} (scripts)",
        ),
        Source(
            "tracks",
            (f"*/*_annotations/*{_SUFFIX}", f"*_annotations/*{_SUFFIX}", f"*/*/*_annotations/*{_SUFFIX}"),
            tracks,
            _ORIGIN,
            lists_all=False,
        ),
        lagovad_source("ubnormal_test_anno.json"),
        npz_source("*ubnormal*gt*.npz"),
    ),
    videos_from=_ORIGIN,
    terms="CC BY-NC-ND 4.0",
    category=category,
)
