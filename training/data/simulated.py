"""Simulated scenes as records, with frames, reasoning and a report, for tests and toy models; see `training.simulate`.

A record names its scene as ``simulated:SCRIPT:SEED:abnormal`` or ``normal``, and the scene is made anew from that. The
innocent twin of a scene has the same source, so that no split parts them. The words for context are ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vau.config import Config
from vau.errors import InputError
from vau.events.boundaries import segment
from vau.events.spans import find_events
from vau.reasoning.account import tell
from vau.relations.extract import relation_changes
from vau.scoring.load import load_scorer
from vau.training.data.records import NORMAL, Asked, Kind, Record
from vau.training.simulate.perceive import perceived
from vau.training.simulate.questions import questions
from vau.training.simulate.scene import DISCLOSURE, Scene, simulate
from vau.training.simulate.tracks import relations
from vau.training.simulate.world import SCRIPTS, Script
from vau.types import Report, VideoInfo

PREFIX = "simulated"
RATE = 12.0  # frames a second of a scene
# What these scripts show is abnormal wherever it happens; the others have a context that makes them innocent.
_ABSOLUTE: tuple[Script, ...] = ("road accident", "crowd flight")
_ASKED = ("abnormal", "class", "part", "colour")


def is_simulated(video: str) -> bool:
    """Says whether a record's video is a simulated scene."""
    return video.startswith(f"{PREFIX}:")


def scene_of(video: str, size: tuple[int, int] = (320, 240)) -> Scene:
    """Makes the scene that a record names, at a size in pixels; raises InputError where the name is none."""
    parts = video.split(":")
    known = len(parts) == 4 and parts[1] in SCRIPTS and parts[2].isdecimal() and parts[3] in ("abnormal", "normal")
    if not known or len(parts[2]) > 9:
        raise InputError(
            f"no simulated scene is called {video[:100]!r}; write simulated:SCRIPT:SEED:abnormal or :normal"
        )
    script: Script = next(name for name in SCRIPTS if name == parts[1])
    return simulate(script, int(parts[2]), normal=parts[3] == "normal", rate=RATE, size=size)


def simulated_records(seeds: Iterable[int], scripts: Sequence[Script] = SCRIPTS) -> list[Record]:
    """Returns the records of every script and its innocent twin for every seed."""
    return [
        _record(f"{PREFIX}:{script}:{seed}:{kind}")
        for seed in seeds
        for script in scripts
        for kind in ("abnormal", "normal")
    ]


def frames(video: str, times_s: Sequence[float], size: tuple[int, int]) -> tuple[NDArray[np.uint8], list[float]]:
    """Returns the frames of a scene nearest to times, (N, H, W, 3) and their own times; no frame comes twice."""
    scene = scene_of(video, size)
    wanted = sorted({round(min(max(time_s, 0.0), scene.duration_s) * scene.rate) for time_s in times_s})
    rows = sorted({min(row, scene.frame_count - 1) for row in wanted})
    batch = scene.at(np.array(rows) / scene.rate)
    return batch.images, batch.times_s.tolist()


@lru_cache(maxsize=256)
def report_of(video: str) -> Report:
    """Returns the report of a scene from perfect tracks, true relations and measured motion, as the pipeline would."""
    scene, config = scene_of(video), Config()
    seen = perceived(scene)
    true = relations(scene)
    changes = relation_changes(true, seen)
    scores = load_scorer(config.scoring, config.perception, config.video).score(seen, true)
    segments = segment(seen, config.events)
    events = find_events(scores, segments, config.events)
    width, height = scene.camera.size
    digest = hashlib.sha256(video.encode()).hexdigest()
    info = VideoInfo(
        scene.title, digest, scene.duration_s, width, height, scene.rate, scene.frame_count, "none", "none"
    )
    graph, accounts = tell(info, seen, scores, segments, events, true, changes)
    return Report(
        video=info,
        config_digest=config.digest(),
        versions=(),
        models=(*seen.models, scores.scorer),
        scores=scores,
        segments=segments,
        events=events,
        keyframes=(),
        tracks=seen.tracks,
        relations=true,
        changes=changes,
        graph=graph,
        accounts=accounts,
        timings_s=(),
        notes=(DISCLOSURE,),
    )


def _record(video: str) -> Record:
    scene = scene_of(video)
    told = scene.happening
    kind: Kind = "none" if not told.abnormal else "absolute" if told.script in _ABSOLUTE else "conditional"
    asked = {item.kind: item for item in questions(scene) if item.kind in _ASKED}
    place, around = _context(scene)
    before, what, why, effect = (_sentence(text) for text in (told.before, told.what, told.why, told.effect))
    return Record(
        id=video.removeprefix(f"{PREFIX}:").replace(":", " "),
        video=video,
        source=video.rpartition(":")[0],
        duration_s=scene.duration_s,
        abnormal=told.abnormal,
        spans_s=((told.start_s, told.end_s),) if told.abnormal else (),
        label=told.script if told.abnormal else NORMAL,
        event=told.script,
        kind=kind,
        scene=place,
        attributes=around,
        questions=tuple(
            Asked(question=item.text, options=item.choices[:7], right=item.choices.index(item.answer))
            for item in asked.values()
            if item.answer in item.choices[:7]
        ),
        thought=f"It is a {place}. {before} {what} {why} {effect}",
        what=what,
        where=f"on the {place}",
        why=why,
        how=effect,
        report=video,
    )


def _context(scene: Scene) -> tuple[str, tuple[str, ...]]:
    """Returns the place, and what about it can decide: the weather, marked zones, a vest, a bus, smoke."""
    zones = [zone.kind for zone in scene.stage.zones]
    marked = [kind for kind in zones if kind not in ("road", "pavement", "entrance")]
    seen = {
        "orange vest": any(actor.vest for actor in scene.actors),
        "bus": any(actor.label == "bus" for actor in scene.actors),
        "smoke": scene.stage.smoke is not None,
        "bench": any(prop.kind == "bench" for prop in scene.stage.props),
    }
    return ("street" if "road" in zones else "square"), (
        scene.weather,
        *dict.fromkeys(marked),
        *(name for name, there in seen.items() if there),
    )


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
