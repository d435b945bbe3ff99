"""What a perfect tracker would see of a scene, and the relations that truly hold in it.

Boxes are those of the drawn bodies, cut to the frame; flow is that of points on the body. Running, lying, carrying and
being near are measured in the world, in metres; what needs intent (a fight, a chase) is what the script states.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from vau.perception.motion import MOTION_CHANNELS, direction_entropy
from vau.relations.single import spans
from vau.training.simulate.director import Deed
from vau.training.simulate.figures import BONES, HEAD, HEAD_RADIUS, cuboid, person_joints
from vau.training.simulate.scene import Scene
from vau.training.simulate.world import Actor, distance
from vau.types import Detections, Observations, Relation, Track

Float64 = NDArray[np.float64]
RATE = 4.0  # rows a second
CONFIDENCE = 0.95
VISIBLE = 0.3  # share of a body's box that must lie in the frame
SMALLEST = 4.0  # pixels
HIDDEN = 0.85  # share of a box behind a nearer one from which on it counts as not detected
RUNNING = 2.8  # metres a second
_MOVING = 0.05  # frame heights a second, as for real flow
_LYING = 1.2  # radians
_NEAR_M = 1.5


def tracks(scene: Scene, rate: float = RATE) -> tuple[Track, ...]:
    """Returns a track of every actor that is ever visible, with the actors' ids.

    Args:
        scene: the scene.
        rate: rows a second, at most the scene's frames a second.
    """
    step = max(1, round(scene.rate / rate))
    rows = np.arange(0, scene.frame_count, step)
    seen = [(actor, *_seen(scene, actor)) for actor in scene.actors]
    hidden = _hidden([(boxes[rows], depth[rows], visible[rows]) for _, boxes, _, depth, visible, _ in seen])
    found = []
    for (actor, boxes, flow, _, visible, points), behind in zip(seen, hidden, strict=True):
        kept = visible[rows]
        if kept.any():
            at = rows[kept]
            found.append(
                Track(
                    actor.actor_id,
                    actor.label,
                    CONFIDENCE,
                    at / scene.rate,
                    boxes[at].astype(np.float32),
                    ~behind[kept],
                    flow[at].astype(np.float32),
                    None if points is None else points[at],
                )
            )
    return tuple(found)


def _seen(
    scene: Scene, actor: Actor
) -> tuple[Float64, Float64, Float64, NDArray[np.bool_], NDArray[np.float32] | None]:
    """Returns boxes (T, 4) cut to the frame, flow (T, 4), depth (T,), visibility (T,) and keypoints or None."""
    width, height = scene.camera.size
    if actor.label == "person":
        body = person_joints(actor)
        thick = np.full(body.shape[1], 0.05) * actor.size_m[2]
        thick[HEAD] = HEAD_RADIUS * actor.size_m[2]
        thick[:5] = 0.0
        cloud = np.concatenate([body, *((body[:, a] + body[:, b])[:, None] / 2 for a, b, _, _ in BONES)], 1)
    else:
        body = cloud = cuboid(actor)
        thick = np.zeros(body.shape[1])
    pixels, depth = scene.camera.project(body)
    with np.errstate(invalid="ignore"):
        reach = (thick * scene.camera.focal / depth)[..., None]
    whole = np.concatenate([(pixels - reach).min(1), (pixels + reach).max(1)], 1)
    finite = np.isfinite(whole).all(1)
    whole = np.nan_to_num(whole)
    boxes = np.clip(whole, 0.0, [width, height, width, height])
    sides = boxes[:, 2:] - boxes[:, :2]
    area = np.maximum((whole[:, 2:] - whole[:, :2]).prod(1), 1e-6)
    visible = actor.motion.present & finite & (sides >= SMALLEST).all(1) & (sides.prod(1) >= VISIBLE * area)
    flow = _flow(scene, cloud, boxes)
    points = _keypoints(pixels[:, :17], scene) if actor.label == "person" else None
    return boxes, flow, depth.mean(1), visible, points


def _flow(scene: Scene, cloud: Float64, boxes: Float64) -> Float64:
    """Measures the motion of body points (T, P, 3) as perception measures optical flow in a box; returns (T, 4)."""
    pixels, _ = scene.camera.project(cloud)
    tall = scene.camera.size[1]
    if len(pixels) < 2:
        return np.zeros((len(pixels), 4))
    speeds = np.nan_to_num(np.gradient(pixels, axis=0)) * scene.rate / tall  # (T, P, 2) frame heights a second
    size = np.maximum((boxes[:, 2:] - boxes[:, :2]).max(1), 1.0) / tall
    flow = np.zeros((len(pixels), 4))
    for row, velocity in enumerate(speeds):
        moving = velocity[np.hypot(*velocity.T) > _MOVING]
        if len(moving) >= 4:
            mean = moving.mean(0)
            flow[row] = *(mean / size[row]), np.hypot(*(moving - mean).T).mean() / size[row], direction_entropy(moving)
    # A sampled row speaks of the time since the last one.
    return uniform_filter1d(flow, max(1, round(scene.rate / RATE)), axis=0, mode="nearest")


def _keypoints(pixels: Float64, scene: Scene) -> NDArray[np.float32]:
    """Returns COCO keypoints (T, 17, 3); confidence 0 outside the frame."""
    inside = np.logical_and((pixels >= 0).all(-1), (pixels < np.array(scene.camera.size)).all(-1))
    points = np.concatenate([np.nan_to_num(pixels), 0.9 * inside[..., None]], -1)
    points[~inside] = 0.0
    return points.astype(np.float32)


def _hidden(seen: list[tuple[Float64, Float64, NDArray[np.bool_]]]) -> list[NDArray[np.bool_]]:
    """Says for each actor in which rows a nearer one's box covers nearly all of its own."""
    result = []
    for index, (boxes, depth, _) in enumerate(seen):
        behind = np.zeros(len(boxes), bool)
        area = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(1), 1e-6)
        for other, (others, others_depth, there) in enumerate(seen):
            if other != index:
                sides = np.minimum(boxes[:, 2:], others[:, 2:]) - np.maximum(boxes[:, :2], others[:, :2])
                behind |= there & (others_depth < depth) & (np.maximum(sides, 0).prod(1) > HIDDEN * area)
        result.append(behind)
    return result


