"""Keeps a model's think block apart from what it says, in whole replies and in streams.

Reasoning models open with ``<think>...</think>`` (the form of DeepSeek-R1, arXiv 2501.12948, that VAU-R1 keeps); some
chat templates write the opening tag themselves, so that only the closing one arrives.
"""

from __future__ import annotations

from typing import Literal

OPEN, CLOSE = "<think>", "</think>"


def split_thinking(text: str) -> tuple[str, str]:
    """Returns the think block and the rest, both stripped.

    A block that never ends takes the whole text: what a model was still thinking is not what it says.
    """
    body = text.strip()
    if body.startswith(OPEN):
        body = body.removeprefix(OPEN)
        thinking, end, rest = body.partition(CLOSE)
        return thinking.strip(), rest.strip() if end else ""
    # A closing tag alone ends a block that the chat template opened, unless it stands within quoted JSON.
    if CLOSE in body and not body.startswith(("{", "[", '"')):
        thinking, _, rest = body.partition(CLOSE)
        return thinking.strip(), rest.strip()
    return "", body


class ThinkFilter:
    """Leaves the think block out of text that comes in pieces.

    It knows a block by its opening tag. Where the chat template has written that itself, a think block looks like an
    answer while it streams; servers that part the two with a reasoning parser are not affected.
    """

    def __init__(self) -> None:
        self._held = ""  # not yet known to be shown or dropped
        self._state: Literal["start", "thinking", "gap", "answer"] = "start"

    def feed(self, piece: str) -> str:
        """Takes the next piece and returns what may be shown by now, often nothing."""
        self._held += piece
        if self._state == "start":
            body = self._held.lstrip()
            if body.startswith(OPEN):
                self._state, self._held = "thinking", body.removeprefix(OPEN)
            elif not OPEN.startswith(body):
                self._state = "answer"
        if self._state == "thinking":
            _, end, rest = self._held.partition(CLOSE)
            self._state = "gap" if end else "thinking"
            self._held = rest if end else self._held[-len(CLOSE) :]  # the tag may be half here
        if self._state == "gap" and (body := self._held.lstrip()):
            self._state, self._held = "answer", body
        if self._state != "answer":
            return ""
        shown, self._held = self._held, ""
        return shown

    def finish(self) -> str:
        """Returns what was held back at the end: the beginning of a tag that was none."""
        shown = self._held if self._state in ("start", "answer") else ""
        self._held = ""
        return shown
