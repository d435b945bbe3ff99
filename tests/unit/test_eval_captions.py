from __future__ import annotations

import numpy as np
import pytest

from vau.errors import InputError, MissingExtraError, VauError
from vau.eval.metrics import captions
from vau.eval.metrics.captions import bleu, bleu_counts, caption_figures, cider, cider_among

TRUE = [
    ["a man in black runs across the street"],
    ["two cars collide at the crossing", "a car hits another car"],
    ["a woman picks up the red bag and leaves"],
    ["a man in black runs across the street"],
]
GIVEN = [
    "a man runs over the street",
    "two cars crash",
    "a woman leaves with a bag",
    "a man in black runs across the street",
]


def coco() -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    return dict(enumerate(TRUE)), {key: [one] for key, one in enumerate(GIVEN)}


def test_bleu_is_pycocoevalcaps() -> None:
    module = pytest.importorskip("pycocoevalcap.bleu.bleu")
    expected, _ = module.Bleu(4).compute_score(*coco(), verbose=0)
    for order in range(1, 5):
        found = bleu(bleu_counts(GIVEN, TRUE, order).sum(axis=0, keepdims=True))
        assert found[0] == pytest.approx(expected[order - 1], rel=1e-9)


def test_bleu_of_nothing_is_nothing() -> None:
    pytest.importorskip("pycocoevalcap")
    assert bleu(bleu_counts([""], [["a b"]], 4))[0] == 0


def test_cider_is_pycocoevalcaps_and_may_borrow_its_documents() -> None:
    module = pytest.importorskip("pycocoevalcap.cider.cider")
    _, expected = module.Cider().compute_score(*coco())
    assert cider(GIVEN, TRUE) == pytest.approx(expected)
    single = [group[:1] for group in TRUE]
    corpus = [group[0] for group in single]
    alone = cider(GIVEN, single)
    # Five pairs with a corpus of four are two blocks; each pair scores as in the corpus.
    assert cider_among([*GIVEN, GIVEN[0]], [*single, single[0]], corpus) == pytest.approx([*alone, alone[0]])


def test_rouge_n_by_hand() -> None:
    assert captions.rouge_n("a b c", ["a b d"], 1) == pytest.approx(2 / 3)
    assert captions.rouge_n("a b c", ["x", "a b"], 2) == pytest.approx(2 * 1 / (2 + 1))
    assert captions.rouge_n("", ["a"], 1) == 0


def test_missing_package_and_missing_java_say_what_to_do(monkeypatch) -> None:
    monkeypatch.setattr(captions, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"vau\[eval\]"):
        captions.tokenise(["a"])
    monkeypatch.undo()
    pytest.importorskip("pycocoevalcap")
    monkeypatch.setattr(captions.shutil, "which", lambda name: None)
    with pytest.raises(VauError, match="default-jre-headless"):
        captions.tokenise(["a"])


def test_wrong_input_is_refused() -> None:
    with pytest.raises(InputError, match="references"):
        caption_figures(["a"], [])
    with pytest.raises(InputError, match="references"):
        caption_figures(["a"], [[]])
    with pytest.raises(InputError, match="no caption metric SPICE"):
        caption_figures(["a"], [["a"]], metrics=["SPICE"])


def test_groups_of_bleu_are_sums_of_their_items() -> None:
    pytest.importorskip("pycocoevalcap")
    counts = bleu_counts(GIVEN, TRUE, 2)
    chosen = np.array([True, False, True, False])
    module = pytest.importorskip("pycocoevalcap.bleu.bleu")
    true, given = coco()
    expected, _ = module.Bleu(2).compute_score(
        {key: true[key] for key in (0, 2)}, {key: given[key] for key in (0, 2)}, verbose=0
    )
    assert bleu(counts[chosen].sum(axis=0, keepdims=True))[0] == pytest.approx(expected[1], rel=1e-9)
