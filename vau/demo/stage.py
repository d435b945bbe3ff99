"""Stages an incident on real footage: surveys it, plays out a scenario, draws it, writes video and truth.

The only module here that opens and writes videos. Nothing is drawn into the picture to mark it as staged; the truth's
disclosure says so, and belongs into every report made from the clip.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from vau.config import VideoConfig
from vau.demo.actors import Pose
from vau.demo.compose import Layer, blend, draw
from vau.demo.footage import known_obstacles
from vau.demo.plots import Actor, Plot, plan
from vau.demo.scene import MAX_RATE, Scene, StagingError, read_frames, survey
from vau.demo.truth import SCENARIOS, ActorTruth, Scenario, Truth
from vau.video.probe import probe

UInt8 = NDArray[np.uint8]

MIN_DURATION_S = 8.0
CRF = 20


@dataclass(frozen=True)
class StagedVideo:
    """A staged clip and what truly happens in it."""

    path: Path
    truth: Truth
    truth_path: Path


def stage(source: Path, out: Path, scenario: Scenario, *, seed: int = 0, max_duration_s: float = 40.0) -> StagedVideo:
    """Stages a scenario on fixed-camera footage of walking people and writes it as H.264 with its truth beside it.

    Args:
        source: the footage.
        out: the video to write, `.mp4`; the truth goes to the same name with `.truth.json`.
        scenario: "fall", "chase", "struck" or "quiet".
        seed: of the noise, and of the choice among equally good places.
        max_duration_s: length of the clip; the incident begins at 45 % of it.

    Raises:
        VideoError: the footage does not decode.
        StagingError: the scenario is unknown, the footage too short, or nothing can be staged on it.
    """
    if scenario not in SCENARIOS:
        raise StagingError(f"no scenario {scenario!r}; choose one of {', '.join(SCENARIOS)}")
    info = probe(source, VideoConfig())
    duration_s = min(info.duration_s, max_duration_s)
    if not duration_s >= MIN_DURATION_S:
        raise StagingError(
            f"{source.name}: {duration_s:.1f} s are too short to stage anything, {MIN_DURATION_S:g} s needed"
        )
    rate = min(max(round(info.nominal_fps, 3), 5.0), MAX_RATE)
    scene = survey(source, rate, info.duration_s)
    frames = min(int(duration_s * rate), len(scene.boxes))
    plot = plan(scene, scenario, frames, known_obstacles(source), seed)
    recorder = _Recorder(scene, plot, seed)
    write_video(out, recorder.play(frames), rate)
    truth = Truth(
        scenario,
        source.name,
        frames / rate,
        plot.start_s,
        plot.end_s,
        recorder.actors(),
        plot.sentences,
        f"Staged demonstration: {_people(len(plot.actors))} cut out of {source.name} and composited back into it; "
        "everyone else in the picture is real. The incident did not happen."
        if scenario != "quiet"
        else f"Staged control: one walking person was cut out of {source.name} and composited back into it.",
    )
    truth_path = out.with_suffix(".truth.json")
    truth.save(truth_path)
    return StagedVideo(out, truth, truth_path)


def compose_frames(scene: Scene, plot: Plot, frames: int, seed: int) -> Iterator[UInt8]:
    """Yields the staged clip's frames (H, W, 3) RGB."""
    return _Recorder(scene, plot, seed).play(frames)


def write_video(out: Path, frames: Iterator[UInt8], rate: float) -> None:
    """Writes RGB frames as H.264 in MP4, yuv420p; an odd last row or column is left out."""
    with av.open(str(out), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(rate).limit_denominator(1001))
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(CRF), "preset": "fast", "threads": "1"}
        for index, image in enumerate(frames):
            even = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
            if index == 0:
                stream.height, stream.width = even.shape[:2]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


class _Recorder:
    """Draws a plot frame by frame and keeps where every actor was seen."""

    def __init__(self, scene: Scene, plot: Plot, seed: int) -> None:
        self._scene = scene
        self._plot = plot
        self._last: dict[str, tuple[Pose, Layer | None]] = {}
        self._random = np.random.default_rng(seed)
        self._times: list[list[float]] = [[] for _ in plot.actors]
        self._boxes: list[list[tuple[float, float, float, float]]] = [[] for _ in plot.actors]

    def play(self, frames: int) -> Iterator[UInt8]:
        for index, frame in enumerate(read_frames(self._scene.source, self._scene.rate, frames / self._scene.rate)):
            picture = frame.copy()
            for layer in self._layers(index):
                blend(picture, layer, self._scene.noise_sigma, self._random)
            yield picture

    def actors(self) -> tuple[ActorTruth, ...]:
        """Where the actors were seen in what has been played so far."""
        rows = zip(self._plot.actors, self._times, self._boxes, strict=True)
        return tuple(ActorTruth(actor.name, actor.role, tuple(times), tuple(boxes)) for actor, times, boxes in rows)

    def _layers(self, index: int) -> list[Layer]:
        """Draws everyone who is on at this frame, far ones first."""
        drawn = []
        for row, actor in enumerate(self._plot.actors):
            step = index - actor.first_frame
            if not 0 <= step < len(actor.poses):
                continue
            layer = self._draw(actor, step)
            if layer is None:
                continue
            drawn.append((actor.poses[step].foot[1], row, layer))
            if layer.box is not None:
                self._times[row].append(index / self._scene.rate)
                self._boxes[row].append(layer.box)
        return [layer for _, _, layer in sorted(drawn, key=lambda item: item[:2])]

    def _draw(self, actor: Actor, step: int) -> Layer | None:
        pose = actor.poses[step]
        last = self._last.get(actor.name)
        if last is not None and last[0] == pose:  # someone who lies still need not be drawn again
            return last[1]
        layer = draw(actor.walker, pose, self._scene.size)
        self._last[actor.name] = (pose, layer)
        return layer


def _people(count: int) -> str:
    return "one walking person was" if count == 1 else f"{count} walking people were"
