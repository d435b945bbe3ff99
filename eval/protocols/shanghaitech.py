"""ShanghaiTech Campus: the one-class split (Liu et al., CVPR 2018) and the weak split (Zhong et al., CVPR 2019).

Both use the official frame masks of the 107 test videos. The weak split tests 199 videos, of which 44 are abnormal;
the lengths file names them, since videos without a mask are normal ones that were training videos before.
"""

from __future__ import annotations

from vau.eval.protocols.base import Dataset, Expected, Grid, Protocol, Source
from vau.eval.protocols.readers import frame_csv, label_files, npy_labels, npz_source

_MASKS = ("test_frame_mask/*.npy", "testing/test_frame_mask/*.npy", "*/testing/test_frame_mask/*.npy")
_ORIGIN = "https://svip-lab.github.io/dataset/campus_dataset.html (testing/test_frame_mask)"


def _weak(name: str, source: str, frames: int | None, grid: Grid, note: str) -> Protocol:
    expected = Expected(199, 44, frames, 8_028 if frames else None)
    sources = ("weak-masks", "npz")
    return Protocol(name, "shanghaitech", source, expected, grid, order="name", sources=sources, note=note)


SHANGHAITECH = Dataset(
    name="shanghaitech",
    title="ShanghaiTech Campus",
    protocols=(
        Protocol(
            "one-class",
            "shanghaitech",
            "Liu et al. 2018: 330 normal training videos, 107 test videos, official masks",
            Expected(107, None, 40_791, 17_326),
            order="name",
            sources=("masks", "frame-csv", "npz"),
        ),
        _weak(
            "weak", "Zhong et al. 2019 split, every frame of the masks (ours)", None, Grid(), "no padding to snippets"
        ),
        _weak(
            "weak-rtfm",
            "Zhong et al. 2019 split on RTFM's grid: snippets of 16 frames, short masks filled with their last label",
            142_912,
            Grid(16, "as-listed"),
            "the lengths file gives 16 x the snippets of each video's features",
        ),
        _weak(
            "weak-tevad",
            "Zhong et al. 2019 split on TEVAD's grid: as RTFM's, with features of other lengths",
            143_888,
            Grid(16, "as-listed"),
            "the lengths file gives 16 x the snippets of each video's features",
        ),
    ),
    sources=(
        Source("masks", _MASKS, label_files(npy_labels), _ORIGIN),
        Source("weak-masks", _MASKS, label_files(npy_labels), _ORIGIN, lists_all=False),
        Source("frame-csv", ("test.csv", "*/test.csv"), frame_csv, "https://github.com/Yuchen413/AnomalyRuler (MIT)"),
        npz_source("*sh*gt*.npz"),
    ),
    videos_from="https://svip-lab.github.io/dataset/campus_dataset.html",
    terms="academic research",
)
