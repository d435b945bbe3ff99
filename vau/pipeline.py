"""From a video to its report: the recipe of the whole system, one stage a paragraph.

Each stage takes and returns the value types of `vau.types`; to change one, change its line here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from vau.config import Config
from vau.events.boundaries import segment
from vau.events.spans import find_events
from vau.memory import give_back
from vau.mllm.open import OpenMllm
from vau.mllm.ready import ready_mllm
from vau.perception.observe import Models, load_models, look_through
from vau.reasoning.account import tell
from vau.reasoning.narrate import narrate
from vau.relations.extract import extract_relations, relation_changes
from vau.sampling.caes import caes, overview
from vau.scoring.camera.watch import CameraScorer
from vau.scoring.load import load_scorer
from vau.scoring.pictures import PictureScorer
from vau.scoring.scorer import Scorer
from vau.types import FrameBatch, Report, ScoreTrack, VideoInfo
from vau.video import open_stream, probe, read_at
from vau.video.pictures import with_pictures

Progress = Callable[[str, float], None]

_PACKAGES = ("vau", "numpy", "opencv-python", "av", "ai-edge-litert", "trackers", "networkx")


def analyze(
    video: Path | str,
    config: Config | None = None,
    *,
    models: Models | None = None,
    scorer: Scorer | None = None,
    mllm: OpenMllm | None = None,
    progress: Progress | None = None,
    notes: Sequence[str] = (),
) -> Report:
    """Analyses one video.

    Args:
        video: path of a video file.
        config: the default is the embedded one: CPU, packaged weights, no network.
        models: loaded models to use again for many videos; they are loaded from `config` otherwise.
        scorer: a loaded scorer to use again; it is loaded from `config` otherwise.
        mllm: an opened language model to use again, which was found ready; it is opened from `config` otherwise, where
            that names another than the embedded narrator.
        progress: called with the name of the running stage and how much of it is done, 0 to 1.
        notes: what a reader of the report must know beforehand, such as that footage was staged.

    Returns:
        The report: scores, events, keyframes with pictures, tracks, relations, causal graph and accounts; and what the
        language model told, where there is one. What it could not tell is recorded there, and all else is as without.

    Raises:
        VideoError: the file cannot be opened or exceeds a limit.
        WeightsError: packaged weights are missing; MissingExtraError: a chosen model's extra is.
        CheckpointError: the configured scorer's checkpoint cannot be used, or does not fit the configuration.
        ScoreError: a signal came out as NaN.
        MllmError: the language model is not ready; found out before the video is read.
    """
    with ExitStack() as opened:
        return _analyze(Path(video), config or Config(), models, scorer, mllm, opened, _Clock(progress), notes)


def _analyze(
    path: Path,
    config: Config,
    models: Models | None,
    scorer: Scorer | None,
    mllm: OpenMllm | None,
    opened: ExitStack,  # what is closed at the end
    clock: _Clock,
    notes: Sequence[str],
) -> Report:
    # Open: is it a video, and one that we are willing to read?
    with clock.stage("open"):
        info = probe(path, config.video)
        mllm = mllm or opened.enter_context(ready_mllm(config.mllm))
        borrowed, models = models is not None, models or load_models(config.perception)
        scorer = scorer or load_scorer(
            config.scoring, config.perception, config.video, mllm=config.mllm, events=config.events, model=mllm
        )

    # Perceive: one pass over the frames gives flow, embeddings, detections and, at its end, tracks.
    with clock.stage("perceive"):
        frames = open_stream(path, config.video, fps=config.video.motion_fps, max_side=config.video.max_side, info=info)
        # A fixed camera's scorer sees every frame that passes, not only the sampled ones.
        passing: Iterable[FrameBatch] = frames
        if isinstance(scorer, CameraScorer):
            scorer = watch = scorer.watch(info, models.embedder)
            passing = watch.see(frames)
        looks = look_through(
            passing,
            info,
            models,
            sample_fps=config.video.sample_fps,
            progress=lambda time_s: clock.report("perceive", time_s / max(info.duration_s, 1e-3)),
        )
        # Only now is it known how long the video really is.
        info = frames.info
        used = models.names
        if not borrowed:
            # Hundreds of megabytes, which an hour of what was seen has better use for.
            del passing, models
            give_back()
        seen = looks.observations(info.duration_s)

    # Relate: who does what to whom, and when that changes.
    with clock.stage("relate"):
        relations = extract_relations(seen)
        changes = relation_changes(relations, seen)

    # Score: how abnormal each moment is, with the share that each named signal has in it.
    with clock.stage("score"):
        # A model that judges pictures reads those of times of its own choice again.
        judge = None
        if isinstance(scorer, PictureScorer):
            pictures = partial(
                read_at, path, config=config.video, max_side=config.mllm.image_side, seek=not frames.dropped
            )
            scorer = judge = scorer.with_pictures(pictures, lambda done: clock.report("score", done))
        scores = scorer.score(seen, relations)

    # Find events: boundaries cut the video into segments, the score says which spans are abnormal.
    with clock.stage("find events"):
        segments = segment(seen, config.events)
        events = find_events(scores, segments, config.events)

    # Choose keyframes before, during and after each event, and read those frames again.
    with clock.stage("choose keyframes"):
        keyframes = caes(scores, events, config.sampling, changes)
        if not events:
            keyframes = overview(scores.times_s, scores.scores, config.sampling.keyframes)
        keyframes = with_pictures(path, keyframes, config, reliable_seek=not frames.dropped)

    # Tell: the causal account, every sentence tied to its evidence.
    with clock.stage("tell"):
        graph, accounts = tell(info, seen, scores, segments, events, relations, changes)

    report = Report(
        video=info,
        config_digest=config.digest(),
        versions=_versions(),
        models=(*used, scores.scorer),
        scores=scores,
        segments=segments,
        events=events,
        keyframes=keyframes,
        tracks=seen.tracks,
        relations=relations,
        changes=changes,
        graph=graph,
        accounts=accounts,
        timings_s=(),
        notes=(*notes, *_own_notes(info, frames.dropped, scores), *(judge.notes if judge else ())),
    )

    # Narrate: a language model, where there is one, tells the events too, and is checked. Nothing above changes by it.
    if mllm is not None:
        with clock.stage("narrate"):
            told = narrate(report, mllm, config.mllm, lambda done: clock.report("narrate", done))
            report = replace(report, narration=told)

    return replace(report, timings_s=tuple(clock.timings))


class _Clock:
    """Times the stages and reports progress."""

    def __init__(self, progress: Progress | None) -> None:
        self.timings: list[tuple[str, float]] = []
        self._progress = progress

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        self.report(name, 0.0)
        started = time.perf_counter()
        yield
        self.timings.append((name, time.perf_counter() - started))
        self.report(name, 1.0)

    def report(self, name: str, done: float) -> None:
        if self._progress is not None:
            self._progress(name, min(max(done, 0.0), 1.0))


def _versions() -> tuple[tuple[str, str], ...]:
    found = []
    for package in _PACKAGES:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            continue
    return tuple(found)


def _own_notes(info: VideoInfo, dropped: int, scores: ScoreTrack) -> list[str]:
    notes = []
    if info.truncated:
        notes.append("The file is damaged or ends early; what could be decoded was analysed.")
    if dropped:
        notes.append(f"{dropped} frames with unusable timestamps were left out.")
    if not len(scores):
        notes.append("No frame could be sampled.")
    return notes
