"""The reward for thinking of a wanted length: a small bonus within a band.

Vad-R1 (arXiv 2505.19877) counts the reasoning, by a band for each verdict, right or wrong; that its unit is words is
our reading. Video-R1 (2503.21776) counts tokens, and pays right answers alone, where the group has more than one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from vau.training.rewards.answers import Completion, Reward, read, text_of
from vau.training.rewards.groups import RewardFunction, groups

VAD_R1_NORMAL, VAD_R1_ABNORMAL = (140, 261), (233, 456)  # words, statistics of the paper's SFT data
VIDEO_R1 = (320, 512)  # tokens
RIGHT = 0.5  # of an accuracy reward, from which on an answer counts as right


def len_band(
    completions: Sequence[Completion],
    completion_ids: Sequence[Sequence[int]],
    sample_id: Sequence[str],
    task: Sequence[str],
    think: Sequence[bool],
    *,
    unit: Literal["words", "tokens"] = "words",
    said_normal: tuple[int, int] = VAD_R1_NORMAL,
    said_other: tuple[int, int] = VAD_R1_ABNORMAL,
    bonus: float = 0.2,
    right: RewardFunction | None = None,
    least_right: int = 1,
    **columns: object,
) -> Reward:
    """Returns the bonus where lo <= length <= hi, bounds included; range {0, bonus}, None where nothing is thought.

    Args:
        completions: as TRL gives them.
        completion_ids: their tokens.
        sample_id: of each row; the same for the completions of one prompt.
        task: of each row.
        think: whether the row's prompt asks for thinking.
        unit: words of the think block, or tokens of the whole completion.
        said_normal: band of answers that say normal.
        said_other: band of all other answers.
        bonus: what is paid.
        right: an accuracy reward; where it is given, only right answers are paid.
        least_right: right answers that the group must have.
        columns: everything else, for `right`.
    """
    count = len(completions)
    given = {"completions": completions, "sample_id": sample_id, "task": task, "think": think, **columns}
    scores = [1.0] * count if right is None else right(completion_ids=completion_ids, **given)
    paid = [score is not None and score > RIGHT for score in scores]
    enough = [False] * count
    for rows in groups(sample_id):
        for row in rows:
            enough[row] = right is None or sum(paid[other] for other in rows) >= least_right
    out: Reward = []
    for row, (one, name) in enumerate(zip(completions, task, strict=True)):
        if not think[row]:
            out.append(None)
            continue
        lo, hi = said_normal if read(name, one).abnormal is False else said_other
        size = len(completion_ids[row]) if unit == "tokens" else _words(one)
        out.append(bonus if paid[row] and enough[row] and lo <= size <= hi else 0.0)
    return out


def _words(completion: Completion) -> int:
    text = text_of(completion).strip()
    if not text.startswith("<think>") or text.count("</think>") != 1:
        return 0
    return len(text.removeprefix("<think>").partition("</think>")[0].split())
