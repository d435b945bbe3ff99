"""The words of `prompts/questions.yaml`: which relations, kinds of things and unknowable matters a question names.

Matching is by whole words, with one slip of typing mended in words of five letters and more; it knows no grammar.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, TypeVar

from vau import prompts
from vau.relations.vocabulary import PREDICATES

MIN_MENDED = 5  # shorter words have too many neighbours
Entry = TypeVar("Entry")


@dataclass(frozen=True)
class Concept:
    """Something that predicates can answer, such as a fight."""

    name: str
    noun: str
    predicates: tuple[str, ...]
    related: tuple[str, ...]


@dataclass(frozen=True)
class Unknowable:
    """Something that the embedded models cannot tell, such as a weapon; `says` completes "cannot ..."."""

    name: str
    says: str
    related: tuple[str, ...] = ()  # predicates worth offering instead


@dataclass(frozen=True)
class ObjectKind:
    """A kind of thing and the detector's classes that belong to it; no classes for things of any kind."""

    name: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Cue:
    """A turn of phrase that speaks for some intents; `needs` names what must have been found beside it."""

    pattern: re.Pattern[str]
    needs: str  # "", "TIME", "CONCEPT", "KIND", "TRACK" or "UNKNOWABLE"
    adds: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Lexicon:
    """The whole table, with one compiled pattern for each entry."""

    version: int
    exemplars: tuple[tuple[str, str], ...]  # intent, phrasing
    concepts: tuple[tuple[re.Pattern[str], Concept], ...]
    unknowable: tuple[tuple[re.Pattern[str], Unknowable], ...]
    objects: tuple[tuple[re.Pattern[str], ObjectKind], ...]
    cues: tuple[Cue, ...]
    ignored: re.Pattern[str]
    by_initial: Mapping[str, tuple[str, ...]]  # words that may be mended to, by first letter
    known: frozenset[str]

    def find_concepts(self, text: str) -> list[Concept]:
        """Returns the concepts that a lower-case text names, in the order in which they stand in it."""
        return _in_order(text, self.concepts)

    def find_unknowable(self, text: str) -> list[Unknowable]:
        """Returns the unknowable matters that a lower-case text names, in order."""
        return _in_order(self.ignored.sub(" ", text), self.unknowable)

    def find_objects(self, text: str) -> list[ObjectKind]:
        """Returns the kinds of things that a lower-case text names, in order."""
        return _in_order(text, self.objects)

    def mend(self, text: str) -> str:
        """Returns the text with words that are one slip from a known word replaced by it."""
        return re.sub(rf"[a-z]{{{MIN_MENDED},20}}", lambda match: self._mend_word(match[0]), text)

    def _mend_word(self, word: str) -> str:
        if word in self.known:
            return word
        near = [other for other in self.by_initial.get(word[0], ()) if _one_slip(word, other)]
        # Swapped letters are the commonest slip; then the more letters are kept, the surer the guess.
        return min(near, key=lambda other: (sorted(other) != sorted(word), -len(other)), default=word)


@cache
def lexicon() -> Lexicon:
    """Returns the table, read once.

    Raises:
        ValueError: an entry names a predicate that does not exist.
    """
    data = prompts.load("questions")
    concepts = []
    for name, entry in data["concepts"].items():
        concept = Concept(name, entry["noun"], tuple(entry["predicates"]), tuple(entry["related"]))
        unknown = sorted({*concept.predicates, *concept.related} - set(PREDICATES))
        if unknown:
            raise ValueError(f"prompts/questions.yaml: concept {name} names unknown predicates {', '.join(unknown)}")
        concepts.append((_pattern(entry), concept))
    exemplars = tuple((intent, text) for intent, texts in data["intents"].items() for text in texts)
    words = {word for _, text in exemplars for word in _words(text)}
    lexical: set[str] = set()
    for section in ("concepts", "unknowable", "objects"):
        for entry in data[section].values():
            if unknown := sorted(set(entry.get("related", ())) - set(PREDICATES)):
                raise ValueError(f"prompts/questions.yaml: unknown predicates {', '.join(unknown)}")
            lexical |= {word for text in entry["words"] for word in _words(str(text)) if len(word) >= MIN_MENDED}
    initials: dict[str, list[str]] = {}
    for word in sorted(lexical):
        initials.setdefault(word[0], []).append(word)
    return Lexicon(
        version=int(data["version"]),
        exemplars=exemplars,
        concepts=tuple(concepts),
        unknowable=tuple(
            (_pattern(e), Unknowable(name, e["says"], tuple(e.get("related", ()))))
            for name, e in data["unknowable"].items()
        ),
        objects=tuple((_pattern(e), ObjectKind(name, tuple(e["labels"]))) for name, e in data["objects"].items()),
        cues=tuple(Cue(re.compile(c["pattern"]), c.get("needs", ""), tuple(c["adds"].items())) for c in data["cues"]),
        ignored=re.compile("|".join(rf"\b{re.escape(phrase)}\b" for phrase in data["ignored"])),
        by_initial=MappingProxyType({letter: tuple(group) for letter, group in initials.items()}),
        known=frozenset(words | lexical | {str(word) for word in data["ordinary"]}),
    )


def _words(text: str) -> Iterable[str]:
    return re.findall(r"[a-z]+", text.lower())


def _pattern(entry: dict[str, Any]) -> re.Pattern[str]:
    words = sorted((str(word) for word in entry["words"]), key=len, reverse=True)
    joined = "|".join(re.escape(word).replace(r"\ ", r"[ -]") for word in words)
    return re.compile("|".join([rf"(?<![a-z])(?:{joined})(?![a-z])", *entry.get("patterns", ())]))


def _in_order(text: str, table: tuple[tuple[re.Pattern[str], Entry], ...]) -> list[Entry]:
    found = [(match.start(), index) for index, (pattern, _) in enumerate(table) if (match := pattern.search(text))]
    return [table[index][1] for _, index in sorted(found)]


def _one_slip(word: str, other: str) -> bool:
    """Tells whether one letter dropped, added or changed, or two neighbours swapped, turns one word into the other."""
    if abs(len(word) - len(other)) > 1 or word == other:
        return word == other
    head = 0
    while head < min(len(word), len(other)) and word[head] == other[head]:
        head += 1
    a, b = word[head:], other[head:]
    swapped = len(a) > 1 and len(a) == len(b) and a[:2] == b[1::-1] and a[2:] == b[2:]
    return a[1:] == b or a == b[1:] or a[1:] == b[1:] or swapped
