"""From labelled videos to a checkpoint: features, split, training, level of an event, card.

With `auto`, few videos train the kernel machine, whose choices rest on sources left out one by one, and many a network,
whose choices rest on a validation split of whole sources. Neither ever sees a test set.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vau.errors import InputError
from vau.scoring.card import Card, SplitInfo
from vau.scoring.checkpoint import write_checkpoint
from vau.scoring.features import PARTS, join
from vau.scoring.kernel import KIND
from vau.training.scorer.card import make_card
from vau.training.scorer.clip_stats import Fit, fit
from vau.training.scorer.dataset import NORMAL, Dataset
from vau.training.scorer.judge import accuracy_metric, auc, auc_metric, calibrate
from vau.training.scorer.split import merge_sources, validation_rows
from vau.training.scorer.store import FeatureStore, Progress, Seen
from vau.types import Bool, Float32, Float64

if TYPE_CHECKING:
    from vau.scoring.heads.base import Head
    from vau.training.scorer.bags import Bag
    from vau.training.scorer.recipes import Recipe
    from vau.training.scorer.trainer import Log

AUTO = "auto"
FEW = 400  # videos up to which `auto` trains the kernel machine
WINDOW_S = 2.0  # of the kernel machine
KERNEL_PARTS = ("motion", "signals")
NETWORK_PARTS = ("embedding",)
_MOST = 8000  # videos for the kernel machine, whose cost is cubic


@dataclass(frozen=True)
class Options:
    """What a user may choose."""

    method: str = AUTO
    parts: tuple[str, ...] = ()  # empty: the method's own
    validation: float = 0.2  # share of the videos
    seed: int = 0
    steps: int | None = None  # None: the method's own
    learning_rate: float | None = None
    validate_every: int = 50
    patience: int = 20


Texts = Callable[[Sequence[str]], Float32]  # class names, the normal one first -> (1 + C, E) unit rows


def train_scorer(
    dataset: Dataset,
    store: FeatureStore,
    options: Options,
    out: Path,
    *,
    texts: Texts | None = None,
    progress: Progress | None = None,
    log: Log | None = None,
) -> Card:
    """Trains a scorer and writes its checkpoint.

    Args:
        dataset: labelled videos.
        store: their features.
        options: method and the rest.
        out: folder of the checkpoint. A network's state is kept beside it, in ``OUT.training``, so that a run that was
            cut off goes on.
        texts: embeds class names, for methods that read them.
        progress: called with what is being done and the share done.
        log: called with the step and its figures.

    Returns:
        The checkpoint's card.

    Raises:
        InputError: the options or the videos do not allow a training.
        CheckpointError: `out` holds something else.
    """
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        raise InputError(f"feature parts {', '.join(unknown)}: choose from {', '.join(PARTS)}")
    seen = store.load(dataset.items, progress)
    if store.skipped and not seen:
        raise InputError(f"no video could be used; the first: {store.skipped[0]}")
    seen = _distinct(seen)
    dataset = replace(dataset, items=tuple(item.item for item in seen))
    method = options.method
    if method == AUTO:
        method = KIND if len(seen) <= FEW else "ur-dmu"
    if method == KIND:
        card, arrays = _kernel_machine(dataset, store, seen, options)
    else:
        options = replace(options, method=method)
        card, arrays = _network(dataset, store, seen, options, _state(out), texts, progress, log)
    write_checkpoint(out, card, arrays)
    if method != KIND:
        shutil.rmtree(_state(out), ignore_errors=True)  # what a finished run no longer needs
    return card


def _distinct(seen: Sequence[Seen]) -> list[Seen]:
    """Returns the videos with copies of one content in one source, so that no split parts them.

    Raises:
        InputError: a normal and an abnormal video are the same.
    """
    first: dict[str, Seen] = {}
    for video in seen:
        other = first.setdefault(video.sha256, video)
        if (other.item.label == NORMAL) != (video.item.label == NORMAL):
            raise InputError(
                f"{other.item.video} and {video.item.video} are the same video, once {other.item.label} and once "
                f"{video.item.label}; remove one of them"
            )
    sources = merge_sources([video.item.source for video in seen], [video.sha256 for video in seen])
    return [
        replace(video, item=replace(video.item, source=source)) for video, source in zip(seen, sources, strict=True)
    ]


def _state(out: Path) -> Path:
    return out.with_name(out.name + ".training")


def window_features(seen: Seen, parts: Sequence[str], window_s: float = WINDOW_S) -> Float32:
    """Returns the features (T, D) of a video's windows."""
    return join({part: seen.parts[part] for part in parts}, seen.times_s, window_s)


