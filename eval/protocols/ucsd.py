"""UCSD Ped1 and Ped2 (Mahadevan et al., CVPR 2010): frame intervals, numbers count from 1, ends included.

They come in two forms with the same content: the authors' MATLAB script (``TestVideoFile{end+1}.gt_frame = [61:180];``)
and Liu et al.'s ped1.mat and ped2.mat. Neither states the number of frames: the frame folders do, or a lengths file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from vau.errors import InputError
from vau.eval import files
from vau.eval.protocols.base import Annotation, Annotations, Dataset, Expected, Protocol, Source, numbered
from vau.eval.protocols.readers import frame_csv, interval_cells, npz_source, one

_LIU = "https://github.com/StevenLiuWen/ano_pred_cvpr2018 (ped1.mat, ped2.mat)"
_UCSD = "http://www.svcl.ucsd.edu/projects/anomaly/dataset.htm"
_GT_FRAME = re.compile(r"TestVideoFile\{[^}]*\}\.gt_frame\s*=\s*\[([^\]]*)\]")
_RANGE = re.compile(r"\s*(\d+)\s*:\s*(\d+)\s*")

Reader = Callable[[Sequence[Path], Protocol], Annotations]


def _script(videos: int) -> Reader:
    def read(paths: Sequence[Path], protocol: Protocol) -> Annotations:
        path = one(paths)
        found = _GT_FRAME.findall(files.text(path))
        if len(found) != videos:
            raise InputError(f"{path}: {len(found)} lines with gt_frame, expected {videos}")
        return Annotations(tuple(_video(number, ranges, path) for number, ranges in enumerate(found, 1)))

    return read


def _video(number: int, ranges: str, path: Path) -> Annotation:
    matches = [_RANGE.fullmatch(part) for part in ranges.split(",")]
    bounds = [(int(match[1]), int(match[2])) for match in matches if match]
    if len(bounds) != len(matches):
        raise InputError(f"{path}, video {number}: expected ranges such as 61:180, got {ranges!r:.80}")
    return Annotation(str(number), intervals=tuple(bounds))


def _cells(videos: int) -> Reader:
    return lambda paths, protocol: interval_cells(one(paths), protocol, videos)


def _dataset(number: int, expected: Expected) -> Dataset:
    name, script = f"ped{number}", f"UCSDped{number}.m"
    return Dataset(
        name=name,
        title=f"UCSD Ped{number}",
        protocols=(
            Protocol(
                "frames",
                name,
                "Mahadevan et al. 2010, Liu et al. 2018: intervals that count from 1, ends included",
                expected,
                index_base=1,
            ),
        ),
        sources=(
            Source(
                "ucsd-script",
                (script, f"Test/{script}", f"UCSDped{number}/Test/{script}", f"*/UCSDped{number}/Test/{script}"),
                _script(expected.videos),
                _UCSD,
            ),
            Source("liu-intervals", (f"{name}.mat", f"*/{name}.mat"), _cells(expected.videos), _LIU),
            Source(
                "frame-csv", ("test.csv", "*/test.csv"), frame_csv, "https://github.com/Yuchen413/AnomalyRuler (MIT)"
            ),
            npz_source(f"*{name}*gt*.npz"),
        ),
        videos_from=_UCSD,
        terms="research, to be cited",
        rename=numbered("Test", 3),
    )


PED1 = _dataset(1, Expected(36, None, 7_200))
PED2 = _dataset(2, Expected(12, 12, 2_010, 1_648))
