"""Measures every scorer that needs no training on real clips with annotated event times, with and without smoothing.

    python -m benchmarks.training_free CLIPS_DIR [--cache FOLDER] [--clip-weights NAME] [--json OUT] [--limit N]

CLIPS_DIR is that of `benchmarks.clips`; its single clips are used, not the set of one camera. Each scorer is crossed
with each post-processing. All frames of a clip count, those of an aftermath as normal. A score that is absolute, so
that 0.5 means an event, also shows in how many normal clips it stays below that. With `--cache`, what perception saw
is kept in that folder and used again while the configuration and the clip are the same; delete it when perception or
the signals have changed. The scorers that read text need CLIP weights, which are not packaged: `--clip-weights` takes
an OpenCLIP name or file, embeds the frames with it for all scorers, and adds nova and flashback to the table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.clips import Clip, centre_prior, on_samples, read_clips
from benchmarks.common import grey_differences, machine, options_of, print_table, share, watched, write_json
from vau.cli.failures import Attempt
from vau.config import Config, ScoringConfig
from vau.eval.frame import LabelledScores, interval_labels
from vau.eval.metrics.bootstrap import Estimate
from vau.eval.result import FrameResult, evaluate_frames
from vau.perception.observe import Models, load_models, observe
from vau.relations.extract import extract_relations
from vau.scoring import postprocess
from vau.scoring.envelope import with_envelope, with_floor
from vau.scoring.load import load_scorer
from vau.scoring.themis import CHOSEN, HALVES, Themis
from vau.scoring.training_free import score
from vau.types import Detections, Observations, ScoreTrack
from vau.video import open_stream

Series = NDArray[np.float64]

OWN = "signals"
EVENT = 0.5  # an absolute score's level of an event
RESAMPLES = 500
RELATIVE = ("frame difference", "centre prior", "random")  # scores of no absolute scale
LEFT_OUT = "Left out: nova and flashback, which need CLIP weights (--clip-weights)."


@dataclass(frozen=True, eq=False)
class Seen:
    """What the scorers need of one clip."""

    clip: Clip
    number: int  # seeds the random score
    duration_s: float
    times_s: Series  # (N,)
    embeddings: NDArray[np.float32]  # (N, D)
    signals: Series  # (N,) score of the default scorer, without envelope
    difference: Series  # (N,) frame difference

    @property
    def labels(self) -> NDArray[np.bool_]:
        """Which sampled times lie inside an annotated event."""
        return interval_labels(self.times_s, self.clip.events)


@dataclass(frozen=True)
class Row:
    """What one scorer reaches with one post-processing."""

    scorer: str
    processing: str
    result: FrameResult
    peaks: str | None  # anomalous clips with the peak inside an event
    quiet: str | None  # normal clips below the level of an event, for absolute scores


def _themis(*signals: str) -> Callable[[Seen], Series]:
    scorer = Themis(signals or CHOSEN)
    return lambda seen: scorer.score_embeddings(seen.embeddings, seen.times_s).scores.astype(np.float64)


def scorers(config: Config) -> dict[str, Callable[[Seen], Series]]:
    """Returns the scorers by name, those that read text only where frames are embedded in a space with words."""
    themis = _themis()
    found: dict[str, Callable[[Seen], Series]] = {
        OWN: lambda seen: seen.signals,
        f"{OWN} over themis": lambda seen: _over(seen, seen.signals, themis(seen)),
        "themis": themis,
        **{f"themis: {name}": _themis(name) for name in HALVES},
        "frame difference": lambda seen: seen.difference,
        "centre prior": lambda seen: centre_prior(seen.times_s, seen.duration_s),
        "random": lambda seen: np.random.default_rng([0, seen.number]).random(len(seen.times_s)),
    }
    if config.perception.embedder == "open_clip":
        found |= {"nova": _text("nova", config), "flashback": _text("flashback", config)}
    return found


def _text(method: Literal["nova", "flashback"], config: Config) -> Callable[[Seen], Series]:
    scorer = load_scorer(ScoringConfig(method=method), config.perception)

    def run(seen: Seen) -> Series:
        count = len(seen.times_s)
        motion, detections = np.zeros((count, 0), np.float32), Detections.of([()] * count)
        alone = Observations(seen.times_s, seen.embeddings, motion, (), (), detections, (1, 1), seen.duration_s)
        return scorer.score(alone).scores.astype(np.float64)

    return run


def _smooth(sigma_s: float, *, causal: bool = False) -> Callable[[Series, Seen], Series]:
    return lambda scores, seen: postprocess.smooth(scores, seen.times_s, sigma_s, causal=causal)


def _refine(how: postprocess.Refinement) -> Callable[[Series, Seen], Series]:
    return lambda scores, seen: postprocess.refine(scores, seen.embeddings, seen.times_s, how)


def _track(seen: Seen, scores: Series, name: str = "score") -> ScoreTrack:
    values = scores.astype(np.float32)
    return ScoreTrack(seen.times_s, values, name, values[:, None], (name,))


def _over(seen: Seen, scores: Series, weak: Series) -> Series:
    return with_floor(_track(seen, scores), _track(seen, weak, "weak")).scores.astype(np.float64)


def _envelope(scores: Series, seen: Seen) -> Series:
    return with_envelope(_track(seen, scores)).scores.astype(np.float64)


PROCESSING: dict[str, Callable[[Series, Seen], Series]] = {
    "none": lambda scores, seen: scores,
    "envelope (causal)": _envelope,
    **{f"Gaussian, {sigma_s:g} s": _smooth(sigma_s) for sigma_s in (1.0, 2.0, 4.0)},
    "Gaussian, 2 s, causal": _smooth(2.0, causal=True),
    "refined as LAVAD": _refine(postprocess.LAVAD),
    "refined as VERA": _refine(postprocess.VERA),
    "refined as VADTree": _refine(postprocess.VADTREE),
    "refined as VERA, Gaussian, 2 s": lambda scores, seen: _smooth(2.0)(_refine(postprocess.VERA)(scores, seen), seen),
}


def look(clip: Clip, number: int, folder: Path, models: Models, config: Config) -> Seen:
    """Runs perception and the default scorer's signals on one clip."""
    path = folder / clip.file
    frames = open_stream(path, config.video, fps=config.video.motion_fps, max_side=config.video.max_side)
    seen = observe(frames, frames.info, models, sample_fps=config.video.sample_fps)
    return Seen(
        clip,
        number,
        frames.info.duration_s,
        seen.times_s,
        seen.embeddings,
        score(seen, extract_relations(seen), config.scoring).scores.astype(np.float64),
        on_samples(seen.times_s, *grey_differences(path, config.video)),
    )


