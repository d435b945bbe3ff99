"""Measures the default configuration on real clips with annotated event times, beside trivial baselines.

    python -m benchmarks.clips CLIPS_DIR [--json OUT] [--limit N] [--keep FOLDER] [--debug]

CLIPS_DIR/clips.json lists the clips: `file`, `label`, and `annotation` with `events` and perhaps `aftermath`, each a
list of [start, end] in seconds. A clip without events is normal. Times of an aftermath do not count as anomalous. A
clip that fails counts as a miss in every share and has no part in the ROC area. A score that is 0 throughout has no
peak.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jsonschema import Draft202012Validator
from numpy.typing import NDArray

from benchmarks.common import (
    Area,
    area,
    grey_differences,
    machine,
    options_of,
    print_table,
    share,
    watched,
    write_json,
)
from vau.cli.failures import Attempt
from vau.config import Config
from vau.eval.frame import LabelledScores, interval_labels
from vau.perception.observe import Models, load_models
from vau.pipeline import analyze
from vau.report import to_dict, write_all
from vau.report.wire import json_schema
from vau.types import Report

Series = NDArray[np.float64]
Span = tuple[float, float]

OWN = "vau"
SET = "ucsd-ped2"  # many short clips of one camera; the others are single clips


@dataclass(frozen=True)
class Clip:
    """A line of clips.json."""

    file: str
    label: str
    events: tuple[Span, ...]
    aftermath: tuple[Span, ...] = ()

    @property
    def anomalous(self) -> bool:
        """Whether anything abnormal happens."""
        return bool(self.events)

    @property
    def single(self) -> bool:
        """Whether the clip stands for itself rather than for a set of many."""
        return not self.file.startswith(f"{SET}/")


@dataclass
class Outcome:
    """What came of one clip; without a report where `failure` says why."""

    clip: Clip
    failure: str | None = None
    seconds: float = 0.0
    duration_s: float = 0.0
    times_s: Series = field(default_factory=lambda: np.zeros(0))
    curves: dict[str, Series] = field(default_factory=dict)  # the score and the baselines, each (N,)
    reported: tuple[Span, ...] = ()
    threat: int | None = None
    schema_error: str | None = None

    @property
    def labels(self) -> NDArray[np.bool_]:
        """Which sampled times lie inside an annotated event."""
        return interval_labels(self.times_s, self.clip.events)

    def hit(self, name: str) -> bool:
        """Says whether a curve has its (first) peak inside an annotated event."""
        curve = self.curves.get(name, np.zeros(0))
        return bool(curve.size and curve.max() > 0 and self.labels[curve.argmax()])

    @property
    def quiet(self) -> bool:
        """Whether the clip was analysed and no event reported."""
        return self.failure is None and not self.reported

    @property
    def found(self) -> bool:
        """Whether a reported event overlaps an annotated one."""
        return any(a <= end and start <= b for a, b in self.reported for start, end in self.clip.events)

    def labelled(self, name: str, *, aftermath: bool) -> LabelledScores:
        """Returns a curve with its truth, with or without the times of an aftermath."""
        kept = np.full(len(self.times_s), True)
        if not aftermath:
            kept = self.labels | ~interval_labels(self.times_s, self.clip.aftermath)
        return LabelledScores(self.clip.file, self.curves[name][kept], self.labels[kept])


def read_clips(folder: Path) -> list[Clip]:
    """Returns the clips that clips.json lists."""
    listed = json.loads((folder / "clips.json").read_text(encoding="utf-8"))
    return [
        Clip(item["file"], item["label"], *(_spans(item["annotation"].get(key, ())) for key in ("events", "aftermath")))
        for item in listed
    ]


def _spans(intervals: Sequence[Sequence[float]]) -> tuple[Span, ...]:
    return tuple((float(start), float(end)) for start, end in intervals)


def on_samples(times_s: Series, pair_times_s: Series, values: Series) -> Series:
    """Averages values of frame pairs (M,) over the time from each sampled frame to the next; (N,), 0 where none is."""
    rows = np.searchsorted(times_s, pair_times_s - 1e-6)
    inside = rows < len(times_s)
    sums = np.bincount(rows[inside], values[inside], minlength=len(times_s))
    counts = np.bincount(rows[inside], minlength=len(times_s))
    means: Series = sums / np.maximum(counts, 1)
    return means


def centre_prior(times_s: Series, duration_s: float) -> Series:
    """Returns 1 in the middle of the video, falling to 0 at both ends."""
    half_s = max(duration_s / 2, 1e-9)
    prior: Series = np.clip(1 - np.abs(times_s - half_s) / half_s, 0, 1)
    return prior


def measure(clip: Clip, folder: Path, models: Models, config: Config, number: int, keep: Path | None) -> Outcome:
    """Analyses one clip; `number` seeds its random baseline."""
    path = folder / clip.file
    started = time.perf_counter()
    report = analyze(path, config, models=models)
    seconds = time.perf_counter() - started
    if keep is not None:
        write_all(report, keep / Path(clip.file).with_suffix(""))
    times_s = report.scores.times_s
    curves = {
        OWN: report.scores.scores.astype(np.float64),
        "frame difference": on_samples(times_s, *grey_differences(path, config.video)),
        "centre prior": centre_prior(times_s, report.video.duration_s),
        "random": np.random.default_rng([0, number]).random(len(times_s)),
    }
    return Outcome(
        clip,
        seconds=seconds,
        duration_s=report.video.duration_s,
        times_s=times_s,
        curves=curves,
        reported=tuple((event.start_s, event.end_s) for event in report.events),
        threat=report.account(None).threat_level,
        schema_error=schema_error(report),
    )


def schema_error(report: Report) -> str | None:
    """Returns where the report, as JSON, departs from the published schema first; None where it does not."""
    error = next(Draft202012Validator(json_schema()).iter_errors(json.loads(json.dumps(to_dict(report)))), None)
    return None if error is None else f"{error.json_path}: {error.message[:100]}"


def print_clips(outcomes: Sequence[Outcome]) -> None:
    """Prints one line a clip."""
    head = ("clip", "label", "s", "max score", "at s", "peak inside", "events", "threat", "schema", "seconds")
    print_table(head, map(_row, outcomes))


def _row(outcome: Outcome) -> tuple[object, ...]:
    clip = outcome.clip
    if outcome.failure is not None:
        return clip.file, clip.label, *(None,) * 6, f"failed: {outcome.failure}", None
    scores, times_s = outcome.curves[OWN], outcome.times_s
    peak = (f"{scores.max():.2f}", f"{times_s[scores.argmax()]:.1f}") if scores.size else (None, None)
    return (
        clip.file,
        clip.label,
        f"{outcome.duration_s:.1f}",
        *peak,
        ("yes" if outcome.hit(OWN) else "no") if clip.anomalous else None,
        len(outcome.reported),
        outcome.threat,
        outcome.schema_error or "valid",
        f"{outcome.seconds:.1f}",
    )


def print_shares(groups: dict[str, list[Outcome]]) -> None:
    """Prints the shares of clips, a column a group."""
    figures: dict[str, Callable[[list[Outcome]], str | None]] = {
        "anomalous clips: score peak inside an event (at least 70 %)": lambda g: share(
            [o.hit(OWN) for o in g if o.clip.anomalous]
        ),
        "... peak of the frame difference inside": lambda g: share(
            [o.hit("frame difference") for o in g if o.clip.anomalous]
        ),
        "... middle of the clip inside": lambda g: share([o.hit("centre prior") for o in g if o.clip.anomalous]),
        "... a random time inside, expected": lambda g: _chance([o for o in g if o.clip.anomalous]),
        "anomalous clips: a reported event overlaps": lambda g: share([o.found for o in g if o.clip.anomalous]),
        "normal clips: no event reported (at least 70 %)": lambda g: share(
            [o.quiet for o in g if not o.clip.anomalous]
        ),
        "all clips: analysed, report valid": lambda g: share([o.failure is None and o.schema_error is None for o in g]),
    }
    print_table(("figure", *groups), ([name, *map(figure, groups.values())] for name, figure in figures.items()))


def _chance(anomalous: list[Outcome]) -> str | None:
    inside = [float(outcome.labels.mean()) for outcome in anomalous if outcome.times_s.size]
    return f"{np.mean(inside):.0%}".replace("%", " %") if inside else None


def areas(outcomes: Sequence[Outcome], *, aftermath: bool = True) -> dict[str, Area | None]:
    """Returns the pooled frame AUC of every curve."""
    done = [outcome for outcome in outcomes if outcome.times_s.size]
    names = done[0].curves if done else ()
    return {name: area([outcome.labelled(name, aftermath=aftermath) for outcome in done]) for name in names}


def main() -> None:
    """Analyses the clips and prints the tables."""
    options = options_of(
        __doc__,
        ("clips", {"type": Path, "metavar": "CLIPS_DIR"}),
        ("--limit", {"type": int, "help": "only the first so many clips"}),
        ("--keep", {"type": Path, "metavar": "FOLDER", "help": "write the reports there"}),
        ("--debug", {"action": "store_true", "help": "show tracebacks of failures"}),
    )
    config, about = Config(), machine()
    clips = read_clips(options.clips)[: options.limit]
    models = load_models(config.perception)
    outcomes = []
    for number, clip in enumerate(watched(clips, "Analysing clips")):
        attempt, outcome = Attempt(options.debug), Outcome(clip)
        with attempt:
            outcome = measure(clip, options.clips, models, config, number, options.keep)
        outcome.failure = attempt.failure.message if attempt.failure else None
        outcomes.append(outcome)

    groups = {"single clips": [o for o in outcomes if o.clip.single], f"with {SET}": outcomes}
    found = {name: areas(group) for name, group in groups.items()}
    found["single clips without aftermath"] = areas(groups["single clips"], aftermath=False)
    print_clips(outcomes)
    print_shares(groups)
    print("Pooled frame AUC over sampled frames, 95 % interval by a bootstrap over whole videos:\n")
    names = next((list(group) for group in found.values() if group), [])
    print_table(("score", *found), ([name, *(group.get(name) for group in found.values())] for name in names))
    _print_exclusions(outcomes)
    write_json(options.json, {"machine": about, "config": config.digest(), "auc": found, "clips": outcomes})


def _print_exclusions(outcomes: Sequence[Outcome]) -> None:
    aftermath = [outcome.clip.file for outcome in outcomes if outcome.clip.aftermath]
    whole = [o.clip.file for o in outcomes if o.times_s.size and o.clip.anomalous and o.labels.all()]
    failed = [outcome.clip.file for outcome in outcomes if outcome.failure is not None]
    print(f"Aftermath annotated, counted as normal unless left out: {', '.join(aftermath) or 'none'}.")
    print(f"Anomalous from end to end, so that any peak is inside: {', '.join(whole) or 'none'}.")
    print(f"Failed, counted as misses and left out of the AUC: {', '.join(failed) or 'none'}.")


if __name__ == "__main__":
    main()
