"""Measures fixed-camera scorers on UCSD Ped2: trained on its normal clips, tested on clips with labels and boxes.

    python -m benchmarks.ped2 TRAIN TEST TRUTH [--out FOLDER] [--json OUT] [--no-heat] [--no-free]

TRAIN and TEST hold clips, TRUTH is a JSON file: by clip, `frames`, `official_gt_frames_1based` and `boxes_xywh`. Clips
of TEST without truth are scored but not measured. --out keeps the scores of all frames, scores.npz (a scorer and a clip
a name) and scores.jsonl, so that others can measure clips whose truth is not here. Nothing is fitted to the test clips;
but the first six of them were seen while the method was developed, and the level of an event was set with their figures
in view, so that clips not seen then are the better test. Intervals resample whole clips.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.common import machine, options_of, print_table, watched, write_json
from vau.config import Config
from vau.errors import InputError
from vau.eval.frame import LabelledScores
from vau.eval.metrics.regions import RegionFigures, RegionTrack, region_figures
from vau.eval.metrics.regions import Regions as PredictedRegions
from vau.eval.result import FrameResult, evaluate_frames
from vau.perception.observe import Models, load_models, observe
from vau.scoring.camera.density import Density, Smoothing, fused
from vau.scoring.camera.objects import DensityCamera
from vau.scoring.camera.watch import CameraScorer, Regions, strongest
from vau.scoring.camera.ways import overlaps
from vau.scoring.scorer import Scorer
from vau.scoring.themis import Themis
from vau.scoring.training_free import SignalScorer
from vau.training.camera.density import DensitySettings, NormalVideo, fit_density
from vau.training.camera.run import LOOK_EVERY
from vau.training.camera.videos import Footage, find_footage, see_movers, see_pictures
from vau.video import open_stream, probe

FPS = 10.0  # of the data set
DENSITY, CAUSAL, HEAT, BOTH = "density", "density, causal", "EfficientAD", "density + EfficientAD"
_CLIPS = 12  # of the whole test set
_SAME = 0.1  # overlap by which true boxes of successive frames are one track

Float64 = NDArray[np.float64]


@dataclass
class Clip:
    """One test clip and what came of it."""

    path: Path
    curves: dict[str, Float64] = field(default_factory=dict)  # scores of all frames (N,), by scorer
    regions: dict[str, Regions] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The clip's name in the truth."""
        return self.path.stem


def labels_of(entry: dict[str, Any]) -> NDArray[np.bool_]:
    """Returns which frames (N,) are abnormal; the truth counts them from 1, both ends included."""
    labels = np.zeros(int(entry["frames"]), bool)
    spans = np.array(entry["official_gt_frames_1based"], int).reshape(-1, 2)
    for start, end in spans:
        labels[start - 1 : end] = True
    return labels


def tracks_of(clip: str, boxes_xywh: Sequence[Sequence[Sequence[float]]]) -> list[RegionTrack]:
    """Links true boxes of successive frames that overlap into tracks, each box to at most one."""
    open_tracks: list[list[tuple[int, Float64]]] = []
    done: list[list[tuple[int, Float64]]] = []
    for frame, boxes in enumerate(boxes_xywh):
        waiting = [np.array([x, y, x + w - 1, y + h - 1], np.float64) for x, y, w, h in boxes]
        going_on = []
        for track in open_tracks:
            alike = [float(overlaps(track[-1][1][None], box[None])[0, 0]) for box in waiting]
            if alike and max(alike) > _SAME:
                track.append((frame, waiting.pop(int(np.argmax(alike)))))
                going_on.append(track)
            else:
                done.append(track)
        open_tracks = going_on + [[(frame, box)] for box in waiting]
    return [
        RegionTrack(clip, np.array([frame for frame, _ in track]), np.stack([box for _, box in track]))
        for track in done + open_tracks
    ]


