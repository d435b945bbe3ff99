"""Rewards for the form of an answer: 1 where the whole completion has it, else 0.

VAU-R1 (arXiv 2505.23504) and Video-R1 (2503.21776) ask for think and answer by a full match, VAU-R1's grounding for a
valid interval too, Vad-R1 (2505.19877) for named parts. Ours: no block may be blank, no tag may stand twice, and the
JSON tasks of the Cue-R1 proxy, whose form is unknown, must fit their schema.
"""

from __future__ import annotations

from collections.abc import Sequence

from vau.training.rewards.answers import (
    JSON_TASKS,
    Completion,
    Reward,
    block,
    read,
    read_spans,
    sections,
    text_of,
)

_PARTS = ("which", "what", "when", "where", "why", "how")  # of an abnormal video
_NORMAL_PARTS = ("which", "what")
_PLAIN_TASKS = ("vau_r1_qa", "vau_r1_classify", "cue_r1")


def fmt_think_answer(
    completions: Sequence[Completion], task: Sequence[str], think: Sequence[bool], **_: object
) -> Reward:
    """Returns 1 where a completion is a think block and an answer block and nothing else; range {0, 1}.

    Rows of tasks with another form get None. Where the prompt asks for no thinking, the answer block alone.
    """
    return [
        float(_filled(text_of(one), ("think", "answer") if thinks else ("answer",))) if name in _PLAIN_TASKS else None
        for one, name, thinks in zip(completions, task, think, strict=True)
    ]


def fmt_think_answer_time(
    completions: Sequence[Completion], task: Sequence[str], think: Sequence[bool], **_: object
) -> Reward:
    """Returns 1 where think, answer and one interval follow each other; None for other tasks than grounding.

    The interval has two numbers in square brackets, the first not greater than the second; ``[-1.0, -1.0]`` is normal.
    """
    return [
        float(_timed(text_of(one), ("think",) if thinks else ())) if name == "vau_r1_grounding" else None
        for one, name, thinks in zip(completions, task, think, strict=True)
    ]


def fmt_parts(completions: Sequence[Completion], task: Sequence[str], think: Sequence[bool], **_: object) -> Reward:
    """Returns 1 where Vad-R1's answer holds its parts in their order, filled, with a span in [0, 1]; {0, 1}."""
    return [
        float(_parted(one, ("think", "answer") if thinks else ("answer",))) if name == "vad_r1" else None
        for one, name, thinks in zip(completions, task, think, strict=True)
    ]


def fmt_json(completions: Sequence[Completion], task: Sequence[str], **_: object) -> Reward:
    """Returns 1 where a JSON task's reply fits its schema and its spans are in order; None for other tasks."""
    out: Reward = []
    for one, name in zip(completions, task, strict=True):
        if name not in JSON_TASKS:
            out.append(None)
            continue
        said = read(name, one)
        out.append(float(said.answer is not None and (said.spans_s is not None or said.probability is not None)))
    return out


def _filled(text: str, tags: tuple[str, ...]) -> bool:
    found = sections(text, tags)
    return found is not None and all(content.strip() for content in found)


def _timed(text: str, before: tuple[str, ...]) -> bool:
    found = sections(text, (*before, "answer", "glue"))
    if found is None or not all(content.strip() for content in found):
        return False
    spans = read_spans(found[-1])
    return spans is not None and len(spans) <= 1


def _parted(completion: Completion, tags: tuple[str, ...]) -> bool:
    found = sections(text_of(completion), tags)
    if found is None or not all(content.strip() for content in found):
        return False
    said = read("vad_r1", completion, 1.0)
    if said.abnormal is None or said.spans_s is None:
        return False
    parts = _PARTS if said.abnormal else _NORMAL_PARTS
    places = [found[-1].find(f"<{part}>") for part in parts]
    return places == sorted(places) and all((block(found[-1], part) or "").strip() for part in parts)
