from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from vau.errors import WeightsError
from vau.reasoning.minilm import MiniLM
from vau.weights import locate

# First eight numbers by the reference implementation: transformers' BertModel on torch, mean pooling, unit length.
GOLDEN = {
    "what happened in this video?": (-0.029743, 0.067518, 0.031597, 0.0079, 0.102819, 0.012824, 0.041383, 0.029912),
    "A man is eating food.": (0.033242, 0.004406, -0.006277, 0.048379, -0.138702, -0.033617, 0.101128, -0.054385),
    "A monkey is playing drums.": (0.023465, -0.058529, 0.055992, -0.046667, -0.065652, 0.028978, 0.014365, 0.0563),
}


@pytest.fixture(scope="module")
def encoder() -> MiniLM:
    return MiniLM(locate("all-minilm-l6-v2"), locate("all-minilm-l6-v2-tokenizer"))


@pytest.mark.weights
def test_agrees_with_the_reference_implementation(encoder: MiniLM) -> None:
    np.testing.assert_allclose(encoder.encode(list(GOLDEN))[:, :8], list(GOLDEN.values()), atol=2e-6)


@pytest.mark.weights
def test_vectors_have_unit_length_whatever_the_text(encoder: MiniLM) -> None:
    vectors = encoder.encode(["", " ", "a", "🤺🔥", "word " * 5000, "x" * 10_000, "什么事", "\x00\ud800"])
    assert vectors.shape == (8, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


@pytest.mark.weights
def test_a_vector_depends_neither_on_its_neighbours_nor_on_their_order(encoder: MiniLM) -> None:
    texts = ["Is there a fight?", "one", "a far longer sentence that makes the others be padded in the batch", *GOLDEN]
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    np.testing.assert_allclose(encoder.encode(texts), alone, atol=1e-5)
    np.testing.assert_allclose(encoder.encode(texts[::-1])[::-1], alone, atol=1e-5)
    many = encoder.encode(texts * 30)
    np.testing.assert_allclose(many[: len(texts)], alone, atol=1e-5)


@pytest.mark.weights
def test_no_text_gives_no_vector(encoder: MiniLM) -> None:
    assert encoder.encode([]).shape == (0, 384)


@pytest.mark.weights
@pytest.mark.parametrize(
    ("one", "other", "unrelated"),
    [
        ("Is there a fight?", "Are people brawling?", "Which codec does the file use?"),
        ("How many people are there?", "count the persons", "Why did the car stop?"),
        ("What happened before that?", "what preceded it", "How tall is the tower?"),
    ],
)
def test_paraphrases_are_nearer_than_unrelated_sentences(encoder: MiniLM, one: str, other: str, unrelated: str) -> None:
    vectors = encoder.encode([one, other, unrelated])
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2


def test_missing_and_foreign_weights_are_typed_errors(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot read"):
        MiniLM(tmp_path / "none.safetensors", tmp_path / "none.json")
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"\xff" * 64)
    with pytest.raises(WeightsError, match="cannot read"):
        MiniLM(damaged, tmp_path / "none.json")
    foreign = tmp_path / "foreign.safetensors"
    save_file({"embeddings.word_embeddings.weight": np.zeros((4, 3), np.float32)}, foreign)
    with pytest.raises(WeightsError, match=r"should be \(-1, 384\), found \(4, 3\)"):
        MiniLM(foreign, tmp_path / "none.json")


@pytest.mark.weights
def test_a_foreign_tokenizer_is_a_typed_error(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text('{"model": 3}')
    with pytest.raises(WeightsError, match="not a tokenizer"):
        MiniLM(locate("all-minilm-l6-v2"), path)
