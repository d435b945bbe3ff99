"""Questions about a scene with their true answers: what, is it abnormal, when, who, why, how many, before, after.

Answers come from the scene's truth, never from its pictures. Those with `choices` can be scored as multiple choice.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from vau.training.simulate.scene import Scene
from vau.training.simulate.tracks import tracks
from vau.training.simulate.world import COLOURS, MAIN_COLOURS, SCRIPTS

Kind = Literal[
    "what",
    "class",
    "abnormal",
    "when",
    "part",
    "who",
    "colour",
    "why",
    "how many",
    "before",
    "after",
    "cause",
    "effect",
]
PARTS = ("early", "in the middle", "late")
_COUNTED = ("person", "car", "bus", "suitcase")


@dataclass(frozen=True)
class Question:
    """One question with its answer; `span_s` is the time that the answer speaks of."""

    kind: Kind
    text: str
    answer: str
    choices: tuple[str, ...] = ()
    span_s: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.choices and self.answer not in self.choices:
            raise ValueError(f"the answer {self.answer!r} is not among the choices {self.choices}")


def part_of(scene: Scene) -> str:
    """Returns in which third of the scene the happening begins."""
    return PARTS[min(2, int(3 * scene.happening.start_s / scene.duration_s))]


def questions(scene: Scene) -> tuple[Question, ...]:
    """Returns all questions that can be asked about a scene."""
    told = scene.happening
    span = (told.start_s, told.end_s)
    lead = scene.actor(told.actors[0])
    classes = ("normal", *SCRIPTS)
    asked = [
        Question("what", "What happens in the video?", _sentence(told.what), span_s=span),
        Question("class", "Which kind of event is it?", told.label, classes, span),
        Question("abnormal", "Does anything abnormal happen?", "yes" if told.abnormal else "no", ("yes", "no"), span),
        Question("when", "When does it happen?", f"from {told.start_s:.1f} s to {told.end_s:.1f} s", span_s=span),
        Question("part", "In which part of the video does it begin?", part_of(scene), PARTS, span),
        Question("why", _why(told.abnormal), _sentence(told.why), span_s=span),
        Question("cause", "What led to it?", _sentence(told.cause), span_s=(0.0, told.start_s)),
        Question("effect", "What followed from it?", _sentence(told.effect), span_s=(told.end_s, scene.duration_s)),
        Question("before", "What happened before it?", _sentence(told.before), span_s=(0.0, told.start_s)),
        Question("after", "What happened after it?", _sentence(told.after), span_s=(told.end_s, scene.duration_s)),
    ]
    if told.script != "crowd flight":  # there nobody acts first
        asked.append(Question("who", "Who does it?", _sentence(lead.name), span_s=span))
        if not lead.vest and lead.colour in MAIN_COLOURS:
            noun = "person" if lead.label == "person" else lead.label
            text = f"Which colour is the {noun} that acts?"
            asked.append(Question("colour", text, lead.colour, tuple(c for c in COLOURS if c in MAIN_COLOURS), span))
    counts = Counter(track.label for track in tracks(scene))
    for label in _COUNTED:
        noun = {"person": "people", "bus": "buses"}.get(label, f"{label}s")
        asked.append(Question("how many", f"How many {noun} are seen in the whole video?", str(counts[label])))
    return tuple(asked)


def _why(abnormal: bool) -> str:
    return "Why is it abnormal?" if abnormal else "Why is it normal?"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
