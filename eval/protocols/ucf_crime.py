"""UCF-Crime (Sultani et al., CVPR 2018): 290 test videos, 140 abnormal, intervals in one text file.

The numbers in the file count from 1 by Sultani's own evaluation and from 0 by nearly everybody else's; the difference
moves the AUC by less than 0.1. The grid of DeepMIL and UR-DMU (1,109,680 frames) is not here: which videos lose a
snippet in it is not published.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from vau.errors import InputError
from vau.eval import files
from vau.eval.protocols.base import NORMAL, Annotation, Annotations, Dataset, Expected, Grid, Protocol, Source
from vau.eval.protocols.readers import lagovad_source, npz_source, one, pairs

_CLASS = re.compile(r"([A-Za-z]+)(?:_Videos_)?_?\d+(?:_x264)?$")


def temporal_annotation(paths: Sequence[Path], protocol: Protocol) -> Annotations:
    """Reads ``name class s1 e1 s2 e2``, a line a test video; -1 -1 stands for no interval."""
    return Annotations(tuple(files.each_line(one(paths), _line)))


def _line(fields: list[str], where: str) -> Annotation:
    if len(fields) < 4:
        raise InputError(f"{where}: expected name, class and pairs of frames, got {' '.join(fields)!r:.80}")
    return Annotation(fields[0], fields[1], pairs(fields[2:], where))


def category(video: str) -> str | None:
    """Returns the class that a name begins with: Abuse028_x264 is Abuse, Normal_Videos_003_x264 is Normal."""
    match = _CLASS.match(video)
    if match is None:
        return None
    return NORMAL if match[1].startswith(NORMAL) else match[1]


def rename(video: str) -> str:
    """Returns the name with the codec suffix that the annotation has and some score files leave out."""
    return video if video.endswith("_x264") or not _CLASS.match(video) else f"{video}_x264"


_SNIPPET_MORE = tuple((f"Normal_Videos_{number}_x264", 1) for number in (924, 935, 940))

UCF_CRIME = Dataset(
    name="ucf-crime",
    title="UCF-Crime",
    protocols=(
        Protocol(
            "full-frame",
            "ucf-crime",
            "LAVAD, VADTree: every frame, interval ends included",
            Expected(290, 140, 1_111_808, 84_331),
            arrays=("n_frames", "gt_full_incl"),
        ),
        Protocol(
            "rtfm",
            "ucf-crime",
            "RTFM, MGFN, TEVAD: I3D snippets of 16 frames, the last one filled up with normal labels",
            Expected(290, 140, 1_114_144, 84_343),
            Grid(16, "pad-zero"),
            arrays=("lens_rtfm", "gt_rtfm"),
        ),
        Protocol(
            "vadclip",
            "ucf-crime",
            "VadCLIP: snippets of 16 frames, an incomplete last one left out, interval ends excluded",
            Expected(290, 140, 1_109_872, 84_160),
            Grid(16, "drop", _SNIPPET_MORE),
            end_inclusive=False,
            arrays=("lens_vadclip", "gt_vadclip"),
            note="three normal videos have a snippet more; lengths are proven for the 150 normal videos only",
        ),
        Protocol(
            "sultani",
            "ucf-crime",
            "Sultani et al., Evaluate_Anomaly_Detector.m: round(30 x duration) frames, numbers count from 1",
            Expected(290, 140),
            Grid(tail="30-fps"),
            index_base=1,
            note="needs durations: a lengths file with duration_s, or the videos",
        ),
    ),
    sources=(
        Source(
            "temporal-annotation",
            (
                "Temporal_Anomaly_Annotation*.txt",
                "ucf_crime_temporal_annotation.txt",
                "*/Temporal_Anomaly_Annotation*.txt",
            ),
            temporal_annotation,
            "https://github.com/WaqasSultani/AnomalyDetectionCVPR2018 (Temporal_Anomaly_Annotation.txt)",
        ),
        lagovad_source("ucf_test_anno.json"),
        npz_source("*ucf*gt*.npz"),
    ),
    videos_from="https://www.crcv.ucf.edu/projects/real-world/ (128 hours)",
    terms="research; web video without an open licence",
    rename=rename,
    category=category,
)
