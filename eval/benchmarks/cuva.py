"""CUVA (Du et al., CVPR 2024): what happened, why, and with what result, in free text.

The annotation lies on the hub. Rows are read in the form that lmms-eval's task cuva_test reads (video_name, task,
answer) and in that of the released predictions (video_id, answer_type, question, answer, output), whose references they
bring along. The paper grades by MMEval, a fine-tuned judge; a judge by prompt takes its place here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from vau.errors import InputError
from vau.eval import files
from vau.eval.benchmarks.base import Benchmark, Counts, Item, Items, Part, Predictions, require
from vau.eval.benchmarks.hub import rows
from vau.eval.benchmarks.text import take_text, text_case, text_figures
from vau.eval.metrics.sums import Figure
from vau.eval.names import canonical

_ORIGIN = "https://huggingface.co/datasets/fesvhtr/CUVA_LMMs (data/test-00000-of-00001.parquet)"
_TEST = Part(
    "questions, test",
    ("test-00000-of-00001.parquet", "cuva_test.jsonl", "cuva_test.json", "output_anomaly_cause.json"),
    _ORIGIN,
)
_TASKS = {"description": "description", "des": "description", "cause": "cause", "result": "result", "effect": "result"}
_QUESTIONS = {
    "description": "What unusual things happen in this video, in what order, and who takes part?",
    "cause": "Why does the unusual thing in this video happen? Reason from what can be seen.",
    "result": "What follows from the unusual thing in this video, for people and surroundings?",
}
_MAIN = re.compile(r"(\d+)-(?!\d)(.+)")
_SUB = re.compile(r"(\d+)-(\d+)\s+(.+)")


def read_categories(path: Path) -> dict[str, tuple[str, ...]]:
    """Returns the sub-classes of each main class of Category.txt, spelt as released; InputError for any other line."""
    found: dict[str, list[str]] = {}
    numbers: dict[str, str] = {}
    for number, line in enumerate(files.text(path).splitlines(), 1):
        if not line.strip():
            continue
        if sub := _SUB.fullmatch(line.strip()):
            if sub[1] not in numbers:
                raise InputError(f"{path}, line {number}: sub-class before its class: {line!r:.60}")
            found[numbers[sub[1]]].append(sub[3])
        elif main := _MAIN.fullmatch(line.strip()):
            numbers[main[1]] = main[2]
            found[main[2]] = []
        else:
            raise InputError(f"{path}, line {number}: expected '1-Class' or '1-1 Sub-class', got {line!r:.60}")
    return {name: tuple(subs) for name, subs in found.items()}


def _read(folder: Path, split: str) -> Items:
    path = require(folder, _TEST)
    items = []
    for number, row in enumerate(rows(path), 1):
        where = f"{path}, row {number}"
        video = row.get("video_name", row.get("video_id"))
        task = _TASKS.get(str(row.get("task", row.get("answer_type", "cause"))).strip().lower().split(" ")[-1])
        answer = row.get("answer")
        if not isinstance(video, str | int) or task is None or not isinstance(answer, str) or not answer.strip():
            raise InputError(
                f"{where}: expected video_name, task (Description, Cause, Result) and answer, got {sorted(row)}"
            )
        name = canonical(str(video))
        item_id = row.get("test_id", row.get("question_id", f"{name}/{task}"))
        question = str(row.get("question") or _QUESTIONS[task])
        items.append(Item(str(item_id), name, {"question": question}, answer.strip(), groups=(task,)))
    return Items(tuple(items), (str(path),))


def _figures(items: Sequence[Item], answers: Predictions) -> Sequence[Figure]:
    return text_figures(items, answers)


def _priors(found: Items) -> Mapping[str, Predictions]:
    return {"the question": [item.inputs["question"] for item in found.items]}


CUVA = Benchmark(
    name="cuva",
    title="CUVA, description, cause and result",
    prompt="qa_video",
    splits={"test": Counts()},
    parts=(_TEST,),
    read=_read,
    take=lambda value, item: take_text(value),
    figures=_figures,
    priors=_priors,
    videos_from="https://huggingface.co/datasets/fesvhtr/CUVA",
    terms="annotation on the hub: CC-BY-NC-SA-4.0; research only",
    card="cuva",
    hub="fesvhtr/CUVA_LMMs",
    case=text_case,
    judge="judge_cause",
    note="BLEU is that of the corpus; lmms-eval averages sentence BLEU. BLEURT and MMEval need models of their own and "
    "are not computed.",
)
