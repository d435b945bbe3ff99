"""The reward for claims that the evidence shows: what a completion tells, against a report of the same video. Ours.

Precision alone would pay for one safe sentence or for the same one many times: sentences count once, and the score
grows with how many pieces of evidence they rest on. It knows the report alone, so that a true claim about what
perception missed earns nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from vau.reasoning.claimcheck import check, split_sentences
from vau.training.rewards.answers import Completion, Reward, block, plain, text_of
from vau.types import Report

Load = Callable[[str], Report]
_WHEN = re.compile(r"<when>[^<]{0,600}</when>")  # shares of the video, no seconds
_TAG = re.compile(r"</?[a-z]{1,12}>")
_MOST_SENTENCES = 40


def claim_faithfulness(
    completions: Sequence[Completion],
    report: Sequence[str | None],
    task: Sequence[str],
    think: Sequence[bool],
    *,
    load: Load,
    needed: int = 2,
    **_: object,
) -> Reward:
    """Returns precision times coverage of what is told; range [0, 1], None for rows without a report or account.

    Precision is the share of the checkable sentences that the evidence supports, each different one once; coverage the
    pieces of evidence that these rest on, by those needed, at most 1. Nothing checkable is 0, and so is a text of more
    than 40 sentences.

    Args:
        completions: as TRL gives them.
        report: the name by which `load` finds each row's report.
        task: of each row; of Vad-R1's the parts of the answer are read too, of all others the think block.
        think: whether the row's prompt asks for thinking; only Vad-R1's parts tell something without it.
        load: returns a report.
        needed: pieces of evidence for full coverage.
    """
    return [
        None
        if name is None or not (thinks or kind == "vad_r1")
        else _score(load(name), told(text_of(one), parts=kind == "vad_r1"), needed)
        for one, name, kind, thinks in zip(completions, report, task, think, strict=True)
    ]


def told(text: str, *, parts: bool) -> str:
    """Returns the sentences of a completion without its tags."""
    pieces = [block(text, "think") or ""]
    if parts:
        pieces.append(_TAG.sub("\n", _WHEN.sub("", block(text, "answer") or "")))
    return "\n".join(pieces).strip()


def _score(report: Report, text: str, needed: int) -> float:
    sentences = list({plain(sentence): sentence for sentence in split_sentences(text)}.values())
    if not 0 < len(sentences) <= _MOST_SENTENCES:
        return 0.0
    checked = check(report, "\n".join(sentences))
    shown = {name for item in checked.sentences if item.verdict == "supported" for name in item.evidence}
    return (checked.faithfulness or 0.0) * min(1.0, len(shown) / needed)