def learn_heat(footage: Sequence[Footage], config: Config) -> CameraScorer:
    """Trains EfficientAD on the normal clips."""
    from vau.training.camera.efficient_ad import HeatSettings, NormalPictures, fit_efficient_ad, input_size

    settings = HeatSettings()
    size = input_size((footage[0].info.width, footage[0].info.height), settings.side)
    videos = []
    for item in footage:
        times, pictures = see_pictures(
            item,
            config,
            fps=FPS,
            size=size,
            temporal=settings.temporal,
            keep=max(1, settings.most // len(footage)),
            progress=lambda share: None,
        )
        videos.append(NormalPictures(item.path.stem, times, pictures))
    return fit_efficient_ad(videos, settings)[0]


def watch_clip(clip: Clip, config: Config, models: Models, cameras: dict[str, CameraScorer], causal: Density) -> None:
    """Scores every frame of one clip by the trained cameras, in one decode pass."""
    info = probe(clip.path, config.video)
    watches = {name: camera.watch(info, models.embedder) for name, camera in cameras.items()}
    frames: Any = open_stream(clip.path, config.video, fps=FPS, max_side=config.video.max_side, info=info)
    for watch in watches.values():
        frames = watch.see(frames)
    for _ in frames:
        pass
    columns = {}
    for name, watch in watches.items():
        _, columns[name] = watch.values()
        for index, signal in enumerate(watch.signals):
            clip.curves[f"{name}: {signal}"] = columns[name][:, index]
        clip.curves[name] = fused(columns[name])
        clip.regions[name] = strongest(watch.regions())
    clip.curves[CAUSAL] = fused(causal.frames(watches[DENSITY].movers))  # type: ignore[attr-defined]
    if len(columns) > 1:
        clip.curves[BOTH] = fused(np.concatenate(list(columns.values()), axis=1))


def score_free(clip: Clip, config: Config, models: Models, scorers: dict[str, Scorer]) -> None:
    """Scores one clip by scorers without training; each frame has the score of the nearest sampled one."""
    info = probe(clip.path, config.video)
    stream = open_stream(
        clip.path, config.video, fps=config.video.motion_fps, max_side=config.video.max_side, info=info
    )
    seen = observe(stream, info, models, sample_fps=config.video.sample_fps)
    times = np.arange(round(info.duration_s * FPS)) / FPS
    nearest = np.abs(times[:, None] - seen.times_s[None]).argmin(axis=1)
    for name, scorer in scorers.items():
        clip.curves[name] = scorer.score(seen).scores[nearest].astype(np.float64)


def measure_frames(clips: Sequence[Clip], truth: dict[str, Any], name: str) -> FrameResult:
    """Returns the frame-level figures of one scorer over the clips with truth."""
    scored = []
    for clip in clips:
        labels = labels_of(truth[clip.name])
        if len(clip.curves[name]) != len(labels):
            raise InputError(f"{clip.name}: {len(clip.curves[name])} frames were scored, the truth has {len(labels)}")
        scored.append(LabelledScores(clip.name, clip.curves[name], labels))
    return evaluate_frames(scored, expected=max(_CLIPS, len(scored)), allow_partial=True)


def measure_regions(clips: Sequence[Clip], truth: dict[str, Any], name: str) -> RegionFigures:
    """Returns the region-level figures of one scorer."""
    tracks = [track for clip in clips for track in tracks_of(clip.name, truth[clip.name]["boxes_xywh"])]
    predicted = [
        PredictedRegions(
            clip.name,
            clip.regions[name].frame,
            clip.regions[name].boxes.astype(np.float64),
            clip.regions[name].values.max(axis=1),
        )
        for clip in clips
    ]
    return region_figures(predicted, tracks, {clip.name: int(truth[clip.name]["frames"]) for clip in clips})


def write_scores(folder: Path, clips: Sequence[Clip]) -> None:
    """Writes the scores of all frames: scores.npz, and scores.jsonl with a line a scorer and clip."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {f"{name}/{clip.name}": curve for clip in clips for name, curve in clip.curves.items()}
    np.savez_compressed(folder / "scores.npz", **arrays)
    with (folder / "scores.jsonl").open("w", encoding="utf-8") as file:
        for clip in clips:
            for name, curve in clip.curves.items():
                line = {"scorer": name, "video": clip.name, "scores": np.round(curve, 5).tolist()}
                file.write(json.dumps(line) + "\n")


def timed(timings: dict[str, float], name: str, work: Callable[[], Any]) -> Any:
    """Runs a step and notes its seconds."""
    started = time.perf_counter()
    result = work()
    timings[name] = timings.get(name, 0.0) + time.perf_counter() - started
    return result


def main() -> None:
    """Trains, scores, and prints the tables."""
    options = options_of(
        __doc__,
        ("train", {"type": Path, "metavar": "TRAIN"}),
        ("test", {"type": Path, "metavar": "TEST"}),
        ("truth", {"type": Path, "metavar": "TRUTH"}),
        ("--out", {"type": Path, "metavar": "FOLDER", "help": "write the scores of all frames here"}),
        ("--no-heat", {"action": "store_true", "help": "leave EfficientAD out"}),
        ("--no-free", {"action": "store_true", "help": "leave scorers without training out"}),
    )
    config, about, timings = Config(), machine(), dict[str, float]()
    cv2.setNumThreads(config.perception.threads)
    truth = json.loads(options.truth.read_text(encoding="utf-8"))
    models = load_models(config.perception)
    footage, _ = find_footage(sorted(options.train.glob("*.mp4")), config)
    clips = [Clip(path) for path in sorted(options.test.glob("*.mp4"))]

    def movers() -> list[NormalVideo]:
        # The people of this set are some twenty pixels tall: the pose model sees none of them.
        settings: dict[str, Any] = {"fps": FPS, "look_every": LOOK_EVERY, "pose": False}
        items = watched(footage, "Watching normal clips")
        return [see_movers(item, config, models, progress=lambda share: None, **settings) for item in items]

    normal = timed(timings, "density: watch normal clips", movers)
    density = timed(timings, "density: fit", lambda: fit_density(normal))
    causal = fit_density(normal, replace(DensitySettings(), smoothing=Smoothing(causal=True)))
    cameras: dict[str, CameraScorer] = {
        DENSITY: DensityCamera(density, embedder=models.embedder.name, look_every=LOOK_EVERY)
    }
    if not options.no_heat:
        cameras[HEAT] = timed(timings, "EfficientAD: read and train", lambda: learn_heat(footage, config))
    free: dict[str, Scorer] = {} if options.no_free else {"signals (no training)": SignalScorer(), "themis": Themis()}
    for clip in watched(clips, "Scoring test clips"):
        timed(timings, "score, trained", lambda item=clip: watch_clip(item, config, models, cameras, causal))
        if free:
            timed(timings, "score, no training", lambda item=clip: score_free(item, config, models, free))
    if options.out:
        write_scores(options.out, clips)

    known = [clip for clip in clips if clip.name in truth]
    unknown = [clip.name for clip in clips if clip.name not in truth]
    found = {name: measure_frames(known, truth, name) for name in known[0].curves} if known else {}
    places = {name: measure_regions(known, truth, name) for name in cameras} if known else {}
    print(f"{len(known)} of the {_CLIPS} test clips, {len(footage)} normal clips; intervals resample clips.\n")
    print_table(
        ("scorer", "micro AUC", "macro AUC", "AP (step)", "RBDC", "TBDC"),
        [
            (
                name,
                result.auc,
                result.macro_auc,
                result.ap_step,
                *((f"{places[name].rbdc:.3f}", f"{places[name].tbdc:.3f}") if name in places else (None, None)),
            )
            for name, result in found.items()
        ],
    )
    if found:
        own = next(iter(found.values()))
        print_table(("score without any model", "micro AUC"), [(name, prior.auc) for name, prior in own.priors.items()])
    print_table(("step", "seconds"), [(name, f"{seconds:.0f}") for name, seconds in timings.items()])
    print(f"Scored, but without truth here: {', '.join(unknown) or 'none'}.")
    frames = {name: result.to_dict() for name, result in found.items()}
    write_json(options.json, {"machine": about, "frames": frames, "regions": places, "seconds": timings})


if __name__ == "__main__":
    main()
