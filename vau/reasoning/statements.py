"""Reads the sentences of an account: what each clause states of whom, how many, when, for how long, and in what order.

Patterns come from `prompts/claims.yaml` and `prompts/questions.yaml`; there is no grammar, so that long, nested
sentences are read in part only. It knows nothing of any report; all of this is ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from vau.reasoning.claim_words import Kind, Words, words
from vau.reasoning.lexicon import lexicon
from vau.reasoning.times import TimeSpan, find_times
from vau.reasoning.unread import Unreal, find_unread, find_unreal, named_beside, stray_actors
from vau.relations.vocabulary import PREDICATES

MAX_CHARACTERS = 600  # of a sentence; the rest is not read

_NUMBERS = {
    word: value
    for value, word in enumerate(
        ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"), start=1
    )
} | {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "single": 1, "several": 2, "both": 2, "couple": 2}
_VAGUE = frozenset({"several", "couple"})
_ORDINALS = {"first": 0, "second": 1, "third": 2, "fourth": 3, "fifth": 4, "last": -1, "final": -1}
_DIGITS = rf"\d{{1,4}}|{'|'.join(_NUMBERS)}"
_NAMED = re.compile(
    r"\b(?:person|people|persons|man|woman|car|truck|bus|motorcycle|bicycle|bike|vehicle|dog|cat|track|object|suspect"
    r"|individual|pedestrian|[a-z]+)s? #?(?P<first>\d{1,6})"
    r"(?P<rest>(?:(?:,| and| or|, and) #?\d{1,6}(?![\d:.]))*)(?![\d:]|\.\d)"
)
_NOT_NAMES = re.compile(
    r"(?:at|about|around|near|by|from|to|until|till|after|before|between|and|or|of|over|only|than|nearly|almost|exactly|in|on"
    r"|level|score|seconds?|minutes?|time|frames?|event|incident|for|the|a|with|some|just|past)s?"
)
_ID = re.compile(r"\bt(\d{1,6})\b")
_CITED = re.compile(r"\b([RECTK]\d{1,5})\b")
_AMOUNT = (
    r"(?:\d{1,5}(?:\.\d+)?|"
    + "|".join(_NUMBERS)
    + r"|half a|an?)(?: and a half)?[ -]?(?:seconds?|secs?|s|minutes?|mins?)\b"
)
_LENGTH = re.compile(
    rf"\b(?:for|lasts?|lasted|lasting|takes?|took)(?P<bound> at least| more than| over| less than| under| only)?"
    rf"(?: about| around| some| roughly| nearly| almost)? (?P<a>{_AMOUNT})"
    rf"|(?:\b(?:after|for) )?(?:only |just )?(?P<b>{_AMOUNT}) (?:on the (?:ground|floor)|long)"
)
_STRONG = re.compile(
    r";|:(?= )|,? (?:and |but )?"
    r"(?P<word>then|while|before|after|because|who|which|when|until|till|as|so that|whereupon|followed by)\b"
    r"|,(?: and| but)?(?= )| - "
)
_JOINED = re.compile(r",?(?: and| but)(?: then| \w+ly)? ?$")
_PROGRESSIVE = re.compile(r"\b(?:is|was|are|were) (?:already )?\w+ing\b")
_WEAK = re.compile(r" (?:and|but|or)\b")
_TIME_NEXT = re.compile(r" (?:about |around |only |just )?(?:\d|the end|the start|the beginning|half|a few|one second)")
_UNTIL_END = re.compile(r"\b(?:until|till|to) the (?:very )?end(?: of (?:the|this) (?:video|clip|footage|recording))?")
_ONLY_UNTIL = re.compile(r"\b(?:until|till|up to)\b")
_BEGINS = re.compile(r"\b(?:starts?|started|begins?|began|breaks? out|broke out|sets? in)\b")
_LEAD = re.compile(r"^(?:and |but |so )?(?P<word>before|after|because|while|when|following|once|prior to)\b")
_NO_TIME = re.compile(
    rf"\blevel \d|\bwithin {_AMOUNT}(?! (?:and|to)\b)"
    rf"|\b{_AMOUNT} of (?:the )?(?:video|footage|film|clip|score)"
)
_DENIED_AFTER = re.compile(
    r"(?:\w+ ){0,4}?(?:was|were|is|are|did|do|does|could|can)(?: ?not\b|n't| never\b)|(?:nobody|no one|nothing)\b"
)
_UNNEGATED = re.compile(r"\bwithout (?:a )?(?:pause|break|stopping|help)\b")


@dataclass(frozen=True)
class Actor:
    """Someone or something that a clause names; no ids and no labels for anything at all."""

    at: int  # position in the sentence
    ids: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    count: int | None = None  # where a number is stated
    least: bool = False  # "at least", "several": the number is a lower bound
    exact: bool = False  # "only", "exactly"
    further: bool = False  # "a second car", "a third person": another one than those named before


@dataclass(frozen=True)
class Mention:
    """What a clause is about: a relation of the vocabulary, an event, or that someone is there."""

    kind: Kind
    at: int
    end: int
    predicates: tuple[str, ...] = ()  # the first is what is said, the others show it as well
    noun: bool = False  # "the fall" rather than "fell"
    passive: bool = False
    ends: bool = False  # says that the relation ends
    level: int = 0  # of a threat
    denies: bool = False  # says that it did not happen, as "stayed on his feet" says of a fall


@dataclass(frozen=True)
class Clause:
    """One statement; empty subjects and objects say nothing of who."""

    text: str
    mention: Mention
    subjects: tuple[Actor, ...]
    objects: tuple[Actor, ...]
    span: TimeSpan | None
    length_s: float | None
    at_least: bool  # whether `length_s` is a lower bound
    to_end: bool  # "until the end of the video"
    until: bool  # the time is that of the end
    begins: bool  # the time is that of the beginning
    negated: bool
    ordinal: int | None  # of an event: 0 first, -1 last
    number: int | None  # of events, or how many times
    only: bool
    unreal: Unreal  # "almost", "tried to": the deed itself is not stated
    whole: bool  # "throughout"
    beside: tuple[int, ...]  # tracks said to be there meanwhile: "while person 2 watched"
    unread: tuple[str, ...]  # words with a meaning of their own that nothing here reads


@dataclass(frozen=True)
class Statement:
    """One sentence as understood."""

    text: str
    clauses: tuple[Clause, ...]
    order: tuple[tuple[int, int], ...]  # pairs of clauses, the earlier one first
    together: tuple[tuple[int, int], ...]  # pairs of clauses that are said to hold at the same time
    cited: tuple[str, ...]  # ids of evidence that it names, such as R4
    named: tuple[int, ...]  # all track ids that it names
    hedged: bool
    deeds: tuple[str, ...]  # what would be seen and no evidence of ours can show, such as a theft
    minds: tuple[str, ...]  # what cannot be seen, such as an intention
    attributes: tuple[str, ...]  # details that no evidence can show and that change nothing else
    spans: tuple[TimeSpan, ...]  # all times that are found
    unexplained: bool  # a cause is given that names nothing of the vocabulary


def read(sentence: str, duration_s: float, fps: float = 0.0) -> Statement:
    """Reads one sentence.

    Args:
        sentence: text of any kind.
        duration_s: length of the video, for "the last ten seconds".
        fps: nominal rate, for frame numbers; 0 where it is unknown.
    """
    table = words()
    cited = tuple(dict.fromkeys(_CITED.findall(sentence)))
    low = re.sub(r"\[[^\]]{0,80}\]", " ", sentence[:MAX_CHARACTERS]).lower().replace("\u2019", "'")
    low = " ".join(low.split())
    actors = _actors(low, table)
    mentions = _mentions(low, table, actors)
    borders = _borders(low, mentions)
    clauses: list[Clause] = []
    links: list[str] = []
    for (start, word), (end, _), mention in zip(borders, borders[1:], mentions, strict=False):
        before = clauses[-1] if clauses else None
        clauses.append(_clause(low, start, end, mention, actors, before, word, table, duration_s, fps))
        links.append(word)
    whole = find_times(_NO_TIME.sub(" ", low), duration_s, fps).span
    found = [item.name for item in lexicon().find_unknowable(table.ignored.sub(" ", low))]
    deeds = [name for name in found if name in table.deeds]
    deeds += ["a deed that no detector sees"] * bool(table.more_deeds.search(low))
    minds = [name for name in found if name in table.minds]
    minds += ["what goes on in or between people"] * bool(table.more_minds.search(low))
    return Statement(
        text=sentence,
        clauses=tuple(clauses),
        order=_order(clauses, links),
        together=_together(clauses, links),
        cited=cited,
        named=tuple(dict.fromkeys(item for actor in actors for item in actor.ids)),
        hedged=bool(table.hedges.search(low)),
        deeds=tuple(deeds) if not table.negations.search(low) else (),
        minds=tuple(minds),
        attributes=tuple(name for name in found if name not in table.deeds | table.minds),
        spans=tuple(span for span in (whole, *(clause.span for clause in clauses)) if span is not None),
        unexplained=_unexplained(low, mentions, table),
    )


def _order(clauses: Sequence[Clause], links: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Returns which clause must have begun before which."""
    pairs = []
    for index, word in enumerate(links):
        # A leading "After the fall, ..." looks forward, any later word looks back.
        other = index + 1 if index == 0 else index - 1
        if not 0 <= other < len(clauses):
            continue
        text = clauses[other].text
        already = word == "when" and ("already" in text or (index and _PROGRESSIVE.search(text)))
        if word in ("after", "because", "following", "once"):
            pairs.append((index, other))
        elif word in ("before", "prior to") or (index and (already or word in ("then", "whereupon", "followed by"))):
            pairs.append((other, index))
    return tuple(pairs)


