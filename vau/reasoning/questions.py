"""Reads a question about an analysed video: what it asks for, and which time, event, tracks and matter it names.

The intent is the one whose exemplars lie nearest by sentence embedding, helped by cues of structure; names and times
are found by words. It knows the report only as far as needed to resolve "the last event". Follow-ups take over what
the answer before them was about.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from vau.reasoning.lexicon import Concept, ObjectKind, Unknowable, lexicon
from vau.reasoning.minilm import SentenceEncoder
from vau.reasoning.times import TimeMention, TimeSpan, find_times
from vau.types import Float32, Report

MAX_QUESTION = 500  # characters that are read; the rest of a longer text is left alone
MIN_SCORE = 0.45  # below it a question is taken for no question about the video
RUNNER_UP = 0.25  # share that an intent's second nearest exemplar has in its score
_NUMBERS = {
    word: n
    for n, word in enumerate(("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), start=1)
}
_ORDINALS = {
    word: n
    for n, word in enumerate(("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"), start=1)
}
_NUMBER = rf"(\d{{1,6}}|{'|'.join(_NUMBERS)})"
_TRACK = re.compile(
    r"\b(?:person|people|persons|track|tracks|object|id|car|truck|bus|motorcycle|bicycle|bike|dog|cat|man|woman|vehicle"
    r"|subject|suspect|individual)s? ?(?:#|no\.? |number |id )? ?"
    rf"(?:{_NUMBER}(?: ?(?:,|and|&|or|with|vs) {_NUMBER})?)\b|\bt(\d{{1,6}})\b"
)
_EVENT = re.compile(rf"\b(?:event|incident|anomaly|e) ?(?:#|no\.? |number )?{_NUMBER}\b")
_EVENT_ORDINAL = re.compile(
    rf"\b({'|'.join(_ORDINALS)}|last|final) (?:event|incident|anomaly|one)\b(?! (?:to|who|that))"
)
_ABBREVIATIONS = {
    "whats": "what is",
    "what's": "what is",
    "who's": "who is",
    "wheres": "where is",
    "where's": "where is",
    "pls": "please",
    "plz": "please",
    "u": "you",
    "r": "are",
    "vid": "video",
    "lvl": "level",
    "tldr": "short summary",
    "sitrep": "situation report",
    "ppl": "people",
    "gimme": "give me",
    "wich": "which",
    "hw": "how",
}
_NEGATED = re.compile(r"\b(?:no|not|nobody|no-one|none|never|nothing|without)\b|n't\b")
_PRONOUN = re.compile(r"\b(?:he|she|him|her|his|it|its|they|them|their|that person|this person|the same)\b")
# Intents that are about the video as a whole or about nothing in it: they take over no subject.
_WHOLE = frozenset({"overview", "count_events", "compare", "models", "video", "help", "out_of_scope"})


@dataclass(frozen=True)
class Focus:
    """What an answer was about, for the question that follows it."""

    event_id: str | None = None
    span: tuple[float, float] | None = None
    track_ids: tuple[int, ...] = ()
    concept: Concept | None = None


class HasFocus(Protocol):
    """An earlier answer."""

    @property
    def focus(self) -> Focus:
        """What it was about."""
        ...


@dataclass(frozen=True)
class Question:
    """A question as understood; ids are as asked for and need not exist in the report."""

    text: str  # as read: lower case, one line, capped
    intent: str
    confidence: float  # of the intent, [0, 1]
    times: TimeSpan | None = None
    offset_s: float | None = None  # "5 seconds before the fall"
    concept: Concept | None = None
    unknowable: Unknowable | None = None
    kinds: tuple[ObjectKind, ...] = ()
    track_ids: tuple[int, ...] = ()
    event_id: str | None = None
    negated: bool = False
    focus: Focus = field(
        default_factory=Focus
    )  # taken over from the answer before; empty where the question stands alone


class QuestionParser:
    """Understands questions; embeds the exemplars on first use (about a second) and keeps them.

    Args:
        encoder: the sentence encoder.
    """

    def __init__(self, encoder: SentenceEncoder) -> None:
        self._encoder = encoder
        self._lexicon = lexicon()
        self._matrix: Float32 | None = None

    @property
    def exemplars(self) -> tuple[str, ...]:
        """All exemplar phrasings."""
        return tuple(text for _, text in self._lexicon.exemplars)

    def parse(self, text: str, report: Report, history: Sequence[HasFocus] = ()) -> Question:
        """Understands one question; any text is accepted, and what makes no sense has the intent ``out_of_scope``."""
        read = _read(text)
        if not _is_readable(read, text):
            return Question(read, "out_of_scope", 1.0)
        event_id, read_on = _find_event(read, report)
        track_ids, read_on = _find_tracks(read_on)
        mention = find_times(read_on, report.video.duration_s, report.video.nominal_fps)
        words = self._lexicon.mend(mention.rest)
        concepts = self._lexicon.find_concepts(words)
        unknowable = self._lexicon.find_unknowable(words)
        kinds = self._lexicon.find_objects(words)
        found = {
            "TIME": mention.span is not None and mention.span.sense == "within",
            "CONCEPT": bool(concepts),
            "KIND": bool(kinds),
            "TRACK": bool(track_ids) and not concepts,
            "UNKNOWABLE": bool(unknowable),
        }
        intent, confidence = self._intent(words, found, mention)
        if intent == "check" and unknowable and concepts and concepts[0].name == "carry":
            intent = "unknowable"  # what someone carries matters here, not that he carries it
        if any(item.name == "blame" for item in unknowable):
            intent = "unknowable"  # to list who was there would read as an accusation
        inherited = history[-1].focus if history and intent not in _WHOLE else Focus()
        things = [kind for kind in kinds if kind.name != "person"]  # "he", "anyone" point back
        names_nothing = not (event_id or track_ids or concepts or mention.span or things)
        if not names_nothing:
            only_who = bool(_PRONOUN.search(words)) and len(inherited.track_ids) == 1 and not track_ids
            inherited = Focus(track_ids=inherited.track_ids if only_who else ())
        return Question(
            text=read,
            intent=intent,
            confidence=confidence,
            times=mention.span,
            offset_s=mention.offset_s,
            concept=concepts[0] if concepts else None,
            unknowable=unknowable[0] if unknowable else None,
            kinds=tuple(kinds),
            track_ids=track_ids,
            event_id=event_id,
            negated=bool(_NEGATED.search(words)),
            focus=inherited,
        )

    def _intent(self, words: str, found: dict[str, bool], mention: TimeMention) -> tuple[str, float]:
        scores = self._similarities(words)
        likeness = max(scores.values())
        support = 0.0
        for cue in self._lexicon.cues:
            if (not cue.needs or found[cue.needs]) and cue.pattern.search(words):
                for intent, weight in cue.adds:
                    scores[intent] += weight
                support = 1.0 if cue.needs else support
        if mention.span is not None and mention.span.sense != "within":
            scores[mention.span.sense] += 0.3
        if not found["UNKNOWABLE"]:
            scores["unknowable"] -= 0.15
        ranked = sorted(scores, key=lambda intent: -scores[intent])
        best, second = ranked[0], ranked[1]
        if scores[best] < MIN_SCORE and not support and likeness < MIN_SCORE:
            return "out_of_scope", float(np.clip(1.0 - likeness, 0.0, 1.0))
        margin = scores[best] - scores[second]
        return best, float(np.clip(0.5 * scores[best] + 2.0 * margin, 0.0, 1.0))

    def _similarities(self, words: str) -> dict[str, float]:
        """Returns each intent's likeness: its nearest exemplar, with a share of the second nearest."""
        if self._matrix is None:
            texts = [_read(text) for text in self.exemplars]
            self._matrix = self._encoder.encode([find_times(text, 60.0).rest for text in texts])
        cosine = self._matrix @ self._encoder.encode([words])[0]
        nearest: dict[str, list[float]] = {}
        for (intent, _), value in zip(self._lexicon.exemplars, cosine, strict=True):
            nearest.setdefault(intent, []).append(float(value))
        scores = {}
        for intent, values in nearest.items():
            first, second = sorted(values)[-1], sorted(values)[-2]
            scores[intent] = (1 - RUNNER_UP) * first + RUNNER_UP * second
        return scores


