"""Flags text that tries to instruct a model: what users type, file names, subtitles, and words read in frames.

A flag is a note for the reader with the words quoted; it blocks nothing and no score depends on it. What keeps orders
from working is that foreign text is fenced as data (`vau.mllm.quote`) and that scores come from pictures alone. The
signs stand in `prompts/injection.yaml`; they are ours, and catch common wordings and disguises, hardly any new one.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache

from vau import prompts
from vau.reasoning.language import clean
from vau.reasoning.minilm import SentenceEncoder
from vau.types import Float32

MAX_CHARACTERS = 20_000  # that are searched
_WINDOW = 2_000  # searched at once, so that a pattern's work is bounded
_OVERLAP = 200
_QUOTED = 160
_MOST_SENTENCES = 64
# Cyrillic and Greek letters that look like Latin ones.
_ALIKE = str.maketrans(
    "аеоросухіјѕԁһӏвмтнкАЕОРСУХІЈЅВМТНК" + "αεορτυικν", "aeopocyxijsdhlbmthkaeopcyxijsbmthk" + "aeoptuikv"
)
_LEET = str.maketrans("013457@$", "oieastas")
_MIXED = re.compile(r"\b(?=[0-9@$]{0,8}[a-z])(?=[a-z]{0,16}[013457@$])[a-z013457@$]{3,24}(?![a-z0-9])")
_SPACED = re.compile(r"(?:\b\w[ ._\-*]{1,3}){5,}\w\b")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")
_HIDDEN_BETWEEN = re.compile(
    r"(?<=\w)[\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff\u00ad\U000e0000-\U000e007f]+(?=\w)"
)


@dataclass(frozen=True)
class Suspicion:
    """A text that is suspected to give orders."""

    source: str  # where it was read, such as "subtitles" or "text in the frame at 0:12"
    quote: str  # the words around the sign, cleaned and at most 160 characters
    signs: tuple[str, ...]  # kinds of signs found, such as "override"

    def note(self) -> str:
        """Returns the line that a report shows."""
        kinds = ", ".join(self.signs)
        where = clean(self.source, 60)
        return f'Suspected injection in the {where} ({kinds}), not followed, quoted as data: "{self.quote}"'


def suspect(text: str, source: str, *, passed: Collection[str] = (), orders: Orders | None = None) -> Suspicion | None:
    """Looks for orders to a machine in a text.

    Args:
        text: any text; 20,000 characters are searched.
        source: where it comes from, in words.
        passed: kinds of signs that mean nothing in this source: a site's notes may say what to treat as normal
            ("outcome").
        orders: compares sentences by meaning as well.

    Returns:
        What is suspected, None where no sign was found.
    """
    found: dict[str, str] = {}
    weight = 0.0
    for view in _views(text[:MAX_CHARACTERS]):
        for kind, worth, pattern in _signs():
            match = None if kind in found or kind in passed else pattern.search(view)
            if match is not None:
                start = max(match.start() - 30, 0)
                found[kind] = view[start : start + 2 * _QUOTED]
                weight += worth
    squeezed = re.sub(r"[^a-z]", "", _plain(text[:MAX_CHARACTERS]))
    if "override" not in found and any(_squeezed().search(way) for way in (squeezed, squeezed[::-1])):
        found["override"] = text
        weight += 1.0
    if weight < 1.0 and orders is not None and (sentence := orders.find(text[:MAX_CHARACTERS])):
        found["meaning"] = sentence
        weight += 1.0
    if weight < 1.0:
        return None
    # What a reader sees is the text itself where it is short, else the place of the first sign.
    whole = clean(text, _QUOTED)
    quote = whole if len(text) <= _QUOTED else clean(next(iter(found.values())), _QUOTED)
    return Suspicion(source, quote.replace('"', "'"), tuple(found))


class Orders:
    """Finds orders to a machine by meaning; embeds its phrases on first use.

    Args:
        encoder: the sentence encoder.
    """

    def __init__(self, encoder: SentenceEncoder) -> None:
        table = prompts.load("injection")["meaning"]
        self._encoder = encoder
        self._floor, self._margin = float(table["floor"]), float(table["margin"])
        self._phrases = [*table["orders"], *table["others"]]
        self._orders = len(table["orders"])
        self._matrix: Float32 | None = None

    def find(self, text: str) -> str | None:
        """Returns the first of up to 64 sentences that is nearer to an order than to anything else, or None."""
        sentences = [item for item in re.split(r"(?<=[.!?;])\s+|\n+", text) if item.strip()][:_MOST_SENTENCES]
        if not sentences:
            return None
        if self._matrix is None:
            self._matrix = self._encoder.encode(self._phrases)
        near = self._encoder.encode(sentences) @ self._matrix.T
        order, other = near[:, : self._orders].max(1), near[:, self._orders :].max(1)
        hits = (order >= self._floor) & (order - other >= self._margin)
        return sentences[int(hits.argmax())] if hits.any() else None


def _views(text: str) -> Iterator[str]:
    """Yields forms of a text in which disguises are undone, in windows."""
    plain = _plain(text)
    yield from _windows(plain)
    if _HIDDEN_BETWEEN.search(text):
        yield from _windows(_plain(_HIDDEN_BETWEEN.sub("", text)))
    names = re.sub(r"[_\-.]+", " ", plain)
    if names != plain:
        yield from _windows(names)
    if _SPACED.search(plain):
        words = re.split(r"\s{2,}", plain)
        yield from _windows(" ".join(re.sub(r"(?<=\b\w)[ ._\-*](?=\w\b)", "", word) for word in words))
        yield from _windows(_SPACED.sub(lambda match: re.sub(r"[ ._\-*]", "", match[0]), plain))
    leet = _MIXED.sub(lambda match: match[0].translate(_LEET), plain)
    if leet != plain:
        yield from _windows(leet)
    for match in list(_BASE64.finditer(text))[:8]:
        try:
            decoded = base64.b64decode(match[0] + "=" * (-len(match[0]) % 4), validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            continue
        yield from _windows(_plain(decoded))


def _plain(text: str) -> str:
    spaced = re.sub(r"[^\S ]", " ", text)
    normal = unicodedata.normalize("NFKD", spaced)
    kept = "".join(char for char in normal if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Mn"))
    lower = kept.lower().replace("\u2019", "'")
    # Look-alikes are undone only among Latin letters, so that Russian stays Russian.
    return re.sub(r"\S+", lambda match: match[0].translate(_ALIKE) if re.search("[a-z]", match[0]) else match[0], lower)


def _windows(text: str) -> Iterator[str]:
    for start in range(0, max(len(text), 1), _WINDOW - _OVERLAP):
        yield text[start : start + _WINDOW]


@cache
def _signs() -> tuple[tuple[str, float, re.Pattern[str]], ...]:
    table = prompts.load("injection")["signs"]
    return tuple(
        (kind, float(entry["weight"]), re.compile("|".join(f"(?:{item})" for item in entry["patterns"])))
        for kind, entry in table.items()
    )


@cache
def _squeezed() -> re.Pattern[str]:
    return re.compile(prompts.load("injection")["squeezed"])