def _together(clauses: Sequence[Clause], links: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Returns which clauses are said to hold at the same time."""
    pairs = []
    for index, word in enumerate(links):
        other = index + 1 if index == 0 else index - 1
        if word in ("while", "as", "when") and other < len(clauses) and "already" not in clauses[other].text:
            pairs.append((other, index))
    return tuple(pairs)


def _unexplained(low: str, mentions: Sequence[Mention], table: Words) -> bool:
    if table.signals.search(low):
        return False
    for cause in table.causes.finditer(low):
        reach = re.search(r",|;| and |$", low[cause.end() :])
        end = cause.end() + (reach.start() if reach else 0)
        if not any(cause.start() <= mention.at < end for mention in mentions):
            return True
    return False


def _actors(low: str, table: Words) -> list[Actor]:
    """Returns who is named, in order; a track's number goes before the bare word for its kind."""
    found: list[Actor] = []
    taken: list[tuple[int, int]] = []
    for match in _NAMED.finditer(low):
        word = match[0].split()[0]
        if _NOT_NAMES.fullmatch(word):
            continue
        labels = _labels(word, table)
        if labels is None:
            continue
        ids = tuple(int(item) for item in re.findall(r"\d+", match["first"] + match["rest"]))
        found.append(Actor(match.start(), ids, labels if word not in ("track", "object") else ()))
        taken.append(match.span())
    found += [Actor(match.start(), (int(match[1]),)) for match in _ID.finditer(low)]
    for pattern, labels in table.kinds:
        for match in pattern.finditer(low):
            if any(start < match.end() and match.start() < end for start, end in taken):
                continue
            taken.append(match.span())
            found.append(_counted(low, match.start(), labels))
    return sorted(found, key=lambda actor: actor.at)


def _counted(low: str, at: int, labels: tuple[str, ...]) -> Actor:
    if re.search(r"\b(?:a|the) (?:second|third|fourth|fifth) $", low[:at]):
        return Actor(at, labels=labels, further=True)
    number = re.search(
        rf"(?P<lead>\b(?:at least|more than|over|exactly|only|just|about|around) )?\b(?P<n>{_DIGITS})"
        r"(?: (?P<rest>of the|other|more|further|different|tracked|young|old|large|parked|moving))? $",
        low[:at],
    )
    if number is None or re.search(r"[:.]\d*$", low[: number.start("n")]):
        return Actor(at, labels=labels)
    lead = (number["lead"] or "").strip()
    count = int(number["n"]) if number["n"].isdigit() else _NUMBERS[number["n"]]
    least = lead in ("at least", "more than", "over", "about", "around") or number["n"] in _VAGUE
    least |= number["rest"] in ("other", "more", "further", "of the")
    return Actor(number.start(), labels=labels, count=count, least=least, exact=lead in ("only", "just", "exactly"))


def _labels(word: str, table: Words) -> tuple[str, ...] | None:
    for pattern, labels in table.kinds:
        if pattern.fullmatch(word):
            return labels
    return () if word in ("track", "tracks", "object", "objects") else None


def _mentions(low: str, table: Words, actors: Sequence[Actor]) -> list[Mention]:
    """Returns what the sentence is about, in order; where two overlap, the longer one, relations first."""
    blank = table.ignored.sub(lambda match: " " * len(match[0]), low)
    found: list[Mention] = []
    for pattern, predicates in table.relations:
        found += [_relation(low, match.start(), match.end(), predicates) for match in pattern.finditer(blank)]
    for pattern, predicate in table.ends:
        found += [Mention("relation", m.start(), m.end(), (predicate,), ends=True) for m in pattern.finditer(blank)]
    for match in table.vehicle_stops.finditer(blank):
        before = [actor for actor in actors if actor.at < match.start()]
        if before and "car" in before[-1].labels and "person" not in before[-1].labels:
            found.append(_relation(low, match.start(), match.end(), ("stopped on the road",)))
    for kind, pattern in table.others:
        for match in pattern.finditer(blank):
            level = int(match["level"]) if kind == "threat" else 0
            found.append(Mention(kind, match.start(), match.end(), level=level))
    found += [
        Mention("relation", match.start(), match.end(), ("fell", "lying"), denies=True)
        for match in table.upright.finditer(blank)
    ]
    found.sort(
        key=lambda item: (item.kind != "relation", item.kind in ("enter", "leave", "present"), item.at - item.end)
    )
    kept: list[Mention] = []
    for item in found:
        if any(item.at < other.end and other.at < item.end for other in kept):
            continue
        # "in the video" says where, unless nothing else is said.
        if item.kind == "present" and kept and re.match(r"(?:in|of) ", low[item.at :]):
            continue
        kept.append(item)
    return sorted(kept, key=lambda item: item.at)


def _relation(low: str, start: int, end: int, predicates: tuple[str, ...]) -> Mention:
    word = low[start:end]
    if predicates[0] == "lying" and not word.startswith("on the "):
        predicates = ("lying",)  # who falls ends up "on the ground", but does not lie there yet
    noun = bool(re.search(r"\b(?:the|a|an|this|that|no|any|another|of|single|violent|brief)(?: \w+ly)? $", low[:start]))
    auxiliary = re.search(r"\b(?:is|was|are|were|be|been|being|gets?|got|getting|been) (?:\w+ly |then )?$", low[:start])
    participle = not word.split()[0].endswith("ing")
    binary = PREDICATES[predicates[0]].binary
    return Mention("relation", start, end, predicates, noun, bool(auxiliary) and participle and binary and not noun)


def _borders(low: str, mentions: Sequence[Mention]) -> list[tuple[int, str]]:
    """Returns where each clause begins and by what word, and the end of the sentence."""
    lead = _LEAD.match(low)
    borders = [(0, lead["word"] if lead and mentions else "")]
    for left, right in pairwise(mentions):
        gap = low[left.end : right.at]
        strong = [
            match
            for match in _STRONG.finditer(gap)
            if not (match["word"] in ("before", "after", "until", "till") and _TIME_NEXT.match(gap[match.end() :]))
        ]
        found = strong or list(_WEAK.finditer(gap))
        if not found:
            borders.append((left.end, ""))
            continue
        worded = [match for match in found if match.groupdict().get("word")]
        relative = [match for match in worded if match["word"] in ("who", "which")]
        match = (relative or worded or found)[-1]
        # "falls after contact with him and lies there": the last deed stands beside the first, not behind "after".
        joined = _JOINED.search(gap, match.end())
        if joined and match.groupdict().get("word") in ("after", "before", "because", "while", "when", "as"):
            borders.append((left.end + joined.start(), ""))
            continue
        borders.append((left.end + match.start(), match.groupdict().get("word") or ""))
    return [*borders, (len(low), "")]


def _clause(
    low: str,
    start: int,
    end: int,
    mention: Mention,
    actors: Sequence[Actor],
    before: Clause | None,
    word: str,
    table: Words,
    duration_s: float,
    fps: float,
) -> Clause:
    text = low[start:end]
    inside = [actor for actor in actors if start <= actor.at < end]
    left = tuple(actor for actor in inside if actor.at < mention.at)
    right = tuple(actor for actor in inside if actor.at >= mention.at)
    if mention.kind in ("present", "enter", "leave"):
        there = low.startswith("there ", mention.at)
        left, right = right if there else left or right, ()
        if not left and not there and mention.kind != "present" and before is not None:
            left = before.subjects
    elif mention.noun or mention.kind != "relation":
        left, right = (*left, *right), ()
    elif not left and before is not None and before.mention.kind != "event":
        # "who" and "which" take up who was named last, "and" the subject.
        last = (*before.subjects, *before.objects)[-1:]
        left = last if word in ("who", "which") else before.subjects
    if mention.passive:
        by = low.find(" by ", mention.end, end)
        agents = tuple(actor for actor in right if by >= 0 and actor.at > by)
        left, right = agents, left
    behind = [(item.at - mention.end, item.ids) for item in right]
    lone = mention.kind == "relation" and not PREDICATES[mention.predicates[0]].binary and bool(left)
    known = {number for item in left for number in item.ids}
    stray = stray_actors(low[mention.end : end], behind, known) if lone and not mention.noun else ()
    length = _LENGTH.search(text)
    amount = (length["a"] or length["b"]) if length else None
    rest = text.replace(length[0], " ") if length else text
    mentioned = find_times(_NO_TIME.sub(" ", rest), duration_s, fps).span
    ordinal = (
        re.search(rf"\b({'|'.join(_ORDINALS)}) (?:\w+ )?$", low[: mention.at]) if mention.kind == "event" else None
    )
    negated = _is_negated(low, start, end, mention, table) or (before is not None and _goes_on(before, text, inside))
    negated = negated != mention.denies
    whole = bool(table.whole.search(text))
    if whole and mentioned is None and not negated:
        mentioned = TimeSpan(0.0, duration_s)
    return Clause(
        text=text,
        mention=mention,
        subjects=left,
        objects=right,
        span=mentioned,
        length_s=_seconds(amount) if amount else None,
        at_least=bool(length and (length["bound"] or "").strip() in ("at least", "more than", "over")),
        to_end=bool(_UNTIL_END.search(text)),
        until=bool(_ONLY_UNTIL.search(text)),
        begins=bool(_BEGINS.search(text)) and mention.kind in ("relation", "event"),
        negated=negated,
        ordinal=_ORDINALS[ordinal[1]] if ordinal else None,
        number=_number(low, mention),
        only=bool(re.search(r"\bonly\b", text)),
        unreal=find_unreal(low[start : mention.at], table),
        whole=whole,
        beside=named_beside(low[mention.end : end], behind),
        unread=(*stray, *find_unread(low, start, end, (mention.at, mention.end), table)),
    )


def _is_negated(low: str, start: int, end: int, mention: Mention, table: Words) -> bool:
    """Says whether a clause denies what it is about; "does not get up" is what is said, not its denial."""
    before = low[start : mention.at if mention.kind == "relation" else mention.end]
    cleaned = table.not_negations.sub(" ", before)
    if table.negations.search(cleaned):
        return not _UNNEGATED.search(cleaned)
    return bool(_DENIED_AFTER.match(low[mention.end : end].strip()))


def _goes_on(before: Clause, text: str, named: Sequence[Actor]) -> bool:
    """Says whether a clause stands under the denial of the one before it: "no fights, falls or crashes"."""
    return before.negated and not named and bool(re.match(r",? ?(?:or|nor)\b|, (?!and|but)", text))


def _number(low: str, mention: Mention) -> int | None:
    """Returns how many events there are said to be, or how many times a relation is said to have held."""
    if mention.kind == "event":
        match = re.search(rf"\b(?P<n>{_DIGITS})(?: \w+ly)? $", low[: mention.at])
        if match and match["n"] not in _VAGUE:
            return int(match["n"]) if match["n"].isdigit() else _NUMBERS[match["n"]]
        return None
    times = re.search(rf"\b(?:(?P<two>twice)|(?P<n>{_DIGITS}) times)\b", low[mention.end :])
    if times is None or times["n"] in _VAGUE:
        return None
    return 2 if times["two"] else int(times["n"]) if times["n"].isdigit() else _NUMBERS[times["n"]]


def _seconds(text: str) -> float:
    scale = 60.0 if re.search(r"min", text) else 1.0
    if text.startswith("half"):
        return scale / 2
    number = re.match(r"\d+(?:\.\d+)?|[a-z]+", text)
    word = number[0] if number else "1"
    value = float(word) if word[0].isdigit() else float(_NUMBERS.get(word, 1))
    return (value + (0.5 if "and a half" in text else 0.0)) * scale


def split_unsaid(statement: Statement) -> Statement:
    """Returns the statement without the clauses that a writer only wonders about ("whether she fell is unclear")."""
    unsaid = words().unsaid
    kept = [index for index, clause in enumerate(statement.clauses) if not unsaid.search(clause.text)]
    place = {index: row for row, index in enumerate(kept)}
    order = tuple((place[a], place[b]) for a, b in statement.order if a in place and b in place)
    together = tuple((place[a], place[b]) for a, b in statement.together if a in place and b in place)
    clauses = tuple(statement.clauses[index] for index in kept)
    return replace(statement, clauses=clauses, order=order, together=together)
