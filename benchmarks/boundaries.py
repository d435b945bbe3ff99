"""Measures event boundaries: known cuts of composed videos, and annotated starts and ends of real anomalies.

    python -m benchmarks.boundaries CLIPS_DIR [--videos 16] [--seed 100] [--leave-out TEXT ...] [--cache FOLDER]
                                    [--json OUT]

CLIPS_DIR/clips.json lists the clips (benchmarks/README.md). Composed videos are made of them, 40 s each, in a folder
that is removed again; clips whose path holds a `--leave-out` text are no source of shots, since they hold cuts of their
own that nobody has written down. Real starts and ends are those at least half a second inside their clip. Compared are
the default, its causal form, the published recipe, each departure from it taken back, the detectors of PySceneDetect as
they come (`pip install scenedetect`), and windows of fixed length. The detectors of persons play no part here and are
left out. `--cache` keeps what was seen of each video.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.clips import Clip, read_clips
from benchmarks.common import machine, options_of, print_table, watched, write_json
from benchmarks.composed import draw, render
from vau.config import Config, EventsConfig, RecipeConfig
from vau.eval.metrics.boundaries import TOLERANCES_S, Boundaries, BoundaryFigures, boundary_figures, matches
from vau.events import segment, segment_causal
from vau.events.recipe import DEFAULT, FAITHFUL
from vau.perception.efficientnet import EfficientNetEmbedder
from vau.perception.observe import Models, observe
from vau.types import Detection, Detections, Observations, UInt8
from vau.video import open_stream, probe

Times = NDArray[np.float64]
Method = Callable[["Subject"], Times]

OWN = "default"
COMPOSED_S = 40.0
INSIDE_S = 0.5
WINDOWS_S = (2.0, 4.0, 6.0, 10.0)
DETECTORS = ("ContentDetector", "AdaptiveDetector", "ThresholdDetector", "HashDetector", "HistogramDetector")
RESAMPLES = 1000

# Each departure from the published recipe, taken back alone in the default.
TAKEN_BACK: dict[str, dict[str, object]] = {
    "order of insertion": {"order": "insertion", "graph": "blocks"},
    "motion: mean flow": {"motion": "mean"},
    "motion: pixels a frame": {"motion_scale": "pixels"},
    "motion: fixed scale": {"motion_scale": "fixed"},
    "graph: blocks": {"graph": "blocks"},
    "graph: none": {"propagation": 0.0},
    "graph: band of 2 s": {"band_s": 2.0},
    "graph: band of 60 s": {"band_s": 60.0},
    "attention: mask": {"attention": "mask"},
    "mean removed": {"remove_mean": True},
    "scales: without motion": {"scales": "two"},
    "scales: frames only": {"scales": "frames"},
    "smoothing: Savitzky-Golay": {"smoothing": "savgol"},
    "smoothing: none": {"smoothing": "none"},
    "background: trailing mean": {"background": "trailing"},
    "threshold: MAD": {"threshold": "mad"},
    "threshold: MAD, 3 of them": {"threshold": "mad", "deviations": 3.0},
    "keep: last": {"keep": "last"},
    "index: half a window": {"index": "half_window"},
    "tail of 2 s": {"tail_s": 2.0},
}


@dataclass(frozen=True, eq=False)
class Subject:
    """A video, what was seen of it, and its true boundaries."""

    name: str
    path: Path
    seen: Observations
    true_s: Times


class _Blind:
    """Stands for a detector that sees nothing: boundaries need none, and they cost the most."""

    name = "none"

    def detect(self, images: UInt8) -> list[list[Detection]]:
        return [[] for _ in images]


def look(path: Path, models: Models, config: Config, kept: Path | None) -> Observations:
    """Observes a video without detectors, or reads what was kept of it."""
    if kept is not None and kept.exists():
        with np.load(kept, allow_pickle=False) as data:
            return Observations(
                data["times_s"],
                data["embeddings"],
                data["motion"],
                tuple(data["channels"].tolist()),
                (),
                Detections.of([()] * len(data["times_s"])),
                (int(data["size"][0]), int(data["size"][1])),
                float(data["duration_s"]),
            )
    info = probe(path, config.video)
    frames = open_stream(path, config.video, fps=config.video.motion_fps, max_side=config.video.max_side, info=info)
    seen = observe(frames, info, models, sample_fps=config.video.sample_fps)
    seen = replace(seen, duration_s=frames.info.duration_s)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            kept,
            times_s=seen.times_s,
            embeddings=seen.embeddings,
            motion=seen.motion,
            channels=np.array(seen.motion_channels),
            size=np.array(seen.frame_size),
            duration_s=np.array(seen.duration_s),
        )
    return seen


def true_boundaries(clip: Clip, duration_s: float) -> Times:
    """Returns the starts and ends of a clip's events that lie inside it, each once."""
    times = np.unique([time_s for span in clip.events for time_s in span]).astype(np.float64)
    return times[(times >= INSIDE_S) & (times <= duration_s - INSIDE_S)]


def varied(config: EventsConfig, changes: dict[str, object]) -> EventsConfig:
    """Returns a copy with settings and switches replaced, by name."""
    recipe = {name: value for name, value in changes.items() if name in RecipeConfig.model_fields}
    others = {name: value for name, value in changes.items() if name not in recipe}
    switched = RecipeConfig.model_validate(config.recipe.model_dump() | recipe)
    return EventsConfig.model_validate(config.model_dump() | others | {"recipe": switched})


