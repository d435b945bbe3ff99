"""The evidence on one event, sorted for telling: what it is about, what else happened, what is dangerous, why.

Also its headline. Knows relations, tracks and signals only. That an event is explained by relations before, during and
after it is VADER's shape (Cheng et al., WACV 2026); what makes a relation the main one is ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vau.reasoning import signal_words, signals
from vau.reasoning.evidence import AFTER_S, part_of, usable
from vau.reasoning.language import plural
from vau.reasoning.phrases import Fact, gather, headline
from vau.reasoning.scene import SURE_TRACK, Scene
from vau.reasoning.threat import Danger, find_danger, stayed_down
from vau.types import Event, Relation, Track

TELLING = 0.3  # severity from which a relation can be what an event is about
_MILD = 0.5
_UNCONFIRMED = 0.6  # signals without any relation are trusted this much


@dataclass(frozen=True)
class Findings:
    """The evidence on one event, sorted for telling."""

    event: Event
    relations: tuple[Relation, ...]  # all usable ones of the video
    during: tuple[Relation, ...]
    after: tuple[Relation, ...]
    main: Fact | None  # what the event is about
    beside: tuple[Fact, ...]  # what else happened in it
    danger: Danger | None
    shares: tuple[tuple[str, float], ...]  # signals with their share of the score
    down: Relation | None  # lying of the one whose fall the event is about

    @property
    def signal(self) -> str | None:
        """The strongest signal."""
        return self.shares[0][0] if self.shares else None

    @property
    def actors(self) -> tuple[int, ...]:
        """Ids of the tracks that the main fact names."""
        return () if self.main is None else self.main.actors

    @property
    def confidence(self) -> float:
        """Geometric mean of the event's score and the main fact's confidence; 0.6 of the score for signals alone."""
        return (
            _UNCONFIRMED * self.event.score if self.main is None else math.sqrt(self.event.score * self.main.confidence)
        )


def find(event: Event, relations: Sequence[Relation], scene: Scene) -> Findings:
    """Sorts the evidence on one event.

    The main fact is the weightiest among the event's relations of severity 0.3 or more, if it can explain the event.
    """
    known = usable(relations)
    during = tuple(item for item in known if part_of(item, event))
    after = tuple(item for item in known if event.end_s < item.start_s <= event.end_s + AFTER_S)
    signs = tuple(signals.strongest(event, scene.scores))
    telling = [fact for fact in gather(during, scene) if fact.predicate.severity >= TELLING]
    main = telling[0] if telling and _explains(telling[0], signs) else None
    down = None
    if main is not None and main.predicate.name == "fell" and len(main.subjects) == 1:
        down = stayed_down(main.relations[0], [*during, *after])
    return Findings(
        event,
        tuple(known),
        during,
        after,
        main,
        tuple(fact for fact in telling if fact is not main),
        find_danger(during, after),
        signs,
        down,
    )


def title(found: Findings, scene: Scene) -> str:
    """Returns the headline of an event."""
    if found.main is not None:
        return headline(found.main, scene, down=found.down.confidence if found.down else 0.0)
    people = [track for track in at_motion(found, scene) if track.label == "person" and track.confidence >= SURE_TRACK]
    around = f" around {'a person' if len(people) == 1 else plural(len(people), 'person')}" if people else ""
    return f"{signals.heading(found.signal, found.event.score)}{around}, cause not identified"


def _explains(fact: Fact, signs: Sequence[tuple[str, float]]) -> bool:
    """Says whether a fact may stand for the event.

    Where the picture or the light changed and nothing moved unusually, a mild relation is beside the point: someone
    who ran past a fire is not what the event is about.
    """
    still = sum(share for name, share in signs if name in signal_words.STILL)
    return fact.predicate.severity > _MILD or still < 0.5


def motion_place(found: Findings, scene: Scene) -> tuple[float, float, float] | None:
    """Returns time, x and y of the motion that supports the event, None where its strongest signal has no place."""
    if not signal_words.words(found.signal).moving:
        return None
    return scene.motion_place(found.event, disordered=found.signal == "violent motion")


def at_motion(found: Findings, scene: Scene) -> list[Track]:
    """Returns the tracks at the place of the motion that supports the event."""
    place = motion_place(found, scene)
    return [] if place is None else scene.at_place(place[1], place[2], place[0])
