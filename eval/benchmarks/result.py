"""One evaluation of a benchmark: every figure beside how many items it rests on and what trivial answers reach.

An item without a record, with an error or with an answer that cannot be read is wrong, and stays in every denominator:
what failed is counted and never dropped. Intervals resample whole videos.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vau.errors import InputError
from vau.eval.benchmarks.base import Benchmark, Item, Items
from vau.eval.benchmarks.predictions import Record
from vau.eval.metrics.bootstrap import Estimate, Resampling
from vau.eval.metrics.judge import Judge
from vau.eval.metrics.sums import Clusters, Figure
from vau.eval.protocols.base import Repair


@dataclass(frozen=True)
class Row:
    """Figures of a group of items."""

    group: str
    items: int
    figures: Mapping[str, float | None]


@dataclass(frozen=True)
class BenchmarkResult:
    """What one system's answers reach on one split; figures as fractions, `scales` says what they are printed times."""

    benchmark: str
    split: str
    used: int  # items in every denominator
    expected: int  # items that the split has, as the source states it
    answered: int  # with an answer that could be read
    missing: int  # without a record
    failed: int  # with an error in place of an answer
    unreadable: int  # with an answer that is not of the task's form
    videos: int
    reasons: tuple[tuple[str, int], ...]  # the commonest reasons of failures
    figures: Mapping[str, Estimate]
    scales: Mapping[str, float]
    priors: Mapping[str, Mapping[str, float | None]]  # by trivial predictor
    rows: tuple[Row, ...]
    repairs: tuple[Repair, ...]
    deviations: tuple[str, ...]
    leaks: tuple[str, ...]  # allowed by whoever asked for the result
    judge: str  # name of the judging model and its prompt; empty where none judged
    judge_failed: int
    note: str
    level: float
    resamples: int
    seed: int

    @property
    def complete(self) -> bool:
        """Whether every item of the split was scored."""
        return self.used == self.expected

    def to_dict(self) -> dict[str, Any]:
        """Returns the result as data for JSON; undefined figures are None."""
        return asdict(self) | {"complete": self.complete}


def evaluate(
    benchmark: Benchmark,
    found: Items,
    records: Mapping[str, Record],
    *,
    split: str | None = None,
    partial: bool = False,
    allow_leaks: bool = False,
    judge: Judge | None = None,
    with_priors: bool = True,
    resampling: Resampling | None = None,
) -> BenchmarkResult:
    """Computes all figures of a system's answers.

    Args:
        benchmark: the benchmark.
        found: the split, as `Benchmark.load` returned it.
        records: by item id.
        split: its name; None: the default.
        partial: whether only items with a record are scored; the result says so.
        allow_leaks: whether figures are wanted although the split says that they may be unfair.
        judge: grades the texts of benchmarks that have any.
        with_priors: whether trivial predictors are scored too.
        resampling: of the intervals; None: 1,000 resamples at 95 %.

    Raises:
        InputError: no item is left, the split leaks, or there is nothing for a judge.
    """
    chosen = split or benchmark.default_split
    if found.leaks and not allow_leaks:
        raise InputError(
            f"{benchmark.name} ({chosen}): {' '.join(found.leaks)} Choose another split, or allow the leak; the result "
            "will say so"
        )
    items = [item for item in found.items if not partial or item.item_id in records]
    if not items:
        raise InputError(f"{benchmark.name} ({chosen}): none of the {len(found.items)} items has a record")
    answers, reasons, counts = _taken(benchmark, items, records)
    figures = list(benchmark.figures(items, answers))
    judged, judge_failed = "", 0
    if judge is not None:
        graded, judged, judge_failed = _judged(benchmark, items, answers, judge)
        figures += graded
    resampling = resampling or Resampling()
    clusters = Clusters([item.video for item in items], resampling)
    stated = benchmark.splits[chosen].items
    return BenchmarkResult(
        benchmark=benchmark.name,
        split=chosen,
        used=len(items),
        expected=stated if stated is not None else len(found.items),
        answered=sum(answer is not None for answer in answers),
        **counts,
        videos=clusters.count,
        reasons=tuple(reasons.most_common(5)),
        figures={figure.name: figure.estimate(clusters) for figure in figures},
        scales={figure.name: figure.scale for figure in figures},
        priors=_priors(benchmark, found, items) if with_priors else {},
        rows=_rows(items, figures),
        repairs=found.repairs,
        deviations=benchmark.deviations(found, chosen),
        leaks=found.leaks,
        judge=judged,
        judge_failed=judge_failed,
        note=benchmark.note,
        level=resampling.level,
        resamples=resampling.resamples,
        seed=resampling.seed,
    )


def _taken(
    benchmark: Benchmark, items: Sequence[Item], records: Mapping[str, Record]
) -> tuple[list[Any], Counter[str], dict[str, int]]:
    """Returns the answers as figures want them, None for failures, and why and how often there were any."""
    answers: list[Any] = []
    reasons: Counter[str] = Counter()
    counts = {"missing": 0, "failed": 0, "unreadable": 0}
    for item in items:
        record = records.get(item.item_id)
        answer = None
        if record is None:
            counts["missing"] += 1
        elif record.error or record.prediction is None:
            counts["failed"] += 1
            reasons[(record.error or "no prediction")[:120]] += 1
        else:
            try:
                answer = benchmark.take(record.prediction, item)
            except InputError as error:
                counts["unreadable"] += 1
                reasons[f"unreadable: {error}"[:120]] += 1
        answers.append(answer)
    return answers, reasons, counts


def _judged(
    benchmark: Benchmark, items: Sequence[Item], answers: Sequence[Any], judge: Judge
) -> tuple[Sequence[Figure], str, int]:
    if benchmark.case is None:
        raise InputError(f"{benchmark.name} has no texts to judge")
    verdicts = judge.grade([benchmark.case(item, answer) for item, answer in zip(items, answers, strict=True)])
    return verdicts.figures(), f"{verdicts.judge}, {verdicts.prompt}", len(verdicts.failures)


def _priors(benchmark: Benchmark, found: Items, items: Sequence[Item]) -> dict[str, dict[str, float | None]]:
    place = {item.item_id: number for number, item in enumerate(found.items)}
    scored = {}
    for name, answers in benchmark.priors(found).items():
        mine = [answers[place[item.item_id]] for item in items]
        scored[name] = {figure.name: figure.value() for figure in benchmark.figures(items, mine)}
    return scored


def _rows(items: Sequence[Item], figures: Sequence[Figure]) -> tuple[Row, ...]:
    names = list(dict.fromkeys(name for item in items for name in item.groups))
    rows = []
    for name in names:
        chosen = np.array([name in item.groups for item in items])
        rows.append(Row(name, int(chosen.sum()), {figure.name: figure.value(chosen) for figure in figures}))
    return tuple(rows)