def fit_machine(windows: Sequence[Float32], abnormal: Bool, sources: Sequence[str], dims: Sequence[int]) -> Fit:
    """Fits the kernel machine with the recipe's own settings; see `clip_stats.fit`."""
    return fit(windows, abnormal, sources, dims)


def _kernel_machine(
    dataset: Dataset, store: FeatureStore, seen: Sequence[Seen], options: Options
) -> tuple[Card, dict[str, NDArray[Any]]]:
    if len(seen) > _MOST:
        raise InputError(f"{KIND} takes up to {_MOST} videos, got {len(seen)}; choose another --method")
    parts = options.parts or KERNEL_PARTS
    labels, sources = _labels(dataset), [item.source for item in dataset.items]
    windows = [window_features(video, parts)[_candidates(video)] for video in seen]
    dims = [window_features(seen[0], [part]).shape[1] for part in parts]
    found = fit(windows, labels, sources, dims)
    count = len(set(sources))
    where = f"every video by a machine that did not learn from its source ({count} sources)"
    level = calibrate(found.left_out, labels, f"threshold of the best balanced accuracy of {where}")
    hits = found.left_out > level.threshold
    card = make_card(
        KIND,
        dataset,
        store,
        seen=seen,
        parts=parts,
        window_s=WINDOW_S,
        arguments={},
        split=SplitInfo(rule="no split: choices rest on sources left out one by one", training=len(seen)),
        metrics=(
            auc_metric(found.left_out, labels, sources, where),
            accuracy_metric(hits, labels, sources, f"{where}; the level was chosen on the same scores"),
        ),
        calibration=level,
        settings={"method": KIND, "penalty": found.penalty, "window_s": WINDOW_S},
        seed=options.seed,
    )
    return card, found.model.arrays()


def _candidates(video: Seen) -> Bool:
    """Returns which windows (N,) of a video may speak for it: all, or those centred within its abnormal seconds."""
    spans, times = video.item.spans, video.times_s
    if not spans or video.item.label == NORMAL:
        return np.ones(len(times), bool)
    inside: Bool = np.any([(times >= start) & (times <= end) for start, end in spans], axis=0)
    if not inside.any():  # a span shorter than a sampling step
        inside[int(np.abs(times - np.mean(spans[0])).argmin())] = True
    return inside


