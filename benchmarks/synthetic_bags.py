"""Trains the weakly supervised scorers on synthetic bags, where the truth is known by snippet, and compares them.

    python -m benchmarks.synthetic_bags [--seeds N] [--method NAME ...] [--jobs N] [--json OUT]

The worlds are those of `benchmarks.synthetic_world`: an anomaly is a conjunction of feature directions, benign events
show its parts, and priors on position and length are at chance. Networks are small, every run ends after a fixed
number of steps, and no checkpoint is chosen. Rates and steps were chosen in worlds that are not in the table (seeds 0
and 100; the table's begin at 1). Segments are means of standardised snippets and not scaled to unit length, as in
`vau train scorer`: scaled, the ranking loss lost whole classes. Intervals resample whole test videos; they do not cover
the choice of the world.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.common import machine, options_of, print_table, watched, write_json
from benchmarks.synthetic_world import World, make_bags
from vau.eval.frame import LabelledScores
from vau.eval.metrics.bootstrap import Resampling, resampled_areas
from vau.eval.metrics.priors import priors
from vau.eval.metrics.ranking import figures, rank
from vau.scoring.heads.base import Head
from vau.scoring.heads.gs_moe import GsMoeHead
from vau.scoring.heads.sultani import SultaniHead
from vau.scoring.heads.ur_dmu import UrDmuHead
from vau.training.scorer.bags import Bag, collate
from vau.training.scorer.clusters import assign_clusters
from vau.training.scorer.objectives import Objective, Settings
from vau.training.scorer.objectives.gs_moe import GsMoeObjective
from vau.training.scorer.objectives.rtfm import RtfmObjective
from vau.training.scorer.objectives.sultani import SultaniObjective
from vau.training.scorer.objectives.topk import TopKObjective
from vau.training.scorer.objectives.ur_dmu import UrDmuObjective
from vau.training.scorer.segments import segment_bag, to_clips
from vau.training.scorer.splatting import Splatting

_WARM_UP = 300  # steps without splatting, which does harm while the scores are still poor
_STEPS = 600
_LONG = 1_200  # steps of the ranking loss, which needs a low rate: a score near 0 or 1 hardly moves any more
_SETTINGS = Settings("adam", 3e-3, _STEPS, 16, weight_decay=1e-4)
_SLOW = replace(_SETTINGS, learning_rate=1e-3)


@dataclass(frozen=True)
class Method:
    """A scorer and how it is trained here."""

    name: str
    head: Callable[[World], Head]
    objective: Callable[[int, World], Objective]  # from the seed of the world, for texts, and its sizes
    settings: Settings = _SETTINGS
    segments: bool = False  # whether bags are cut into 32 segments, in training and at test
    clusters: int = 0  # experts for clusters instead of classes; found by the scores of `teacher`
    teacher: str = ""


def _base(world: World) -> dict[str, Any]:
    sizes = {"width": 32, "layers": 1, "attention_heads": 2, "head_width": 16, "classifier_width": 32, "dropout": 0.3}
    return {"input_size": world.dimensions, "normal_slots": 30, "abnormal_slots": 30, **sizes}


def _sultani(world: World, dropout: float = 0.3) -> Head:
    return SultaniHead(input_size=world.dimensions, hidden=(128, 32), dropout=dropout)


def _moe(world: World, experts: int = 0) -> Head:
    sizes = {"expert_hidden": 32, "expert_sizes": (32,), "gate_heads": 2, "gate_hidden": 64, "gate_sizes": (32,)}
    return GsMoeHead(classes=experts or world.classes, base=_base(world), **sizes)


def _ur_dmu(splatting: Splatting | None) -> Callable[[int, World], Objective]:
    return lambda seed, world: UrDmuObjective(splatting=splatting, warm_up=_WARM_UP)


def _gs_moe(splatting: Splatting | None) -> Callable[[int, World], Objective]:
    return lambda seed, world: GsMoeObjective(splatting=splatting, warm_up=_WARM_UP)


METHODS = (
    Method(
        "Sultani ranking",
        lambda world: _sultani(world, 0.6),  # as published; with less, whole classes stay below all others
        lambda seed, world: SultaniObjective(),
        Settings("adam", 3e-4, _LONG, 16),
        segments=True,
    ),
    Method("RTFM loss, same network", _sultani, lambda seed, world: RtfmObjective(), segments=True),
    Method("top-k loss, same network", _sultani, lambda seed, world: TopKObjective()),
    Method("UR-DMU network, top-k loss", lambda world: UrDmuHead(**_base(world)), lambda seed, world: TopKObjective()),
    Method(
        "UR-DMU, drawn as in the code",
        lambda world: UrDmuHead(**_base(world)),
        lambda seed, world: UrDmuObjective(drawn="normal"),
    ),
    Method("UR-DMU", lambda world: UrDmuHead(**_base(world)), _ur_dmu(None)),
    *(
        Method(f"UR-DMU + TGS ({reading})", lambda world: UrDmuHead(**_base(world)), _ur_dmu(Splatting(reading)))
        for reading in ("scores", "index", "gap")
    ),
    Method("GS-MoE without TGS", _moe, _gs_moe(None), _SLOW),
    *(
        Method(f"GS-MoE ({reading})", _moe, _gs_moe(Splatting(reading)), _SLOW)
        for reading in ("scores", "index", "gap")
    ),
    Method(
        "GS-MoE (index), 7 clusters",
        lambda world: _moe(world, 7),
        _gs_moe(Splatting("index")),
        _SLOW,
        clusters=7,
        teacher="UR-DMU",
    ),
)

PAIRS = (
    ("UR-DMU", "UR-DMU, drawn as in the code"),
    ("GS-MoE (index)", "UR-DMU"),
    ("GS-MoE (scores)", "UR-DMU"),
    ("GS-MoE (gap)", "UR-DMU"),
    ("GS-MoE without TGS", "UR-DMU"),
    ("UR-DMU + TGS (index)", "UR-DMU"),
    ("UR-DMU + TGS (scores)", "UR-DMU"),
    ("UR-DMU + TGS (gap)", "UR-DMU"),
    ("GS-MoE (index)", "GS-MoE without TGS"),
    ("GS-MoE (index)", "GS-MoE (scores)"),
    ("GS-MoE (index), 7 clusters", "GS-MoE (index)"),
)


def fit(head: Head, objective: Objective, bags: Sequence[Bag], settings: Settings, seed: int) -> None:
    """Trains a head on balanced random batches for the settings' number of steps."""
    generator = torch.Generator().manual_seed(seed)
    optimiser = settings.build(head.parameters())
    sides = [[bag for bag in bags if bool(bag.label) is abnormal] for abnormal in (True, False)]
    head.train()
    for step in range(settings.steps):
        drawn = [
            side[i] for side in sides for i in torch.randperm(len(side), generator=generator)[: settings.bags_a_side]
        ]
        loss = sum(objective(head, collate(drawn), generator=generator, step=step).values(), torch.zeros(()))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    head.eval()


