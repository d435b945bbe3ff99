"""Measures the scorers that read text, VadCLIP and LaGoVAD, on synthetic bags whose truth is known.

What each part of the training brings, and what a definition that training never saw is worth. Bags and texts come from
`synthetic_world`: frames and texts share one space, and a text is 0.7 alike to what it means. Networks are small, so
that two cores do; the numbers say nothing of real videos. Run: ``python -m benchmarks.synthetic_language``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.synthetic_world import World, class_texts, make_bags
from vau.eval.frame import LabelledScores
from vau.eval.metrics.ranking import pooled_auc
from vau.scoring.heads.base import Head
from vau.scoring.heads.lagovad import LaGoVad
from vau.scoring.heads.vadclip import VadClip
from vau.training.scorer.bags import Bag, collate
from vau.training.scorer.objectives import Objective
from vau.training.scorer.objectives.lagovad import DefinitionBank, LaGoVadObjective, Mining
from vau.training.scorer.objectives.vadclip import VadClipObjective
from vau.training.scorer.synthesis import nearest_normal, synthesise

WORLD = World(classes=8, train_a_side=400, val_a_side=1, test_a_side=64)
UNSEEN = (7, 8)  # classes that the zero-shot rows hold back from training
_RATE = 3e-3
A_SIDE = 8  # bags of each kind a step
LONGEST = 256  # steps to which training videos are cut
SHARED = {"dim": WORLD.dimensions, "text_dim": WORLD.dimensions}


@dataclass(frozen=True)
class Row:
    """One way to train, a line of the table."""

    name: str
    method: Literal["lagovad", "vadclip", "vadclip aligned"] = "lagovad"
    synthesis: bool = True
    contrast: bool = True
    mining: Mining = "paper"
    undefined: float = 0.0
    trimmed: bool = False
    matched: bool = False


ROWS = (
    Row("VadCLIP, binary branch", method="vadclip"),
    Row("VadCLIP, aligned branch", method="vadclip aligned"),
    Row("LaGoVAD"),
    Row("LaGoVAD without synthesis", synthesis=False),
    Row("LaGoVAD without negatives", mining="none"),
    Row("LaGoVAD, negatives as in the code", mining="code"),
    Row("LaGoVAD without contrast", contrast=False),
    Row("LaGoVAD + text match", matched=True),
    Row("LaGoVAD + text match, without synthesis", matched=True, synthesis=False),
    Row("LaGoVAD + text match, classes left out", matched=True, undefined=0.3),
    Row("LaGoVAD, trimmed clips", trimmed=True),
    Row("LaGoVAD without synthesis, trimmed clips", synthesis=False, trimmed=True),
)
ZERO_SHOT = (ROWS[2], ROWS[7], ROWS[9])
PRIORS = ("video labels known", "place in the video", "length of the video", "cosine with the texts")
Found = list[tuple[str, float, float]]  # row, AUC of all snippets, AUC of abnormal videos


def trim(bag: Bag) -> Bag:
    """Cuts an abnormal bag to its anomaly and half as much on each side, as data sets of short clips are."""
    if not bag.label or bag.frame_labels is None:
        return bag
    rows = np.flatnonzero(bag.frame_labels)
    margin = max(1, len(rows) // 2)
    return replace(bag, features=bag.features[max(0, rows[0] - margin) : rows[-1] + 1 + margin], frame_labels=None)


def standardised(train: Sequence[Bag], *others: Sequence[Bag]) -> list[list[Bag]]:
    """Takes the training set's mean and spread out of every feature, as the trainer of checkpoints does."""
    rows = np.concatenate([bag.features for bag in train])
    mean, spread = rows.mean(axis=0), rows.std(axis=0)
    return [[replace(bag, features=(bag.features - mean) / spread) for bag in bags] for bags in (train, *others)]


