"""HAWK (Tang et al., NeurIPS 2024): descriptions of anomalies, and questions on them, on seven data sets of video.

The annotation is to be downloaded from the authors' drive; its form is that which their training code reads: a list of
objects with `video`, `description` and `QA`, a list of objects with `q` and `a`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from vau.errors import InputError
from vau.eval.benchmarks.base import Benchmark, Counts, Item, Items, Part, Predictions, require
from vau.eval.benchmarks.hub import rows
from vau.eval.benchmarks.text import take_text, text_case, text_figures
from vau.eval.names import canonical

_TEST = Part(
    "annotation, test", ("all_videos_test.json",), "https://github.com/jqtangust/hawk (README, All_Mix on their drive)"
)
_QUESTION = "What is anomalous in this video?"


def _read(folder: Path, split: str, task: str) -> Items:
    path = require(folder, _TEST)
    items = []
    for number, row in enumerate(rows(path), 1):
        where = f"{path}, row {number}"
        video, told, asked = row.get("video"), row.get("description"), row.get("QA", [])
        if not isinstance(video, str) or not isinstance(told, str) or not isinstance(asked, list):
            raise InputError(f"{where}: expected video, description and QA, got {sorted(row)}")
        name = f"{Path(video).parent.name}/{canonical(video)}".lstrip("/")
        groups = (Path(video).parts[0],) if len(Path(video).parts) > 1 else ()
        pairs = [(_QUESTION, told)] if task == "description" else [_pair(one, where) for one in asked]
        for place, (question, answer) in enumerate(pairs):
            item_id = f"{number}/{place}"
            items.append(Item(item_id, name, {"question": question}, answer, groups=groups, path=video))
    return Items(tuple(items), (str(path),))


def _pair(one: Any, where: str) -> tuple[str, str]:
    question, answer = (one.get(key) if isinstance(one, dict) else None for key in ("q", "a"))
    if not isinstance(question, str) or not isinstance(answer, str) or not answer.strip():
        raise InputError(f"{where}: a question needs q and a, got {one!r:.60}")
    return question, answer


def _priors(found: Items) -> Mapping[str, Predictions]:
    return {"the question": [item.inputs["question"] for item in found.items]}


HAWK = tuple(
    Benchmark(
        name=f"hawk/{task}",
        title=f"HAWK, {title}",
        prompt="qa_video",
        splits={"test": Counts()},
        parts=(_TEST,),
        read=partial(_read, task=task),
        take=lambda value, item: take_text(value),
        figures=text_figures,
        priors=_priors,
        videos_from="Avenue, DoTA, Ped1, Ped2, ShanghaiTech, UBnormal and UCF-Crime, each from its own source",
        terms="none known for the annotation; research only",
        card="hawk",
        case=text_case,
        judge="judge_caption",
    )
    for task, title in (("description", "descriptions of anomalies"), ("qa", "questions on anomalies"))
)