def observations(scene: Scene, rate: float = RATE) -> Observations:
    """Returns the scene as perception would hand it on, with perfect tracks.

    No picture is looked at: the embeddings are all alike and the motion channels 0. Take `vau.perception` on the
    rendered frames for those.
    """
    step = max(1, round(scene.rate / rate))
    times = np.arange(0, scene.frame_count, step) / scene.rate
    return Observations(
        times,
        np.ones((len(times), 1), np.float32),
        np.zeros((len(times), len(MOTION_CHANNELS)), np.float32),
        MOTION_CHANNELS,
        tracks(scene, rate),
        Detections.of([()] * len(times)),
        scene.camera.size,
        scene.duration_s,
        ("simulated",),
    )


def relations(scene: Scene, rate: float = RATE) -> tuple[Relation, ...]:
    """Returns the relations that truly hold between visible actors, numbered R1, R2, ... in order of time."""
    visible = {track.track_id: track for track in tracks(scene, rate)}
    found = []
    for deed in [*scene.deeds, *_measured(scene)]:
        members = [visible.get(key) for key in (deed.subject, deed.object) if key is not None]
        if any(track is None for track in members):
            continue
        start_s = max([deed.start_s, *(track.start_s for track in members if track)])
        end_s = min([deed.end_s, *(track.end_s for track in members if track)])
        if start_s <= end_s:
            found.append(Relation("", deed.subject, deed.predicate, deed.object, start_s, end_s, 1.0))
    found.sort(key=lambda item: (item.start_s, item.end_s, item.predicate, item.subject or 0, item.object or 0))
    return tuple(replace(item, relation_id=f"R{number}") for number, item in enumerate(found, start=1))


def _measured(scene: Scene) -> Iterator[Deed]:
    """Yields what can be read off the motions themselves."""
    times = np.arange(scene.frame_count) / scene.rate
    people = [actor for actor in scene.actors if actor.label == "person"]
    for actor in people:
        motion = actor.motion
        for first, last in spans((motion.speed(scene.rate) > RUNNING) & (motion.pitch < 0.5), times, 0.7):
            yield Deed(actor.actor_id, "running", None, float(times[first]), float(times[last]))
        on_ground = motion.present & (motion.pitch > _LYING) & (motion.lift < 0.1)
        for first, last in spans(on_ground, times, 1.5):
            yield Deed(actor.actor_id, "lying", None, float(times[first]), float(times[last]))
    for index, actor in enumerate(people):
        for other in people[index + 1 :]:
            for first, last in spans(distance(actor, other) < _NEAR_M, times, 1.5):
                yield Deed(actor.actor_id, "near", other.actor_id, float(times[first]), float(times[last]))
    for bag in scene.actors:
        for holder, start_s, end_s in bag.held_by:
            moves = scene.actor(holder).motion.speed(scene.rate) > 0.3
            held = moves & bag.motion.present & (times >= start_s) & (times < end_s)
            for first, last in spans(held, times, 1.5):
                yield Deed(holder, "carrying", bag.actor_id, float(times[first]), float(times[last]))
