"""XD-Violence (Wu et al., ECCV 2020): 800 test videos, 500 abnormal, up to three classes each, told by the name.

Fourteen names of the annotation carry ``.mp4``. An exact look-up drops those videos without a word: 529,285 abnormal
frames instead of 537,805 on the grid of XDVioDet.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vau.errors import InputError
from vau.eval import files
from vau.eval.names import canonical
from vau.eval.protocols.base import NORMAL, Annotation, Annotations, Dataset, Expected, Grid, Protocol, Repair, Source
from vau.eval.protocols.readers import lagovad_source, npz_source, one, pairs

CODES = {
    "A": NORMAL,
    "B1": "Fighting",
    "B2": "Shooting",
    "B4": "Riot",
    "B5": "Abuse",
    "B6": "Car accident",
    "G": "Explosion",
}


def annotations_txt(paths: Sequence[Path], protocol: Protocol) -> Annotations:
    """Reads ``name s1 e1 s2 e2 ...``, a line an abnormal video; normal videos are not listed."""
    videos: list[Annotation] = files.each_line(one(paths), _line)
    suffixed = sum(canonical(video.video) != video.video for video in videos)
    repair = Repair("xd-suffix", suffixed, "names with a .mp4 that the rest do not have; taken off")
    return Annotations(tuple(videos), (repair,) if 0 < suffixed < len(videos) else ())


def _line(fields: list[str], where: str) -> Annotation:
    found = pairs(fields[1:], where)
    if not found:
        raise InputError(f"{where}: expected a name and pairs of frames, got {' '.join(fields)!r:.80}")
    return Annotation(fields[0], intervals=found)


def category(video: str) -> str | None:
    """Returns the classes that a name ends with, joined by ``+``: ``..._label_B2-G-0`` is Shooting+Explosion."""
    _, mark, codes = video.rpartition("_label_")
    if not mark:
        return None
    classes = dict.fromkeys(CODES[code] for code in codes.split("-") if code in CODES)
    return "+".join(classes) or None


_SNIPPET_MORE = tuple((f"v={code}__#1_label_A", 1) for code in ("KERh4R2BbS0", "vHnAmx0UYbM", "wQrV75N2BrI"))

XD_VIOLENCE = Dataset(
    name="xd-violence",
    title="XD-Violence",
    protocols=(
        Protocol(
            "full-frame",
            "xd-violence",
            "LAVAD: every frame, interval ends included",
            Expected(800, 500, 2_335_801, 539_562),
        ),
        Protocol(
            "xdviodet",
            "xd-violence",
            "XDVioDet, BN-WVAD: snippets of 16 frames after optical flow took one frame off, interval ends excluded",
            Expected(800, 500, 2_330_384, 537_805),
            Grid(16, "drop-one-more"),
            end_inclusive=False,
            arrays=("lens", "gt"),
        ),
        Protocol(
            "vadclip",
            "xd-violence",
            "VadCLIP: snippets of 16 frames, an incomplete last one left out, interval ends excluded",
            Expected(800, 500, 2_331_296, 537_882),
            Grid(16, "drop", _SNIPPET_MORE),
            end_inclusive=False,
            arrays=("lens_vadclip", "gt_vadclip"),
            note="three normal videos have a snippet more",
        ),
    ),
    sources=(
        Source(
            "annotations.txt",
            ("annotations.txt", "*/annotations.txt"),
            annotations_txt,
            "https://roc-ng.github.io/XD-Violence/ (annotations.txt)",
            lists_all=False,
        ),
        lagovad_source("xd_test_anno.json"),
        npz_source("*xd*gt*.npz"),
    ),
    videos_from="https://roc-ng.github.io/XD-Violence/ (217 hours)",
    terms="non-commercial research; the owners of films and web video keep their rights",
    category=category,
)
