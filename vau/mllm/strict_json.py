"""JSON from servers and models, read strictly: bounded size and depth, no duplicate keys, no NaN, no infinity.

Python's own reader accepts all of these; what comes from outside is not trusted with that.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

MAX_CHARS = 1_000_000
MAX_DEPTH = 32

# A string, so that brackets within it are not counted, or a bracket. Possessive: no backtracking on hostile text.
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}]', re.DOTALL)


def loads(text: str, max_chars: int = MAX_CHARS, max_depth: int = MAX_DEPTH) -> Any:
    """Reads one JSON value.

    Args:
        text: nothing but the value, white space around it aside.
        max_chars: length beyond which the text is not read.
        max_depth: arrays and objects that may lie within each other.

    Raises:
        ValueError: the text is too long, too deep, or no strict JSON; the message says what and where.
    """
    if len(text) > max_chars:
        raise ValueError(f"{len(text)} characters of JSON, more than the {max_chars} that are read")
    depth = 0
    for match in _TOKEN.finditer(text):
        depth += match[0] in "[{"
        depth -= match[0] in "]}"
        if depth > max_depth:
            raise ValueError(f"JSON nested deeper than {max_depth} levels at character {match.start()}")
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_refuse, parse_float=_float)
    except RecursionError:
        raise ValueError("JSON nested too deep") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:80]!r} comes twice in one object")
    return out


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:80]} is out of range")
    return value


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")
