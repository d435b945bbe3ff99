"""What counts as abnormal, in a user's words or in the project's own sentence banks, and its text embeddings.

A definition has no meaning of its own here: it is as good as the text tower that reads it. Words are checked and
cleaned since they come from outside and are shown again. The idea is LaGoVAD's (2503.13160), the banks' form NOVA's
(2609.06360, section 3); all sentences are the project's own, in `prompts/definitions.yaml`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from vau import prompts
from vau.errors import InputError, ScoreError
from vau.types import Float32, Observations

MAX_DEFINITIONS = 64  # a side
MAX_CHARACTERS = 200  # a text tower of 77 tokens reads no more


class TextEncoder(Protocol):
    """The text tower of a model whose image tower embedded the frames."""

    @property
    def name(self) -> str:
        """Name of the weights, the same as that of the frame embedder."""
        ...

    def encode(self, texts: Sequence[str]) -> Float32:
        """Returns (n, E) float32 rows of unit norm."""
        ...


@dataclass(frozen=True)
class Bank:
    """Sentences that speak for one kind of anomaly, and sentences of what is easily taken for it."""

    name: str
    anomalous: tuple[str, ...]
    normal: tuple[str, ...]


@dataclass(frozen=True)
class Definitions:
    """What a user calls abnormal and what normal; cleaned and checked on creation.

    Control characters are dropped and runs of blanks made one.

    Raises:
        InputError: no anomaly, an empty or overlong text, too many of them, or one text given twice.
    """

    anomalies: tuple[str, ...]
    normals: tuple[str, ...] = ()  # empty: the general ones of `prompts/definitions.yaml`

    def __post_init__(self) -> None:
        object.__setattr__(self, "anomalies", _cleaned("anomaly", self.anomalies))
        object.__setattr__(self, "normals", _cleaned("normal", self.normals))
        if not self.anomalies:
            raise InputError('no anomaly is defined; say what is abnormal, such as --anomaly "person without helmet"')
        seen: set[str] = set()
        for text in self.anomalies + self.normals:
            if text.casefold() in seen:
                raise InputError(f"the definition {text!r} is given twice; each text may stand for one thing only")
            seen.add(text.casefold())

    def embed(self, encoder: TextEncoder) -> Float32:
        """Returns (1 + C, E) unit-norm rows for a head that is conditioned on text.

        Row 0 is the normalised mean of the normal texts, row c the c-th anomaly; all are put into the file's templates.

        Raises:
            ScoreError: the encoder returned something malformed, or normal texts that cancel out.
        """
        templates = _strings(prompts.load("definitions"), "templates")
        normals = self.normals or general_normals()
        groups = [normals, *((text,) for text in self.anomalies)]
        filled = [[template.format(text) for text in group for template in templates] for group in groups]
        rows = encode(encoder, [text for group in filled for text in group])
        ends = np.cumsum([len(group) for group in filled])[:-1]
        return _unit(np.stack([part.mean(axis=0) for part in np.split(rows, ends)]))

    def banks(self) -> tuple[Bank, ...]:
        """Returns one bank an anomaly, for scorers without training; the normal side is the same in all."""
        templates = _strings(prompts.load("definitions"), "templates")
        normals = tuple(t.format(text) for text in self.normals or general_normals() for t in templates)
        return tuple(Bank(text, tuple(t.format(text) for t in templates), normals) for text in self.anomalies)


def general_normals() -> tuple[str, ...]:
    """Returns what is normal where a user does not say."""
    return _strings(prompts.load("definitions"), "normals")


def standard_banks() -> tuple[Bank, ...]:
    """Returns the project's banks of surveillance, traffic and safety; general normals stand in each."""
    table = prompts.load("definitions")
    normals = _strings(table, "normals")
    return tuple(
        Bank(name, _strings(entry, "anomalous"), _strings(entry, "normal") + normals)
        for name, entry in table["banks"].items()
    )


def prefixes() -> tuple[str, str]:
    """Returns what is put before every anomalous and every normal sentence."""
    table = prompts.load("definitions")["prefixes"]
    return table["anomalous"], table["normal"]


def encode(encoder: TextEncoder, texts: Sequence[str]) -> Float32:
    """Returns the unit rows (n, E) of texts; raises ScoreError where the encoder returns anything else."""
    rows = np.asarray(encoder.encode(texts), np.float32)
    if rows.ndim != 2 or len(rows) != len(texts) or not np.isfinite(rows).all():
        raise ScoreError(f"{encoder.name} returned {rows.shape} for {len(texts)} texts, or NaN or infinity")
    return _unit(rows)


def check_space(observations: Observations, encoder: TextEncoder, dim: int) -> None:
    """Raises ScoreError unless frames and texts were embedded by the same model."""
    if observations.embeddings.shape[1] != dim:
        raise ScoreError(
            f"the texts of {encoder.name} have {dim} dimensions, the frames {observations.embeddings.shape[1]}; "
            "use the embedder whose text tower reads the definitions"
        )
    if observations.models and encoder.name not in observations.models:
        raise ScoreError(
            f"the frames were embedded by {', '.join(observations.models)}, the definitions by {encoder.name}; "
            "their vectors cannot be compared"
        )


def _cleaned(kind: str, texts: Sequence[str]) -> tuple[str, ...]:
    if isinstance(texts, str):
        raise InputError(f"{kind} definitions must be a list of texts, got the single text {texts[:60]!r}")
    if len(texts) > MAX_DEFINITIONS:
        raise InputError(f"at most {MAX_DEFINITIONS} {kind} definitions are read, got {len(texts)}")
    return tuple(_clean(kind, text) for text in texts)


def _clean(kind: str, text: str) -> str:
    if not isinstance(text, str) or len(text) > 10 * MAX_CHARACTERS:
        raise InputError(f"a definition of {kind} must be a text of up to {MAX_CHARACTERS} characters")
    plain = "".join(" " if char.isspace() else char for char in text)
    plain = " ".join("".join(c for c in plain if not unicodedata.category(c).startswith("C")).split())
    if not plain or len(plain) > MAX_CHARACTERS:
        raise InputError(
            f"a definition of {kind} needs 1 to {MAX_CHARACTERS} characters, got {len(plain)}: {plain[:60]!r}"
        )
    return plain


def _strings(table: dict[str, object], key: str) -> tuple[str, ...]:
    values = table[key]
    if not isinstance(values, list) or not values or not all(isinstance(value, str) for value in values):
        raise ValueError(f"prompts/definitions.yaml: {key} must be a list of texts")
    return tuple(values)


def _unit(rows: Float32) -> Float32:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    if (norms < 1e-6).any():
        raise ScoreError("text embeddings of a definition cancel out to zero")
    unit: Float32 = (rows / norms).astype(np.float32)
    return unit
