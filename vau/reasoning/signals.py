"""Which signals carry an event, and by how much they stood out in the clip.

The comparison with the rest of the clip is measured on the motion channels here and is ours.
"""

from __future__ import annotations

from vau.reasoning.language import hedge, sentence
from vau.reasoning.scene import Scene
from vau.reasoning.signal_words import words
from vau.types import Event, ScoreTrack

MIN_SHARE = 0.2  # of the score, from which a signal is spoken of
MIN_TIMES_USUAL = 1.8
_MOST_TIMES = 20.0
_TIMES = ("", "", "", "three", "four", "five", "six", "seven", "eight", "nine")


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
