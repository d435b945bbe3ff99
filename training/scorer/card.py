"""Fills the card of a trained scorer from the run that made it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from vau.scoring.card import Calibration, Card, DataInfo, Metric, SplitInfo
from vau.scoring.features import VERSION, width
from vau.training.scorer.dataset import Dataset
from vau.training.scorer.store import FeatureStore, Seen

_PACKAGES = ("vau", "numpy", "scipy", "torch", "safetensors")
_LIMITS = (
    "A score says that the labelled videos rank a moment as abnormal. It does not say what happened, and the name of a "
    "class is no finding about a new video.",
    "The level of an event was set on videos of the same data; scenes of another kind may need another sensitivity.",
)


def data_info(dataset: Dataset, seen: Sequence[Seen], skipped: Sequence[str]) -> DataInfo:
    """Returns what a scorer learned from; the digest covers contents, labels and sources of all videos in use."""
    told = sorted(f"{item.sha256} {item.item.label} {item.item.source}" for item in seen)
    return DataInfo(
        name=dataset.name[:200],
        digest=hashlib.sha256("\n".join(told).encode()).hexdigest(),
        videos=len(seen),
        abnormal=sum(item.item.label != dataset.classes[0] for item in seen),
        sources=len({item.item.source for item in seen}),
        duration_s=sum(item.duration_s for item in seen),
        skipped=tuple(line[:300] for line in skipped[:200]),
    )


def make_card(
    kind: str,
    dataset: Dataset,
    store: FeatureStore,
    *,
    seen: Sequence[Seen],
    parts: Sequence[str],
    window_s: float,
    arguments: dict[str, Any],
    split: SplitInfo,
    metrics: Sequence[Metric],
    calibration: Calibration,
    settings: dict[str, Any],
    seed: int,
) -> Card:
    """Returns the card of a run."""
    embedder = store.models.embedder
    return Card(
        kind=kind,
        arguments=arguments,
        parts=tuple(parts),
        dims=tuple(width(part, embedder.dim, window_s) for part in parts),
        window_s=window_s,
        features_version=VERSION,
        embedder=embedder.name if "embedding" in parts else "",
        models=store.models.names,
        perception=store.settings,
        classes=dataset.classes,
        data=data_info(dataset, seen, store.skipped),
        split=split,
        metrics=tuple(metrics),
        calibration=calibration,
        settings=settings,
        seed=seed,
        versions=_versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        limits=(*_LIMITS, _of_length(seen)),
    )


def _of_length(seen: Sequence[Seen]) -> str:
    middle_s = float(np.median([item.duration_s for item in seen]))
    return (
        f"Half of the videos are at most {middle_s:.1f} s long. A long video holds many moments, and in scenes unlike "
        "those of the training some of them pass the level by chance: add normal footage of your own cameras, as long "
        "as what will be analysed, and train again."
    )


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
