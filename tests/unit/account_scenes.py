"""Built scenes for the narrator: what perception, relations and scores would hand over for six kinds of video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vau.types import (
    Account,
    Detection,
    Detections,
    Event,
    EvidenceGraph,
    Measure,
    Observations,
    Relation,
    RelationChange,
    ScoreTrack,
    Segments,
    Track,
    VideoInfo,
)

WIDTH, HEIGHT, RATE = 640, 480, 4.0
SIGNALS = (
    "violent motion",
    "motion surprise",
    "appearance novelty",
    "kinematic surprise",
    "relation surprise",
    "light change",
)
CHANNELS = (
    "speed_block_max",
    "moving_fraction",
    *(f"direction_{i}" for i in range(8)),
    "incoherence_max",
    "incoherence_x",
    "incoherence_y",
    "camera_speed",
    "frame_difference",
    "cut",
)


@dataclass(frozen=True)
class Built:
    """All arguments of `tell`."""

    info: VideoInfo
    observations: Observations
    scores: ScoreTrack
    segments: Segments
    events: tuple[Event, ...]
    relations: tuple[Relation, ...]
    changes: tuple[RelationChange, ...]

    def tell(self) -> tuple[EvidenceGraph, tuple[Account, ...]]:
        from vau.reasoning.account import tell

        return tell(self.info, self.observations, self.scores, self.segments, self.events, self.relations, self.changes)

    def sure(self, confidence: float) -> Built:
        """Returns the same scene with every relation and event at one confidence."""
        relations = tuple(replace(item, confidence=confidence) for item in self.relations)
        return replace(self, relations=relations, events=tuple(replace(e, score=confidence) for e in self.events))


def track(
    number: int,
    label: str,
    start_s: float,
    end_s: float,
    confidence: float = 0.9,
    at: tuple[float, float] = (0.5, 0.5),
    size: float = 0.25,
) -> Track:
    times = np.arange(start_s, end_s + 1e-6, 1 / RATE)
    half = size * HEIGHT / 2
    x, y = at[0] * WIDTH, at[1] * HEIGHT
    boxes = np.tile(np.array([x - half / 2, y - half, x + half / 2, y + half], np.float32), (len(times), 1))
    return Track(number, label, confidence, times, boxes, np.ones(len(times), bool), np.zeros((len(times), 4)))


def build(
    duration_s: float,
    tracks: Sequence[Track] = (),
    relations: Sequence[Relation] = (),
    events: Sequence[Event] = (),
    channels: dict[str, np.ndarray | float] | None = None,
    edges_s: Sequence[float] = (),
    **info: object,
) -> Built:
    times = np.arange(0, duration_s, 1 / RATE)
    motion = np.zeros((len(times), len(CHANNELS)), np.float32)
    for name, values in {
        "moving_fraction": 0.05,
        "incoherence_max": 0.1,
        "speed_block_max": 0.3,
        **(channels or {}),
    }.items():
        motion[:, CHANNELS.index(name)] = values
    contributions = np.full((len(times), len(SIGNALS)), 0.01, np.float32)
    for event in events:
        inside = (times >= event.start_s) & (times <= event.end_s)
        for name, value in event.signals:
            contributions[inside, SIGNALS.index(name)] = value
    scores = ScoreTrack(times, contributions.sum(1).clip(0, 1), "training-free", contributions, SIGNALS)
    detections = Detections.of(
        [Detection(item.label, 0.9, item.boxes[0], "test") for item in tracks if item.start_s <= time_s <= item.end_s]
        for time_s in times
    )
    observations = Observations(
        times,
        np.ones((len(times), 1)),
        motion,
        CHANNELS,
        tuple(tracks),
        detections,
        (WIDTH, HEIGHT),
        duration_s,
    )
    video = VideoInfo("clip.mp4", "", duration_s, WIDTH, HEIGHT, 25.0, int(duration_s * 25), "h264", "mp4")
    edges = np.array([0.0, *edges_s, duration_s])
    strengths = np.zeros(len(edges), np.float32)
    strengths[1:-1] = 3.0
    changes = tuple(
        RelationChange(f"C{i}", item.relation_id, "begins", item.start_s, 0.8)
        for i, item in enumerate(relations, start=1)
    )
    video = replace(video, **info)  # type: ignore[arg-type]
    return Built(video, observations, scores, Segments(edges, strengths), tuple(events), tuple(relations), changes)


def bump(duration_s: float, start_s: float, end_s: float, low: float, high: float) -> np.ndarray:
    times = np.arange(0, duration_s, 1 / RATE)
    return np.where((times >= start_s) & (times <= end_s), high, low)


def rel(
    number: int,
    subject: int | None,
    predicate: str,
    other: int | None,
    start_s: float,
    end_s: float,
    confidence: float = 0.85,
    *measures: Measure,
) -> Relation:
    return Relation(f"R{number}", subject, predicate, other, start_s, end_s, confidence, measures)


def fall() -> Built:
    return build(
        24.0,
        [track(3, "person", 2.0, 23.5, at=(0.2, 0.8)), track(5, "person", 0.0, 9.0, at=(0.8, 0.3))],
        [
            rel(1, 3, "running", None, 9.0, 11.5, 0.8, Measure("pace", 2.2, "body heights a second")),
            rel(
                2,
                3,
                "fell",
                None,
                12.0,
                13.0,
                0.85,
                Measure("head came down by", 0.82, "body heights"),
                Measure("at up to", 1.13, "body heights a second"),
            ),
            rel(
                3,
                3,
                "lying",
                None,
                13.0,
                23.5,
                0.75,
                Measure("body wider than high", 1.8, "times"),
                Measure("for", 10.5, "s"),
            ),
        ],
        [Event("E1", 11.5, 15.0, 12.5, 0.82, signals=(("kinematic surprise", 0.5), ("violent motion", 0.25)))],
        {"incoherence_max": bump(24, 11.5, 15, 0.1, 0.62)},
    )


def collision() -> Built:
    return build(
        30.0,
        [
            track(1, "car", 3.0, 14.0, 0.8, (0.5, 0.5)),
            track(2, "motorcycle", 5.0, 9.0, 0.4, (0.55, 0.55), 0.15),
            track(4, "person", 8.0, 20.0, 0.6, (0.6, 0.6), 0.1),
            track(6, "truck", 0.0, 4.0, 0.9, (0.1, 0.2)),
        ],
        [
            rel(1, 1, "approaching", 2, 5.5, 7.5, 0.7, Measure("came nearer by", 3.4, "body heights")),
            rel(
                2,
                2,
                "collided",
                1,
                7.5,
                8.0,
                0.62,
                Measure("closed in at", 2.3, "body sizes a second"),
                Measure("speed changed by", 1.9, "body sizes a second"),
            ),
            rel(3, 4, "running", None, 9.0, 12.0, 0.5),
            rel(4, 1, "stopped on the road", None, 9.0, 14.0, 0.6, Measure("stood for", 5.0, "s")),
        ],
        [Event("E1", 7.0, 10.5, 7.75, 0.71, signals=(("motion surprise", 0.35), ("relation surprise", 0.3)))],
        {"speed_block_max": bump(30, 7, 10.5, 0.3, 2.1)},
        edges_s=[7.0, 10.5],
    )


def chase() -> Built:
    return build(
        40.0,
        [track(2, "person", 4.0, 30.0, 0.9, (0.3, 0.4)), track(7, "person", 6.0, 29.0, 0.8, (0.4, 0.4))],
        [
            rel(1, 2, "near", 7, 8.0, 10.0, 0.8),
            rel(2, 2, "following", 7, 10.0, 15.0, 0.75),
            rel(
                3,
                2,
                "chasing",
                7,
                15.0,
                21.0,
                0.78,
                Measure("pace", 2.4, "body heights a second"),
                Measure("gap", 1.6, "body heights"),
            ),
            rel(4, 7, "running", None, 15.0, 21.0, 0.8),
            rel(5, 2, "in contact", 7, 21.5, 23.0, 0.6),
            rel(6, 7, "fell", None, 23.0, 24.0, 0.5),
        ],
        [Event("E1", 14.5, 22.0, 18.0, 0.66, signals=(("kinematic surprise", 0.3), ("relation surprise", 0.25)))],
    )


def fight() -> Built:
    return build(
        57.0,
        [
            track(1, "person", 0.0, 22.0, 0.85, (0.7, 0.7), 0.7),
            track(4, "person", 1.0, 24.0, 0.75, (0.75, 0.7), 0.7),
            track(9, "person", 4.0, 20.0, 0.45, (0.7, 0.6), 0.6),
            *(track(20 + i, "person", 0.0, 56.0, 0.6, (0.1 + 0.05 * i, 0.5)) for i in range(6)),
        ],
        [
            rel(1, 1, "approaching", 4, 3.0, 5.0, 0.7),
            rel(2, 1, "in contact", 4, 5.0, 6.0, 0.6),
            rel(
                3,
                1,
                "fighting",
                4,
                5.5,
                12.0,
                0.74,
                Measure("limbs and body parts moved at", 2.1, "body heights a second"),
                Measure("apart", 0.3, "body heights"),
            ),
            rel(4, 4, "fighting", 1, 14.0, 18.0, 0.72),
            rel(5, 9, "hit", 4, 8.0, 8.25, 0.5),
            rel(6, 9, "hit", 4, 9.0, 9.25, 0.5),
            rel(7, 22, "dispersing", None, 19.0, 22.0, 0.5, Measure("people running at once", 4.0, "")),
            rel(8, 4, "lying", None, 18.5, 23.0, 0.4),
        ],
        [
            Event("E1", 5.25, 20.0, 8.5, 0.91, signals=(("violent motion", 0.6), ("relation surprise", 0.2))),
            Event("E2", 40.0, 42.0, 41.0, 0.55, signals=(("violent motion", 0.4),)),
        ],
        {
            "incoherence_max": bump(57, 5, 20, 0.1, 0.9) + bump(57, 40, 42, 0.0, 0.3),
            "incoherence_x": 0.25,
            "incoherence_y": 0.5,
        },
    )


def signals_only() -> Built:
    return build(
        12.0,
        [track(1, "person", 0.0, 11.0, 0.4, (0.15, 0.85)), track(2, "car", 0.0, 11.75, 0.8, (0.8, 0.2))],
        [],
        [Event("E1", 7.0, 10.0, 8.0, 0.58, signals=(("violent motion", 0.35), ("light change", 0.2)))],
        {
            "incoherence_max": bump(12, 7, 10, 0.1, 0.4),
            "incoherence_x": 0.5,
            "incoherence_y": 0.9,
            "camera_speed": 0.2,
            "cut": bump(12, 3, 3, 0, 0.9),
        },
        width=320,
        height=240,
        truncated=True,
    )


def quiet() -> Built:
    return build(
        79.5,
        [
            *(track(i, "person", 4.0 * i, 4.0 * i + 14, 0.7) for i in range(1, 13)),
            track(13, "car", 10.0, 40.0, 0.6),
            track(14, "person", 60.0, 62.0, 0.3),
        ],
        [
            rel(1, 1, "near", 2, 8.0, 12.0, 0.8),
            rel(2, 3, "approaching", 4, 16.0, 20.0, 0.7),
            rel(3, 5, "near", 6, 24.0, 30.0, 0.8),
            rel(4, 7, "running", None, 30.0, 32.0, 0.5),
        ],
        [],
        {"direction_3": 0.5, "direction_4": 0.4, "direction_0": 0.1},
    )


SCENES = {
    "fall": fall,
    "collision": collision,
    "chase": chase,
    "fight": fight,
    "signals_only": signals_only,
    "quiet": quiet,
}


def as_text(accounts: Sequence[Account]) -> str:
    """Returns accounts as text, one claim a line."""
    lines = []
    for account in accounts:
        lines.append(
            f"[{account.event_id or 'video'}] threat {account.threat_level}, confidence {account.confidence:.2f}"
        )
        lines += [
            f"  {claim.role}: {claim.text} ({claim.confidence:.2f}; {', '.join(claim.evidence)})"
            for claim in account.claims
        ]
    return "\n".join(lines) + "\n"