@torch.no_grad()
def scores_of(head: Head, bags: Sequence[Bag]) -> list[NDArray[np.float64]]:
    """Returns the logits (T,) of each bag."""
    result = []
    for start in range(0, len(bags), 50):
        batch = collate(bags[start : start + 50])
        logits = head(batch.features, batch.mask).logits.double().numpy()
        result += [row[:length] for row, length in zip(logits, batch.mask.sum(1).tolist(), strict=True)]
    return result


def run(name: str, seed: int, split: str = "test") -> tuple[list[NDArray[np.float64]], float]:
    """Trains a method in a world; returns scores of the split's bags, and seconds of processor time in training."""
    torch.set_num_threads(1)
    method = _by_name(name)
    world = World()
    train, val, test = standardised(*make_bags(seed, world))
    start = time.process_time()
    if method.clusters:
        teacher = _by_name(method.teacher)
        taught = scores_of(_trained(teacher, train, seed, world), train)
        train = assign_clusters(train, taught, method.clusters, seed=seed)
    head = _trained(method, train, seed, world)
    spent = time.process_time() - start
    bags = test if split == "test" else val
    if not method.segments:
        return scores_of(head, bags), spent
    logits = scores_of(head, [segment_bag(bag, unit=False) for bag in bags])
    return [to_clips(row, len(bag.features)) for row, bag in zip(logits, bags, strict=True)], spent


def standardised(train: list[Bag], *others: list[Bag]) -> list[list[Bag]]:
    """Shifts and scales every dimension of all splits by the mean and the deviation of the training snippets."""
    rows = np.concatenate([bag.features for bag in train])
    mean, deviation = rows.mean(0), rows.std(0)
    return [[replace(bag, features=(bag.features - mean) / deviation) for bag in split] for split in (train, *others)]


def _trained(method: Method, train: Sequence[Bag], seed: int, world: World) -> Head:
    torch.manual_seed(seed)
    head = method.head(world)
    bags = [segment_bag(bag, unit=False) for bag in train] if method.segments else train
    fit(head, method.objective(seed, world), bags, method.settings, seed)
    return head


def _by_name(name: str) -> Method:
    return next(method for method in METHODS if method.name == name)


