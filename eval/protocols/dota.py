"""DoTA, Detection of Traffic Anomaly (Yao et al., 2020): 1,402 validation clips, each with one anomaly, 10 frames/s.

The authors' own action-detection code labels frames from `anomaly_start` up to, and without, `anomaly_end`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vau.errors import InputError
from vau.eval import files
from vau.eval.protocols.base import Annotation, Annotations, Dataset, Expected, Protocol, Source
from vau.eval.protocols.readers import lagovad_source, npz_source, one


def metadata(paths: Sequence[Path], protocol: Protocol) -> Annotations:
    """Reads metadata_val.json: a clip's `anomaly_start`, `anomaly_end`, `num_frames` and `anomaly_class`."""
    path = one(paths)
    clips = files.json_value(path)
    if not isinstance(clips, dict):
        raise InputError(f"{path}: expected an object of clips, got {type(clips).__name__}")
    return Annotations(tuple(_clip(name, clip, f"{path}: {name}") for name, clip in clips.items()))


def _clip(name: str, clip: object, where: str) -> Annotation:
    if not isinstance(clip, dict):
        raise InputError(f"{where}: expected an object, got {type(clip).__name__}")
    start, end = files.whole(clip.get("anomaly_start"), where), files.whole(clip.get("anomaly_end"), where)
    frames = files.whole(clip.get("num_frames"), where, 1)
    return Annotation(name, str(clip.get("anomaly_class", "")) or None, ((start, end),), n_frames=frames)


DOTA = Dataset(
    name="dota",
    title="DoTA",
    protocols=(
        Protocol(
            "full-frame",
            "dota",
            "Yao et al.: every frame at 10 frames/s, from 0, the end of the anomaly excluded",
            Expected(1402, 1402),
            end_inclusive=False,
            note="there are no normal clips: abnormal-only and all-video figures are the same",
        ),
    ),
    sources=(
        Source(
            "metadata",
            ("metadata_val.json", "*/metadata_val.json"),
            metadata,
            "https://github.com/MoonBlvd/Detection-of-Traffic-Anomaly (dataset/metadata_val.json)",
        ),
        lagovad_source("dota_test_anno.json"),
        npz_source("*dota*gt*.npz"),
    ),
    videos_from="https://github.com/MoonBlvd/Detection-of-Traffic-Anomaly",
    terms="repository MIT; web video, rights stay with its owners",
)
