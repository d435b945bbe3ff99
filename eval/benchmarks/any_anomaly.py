"""AnyAnomaly (Ahn et al., WACV 2026): anomalies that a text defines, as frame labels on Avenue and ShanghaiTech.

A query is a word such as "bicycle"; its label file marks the frames of the test videos in which it is seen, and a
system scores every frame for that query. The published figure is the mean over queries of the area over all frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vau.errors import InputError, MissingExtraError
from vau.eval import files
from vau.eval.benchmarks.base import Benchmark, Counts, Item, Items, Part, Predictions
from vau.eval.benchmarks.frames import FrameArea, frame_figures, frame_priors, take_scores
from vau.eval.metrics.bootstrap import Estimate
from vau.eval.metrics.sums import Clusters, Figure, Mask
from vau.eval.protocols.base import ABNORMAL, NORMAL
from vau.eval.truth import VideoTruth

_ORIGIN = "https://github.com/SkiddieAhn/Paper-AnyAnomaly (ground_truth)"
_MAX_FRAMES = 1_000_000


@dataclass(frozen=True, eq=False)
class QueryMean:
    """The mean of the areas of queries that have both kinds of frame; it has no interval, its queries share videos."""

    area: FrameArea
    queries: Sequence[str]  # (N,)
    name: str = "AUC, mean over queries"
    scale: float = 100.0

    def value(self, chosen: Mask | None = None) -> float | None:
        """Returns the mean over the chosen items (N,), None where no query has both kinds of frame."""
        kept = np.ones(len(self.queries), bool) if chosen is None else chosen
        names = np.array(self.queries)
        areas = [self.area.value(kept & (names == name)) for name in dict.fromkeys(self.queries)]
        found = [area for area in areas if area is not None]
        return float(np.mean(found)) if found else None

    def estimate(self, clusters: Clusters) -> Estimate:
        """Returns the mean over all items."""
        return Estimate(self.value())


def read_labels(path: Path) -> dict[str, np.ndarray[Any, np.dtype[np.bool_]]]:
    """Returns frame labels (N,) of each video of an HDF5 file.

    Raises:
        MissingExtraError: h5py is not installed.
        InputError: the file is no HDF5 of rows of 0 and 1.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError("reading HDF5 labels", "eval") from error
    try:
        with h5py.File(path, "r") as file:
            sets = {name: file[name] for name in file if isinstance(file[name], h5py.Dataset)}
            if any(one.ndim != 1 or not 0 < one.size <= _MAX_FRAMES for one in sets.values()):
                raise InputError(f"{path}: labels must be one row of at most {_MAX_FRAMES:,} frames a video")
            return {name: files.vector(one[()], f"{path}, {name}") for name, one in sets.items()}
    except OSError as error:
        raise InputError(f"{path}: not HDF5: {str(error)[:200]}") from error


def _read(folder: Path, split: str, prefix: str) -> Items:
    pattern = f"{'m_' if split == 'multiple' else ''}{prefix}_*_label.h5"
    paths = sorted(path for path in folder.rglob(pattern) if path.is_file())
    if not paths:
        raise InputError(f"{folder}: no {pattern}; it comes from {_ORIGIN}")
    head = pattern.split("*")[0]
    items = []
    for path in paths:
        query = path.name.removeprefix(head).removesuffix("_label.h5")
        for video, labels in read_labels(path).items():
            truth = VideoTruth(video, ABNORMAL if labels.any() else NORMAL, labels, len(labels))
            inputs = {"query": query.replace("_", " ").replace("-", " and ")}
            items.append(Item(f"{query}/{video}", video, inputs, truth, groups=(query,)))
    return Items(tuple(items), tuple(str(path) for path in paths))


def _figures(items: Sequence[Item], answers: Predictions) -> Sequence[Figure]:
    pooled, precision = frame_figures(items, answers)
    return QueryMean(pooled, [item.groups[0] for item in items]), pooled, precision


ANY_ANOMALY = tuple(
    Benchmark(
        name=f"any-anomaly/{name}",
        title=f"AnyAnomaly, {title}",
        prompt="",
        splits={"single": single, "multiple": multiple},
        parts=(Part("frame labels", (f"{prefix}_bicycle_label.h5",), _ORIGIN),),
        read=partial(_read, prefix=prefix),
        take=take_scores,
        figures=_figures,
        priors=lambda found: frame_priors(found.items),
        videos_from=f"{title}, from its own source",
        terms="labels: MIT; videos: their own terms",
        card="any-anomaly",
        note="Pooled figures mix the frames of all queries; the published figure is the mean over queries. The "
        "video-label oracle knows which videos show what is asked for.",
    )
    for name, title, prefix, single, multiple in (
        ("c-avenue", "Avenue", "avenue", Counts(90, 18), Counts(3, 3)),
        ("c-shanghaitech", "ShanghaiTech", "shtech", Counts(1_056, 96), Counts(11, 11)),
    )
)