def remembered(clip: Clip, number: int, folder: Path, models: Models, config: Config, cache: Path | None) -> Seen:
    """Returns what `look` does, from the cache where it is there."""
    if cache is None:
        return look(clip, number, folder, models, config)
    content = hashlib.sha256((folder / clip.file).read_bytes()).hexdigest()[:16]
    path = cache / f"{config.digest()}-{content}.npz"
    names = ("times_s", "embeddings", "signals", "difference")
    if not path.is_file():
        seen = look(clip, number, folder, models, config)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, duration_s=seen.duration_s, **{name: getattr(seen, name) for name in names})
        return seen
    with np.load(path, allow_pickle=False) as kept:
        return Seen(clip, number, float(kept["duration_s"]), *(kept[name] for name in names))


def measure(clips: Sequence[Seen], scorer: str, scores: Sequence[Series], processing: str) -> Row:
    """Evaluates the scores of all clips after one post-processing."""
    curves = [PROCESSING[processing](curve, seen) for curve, seen in zip(scores, clips, strict=True)]
    videos = [LabelledScores(seen.clip.file, curve, seen.labels) for seen, curve in zip(clips, curves, strict=True)]
    peaks = [
        bool(curve.max() > 0 and seen.labels[curve.argmax()])
        for seen, curve in zip(clips, curves, strict=True)
        if seen.clip.anomalous
    ]
    quiet = [bool(curve.max() < EVENT) for seen, curve in zip(clips, curves, strict=True) if not seen.clip.anomalous]
    result = evaluate_frames(videos, expected=len(clips), resamples=RESAMPLES)
    return Row(scorer, processing, result, share(peaks), None if scorer in RELATIVE else share(quiet))


def print_rows(rows: Sequence[Row]) -> None:
    """Prints one line a combination."""
    head = ("scorer", "post-processing", "frame AUC", "AUC, abnormal clips only", "AP step", "peak inside", "quiet")
    print_table(head, map(_line, rows))


def _line(row: Row) -> tuple[object, ...]:
    result = row.result
    figures = (result.auc, result.auc_abnormal_only, result.ap_step)
    return row.scorer, row.processing, *(_short(figure) for figure in figures), row.peaks, row.quiet


def _short(figure: Estimate) -> str | None:
    span = "" if figure.low is None or figure.high is None else f" [{figure.low:.3f}, {figure.high:.3f}]"
    return None if figure.value is None else f"{figure.value:.3f}{span}"


def main() -> None:
    """Analyses the clips and prints the table."""
    options = options_of(
        __doc__,
        ("clips", {"type": Path, "metavar": "CLIPS_DIR"}),
        ("--cache", {"type": Path, "metavar": "FOLDER", "help": "keep there what perception saw, and use it again"}),
        ("--clip-weights", {"metavar": "NAME", "help": "OpenCLIP weights, a name or a file"}),
        ("--limit", {"type": int, "help": "only the first so many clips"}),
        ("--debug", {"action": "store_true", "help": "show tracebacks of failures"}),
    )
    config, about = Config(), machine()
    if options.clip_weights is not None:
        chosen = {"perception.embedder": "open_clip", "perception.clip_pretrained": options.clip_weights}
        config = config.with_overrides(chosen)
    clips = [clip for clip in read_clips(options.clips) if clip.single][: options.limit]
    models = load_models(config.perception)
    seen: list[Seen] = []
    failed: list[str] = []
    for number, clip in enumerate(watched(clips, "Analysing clips")):
        attempt = Attempt(options.debug)
        with attempt:
            seen.append(remembered(clip, number, options.clips, models, config, options.cache))
        if attempt.failure:
            failed.append(f"{clip.file} ({attempt.failure.message})")

    rows: list[Row] = []
    for name, run in watched(list(scorers(config).items()), "Scoring"):
        scores = [run(clip) for clip in seen]
        rows += [measure(seen, name, scores, processing) for processing in PROCESSING]
    print(f"{len(seen)} of {len(clips)} single clips; 95 % intervals by a bootstrap over whole videos.\n")
    print_rows(rows)
    if config.perception.embedder != "open_clip":
        print(LEFT_OUT)
    print(f"Failed and left out: {', '.join(failed) or 'none'}.")
    write_json(options.json, {"machine": about, "config": config.digest(), "failed": failed, "rows": rows})


if __name__ == "__main__":
    main()
