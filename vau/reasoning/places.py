"""Compares what a clause says of places in the picture, and of ways across it, with the boxes of the tracks it means.

Sides are halves of the picture, its middle is the half around its centre, ways are moves by a tenth of its width. It
knows the picture's plane alone and nothing of rooms or streets; the words and the margins are ours.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from vau.reasoning.ledger import Ledger
from vau.reasoning.unread import PLACED, WAY
from vau.types import Track

_MOVED = 0.1  # of the picture's width


def has_place(text: str) -> bool:
    """Says whether a clause in lower case names a place in the picture or a way across it."""
    return bool(PLACED.search(text) or WAY.search(text))


def agrees(ledger: Ledger, text: str, track_ids: Iterable[int], time_s: float) -> bool:
    """Says whether any track is where a clause places it, and moves where the clause says that it moves.

    Args:
        ledger: the report.
        text: the clause in lower case.
        track_ids: who is meant.
        time_s: when, in seconds.
    """
    tracks = [ledger.tracks[item] for item in track_ids if item in ledger.tracks]
    return any(_is_placed(ledger, text, track, time_s) and _goes(ledger, text, track) for track in tracks)


def _is_placed(ledger: Ledger, text: str, track: Track, time_s: float) -> bool:
    x, y = _centre(ledger, track, int(np.abs(track.times_s - time_s).argmin()))
    for match in PLACED.finditer(text):
        if match["row"] and not _is_low(y, match["row"] in ("top", "upper")):
            return False
        if match["side"] and not _is_low(x, match["side"] == "left"):
            return False
        if match["middle"] and not (0.25 <= x <= 0.75 and 0.25 <= y <= 0.75):
            return False
    return True


def _goes(ledger: Ledger, text: str, track: Track) -> bool:
    first, last = _centre(ledger, track, 0)[0], _centre(ledger, track, -1)[0]
    for match in WAY.finditer(text):
        rightwards = (match["side"] == "right") != (match["way"] == "from")
        if (last - first if rightwards else first - last) < _MOVED:
            return False
    return True


def _is_low(value: float, wanted: bool) -> bool:
    return value < 0.5 if wanted else value > 0.5


def _centre(ledger: Ledger, track: Track, row: int) -> tuple[float, float]:
    left, top, right, bottom = (float(value) for value in track.boxes[row])
    video = ledger.report.video
    return (left + right) / 2 / max(video.width, 1), (top + bottom) / 2 / max(video.height, 1)
