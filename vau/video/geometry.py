"""Sizes of frames: as stored, as displayed (square pixels, upright), and reduced for models.

Knows nothing of files.
"""

from __future__ import annotations


def displayed_size(width: int, height: int, aspect: float, rotation: int) -> tuple[int, int]:
    """Returns width and height on screen of a stored frame with this pixel aspect and clockwise rotation."""
    wide = max(1, round(width * aspect))
    return (height, wide) if rotation % 180 else (wide, height)


def reduced_size(width: int, height: int, max_side: int | None) -> tuple[int, int]:
    """Returns the size with the same proportions whose longer side is at most `max_side`; never enlarges."""
    longer = max(width, height)
    if max_side is None or longer <= max_side:
        return width, height
    if max_side <= 0:
        raise ValueError(f"max_side must be positive, got {max_side}")
    return max(1, round(width * max_side / longer)), max(1, round(height * max_side / longer))
