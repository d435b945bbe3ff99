"""What every reader hands to the stream: decoded frames with their times, whose pixels are made only when asked for.

Knows no decoder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from vau.types import UInt8


@dataclass(frozen=True)
class Decoded:
    """One decoded frame."""

    index: int  # position among all decoded frames
    time_s: float  # from the first frame
    duration_s: float  # declared; 0 where unknown
    render: Callable[[], UInt8]  # makes the reduced, upright RGB image (H, W, 3)


@dataclass
class Tally:
    """What went wrong while a reader worked, and how far the file reached; filled by the reader."""

    corrupt_packets: int = 0
    failed: bool = False  # reading broke off with an error
    declared_end_s: float = 0.0  # what the container promises, from the first frame; 0 where it promises nothing
    packets_end_s: float = 0.0  # end of the last packet of any stream
    video_end_s: float = 0.0  # end of the last packet of the video stream
    cut: bool = False  # the last packet is incomplete


class Source(Protocol):
    """A reader of one file: one decode pass an iteration, in display order."""

    tally: Tally

    def __iter__(self) -> Iterator[Decoded]:
        """Starts a pass."""
        ...
