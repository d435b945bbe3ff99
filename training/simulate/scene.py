"""Simulated surveillance scenes: `simulate` makes one from a script and a seed, `Scene.frames` shows it.

The same arguments give the same scene, down to the last pixel. A scene is a drawing, said so in each picture and file;
it stands in for real footage in tests and in the training of toy models, and never in a reported result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from vau.errors import InputError
from vau.training.simulate import people_scripts, street_scripts
from vau.training.simulate.camera import Camera
from vau.training.simulate.director import Deed, Director
from vau.training.simulate.draw import Painter
from vau.training.simulate.stages import camera as any_camera
from vau.training.simulate.stages import square
from vau.training.simulate.world import SCRIPTS, WEATHERS, Actor, Happening, Script, Stage, Weather
from vau.types import Event, FrameBatch

DISCLOSURE = "Simulated scene: drawn by a program, nothing in it happened."
_PLAYS: dict[Script, Callable[[Director, bool], Happening]] = {
    "road accident": street_scripts.accident,
    "fight": people_scripts.fight,
    "fall": people_scripts.fall,
    "taking": people_scripts.taking,
    "loitering": street_scripts.loitering,
    "abandoned object": people_scripts.abandoned,
    "wrong way": street_scripts.wrong_way,
    "crowd flight": people_scripts.crowd_flight,
    "intrusion": people_scripts.intrusion,
}
_DURATIONS_S: dict[Script, float] = {"loitering": 46.0, "abandoned object": 26.0, "wrong way": 20.0, "taking": 18.0}
_USUAL_S = 15.0
_SHORTEST_S = 12.0
_LONGEST_S = 600.0


class SimulationError(InputError):
    """A scene cannot be made as asked."""


@dataclass(frozen=True, eq=False)
class Scene:
    """One simulated scene with everything that is true of it."""

    script: Script
    seed: int
    rate: float  # frames a second
    duration_s: float
    camera: Camera
    weather: Weather
    stage: Stage
    actors: tuple[Actor, ...]
    deeds: tuple[Deed, ...]
    happening: Happening

    @property
    def frame_count(self) -> int:
        """Number of frames."""
        return round(self.duration_s * self.rate)

    @property
    def title(self) -> str:
        """A name for files and metadata."""
        return f"simulated {self.script}{'' if self.happening.abnormal else ' (normal twin)'}, seed {self.seed}"

    @property
    def events(self) -> tuple[Event, ...]:
        """The abnormal event; none in a normal twin."""
        told = self.happening
        if not told.abnormal:
            return ()
        return (Event("E1", told.start_s, told.end_s, (told.start_s + told.end_s) / 2, 1.0, told.script),)

    def actor(self, actor_id: int) -> Actor:
        """Returns an actor by its id; KeyError where there is none."""
        for actor in self.actors:
            if actor.actor_id == actor_id:
                return actor
        raise KeyError(actor_id)

    def frames(self, batch: int = 16) -> Iterator[FrameBatch]:
        """Yields all frames in order, `batch` at a time."""
        for first in range(0, self.frame_count, batch):
            yield self.at(np.arange(first, min(first + batch, self.frame_count)) / self.rate)

    def at(self, times_s: np.ndarray) -> FrameBatch:
        """Returns the frames nearest to times (N,) in seconds, which must not share a frame."""
        indices = np.clip(np.round(np.asarray(times_s) * self.rate).astype(np.int64), 0, self.frame_count - 1)
        painter = Painter(self.camera, self.stage, self.weather, self.actors, self.rate, self.seed)
        images = np.stack([painter.paint(int(index)) for index in indices])
        return FrameBatch(images, indices / self.rate, indices)


def simulate(
    script: Script,
    seed: int = 0,
    *,
    normal: bool = False,
    weather: Weather | None = None,
    camera: Camera | None = None,
    rate: float = 12.0,
    duration_s: float | None = None,
    size: tuple[int, int] = (320, 240),
) -> Scene:
    """Makes one scene.

    Args:
        script: what happens, one of `SCRIPTS`.
        seed: of camera, weather, ground, cast, colours, places and times.
        normal: makes the innocent twin of the scene with the same seed: like motion, another meaning.
        weather: "day", "night" or "rain"; drawn from the seed where None.
        camera: drawn from the seed where None; its size counts, not `size`.
        rate: frames a second, 4 to 60.
        duration_s: 12 to 600 seconds; what suits the script where None.
        size: width and height of the pictures in pixels.

    Raises:
        SimulationError: the script or the weather is unknown, or the rate or duration out of range.
    """
    if script not in SCRIPTS:
        raise SimulationError(f"no script {script!r}; choose one of {', '.join(SCRIPTS)}")
    if weather is not None and weather not in WEATHERS:
        raise SimulationError(f"no weather {weather!r}; choose one of {', '.join(WEATHERS)}")
    lasts_s = _DURATIONS_S.get(script, _USUAL_S) if duration_s is None else duration_s
    if not (4 <= rate <= 60 and _SHORTEST_S <= lasts_s <= _LONGEST_S):
        raise SimulationError(
            f"needs a rate in [4, 60] and a duration in [{_SHORTEST_S:g}, {_LONGEST_S:g}] s, got {rate!r}, {lasts_s!r}"
        )
    number = SCRIPTS.index(script)
    look = np.random.default_rng([seed, number, 1])
    view = any_camera(look, size) if camera is None else camera
    sky: Weather = WEATHERS[int(look.choice(len(WEATHERS), p=(0.6, 0.2, 0.2)))] if weather is None else weather
    plot = np.random.default_rng([seed, number, 2])
    director = Director(plot, rate, lasts_s, square(plot))
    told = _PLAYS[script](director, normal)
    told = replace(told, start_s=min(told.start_s, lasts_s - 1.0), end_s=min(told.end_s, lasts_s))
    return Scene(
        script, seed, rate, director.frames / rate, view, sky, director.stage, tuple(director.actors),
        tuple(director.deeds), told,
    )  # fmt: skip


def write_video(scene: Scene, out: Path) -> None:
    """Writes a scene as H.264 in MP4, with the disclosure in the file's metadata."""
    with av.open(str(out), "w", format="mp4") as container:
        container.metadata["title"] = scene.title
        container.metadata["comment"] = DISCLOSURE
        stream = container.add_stream("libx264", rate=Fraction(scene.rate).limit_denominator(1001))
        stream.width, stream.height = (side // 2 * 2 for side in scene.camera.size)
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "20", "preset": "fast", "threads": "1"}
        for batch in scene.frames():
            for image, index in zip(batch.images, batch.indices, strict=True):
                even = np.ascontiguousarray(image[: stream.height, : stream.width])
                frame = av.VideoFrame.from_ndarray(even, format="rgb24")
                frame.pts = int(index)
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
