"""The predicates that `vau` can measure, with the words for them and how abnormal each is by itself.

This is the one place where a predicate is named. `severity` is ours: 0 for everyday relations, 1 for those that do not
happen in ordinary scenes; it weighs a relation in the score and sets the threat level.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Predicate:
    """One predicate and its English."""

    name: str
    binary: bool  # takes an object
    past: str  # "<subject> PAST <object>"
    noun: str  # "a NOUN", for headlines and questions
    severity: float
    momentary: bool = False


_ALL = (
    Predicate("near", True, "was close to", "people close together", 0.0),
    Predicate("approaching", True, "moved towards", "approach", 0.0),
    Predicate("following", True, "followed", "following", 0.0),
    Predicate("chasing", True, "ran after", "chase", 0.6),
    Predicate("in contact", True, "was in contact with", "contact", 0.0),
    Predicate("hit", True, "struck", "blow", 0.8, momentary=True),
    Predicate("collided", True, "collided with", "collision", 1.0, momentary=True),
    Predicate("fell", False, "fell", "fall", 0.9, momentary=True),
    Predicate("lying", False, "lay on the ground", "person lying", 0.25),
    Predicate("running", False, "moved at running speed", "running person", 0.3),
    Predicate("fighting", True, "fought with", "fight", 1.0),
    Predicate("carrying", True, "carried", "carried object", 0.0),
    Predicate("riding", True, "rode", "ride", 0.0),
    Predicate("left behind", False, "was left behind", "object left behind", 0.6),
    Predicate("loitering", False, "stayed around without leaving", "loitering", 0.2),
    Predicate("gathering", False, "gathered with others", "gathering", 0.2),
    Predicate("dispersing", False, "scattered", "crowd scattering", 0.6),
    Predicate("stopped on the road", False, "stopped where traffic moves", "stopped vehicle", 0.4),
    Predicate("against the flow", False, "moved against the flow", "movement against the flow", 0.4),
)
PREDICATES: dict[str, Predicate] = {predicate.name: predicate for predicate in _ALL}
