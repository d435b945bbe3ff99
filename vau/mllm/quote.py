"""Foreign text inside a prompt: cleaned, capped and fenced, so that no text can end its own quotation.

What a user, a file name, subtitles, a picture or a site's notes say goes through here. Every quoted line begins with
a bar and the fence lines never do; beside that the fence bears a digest of what it holds, which no text can contain of
itself. Marks that chat templates give a meaning to, such as ``<|im_end|>``, lose their brackets. All of this is ours.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

BAR = "| "
CUT = "… (cut)"
_LINES = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_DROPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_MARKED = str.maketrans({"<": "\u2039", ">": "\u203a", "`": "'", "\u2588": " "})
_BRACKETS = re.compile(r"\[(/?[A-Z_]{2,20})\]")  # [INST] and the like
_MANY_MARKS = re.compile(r"([\u0300-\u036f]{2})[\u0300-\u036f]+")
_DIGEST = 16  # hexadecimal digits


def neutral(text: str, most: int) -> str:
    """Returns foreign text without anything that could be taken for more than words.

    Compatibility forms become plain ones, line ends of every kind become newlines, control, format (such as zero-width
    and direction marks), surrogate, private and unassigned characters go, angle brackets and backticks turn into
    look-alikes without meaning, and at most `most` characters stay.
    """
    # A little more than is kept: normal forms may be longer or shorter.
    plain = unicodedata.normalize("NFKC", _LINES.sub("\n", text[: 2 * most + 16]).replace("\t", " "))
    kept = "".join(
        char for char in _LINES.sub("\n", plain) if char == "\n" or unicodedata.category(char) not in _DROPPED
    )
    kept = _MANY_MARKS.sub(r"\1", _BRACKETS.sub(r"(\1)", kept.translate(_MARKED)))
    cut = len(kept) > most or len(text) > 2 * most + 16
    return kept[: max(most - len(CUT), 0)].rstrip() + CUT if cut else kept.strip()


def inline(text: str, most: int) -> str:
    """Returns foreign text as one line in double quotes, which it cannot close."""
    line = " ".join(neutral(text, most).split())
    return '"' + line.replace('"', "'").replace("\\", "/") + '"'


def fence(text: str, title: str, most: int) -> str:
    """Returns foreign text as a fenced block of lines that each begin with a bar.

    Args:
        text: any text.
        title: what the block holds, in words of ours.
        most: characters that are kept.
    """
    body = "\n".join(f"{BAR}{line.rstrip()}".rstrip() for line in (neutral(text, most) or "(empty)").split("\n"))
    mark = hashlib.sha256(f"{title}\0{body}".encode()).hexdigest()[:_DIGEST]
    return f"BEGIN DATA {mark} ({title})\n{body}\nEND DATA {mark}"
