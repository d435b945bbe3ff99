"""What each signal of the scorer says, in words, and by how much it stood out in the clip.

A signal says that something measurable was unusual, never what it was; these words keep to that. The comparison with
the rest of the clip is measured on the motion channels here and is ours, as are the words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from vau.reasoning.language import hedge, sentence
from vau.reasoning.scene import Scene
from vau.types import Event, ScoreTrack

_NAME = re.compile(r"[a-z][a-z -]{0,39}")
# What a trained scorer adds by a part of its features, and the data it was trained on; see vau.scoring.learned.
_LEARNED = re.compile(r"learned (embedding|motion|signals|pose) \(([A-Za-z0-9._-]{1,40})\)")
_PARTS = {
    "embedding": "how the picture looks",
    "motion": "the motion",
    "signals": "the training-free signals",
    "pose": "how people move and hold themselves",
}
MIN_SHARE = 0.2  # of the score, from which a signal is spoken of
MIN_TIMES_USUAL = 1.8
_MOST_TIMES = 20.0
_TIMES = ("", "", "", "three", "four", "five", "six", "seven", "eight", "nine")


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
}
STILL = frozenset({"appearance novelty", "light change"})  # signals that need no motion
_UNNAMED = SignalWords(
    "{hedge} unusual moment",
    "the picture or its motion was {hedge} unusual for this video",
    "the picture or its motion is unusual for this video",
)


def strongest(event: Event, scores: ScoreTrack) -> list[tuple[str, float]]:
    """Returns the signals that carry an event with their share of its score in [0, 1], largest first.

    Signals of the event are taken where it has any, otherwise the contributions during it; those with less than a
    fifth of the score are left out unless they are the first.
    """
    found = [(name, value) for name, value in event.signals if value > 0]
    if not found and len(scores):
        inside = (scores.times_s >= event.start_s) & (scores.times_s <= event.end_s)
        if inside.any():
            means = scores.contributions[inside].mean(axis=0)
            found = [(name, float(value)) for name, value in zip(scores.signals, means, strict=True) if value > 0]
    found.sort(key=lambda item: (-item[1], item[0]))
    total = sum(value for _, value in found)
    shares = [(name, value / total) for name, value in found]
    return shares[:1] + [item for item in shares[1:3] if item[1] >= MIN_SHARE]


def words(signal: str | None) -> SignalWords:
    """Returns how to speak of a signal; a signal without words of its own is called by its name if that is plain."""
    if signal in _WORDS:
        return _WORDS[signal]
    learned = _LEARNED.fullmatch(signal or "")
    if learned is not None:
        return _learned_words(learned[1], learned[2])
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


def plain(signal: str) -> str:
    """Returns a signal's name in quotes if it is printable as it is, else ``without a name``."""
    return f'"{signal}"' if _NAME.fullmatch(signal) or _LEARNED.fullmatch(signal) else "without a name"


def deed(signal: str | None, confidence: float) -> str:
    """Returns a clause that says what a signal measured, hedged by a confidence in [0, 1]."""
    return " ".join(words(signal).deed.replace("{hedge}", hedge(confidence)).split())


def heading(signal: str | None, confidence: float) -> str:
    """Returns a headline's beginning for an event that a signal supports, hedged by a confidence in [0, 1]."""
    return sentence(words(signal).headline.replace("{hedge}", hedge(confidence))).removesuffix(".")


def comparison(signal: str, event: Event, scene: Scene) -> tuple[str, float] | None:
    """Returns a clause that compares a signal's quantity with the rest of the clip, and the time of its maximum.

    None where the clip has too little besides its events, or where the difference is under 1.8 times.
    """
    known = words(signal)
    found = scene.times_usual(known.channel, event) if known.channel else None
    if found is None or found[1] < MIN_TIMES_USUAL:
        return None
    time_s, ratio = found
    if ratio >= _MOST_TIMES:
        much = f"more than {_MOST_TIMES:.0f} times"
    else:
        much = "about twice" if ratio < 2.5 else f"about {_TIMES[round(ratio)] if ratio < 9.5 else round(ratio)} times"
    return f"{known.quantity} reached {much} its usual level in this video", time_s
