"""Rewards that ask the model again on other frames: Vad-R1's verification of an anomaly, Video-R1's contrast of order.

Both cost more generations in each step. Asking is a callback, so that the maths here know no model. How much is cut
from a normal video, and that a span which leaves no frame earns nothing, is ours: the paper leaves both open.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from vau.training.rewards.answers import Completion, Reward, Spans, read, text_of
from vau.training.rewards.groups import RewardFunction, groups, rows_of

Conversation = Sequence[Mapping[str, Any]]  # messages with their pictures in them
Generate = Callable[[Sequence[Conversation]], list[str]]  # a fresh completion of each
Rebuild = Callable[[str, str, Sequence[Any], Sequence[float]], Conversation]  # task, row, pictures, times in seconds

CONFIRMED, DOUBTED = 0.5, -0.2  # Vad-R1
_LEAST_CUT, _MOST_CUT = 0.2, 0.5  # share of the frames of a normal video


def ano_verify(
    completions: Sequence[Completion],
    task: Sequence[str],
    duration_s: Sequence[float],
    row: Sequence[str],
    images: Sequence[Sequence[Any]],
    times_s: Sequence[Sequence[float]],
    *,
    generate: Generate,
    rebuild: Rebuild,
    **_: object,
) -> Reward:
    """Returns AVA-GRPO's term of Vad-R1 (arXiv 2505.19877); range {-0.2, 0, 0.5}, None for other tasks.

    An answer "Abnormal" earns 0.5 where the model says "Normal" of the video without the time that it named. An answer
    "Normal" loses 0.2 where the model says "Abnormal" of the video without its beginning or its end.

    Args:
        completions: as TRL gives them.
        task: of each row.
        duration_s: of the videos.
        row: each row's record, for `rebuild`.
        images: the frames of each row.
        times_s: their times.
        generate: asks the model.
        rebuild: makes the prompt for fewer frames.
    """
    out: Reward = [0.0 if name == "vad_r1" else None for name in task]
    asked: list[tuple[int, bool, Conversation]] = []
    for place, (one, name) in enumerate(zip(completions, task, strict=True)):
        if name != "vad_r1":
            continue
        said = read(name, one, duration_s[place])
        kept = _kept(said.abnormal, said.spans_s, times_s[place], text_of(one))
        if said.abnormal is not None and kept:
            frames = [images[place][index] for index in kept]
            times = [times_s[place][index] for index in kept]
            asked.append((place, said.abnormal, rebuild(name, row[place], frames, times)))
    if not asked:
        return out
    replies = generate([conversation for _, _, conversation in asked])
    for (place, abnormal, _asked), text in zip(asked, replies, strict=True):
        again = read("vad_r1", text, duration_s[place]).abnormal
        if abnormal and again is False:
            out[place] = CONFIRMED
        elif not abnormal and again is True:
            out[place] = DOUBTED
    return out


def temporal_contrast(
    completions: Sequence[Completion],
    prompts: Sequence[Conversation],
    sample_id: Sequence[str],
    *,
    generate: Generate,
    accuracy: RewardFunction,
    mu: float = 0.8,
    alpha: float = 0.3,
    **columns: Any,
) -> Reward:
    """Returns T-GRPO's bonus of Video-R1 (arXiv 2503.21776); range {0, alpha}, None where accuracy does not apply.

    For each prompt half as many completions are made on its frames in a random order, under unchanged times.

    Args:
        completions: as TRL gives them.
        prompts: with their pictures, as TRL gives them.
        sample_id: of each row; the same for the completions of one prompt.
        generate: asks the model.
        accuracy: the reward that decides how right a completion is.
        mu: see `temporal_bonus`.
        alpha: see `temporal_bonus`.
        columns: everything else, for `accuracy`.
    """
    count = len(completions)
    given = {"completions": list(completions), "prompts": list(prompts), "sample_id": list(sample_id), **columns}
    ordered = accuracy(**given)
    out: Reward = [None] * count
    plans: list[tuple[list[int], list[int]]] = []
    asked: list[Conversation] = []
    for rows in groups(sample_id):
        if any(ordered[row] is None for row in rows):
            continue
        copies = rows[: max(1, len(rows) // 2)]
        plans.append((rows, copies))
        asked += [_shuffled(prompts[row], f"{sample_id[row]} {number}") for number, row in enumerate(copies)]
    replies = generate(asked) if asked else []
    for rows, copies in plans:
        texts, replies = replies[: len(copies)], replies[len(copies) :]
        scored = accuracy(**{**rows_of(given, copies, count), "completions": texts})
        scores = [ordered[row] or 0.0 for row in rows]
        bonus = temporal_bonus(scores, [score or 0.0 for score in scored], mu=mu, alpha=alpha)
        for row, value in zip(rows, bonus, strict=True):
            out[row] = value
    return out


def temporal_bonus(
    ordered: Sequence[float], shuffled: Sequence[float], *, mu: float = 0.8, alpha: float = 0.3, least: float = 0.1
) -> list[float]:
    """Returns alpha for the completions of a group that are right, where frames in order help enough.

    Args:
        ordered: accuracy of each completion on frames in order, [0, 1].
        shuffled: accuracy of completions on shuffled frames.
        mu: the mean on frames in order must be at least this share of that on shuffled ones.
        alpha: the bonus.
        least: accuracy above which a completion counts as right.
    """
    mean, other = float(np.mean(ordered)), float(np.mean(shuffled)) if shuffled else 0.0
    return [alpha if mean >= mu * other and score > least else 0.0 for score in ordered]


def _kept(abnormal: bool | None, spans: Spans | None, times_s: Sequence[float], text: str) -> list[int]:
    """Returns which frames the model is shown again; none where there is nothing to ask."""
    if abnormal:
        inside = [any(start <= time_s <= end for start, end in spans or ()) for time_s in times_s]
        return [] if not any(inside) else [index for index, hidden in enumerate(inside) if not hidden]
    random = _random(text)
    cut = max(1, round(len(times_s) * float(random.uniform(_LEAST_CUT, _MOST_CUT))))
    frames = list(range(len(times_s)))
    return frames[cut:] if random.random() < 0.5 else frames[: len(frames) - cut]


def _shuffled(conversation: Conversation, seed: str) -> Conversation:
    """Returns a conversation whose pictures have changed places; its texts, and so the times, stay."""
    pictures = [part["image"] for message in conversation for part in _parts(message) if part.get("type") == "image"]
    order = iter(_random(seed).permutation(len(pictures)).tolist())
    return [
        {
            **message,
            "content": [
                {**part, "image": pictures[next(order)]} if part.get("type") == "image" else part
                for part in _parts(message)
            ],
        }
        for message in conversation
    ]


def _parts(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _random(seed: str) -> np.random.Generator:
    """Returns a generator that the same text always seeds alike, so that a reward stays a function."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big"))
