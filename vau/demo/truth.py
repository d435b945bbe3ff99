"""What truly happens in a staged clip, and whether a report's account agrees with it.

Knows reports and boxes; knows nothing of how the clip was made. Agreement is asked in four plain questions: when, who,
what, and whether anything else was reported.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from vau.errors import InputError
from vau.types import Claim, Event, Relation, Report, Track

Scenario = Literal["fall", "chase", "struck", "quiet"]
SCENARIOS: tuple[Scenario, ...] = get_args(Scenario)
EXPECTED: dict[Scenario, tuple[str, ...]] = {
    "fall": ("fell", "lying"),
    "chase": ("running", "chasing"),
    "struck": ("hit", "collided", "fell", "lying"),
    "quiet": (),
}
TRUTH_FORMAT = "vau-staged-truth-1"
MIN_IOU = 0.3  # mean over the shared times; detectors box lying people loosely
SLACK_S = 1.0  # by which an event may miss the incident
_MAX_BYTES = 32 * 2**20


class TruthError(InputError):
    """A truth file cannot be read."""


@dataclass(frozen=True)
class ActorTruth:
    """Where one staged person is visible, every frame."""

    name: str  # "actor A"
    role: str  # "falls", "is chased", ...
    times_s: tuple[float, ...]
    boxes: tuple[tuple[float, float, float, float], ...]  # xyxy in pixels

    def box_at(self, time_s: float, within_s: float = 0.3) -> tuple[float, float, float, float] | None:
        """Returns the box at the nearest frame, None where the actor is not visible within `within_s`."""
        if not self.times_s:
            return None
        nearest = int(np.abs(np.asarray(self.times_s) - time_s).argmin())
        return self.boxes[nearest] if abs(self.times_s[nearest] - time_s) <= within_s else None


@dataclass(frozen=True)
class Truth:
    """The staged incident of one clip. For `quiet` start and end frame the staged ordinary walk."""

    scenario: Scenario
    source: str  # name of the footage
    duration_s: float
    incident_start_s: float
    incident_end_s: float
    actors: tuple[ActorTruth, ...]
    sentences: tuple[str, ...]  # what truly happens, in order
    disclosure: str  # a reader must see this beside every result

    def save(self, path: Path) -> None:
        """Writes the truth as JSON."""
        path.write_text(json.dumps({"format": TRUTH_FORMAT, **asdict(self)}, indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Check:
    """One question put to a report."""

    name: Literal["when", "who", "what", "nothing else"]
    agrees: bool
    detail: str

    def __str__(self) -> str:
        return f"{self.name} {'OK' if self.agrees else 'WRONG'}: {self.detail}"


def load_truth(path: Path) -> Truth:
    """Reads a truth file.

    Raises:
        TruthError: it is missing, too large, not JSON or of another shape.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise TruthError(f"{path.name} is larger than {_MAX_BYTES} bytes: not a truth file")
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise TruthError(f"cannot read the staged truth {path.name}: {error}; stage the clip again") from error
    if not isinstance(data, dict) or data.get("format") != TRUTH_FORMAT or data.get("scenario") not in SCENARIOS:
        raise TruthError(f"{path.name} is not a {TRUTH_FORMAT} file; stage the clip again")
    try:
        actors = tuple(_actor(item) for item in data["actors"])
        return Truth(
            data["scenario"],
            str(data["source"]),
            float(data["duration_s"]),
            float(data["incident_start_s"]),
            float(data["incident_end_s"]),
            actors,
            tuple(str(text) for text in data["sentences"]),
            str(data["disclosure"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise TruthError(f"{path.name} lacks or garbles {error}; stage the clip again") from error


def _actor(item: dict[str, Any]) -> ActorTruth:
    boxes = tuple((float(x0), float(y0), float(x1), float(y1)) for x0, y0, x1, y1 in item["boxes"])
    times = tuple(float(value) for value in item["times_s"])
    if len(times) != len(boxes):
        raise ValueError("times_s and boxes of different lengths")
    return ActorTruth(str(item["name"]), str(item["role"]), times, boxes)


def check_account(report: Report, truth: Truth) -> tuple[Check, ...]:
    """Compares what a report tells with what was staged.

    Returns:
        One check a question: `when`, `who`, `what`, `nothing else`; for the quiet control `nothing else` alone.
    """
    hits = [event for event in report.events if truth.scenario != "quiet" and _overlaps(event, truth)]
    others = [event for event in report.events if event not in hits]
    strays = ", ".join(f"{event.event_id} at {event.start_s:.1f}-{event.end_s:.1f} s" for event in others)
    rest = Check("nothing else", not others, strays or "no other event reported")
    if truth.scenario == "quiet":
        return (rest,)
    staged = f"staged {truth.incident_start_s:.1f}-{truth.incident_end_s:.1f} s"
    if not hits:
        return (
            Check("when", False, f"no event reported at the incident, {staged}"),
            Check("who", False, "no event to name anyone"),
            Check("what", False, "no event to tell what happened"),
            rest,
        )
    reported = ", ".join(f"{event.start_s:.1f}-{event.end_s:.1f} s" for event in hits)
    when = Check("when", True, f"reported {reported}, {staged}")
    evidence = _cited(report, hits)
    return (when, _check_who(report, truth, evidence), _check_what(report, truth, evidence), rest)


def _overlaps(event: Event, truth: Truth) -> bool:
    return event.start_s <= truth.incident_end_s + SLACK_S and event.end_s >= truth.incident_start_s - SLACK_S


def _cited(report: Report, events: list[Event]) -> set[str]:
    """Ids of everything that the supported claims about these events rest on."""
    wanted = {event.event_id for event in events}
    claims: list[Claim] = [c for account in report.accounts if account.event_id in wanted for c in account.claims]
    return {identifier for claim in claims if claim.supported for identifier in claim.evidence}


def _relations(report: Report, evidence: set[str]) -> list[Relation]:
    return [relation for relation in report.relations if relation.relation_id in evidence]


def _named_tracks(report: Report, evidence: set[str]) -> list[Track]:
    relations = _relations(report, evidence)
    ids = {end for relation in relations for end in (relation.subject, relation.object) if end is not None}
    return [track for track in report.tracks if track.track_id in ids or f"T{track.track_id}" in evidence]


def _check_who(report: Report, truth: Truth, evidence: set[str]) -> Check:
    pairs = [(overlap(t, actor, truth), t, actor) for t in _named_tracks(report, evidence) for actor in truth.actors]
    if not pairs:
        return Check("who", False, "the account names no track")
    best, track, actor = max(pairs, key=lambda pair: pair[0])
    detail = f"{track.name} overlaps {actor.name}, who {actor.role}, with mean IoU {best:.2f}"
    return Check("who", best >= MIN_IOU, detail)


def _check_what(report: Report, truth: Truth, evidence: set[str]) -> Check:
    wanted = EXPECTED[truth.scenario]
    at_actor = {
        track.track_id
        for track in report.tracks
        if max((overlap(track, actor, truth) for actor in truth.actors), default=0.0) >= MIN_IOU
    }
    told = {
        relation.predicate
        for relation in _relations(report, evidence)
        if {relation.subject, relation.object} & at_actor
    }
    fitting = sorted(told & set(wanted))
    if fitting:
        return Check("what", True, f"told of a staged person: {', '.join(fitting)}")
    heard = ", ".join(sorted(told)) or "nothing"
    return Check("what", False, f"told of a staged person: {heard}; expected one of {', '.join(wanted)}")


def overlap(track: Track, actor: ActorTruth, truth: Truth) -> float:
    """Returns the mean IoU of a track and an actor over the track's times within the incident, 0 where none is."""
    values = []
    for time_s, box in zip(track.times_s, track.boxes, strict=True):
        if truth.incident_start_s - SLACK_S <= time_s <= truth.incident_end_s + SLACK_S:
            staged = actor.box_at(float(time_s))
            values.append(0.0 if staged is None else _iou(np.asarray(box, np.float64), np.asarray(staged)))
    return float(np.mean(values)) if values else 0.0


def _iou(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return float(width * height / (areas[0] + areas[1] - width * height))
