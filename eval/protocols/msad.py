"""MSAD (Zhu et al., NeurIPS 2024), protocol ii: 240 test videos, 120 abnormal.

The authors' CSV lists the abnormal videos of training and test alike; the lengths file says which are tested, and
names the normal ones. Its numbers look as if they counted from 1 (they run from 1 to the number of frames), yet
VADTree, whose totals are used here, takes them to count from 0 and cuts off what lies beyond the video.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vau.eval import files
from vau.eval.protocols.base import NORMAL, Annotation, Annotations, Dataset, Expected, Protocol, Source
from vau.eval.protocols.readers import lagovad_source, npz_source, one

_START, _END = "starting frame of anomaly", "ending frame of anomaly"


def anomaly_csv(paths: Sequence[Path], protocol: Protocol) -> Annotations:
    """Reads anomaly_annotation.csv: name, scenario, total frames, first and last abnormal frame."""
    path = one(paths)
    videos = []
    for number, row in enumerate(files.csv_rows(path, "name", "total frames", _START, _END), 2):
        where = f"{path}, line {number}"
        interval = (files.whole(row[_START], where), files.whole(row[_END], where))
        total = files.whole(row["total frames"], where, 1)
        videos.append(Annotation(row["name"], intervals=(interval,), n_frames=total))
    return Annotations(tuple(videos))


def category(video: str) -> str | None:
    """Returns the class before the number: Traffic_accident_12 is Traffic_accident, MSAD_normal_... is Normal."""
    head, _, number = video.rpartition("_")
    if not head or not number.isdigit():
        return None
    return NORMAL if head.lower().startswith("msad_normal") else head


MSAD = Dataset(
    name="msad",
    title="MSAD",
    protocols=(
        Protocol(
            "full-frame",
            "msad",
            "VADTree: every frame, numbers taken to count from 0, interval ends included",
            Expected(240, 120, 146_408, 33_671),
        ),
    ),
    sources=(
        Source(
            "anomaly-csv",
            ("anomaly_annotation.csv", "*/anomaly_annotation.csv"),
            anomaly_csv,
            "https://msad-dataset.github.io (anomaly_annotation.csv, by application)",
            lists_all=False,
        ),
        lagovad_source("msad_test_anno.json"),
        npz_source("*msad*gt*.npz"),
    ),
    videos_from="https://msad-dataset.github.io (by application)",
    terms="academic research only, no redistribution",
    category=category,
)
