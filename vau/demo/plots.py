"""The scenarios: who does what, when, told as poses a frame and as true sentences.

Knows a surveyed scene and how actors move; draws nothing and writes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from vau.demo.actors import Pose, Route, closed_step, falling_poses, moving_poses
from vau.demo.cutout import Box, Walker
from vau.demo.placement import Occupancy, Place, curved_places, off_edge, straight_places, upright_boxes
from vau.demo.scene import Scene, StagingError
from vau.demo.truth import Scenario

Float64 = NDArray[np.float64]

INCIDENT_AT = 0.45  # of the clip's length
FALL_S = 0.7
BUMP_FALL_S = 0.6
RUN = 3.0  # times a walking pace
RUN_LEAN = 0.16  # radians forward
STAGGER_S = 0.5
_GAIT_POWER = 0.6  # a runner's steps become longer as well as quicker
_SEEN_S = 2.0  # an actor is in sight for at least so long before a fall
_AWAY_S = 2.0  # people in sight so near to the clip are not staged as well
_CHOICES = 5
_ACROSS = 0.7
_FLATTEN = 0.4  # falls turn towards the picture's plane, where they are seen at full length


@dataclass(frozen=True, eq=False)
class Actor:
    """One staged person: poses from a first frame on."""

    name: str
    role: str
    walker: Walker
    first_frame: int
    poses: tuple[Pose, ...]


@dataclass(frozen=True)
class Plot:
    """A scenario played out."""

    actors: tuple[Actor, ...]
    start_s: float
    end_s: float
    sentences: tuple[str, ...]


def plan(scene: Scene, scenario: Scenario, frames: int, obstacles: Sequence[Box], seed: int) -> Plot:
    """Plays out a scenario on free ground of the scene.

    Args:
        scene: the surveyed footage.
        scenario: which.
        frames: length of the clip.
        obstacles: what actors cannot pass behind.
        seed: 0 takes the best place; others choose among the better ones.

    Raises:
        StagingError: nobody can be cut out, or no ground is free for long enough.
    """
    occupancy = Occupancy(scene, frames, obstacles)
    turn = round(INCIDENT_AT * frames)
    cast = _cast(scene, frames)
    if scenario == "chase":
        return _chase(scene, occupancy, cast, turn, seed)
    lies = scenario != "quiet"
    places = straight_places(scene, occupancy, turn, lies=lies, least_frames=round(_SEEN_S * scene.rate), walkers=cast)
    if scenario == "struck":
        return _struck(scene, occupancy, cast, places, turn, frames, seed)
    place = _choose(places, seed, scene)
    if scenario == "fall":
        return _fall(scene, place, turn, frames)
    return _quiet(scene, place, turn, frames)


def _cast(scene: Scene, frames: int) -> list[Walker]:
    """Walkers who cross the view, those who are not in the clip themselves where there are such."""
    across = [walker for walker in scene.walkers if _across(walker) > _ACROSS]
    if not across:
        raise StagingError(
            f"{scene.source.name}: nobody walks across the view clear of others, so nobody can be cut out"
        )
    last = frames + _AWAY_S * scene.rate
    strangers = [walker for walker in across if walker.first_index >= last] or across
    pace = _walking_pace(scene)
    return sorted(strangers, key=lambda w: -w.score * _across(w) * min(1.0, _speed(w) / pace))[:_CHOICES]


def _speed(walker: Walker) -> float:
    return float(np.hypot(*walker.velocity))


def _across(walker: Walker) -> float:
    """Share of a walk that goes across the view, where gait and falls are seen best, in [0, 1]."""
    return abs(walker.velocity[0]) / _speed(walker)


def _walking_pace(scene: Scene) -> float:
    """Own heights a frame of the usual walker across this view."""
    return float(np.median([_speed(walker) for walker in scene.walkers if _across(walker) > _ACROSS]))


def _choose(places: Sequence[Place], seed: int, scene: Scene) -> Place:
    if not places:
        raise StagingError(
            f"{scene.source.name}: no ground stays free for long enough; try a shorter clip or other footage"
        )
    near_best = [place for place in places if place.score >= places[0].score - 0.15]
    return near_best[0 if seed == 0 else int(np.random.default_rng(seed).integers(len(near_best)))]


def _fall(scene: Scene, place: Place, turn: int, frames: int) -> Plot:
    upright = moving_poses(place.walker, place.route, scene.perspective, pace=1.0)
    heading = place.route.headings[-1] * np.array([1.0, _FLATTEN])
    last = replace(upright[-1], heading=_unit(heading))
    fall = falling_poses(last, closed_step(place.walker), scene.perspective, frames - turn, scene.rate, FALL_S)
    actor = Actor("actor A", "falls", place.walker, turn - place.turn, (*upright, *fall))
    start_s = turn / scene.rate
    return Plot(
        (actor,),
        start_s,
        frames / scene.rate,
        (
            f"A person walks in from the {_side(place.route)} of the picture.",
            f"At {start_s:.1f} s the person falls over within {FALL_S} s; nobody touches the person.",
            f"The person lies on the ground, still, until the clip ends at {frames / scene.rate:.1f} s.",
        ),
    )


def _quiet(scene: Scene, place: Place, turn: int, frames: int) -> Plot:
    poses = moving_poses(place.walker, place.route, scene.perspective, pace=1.0)
    first = turn - place.turn
    actor = Actor("actor A", "walks by", place.walker, first, tuple(poses))
    start_s, end_s = max(first, 0) / scene.rate, min(first + len(poses), frames) / scene.rate
    told = f"A person walks across the picture at an ordinary pace from {start_s:.1f} to {end_s:.1f} s."
    return Plot((actor,), start_s, end_s, (told, "Nothing abnormal happens."))


def _chase(scene: Scene, occupancy: Occupancy, cast: list[Walker], turn: int, seed: int) -> Plot:
    lag = round(0.7 * scene.rate)
    places = curved_places(scene, occupancy, turn, speed=RUN * _walking_pace(scene), lag=lag, walkers=cast)
    place = _choose(places, seed, scene)
    behind = next((walker for walker in cast if walker is not place.walker), place.walker)
    actors = []
    for name, role, walker, first in (
        ("actor A", "is chased", place.walker, turn),
        ("actor B", "chases", behind, turn + lag),
    ):
        actors.append(Actor(name, role, walker, first, tuple(_running(scene, walker, place.route))))
    start_s, end_s = turn / scene.rate, (turn + lag + len(place.route.feet)) / scene.rate
    return Plot(
        tuple(actors),
        start_s,
        end_s,
        (
            f"At {start_s:.1f} s a person runs in from the {_side(place.route)} at {RUN:g} times a walking pace.",
            f"A second person runs close behind on the same way, {lag / scene.rate:.1f} s later.",
            f"Both turn and run out on the side they came from by {end_s:.1f} s.",
        ),
    )


def _struck(
    scene: Scene,
    occupancy: Occupancy,
    cast: list[Walker],
    places: Sequence[Place],
    turn: int,
    frames: int,
    seed: int,
) -> Plot:
    options = []
    for place in places[:200]:
        striker = next((walker for walker in cast if walker is not place.walker), place.walker)
        run = _strike_route(scene, place, striker)
        if run is None or run[1] > turn or occupancy.hidden(upright_boxes(scene, run[0].feet)):
            continue
        touched = occupancy.touched(turn - run[1], upright_boxes(scene, run[0].feet))
        options.append((replace(place, score=place.score - 0.08 * touched), striker, run))
    options.sort(key=lambda option: -option[0].score)
    chosen = _choose([option[0] for option in options], seed, scene)
    _, striker, (route, contact) = next(option for option in options if option[0] is chosen)
    upright = moving_poses(chosen.walker, chosen.route, scene.perspective, pace=1.0)
    # pushed from behind and from the far side: the fall goes on in the heading and towards the camera
    heading = chosen.route.headings[-1] * np.array([1.0, _FLATTEN]) + np.array([0.0, 0.12])
    pushed = replace(upright[-1], heading=_unit(heading))
    fall = falling_poses(pushed, closed_step(chosen.walker), scene.perspective, frames - turn, scene.rate, BUMP_FALL_S)
    running = _running(scene, striker, route)
    start_s = turn / scene.rate
    return Plot(
        (
            Actor("actor A", "is struck and falls", chosen.walker, turn - chosen.turn, (*upright, *fall)),
            Actor("actor B", "strikes and runs on", striker, turn - contact, tuple(running)),
        ),
        start_s,
        frames / scene.rate,
        (
            f"A person walks in from the {_side(chosen.route)}; a second person comes running from behind.",
            f"At {start_s:.1f} s the runner strikes the walker, who falls within {BUMP_FALL_S} s.",
            "The runner staggers and runs on out of the picture.",
            f"The person who was struck lies on the ground, still, until the clip ends at {frames / scene.rate:.1f} s.",
        ),
    )


def _running(scene: Scene, walker: Walker, route: Route) -> list[Pose]:
    """Plays a walker's gait faster and leaning, as far as quicker steps, and not longer ones, make the speed."""
    pace = (RUN * _walking_pace(scene) / _speed(walker)) ** _GAIT_POWER
    return moving_poses(walker, route, scene.perspective, pace=pace, lean=RUN_LEAN)