def _network(
    dataset: Dataset,
    store: FeatureStore,
    seen: Sequence[Seen],
    options: Options,
    state: Path,
    texts: Texts | None,
    progress: Progress | None,
    log: Log | None,
) -> tuple[Card, dict[str, NDArray[Any]]]:
    from vau.scoring.head_model import HeadModel, head_arrays
    from vau.training.scorer.recipes import TEXT_METHODS, recipe
    from vau.training.scorer.trainer import Plan, Training

    parts = options.parts or NETWORK_PARTS
    labels, sources = _labels(dataset), [item.source for item in dataset.items]
    held = validation_rows(labels, sources, options.validation, seed=options.seed)
    bags = _bags(dataset, seen, parts)
    dims = [seen[0].parts[part].shape[1] for part in parts]
    mean, std = _scaling([bag.features for bag, out in zip(bags, held, strict=True) if not out], parts, dims)
    text = None
    if options.method in TEXT_METHODS:
        if texts is None:
            raise InputError(f"{options.method} reads texts: give the class texts' embedder")
        text = texts(dataset.classes)
    way = _adjusted(recipe(options.method, dim=sum(dims), classes=len(dataset.classes) - 1, text=text), options)
    ready = way.bags([replace(bag, features=_scaled(bag.features, mean, std)) for bag in bags])
    learn = [bag for bag, out in zip(ready, held, strict=True) if not out]
    check = [bag for bag, out in zip(bags, held, strict=True) if out]

    def model(head: Head) -> HeadModel:
        return HeadModel(head, mean, std, dims, text)

    def judge(head: Head) -> float:
        logits = np.array([model(head).logits(bag.features).max() for bag in check])
        return auc(logits, labels[held])

    plan = Plan(options.steps or way.settings.steps, options.validate_every, options.patience, seed=options.seed)
    identity = json.dumps([_digest(seen), way.method, way.arguments, list(parts), held.tolist(), options.seed])
    run = Training(
        way.head(options.seed), way.objective, way.settings, plan, way.draw(learn), judge, state, identity=identity
    )
    done = run.run(log, progress)
    logits = np.array([model(run.head).logits(bag.features).max() for bag in check])
    names = [source for source, out in zip(sources, held, strict=True) if out]
    level = calibrate(logits, labels[held], "threshold of the best balanced accuracy on the validation split")
    where = f"validation split; the weights of step {done.best_step} of {done.step} were chosen by this figure"
    card = make_card(
        way.kind,
        dataset,
        store,
        seen=seen,
        parts=parts,
        window_s=0.0,
        arguments=way.arguments,
        split=SplitInfo(
            rule=f"whole sources, {options.validation:g} of the videos, seed {options.seed}; no test set was seen",
            training=int((~held).sum()),
            validation=int(held.sum()),
        ),
        metrics=(
            auc_metric(logits, labels[held], names, where),
            accuracy_metric(logits > level.threshold, labels[held], names, f"{where}, and so was the level"),
        ),
        calibration=level,
        settings={"method": way.method, **asdict(way.settings), "steps": done.step, "best_step": done.best_step},
        seed=options.seed,
    )
    return card, head_arrays(run.head, mean, std, text)


def _adjusted(way: Recipe, options: Options) -> Recipe:
    if options.learning_rate is None:
        return way
    return replace(way, settings=replace(way.settings, learning_rate=options.learning_rate))


def _labels(dataset: Dataset) -> Bool:
    return np.array([dataset.label_of(item) > 0 for item in dataset.items])


def _bags(dataset: Dataset, seen: Sequence[Seen], parts: Sequence[str]) -> list[Bag]:
    from vau.training.scorer.bags import Bag

    return [
        Bag(
            video.item.video,
            join({part: video.parts[part] for part in parts}, video.times_s),
            dataset.label_of(video.item),
        )
        for video in seen
    ]


def _scaling(rows: Sequence[Float32], parts: Sequence[str], dims: Sequence[int]) -> tuple[Float64, Float64]:
    """Returns mean and deviation (D,) of the training videos' features; embeddings stay as they are."""
    total = sum(len(part) for part in rows)
    mean: Float64 = sum((part.sum(axis=0, dtype=np.float64) for part in rows), np.zeros(sum(dims))) / total
    square = sum((((part - mean) ** 2).sum(axis=0) for part in rows), np.zeros(sum(dims))) / total
    std: Float64 = np.sqrt(square) + 1e-6
    at = 0
    for part, dim in zip(parts, dims, strict=True):
        if part == "embedding":
            mean[at : at + dim], std[at : at + dim] = 0.0, 1.0
        at += dim
    return mean, std


def _scaled(features: Float32, mean: Float64, std: Float64) -> Float32:
    scaled: Float32 = ((features - mean.astype(np.float32)) / std.astype(np.float32)).astype(np.float32)
    return scaled


def _digest(seen: Sequence[Seen]) -> str:
    told = "\n".join(f"{video.sha256} {video.item.label}" for video in seen)
    return hashlib.sha256(told.encode()).hexdigest()