def _read(text: str) -> str:
    """Returns the head of a text as one lower-case line, with tags and what cannot be printed left out."""
    head = unicodedata.normalize("NFKC", text[: MAX_QUESTION * 2])
    head = re.sub(r"<[^<>]{0,200}>", " ", head).replace("’", "'")
    head = "".join(char if char.isprintable() else " " for char in head).lower()
    return " ".join(_ABBREVIATIONS.get(word, word) for word in head.split())[:MAX_QUESTION]


def _is_readable(read: str, text: str) -> bool:
    """Tells whether there is something to understand: Latin letters or digits, and no more of other scripts."""
    latin = len(re.findall("[a-z0-9]", read))
    foreign = sum(char.isalpha() and not char.isascii() for char in read)
    return latin > 0 and latin > foreign and bool(text.strip())


def _find_event(read: str, report: Report) -> tuple[str | None, str]:
    """Returns the id of the event that is named, if any, and the question without it; the id need not exist."""
    ordered = sorted(report.events, key=lambda event: event.start_s)
    for pattern in (_EVENT, _EVENT_ORDINAL):
        match = pattern.search(read)
        if match is None or re.search(r"\b(?:compare|versus|vs|difference)\b", read):
            continue
        word = match[1]
        rest = f"{read[: match.start()]}the event{read[match.end() :]}".replace("the the event", "the event")
        if word in ("last", "final"):
            return (ordered[-1].event_id if ordered else None), rest
        number = _NUMBERS.get(word) or _ORDINALS.get(word) or int(word)
        if number <= len(ordered) and pattern is _EVENT_ORDINAL:
            return ordered[number - 1].event_id, rest
        return f"E{number}", rest
    return None, read


def _find_tracks(read: str) -> tuple[tuple[int, ...], str]:
    """Returns the track ids that are named, and the question with each named alike."""
    ids: list[int] = []
    for match in _TRACK.finditer(read):
        ids += [_NUMBERS.get(word) or int(word) for word in match.groups() if word]
    # A plural noun with a count ("people 3") is never typed so; "one person" does not match either.
    return tuple(dict.fromkeys(ids)), _TRACK.sub("person 3", read)
