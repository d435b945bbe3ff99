"""Shows the answer inside a JSON reply while the reply is still being written.

It is for a reader who waits and for nothing else: what counts is the whole reply, read strictly once it is there.
"""

from __future__ import annotations

import json
import re

MAX_HELD = 20_000  # characters before the answer, beyond which nothing is shown

_BEGIN = re.compile(r'[{,]\s*"answer"\s*:\s*"')
# The part of a JSON string that is complete: possessive, so that hostile text costs no backtracking.
_COMPLETE = re.compile(r'(?:[^"\\]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+')
_HALF_PAIR = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\Z")  # the second half of the character is yet to come


class AnswerStream:
    """Takes a JSON object in pieces and gives back the text of its key ``answer`` as it comes."""

    def __init__(self) -> None:
        self._held = ""
        self._inside = False
        self._over = False

    def feed(self, piece: str) -> str:
        """Takes the next piece and returns what of the answer is complete now, often nothing."""
        if self._over:
            return ""
        self._held += piece
        if not self._inside:
            begin = _BEGIN.search(self._held)
            if begin is None:
                self._over = len(self._held) > MAX_HELD
                return ""
            self._inside, self._held = True, self._held[begin.end() :]
        match = _COMPLETE.match(self._held)
        done = match[0] if match else ""
        if half := _HALF_PAIR.search(done):
            done = done[: half.start()]
        self._held = self._held[len(done) :]
        self._over = self._held.startswith('"')
        text = json.loads(f'"{done}"', strict=False)
        return str(text).encode("utf-8", "replace").decode("utf-8")
