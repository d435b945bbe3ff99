"""VAU-Bench of VAU-R1 (Zhu et al., arXiv 2505.23504): questions, grounding, classes and reasons on three data sets.

What its files and code do otherwise than they seem is handled here, both readings side by side where published figures
rest on the other: ECVA's times are minutes and seconds in one number (112 is 1 min 12 s) and are read as seconds by the
released code; 0, 0 is a normal video and -1, -1 an abnormal one without times; right options are mostly A; the code
takes nearly any answer for "Normal"; the class tells what the code guesses from file names.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from vau.errors import InputError
from vau.eval import files
from vau.eval.benchmarks.base import Benchmark, Counts, Item, Items, Part, locate, require
from vau.eval.benchmarks.text import take_text
from vau.eval.benchmarks.vau_answers import (
    BY_NAME,
    CLASSES,
    LETTERS,
    Grounded,
    choice_figures,
    choice_priors,
    class_figures,
    class_priors,
    grounding_figures,
    grounding_priors,
    reason_case,
    reason_figures,
    reason_priors,
    take_choice,
    take_class,
    take_grounding,
)
from vau.eval.lengths import read_lengths
from vau.eval.metrics.grounding import check_span
from vau.eval.metrics.labels import normal_label
from vau.eval.names import canonical
from vau.eval.protocols.base import NORMAL, Repair

_OPTIONS = tuple(f"Option {number}" for number in range(1, 5))
_ABSENT = ("-1", "-1.0", "")  # how a field that a row lacks is written
_COLUMNS = ("Video Name", "Question", *_OPTIONS, "Correct Option", "Anomaly Class", "Start Time", "End Time")
_TEXTS = ("Key Object", "Description", "Reasoning")
_ORIGIN = "https://huggingface.co/datasets/7xiang/VAU-Bench or https://github.com/GVCLab/VAU-R1 (annotations)"
_PARTS = {
    "msad": Part("annotation, MSAD test", ("test_msad.csv",), _ORIGIN, needed=False),
    "ucf": Part("annotation, UCF-Crime test", ("test_ucf_crime.csv",), _ORIGIN, needed=False),
    "ecva": Part("annotation, ECVA test", ("test_ecva.csv",), _ORIGIN, needed=False),
    "val": Part("annotation, validation", ("val.csv",), _ORIGIN, needed=False),
}
_LENGTHS = Part("lengths of the videos", ("lengths.csv",), "counting: video, frames, duration_s", needed=False)
_QUESTION = "Describe what is unusual in this video, and explain whether and how an anomaly happens, and why."


def minutes_and_seconds(value: float) -> float | None:
    """Returns the seconds of a time written as 100 x minutes + seconds, None where it cannot be one."""
    whole = int(value)
    if whole != value or value < 0 or whole % 100 >= 60:
        return None
    return float(60 * (whole // 100) + whole % 100)


def read_rows(folder: Path, split: str) -> tuple[Path, list[dict[str, str]]]:
    """Returns the file of a split and its rows; raises InputError where it is missing or of another form."""
    path = require(folder, _PARTS[split])
    rows = files.csv_rows(path, *_COLUMNS)
    for number, row in enumerate(rows, 2):
        if row["Anomaly Class"].strip() not in _ABSENT and normal_label(row["Anomaly Class"]) not in BY_NAME:
            raise InputError(f"{path}, line {number}: unknown class {row['Anomaly Class']!r:.60}")
    return path, rows


def _items(folder: Path, split: str, task: str) -> Items:
    path, rows = read_rows(folder, split)
    odd: Counter[str] = Counter()
    durations = _durations(folder)
    items = []
    for number, row in enumerate(rows, 2):
        item = _TASKS[task](row, f"{path}, line {number}", odd)
        if item is not None:
            duration_s = durations.get(item.video)
            items.append(
                Item(item.item_id, item.video, item.inputs, item.truth, None, duration_s, item.groups, item.path)
            )
    repairs = tuple(Repair(rule, count, _REPAIRS[rule]) for rule, count in odd.items())
    context = _validation(folder) if task == "tag" and split != "val" else {}
    return Items(tuple(items), (str(path),), repairs, context=context)


_REPAIRS = {
    "mmss": "times of ECVA read as minutes and seconds",
    "mmss-odd": "times of ECVA that are none, or would end before they begin, kept as seconds",
    "no-times": "abnormal videos without times left out",
    "no-question": "rows without a question left out",
    "full-option": "right options written out, read by their letter",
}


def _item(row: Mapping[str, str], inputs: Mapping[str, Any], truth: Any) -> Item:
    path = row["Video Name"].strip()
    source = canonical(path).split("_")[0].lower()
    groups = (f"source {source}",) if source in ("msad", "ucf", "ecva") else ()
    return Item(canonical(path), canonical(path), inputs, truth, groups=groups, path=path)


def _asked(row: Mapping[str, str], odd: Counter[str]) -> bool:
    if row["Question"].strip() in _ABSENT:
        odd["no-question"] += 1
        return False
    return True


def _question(row: Mapping[str, str], where: str, odd: Counter[str]) -> Item | None:
    if not _asked(row, odd):
        return None
    right = row["Correct Option"].strip()
    match = re.match(r"([A-D])(?:$|[.):]\s*\S)", right)
    if match is None:
        raise InputError(f"{where}: the right option must be A to D, got {right!r:.60}")
    if len(right) > 1:
        odd["full-option"] += 1
    options = tuple(row[name].strip() for name in _OPTIONS)
    item = _item(row, {"question": row["Question"].strip(), "options": _lettered(options)}, match[1])
    kind = NORMAL if row["Anomaly Class"] == NORMAL else "anomalous"
    return Item(item.item_id, item.video, item.inputs, item.truth, groups=(*item.groups, kind), path=item.path)


def _shuffled(row: Mapping[str, str], where: str, odd: Counter[str]) -> Item | None:
    """Puts the options in an order that the video's name fixes, so that letters say nothing."""
    item = _question(row, where, odd)
    if item is None:
        return None
    options = [option[3:] for option in item.inputs["options"]]
    order = np.random.default_rng(zlib.crc32(item.item_id.encode())).permutation(len(options))
    inputs = {"question": item.inputs["question"], "options": _lettered([options[place] for place in order])}
    right = LETTERS[int(np.flatnonzero(order == LETTERS.index(item.truth))[0])]
    return Item(item.item_id, item.video, inputs, right, groups=item.groups, path=item.path)


