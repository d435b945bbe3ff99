"""Accuracy, precision, recall and F1 of labels and of lettered choices, strictly read and leniently read.

Papers differ in what they accept as an answer: an exact label, or any text that holds it. Both readings stand here
under their own names, so that neither passes for the other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vau.eval.metrics.sums import Summed, f1, mean, ratio

Float64 = NDArray[np.float64]

_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE)
_LEAD = re.compile(
    r"^\s*(the\s+)?(best|correct|right)?\s*(answer|option|choice)(\s+option)?\s*(is|:|would be)?\s*:?\s*", re.IGNORECASE
)


def answered(text: str) -> str:
    """Returns what stands between the last answer tags, or the whole text where there are none."""
    found = _ANSWER.findall(text)
    return str(found[-1] if found else text).strip()


def normal_label(text: str) -> str:
    """Returns a label for comparison: no case, underscores and hyphens as blanks, no full stop, blanks made single."""
    return " ".join(re.sub(r"[_\-]+", " ", text).strip().strip(".").casefold().split())


def strict_letter(text: str) -> str | None:
    """Returns the letter of an answer that is one letter A-G, with or without brackets, dot or colon; else None."""
    match = re.fullmatch(r"\(?([A-Ga-g])\)?[.:]?", answered(text))
    return match[1].upper() if match else None


def lenient_letter(text: str) -> str | None:
    """Returns the first capital A-G of an answer whose common lead-in phrases are cut off, as VAU-R1's code does."""
    match = re.search(r"[A-G]", _LEAD.sub("", answered(text)))
    return match[0] if match else None


def accuracy(name: str, predictions: Sequence[str | None], truths: Sequence[str]) -> Summed:
    """Returns the share of items whose label is the true one; None is wrong."""
    return mean(name, [given == true for given, true in zip(predictions, truths, strict=True)])


def binary_figures(predictions: Sequence[str | None], truths: Sequence[str], positive: str) -> tuple[Summed, ...]:
    """Returns precision, recall and F1 of one label against the rest.

    A failed item of the positive label is missed; one of another label counts as a false alarm, so that failing never
    pays.
    """
    true = np.array([label == positive for label in truths])
    given = np.array(
        [label == positive if label is not None else not mine for label, mine in zip(predictions, true, strict=True)]
    )
    hits = given & true
    return (
        Summed("precision", np.column_stack([hits, given]).astype(np.float64), ratio),
        Summed("recall", np.column_stack([hits, true]).astype(np.float64), ratio),
        Summed("F1", np.column_stack([hits, given, true]).astype(np.float64), f1),
    )


def macro_f1(predictions: Sequence[str | None], truths: Sequence[str]) -> Summed:
    """Returns the mean of F1 over the labels that occur among the true ones."""
    names = sorted(set(truths))
    true = np.array([[label == name for name in names] for label in truths], np.float64)
    given = np.array([[label == name for name in names] for label in predictions], np.float64)

    def formula(sums: Float64) -> Float64:
        columns = sums.reshape(len(sums), 3, len(names))
        each = np.stack([f1(columns[:, :, place]) for place in range(len(names))], axis=1)
        # A resample may lack a label altogether.
        there = np.isfinite(each)
        score: Float64 = np.where(there, each, 0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
        return score

    return Summed("macro F1", np.concatenate([given * true, given, true], axis=1), formula)
