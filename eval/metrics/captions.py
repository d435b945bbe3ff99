"""Sentences against references: BLEU, METEOR, ROUGE-L and CIDEr as pycocoevalcap computes them, ROUGE-N besides.

Tokens are those of the Penn Treebank tokeniser that pycocoevalcap ships, and METEOR is its Java program, of which this
module takes the counts of matches: METEOR of a corpus, of a group and of a resample is then a formula on sums of counts
(Denkowski and Lavie, 2014; parameters of English), equal to the program's own. Figures are printed times 100.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vau.errors import InputError, MissingExtraError, VauError
from vau.eval.metrics.sums import Summed, mean

Float64 = NDArray[np.float64]

METRICS = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr")
MAX_CHARS = 20_000  # of a sentence; what lies beyond is not read
_PUNCTUATION = frozenset("'' ' `` ` -LRB- -RRB- -LCB- -RCB- . ? ! , : - -- ... ;".split())  # noqa: SIM905 readable so
_TOKENISER = "tokenizer/stanford-corenlp-3.4.1.jar"
_METEOR = "meteor/meteor-1.5.jar"
_TIMEOUT_S = 900
_COUNTS = 23  # numbers in a row of METEOR's counts
# English parameters of METEOR 1.5: balance of precision and recall, form and weight of the fragmentation penalty,
# weight of content words, and of exact, stem, synonym and paraphrase matches.
_ALPHA, _BETA, _GAMMA, _DELTA = 0.85, 0.2, 0.6, 0.75
_STAGES = np.array([1.0, 0.6, 0.8, 0.6])


def caption_figures(
    predictions: Sequence[str | None], references: Sequence[Sequence[str]], *, metrics: Sequence[str] = METRICS
) -> tuple[Summed, ...]:
    """Returns the figures of N sentences.

    Args:
        predictions: a sentence an item; None for a failed one, which scores as an empty sentence.
        references: one or more true sentences an item; CIDEr takes its document frequencies from all of them.
        metrics: of `METRICS`, and ROUGE-1 and ROUGE-2.

    Raises:
        InputError: numbers of items differ, an item has no reference, or a metric is unknown.
        MissingExtraError: pycocoevalcap is not installed.
        VauError: there is no Java, or it failed.
    """
    if len(predictions) != len(references) or not references or not all(references):
        raise InputError(f"every item needs references, got {len(predictions)} items, {len(references)} references")
    unknown = [name for name in metrics if name not in (*METRICS, "ROUGE-1", "ROUGE-2")]
    if unknown:
        raise InputError(f"no caption metric {', '.join(unknown)}; there are {', '.join(METRICS)}, ROUGE-1, ROUGE-2")
    flat = tokenise([*(text or "" for text in predictions), *(text for group in references for text in group)])
    given, rest = flat[: len(predictions)], iter(flat[len(predictions) :])
    true = [[next(rest) for _ in group] for group in references]
    return tuple(_figure(name, given, true) for name in metrics)


def _figure(name: str, given: Sequence[str], true: Sequence[Sequence[str]]) -> Summed:
    kind, _, order = name.partition("-")
    if kind == "BLEU":
        return Summed(name, bleu_counts(given, true, int(order)), bleu)
    if kind == "METEOR":
        return Summed(name, meteor_counts(given, true), meteor)
    if kind == "CIDEr":
        return mean(name, cider(given, true))
    values = [
        _rouge_l(one, group) if order == "L" else rouge_n(one, group, int(order))
        for one, group in zip(given, true, strict=True)
    ]
    return mean(name, values)


def tokenise(texts: Sequence[str]) -> list[str]:
    """Returns texts as lower-case tokens parted by blanks, punctuation left out, by the Penn Treebank's rules.

    Raises:
        MissingExtraError: pycocoevalcap is not installed.
        VauError: there is no Java, or it failed.
    """
    # One line a text: line ends of every kind go, and so do bars, with which METEOR's protocol parts sentences.
    lines = [" ".join(_printable(text[:MAX_CHARS]).split()) for text in texts]
    main = "edu.stanford.nlp.process.PTBTokenizer"
    out = _java(["-cp", str(_packaged(_TOKENISER)), main, "-preserveLines", "-lowerCase"], lines)
    if len(out) != len(lines):
        raise VauError(f"the tokeniser returned {len(out)} lines for {len(lines)}")
    return [" ".join(word for word in line.split() if word not in _PUNCTUATION) for line in out]


def bleu_counts(given: Sequence[str], true: Sequence[Sequence[str]], order: int = 4) -> Float64:
    """Returns what N sentences add to BLEU (N, 2 * order + 2): matches and guesses by length, length, reference's."""
    _packaged("bleu/bleu_scorer.py")
    from pycocoevalcap.bleu.bleu_scorer import cook_refs, cook_test

    rows = []
    for one, group in zip(given, true, strict=True):
        cooked: dict[str, Any] = cook_test(one, cook_refs(list(group), n=order), eff="closest", n=order)
        rows.append([*cooked["correct"], *cooked["guess"], cooked["testlen"], cooked["reflen"]])
    return np.array(rows, np.float64)


