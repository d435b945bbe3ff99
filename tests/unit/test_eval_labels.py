from __future__ import annotations

import numpy as np
import pytest

from vau.eval.metrics.labels import (
    accuracy,
    answered,
    binary_figures,
    lenient_letter,
    macro_f1,
    normal_label,
    strict_letter,
)


@pytest.mark.parametrize(
    ("text", "strict", "lenient"),
    [
        ("B", "B", "B"),
        ("<think>A or B</think><answer>B</answer>", "B", "B"),
        ("(c).", "C", None),
        ("The answer is B", None, "B"),
        ("The best option is: D", None, "D"),
        ("Normal", None, None),
        ("Anomaly", None, "A"),
        ("H", None, None),
        ("", None, None),
    ],
)
def test_letters_by_both_readings(text, strict, lenient) -> None:
    assert (strict_letter(text), lenient_letter(text)) == (strict, lenient)


def test_labels_are_compared_without_case_and_underscores() -> None:
    assert normal_label(" Traffic_accident. ") == normal_label("traffic accident")
    assert answered("x <answer> one </answer> <answer>two</answer>") == "two"


def test_failing_never_pays() -> None:
    truths = ["abnormal", "abnormal", "normal", "normal"]
    answered_all = {
        one.name: one.value() for one in binary_figures(["abnormal", "normal", "normal", "normal"], truths, "abnormal")
    }
    failed = {one.name: one.value() for one in binary_figures(["abnormal", None, None, "normal"], truths, "abnormal")}
    assert (answered_all["precision"], answered_all["recall"]) == (1, 0.5)
    assert (failed["precision"], failed["recall"]) == (0.5, 0.5)
    assert accuracy("a", [None, "x"], ["x", "x"]).value() == 0.5


def test_macro_f1_is_scikit_learns() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    names = np.array(["fire", "fight", "fall"])
    true, given = names[rng.integers(0, 3, 60)].tolist(), names[rng.integers(0, 3, 60)].tolist()
    assert macro_f1(given, true).value() == pytest.approx(metrics.f1_score(true, given, average="macro"))
