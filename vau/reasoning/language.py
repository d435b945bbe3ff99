"""Plain English for numbers, times, lists and degrees of certainty, shared by the narrator and the answers.

It knows nothing of videos or reports: it only shapes words. The limits of `hedge` are ours; they are the one place
where a confidence becomes a word.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

SURE = 0.7  # from here on a statement stands without a hedge
LIKELY = 0.45  # from here on "probably", below it "possibly"

_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_IRREGULAR = {
    "person": "people",
    "bus": "buses",
    "knife": "knives",
    "mouse": "mice",
    "sheep": "sheep",
    "skis": "skis",
    "scissors": "scissors",
    "man": "men",
    "woman": "women",
    "child": "children",
}
_VOWEL_SOUND = re.compile(r"(?:[aeio]|u(?!ni|se|su|ti|ro)|hour|honest|8|11\b|18\b)", re.IGNORECASE)
_CONSONANT_SOUND = re.compile(r"(?:one\b|once|eu)", re.IGNORECASE)


def clock(time_s: float) -> str:
    """Returns a time of the video as ``m:ss`` or ``h:mm:ss``, with tenths where there are any: ``0:12.5``.

    Raises:
        ValueError: the time is NaN or infinite.
    """
    if not math.isfinite(time_s):
        raise ValueError(f"a time must be finite, got {time_s!r}")
    tenths = round(abs(time_s) * 10)
    sign = "-" if time_s < 0 and tenths else ""
    whole, tenth = divmod(tenths, 10)
    minutes, seconds = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    head = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{sign}{head}:{seconds:02d}" + (f".{tenth}" if tenth else "")


def span(start_s: float, end_s: float) -> str:
    """Returns ``from 0:12 to 0:15.5``, or ``at 0:12`` where both ends read the same."""
    start, end = clock(start_s), clock(end_s)
    return f"at {start}" if start == end else f"from {start} to {end}"


def duration(seconds: float) -> str:
    """Returns a length of time in words: ``0.4 seconds``, ``12 seconds``, ``1 minute 20 seconds``, ``2 hours``.

    Tenths are shown below ten seconds only; of hours, minutes and seconds the two largest are kept.
    """
    if not math.isfinite(seconds):
        raise ValueError(f"a length of time must be finite, got {seconds!r}")
    value = round(max(seconds, 0.0), 1)
    if value < 10:
        return "1 second" if value == 1 else f"{value:g} seconds"
    hours, rest = divmod(round(value), 3600)
    minutes, whole = divmod(rest, 60)
    parts = [(hours, "hour"), (minutes, "minute"), (whole, "second")]
    shown = [f"{count} {unit}{'s' if count != 1 else ''}" for count, unit in parts if count]
    return " ".join(shown[:2])


def join_words(words: Sequence[str], last: str = "and") -> str:
    """Returns ``a``, ``a and b``, or ``a, b and c``; the empty string for nothing."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def shorten_list(words: Sequence[str], most: int = 5) -> list[str]:
    """Returns at most `most` words, the rest counted in a last one: ``["a", "b", "3 more"]``."""
    kept = list(words[:most])
    return [*kept, f"{len(words) - most} more"] if len(words) > most else kept


def hedge(confidence: float) -> str:
    """Returns the adverb that a confidence in [0, 1] calls for: empty, ``probably`` or ``possibly``."""
    if confidence >= SURE:
        return ""
    return "probably" if confidence >= LIKELY else "possibly"


def certainty(confidence: float) -> str:
    """Returns how sure a confidence in [0, 1] is, as an adjective phrase: ``fairly sure`` and the like."""
    if confidence >= 0.85:
        return "sure"
    if confidence >= SURE:
        return "fairly sure"
    return "not quite sure" if confidence >= LIKELY else "unsure"


def article(noun: str) -> str:
    """Returns the noun with ``a`` or ``an`` before it, by sound: ``an event``, ``a uniform``, ``an hour``."""
    vowel = _VOWEL_SOUND.match(noun) and not _CONSONANT_SOUND.match(noun)
    return f"{'an' if vowel else 'a'} {noun}"


def pluralize(noun: str) -> str:
    """Returns the plural of a noun or noun phrase, its last word inflected: ``traffic lights``, ``people``."""
    head, _, word = noun.rpartition(" ")
    lower = word.lower()
    if lower in _IRREGULAR:
        plural = _IRREGULAR[lower]
    elif lower.endswith(("s", "x", "z", "ch", "sh")):
        plural = word + "es"
    elif lower.endswith("y") and lower[-2:-1] not in "aeiou":
        plural = word[:-1] + "ies"
    else:
        plural = word + "s"
    return f"{head} {plural}".strip()


def number(count: int) -> str:
    """Returns a count in words up to ten, in digits above; ``no`` for none."""
    return _NUMBERS[count] if 0 <= count < len(_NUMBERS) else str(count)


def plural(count: int, noun: str) -> str:
    """Returns a count with its noun: ``no cars``, ``one person``, ``three people``, ``12 cars``."""
    return f"{number(count)} {noun if count == 1 else pluralize(noun)}"


def capital(text: str) -> str:
    """Returns the text with its first letter in upper case and the rest as it is; a leading ``vau`` stays small."""
    return text if re.match(r"vau\b", text) else text[:1].upper() + text[1:]


def sentence(*parts: str) -> str:
    """Joins parts with single spaces into one sentence: first letter upper case, one full stop at the end.

    Spaces before commas, colons and full stops are dropped; empty parts leave no gap.
    """
    text = re.sub(r"\s+", " ", " ".join(part for part in parts if part)).strip()
    text = re.sub(r"\s+([,;:.])", r"\1", text)
    return capital(text if text.endswith((".", "?", "!")) else text + ".") if text else ""


def clean(text: str, most: int = 200) -> str:
    """Returns foreign text (a label, a file name) as one printable line of at most `most` characters."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text[: most * 4]).split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"