def bleu(sums: Float64) -> Float64:
    """Returns BLEU (R,) from sums of `bleu_counts` (R, S), with pycocoevalcap's tiny constants."""
    order = (sums.shape[1] - 2) // 2
    precision = (sums[:, :order] + 1e-15) / (sums[:, order : 2 * order] + 1e-9)
    length = (sums[:, -2] + 1e-15) / (sums[:, -1] + 1e-9)
    # At an empty corpus the exponent is beyond any float, and the penalty 0.
    penalty = np.exp(np.minimum(0.0, 1 - 1 / np.maximum(length, 1e-6)))
    score: Float64 = np.prod(precision, axis=1) ** (1 / order) * penalty
    return score


def meteor_counts(given: Sequence[str], true: Sequence[Sequence[str]]) -> Float64:
    """Returns METEOR's counts of matches of N tokenised sentences with their best reference (N, 23)."""
    lines = [f"SCORE ||| {' ||| '.join(group)} ||| {one}" for one, group in zip(given, true, strict=True)]
    program = ["-Xmx2G", "-jar", str(_packaged(_METEOR)), "-", "-", "-stdio", "-l", "en", "-norm"]
    rows = [line.split() for line in _java(program, lines)]
    if len(rows) != len(lines) or any(len(row) != _COUNTS for row in rows):
        raise VauError(f"METEOR returned {len(rows)} rows for {len(lines)} sentences, or rows of another form")
    counts = np.array(rows, np.float64).reshape(-1, _COUNTS)
    # A sentence that matches whole and in one piece is not penalised for it, alone or in a sum.
    whole = (counts[:, 21] == counts[:, 0]) & (counts[:, 22] == counts[:, 1]) & (counts[:, 20] == 1)
    counts[whole, 20] = 0
    return counts


def meteor(sums: Float64) -> Float64:
    """Returns METEOR (R,) from sums of `meteor_counts` (R, 23)."""
    length, true_length, function, true_function = sums[:, :4].T
    stages = sums[:, 4:20].reshape(-1, 4, 4)  # by stage: content words, those of the reference, function words, theirs
    chunks, matched, true_matched = sums[:, 20:].T

    def share(content: Float64, functional: Float64, words: Float64, function_words: Float64) -> Float64:
        weighted = _DELTA * (content @ _STAGES) + (1 - _DELTA) * (functional @ _STAGES)
        return _over(weighted, _DELTA * (words - function_words) + (1 - _DELTA) * function_words)

    precision = share(stages[:, :, 0], stages[:, :, 2], length, function)
    recall = share(stages[:, :, 1], stages[:, :, 3], true_length, true_function)
    balance = _over(precision * recall, _ALPHA * precision + (1 - _ALPHA) * recall)
    fragments = _over(chunks, (matched + true_matched) / 2)
    score: Float64 = balance * (1 - _GAMMA * fragments**_BETA)
    return score


