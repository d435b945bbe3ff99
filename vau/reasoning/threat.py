"""The threat level of an event, by a rule that a reader can check.

2, dangerous: a collision, a blow or a fight, a fall after which the person lay on the ground for two seconds or more,
or a chase that came to contact, each with a confidence of 0.5 or more. 1, unusual: any other event. 0: no event. The
rule is ours; it looks at relations alone, so that no score by itself can call something dangerous.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vau.reasoning.evidence import GAP_S, actors, in_order
from vau.types import Relation

Level = Literal[0, 1, 2]
DANGER_CONFIDENCE = 0.5
STAYED_DOWN_S = 2.0
_RISE_S = 5.0  # lying that begins later than this after a fall is another matter
_AT_ONCE = {"collided": "a collision", "hit": "a blow", "fighting": "a fight"}


@dataclass(frozen=True)
class Danger:
    """What makes an event dangerous."""

    reason: str  # a clause: "a blow is in the evidence"
    relations: tuple[Relation, ...]

    @property
    def confidence(self) -> float:
        """The least confidence among the relations."""
        return min(item.confidence for item in self.relations)


def find_danger(during: Sequence[Relation], after: Sequence[Relation]) -> Danger | None:
    """Returns the surest dangerous pattern, or None.

    Args:
        during: relations that are part of the event.
        after: relations that begin after it, for what a fall or a chase led to.
    """
    sure = in_order(item for item in during if item.confidence >= DANGER_CONFIDENCE)
    later = in_order({*sure, *(item for item in after if item.confidence >= DANGER_CONFIDENCE)})
    found = [
        Danger(f"{_AT_ONCE[item.predicate]} is in the evidence", (item,)) for item in sure if item.predicate in _AT_ONCE
    ]
    for item in sure:
        if item.predicate == "fell" and (rest := stayed_down(item, later)) is not None:
            found.append(Danger("the one who fell stayed on the ground", (item, rest)))
        if item.predicate == "chasing" and (touch := _caught(item, later)) is not None:
            found.append(Danger("the chase came to contact", (item, touch)))
    return max(found, key=lambda item: item.confidence, default=None)


def stayed_down(fall: Relation, others: Sequence[Relation]) -> Relation | None:
    """Returns the relation that shows the one who fell lying for two seconds or more soon after, or None."""
    for item in others:
        same = fall.subject is not None and item.subject == fall.subject
        soon = fall.start_s <= item.end_s and item.start_s <= fall.end_s + _RISE_S
        if (
            item.predicate == "lying"
            and same
            and soon
            and item.end_s - max(item.start_s, fall.start_s) >= STAYED_DOWN_S
        ):
            return item
    return None


def _caught(chase: Relation, others: Sequence[Relation]) -> Relation | None:
    for item in others:
        if item.predicate != "in contact" or actors(item) != actors(chase) or len(actors(item)) != 2:
            continue
        if chase.start_s <= item.start_s <= chase.end_s + GAP_S:
            return item
    return None


def threat_level(danger: Danger | None) -> Level:
    """Returns the level of a reported event: 2 where a dangerous pattern was found, otherwise 1."""
    return 1 if danger is None else 2
