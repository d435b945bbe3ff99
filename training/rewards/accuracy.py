"""Rewards for a right answer: the letter of a choice, a label, normal or abnormal, and the chance of what follows.

Choice and label are VAU-R1's (arXiv 2505.23504), exact as its paper tells and not as its code does, which credits
"Normal" for any text without a capital letter. The verdict is Vad-R1's accuracy term (2505.19877). Anticipation by the
quadratic score is ours: the honest probability is the best one to give.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from vau.training.rewards.answers import Completion, Reward, plain, read

_STRICT = re.compile(r"\(?([A-Ga-g])\)?\.?")
_LETTER = re.compile(r"(?<![\w'])([A-G])(?![\w'])")
_MAX_ANSWER = 400  # characters in which a letter or label is looked for


def acc_choice(
    completions: Sequence[Completion],
    choice: Sequence[str | None],
    task: Sequence[str],
    *,
    lenient: bool = False,
    **_: object,
) -> Reward:
    """Returns 1 where the letter is the right one; range {0, 1}, None for rows without a choice.

    Args:
        completions: as TRL gives them.
        choice: the right letters, A to G.
        task: of each row.
        lenient: take the only letter that stands alone in the answer, as in "The answer is B"; two letters are none.
    """
    return [
        None if right is None else float(_letter(read(name, one).answer or "", lenient) == right)
        for one, right, name in zip(completions, choice, task, strict=True)
    ]


def acc_label(
    completions: Sequence[Completion],
    label: Sequence[str | None],
    labels: Sequence[Sequence[str] | None],
    task: Sequence[str],
    *,
    lenient: bool = False,
    **_: object,
) -> Reward:
    """Returns 1 where the label is the right one, case and underscores aside; range {0, 1}, None without a label.

    Args:
        completions: as TRL gives them.
        label: the right ones.
        labels: all that may be answered; needed where `lenient`.
        task: of each row.
        lenient: take the only label of the list that the answer names; two are none.
    """
    out: Reward = []
    for one, right, known, name in zip(completions, label, labels, task, strict=True):
        if right is None:
            out.append(None)
            continue
        answer = plain((read(name, one).answer or "")[:_MAX_ANSWER])
        named = _named(answer, known or ()) if lenient else answer
        out.append(float(named == plain(right)))
    return out


def detection(
    completions: Sequence[Completion], abnormal: Sequence[bool | None], task: Sequence[str], **_: object
) -> Reward:
    """Returns 1 where normal or abnormal is right; range {0, 1}, None where the truth is unknown or not asked."""
    out: Reward = []
    for one, right, name in zip(completions, abnormal, task, strict=True):
        asked = right is not None and name not in ("vau_r1_qa", "vau_r1_classify", "cue_grounding")
        out.append(float(read(name, one).abnormal is right) if asked else None)
    return out


def anticipation(
    completions: Sequence[Completion], abnormal: Sequence[bool | None], task: Sequence[str], **_: object
) -> Reward:
    """Returns 1 - (p - y)^2 of the stated probability p that something abnormal follows; range [0, 1].

    None for rows of other tasks. An unreadable reply gets 0, what the worst of all probabilities gets.
    """
    out: Reward = []
    for one, right, name in zip(completions, abnormal, task, strict=True):
        if right is None or name != "cue_anticipation":
            out.append(None)
            continue
        probability = read(name, one).probability
        out.append(0.0 if probability is None else 1.0 - (probability - float(right)) ** 2)
    return out


def _letter(answer: str, lenient: bool) -> str:
    strict = _STRICT.fullmatch(answer.strip())
    if strict is not None:
        return strict[1].upper()
    found = set(_LETTER.findall(answer[:_MAX_ANSWER])) if lenient else set()
    return str(found.pop()) if len(found) == 1 else ""


def _named(answer: str, labels: Sequence[str]) -> str:
    """Returns the only label that an answer names; a label within a longer one that is named does not count."""
    found = [name for name in sorted({plain(label) for label in labels}, key=len, reverse=True) if name]
    hits: list[str] = []
    for name in found:
        answer, count = re.subn(rf"(?<!\w){re.escape(name)}(?!\w)", " ", answer)
        hits += [name] * bool(count)
    return hits[0] if len(hits) == 1 else ""


def accuracy(**columns: Any) -> Reward:
    """Returns the accuracy of each row by the reward that fits its task: letter, else label, else verdict; {0, 1}."""
    found = [reward(**columns) for reward in (acc_choice, acc_label, detection)]
    return [next((value for value in values if value is not None), None) for values in zip(*found, strict=True)]
