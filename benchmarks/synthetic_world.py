"""A generator of bags of synthetic snippet features with planted anomalies, where the truth is known by snippet.

It is ours. Its statistics follow measured ones of an image network on 42 real clips: cosine 0.63 between the means of
two videos, 0.96 between neighbouring snippets, 0.89 between snippets ten apart; here 0.7, 0.95 and 0.83, since events
are strong, for small networks to learn within a few hundred steps. An anomaly of class c is the conjunction of two
feature directions, `a_c` and `b_c`, for a while. Benign events, equally often in normal and abnormal videos, show one
such direction or a pair of two different classes, at the same strength and duration: neither novelty nor any single
direction tells them apart. Where and how long a video is says nothing either: lengths do not depend on the label, and
an anomaly covers every time of its video with the same probability, since its place is drawn as if the video were cut
out of a longer stream; lengths and places are spread evenly within a split.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vau.training.scorer.bags import Bag

_COMMON = 0.79  # length of the direction that all videos share
_SCENE = 0.49  # length of a video's own direction
_DRIFT = 0.28  # root-mean-square length of the slow change within a video
_DRIFT_KEPT = 0.93  # of the drift, from snippet to snippet
_NOISE = 0.18  # root-mean-square length of what is new in each snippet
_MIN_LENGTH, _MAX_LENGTH = 20, 64  # snippets


@dataclass(frozen=True)
class World:
    """What a family of synthetic bags looks like."""

    dimensions: int = 32
    classes: int = 5
    strength: float = 0.5  # length of one event direction at full strength, before a video's own factor
    benign_events: float = 2.0  # mean number a video
    train_a_side: int = 800  # abnormal videos, and as many normal ones
    val_a_side: int = 40
    test_a_side: int = 100


def make_bags(seed: int, world: World | None = None) -> tuple[list[Bag], list[Bag], list[Bag]]:
    """Draws the three splits of a world; all of them know the truth by snippet.

    Args:
        seed: draws the directions of the world and all of its videos.
        world: sizes; the default is that of the table.

    Returns:
        train, val, test: normal and abnormal bags by turns, classes 1 ... C equally often.
    """
    world = world or World()
    generator = np.random.default_rng([seed, 0])
    axes = _axes(seed, world)
    splits = []
    for name, a_side in (("train", world.train_a_side), ("val", world.val_a_side), ("test", world.test_a_side)):
        labels = [0 if index % 2 else 1 + index // 2 % world.classes for index in range(2 * a_side)]
        draws = zip(labels, _even(2 * a_side, generator), _even(2 * a_side, generator), strict=True)
        splits.append([_bag(f"{name}-{i:04d}", *draw, axes, world, generator) for i, draw in enumerate(draws)])
    train, val, test = splits
    return train, val, test


def class_texts(seed: int, world: World | None = None, *, agreement: float = 0.7) -> NDArray[np.float32]:
    """Returns unit vectors (1 + C, D) that stand for the text embeddings of "normal" and of each class.

    Args:
        seed: that of `make_bags`.
        world: that of `make_bags`.
        agreement: cosine, about, between a class's text and its true feature direction; the rest is a fixed error.
    """
    world = world or World()
    axes = _axes(seed, world)
    pairs = np.concatenate([axes[:1], (axes[1::2] + axes[2::2]) / np.sqrt(2)])
    error = _unit(np.random.default_rng([seed, 2]).standard_normal(pairs.shape))
    return _unit(agreement * pairs + np.sqrt(1 - agreement**2) * error).astype(np.float32)


def _axes(seed: int, world: World) -> NDArray[np.float64]:
    """Orthonormal rows: the common direction, then a_1, b_1, a_2, b_2 ..."""
    drawn = np.random.default_rng([seed, 1]).standard_normal((world.dimensions, 1 + 2 * world.classes))
    return np.asarray(np.linalg.qr(drawn)[0].T)


def _even(bags: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Numbers in [0, 1), one a bag, spread evenly among the normal bags and among the abnormal ones."""
    a_side = bags // 2
    cells = np.stack([generator.permutation(a_side), generator.permutation(a_side)], axis=1).ravel()
    return np.asarray((cells + generator.random(bags)) / a_side)


def _bag(
    video: str,
    label: int,
    size: float,
    place: float,
    axes: NDArray[np.float64],
    world: World,
    generator: np.random.Generator,
) -> Bag:
    length = round(_MIN_LENGTH * (_MAX_LENGTH / _MIN_LENGTH) ** size)
    scale = 1 / np.sqrt(world.dimensions)
    scene = _SCENE * scale * generator.standard_normal(world.dimensions)
    features = _COMMON * axes[0] + scene + _drift(length, world.dimensions, generator)
    features += _NOISE * scale * generator.standard_normal(features.shape)
    frame_labels = np.zeros(length, bool)
    if label:
        rows, course = _place(length, place, generator)
        features[rows] += world.strength * course * (axes[2 * label - 1] + axes[2 * label])
        frame_labels[rows] = True
    for _ in range(generator.poisson(world.benign_events)):
        rows, course = _place(length, generator.random(), generator)
        rows_free = ~frame_labels[rows]  # a benign event must not complete or blur an anomaly
        features[rows] += world.strength * course * _benign(axes, world, generator) * rows_free[:, None]
    return Bag(video, _unit(features).astype(np.float32), label, frame_labels)


def _benign(axes: NDArray[np.float64], world: World, generator: np.random.Generator) -> NDArray[np.float64]:
    """One direction at the length of a pair, or a pair that belongs to two classes."""
    first, second = generator.choice(world.classes, 2, replace=False)
    if generator.random() < 0.5:
        return np.asarray(np.sqrt(2) * axes[1 + 2 * first + generator.integers(2)])
    return np.asarray(axes[1 + 2 * first + generator.integers(2)] + axes[1 + 2 * second + generator.integers(2)])


def _place(length: int, place: float, generator: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rows of an event and its strength (rows, 1) there: a rise, a plateau, a fall; longer videos, longer events."""
    duration = max(2, round(length * float(generator.uniform(0.08, 0.35))))
    start = 1 - duration + int(place * (length + duration - 1))  # may begin before the video and end after it
    course = np.minimum(1, 4 * (0.5 - np.abs((np.arange(duration) + 0.5) / duration - 0.5)) + 0.25)
    course *= generator.uniform(0.7, 1.3)
    rows = np.arange(start, start + duration)
    seen = (rows >= 0) & (rows < length)
    return rows[seen], course[seen][:, None]


def _drift(length: int, dimensions: int, generator: np.random.Generator) -> NDArray[np.float64]:
    steps = generator.standard_normal((length, dimensions)) * (_DRIFT / np.sqrt(dimensions))
    for row in range(1, length):
        steps[row] = _DRIFT_KEPT * steps[row - 1] + np.sqrt(1 - _DRIFT_KEPT**2) * steps[row]
    return steps


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True))
