"""A language model as judge of texts: any `Mllm`, a fixed prompt of `prompts/`, marks on named scales.

A judge's mark depends on the judge: its name and the prompt's version belong beside every figure. Give a `CachedMllm`,
and a text that was judged once is not paid for again. A text that was never written (a failed item) gets the lowest
marks without being shown to the judge; a reply of the judge that cannot be read is the judge's failure, is counted, and
leaves that item out of the means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from vau.errors import InputError, MllmError
from vau.eval.metrics.sums import Summed, mean
from vau.mllm.interface import Mllm, Sampling
from vau.mllm.pool import Retries, run_all
from vau.mllm.prompts import Prompt, load_prompt
from vau.mllm.structured import Structured, ask

_RETRIES = Retries()
_SAMPLING = Sampling(max_tokens=600)  # greedy, with the seed that lets replies be kept


@dataclass(frozen=True)
class Case:
    """A text to be judged; None where the item failed."""

    answer: str | None
    reference: str
    question: str | None = None


@dataclass(frozen=True)
class Verdicts:
    """Marks of N cases, None where the judge failed, and what became of the judge's replies."""

    judge: str  # the model's name
    prompt: str  # name and version
    marks: tuple[Mapping[str, float] | None, ...]
    failures: tuple[str, ...]  # why the judge failed, one sentence each
    greatest: Mapping[str, float]  # by scale

    def figures(self) -> tuple[Summed, ...]:
        """Returns the mean of each scale in its own unit, and their sum where they have one unit."""
        judged = [marks is not None for marks in self.marks]
        columns = {scale: [float(marks[scale]) if marks else 0.0 for marks in self.marks] for scale in self.greatest}
        found = [mean(f"judge: {scale}", values, judged) for scale, values in columns.items()]
        if len(columns) > 1 and len(set(self.greatest.values())) == 1:
            found.append(mean("judge: total", np.sum(list(columns.values()), axis=0), judged))
        return tuple(Summed(one.name, one.parts, one.formula, scale=1.0) for one in found)


class Judge:
    """A model with one of the judging prompts: judge_vau, judge_caption or judge_cause.

    Args:
        model: any number of threads may call it.
        prompt: name of the prompt.
        concurrency: calls at once.
        retries: when a failed call is made again.

    Raises:
        InputError: the prompt's reply has no numeric scales.
    """

    def __init__(self, model: Mllm, prompt: str, *, concurrency: int = 8, retries: Retries = _RETRIES) -> None:
        self._model = model
        self._prompt: Prompt = load_prompt(prompt)
        self._concurrency = concurrency
        self._retries = retries
        schema = self._prompt.schema()
        if schema is None:
            raise InputError(f"prompt {prompt} asks for no JSON and cannot judge")
        self._schema = schema
        self._greatest = {
            name: float(form["maximum"])
            for name, form in schema.get("properties", {}).items()
            if form.get("type") in ("number", "integer") and "maximum" in form
        }
        if not self._greatest:
            raise InputError(f"prompt {prompt} has no scales from a minimum to a maximum and cannot judge")

    def grade(self, cases: Sequence[Case]) -> Verdicts:
        """Returns the marks of all cases, in their order."""
        written = [place for place, case in enumerate(cases) if case.answer and case.answer.strip()]
        marks: list[Mapping[str, float] | None] = [dict.fromkeys(self._greatest, 0.0) for _ in cases]
        outcomes = run_all(
            [partial(self._ask, cases[place]) for place in written],
            concurrency=self._concurrency,
            retries=self._retries,
        )
        failures = []
        for place, outcome in zip(written, outcomes, strict=True):
            try:
                value = outcome.get().value
            except MllmError as error:
                marks[place] = None
                failures.append(f"case {place}: {error}")
            else:
                marks[place] = {scale: float(value[scale]) for scale in self._greatest}
        return Verdicts(self._model.name, self._prompt.tag, tuple(marks), tuple(failures), dict(self._greatest))

    def _ask(self, case: Case, timeout_s: float | None) -> Structured:
        inputs = {"answer": case.answer, "reference": case.reference}
        if case.question:
            inputs["question"] = case.question
        messages = self._prompt.render(**inputs)
        return ask(self._model, messages, self._schema, sampling=_SAMPLING, timeout_s=timeout_s)
