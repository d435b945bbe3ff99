"""A toy model of frames and texts with known meanings: a text sums its words' directions, a frame is a text seen.

As in CLIP's space, pictures share one large direction of their own, so that a picture is nearer to other pictures than
to the text that describes it.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from tests.tracks import observations
from vau.types import Float32, Observations

DIM = 64
_SMALL = {"a", "an", "the", "of", "to", "in", "on", "with", "at", "and", "that", "scene:", "normal", "anomalous"}


class ToyTower:
    """A text encoder whose vectors are known."""

    name = "toy tower"

    def encode(self, texts: Sequence[str]) -> Float32:
        """Returns unit rows (n, 64)."""
        rows = [meaning(text) for text in texts]
        return np.stack(rows).astype(np.float32) if rows else np.zeros((0, DIM), np.float32)


def meaning(text: str) -> np.ndarray:
    """Returns the unit sum of the directions of a text's words."""
    words = [word.strip(".,") for word in text.lower().split()]
    words = [word for word in words if word not in _SMALL] or words
    total = sum(_direction(word) for word in words)
    return total / np.linalg.norm(total)


def seen(
    tower: ToyTower,
    scenes: Sequence[str],
    *,
    rate: float = 4.0,
    each_s: float = 10.0,
    noise: float = 0.3,
    gap: float = 1.0,
    models: tuple[str, ...] = (),
    seed: int = 0,
) -> Observations:
    """Returns frames that show one scene after another, each for `each_s` seconds.

    Args:
        tower: whose space it is.
        scenes: texts; what a frame shows is the meaning of its text.
        rate: frames a second.
        each_s: seconds a scene.
        noise: length of the noise of each frame.
        gap: length of the direction that all pictures share.
        models: names that the observations state.
        seed: of the noise.
    """
    random = np.random.default_rng(seed)
    frames = np.repeat(tower.encode(scenes), round(rate * each_s), axis=0).astype(np.float64)
    frames += noise * random.standard_normal(frames.shape) / np.sqrt(DIM) + gap * _direction("<picture>")
    frames /= np.linalg.norm(frames, axis=1, keepdims=True)
    base = observations(times=np.arange(len(frames)) / rate, embeddings=frames.astype(np.float32))
    object.__setattr__(base, "models", models)
    return base


def _direction(word: str) -> np.ndarray:
    drawn = np.random.default_rng(zlib.crc32(word.encode())).standard_normal(DIM)
    return drawn / np.linalg.norm(drawn)
