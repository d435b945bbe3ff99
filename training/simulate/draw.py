"""Paints the frames of a scene: ground, zones, props, shadows, figures with moving limbs, light, rain and noise.

Drawn at twice the size and reduced, so that edges are smooth. Far things are painted first. SIMULATED stands in the
corner of every frame. Knows no script and no truth.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from vau.training.simulate.camera import Camera
from vau.training.simulate.figures import BONES, HEAD, HEAD_RADIUS, NECK, parts, person_joints, wheels
from vau.training.simulate.ground import Ground
from vau.training.simulate.world import COLOURS, Actor, Prop, Stage, Weather
from vau.types import UInt8

Float64 = NDArray[np.float64]
Colour = tuple[int, int, int]
SKIN: Colour = (214, 164, 128)
VEST: Colour = (255, 120, 0)
STRIPE: Colour = (245, 245, 120)
GLASS: Colour = (70, 90, 105)
_SUN = np.array([0.55, 0.35])  # metres that a shadow reaches along the ground, a metre of height
_SHADOW = 0.62
_SUPER = 2
_SHIFT = 3  # fractional bits of OpenCV's coordinates
_NOISE = {"day": 2.0, "night": 7.0, "rain": 4.0}


class Painter:
    """Paints frames of one scene.

    Args:
        camera: the view; frames have its size.
        stage: the ground.
        weather: light, noise and rain.
        actors: everyone, with all their motion.
        rate: frames a second.
        seed: of texture and noise; noise depends on the frame's number too, so that any frame can be painted alone.
    """

    def __init__(
        self, camera: Camera, stage: Stage, weather: Weather, actors: Sequence[Actor], rate: float, seed: int
    ) -> None:
        width, height = camera.size
        self._camera = Camera(
            camera.height_m, camera.tilt_deg, camera.pan_deg, camera.view_deg, (width * _SUPER, height * _SUPER)
        )
        self._size, self._weather, self._rate, self._seed = camera.size, weather, rate, seed
        self._stage, self._actors = stage, actors
        self._ground = Ground(self._camera, stage, seed)
        self._joints = {actor.actor_id: person_joints(actor) for actor in actors if actor.label == "person"}
        self._parts = {actor.actor_id: parts(actor) for actor in actors if actor.label != "person"}
        self._wheels = {actor.actor_id: wheels(actor) for actor in actors if actor.label in ("car", "bus", "truck")}

    def paint(self, frame: int) -> UInt8:
        """Returns one frame (H, W, 3) RGB."""
        picture = self._ground.picture.copy()
        present = [actor for actor in self._actors if actor.motion.present[frame]]
        if self._weather == "day":
            self._shadows(picture, present, frame)
        items: list[tuple[float, Actor | Prop]] = [(prop.at[1], prop) for prop in self._stage.props]
        items += [(float(actor.motion.at[frame, 1]), actor) for actor in present]
        for _, item in sorted(items, key=lambda pair: -pair[0]):
            if isinstance(item, Actor):
                self._actor(picture, item, frame)
            else:
                self._ground.prop(picture, item)
        self._smoke(picture, frame)
        return self._develop(picture, present, frame)

    def _actor(self, picture: UInt8, actor: Actor, frame: int) -> None:
        if actor.label == "person":
            self._person(picture, actor, self._joints[actor.actor_id][frame])
            return
        if actor.actor_id in self._wheels:
            for ring in self._wheels[actor.actor_id][frame]:
                self._polygon(picture, ring, (25, 25, 28))
        for corners, stuff in self._parts[actor.actor_id]:
            self._cuboid(picture, corners[frame], GLASS if stuff == "glass" else COLOURS[actor.colour])

    def _person(self, picture: UInt8, actor: Actor, joints: Float64) -> None:
        pixels, depth = self._camera.project(joints)
        if not np.isfinite(pixels).all():
            return
        scale = self._camera.focal / float(depth.mean()) * actor.size_m[2]
        top = VEST if actor.vest else COLOURS[actor.colour]
        # Legs in a darker shade of the top, so that one colour names the whole person.
        legs = tuple(int(0.55 * value) for value in COLOURS[actor.colour])
        wear = {"legs": legs, "top": top, "skin": SKIN}
        right_is_nearer = depth[6] < depth[5]
        order = BONES if right_is_nearer else (*BONES[2:4], *BONES[:2], *BONES[6:], *BONES[4:6])
        far_arm, near_arm = order[4:6], order[6:]
        for bone in (*far_arm, *order[:4]):
            self._limb(picture, pixels, scale, bone, wear)
        trunk = pixels[[5, 6, 12, 11]]
        hull = cv2.convexHull(trunk.astype(np.float32))[:, 0]
        self._fill(picture, hull, top)
        middle_neck, middle_hip = pixels[[5, 6]].mean(0), pixels[[11, 12]].mean(0)
        self._line(picture, middle_neck, middle_hip, top, 0.17 * scale)
        if actor.vest:
            across = np.array([0.07 * scale, 0.0])
            waist = 0.45 * middle_neck + 0.55 * middle_hip
            self._line(picture, waist - across, waist + across, STRIPE, 0.04 * scale)
        self._line(picture, pixels[NECK], pixels[HEAD], SKIN, 0.06 * scale)
        self._disc(picture, pixels[HEAD], HEAD_RADIUS * scale, SKIN)
        hair = pixels[HEAD] + 0.35 * (pixels[HEAD] - pixels[0])
        self._disc(
            picture, hair - np.array([0.0, 0.018 * scale]), 0.055 * scale, STRIPE if actor.vest else (60, 42, 32)
        )
        for bone in near_arm:
            self._limb(picture, pixels, scale, bone, wear)

    def _limb(
        self,
        picture: UInt8,
        pixels: Float64,
        scale: float,
        bone: tuple[int, int, float, str],
        wear: dict[str, tuple[int, ...]],
    ) -> None:
        first, second, half, part = bone
        self._line(picture, pixels[first], pixels[second], wear[part], 2 * half * scale)

    def _cuboid(self, picture: UInt8, corners: Float64, colour: Colour) -> None:
        """Fills the faces of eight corners (8, 3) that look at the camera, darker where they look away from the sky."""
        faces = ((0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7), (4, 5, 6, 7))
        eye = np.array([0.0, 0.0, self._camera.height_m])
        middle = corners.mean(0)
        for face, shade in zip(faces, (0.72, 0.82, 0.9, 0.78, 1.0), strict=True):
            points = corners[list(face)]
            outward = points.mean(0) - middle
            if outward @ (eye - points.mean(0)) > 0:
                self._polygon(picture, points, tuple(int(shade * value) for value in colour))

    def _shadows(self, picture: UInt8, present: Sequence[Actor], frame: int) -> None:
        mask = np.zeros(picture.shape[:2], np.uint8)
        for actor in present:
            if actor.label == "person":
                joints = self._joints[actor.actor_id][frame]
                pixels, depth = self._camera.project(_on_ground(joints))
                if not np.isfinite(pixels).all():
                    continue
                scale = self._camera.focal / float(depth.mean()) * actor.size_m[2]
                for first, second, half, _ in BONES:
                    self._line(mask, pixels[first], pixels[second], (255,), 2 * half * scale)
                self._line(mask, pixels[[5, 6]].mean(0), pixels[[11, 12]].mean(0), (255,), 0.18 * scale)
                self._disc(mask, pixels[HEAD], HEAD_RADIUS * scale, (255,))
            else:
                corners = np.concatenate([item[frame] for item, _ in self._parts[actor.actor_id]])
                pixels, _ = self._camera.project(np.concatenate([_on_ground(corners), corners * [1, 1, 0]]))
                if np.isfinite(pixels).all():
                    self._fill(mask, cv2.convexHull(pixels.astype(np.float32))[:, 0], (255,))
        picture[mask > 0] = (picture[mask > 0] * _SHADOW).astype(np.uint8)

    def _smoke(self, picture: UInt8, frame: int) -> None:
        smoke = self._stage.smoke
        if smoke is None or frame / self._rate < smoke.start_s:
            return
        age_s = frame / self._rate - smoke.start_s
        layer = picture.copy()
        for puff in range(9):
            life = (age_s * 0.45 + puff / 9) % 1.0
            if life > age_s:
                continue
            drift = 0.5 * np.sin(3.1 * puff)
            where, depth = self._camera.project(
                np.array([smoke.at[0] + drift * life, smoke.at[1], 0.3 + 2.4 * life * min(age_s, 1.0)])
            )
            radius = self._camera.focal / float(depth) * (0.25 + 0.8 * life) * min(1.0, 0.3 + age_s / 2)
            grey = int(150 - 60 * life)
            self._disc(layer, where, radius, (grey, grey, grey))
        cv2.addWeighted(layer, 0.75, picture, 0.25, 0, dst=picture)

    def _develop(self, picture: UInt8, present: Sequence[Actor], frame: int) -> UInt8:
        """Reduces, lights and grains a picture, and writes what it is into its corner."""
        width, height = self._size
        image = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
        random = np.random.default_rng([self._seed, frame, 7])
        if self._weather == "night":
            image *= self._ground.lamplight(self._size)[..., None] * np.array([0.92, 0.95, 1.08], np.float32)
            self._headlights(image, present, frame)
        elif self._weather == "rain":
            image = 0.72 * image + 28.0
            streaks = image.copy()
            for x, y, length in zip(
                random.uniform(0, width, 70), random.uniform(0, height, 70), random.uniform(4, 11, 70), strict=True
            ):
                cv2.line(streaks, (int(x), int(y)), (int(x - length / 4), int(y + length)), (205, 210, 218), 1)
            image = 0.7 * image + 0.3 * streaks
        image += random.normal(0, _NOISE[self._weather], (height, width, 1)).astype(np.float32)
        shown: UInt8 = np.clip(image, 0, 255).astype(np.uint8)
        size = max(0.32, width / 900)
        (wide, tall), low = cv2.getTextSize("SIMULATED", cv2.FONT_HERSHEY_SIMPLEX, size, 1)
        shown[height - tall - low - 4 :, : wide + 6] = 0
        where = (3, height - low - 1)
        cv2.putText(shown, "SIMULATED", where, cv2.FONT_HERSHEY_SIMPLEX, size, (255, 255, 255), 1, cv2.LINE_AA)
        return shown

    def _headlights(self, image: NDArray[np.float32], present: Sequence[Actor], frame: int) -> None:
        for actor in present:
            if actor.actor_id not in self._wheels:
                continue
            heading, at = float(actor.motion.heading[frame]), actor.motion.at[frame]
            ahead = np.array([np.cos(heading), np.sin(heading)]) * actor.size_m[0] / 2
            pixel, depth = self._camera.project(np.array([*(at + ahead), 0.6]))
            if np.isfinite(pixel).all() and np.abs(pixel).max() < 1e4:
                centre = (int(pixel[0] / _SUPER), int(pixel[1] / _SUPER))
                radius = max(2, int(self._camera.focal / _SUPER / float(depth) * 0.22))
                cv2.circle(image, centre, radius, (255, 250, 215), -1, cv2.LINE_AA)

    def _polygon(self, picture: UInt8, points: Float64, colour: tuple[int, ...]) -> None:
        pixels, _ = self._camera.project(points)
        if np.isfinite(pixels).all():
            self._fill(picture, pixels, colour)

    def _fill(self, picture: UInt8, pixels: NDArray[np.floating], colour: tuple[int, ...]) -> None:
        if np.abs(pixels).max() < 1e5:
            cv2.fillConvexPoly(picture, _fixed(pixels), colour, cv2.LINE_AA, _SHIFT)

    def _line(self, picture: UInt8, start: Float64, end: Float64, colour: tuple[int, ...], thick: float) -> None:
        if max(np.abs(start).max(), np.abs(end).max()) < 1e5:
            width = max(1, round(thick))
            cv2.line(picture, _fixed(start), _fixed(end), colour, width, cv2.LINE_AA, _SHIFT)

    def _disc(self, picture: UInt8, centre: Float64, radius: float, colour: tuple[int, ...]) -> None:
        if np.isfinite(centre).all() and np.abs(centre).max() < 1e5:
            cv2.circle(picture, _fixed(centre), max(1, int(radius * 2**_SHIFT)), colour, -1, cv2.LINE_AA, _SHIFT)


def _on_ground(points: Float64) -> Float64:
    """Returns where the sun throws points (P, 3), a little above the ground."""
    flat = points.copy()
    flat[:, :2] += points[:, 2:] * _SUN
    flat[:, 2] = 0.01
    return flat


def _fixed(pixels: NDArray[np.floating]) -> NDArray[np.int32]:
    fixed: NDArray[np.int32] = np.round(np.asarray(pixels) * 2**_SHIFT).astype(np.int32)
    return fixed
