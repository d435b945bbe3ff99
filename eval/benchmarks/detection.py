"""The frame-level protocols of `vau.eval.protocols` as benchmarks, so that one batch serves them and the rest.

Every protocol is a split. The full table, by class and length and with all priors, is that of `vau eval frame`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from vau.eval.benchmarks.base import Benchmark, Counts, Item, Items, Part
from vau.eval.benchmarks.frames import frame_figures, frame_priors, take_scores
from vau.eval.protocols import DATASETS
from vau.eval.protocols.base import Dataset
from vau.eval.truth import load_truth


def _read(folder: Path, split: str, dataset: Dataset) -> Items:
    truth = load_truth(dataset, dataset.protocol(split), folder)
    items = tuple(Item(one.video, one.video, {}, one, groups=(one.category,)) for one in truth.videos)
    return Items(items, (truth.annotation_from, truth.lengths_from), truth.repairs)


def _counts(dataset: Dataset) -> dict[str, Counts]:
    return {one.name: Counts(one.expected.videos, one.expected.videos) for one in dataset.protocols}


def _parts(dataset: Dataset) -> tuple[Part, ...]:
    names = {source: tuple(form.rsplit("/", 1)[-1] for form in source.patterns) for source in dataset.sources}
    return tuple(
        Part(f"annotation, {one.name}", names[one], one.origin, needed=False, several=True) for one in dataset.sources
    )


DETECTION = tuple(
    Benchmark(
        name=f"detection/{dataset.name}",
        title=f"{dataset.title}, frame-level detection",
        prompt="",
        splits=_counts(dataset),
        parts=_parts(dataset),
        read=partial(_read, dataset=dataset),
        take=take_scores,
        figures=frame_figures,
        priors=lambda found: frame_priors(found.items),
        videos_from=dataset.videos_from,
        terms=dataset.terms,
        card=dataset.name,
    )
    for dataset in DATASETS
)
