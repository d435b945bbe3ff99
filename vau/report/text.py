"""Words for people: cleaned text, times, certainty in words and relations as phrases.

Knows nothing of HTML or files; escaping is left to whoever writes a format. Cleaning removes what can deceive or break
any format (control characters, bidirectional overrides, invisible characters), see Unicode TR 36 and 39.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from vau.types import Measure, Relation, Track

# C0 and C1 controls; soft hyphen; Arabic letter mark; zero-width space; direction marks, embeddings, overrides and
# isolates; invisible operators; byte order mark; interlinear marks; surrogates; tags. Joiners (U+200C, U+200D) stay:
# Persian and Hindi need them.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_SPACE = re.compile(r"\s+")
CERTAINTY = ((0.85, "very likely"), (0.65, "likely"), (0.45, "possibly"), (0.0, "weak hint"))
THREATS = ("Normal", "Unusual", "Dangerous")
ROLE_TITLES = (
    ("what", "What happened"),
    ("who", "Who"),
    ("when", "When"),
    ("where", "Where"),
    ("why", "Why it is abnormal"),
    ("cause", "What led to it"),
    ("effect", "What followed"),
    ("limit", "Limits"),
)


def clean(value: str, limit: int = 2000) -> str:
    """Returns one line of visible text: no hidden characters, single spaces, at most `limit` characters."""
    text = _SPACE.sub(" ", _HIDDEN.sub("", _SPACE.sub(" ", value[: 4 * limit]))).strip()
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def clock(time_s: float) -> str:
    """Returns a time as people read it: ``12.4 s``, ``3:07.5`` or ``1:02:07``."""
    tenths = round(max(time_s, 0.0) * 10)
    seconds, tenth = divmod(tenths, 10)
    if seconds < 60:
        return f"{seconds}.{tenth} s"
    minutes, second = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes}:{second:02d}.{tenth}"
    return f"{minutes // 60}:{minutes % 60:02d}:{second:02d}"


def span(start_s: float, end_s: float) -> str:
    """Returns an interval as people read it: ``8.2 – 13.4 s``."""
    start, end = clock(start_s), clock(end_s)
    if start == end:
        return start
    return f"{start.removesuffix(' s') if end.endswith(' s') else start} – {end}"


def certainty(confidence: float) -> str:
    """Returns a confidence in words, such as ``likely``."""
    return next(word for floor, word in CERTAINTY if confidence >= floor)


def percent(value: float) -> str:
    """Returns a share in [0, 1] as whole per cent."""
    return f"{round(100 * value)} %"


def measure(item: Measure) -> str:
    """Returns a measurement such as ``closing speed 1.9 body heights/s``."""
    size = abs(item.value)
    number = f"{item.value:.0f}" if size >= 100 else f"{item.value:.1f}" if size >= 10 else f"{item.value:.2g}"
    return clean(f"{item.name} {number} {item.unit}", 120)


def actor(track_id: int | None, tracks: Mapping[int, Track]) -> str:
    """Returns how a relation's actor is called: the track's name, or ``motion`` where no track carries it."""
    if track_id is None:
        return "motion"
    return clean(tracks[track_id].name, 60) if track_id in tracks else f"track {track_id}"


def triplet(relation: Relation, tracks: Mapping[int, Track]) -> str:
    """Returns a relation as subject, predicate, object."""
    words = [actor(relation.subject, tracks), clean(relation.predicate, 60)]
    if relation.object is not None:
        words.append(actor(relation.object, tracks))
    return " ".join(words)
