"""Videos with known cuts, composed of shots of real clips: hard cuts and cross-fades at times that are written down.

Shots that follow each other come from different folders, so that every change is one of place. Knows no detector.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vau.config import VideoConfig
from vau.errors import InputError
from vau.types import UInt8
from vau.video import probe, read_at

WIDTH, HEIGHT, RATE = 480, 360, 25
FADED = 1 / 3  # share of the changes that are cross-fades
SHOT_S = (3.0, 9.0)
FADE_S = (0.4, 1.2)


@dataclass(frozen=True)
class Shot:
    """A stretch of a clip; `fade_s` is the length of the cross-fade into it, 0 for a hard cut."""

    clip: Path
    from_s: float
    duration_s: float  # on the screen, half of each fade included
    fade_s: float


@dataclass(frozen=True)
class Composition:
    """A video to be made of shots."""

    name: str
    shots: tuple[Shot, ...]

    @property
    def cuts_s(self) -> NDArray[np.float64]:
        """Times of all changes of shot; of a cross-fade its middle."""
        return np.cumsum([shot.duration_s for shot in self.shots])[:-1]

    @property
    def duration_s(self) -> float:
        """Length of the video."""
        return sum(shot.duration_s for shot in self.shots)


def draw(clips: Sequence[Path], root: Path, *, seed: int, duration_s: float) -> Composition:
    """Draws a composition.

    Args:
        clips: to take shots from; those shorter than the shortest shot with its fades are not used.
        root: folder above them; clips of one folder below it never follow each other.
        seed: equal seeds give equal compositions.
        duration_s: about how long the video shall be.

    Raises:
        InputError: the clips that are long enough come from fewer than two folders.
    """
    lengths = {clip: probe(clip, VideoConfig()).duration_s for clip in clips}
    groups: dict[str, list[Path]] = {}
    for clip in sorted(clip for clip, length in lengths.items() if length >= SHOT_S[0] + FADE_S[1]):
        groups.setdefault(clip.relative_to(root).parts[0], []).append(clip)
    if len(groups) < 2:
        raise InputError(f"compositions need clips of two folders and {SHOT_S[0]} s and more, got {sorted(groups)}")
    rng = np.random.default_rng(seed)
    shots: list[Shot] = []
    group = ""
    while sum(shot.duration_s for shot in shots) < duration_s - SHOT_S[0]:
        group = str(rng.choice(sorted(groups.keys() - {group})))
        clip = groups[group][rng.integers(len(groups[group]))]
        # Whole frames, so that the written times are the true ones; a fade needs footage on both sides of its middle.
        longest = min(SHOT_S[1], lengths[clip] - FADE_S[1])
        lasting = round(rng.uniform(SHOT_S[0], longest) * RATE) / RATE
        start = rng.uniform(0, lengths[clip] - lasting - FADE_S[1]) + FADE_S[1] / 2
        fade = 2 * round(rng.uniform(*FADE_S) * RATE / 2) / RATE if shots and rng.random() < FADED else 0.0
        shots.append(Shot(clip, float(start), lasting, fade))
    return Composition(f"composed-{seed:03d}", tuple(shots))


def render(composition: Composition, target: Path) -> None:
    """Encodes a composition as H.264, 480 x 360, 25 frames a second; pictures are cropped to that shape."""
    import av

    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "20", "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index, image in enumerate(_pictures(composition)):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _pictures(composition: Composition) -> Iterator[UInt8]:
    shots = composition.shots
    held: list[UInt8] = []  # the end of the shot before, which the fade still needs
    for position, shot in enumerate(shots):
        lead = shot.fade_s / 2
        trail = shots[position + 1].fade_s / 2 if position + 1 < len(shots) else 0.0
        first, last = shot.from_s - lead, shot.from_s + shot.duration_s + trail
        images = _read(shot.clip, first, round((last - first) * RATE))
        mixed = len(held)
        for step, (before, after) in enumerate(zip(held, images, strict=False)):
            share = (step + 0.5) / mixed
            yield cv2.addWeighted(before, 1 - share, after, share, 0).astype(np.uint8)
        keep = len(images) - round(2 * trail * RATE)
        yield from images[mixed:keep]
        held = images[keep:]


def _read(clip: Path, start_s: float, count: int) -> list[UInt8]:
    """Returns `count` pictures at the composition's rate and size."""
    times = start_s + np.arange(count) / RATE
    wanted = [float(time_s) for time_s in times]
    batch = read_at(clip, wanted, VideoConfig(), max_side=1280)
    rows = np.clip(np.searchsorted(batch.times_s, times + 1e-6, side="right") - 1, 0, len(batch) - 1)
    small = [_cropped(image) for image in batch.images]
    return [small[row] for row in rows]


def _cropped(image: UInt8) -> UInt8:
    height, width = image.shape[:2]
    scale = max(WIDTH / width, HEIGHT / height)
    size = max(round(width * scale), WIDTH), max(round(height * scale), HEIGHT)
    large = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    left, top = (size[0] - WIDTH) // 2, (size[1] - HEIGHT) // 2
    return np.ascontiguousarray(large[top : top + HEIGHT, left : left + WIDTH], dtype=np.uint8)
