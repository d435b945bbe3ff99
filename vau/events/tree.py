"""The event tree: coarse stretches of a video with finer ones inside, so that a day is walked from hours to seconds.

After the idea of VADTree (hierarchical event nodes by boundary confidence); the construction is ours: at each scale of
time the strongest boundaries that keep that distance, never fewer than at the coarser scale. Knows no scores.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from vau.checks import ShortRepr
from vau.errors import InputError
from vau.types import Segments

RATIO = 4.0
MAX_LEVELS = 64
_ROUNDING_S = 1e-9


@dataclass(frozen=True)
class TreeNode:
    """One stretch of time in the tree."""

    level: int  # 0: the whole video
    index: int  # in its level, from 0
    start_s: float
    end_s: float
    strength: float  # of the boundary at its start, 0 at the beginning of the video

    @property
    def node_id(self) -> str:
        """A name such as ``L2.5``."""
        return f"L{self.level}.{self.index}"


@dataclass(frozen=True, repr=False, eq=False)
class EventTree(ShortRepr):
    """Partitions of one video, from the whole to the finest; each refines the one above.

    Raises:
        ValueError: no levels, a first level that is not the whole, or a level that does not refine the one above it.
    """

    levels: tuple[Segments, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.levels) <= MAX_LEVELS or len(self.levels[0]) != 1:
            raise ValueError(f"a tree needs 1 to {MAX_LEVELS} levels, the first of one segment, got {self.levels!r}")
        for above, below in pairwise(self.levels):
            if not np.isin(above.edges_s, below.edges_s).all() or len(below) <= len(above):
                raise ValueError(f"each level must refine the one above it, got {len(above)} and {len(below)} segments")
            if (above.edges_s[0], above.edges_s[-1]) != (below.edges_s[0], below.edges_s[-1]):
                raise ValueError(f"levels must cover one time, got {above.edges_s[[0, -1]]}, {below.edges_s[[0, -1]]}")

    def __len__(self) -> int:
        return len(self.levels)

    @property
    def root(self) -> TreeNode:
        """The whole video."""
        return self.node(0, 0)

    def node(self, level: int, index: int) -> TreeNode:
        """Returns a node; IndexError where there is none."""
        if not (0 <= level < len(self.levels) and 0 <= index < len(self.levels[level])):
            raise IndexError(f"the tree has no node {index} on level {level}")
        part = self.levels[level]
        start_s, end_s = part.edges_s[index : index + 2].tolist()
        return TreeNode(level, index, start_s, end_s, float(part.strengths[index]))

    def children(self, node: TreeNode) -> tuple[TreeNode, ...]:
        """Returns the parts of a node at the next level at which it has more than one; none for a finest stretch."""
        for level in range(node.level + 1, len(self.levels)):
            first, last = np.searchsorted(self.levels[level].edges_s, [node.start_s, node.end_s]).tolist()
            if last - first > 1:
                return tuple(self.node(level, index) for index in range(first, last))
        return ()

    def path(self, time_s: float) -> tuple[TreeNode, ...]:
        """Returns the nodes that hold a time, from the whole to the finest; ValueError outside the video."""
        start_s, end_s = self.root.start_s, self.root.end_s
        if not start_s <= time_s <= end_s:
            raise ValueError(f"the video lasts from {start_s} to {end_s} s, got {time_s!r}")
        found, node = [self.root], self.root
        while inside := self.children(node):
            node = next((child for child in inside if time_s < child.end_s), inside[-1])
            found.append(node)
        return tuple(found)

    def walk(self) -> Iterator[TreeNode]:
        """Yields every node that is not merely its parent again, parents before their children, in time order."""
        waiting = [self.root]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(self.children(node)))

    def to_dict(self) -> dict[str, Any]:
        """Returns the tree as data for JSON, which `from_dict` reads back."""
        return {
            "levels": [
                {"edges_s": level.edges_s.tolist(), "strengths": [round(float(value), 6) for value in level.strengths]}
                for level in self.levels
            ]
        }

    @classmethod
    def from_dict(cls, data: object) -> EventTree:
        """Builds a tree from such data; raises InputError where it is not one."""
        try:
            levels = data["levels"]  # type: ignore[index]
            return cls(tuple(Segments(level["edges_s"], level["strengths"]) for level in levels[: MAX_LEVELS + 1]))
        except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
            raise InputError(f"not an event tree: {str(error)[:200]}") from error


def build_tree(segments: Segments, *, ratio: float = RATIO) -> EventTree:
    """Builds the tree over a partition, whose segments are its finest level.

    The scales of time are the smallest distance of two boundaries times powers of `ratio`. A scale holds the boundaries
    of the coarser one and, strongest first, those that keep the scale's distance from all held ones. A stretch that
    no scale cuts in between is handed down as it is.

    Args:
        segments: S segments.
        ratio: of two neighbouring scales, at least 2. A node has at most ``2 ratio + 1`` children.

    Returns:
        A tree of at most ``2 + log(duration / finest) / log(ratio)`` levels.

    Raises:
        ValueError: a ratio below 2.
    """
    if not 2 <= ratio < np.inf:
        raise ValueError(f"the ratio of two scales must be 2 or more, got {ratio!r}")
    edges, strengths = segments.edges_s, segments.strengths
    duration = float(edges[-1] - edges[0])
    finest = float(np.diff(edges[1:-1]).min()) if len(edges) > 3 else duration
    # Distances so small beside the whole that the tree would be endless can only be damage.
    scale = max(finest, duration / ratio ** (MAX_LEVELS - 4))
    scales = []
    while (scale := scale * ratio) < duration:
        scales.append(scale)
    order = sorted(range(1, len(edges) - 1), key=lambda i: (-strengths[i], i))
    held = [0, len(edges) - 1]
    levels = [_level(segments, held)]
    for apart_s in reversed(scales):
        before = len(held)
        for place in order:
            at = bisect(held, place)
            left, right = held[at - 1], held[at]
            if place != left and min(edges[place] - edges[left], edges[right] - edges[place]) >= apart_s - _ROUNDING_S:
                held.insert(at, place)
        if len(held) > before:
            levels.append(_level(segments, held))
    if len(held) < len(edges):
        levels.append(segments)
    return EventTree(tuple(levels))


def _level(segments: Segments, held: list[int]) -> Segments:
    return Segments(segments.edges_s[held], segments.strengths[held])
