"""Answers to VAU-Bench's tasks: how each is read, strictly and as VAU-R1's code reads it, its figures, what is trivial.

Knows neither files nor rows; `vau_bench` makes the items.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vau.errors import InputError
from vau.eval.benchmarks.base import Item, Items, Predictions
from vau.eval.benchmarks.text import text_figures
from vau.eval.metrics.grounding import Span, check_span, tiou, video_figures
from vau.eval.metrics.judge import Case
from vau.eval.metrics.labels import accuracy, answered, lenient_letter, macro_f1, normal_label, strict_letter
from vau.eval.metrics.sums import Figure, mean
from vau.eval.protocols.base import NORMAL

CLASSES = (
    "Abuse", "Agriculture", "Arrest", "Arson", "Assault", "Explosion", "Fighting", "Fire", "Food Safety",
    "Medical Abnormality", "Natural Hazard", "Normal", "Object_falling", "People_falling", "Robbery", "Shooting",
    "Stealing", "Traffic_accident", "Vandalism", "Water_incident",
)  # fmt: skip
LETTERS = "ABCD"
ANOMALY = "Anomaly"
BY_NAME = {normal_label(name): name for name in CLASSES}
_GLUE = re.compile(r"<glue>(.*?)</glue>", re.DOTALL | re.IGNORECASE)
_PAIR = re.compile(r"\[\s*(-?[\d:.]+)\s*,\s*(-?[\d:.]+)\s*\]")


@dataclass(frozen=True)
class Grounded:
    """When an anomaly happens; no span: not at all."""

    span_s: Span | None
    written: Span | None  # the truth as the file has it, before minutes were told from seconds
    answer: str = ""  # of a prediction: what stood between the answer tags


def take_choice(value: Any, item: Item) -> tuple[str | None, str | None]:
    """Returns the letter of an answer, strictly and leniently read; InputError where it has none either way."""
    text = str(value.get("answer", "")) if isinstance(value, dict) else value
    if not isinstance(text, str):
        raise InputError(f"a letter A to D is needed, got {value!r:.60}")
    read = strict_letter(text), lenient_letter(text)
    if read == (None, None):
        raise InputError("no letter in the answer")
    return read


def choice_figures(items: Sequence[Item], answers: Predictions) -> Sequence[Figure]:
    """Returns the accuracy of letters, strictly and leniently read."""
    truths = [item.truth for item in items]
    strict = [None if answer is None else answer[0] for answer in answers]
    lenient = [None if answer is None else answer[1] or answer[0] for answer in answers]
    return accuracy("accuracy", strict, truths), accuracy("accuracy, lenient", lenient, truths)


def choice_priors(found: Items) -> Mapping[str, Predictions]:
    """Returns each letter for all, the longest option, and letters drawn evenly."""
    generator = np.random.default_rng(0)
    longest = []
    for item in found.items:
        sizes = [len(option) for option in item.inputs["options"]]
        longest.append(LETTERS[sizes.index(max(sizes))])
    drawn = [LETTERS[place] for place in generator.integers(0, len(LETTERS), len(found.items))]
    always = {f"always {letter}": [letter] * len(found.items) for letter in LETTERS}
    named = always | {"longest option": longest, "random": drawn}
    return {name: [(letter, letter) for letter in letters] for name, letters in named.items()}


def _clock(text: str) -> float:
    return float(sum(float(part) * 60**power for power, part in enumerate(reversed(text.split(":")))))


def take_grounding(value: Any, item: Item) -> Grounded:
    """Returns when a system says that an anomaly happens, from the reply in tags, ``{"answer", "span_s"}`` or a span.

    A span of -1, -1 and the answer "Normal" both say that there is none.

    Raises:
        InputError: there is neither a span nor a clear "Normal".
    """
    if isinstance(value, str):
        answer = answered(value) if "<answer>" in value.lower() else ""
        inner = _GLUE.findall(value)
        pair = _PAIR.search(inner[-1] if inner else value)
        try:
            given: Any = [_clock(pair[1]), _clock(pair[2])] if pair else None
        except ValueError:
            given = None
    elif isinstance(value, dict):
        answer, given = str(value.get("answer", "")), value.get("span_s")
    else:
        answer, given = "", value
    if given == [-1, -1] or given is None:
        if given is None and normal_label(answer) != "normal":
            raise InputError(f"neither a span nor the answer Normal in {value!r:.80}")
        return Grounded(None, None, answer or NORMAL)
    return Grounded(check_span(given), None, answer or ANOMALY)


def grounding_figures(items: Sequence[Item], answers: Predictions) -> Sequence[Figure]:
    """Returns overlaps by both conventions, answers by both readings, and overlaps with times as they are written."""
    truths: list[Grounded] = [item.truth for item in items]
    spans = ["failed" if answer is None else answer.span_s for answer in answers]
    labels = [ANOMALY if true.span_s else NORMAL for true in truths]
    told = [None if answer is None else normal_label(answer.answer) for answer in answers]
    figures = [
        *video_figures(spans, [true.span_s for true in truths]),
        accuracy("answer", told, [normal_label(label) for label in labels]),
        mean(
            "answer, as VAU-R1's code takes it",
            [
                answer is not None and (lenient_letter(answer.answer) or "") == (lenient_letter(label) or "")
                for answer, label in zip(answers, labels, strict=True)
            ],
        ),
    ]
    if any(true.span_s != true.written for true in truths):
        written = [
            tiou(answer.span_s, true.written) if answer is not None and answer.span_s and true.written else 0.0
            for answer, true in zip(answers, truths, strict=True)
        ]
        anomalous = [true.written is not None for true in truths]
        figures.append(mean("mIoU, times as written", written, anomalous))
        figures += [
            mean(f"R@1, IoU={m:g}, times as written", np.array(written) >= m, anomalous) for m in (0.3, 0.5, 0.7)
        ]
    return figures


def grounding_priors(found: Items) -> Mapping[str, Predictions]:
    """Returns "normal" for all, the median span of validation, and the whole video where its length is known."""
    named: dict[str, Predictions] = {"always normal": [Grounded(None, None, NORMAL)] * len(found.items)}
    if "span_s" in found.context:
        middle = Grounded(found.context["span_s"], None, ANOMALY)
        named["median validation span"] = [middle] * len(found.items)
    if all(item.duration_s for item in found.items):
        named["whole video"] = [Grounded((0.0, float(item.duration_s or 0)), None, ANOMALY) for item in found.items]
    return named


def take_class(value: Any, item: Item) -> str:
    """Returns the class that an answer names; InputError where it is none of the 20."""
    text = str(value.get("answer", "")) if isinstance(value, dict) else value
    if not isinstance(text, str):
        raise InputError(f"a class is needed, got {value!r:.60}")
    name = BY_NAME.get(normal_label(answered(text)))
    if name is None:
        raise InputError("the answer is none of the 20 classes")
    return name


def class_figures(items: Sequence[Item], answers: Predictions) -> Sequence[Figure]:
    """Returns the accuracy over 20 classes and over two, and macro F1."""
    truths = [item.truth for item in items]
    two = [None if answer is None else str(answer == NORMAL) for answer in answers]
    return (
        accuracy("accuracy, 20 classes", answers, truths),
        accuracy("accuracy, anomaly or not", two, [str(true == NORMAL) for true in truths]),
        macro_f1(answers, truths),
    )


def class_priors(found: Items) -> Mapping[str, Predictions]:
    """Returns "Normal" for all, and the commonest other class."""
    common = Counter(item.truth for item in found.items if item.truth != NORMAL).most_common(1)[0][0]
    return {"always Normal": [NORMAL] * len(found.items), f"always {common}": [common] * len(found.items)}


def reason_figures(items: Sequence[Item], answers: Predictions) -> Sequence[Figure]:
    """Returns caption metrics against description and reasoning together."""
    told = [
        Item(item.item_id, item.video, {}, f"{item.truth['Description']} {item.truth['Reasoning']}") for item in items
    ]
    return text_figures(told, answers)


def reason_priors(found: Items) -> Mapping[str, Predictions]:
    """Returns one sentence for all."""
    sentence = "The video shows a normal scene, and nothing unusual happens."
    return {"nothing unusual": [sentence] * len(found.items)}


def reason_case(item: Item, answer: Any) -> Case:
    """Returns what a judge is shown: class, key objects, description and reasoning as reference."""
    true = item.truth
    reference = (
        f"Kind: {true['class']}\nKey objects: {true['Key Object']}\nDescription: {true['Description']}\n"
        f"Reasoning: {true['Reasoning']}"
    )
    return Case(answer, reference, item.inputs["question"])