def _lettered(options: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=True))


def _grounding(row: Mapping[str, str], where: str, odd: Counter[str]) -> Item | None:
    try:
        written = float(row["Start Time"]), float(row["End Time"])
    except ValueError as error:
        raise InputError(
            f"{where}: times must be numbers, got {row['Start Time']!r:.20}, {row['End Time']!r:.20}"
        ) from error
    if written == (-1, -1):
        odd["no-times"] += 1
        return None
    if written == (0, 0):
        return _item(row, {}, Grounded(None, None))
    span = check_span(list(written))
    item = _item(row, {}, None)
    seconds = span
    if "ecva" in canonical(item.video).lower() or "ecva" in Path(where.split(",")[0]).name:
        read = minutes_and_seconds(span[0]), minutes_and_seconds(span[1])
        if read[0] is None or read[1] is None or not read[0] < read[1]:
            odd["mmss-odd"] += 1
        else:
            seconds = (read[0], read[1])
            if seconds != span:
                odd["mmss"] += 1
    return Item(item.item_id, item.video, {}, Grounded(seconds, span), groups=item.groups, path=item.path)


def _classified(row: Mapping[str, str], where: str, odd: Counter[str]) -> Item | None:
    if not _asked(row, odd):
        return None
    return _item(row, {"classes": CLASSES}, BY_NAME[normal_label(row["Anomaly Class"])])


def _reasoned(row: Mapping[str, str], where: str, odd: Counter[str]) -> Item | None:
    if not _asked(row, odd):
        return None
    missing = [name for name in _TEXTS if name not in row]
    if missing:
        raise InputError(f"{where}: no column {', '.join(missing)}")
    return _item(row, {"question": _QUESTION}, {"class": row["Anomaly Class"], **{name: row[name] for name in _TEXTS}})


_TASKS = {
    "qa": _question,
    "qa-shuffled": _shuffled,
    "tag": _grounding,
    "cls": _classified,
    "reasoning": _reasoned,
}


def _durations(folder: Path) -> dict[str, float]:
    path = locate(folder, _LENGTHS)
    if path is None:
        return {}
    known = read_lengths(path, str).videos
    return {name: length.duration_s for name, length in known.items() if length.duration_s is not None}


def _validation(folder: Path) -> dict[str, Any]:
    """Returns the median begin and end of anomalies in the validation split, by source."""
    if locate(folder, _PARTS["val"]) is None:
        return {}
    path, rows = read_rows(folder, "val")
    spans = [
        item.truth.span_s
        for number, row in enumerate(rows, 2)
        if (item := _grounding(row, f"{path}, line {number}", Counter())) is not None and item.truth.span_s
    ]
    return {"span_s": tuple(float(value) for value in np.median(np.array(spans), axis=0))} if spans else {}


_ROWS = {"msad": Counts(240, 240), "ucf": Counts(251, 251), "ecva": Counts(438, 438), "val": Counts(734, 734)}
_TIMED = {"msad": Counts(240, 240), "ucf": Counts(274, 274), "ecva": Counts(402, 402), "val": Counts(553, 553)}


def _benchmark(task: str, title: str, prompt: str, **parts: Any) -> Benchmark:
    return Benchmark(
        name=f"vau-bench/{task}",
        title=f"VAU-Bench, {title}",
        prompt=prompt,
        splits=_TIMED if task == "tag" else _ROWS,
        parts=(*_PARTS.values(), *((_LENGTHS,) if task == "tag" else ())),
        read=partial(_items, task=task),
        videos_from="MSAD, UCF-Crime and ECVA, each from its own source",
        terms="annotation: MIT by its Hub card, none stated in its code repository; treat as research only",
        card="vau-bench",
        hub="7xiang/VAU-Bench",
        **parts,
    )


QA = _benchmark(
    "qa", "multiple choice", "vau_r1_qa", take=take_choice, figures=choice_figures, priors=choice_priors,
    note="Options in the order of the file, in which most right ones are A.",
)  # fmt: skip
QA_SHUFFLED = _benchmark(
    "qa-shuffled", "multiple choice, options shuffled", "vau_r1_qa", take=take_choice, figures=choice_figures,
    priors=choice_priors, note="Options in an order that the video's name fixes: letters say nothing.",
)  # fmt: skip
TAG = _benchmark(
    "tag", "temporal grounding", "vau_r1_grounding", take=take_grounding, figures=grounding_figures,
    priors=grounding_priors,
    note="Published figures are those of anomalous videos, and on ECVA those of times as written.",
)  # fmt: skip
CLS = _benchmark(
    "cls", "classes", "vau_r1_classify", take=take_class, figures=class_figures, priors=class_priors
)  # fmt: skip
REASONING = _benchmark(
    "reasoning", "descriptions and reasons", "qa_video", take=lambda value, item: take_text(value),
    figures=reason_figures, priors=reason_priors, case=reason_case, judge="judge_vau",
    note="The paper grades by a judge (VAU-Eval) alone; caption metrics on texts of this length say little.",
)  # fmt: skip
