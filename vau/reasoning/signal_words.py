"""How to speak of each signal of a scorer: a table, and rules for the names that trained scorers make.

A signal says that something measurable was unusual, never what it was; these words keep to that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = re.compile(r"[a-z][a-z -]{0,39}")
# What a trained scorer adds by a part of its features, and the data it was trained on; see vau.scoring.learned.
_LEARNED = re.compile(r"learned (embedding|motion|signals|pose) \(([A-Za-z0-9._-]{1,40})\)")
_PARTS = {
    "embedding": "how the picture looks",
    "motion": "the motion",
    "signals": "the training-free signals",
    "pose": "how people move and hold themselves",
}
_CAMERA = re.compile(r"unlike this camera: (place|size|speed|appearance|pose|texture|layout)")
_CAMERA_WORDS = {
    "place": (
        "something {hedge} moved where this camera usually sees no motion",
        "something moves at an unusual place",
    ),
    "size": ("something of a {hedge} unusual size moved", "what moves is larger or smaller than usual there"),
    "speed": (
        "something {hedge} moved at an unusual speed or in an unusual way",
        "what moves is faster, slower or going another way than usual there",
    ),
    "appearance": ("something moved that {hedge} looks unusual", "what moves looks unlike what usually does"),
    "pose": ("someone {hedge} held an unusual pose", "a pose is unlike those usually seen there"),
    "texture": (
        "a part of the picture {hedge} came to look unusual",
        "a part of the picture looks unlike it usually does",
    ),
    "layout": (
        "the picture's parts {hedge} came to stand together unusually",
        "the picture as a whole looks unlike it usually does",
    ),
}
_TEXT = re.compile(r"text match: ([^\x00-\x1f\x7f\u2028\u2029]{1,200})")


@dataclass(frozen=True)
class SignalWords:
    """How to speak of one signal."""

    headline: str  # `{hedge}` marks where doubt goes
    deed: str  # what was measured, past tense; `{hedge}` marks where doubt goes
    reason: str  # "it stands out because ..."
    channel: str = ""  # motion channel that shows by how much
    quantity: str = ""  # name of what the channel measures
    moving: bool = False  # whether the place of the most disordered motion is where it was


_WORDS = {
    "violent motion": SignalWords(
        "{hedge} unusual motion in many directions",
        "something {hedge} moved abruptly and in many directions at one place",
        "body parts or objects moved in many directions at one place",
        "incoherence_max",
        "the disorder of the motion",
        moving=True,
    ),
    "motion surprise": SignalWords(
        "{hedge} unusual motion",
        "something {hedge} moved at a place or a speed that is unusual for this video",
        "the place or the speed of the motion is unusual for this video",
        "speed_block_max",
        "the greatest speed",
        moving=True,
    ),
    "appearance novelty": SignalWords(
        "{hedge} unusual change of the picture",
        "the picture itself {hedge} came to look unlike the rest of the video",
        "the picture itself looks unlike the rest of the video",
        "frame_difference",
        "the change from one picture to the next",
    ),
    "kinematic surprise": SignalWords(
        "{hedge} unusual speed of a tracked object",
        "something that was tracked {hedge} moved much faster than others of its kind in this video",
        "something that was tracked moved much faster than others of its kind in this video",
    ),
    "relation surprise": SignalWords(
        "{hedge} unusual relation between tracked objects",
        "tracked objects {hedge} came into a relation that is rare in ordinary scenes",
        "a relation was measured that is rare in ordinary scenes",
    ),
    "light change": SignalWords(
        "{hedge} unusual change of the light",
        "the whole picture {hedge} became lighter or darker at once",
        "the whole picture became lighter or darker at once",
    ),
    "judged by the model": SignalWords(
        "{hedge} abnormal scene, as a language model judged the pictures",
        "the pictures {hedge} showed something abnormal, as a language model judged them",
        "a language model that was shown the pictures judged them abnormal",
    ),
    "filled from neighbouring events": SignalWords(
        "{hedge} abnormal neighbourhood",
        "what came right before or after was {hedge} abnormal, as a language model judged it",
        "a language model judged what came right before or after abnormal; this part itself it did not judge",
    ),
}
STILL = frozenset(  # signals that need no motion
    ("appearance novelty", "light change", "judged by the model", "filled from neighbouring events")
)
_UNNAMED = SignalWords(
    "{hedge} unusual moment",
    "the picture or its motion was {hedge} unusual for this video",
    "the picture or its motion is unusual for this video",
)


def words(signal: str | None) -> SignalWords:
    """Returns how to speak of a signal; a signal without words of its own is called by its name if that is plain."""
    if signal in _WORDS:
        return _WORDS[signal]
    learned = _LEARNED.fullmatch(signal or "")
    if learned is not None:
        return _learned_words(learned[1], learned[2])
    camera = _CAMERA.fullmatch(signal or "")
    if camera is not None:
        return _camera_words(camera[1])
    text = _TEXT.fullmatch(signal or "")
    if text is not None:
        return _text_words(text[1])
    if signal is None or not _NAME.fullmatch(signal):
        return _UNNAMED
    return SignalWords(_UNNAMED.headline, _UNNAMED.deed, f'the signal "{signal}" is high')


def _learned_words(part: str, data: str) -> SignalWords:
    """A trained scorer ranks; what its classes were called is no finding about this video."""
    return SignalWords(
        f'moment that a scorer trained on "{data}" ranks as {{hedge}} abnormal',
        f'a scorer trained on "{data}" ranks what was seen as {{hedge}} abnormal',
        f'a scorer trained on "{data}" ranks {_PARTS[part]} as abnormal',
        channel="incoherence_max" if part == "motion" else "",
        quantity="the disorder of the motion" if part == "motion" else "",
        moving=part == "motion",
    )


def _camera_words(part: str) -> SignalWords:
    """A fixed camera's scorer compares with that camera's own normal footage."""
    deed, reason = _CAMERA_WORDS[part]
    moving = part not in ("texture", "layout")
    return SignalWords(
        f"{{hedge}} unusual {part} for this camera",
        f"{deed}, compared with the normal footage of this camera",
        f"{reason}, compared with the normal footage of this camera",
        moving=moving,
    )


def _text_words(definition: str) -> SignalWords:
    """A scorer that reads text says which definition the picture is like, and no more."""
    return SignalWords(
        f'picture that is {{hedge}} like the description "{definition}"',
        f'the picture was {{hedge}} like the description "{definition}"',
        f'the picture is like the description "{definition}"',
    )


def plain(signal: str) -> str:
    """Returns a signal's name in quotes if it is printable as it is, else ``without a name``."""
    known = (_NAME, _LEARNED, _CAMERA, _TEXT)
    return f'"{signal}"' if any(kind.fullmatch(signal) for kind in known) else "without a name"