def _strike_route(scene: Scene, place: Place, striker: Walker) -> tuple[Route, int] | None:
    """Runs up along the walker's line a little behind it, strikes at its end, staggers, runs on past it."""
    speed = RUN * _walking_pace(scene)
    target, heading = place.route.feet[place.turn], place.route.headings[place.turn]
    height = scene.perspective.height(float(target[1]))
    contact = target - 0.22 * height * heading + np.array([0.0, -0.07 * height])
    back = off_edge(scene, contact, -heading, speed)
    aside = np.array(_unit(heading + np.array([0.0, -0.30])))
    forth = off_edge(scene, contact, aside, speed)
    if back is None or forth is None:
        return None
    steps = np.arange(1, 1 + len(forth) * 2, dtype=np.float64)
    slow = STAGGER_S * scene.rate  # position lags by what is lost while staggering
    rows = steps - 0.6 * slow * (1.0 - np.exp(-steps / slow))
    rows = rows[rows <= len(forth) - 1]
    onward = np.stack([np.interp(rows, np.arange(len(forth)), forth[:, axis]) for axis in (0, 1)], axis=1)
    feet = np.concatenate([back[::-1], onward])
    headings = np.concatenate([np.tile(heading, (len(back), 1)), np.tile(aside, (len(onward), 1))])
    return Route(feet, headings), len(back) - 1


def _unit(vector: Float64) -> tuple[float, float]:
    length = float(np.hypot(*vector))
    return float(vector[0]) / length, float(vector[1]) / length


def _side(route: Route) -> str:
    return "left" if route.feet[0, 0] < route.feet[len(route.feet) // 2, 0] else "right"
