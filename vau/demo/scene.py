"""What a piece of fixed-camera footage offers for staging: background, noise, perspective, walkers, free ground.

Knows no scenario. One streaming pass for the background, one for everything that moves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vau.config import VideoConfig
from vau.demo.cutout import (
    Blob,
    Box,
    Perspective,
    Walker,
    difference,
    find_blobs,
    fit_perspective,
    link,
    make_walker,
    median_background,
)
from vau.errors import InputError
from vau.video.stream import open_stream

UInt8 = NDArray[np.uint8]
Bool = NDArray[np.bool_]

MAX_SURVEY_S = 120.0  # of footage looked through for walkers
MAX_RATE = 30.0
MAX_SIDE = 1280
BACKGROUND_FRAMES = 41
_MOVING_SHARE = 0.25  # of the picture changed from the background: then the camera moved


class StagingError(InputError):
    """The footage cannot carry the staged scenario: no walkers to cut out, no free ground, or a moving camera."""


@dataclass(frozen=True, eq=False)
class Scene:
    """All that staging needs to know about its footage."""

    source: Path
    rate: float  # frames a second
    size: tuple[int, int]  # width, height
    background: UInt8  # (H, W, 3)
    noise_sigma: float  # grey levels
    perspective: Perspective
    walkers: tuple[Walker, ...]  # best first, different persons
    boxes: tuple[tuple[Box, ...], ...]  # what moves, by frame
    walkable: Bool  # (H, W) near where real feet were seen


def read_frames(source: Path, rate: float, until_s: float) -> Iterator[UInt8]:
    """Yields upright RGB frames (H, W, 3) of the first `until_s` seconds at `rate` frames a second."""
    stream = open_stream(source, VideoConfig(), fps=rate, max_side=MAX_SIDE, batch=4)
    for batch in stream:
        for image, time_s in zip(batch.images, batch.times_s, strict=True):
            if time_s >= until_s - 1e-6:
                return
            yield image


def survey(source: Path, rate: float, duration_s: float) -> Scene:
    """Looks through the footage for a background, walkers and free ground.

    Args:
        source: the footage.
        rate: frames a second to work at.
        duration_s: length of the footage.

    Raises:
        VideoError: the footage does not decode.
        StagingError: the camera moves, or nobody can be cut out of it.
    """
    until_s = min(duration_s, MAX_SURVEY_S)
    sparse = list(read_frames(source, min(rate, BACKGROUND_FRAMES / max(until_s, 1.0)), until_s))
    background = median_background(sparse)
    blobs: list[Blob] = []
    boxes: list[tuple[Box, ...]] = []
    moving, residues = [], []
    for index, frame in enumerate(read_frames(source, rate, until_s)):
        found = find_blobs(index, frame, background, crops_above=0.13 * frame.shape[0])
        blobs += found
        boxes.append(tuple(blob.box for blob in found))
        if index % 25 == 0:
            distance = difference(frame, background)
            moving.append(float((distance > 22).mean()))
            residues.append(float(np.median(np.abs(frame.astype(np.float32) - background))))
    if np.median(moving) > _MOVING_SHARE:
        raise StagingError(
            f"{source.name}: {np.median(moving):.0%} of the picture differs from its background, so the camera seems "
            "to move; staging needs a fixed camera"
        )
    try:
        perspective = fit_perspective(blobs)
    except ValueError as error:
        raise StagingError(f"{source.name}: {error}; staging needs footage in which people walk about") from error
    rows, cols = background.shape[:2]
    walkers = _different([make_walker(chain, perspective) for chain in link(blobs)])
    noise = 1.4826 * float(np.median(residues))  # median absolute deviation to standard deviation
    feet = _walkable(blobs, (rows, cols), perspective)
    return Scene(source, rate, (cols, rows), background, noise, perspective, walkers, tuple(boxes), feet)


def _different(walkers: list[Walker | None]) -> tuple[Walker, ...]:
    """Keeps the best cut-out of each person, told apart by the colours of their clothes, best first."""
    kept: list[Walker] = []
    usable = [walker for walker in walkers if walker is not None]
    for walker in sorted(usable, key=lambda w: (-w.score, w.first_index)):
        speed = float(np.hypot(*walker.velocity))
        if 0.01 < speed < 0.5 and all(np.abs(walker.colours - other.colours).max() > 18 for other in kept):
            kept.append(walker)
    return tuple(kept)


def _walkable(blobs: list[Blob], shape: tuple[int, int], perspective: Perspective) -> Bool:
    ground = np.zeros(shape, np.uint8)
    for blob in blobs:
        if blob.upright and blob.alone:
            x0, _, x1, y1 = blob.box
            reach = 1.3 * perspective.height(y1)
            cv2.ellipse(ground, ((x0 + x1) // 2, y1), (int(reach), int(0.4 * reach)), 0, 0, 360, 1, cv2.FILLED)
    gaps = np.ones((shape[0] // 6, shape[1] // 6), np.uint8)  # ground between two paths is ground as well
    return np.asarray(cv2.morphologyEx(ground, cv2.MORPH_CLOSE, gaps) > 0)
