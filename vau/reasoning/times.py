"""Times in questions: finds the moments and spans that people write, and turns them into seconds of the video.

Understands clock times (0:12, 1:02:05.5), amounts (12 s, 1 min 20 s, half a minute), spans (between 10 and 20 s,
8s-12s, the first ten seconds), places (at the end, in the middle) and frame numbers. It knows no calendar dates.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Sense = Literal["within", "before", "after"]

_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}
_ONES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_WORDS = {word: float(value) for value, word in enumerate(_ONES)} | {
    "thirteen": 13.0,
    "fourteen": 14.0,
    "fifteen": 15.0,
    "sixteen": 16.0,
    "seventeen": 17.0,
    "eighteen": 18.0,
    "nineteen": 19.0,
    "twenty": 20.0,
    "thirty": 30.0,
    "forty": 40.0,
    "fifty": 50.0,
    "sixty": 60.0,
    "ninety": 90.0,
    "a": 1.0,
    "an": 1.0,
    "half a": 0.5,
    "half an": 0.5,
    "a couple of": 2.0,
    "a few": 3.0,
}
_TENS = "twenty|thirty|forty|fifty"
_NUMBER = (
    r"(?:\d{1,6}(?:[.,]\d{1,3})?|half an?|a couple of|a few|(?:" + _TENS + r")[ -](?:" + "|".join(_ONES[1:10]) + ")|"
    + "|".join(sorted((w for w in _WORDS if " " not in w), key=len, reverse=True))
    + ")"
)  # fmt: skip
_UNIT = r"(?:hours?|hrs?|h|minutes?|mins?|min|m|seconds?|secs?|sec|s)\b\.?"
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2})?(?:[.,]\d{1,3})?"
_GAP = r"(?:(?<=\d)| |-| -)"  # "5s", but not "as" for a second and "am" for a minute
_AMOUNT = rf"\b{_NUMBER}{_GAP}{_UNIT}(?:(?: and)? {_NUMBER}{_GAP}{_UNIT})*"
_MOMENT = (
    rf"(?:{_CLOCK}|{_AMOUNT}|(?:seconds?|secs?|minutes?|t ?=) ?{_NUMBER}\b|\bframes? (?:number |no\.? |#)?\d{{1,9}}\b)"
)
_LEAD = r"(?:in |at |during |over |within |for |from )?(?:the )?(?:very )?"
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("offset", rf"(?:about |some )?(?P<a>{_AMOUNT}) (?P<way>before|prior to|earlier|previously|after|later)"
                   rf"(?! {_MOMENT})"),
        ("span", rf"(?:\bbetween (?P<a>{_MOMENT}|{_NUMBER}) ?(?:and|to|-|–) ?(?P<b>{_MOMENT})"
                 rf"|(?:\bfrom )?(?P<c>{_MOMENT}|\b{_NUMBER}) ?(?:to|until|till|-|–|through) ?(?P<d>{_MOMENT}))"),
        ("first", rf"{_LEAD}first (?P<a>{_AMOUNT}|second|minute|hour)(?! (?:event|incident))"),
        ("last", rf"{_LEAD}(?:last|final) (?P<a>{_AMOUNT}|second|minute|hour)"),
        ("part", rf"{_LEAD}(?P<part>first|second|last) half\b"),
        ("before", rf"\b(?:before|prior to|until|till|up to|earlier than) (?:the )?(?P<a>{_MOMENT})"),
        ("after", rf"\b(?:after|past|beyond|since|later than|from) (?:the )?(?P<a>{_MOMENT})(?: on\b| onwards?\b)?"),
        ("at", rf"(?:\b(?:at|around|about|near|by|@|in|on) ?)*(?:the )?(?P<a>{_MOMENT})(?: marks?\b| in\b)?"),
        ("at", r"(?:\b(?:at|around)|@) ?(?P<a>\d{1,5}(?:[.,]\d{1,3})?)(?= ?(?:[?.!]|$))"),
        ("place", r"(?:at|near|towards?|by|in|from) (?:the )?(?:very )?(?P<place>end|beginning|start|outset|middle)"
                  r"(?: of (?:the |this )?(?:video|clip|footage|recording|film|tape|file))?(?= ?(?:[?.!,]|$))"),
        ("place", r"\b(?P<place>halfway)(?: through| in)?\b"),
        ("place", r"\bhow does (?:the |this )?(?:video|clip|footage|recording|film|tape) "
                  r"(?P<place>end|start|begin|finish)"),
    )
)  # fmt: skip
# A length ("for 5 seconds") or a rate is not a place in time.
_LENGTH = re.compile(rf"\b(?:for|lasted|lasting|take|took|more than|less than|over) (?:about )?{_AMOUNT}")
_ORDINAL = re.compile(r"\ba second (?=[a-z])(?!later|earlier|in\b|into|after|before|mark|half)")
EDGE_SHARE = 0.1  # "the end" is the last tenth of the video, at most EDGE_S
EDGE_S = 5.0


@dataclass(frozen=True)
class TimeSpan:
    """What a question says of time: a closed interval in seconds, and whether it, what precedes or follows it is meant.

    `start_s` equals `end_s` for a moment. Times beyond the video are kept as asked, so that the answer can say so.
    """

    start_s: float
    end_s: float
    sense: Sense = "within"


@dataclass(frozen=True)
class TimeMention:
    """What was found: the span, a length before or after the thing named, and the question without them."""

    span: TimeSpan | None
    offset_s: float | None  # "5 seconds before the fall"; the sense of `offset_way`
    offset_way: Sense | None
    rest: str  # the question with the times replaced by `12 seconds`


def find_times(question: str, duration_s: float, fps: float = 0.0) -> TimeMention:
    """Finds the time that a question names, if any.

    Args:
        question: lower-case text.
        duration_s: length of the video, for "the last ten seconds".
        fps: nominal rate by which frame numbers become seconds; frame numbers are ignored where it is 0.
    """
    question = re.sub(r"(?<=\d)(h|m|min) ?(?=\d)", r"\1 ", question)  # "1m20s"
    question = _ORDINAL.sub("another ", question)
    if _LENGTH.search(question) and not re.search(rf"\d:\d\d|\b(?:at|between) {_MOMENT}", question):
        return TimeMention(None, None, None, question)
    for kind, pattern in _PATTERNS:
        match = pattern.search(question)
        if match is None:
            continue
        found = {key: text for key, text in match.groupdict().items() if text is not None}
        rest = _around(question, match, _stand_in(kind, found))
        if kind == "offset":
            way: Sense = "after" if found["way"] in ("after", "later") else "before"
            return TimeMention(None, _seconds(found["a"], fps), way, _around(question, match, found["way"]))
        span = _resolve(kind, found, duration_s, fps)
        if span is not None:
            return TimeMention(span, None, None, rest)
    return TimeMention(None, None, None, question)


def _resolve(kind: str, found: dict[str, str], duration_s: float, fps: float) -> TimeSpan | None:
    if kind in ("part", "place"):
        return _place(found.get("part") or found["place"], kind == "part", duration_s)
    start = found.get("a") or found["c"]
    first = _seconds(start, fps)
    if first is None:
        return None
    if kind == "span":
        end = found.get("b") or found["d"]
        second = _seconds(end, fps)
        if second is None:
            return None
        if re.fullmatch(_NUMBER, start):  # "10 and 20 s": the unit stands at the end
            first *= _unit(end)
        return TimeSpan(min(first, second), max(first, second))
    if kind == "first":
        return TimeSpan(0.0, first)
    if kind == "last":
        return TimeSpan(max(duration_s - first, 0.0), duration_s)
    if kind in ("before", "after"):
        return TimeSpan(first, first, "before" if kind == "before" else "after")
    return TimeSpan(first, first)


def _place(name: str, halves: bool, duration_s: float) -> TimeSpan:
    edge = min(duration_s * EDGE_SHARE, EDGE_S)
    middle = duration_s / 2
    if halves:
        return TimeSpan(0.0, middle) if name == "first" else TimeSpan(middle, duration_s)
    if name in ("end", "finish"):
        return TimeSpan(duration_s - edge, duration_s)
    if name in ("middle", "halfway"):
        return TimeSpan(middle - edge / 2, middle + edge / 2)
    return TimeSpan(0.0, edge)


def _around(question: str, match: re.Match[str], middle: str) -> str:
    return " ".join(f"{question[: match.start()]} {middle} {question[match.end() :]}".split())


def _stand_in(kind: str, found: dict[str, str]) -> str:
    """Returns the wording that the exemplars use in place of any time."""
    if kind == "place":
        return {"end": "at the end", "finish": "at the end"}.get(found["place"], "at 12 seconds")
    heads = {"span": "between 12 seconds and ", "before": "before ", "after": "after ", "first": "in the first "}
    return f"{heads.get(kind, 'at ')}12 seconds"


def _seconds(text: str, fps: float) -> float | None:
    text = text.strip().replace(",", ".")
    if ":" in text:
        total = 0.0
        for part in text.split(":"):
            total = total * 60 + float(part)
        return total
    if text.startswith("frame"):
        digits = re.findall(r"\d+", text)
        return float(digits[0]) / fps if fps > 0 else None
    turned = re.fullmatch(rf"(seconds?|secs?|minutes?|t ?=) ?({_NUMBER})", text)
    if turned:
        return _number(turned[2]) * (60.0 if turned[1].startswith("minute") else 1.0)
    parts = re.findall(rf"({_NUMBER}) ?-?(hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s)(?![a-z])", text)
    if parts:
        return sum(_number(number) * _UNITS[unit[0]] for number, unit in parts)
    if text in ("second", "minute", "hour"):
        return _UNITS[text[0]]
    return _number(text) if re.fullmatch(_NUMBER, text) else None


def _unit(text: str) -> float:
    match = re.search(r"\d ?(h|m)", text) or re.search(r"\b(h)(?:ou)?rs?\b|\b(m)in", text)
    return _UNITS[next(group for group in match.groups() if group)] if match else 1.0


def _number(text: str) -> float:
    if text in _WORDS:
        return _WORDS[text]
    if re.fullmatch(r"[a-z]+[ -][a-z]+", text):
        tens, ones = re.split("[ -]", text)
        return _WORDS[tens] + _WORDS[ones]
    return float(text.replace(",", "."))
