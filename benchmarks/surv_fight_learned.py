"""Measures "train a scorer on your own anomalies" on two-second clips of surveillance cameras, fight or not.

    python -m benchmarks.surv_fight_learned FOLDER [--features DIR] [--repeats N] [--out CKPT] [--json OUT]

FOLDER holds fight/*.mp4, noFight/*.mp4 and videos.txt (Surveillance Camera Fight Dataset). The recipe of
`vau train scorer --method auto` is cross-validated: whole source videos are left out, everything (scaling, strength,
event level) is chosen inside the training folds, and a clip counts as a fight if the highest score of its track
exceeds 0.5. The folds are drawn anew `--repeats` times. The machine is also trained on all clips where `--out` is
given, for clips that are not here. Extraction is timed only where the features are not there yet.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import sklearn  # noqa: F401  # its absence ends the run at once, not after the long work
from numpy.typing import NDArray

from benchmarks.common import machine, options_of, print_table, watched, write_json
from benchmarks.surv_fight import read_clips
from vau.config import Config
from vau.scoring.features import SIGNAL_COLUMNS
from vau.scoring.learned import calibrated
from vau.training.scorer.dataset import NORMAL, Dataset, Item
from vau.training.scorer.judge import accuracy_metric, auc, auc_metric, calibrate
from vau.training.scorer.run import KERNEL_PARTS, Options, fit_machine, train_scorer, window_features
from vau.training.scorer.split import grouped_folds
from vau.training.scorer.store import FeatureStore, Seen

FOLDS = 5
NAME = "surv-fight"


@dataclass(frozen=True)
class Repeat:
    """One drawing of the folds."""

    seed: int
    auc: float
    accuracy: float


def dataset(folder: Path, limit: int | None = None) -> Dataset:
    """Returns the clips with their source videos."""
    items = [
        Item(clip.clip, folder / clip.clip, "fight" if clip.fight else NORMAL, clip.source)
        for clip in read_clips(folder)[:limit]
    ]
    return Dataset(NAME, tuple(items))


def cross_validate(
    seen: Sequence[Seen], abnormal: NDArray[np.bool_], sources: Sequence[str], seed: int, parts: Sequence[str]
) -> NDArray[np.float64]:
    """Returns the highest score (V,) of each clip by a machine that did not learn from its source."""
    windows = [window_features(video, parts) for video in seen]
    dims = [window_features(seen[0], [part]).shape[1] for part in parts]
    folds = grouped_folds(abnormal, sources, FOLDS, seed=seed)
    scores = np.empty(len(seen))
    for fold in range(FOLDS):
        learn, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        found = fit_machine([windows[row] for row in learn], abnormal[learn], [sources[row] for row in learn], dims)
        level = calibrate(found.left_out, abnormal[learn], "")
        for row in test:
            logits = found.model.logits(windows[row])
            scores[row] = calibrated(logits, level.threshold, level.scale).max()
    return scores


def main() -> None:
    """Extracts, cross-validates and prints the tables."""
    options = options_of(
        __doc__,
        ("folder", {"type": Path, "metavar": "FOLDER"}),
        ("--features", {"type": Path, "metavar": "DIR", "help": "keep features here between runs"}),
        ("--repeats", {"type": int, "default": 10, "help": "drawings of the folds"}),
        ("--out", {"type": Path, "metavar": "CKPT", "help": "train on all clips and write the checkpoint here"}),
        ("--limit", {"type": int, "help": "only the first so many clips"}),
    )
    about = machine()
    clips = dataset(options.folder, options.limit)
    store = FeatureStore(options.features or Path("reports") / "surv-fight-features", Config())
    started = time.perf_counter()
    seen = [video for item in watched(clips.items, "Looking at clips") for video in store.load([item])]
    extracted_s = time.perf_counter() - started
    clips = replace(clips, items=tuple(video.item for video in seen))
    abnormal = np.array([item.label != NORMAL for item in clips.items])
    sources = [item.source for item in clips.items]

    started = time.perf_counter()
    total = np.zeros(len(seen))
    repeats = []
    for seed in watched(range(options.repeats), "Cross-validating"):
        scores = cross_validate(seen, abnormal, sources, seed, KERNEL_PARTS)
        total += scores
        repeats.append(Repeat(seed, auc(scores, abnormal), float(((scores > 0.5) == abnormal).mean())))
    validated_s = time.perf_counter() - started
    mean = total / options.repeats

    print(
        f"{len(seen)} clips of {len(set(sources))} source videos, {FOLDS} folds of whole sources, drawn anew", end=" "
    )
    print(f"{options.repeats} times. Intervals: 95 % bootstrap over source videos, of the clips' mean score.\n")
    areas, rights = (np.array([getattr(one, name) for one in repeats]) for name in ("auc", "accuracy"))
    bare = np.array([video.parts["signals"][:, SIGNAL_COLUMNS.index("strongest")].max() for video in seen])
    rows = [
        ("AUC", _spread(areas), auc_metric(mean, abnormal, sources, "")),
        ("accuracy", _spread(rights), accuracy_metric(mean > 0.5, abnormal, sources, "")),
        ("AUC, training-free score alone", None, auc_metric(bare, abnormal, sources, "")),
    ]
    print_table(("figure", "mean and range over drawings", "of the mean score, with interval"), rows)
    print(f"Features {extracted_s:.0f} s, {options.repeats} cross-validations {validated_s:.0f} s.")
    if options.out is not None:
        started = time.perf_counter()
        card = train_scorer(clips, store, Options(), options.out)
        print(f"Trained on all clips in {time.perf_counter() - started:.0f} s: {options.out}.")
        print("; ".join(f"{metric.name} {metric} ({metric.data})" for metric in card.metrics) + ".")
    print(f"Left out: {'; '.join(store.skipped) or 'none'}.")
    figures = {"machine": about, "repeats": repeats, "extracted_s": extracted_s, "validated_s": validated_s}
    clip_scores = {item.video: score for item, score in zip(clips.items, mean.tolist(), strict=True)}
    write_json(options.json, {**figures, "clips": clip_scores})


def _spread(values: NDArray[np.float64]) -> str:
    return f"{values.mean():.3f} ({values.min():.3f} to {values.max():.3f})"


if __name__ == "__main__":
    main()
