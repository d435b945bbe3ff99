"""Vad-Reasoning of Vad-R1 (Huang et al., arXiv 2505.19877): whether, what, when, where, why and how, in named parts.

438 test videos. How the paper counts normal videos in mIoU is not stated; both conventions are printed. Times are
shares of the video; the file's `start` and `end` are taken for shares up to 1 and for frames beyond, which is our
reading, unless the reference answer itself says when.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vau.errors import InputError
from vau.eval.benchmarks.base import Benchmark, Counts, Item, Items, Part, Predictions, require
from vau.eval.benchmarks.hub import rows
from vau.eval.benchmarks.text import take_text
from vau.eval.metrics.captions import caption_figures
from vau.eval.metrics.grounding import Span, check_span, video_figures
from vau.eval.metrics.judge import Case
from vau.eval.metrics.labels import accuracy, answered, binary_figures, normal_label
from vau.eval.metrics.sums import Figure
from vau.eval.names import canonical

ABNORMAL, NORMAL = "abnormal", "normal"
_TEST = Part(
    "annotation, test",
    ("*test*.jsonl", "*test*.json"),
    "https://huggingface.co/datasets/wbfwonderful/Vad-R1 (SFT part, test)",
)
_TAG = re.compile(r"</?(?:which|what|when|where|why|how)>", re.IGNORECASE)
_WHEN = re.compile(r"<when>.*?\[\s*([\d.]+)\s*,\s*([\d.]+)\s*\].*?</when>", re.DOTALL | re.IGNORECASE)
_WHICH = re.compile(r"<which>\s*(.*?)\s*</which>", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True)
class Reasoned:
    """An answer in parts."""

    label: str  # abnormal or normal
    span: Span | None  # shares of the video
    text: str  # without tags
    category: str = ""  # the fine class, of a reference


def parse_answer(text: str) -> Reasoned:
    """Returns the parts of an answer; `which` may hold a fine class, which counts as abnormal.

    Raises:
        InputError: it does not say which.
    """
    body = answered(text)
    which = _WHICH.search(body)
    if which is None:
        raise InputError("no <which> in the answer")
    label = NORMAL if normal_label(which[1]) == NORMAL else ABNORMAL
    when = _WHEN.search(body) if label == ABNORMAL else None
    span = None
    if when is not None:
        try:
            span = check_span([float(when[1]), float(when[2])])
        except ValueError as error:
            raise InputError(f"{when[0]!r:.60} is no time") from error
    return Reasoned(label, span, " ".join(_TAG.sub(" ", body).split()))


def _read(folder: Path, split: str) -> Items:
    path = require(folder, _TEST)
    items = []
    for number, row in enumerate(rows(path), 1):
        where = f"{path}, row {number}"
        video, answer, kind = (row.get(key) for key in ("video", "answer", "anomaly_type"))
        if not isinstance(video, str) or not isinstance(answer, str) or not isinstance(kind, str):
            raise InputError(f"{where}: expected texts under video, answer and anomaly_type, got {sorted(row)}")
        normal = normal_label(kind) == NORMAL
        given = parse_answer(answer) if _WHICH.search(answer) else None
        span = None if normal else (given.span if given and given.span else _span(row, where))
        body = given.text if given else " ".join(answered(answer).split())
        truth = Reasoned(NORMAL if normal else ABNORMAL, span, body, kind)
        groups = (f"source {row['source']}",) if isinstance(row.get("source"), str) else ()
        items.append(Item(str(number), canonical(video), {}, truth, groups=groups, path=str(row.get("path") or video)))
    return Items(tuple(items), (str(path),))


def _span(row: Mapping[str, Any], where: str) -> Span:
    start, end = check_span([row.get("start"), row.get("end")])
    if end <= 1:
        return start, end
    total = row.get("total_frames")
    if isinstance(total, bool) or not isinstance(total, int) or not end <= total + 1:
        raise InputError(f"{where}: start and end are neither shares nor frames of {total!r:.40}")
    return start / total, min(1.0, end / total)


def _figures(items: Sequence[Item], answers: Predictions) -> Sequence[Figure]:
    truths: list[Reasoned] = [item.truth for item in items]
    labels = [None if answer is None else answer.label for answer in answers]
    true = [truth.label for truth in truths]
    # "Abnormal" without a time is no span, yet not the same as "Normal".
    spans = [
        "failed" if answer is None or (answer.label == ABNORMAL and answer.span is None) else answer.span
        for answer in answers
    ]
    texts = [None if answer is None else answer.text for answer in answers]
    return (
        accuracy("accuracy", labels, true),
        *binary_figures(labels, true, ABNORMAL),
        *video_figures(spans, [truth.span for truth in truths]),
        *caption_figures(
            texts, [[truth.text] for truth in truths], metrics=("BLEU-2", "METEOR", "ROUGE-1", "ROUGE-2", "ROUGE-L")
        ),
    )


def _priors(found: Items) -> Mapping[str, Predictions]:
    normal = Reasoned(NORMAL, None, "A normal scene in which nothing unusual happens.")
    whole = Reasoned(ABNORMAL, (0.0, 1.0), "An abnormal event happens.")
    middle = Reasoned(ABNORMAL, (0.25, 0.75), "An abnormal event happens.")
    named = {"always normal": normal, "whole video": whole, "middle half": middle}
    return {name: [answer] * len(found.items) for name, answer in named.items()}


def _case(item: Item, answer: Any) -> Case:
    return Case(None if answer is None else answer.text, item.truth.text, "What is abnormal in this video, and why?")


VAD_REASONING = Benchmark(
    name="vad-reasoning",
    title="Vad-Reasoning, anomalies in named parts",
    prompt="vad_r1",
    splits={"test": Counts(438, 438)},
    parts=(_TEST,),
    read=_read,
    take=lambda value, item: parse_answer(take_text(value)),
    figures=_figures,
    priors=_priors,
    videos_from="UCF-Crime, XD-Violence, TAD, ShanghaiTech, UBnormal, ECVA and the web, see the hub's card",
    terms="see the hub's card; research only",
    card="vad-reasoning",
    hub="wbfwonderful/Vad-R1",
    case=_case,
    judge="judge_caption",
    note="The paper's mIoU of untrained models (up to 0.58) suggests that right normal videos count as 1 there.",
)
