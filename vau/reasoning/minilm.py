"""Sentence embeddings by all-MiniLM-L6-v2, computed in plain NumPy on the CPU.

A six-layer BERT encoder, mean pooling over the tokens, unit length; it knows nothing of questions or videos.
Sources: Wang et al. 2020, "MiniLM" (arXiv:2002.10957); Reimers and Gurevych 2019, "Sentence-BERT" (arXiv:1908.10084);
Devlin et al. 2019, "BERT" (arXiv:1810.04805).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.special import erf

from vau.errors import WeightsError
from vau.types import Float32, Int64

if TYPE_CHECKING:
    from tokenizers import Tokenizer

WIDTH = 384
HEADS = 12
LAYERS = 6
MAX_TOKENS = 128
MAX_CHARACTERS = 2_000  # more than MAX_TOKENS ever needs; keeps the tokenizer's work bounded
BATCH = 64
EPSILON = 1e-12


class SentenceEncoder(Protocol):
    """Anything that turns sentences into vectors whose dot product says how alike they are."""

    def encode(self, texts: Sequence[str]) -> Float32:
        """Returns one unit vector a text, float32 (N, D)."""
        ...


class MiniLM:
    """The encoder with its weights in memory (about 90 MB).

    Args:
        weights: ``model.safetensors``.
        tokenizer: ``tokenizer.json``.

    Raises:
        WeightsError: a file is missing, unreadable, or does not hold this network.
    """

    width = WIDTH

    def __init__(self, weights: Path, tokenizer: Path) -> None:
        self._tensors = _read_tensors(weights)
        self._tokenizer = _read_tokenizer(tokenizer)
        self._joint = [self._join_attention(layer) for layer in range(LAYERS)]

    def encode(self, texts: Sequence[str]) -> Float32:
        """Returns one unit vector a text, float32 (N, 384); a text beyond 128 tokens is cut.

        The result of a text does not depend on what stands beside it in the batch, up to rounding.
        """
        out = np.zeros((len(texts), WIDTH), np.float32)
        # A lone surrogate, as in a damaged file name, is no text for the tokenizer.
        readable = [text[:MAX_CHARACTERS].encode("utf-8", "replace").decode("utf-8") for text in texts]
        encodings = self._tokenizer.encode_batch(readable) if readable else []
        # Batches of like length waste no work on padding.
        order = sorted(range(len(texts)), key=lambda row: len(encodings[row].ids))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            out[rows] = self._forward([encodings[row].ids for row in rows])
        return out

    def _forward(self, ids: list[list[int]]) -> Float32:
        """Runs one padded batch of B token lists, the longest of length T; returns (B, 384) of unit length."""
        length = max(len(row) for row in ids)
        tokens: Int64 = np.zeros((len(ids), length), np.int64)
        mask = np.zeros((len(ids), length), np.float32)
        for index, row in enumerate(ids):
            tokens[index, : len(row)] = row
            mask[index, : len(row)] = 1.0
        t = self._tensors
        hidden = t["embeddings.word_embeddings.weight"][tokens] + t["embeddings.position_embeddings.weight"][:length]
        hidden = hidden + t["embeddings.token_type_embeddings.weight"][0]
        hidden = self._norm(hidden, "embeddings.LayerNorm")  # (B, T, 384)
        bias = ((1.0 - mask) * np.float32(-1e9))[:, None, None, :]  # (B, 1, 1, T): padding is never attended to
        for layer in range(LAYERS):
            hidden = self._layer(hidden, bias, layer)
        pooled = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
        return np.asarray(pooled / np.linalg.norm(pooled, axis=1, keepdims=True), np.float32)

    def _layer(self, hidden: Float32, bias: Float32, layer: int) -> Float32:
        """Applies one encoder layer to (B, T, 384): attention, then the feed-forward net, each with a residual."""
        name = f"encoder.layer.{layer}"
        batch, length, _ = hidden.shape
        weight, offset = self._joint[layer]
        joint = (hidden.reshape(-1, WIDTH) @ weight + offset).reshape(batch, length, 3, HEADS, WIDTH // HEADS)
        query, key, value = joint.transpose(2, 0, 3, 1, 4)  # each (B, heads, T, 32)
        scores = query @ key.transpose(0, 1, 3, 2) / np.float32(np.sqrt(WIDTH // HEADS)) + bias
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        context = (scores / scores.sum(-1, keepdims=True)) @ value
        context = context.transpose(0, 2, 1, 3).reshape(batch, length, WIDTH)
        hidden = self._norm(
            hidden + self._linear(context, f"{name}.attention.output.dense"), f"{name}.attention.output.LayerNorm"
        )
        inner = _gelu(self._linear(hidden, f"{name}.intermediate.dense"))
        return self._norm(hidden + self._linear(inner, f"{name}.output.dense"), f"{name}.output.LayerNorm")

    def _linear(self, x: Float32, name: str) -> Float32:
        weight = self._tensors[f"{name}.weight"]
        out = x.reshape(-1, x.shape[-1]) @ weight.T + self._tensors[f"{name}.bias"]
        return np.asarray(out.reshape(*x.shape[:-1], len(weight)))

    def _norm(self, x: Float32, name: str) -> Float32:
        centred = x - x.mean(-1, keepdims=True)
        scale = np.sqrt((centred * centred).mean(-1, keepdims=True) + np.float32(EPSILON))
        return np.asarray(centred / scale * self._tensors[f"{name}.weight"] + self._tensors[f"{name}.bias"])

    def _join_attention(self, layer: int) -> tuple[Float32, Float32]:
        """Returns the query, key and value maps side by side, (384, 1152) and (1152,): one product, not three."""
        names = [f"encoder.layer.{layer}.attention.self.{part}" for part in ("query", "key", "value")]
        weight = np.concatenate([self._tensors[f"{name}.weight"] for name in names]).T
        return np.ascontiguousarray(weight), np.concatenate([self._tensors[f"{name}.bias"] for name in names])


def _gelu(x: Float32) -> Float32:
    return np.asarray(x * np.float32(0.5) * (np.float32(1) + erf(x * np.float32(np.sqrt(0.5)))), np.float32)


def _shapes() -> dict[str, tuple[int, ...]]:
    """Returns every tensor of the network with its shape; the vocabulary and the positions are free in length."""
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (-1, WIDTH),
        "embeddings.position_embeddings.weight": (-1, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(LAYERS):
        name = f"encoder.layer.{layer}"
        norms += [f"{name}.attention.output.LayerNorm", f"{name}.output.LayerNorm"]
        linears = {f"attention.self.{part}": (WIDTH, WIDTH) for part in ("query", "key", "value")}
        linears["attention.output.dense"] = (WIDTH, WIDTH)
        linears["intermediate.dense"] = (4 * WIDTH, WIDTH)
        linears["output.dense"] = (WIDTH, 4 * WIDTH)
        for part, shape in linears.items():
            shapes[f"{name}.{part}.weight"] = shape
            shapes[f"{name}.{part}.bias"] = shape[:1]
    for name in norms:
        shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (WIDTH,)
    return shapes


def _read_tensors(path: Path) -> dict[str, Float32]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        stored = load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path}: cannot read the sentence encoder's weights ({error}); fetch them again") from error
    tensors = {}
    for name, shape in _shapes().items():
        value = stored.get(name)
        fits = value is not None and len(value.shape) == len(shape)
        if (
            value is None
            or not fits
            or any(want not in (-1, got) for want, got in zip(shape, value.shape, strict=True))
        ):
            found = "nothing" if value is None else str(value.shape)
            raise WeightsError(f"{path}: not all-MiniLM-L6-v2: {name} should be {shape}, found {found}")
        tensors[name] = np.ascontiguousarray(value, np.float32)
    return tensors


def _read_tokenizer(path: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise WeightsError(f"{path}: cannot read the sentence encoder's tokenizer ({error}); fetch it again") from error
    except Exception as error:  # the library raises bare Exception for a malformed file
        raise WeightsError(f"{path}: not a tokenizer ({error}); fetch it again") from error
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    return tokenizer
