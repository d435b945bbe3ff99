"""The evidence on one event, sorted for telling: what it is about, what else happened, what is dangerous, why.

Also its headline. Knows relations, tracks and signals only. That an event is explained by relations before, during and
after it is VADER's shape (Cheng et al., WACV 2026); what makes a relation the main one is ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vau.reasoning import signals
from vau.reasoning.evidence import AFTER_S, part_of, usable
from vau.reasoning.language import hedge, plural, sentence
from vau.reasoning.phrases import Fact, gather, headline
from vau.reasoning.scene import SURE_TRACK, Scene
from vau.reasoning.threat import Danger, find_danger, stayed_down
from vau.types import Event, Relation, Track

TELLING = 0.3  # severity from which a relation can be what an event is about
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

    The main fact is the weightiest (severity times confidence) among the event's relations of severity 0.3 or more.
    """
    known = usable(relations)
    during = tuple(item for item in known if part_of(item, event))
    after = tuple(item for item in known if event.end_s < item.start_s <= event.end_s + AFTER_S)
    telling = [fact for fact in gather(during, scene) if fact.predicate.severity >= TELLING]
    main = telling[0] if telling else None
    down = None
    if main is not None and main.predicate.name == "fell" and len(main.subjects) == 1:
        down = stayed_down(main.relations[0], [*during, *after])
    return Findings(
        event,
        tuple(known),
        during,
        after,
        main,
        tuple(telling[1:]),
        find_danger(during, after),
        tuple(signals.strongest(event, scene.scores)),
        down,
    )


def title(found: Findings, scene: Scene) -> str:
    """Returns the headline of an event."""
    if found.main is not None:
        return headline(found.main, scene, down=found.down.confidence if found.down else 0.0)
    words = signals.words(found.signal)
    people = [track for track in at_motion(found, scene) if track.label == "person" and track.confidence >= SURE_TRACK]
    around = f" around {plural(len(people), 'person').replace('one', 'a')}" if people and words.moving else ""
    return sentence(
        hedge(found.event.score), words.headline[:1].lower() + words.headline[1:] + around, ", cause not identified"
    ).removesuffix(".")


def at_motion(found: Findings, scene: Scene) -> list[Track]:
    """Returns the tracks at the place of the most disordered motion, where a signal of motion supports the event."""
    place = scene.motion_place(found.event) if signals.words(found.signal).moving else None
    return [] if place is None else scene.at_place(place[1], place[2], place[0])
