"""Dynamic video synthesis: training videos with dense labels, put together from features of whole clips.

An abnormal clip is set among normal ones, and its place is then a label for every step; no pixel is touched. That the
whole anchor is abnormal is an assumption, true of short trimmed clips. Source: LaGoVAD (2503.13160, section 3.3) and
its released data code. Ours: the number of neighbours, where a cropped clip ends, and that a video cut to length keeps
its anchor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from vau.errors import InputError
from vau.training.scorer.bags import Bag

ALONE = 0.3  # probability that a video is its anchor alone
MOST_CLIPS = 5
AT_RANDOM = 0.5  # probability that a clip beside the anchor is any normal one, not one like the anchor


def nearest_normal(bags: Sequence[Bag], *, count: int = 10) -> list[NDArray[np.int64]]:
    """Lists, for each bag, the normal bags that look most like it.

    Args:
        bags: of one feature space.
        count: largest length of a list.

    Returns:
        For each bag the indices of up to `count` other normal bags, nearest first by cosine of mean features.

    Raises:
        InputError: there is no normal bag.
    """
    means = np.stack([bag.features.mean(axis=0) for bag in bags])
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    normal = np.array([index for index, bag in enumerate(bags) if bag.label == 0], dtype=np.int64)
    if not len(normal):
        raise InputError("synthesis needs normal videos to set abnormal ones among, got none")
    found = []
    for index, similar in enumerate(means @ means[normal].T):
        order = normal[np.argsort(-similar, kind="stable")]
        found.append(order[order != index][:count])
    return found


@dataclass(frozen=True)
class _Dice:
    """Draws from a torch generator, so that one seed rules a whole training."""

    generator: torch.Generator

    def below(self, count: int) -> int:
        """Returns a number from 0 to count - 1."""
        return int(torch.randint(count, (), generator=self.generator))

    def chance(self, probability: float) -> bool:
        """Returns True with a probability."""
        return float(torch.rand((), generator=self.generator)) < probability


def synthesise(
    bags: Sequence[Bag],
    generator: torch.Generator,
    *,
    neighbours: Sequence[NDArray[np.int64]] | None = None,
    longest: int = 512,
) -> list[Bag]:
    """Makes one epoch: a video around every abnormal bag, and as many around normal ones drawn at random.

    Args:
        bags: labelled videos or clips; frame labels of theirs are not read.
        generator: source of all choices, on the CPU.
        neighbours: `nearest_normal(bags)`, kept between epochs; None computes it.
        longest: steps to which a video is cut.

    Returns:
        Abnormal and normal bags by turns, with frame labels that are True on the anchor's range.

    Raises:
        InputError: there is no normal bag.
    """
    near = nearest_normal(bags) if neighbours is None else neighbours
    dice = _Dice(generator)
    normal = [index for index, bag in enumerate(bags) if bag.label == 0]
    anchors = [
        anchor
        for abnormal in (index for index, bag in enumerate(bags) if bag.label > 0)
        for anchor in (abnormal, normal[dice.below(len(normal))])
    ]
    return [_compose(bags, anchor, near[anchor], normal, dice, longest) for anchor in anchors]


def _compose(
    bags: Sequence[Bag], anchor: int, near: NDArray[np.int64], normal: list[int], dice: _Dice, longest: int
) -> Bag:
    clips = 1 if dice.chance(ALONE) else 1 + dice.below(MOST_CLIPS)
    place = dice.below(clips)
    parts = []
    for position in range(clips):
        if position == place:
            parts.append(bags[anchor].features)
            continue
        chosen = normal[dice.below(len(normal))]
        if not dice.chance(AT_RANDOM) and len(near):
            chosen = int(near[dice.below(len(near))])
        parts.append(_crop(bags[chosen].features, dice))
    begin = sum(len(part) for part in parts[:place])
    end = begin + len(bags[anchor].features)
    features = np.concatenate(parts)
    labels = np.zeros(len(features), bool)
    labels[begin:end] = bags[anchor].label > 0
    first = max(0, min(end - longest, begin))  # 0 unless the cut would take the anchor away
    return Bag(
        bags[anchor].video, features[first : first + longest], bags[anchor].label, labels[first : first + longest]
    )


def _crop(features: NDArray[np.float32], dice: _Dice) -> NDArray[np.float32]:
    """Returns a run of rows that starts in the first half and ends anywhere after."""
    start = dice.below(max(len(features) // 2, 1))
    end = start + 1 + dice.below(len(features) - start)
    return features[start:end]
