"""What a clause says beyond what its patterns read: words of their own meaning, deeds not done, who stands by.

A sentence is supported as a whole or not at all, so that a word that nothing reads takes the support away. The lists
are in `prompts/claims.yaml`; it knows no grammar and no report; all of this is ours.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Literal

from vau.reasoning.claim_words import Words

Unreal = Literal["", "nearly", "attempt"]
_PICTURE = r"(?:picture|frame|image|screen)"
_ROW = r"top|bottom|upper|lower"
_SIDE = r"left|right"
PLACED = re.compile(
    rf"\b(?:at|in|on|near|towards?) the (?:(?P<row>{_ROW})(?: part| edge)?)?[ -]?(?:(?P<side>{_SIDE})(?: side| edge)?)?"
    rf"(?P<middle>cent(?:re|er)|middle)?(?: (?:side|part|edge|corner))? of the {_PICTURE}\b"
)
WAY = re.compile(rf"\b(?P<way>from|to|towards) the (?P<side>{_SIDE})\b")
_NUMBERED = re.compile(r"\b[a-z]+ #?\d{1,6}(?:(?:,| and| or|, and) #?\d{1,6}(?![\d:.]))*|\b[rectk]\d{1,6}\b")
_WORD = re.compile(r"[^\W\d_][^\W\d_']+(?:-[^\W\d_]+)*")
_ONTO = re.compile(
    r"\b(?:onto|over|off|from|under|against|beside|behind|next to|on top of|with)\s+(?:an? |the |(?:his|her) )?$"
)
_MEANWHILE = re.compile(
    r"\b(?:while|whilst|as|when|beside|next to|in front of|watched by|seen by|with|together with|near)\s+(?:the )?$"
)


def find_unreal(before: str, table: Words) -> Unreal:
    """Says whether the words right before a deed take it back: "almost" denies it, "tried to" does not state it."""
    if table.nearly.search(before):
        return "nearly"
    return "attempt" if table.attempts.search(before) else ""


def find_unread(low: str, start: int, end: int, mention: tuple[int, int], table: Words) -> tuple[str, ...]:
    """Returns the words of a clause that are neither read nor harmless, at most eight.

    Args:
        low: the sentence in lower case.
        start: where the clause begins in it.
        end: where the clause ends.
        mention: place of what the clause is about.
        table: patterns.
    """
    text = f"{low[start : mention[0]]} \x00 {low[mention[1] : end]}"
    text = table.harmless_phrases.sub(" ", WAY.sub(" ", PLACED.sub(" ", text)))
    text = _NUMBERED.sub(lambda match: " " if _is_kind(match[0].split()[0], table) else match[0], text)
    for pattern, _ in table.kinds:
        text = pattern.sub(" ", text)
    text = table.harmless.sub(" ", text)
    return tuple(dict.fromkeys(_WORD.findall(text)))[:8]


def _is_kind(word: str, table: Words) -> bool:
    return word in ("track", "tracks", "object") or any(pattern.fullmatch(word) for pattern, _ in table.kinds)


def stray_actors(
    after: str, named: Sequence[tuple[int, tuple[int, ...]]], subjects: Collection[int]
) -> tuple[str, ...]:
    """Returns whom the words after a deed that has no object name all the same: "fell onto person 2"."""
    found = []
    for at, ids in named:
        placed = _ONTO.search(after[: max(at, 0)])
        if at >= 0 and (placed if not ids else not set(ids) <= set(subjects)):
            found.append(" ".join([*(placed[0].split() if placed else ()), *after[at:].split()[: 2 if ids else 1]]))
    return tuple(found)


def named_beside(after: str, named: Sequence[tuple[int, tuple[int, ...]]]) -> tuple[int, ...]:
    """Returns the tracks that the words after a deed place beside it, by where in these words they stand."""
    return tuple(item for at, ids in named if _MEANWHILE.search(after[: max(at, 0)]) for item in ids)