def train(row: Row, bags: Sequence[Bag], texts: NDArray[np.float32], seed: int, steps: int) -> Head:
    """Trains one network; frame labels of the bags are not read, except to trim clips where the row says so."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    if row.trimmed:
        bags = [trim(bag) for bag in bags]
    bags = [replace(bag, frame_labels=None) for bag in bags]
    head, objective = _build(row, torch.from_numpy(texts))
    optimiser = torch.optim.AdamW(head.parameters(), lr=_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps, pct_start=0.1)
    near = nearest_normal(bags)
    pool: dict[bool, list[Bag]] = {True: [], False: []}
    head.train()
    for step in range(steps):
        if min(len(side) for side in pool.values()) < A_SIDE:
            epoch = synthesise(bags, generator, neighbours=near, longest=LONGEST) if row.synthesis else list(bags)
            order = torch.randperm(len(epoch), generator=generator).tolist()
            pool = {side: [epoch[i] for i in order if (epoch[i].label > 0) == side] for side in (True, False)}
        batch = collate([pool[side].pop() for side in (True, False) for _ in range(A_SIDE)])
        loss = torch.stack(list(objective(head, batch, generator=generator, step=step).values())).sum()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    return head.eval()


def _build(row: Row, texts: torch.Tensor) -> tuple[Head, Objective]:
    if row.method != "lagovad":
        branch = "binary" if row.method == "vadclip" else "aligned"
        return VadClip(**SHARED, layers=1, chunk=LONGEST, branch=branch), VadClipObjective(texts)
    head = LaGoVad(**SHARED, layers=1, fusion_layers=1, fusion_heads=4, matched=row.matched)
    objective = LaGoVadObjective(
        DefinitionBank(texts),
        dense=row.synthesis,
        contrast=row.contrast,
        mining=row.mining,
        undefined=row.undefined,
    )
    return head, objective


def scores(head: Head, bags: Sequence[Bag], texts: NDArray[np.float32]) -> list[LabelledScores]:
    """Scores whole videos, each with the same definition."""
    text, found = torch.from_numpy(texts), []
    with torch.inference_mode():
        for bag in bags:
            batch = collate([bag])
            found.append(_labelled(bag, torch.sigmoid(head(batch.features, batch.mask, text).logits[0]).numpy()))
    return found


def prior(kind: str, bags: Sequence[Bag], texts: NDArray[np.float32]) -> list[LabelledScores]:
    """Scores videos by something that was not trained: video labels, place, length, or cosines with the texts."""
    found = []
    for bag in bags:
        steps = len(bag.features)
        cosines = bag.features @ texts.T
        values = {
            "video labels known": np.full(steps, float(bag.label > 0)),
            "place in the video": -np.abs(np.arange(steps) - steps / 2) / steps,
            "length of the video": np.full(steps, 1.0 / steps),
            "cosine with the texts": cosines[:, 1:].max(axis=1) - cosines[:, 0],
        }[kind]
        found.append(_labelled(bag, values))
    return found


def _labelled(bag: Bag, values: NDArray[np.floating]) -> LabelledScores:
    assert bag.frame_labels is not None
    return LabelledScores(bag.video, values.astype(np.float64), bag.frame_labels)


def areas(videos: Sequence[LabelledScores]) -> tuple[float, float]:
    """Returns the pooled AUC of all snippets, and that of the abnormal videos alone."""
    return pooled_auc(videos), pooled_auc([video for video in videos if video.abnormal])


def seen(seed: int, row: Row | None, steps: int) -> Found:
    """Measures one row on classes that training knew, or the priors where `row` is None."""
    torch.set_num_threads(1)
    bags, _, test = make_bags(seed, WORLD)
    bags, test = standardised(bags, test)
    texts = class_texts(seed, WORLD)
    if row is None:
        return [(kind, *areas(prior(kind, test, texts))) for kind in PRIORS]
    return [(row.name, *areas(scores(train(row, bags, texts, seed, steps), test, texts)))]


def unseen(seed: int, row: Row | None, steps: int) -> Found:
    """Measures videos of classes that training did not know, under their own definition and under another."""
    torch.set_num_threads(1)
    known = [index for index in range(WORLD.classes + 1) if index not in UNSEEN]
    bags, _, test = make_bags(seed, WORLD)
    bags, test = standardised(
        [bag for bag in bags if bag.label in known], [bag for bag in test if bag.label in (0, *UNSEEN)]
    )
    texts = class_texts(seed, WORLD)
    own = texts[[0, *UNSEEN]]
    if row is None:
        return [("cosine with the texts, own definition", *areas(prior(PRIORS[-1], test, own)))]
    head = train(row, bags, texts[known], seed, steps)
    definitions = {"own definition": own, "other classes' definition": texts[known]}
    return [(f"{row.name}, {told}", *areas(scores(head, test, text))) for told, text in definitions.items()]


def show(title: str, found: Found, console: Console) -> None:
    """Prints means and the smallest and largest value over the seeds."""
    table = Table("", "AUC", "AUC, abnormal videos", title=title)
    for name in dict.fromkeys(name for name, _, _ in found):
        columns = zip(*(values for row, *values in found if row == name), strict=True)
        cells = [f"{np.mean(column):.3f} ({min(column):.3f} to {max(column):.3f})" for column in columns]
        table.add_row(name, *cells)
    console.print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=150, help="optimiser steps a network")
    parser.add_argument("--jobs", type=int, default=2, help="networks trained at once")
    given = parser.parse_args(arguments)
    console = Console(width=120)
    tasks = [
        (kind, seed, row)
        for kind, rows in ((seen, ROWS), (unseen, ZERO_SHOT))
        for row in (None, *rows)
        for seed in range(given.seeds)
    ]
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as workers:
        running = [workers.submit(kind, seed, row, given.steps) for kind, seed, row in tasks]
        found = [job.result() for job in track(running, "networks", console=console)]
    for kind, title in ((seen, "classes seen in training"), (unseen, f"classes {UNSEEN} never seen in training")):
        rows = [item for task, part in zip(tasks, found, strict=True) if task[0] is kind for item in part]
        show(f"{title}, {given.seeds} seeds", rows, console)


if __name__ == "__main__":
    main()