def methods() -> dict[str, Method]:
    """Returns what is compared, by name; the detectors of PySceneDetect where it is installed."""
    found = {
        OWN: _ours(DEFAULT),
        "default, causal": lambda subject: segment_causal(subject.seen, DEFAULT).edges_s[1:-1],
        "published (faithful)": _ours(FAITHFUL),
        "published, order of insertion": _ours(varied(FAITHFUL, {"order": "insertion"})),
        "published, right index": _ours(varied(FAITHFUL, {"index": "exact", "tail_s": 0.0})),
    }
    if find_spec("scenedetect") is not None:
        found |= {f"PySceneDetect {name}": _scene_detector(name) for name in DETECTORS}
    found |= {f"every {length_s:g} s": _fixed(length_s) for length_s in WINDOWS_S}
    return found | {f"default, {name}": _ours(varied(DEFAULT, changes)) for name, changes in TAKEN_BACK.items()}


def _ours(config: EventsConfig) -> Method:
    return lambda subject: segment(subject.seen, config).edges_s[1:-1]


def _fixed(length_s: float) -> Method:
    return lambda subject: np.arange(length_s, subject.seen.duration_s - 1e-6, length_s)


def _scene_detector(name: str) -> Method:
    def find(subject: Subject) -> Times:
        scenedetect = import_module("scenedetect")
        scenes = scenedetect.detect(str(subject.path), getattr(scenedetect, name)())
        return np.array([start.seconds for start, _ in scenes[1:]], np.float64)

    return find


@dataclass(frozen=True)
class Result:
    """Figures of one method on one set, with the 95 % interval of F1 at one second over resampled videos."""

    method: str
    figures: tuple[BoundaryFigures, ...]
    interval: tuple[float, float]
    ahead: tuple[float, float] | None  # 95 % interval of the default's F1 minus this one's


def evaluate(subjects: Sequence[Subject], compared: dict[str, Method]) -> list[Result]:
    """Runs all methods on a set of videos; the first is what the others are compared with."""
    draws = np.random.default_rng(0).multinomial(len(subjects), np.full(len(subjects), 1 / len(subjects)), RESAMPLES)
    results: list[Result] = []
    own: Times | None = None
    for name, method in watched(list(compared.items()), "Segmenting"):
        found = [Boundaries(subject.name, method(subject), subject.true_s) for subject in subjects]
        resampled = _resampled_f1(found, draws)
        own = resampled if own is None else own
        results.append(
            Result(
                name,
                boundary_figures(found, tolerances_s=TOLERANCES_S),
                _interval(resampled),
                _interval(own - resampled) if results else None,
            )
        )
    return results


def _resampled_f1(found: Sequence[Boundaries], draws: NDArray[np.int64]) -> Times:
    hits = draws @ np.array([matches(video, 1.0) for video in found])
    total = draws @ np.array([len(video.predicted_s) + len(video.true_s) for video in found])
    return np.asarray(2 * hits / np.maximum(total, 1), dtype=np.float64)


def _interval(values: Times) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def print_results(title: str, results: Sequence[Result]) -> None:
    """Prints a table."""
    print(f"{title}\n")
    head = (
        "method",
        "found",
        "true",
        "P 1 s",
        "R 1 s",
        "F1 0.5 s",
        "F1 1 s",
        "F1 2 s",
        "95 % of F1 1 s",
        "default ahead by",
    )
    print_table(head, map(_row, results))


def _row(result: Result) -> tuple[object, ...]:
    half, one, two = result.figures
    shares = (one.precision, one.recall, half.f1, one.f1, two.f1)
    return (
        result.method,
        one.predicted,
        one.true,
        *(None if share is None else f"{share:.3f}" for share in shares),
        "{:.2f} to {:.2f}".format(*result.interval),
        None if result.ahead is None else "{:+.2f} to {:+.2f}".format(*result.ahead),
    )


def main() -> None:
    """Makes the videos, looks at them and prints the tables."""
    options = options_of(
        __doc__,
        ("clips", {"type": Path, "metavar": "CLIPS_DIR"}),
        ("--videos", {"type": int, "default": 16, "help": "composed videos"}),
        ("--seed", {"type": int, "default": 100, "help": "of the first composed video"}),
        ("--leave-out", {"nargs": "*", "default": [], "metavar": "TEXT", "help": "clips that are no source of shots"}),
        ("--cache", {"type": Path, "metavar": "FOLDER", "help": "keep what was seen of each video there"}),
    )
    config, about = Config(), machine()
    models = Models(_Blind(), EfficientNetEmbedder(threads=config.perception.threads), None)
    clips = read_clips(options.clips)

    def seen(name: str, path: Path) -> Observations:
        kept = options.cache / f"{name.replace('/', '__')}.npz" if options.cache else None
        return look(path, models, config, kept)

    with tempfile.TemporaryDirectory() as made:
        sources = [options.clips / clip.file for clip in clips if not any(t in clip.file for t in options.leave_out)]
        composed = []
        for seed in watched(range(options.seed, options.seed + options.videos), "Composing"):
            plan = draw(sources, options.clips, seed=seed, duration_s=COMPOSED_S)
            path = Path(made) / f"{plan.name}.mp4"
            render(plan, path)
            composed.append(Subject(plan.name, path, seen(plan.name, path), plan.cuts_s))
        real = []
        for clip in watched(clips, "Looking at clips"):
            observations = seen(clip.file, options.clips / clip.file)
            truth = true_boundaries(clip, observations.duration_s)
            real.append(Subject(clip.file, options.clips / clip.file, observations, truth))
        anomalous = [subject for subject in real if len(subject.true_s)]
        sets = {
            "Cuts and cross-fades of composed videos": composed,
            "Starts and ends of anomalies in real clips, all clips": real,
            "The same, only clips that have any": anomalous,
        }
        results = {title: evaluate(subjects, methods()) for title, subjects in sets.items() if subjects}
    for title, found in results.items():
        print_results(title, found)
    write_json(options.json, {"machine": about, "config": config.digest(), "results": results})


if __name__ == "__main__":
    main()
