"""Measures how well the score tells fights from everyday scenes in two-second clips of surveillance cameras.

    python -m benchmarks.surv_fight FOLDER [--json OUT] [--limit N] [--debug]

FOLDER holds fight/*.mp4, noFight/*.mp4 and videos.txt (Surveillance Camera Fight Dataset). A clip's score is the
maximum of its score track. Clips cut from one source video are alike, so the interval resamples source videos, not
clips.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

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
from vau.config import Config, VideoConfig
from vau.eval.frame import LabelledScores
from vau.perception.motion import MOTION_CHANNELS, MotionMeter
from vau.perception.observe import Models, load_models
from vau.pipeline import analyze
from vau.video import open_stream

OWN = "vau (maximum of the score)"
_ENTROPY = MOTION_CHANNELS.index("direction_entropy")
_ENTRY = re.compile(r"((?:no)?fi\d+)\s*:")
_RANGE = re.compile(r"((?:no)?fi)(\d+)\s*-\s*\1(\d+)\s*:\s*(.+)")


@dataclass
class Outcome:
    """What came of one clip; without scores where `failure` says why."""

    clip: str
    fight: bool
    source: str  # the video that it was cut from
    failure: str | None = None
    scores: dict[str, float] = field(default_factory=dict)
    events: int = 0


def read_sources(text: str) -> dict[str, str]:
    """Returns the source of each clip by its name.

    A line with an address opens a block; lines such as ``fi001: 0.13.50 - 0.15.60`` below it are clips of that video.
    A line such as ``nofi062 - nofi076 : NAME`` says which set a range of clips was taken from.
    """
    sources: dict[str, str] = {}
    ranges: dict[str, str] = {}
    block = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith(("http://", "https://")):
            block = line
        elif entry := _ENTRY.match(line):
            sources.setdefault(entry[1], block or entry[1])
        elif span := _RANGE.match(line):
            width = len(span[2])
            names = (f"{span[1]}{number:0{width}}" for number in range(int(span[2]), int(span[3]) + 1))
            ranges = dict.fromkeys(names, span[4]) | ranges
    return ranges | sources


def read_clips(folder: Path) -> list[Outcome]:
    """Returns the clips, fights and others in turn, so that the first N hold both; unknown sources stand alone."""
    sources = read_sources((folder / "videos.txt").read_text(encoding="utf-8"))
    paths = sorted((*folder.glob("fight/*.mp4"), *folder.glob("noFight/*.mp4")), key=lambda p: (p.stem[-3:], p.stem))
    return [
        Outcome(f"{path.parent.name}/{path.name}", path.parent.name == "fight", sources.get(path.stem, path.stem))
        for path in paths
    ]


def entropy_spread(path: Path, config: VideoConfig) -> float:
    """Returns the standard deviation over time of how evenly directions of motion are spread."""
    meter, rows = MotionMeter(), []
    for batch in open_stream(path, config, fps=config.motion_fps, max_side=config.max_side):
        for image, time_s in zip(batch.images, batch.times_s, strict=True):
            meter.push(image, float(time_s))
            rows.append(float(meter.take()[_ENTROPY]))
    return float(np.std(rows[1:])) if len(rows) > 1 else 0.0


def measure(outcome: Outcome, folder: Path, models: Models, config: Config, number: int) -> None:
    """Analyses one clip and adds its scores; `number` seeds its random baseline."""
    path = folder / outcome.clip
    report = analyze(path, config, models=models)
    _, differences = grey_differences(path, config.video)
    outcome.events = len(report.events)
    outcome.scores = {
        OWN: float(report.scores.scores.max(initial=0.0)),
        "spread of direction entropy": entropy_spread(path, config.video),
        "mean frame difference": float(differences[1:].mean()) if len(differences) > 1 else 0.0,
        "random": float(np.random.default_rng([0, number]).random()),
    }


def areas(outcomes: Sequence[Outcome]) -> dict[str, Area | None]:
    """Returns the AUC over clips of every score, clips grouped by source video."""
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.scores:
            groups[outcome.source].append(outcome)
    names = next((outcome.scores for outcome in outcomes if outcome.scores), {})
    return {name: area([_labelled(source, group, name) for source, group in groups.items()]) for name in names}


def _labelled(source: str, group: Sequence[Outcome], name: str) -> LabelledScores:
    scores = np.array([outcome.scores[name] for outcome in group])
    return LabelledScores(source, scores, np.array([outcome.fight for outcome in group]))


def main() -> None:
    """Analyses the clips and prints the tables."""
    options = options_of(
        __doc__,
        ("folder", {"type": Path, "metavar": "FOLDER"}),
        ("--limit", {"type": int, "help": "only the first so many clips"}),
        ("--debug", {"action": "store_true", "help": "show tracebacks of failures"}),
    )
    config, about = Config(), machine()
    outcomes = read_clips(options.folder)[: options.limit]
    models = load_models(config.perception)
    for number, outcome in enumerate(watched(outcomes, "Analysing clips")):
        attempt = Attempt(options.debug)
        with attempt:
            measure(outcome, options.folder, models, config, number)
        outcome.failure = attempt.failure.message if attempt.failure else None

    found = areas(outcomes)
    done = [outcome for outcome in outcomes if outcome.failure is None]
    sources = len({outcome.source for outcome in done})
    print(f"{len(done)} clips of {sources} source videos; 95 % interval by a bootstrap over source videos.\n")
    print_table(("score of a clip", "AUC"), found.items())
    threshold = config.events.threshold
    kinds = {"fights": [o for o in done if o.fight], "no fights": [o for o in done if not o.fight]}
    rows = [
        (name, share([o.scores[OWN] > threshold for o in group]), share([o.events > 0 for o in group]))
        for name, group in kinds.items()
    ]
    print_table(("clips", f"score over {threshold}", "an event reported"), rows)
    failed = [f"{outcome.clip} ({outcome.failure})" for outcome in outcomes if outcome.failure is not None]
    print(f"Failed and left out: {', '.join(failed) or 'none'}.")
    write_json(options.json, {"machine": about, "config": config.digest(), "auc": found, "clips": outcomes})


if __name__ == "__main__":
    main()