@dataclass(frozen=True, eq=False)
class Measured:
    """Figures of one scorer in one world."""

    auc: float
    abnormal_only: float
    resampled: NDArray[np.float64]  # (R,) AUC of the same resamples for every scorer of a world

    @classmethod
    def of(cls, bags: Sequence[Bag], scores: Sequence[NDArray[np.float64]]) -> Measured:
        """Measures scores of labelled bags."""
        ranked = rank(_labelled(bags, scores))
        areas = resampled_areas(ranked, Resampling(400))
        if areas is None:
            raise ValueError(f"{len(bags)} videos are too few for an interval")
        found = figures(ranked)
        return cls(found.auc, found.auc_abnormal_only, areas.auc)


def _labelled(bags: Sequence[Bag], scores: Sequence[NDArray[np.float64]]) -> list[LabelledScores]:
    return [LabelledScores(bag.video, row, bag.frame_labels) for bag, row in zip(bags, scores, strict=True)]


def _mean_with_interval(values: Sequence[float], resampled: Sequence[NDArray[np.float64]], signed: str = "") -> str:
    low, high = Resampling().interval(np.mean(resampled, axis=0))
    return f"{np.mean(values):{signed}.3f} [{low:{signed}.3f}, {high:{signed}.3f}]"


@cache
def _test_bags(seed: int) -> tuple[Bag, ...]:
    return tuple(make_bags(seed)[2])


def _prior_rows(seeds: range) -> list[tuple[str, str]]:
    """Trivial scorers beside the trained ones: mean AUC over worlds, and its range."""
    named: dict[str, list[float]] = {}
    for seed in seeds:
        bags = _test_bags(seed)
        novelty = [np.linalg.norm(bag.features - bag.features.mean(0), axis=1).astype(np.float64) for bag in bags]
        labelled = _labelled(bags, novelty)
        named.setdefault("distance from the mean of the video", []).append(figures(rank(labelled)).auc)
        for name, prior in priors(labelled).items():
            named.setdefault(name, []).append(prior.auc)
    return [(name, f"{np.mean(areas):.3f} ({min(areas):.3f} to {max(areas):.3f})") for name, areas in named.items()]


def main() -> None:
    """Trains every method in every world and prints the tables."""
    options = options_of(
        __doc__,
        ("--seeds", {"type": int, "default": 3, "help": "number of worlds"}),
        ("--method", {"nargs": "+", "default": [method.name for method in METHODS], "help": "names of methods"}),
        ("--jobs", {"type": int, "default": 2, "help": "processes"}),
        ("--split", {"choices": ["val", "test"], "default": "test", "help": "bags that are scored"}),
    )
    notes, seeds = machine(), range(1, options.seeds + 1)
    measured: dict[str, list[Measured]] = {name: [] for name in options.method}
    seconds: dict[str, list[float]] = {name: [] for name in options.method}
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        started = [(name, seed, pool.submit(run, name, seed, options.split)) for name in measured for seed in seeds]
        for name, seed, future in watched(started, "Training"):
            scores, spent = future.result()
            bags = _test_bags(seed) if options.split == "test" else make_bags(seed)[1]
            measured[name].append(Measured.of(bags, scores))
            seconds[name].append(spent)
    print_table(
        ("scorer", "frame AUC [95 %]", "by world", "AUC in abnormal videos", "processor s"),
        (
            (
                name,
                _mean_with_interval([m.auc for m in found], [m.resampled for m in found]),
                " ".join(f"{m.auc:.3f}" for m in found),
                f"{np.mean([m.abnormal_only for m in found]):.3f}",
                f"{np.mean(seconds[name]):.0f}",
            )
            for name, found in measured.items()
        ),
    )
    print_table(("prior", "frame AUC (range over worlds)"), _prior_rows(seeds))
    pairs = [(first, second) for first, second in PAIRS if first in measured and second in measured]
    print_table(
        ("difference in frame AUC", "mean [95 %]", "by world"), (_difference(measured, *pair) for pair in pairs)
    )
    figures_by_name = {name: [vars(m) | {"resampled": None} for m in found] for name, found in measured.items()}
    write_json(
        options.json, {"machine": notes, "worlds": options.seeds, "methods": figures_by_name, "seconds": seconds}
    )


def _difference(measured: dict[str, list[Measured]], first: str, second: str) -> tuple[str, str, str]:
    pairs = list(zip(measured[first], measured[second], strict=True))
    values = [a.auc - b.auc for a, b in pairs]
    interval = _mean_with_interval(values, [a.resampled - b.resampled for a, b in pairs], "+")
    return f"{first} over {second}", interval, " ".join(f"{value:+.3f}" for value in values)


if __name__ == "__main__":
    main()
