"""What a reader must know of how a model judged a video: in which way, at what cost, what is missing or suspicious."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from vau.mllm.pool import Outcome
from vau.reasoning.injection import suspect
from vau.reasoning.language import clean, clock
from vau.scoring.eventvad_judge import Judgement, Panel, Piece, Talk
from vau.types import Bool, ScoreTrack

_REPORTED = 0.5  # the level from which an event is reported
_LISTED = 5  # spans that a note names


def notes(
    panel: Panel,
    talks: Sequence[Talk],
    outcomes: Sequence[Outcome[Judgement]],
    filled: Bool,
    judged: ScoreTrack,
    measured: ScoreTrack,
) -> tuple[str, ...]:
    """Returns the notes on one video.

    Args:
        panel: what all pieces were judged with.
        talks: S conversations, one a piece.
        outcomes: S, what came of them.
        filled: (S,) pieces whose score is their neighbours'.
        judged: the score.
        measured: the training-free track on the same times.
    """
    cost = panel.cost
    found = [
        f"A model judged {int((~filled).sum())} of {len(filled)} parts of the video ({panel.how}); {cost.calls} calls"
        f" answered, {cost.cached} of them from kept replies; {cost.usage.prompt_tokens} tokens read,"
        f" {cost.usage.completion_tokens} written, {cost.usage.images} pictures shown."
    ]
    if panel.refused:
        found.append(f"The backend offers no surer way: {'; '.join(clean(reason, 200) for reason in panel.refused)}.")
    if filled.any():
        kinds = Counter(type(item.error).__name__ for item in outcomes if item.error is not None)
        told = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
        spans = _spans([talk.piece for talk, gone in zip(talks, filled, strict=True) if gone])
        found.append(
            f"Not judged: {int(filled.sum())} of {len(filled)} parts ({told}), {spans}. Their score is filled from the"
            " parts beside them and says nothing of what happens there."
        )
    for source, text, passed in _foreign(panel, talks):
        suspicion = suspect(text, source, passed=passed)
        if suspicion is not None:
            found.append(suspicion.note())
    return (*found, *_disagreement(judged, measured))


def _foreign(panel: Panel, talks: Sequence[Talk]) -> list[tuple[str, str, tuple[str, ...]]]:
    """Returns the foreign texts that went into prompts: source, text, and signs that mean nothing in it."""
    texts: list[tuple[str, str, tuple[str, ...]]] = []
    if panel.site_notes:
        texts.append(("site notes", panel.site_notes, ("outcome",)))  # they may say what to treat as normal
    texts += [(f"model's description of {_span(talk.piece)}", talk.description, ()) for talk in talks]
    return texts


def _disagreement(judged: ScoreTrack, measured: ScoreTrack) -> list[str]:
    """Returns a note on the moment at which measurements most clearly report an event and the model does not."""
    apart = np.where(judged.scores < _REPORTED, measured.scores, 0.0)
    row = int(apart.argmax())
    if apart[row] < _REPORTED:
        return []
    return [
        f"What was measured without the model reports an event at {clock(float(judged.times_s[row]))}"
        f" ({measured.scores[row]:.2f}), the model does not ({judged.scores[row]:.2f}). Words in the picture can sway a"
        " model: look there."
    ]


def _spans(pieces: Sequence[Piece]) -> str:
    told = ", ".join(_span(piece) for piece in pieces[:_LISTED])
    return told if len(pieces) <= _LISTED else f"{told} and {len(pieces) - _LISTED} more"


def _span(piece: Piece) -> str:
    return f"{clock(piece.start_s)} to {clock(piece.end_s)}"