def cider(given: Sequence[str], true: Sequence[Sequence[str]]) -> Float64:
    """Returns CIDEr of N tokenised sentences (N,), document frequencies from all references given."""
    _packaged("cider/cider.py")
    from pycocoevalcap.cider.cider import Cider

    _, scores = Cider().compute_score(*_as_coco(given, true))
    return np.asarray(scores, np.float64)


def cider_among(given: Sequence[str], true: Sequence[Sequence[str]], corpus: Sequence[str]) -> Float64:
    """Returns CIDEr of N tokenised sentences (N,), document frequencies from a corpus of other references."""
    _packaged("cider/cider.py")
    from pycocoevalcap.cider.cider_scorer import CiderScorer, cook_refs, cook_test

    scores: list[float] = []
    # The scorer takes the number of documents from the number of sentences scored: blocks of the corpus's size.
    for start in range(0, len(given), len(corpus)):
        block = slice(start, start + len(corpus))
        scorer = CiderScorer()
        scorer.crefs = [cook_refs([text]) for text in corpus]
        scorer.compute_doc_freq()
        padding = len(corpus) - len(given[block])
        scorer.ctest = [cook_test(one) for one in given[block]] + [{}] * padding
        scorer.crefs = [cook_refs(list(group)) for group in true[block]] + [[{}]] * padding
        scores += scorer.compute_cider()[: len(given[block])]
    return np.array(scores, np.float64)


def rouge_n(one: str, group: Sequence[str], order: int) -> float:
    """Returns ROUGE-N F1 of a tokenised sentence with its best reference, in [0, 1]."""

    def grams(text: str) -> Counter[tuple[str, ...]]:
        words = text.split()
        return Counter(tuple(words[start : start + order]) for start in range(len(words) - order + 1))

    mine = grams(one)
    best = 0.0
    for other in map(grams, group):
        total = mine.total() + other.total()
        best = max(best, 2 * (mine & other).total() / total if total else 0.0)
    return best


def _rouge_l(one: str, group: Sequence[str]) -> float:
    _packaged("rouge/rouge.py")
    from pycocoevalcap.rouge.rouge import Rouge

    return float(Rouge().calc_score([one], list(group))) if one else 0.0


def _as_coco(given: Sequence[str], true: Sequence[Sequence[str]]) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    return {key: list(group) for key, group in enumerate(true)}, {key: [one] for key, one in enumerate(given)}


def _over(top: Float64, bottom: Float64) -> Float64:
    quotient: Float64 = np.divide(top, bottom, out=np.zeros(len(top)), where=bottom > 0)
    return quotient


def _printable(text: str) -> str:
    return re.sub(r"[^\w\s!-/:-@\[-`{}~]", " ", text).replace("|", " ")


def _packaged(name: str) -> Path:
    """Returns a file of pycocoevalcap; raises MissingExtraError where the package is not installed."""
    spec = find_spec("pycocoevalcap")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        path = Path(folder) / name
        if path.is_file():
            return path
    raise MissingExtraError(f"caption metrics ({name})", "eval")


def _java(arguments: Sequence[str], lines: Sequence[str]) -> list[str]:
    """Runs a Java program on lines and returns its lines."""
    program = shutil.which("java")
    if program is None:
        raise VauError(
            "caption metrics need Java: apt-get install default-jre-headless (Debian), or put java on the path"
        )
    if not lines:
        return []
    command = [program, "-Dfile.encoding=UTF-8", *arguments]
    given = ("\n".join(lines) + "\n").encode()
    try:
        done = subprocess.run(command, input=given, capture_output=True, timeout=_TIMEOUT_S, check=True)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise VauError(f"{arguments[-1]}: no answer from Java in {_TIMEOUT_S} s for {len(lines)} sentences") from error
    except (OSError, subprocess.CalledProcessError) as error:
        told = getattr(error, "stderr", b"") or b""
        raise VauError(f"Java failed: {error}; {told.decode(errors='replace')[-300:]}") from error
    return done.stdout.decode(errors="replace").removesuffix("\n").split("\n")
