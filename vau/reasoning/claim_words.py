"""The words of the claim check: `prompts/claims.yaml` with concepts and kinds of `prompts/questions.yaml`, compiled.

It holds patterns alone and reads nothing; see `vau.reasoning.statements`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

from vau import prompts
from vau.reasoning.lexicon import lexicon

Kind = Literal["relation", "event", "threat", "peak", "enter", "leave", "present"]


@dataclass(frozen=True)
class Words:
    """All patterns; of relations and kinds each with what it stands for."""

    relations: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]
    vehicle_stops: re.Pattern[str]
    ends: tuple[tuple[re.Pattern[str], str], ...]
    ignored: re.Pattern[str]
    others: tuple[tuple[Kind, re.Pattern[str]], ...]
    hedges: re.Pattern[str]
    negations: re.Pattern[str]
    not_negations: re.Pattern[str]
    unsaid: re.Pattern[str]
    causes: re.Pattern[str]
    signals: re.Pattern[str]
    upright: re.Pattern[str]
    whole: re.Pattern[str]
    nearly: re.Pattern[str]
    attempts: re.Pattern[str]
    harmless_phrases: re.Pattern[str]
    harmless: re.Pattern[str]
    deeds: frozenset[str]
    minds: frozenset[str]
    more_deeds: re.Pattern[str]
    more_minds: re.Pattern[str]
    kinds: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]


@cache
def words() -> Words:
    """Returns the table, read once; ValueError where it names a concept that does not exist."""
    data = prompts.load("claims")
    known = lexicon()
    extra = data["relations"]
    relations = []
    for pattern, concept in known.concepts:
        relations.append((pattern, concept.predicates))
        relations.append((_present(pattern), concept.predicates))
        relations += [(re.compile(item), concept.predicates) for item in extra.get(concept.name, ())]
    unknown = sorted(set(extra) - {concept.name for _, concept in known.concepts})
    if unknown:
        raise ValueError(f"prompts/claims.yaml: unknown concepts {', '.join(unknown)}")
    kinds: list[tuple[re.Pattern[str], tuple[str, ...]]] = []
    for entry in data["kinds"].values():
        joined = "|".join(sorted(map(re.escape, entry["words"]), key=len, reverse=True))
        kinds.append((re.compile(rf"\b(?:{joined})\b"), tuple(entry["labels"])))
    kinds += [(pattern, kind.labels) for pattern, kind in known.objects]
    presence: dict[Kind, str] = data["presence"]
    return Words(
        relations=tuple(relations),
        vehicle_stops=re.compile(data["vehicle_stops"]),
        ends=tuple((re.compile(pattern), predicate) for predicate, pattern in data["ends"].items()),
        ignored=re.compile("|".join(data["not_stated"])),
        others=(
            ("threat", re.compile(data["threat"])),
            ("event", re.compile(data["event"])),
            ("peak", re.compile(data["peak"])),
            *((kind, re.compile(pattern)) for kind, pattern in presence.items()),
        ),
        hedges=re.compile(data["hedges"]),
        negations=re.compile(data["negations"]),
        not_negations=re.compile(data["not_negations"]),
        unsaid=re.compile(data["unsaid"]),
        causes=re.compile(data["causes"]),
        signals=re.compile(data["signals"]),
        upright=re.compile(data["upright"]),
        whole=re.compile(data["whole"]),
        nearly=re.compile(data["nearly"]),
        attempts=re.compile(data["attempts"]),
        harmless_phrases=re.compile(rf"\b(?:{'|'.join(data['harmless_phrases'])})(?!\w)"),
        harmless=re.compile(rf"\b(?:{'|'.join(data['harmless'])})\b"),
        deeds=frozenset(data["deeds"]),
        minds=frozenset(data["minds"]),
        more_deeds=re.compile(data["more_deeds"]),
        more_minds=re.compile(data["more_minds"]),
        kinds=tuple(kinds),
    )


def _present(pattern: re.Pattern[str]) -> re.Pattern[str]:
    """Returns a pattern of the third person of a concept's words: "pushes" beside "pushed"."""
    past = re.findall(r"(?<=[|:(])([a-z]{2,})ed(?=[|)])", pattern.pattern)
    return re.compile(rf"\b(?:{'|'.join(re.escape(stem) for stem in past) or 'x{9}'})e?s\b")
