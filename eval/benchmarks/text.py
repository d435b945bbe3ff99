"""What benchmarks with free texts share: an answer as text, its figures by caption metrics, what a judge is shown.

Knows no data set.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from vau.errors import InputError
from vau.eval.benchmarks.base import Item, Predictions
from vau.eval.metrics.captions import caption_figures
from vau.eval.metrics.judge import Case
from vau.eval.metrics.sums import Figure

MAX_CHARS = 200_000
_THINKING = re.compile(r"<think>.*?</think>", re.DOTALL | re.IGNORECASE)


def take_text(value: Any) -> str:
    """Returns an answer's text without its think block; InputError where it is none or empty.

    An object with the key `answer`, as the prompt qa_video asks for, stands for its answer.
    """
    if isinstance(value, dict):
        value = value.get("answer")
    if not isinstance(value, str) or len(value) > MAX_CHARS:
        raise InputError(f"a text of at most {MAX_CHARS:,} characters is needed, got {value!r:.80}")
    text = _THINKING.sub("", value).strip()
    if not text:
        raise InputError("the answer is empty")
    return text


def text_figures(items: Sequence[Item], answers: Predictions) -> Sequence[Figure]:
    """Returns BLEU-1 to 4, METEOR, ROUGE-L and CIDEr of items whose truth is one reference text."""
    return caption_figures(answers, [[item.truth] for item in items])


def text_case(item: Item, answer: Any) -> Case:
    """Returns what a judge is shown of an item whose truth is a text."""
    return Case(answer, item.truth, item.inputs.get("question"))
