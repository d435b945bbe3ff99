"""Named anomaly signals of the training-free scorer, each an absolute level in [0, 1] a sampled frame.

A level is 0.5 where a measured quantity reaches a fixed scale in plain units, never where it happens to be the largest
of its video: normalising noise to 1 would invent an event in every quiet clip. All scales are ours; they were set on
everyday footage so that it stays below 0.5, not on any set's anomalies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from vau.perception.fusion import group
from vau.perception.motion import SHOT_CHANGE, turbulence
from vau.relations.kinematics import measure
from vau.relations.vocabulary import PREDICATES
from vau.scoring.novelty import novelty
from vau.types import Float64, Observations, Relation

SIGNALS = (
    "violent motion",
    "motion surprise",
    "appearance novelty",
    "kinematic surprise",
    "relation surprise",
    "light change",
)
_SMOOTH = 3  # sampled frames
_CAMERA = 0.08  # frame heights a second at which flow says half as much
_BUSY = 0.3  # frame heights a second that are usual in a clip where motion says half as much
_LARGE = 0.33  # frame heights
_MIN_PEERS = 5
_MOMENT_S = 0.25  # how far a momentary relation reaches into the score


def level(values: Float64, half: float) -> Float64:
    """Maps non-negative values to [0, 1): 0.5 at `half`, steep around it."""
    cubed = np.maximum(values, 0.0) ** 3
    return cubed / (cubed + half**3)


def violent_motion(observations: Observations, gain: float) -> Float64:
    """Returns how violently bodies or objects at one place move against each other (half level 0.1 of turbulence)."""
    return level(gain * turbulence(observations), 0.1) * _steady(observations)


def motion_surprise(observations: Observations, gain: float) -> Float64:
    """Returns how unlike the rest of the clip the places and speeds of motion are.

    Local outlier factor of the cell speeds (half level 2.2 times the usual distance), counted only as far as the
    distance itself matters (half level 0.25 frame heights a second). Motion inside the box of a known object counts
    less the larger that object is: a person who walks past close to the camera fills the picture with motion.
    """
    near = _cells(observations) * _size_discount(observations)
    found = novelty(near.astype(np.float32), observations.times_s, floor=0.05, smooth=_SMOOTH)
    surprise = np.sqrt(level(found.factor * gain, 2.2) * level(found.distance * gain, 0.25))
    return surprise * trust_in_flow(observations)


def appearance_novelty(observations: Observations, gain: float) -> Float64:
    """Returns how unlike the rest of the clip the picture looks; at most 0.4, since every newcomer is new.

    Local outlier factor of the frame embeddings (half level 2.5 times the usual distance).
    """
    if not len(observations):
        return np.zeros(0)
    found = novelty(observations.embeddings, observations.times_s, floor=0.05, smooth=_SMOOTH)
    return 0.4 * level(found.factor * gain, 2.5) * _away_from_cuts(observations)


def kinematic_surprise(observations: Observations, gain: float) -> Float64:
    """Returns how far some track moves faster than its own kind does in this clip (half level 3 times the median).

    At least five tracks of the kind are needed to know what is usual; the level ends at 0.45, since haste is no harm.
    """
    found = np.zeros(len(observations))
    motions = [measure(track, observations.frame_size) for track in observations.tracks if track.confidence >= 0.4]
    for family in sorted({group(motion.track.label) for motion in motions}):
        members = [motion for motion in motions if group(motion.track.label) == family]
        paces = [motion.displacement(1.0) for motion in members]
        typical = [float(np.median(pace)) for pace in paces]
        moving = [value for value in typical if value > 0.2]
        if len(moving) < _MIN_PEERS:
            continue
        usual = float(np.median(moving))
        for motion, pace in zip(members, paces, strict=True):
            rows = np.searchsorted(observations.times_s, motion.times_s)
            steady = np.minimum(uniform_filter1d(pace, 5, mode="nearest"), pace)
            found[rows] = np.maximum(found[rows], level(gain * steady / usual, 3.0))
    return 0.45 * found * trust_in_flow(observations)


def relation_surprise(observations: Observations, relations: Sequence[Relation], gain: float) -> Float64:
    """Returns the level of the largest severity times confidence of the relations at each moment (half level 0.5)."""
    times = observations.times_s
    found = np.zeros(len(times))
    for relation in relations:
        predicate = PREDICATES[relation.predicate]
        if predicate.severity == 0:
            continue
        weight = gain * predicate.severity * relation.confidence
        if predicate.momentary:
            # Full weight at the moment itself, so that the curve peaks there, and none at the end of its reach.
            middle_s = (relation.start_s + relation.end_s) / 2
            reach_s = (relation.end_s - relation.start_s) / 2 + _MOMENT_S
            away = np.abs(times - middle_s) / reach_s
            found = np.maximum(found, np.where(away <= 1, weight * (1 - away), 0.0))
        else:
            rows = (times >= relation.start_s) & (times <= relation.end_s)
            found[rows] = np.maximum(found[rows], weight)
    return level(found, 0.5)


def light_change(observations: Observations, gain: float) -> Float64:
    """Returns how suddenly the picture turns lighter or darker (half level 0.25 of full scale in half a second)."""
    times = observations.times_s
    if len(times) < 2:
        return np.zeros(len(times))
    light = observations.channel("luminance").astype(np.float64)
    change = np.abs(light - np.interp(times - 0.5, times, light))
    return level(gain * change, 0.25) * _away_from_cuts(observations)


def trust_in_flow(observations: Observations) -> Float64:
    """Returns in [0, 1] how far unusual flow tells of the scene.

    Less where the camera moves, near shot changes, and in clips where everything moves all the time.
    """
    if not len(observations):
        return np.zeros(0)
    busy = float(np.median(_cells(observations).max(axis=1)))
    return _steady(observations) / (1 + (busy / _BUSY) ** 2)


def _steady(observations: Observations) -> Float64:
    """Returns 1 where the camera is still and 0 at shot changes."""
    camera = _smooth(observations.channel("camera_speed"))
    return _away_from_cuts(observations) / (1 + (camera / _CAMERA) ** 2)


def _away_from_cuts(observations: Observations) -> Float64:
    """Returns 0 within two sampled frames of a shot change and 1 elsewhere."""
    cuts = maximum_filter1d((observations.channel("cut") > SHOT_CHANGE).astype(np.float64), 5, mode="constant")
    return 1.0 - cuts


def _cells(observations: Observations) -> Float64:
    first = observations.motion_channels.index("cell_0")
    return observations.motion[:, first : first + 24].astype(np.float64)


def _size_discount(observations: Observations) -> Float64:
    """Returns a factor (N, 24) for the cell speeds: 1 where no object larger than `_LARGE` frame heights is."""
    across, down = 6, 4
    width, height = observations.frame_size
    factor = np.ones((len(observations), down, across))
    for track in observations.tracks:
        rows = np.searchsorted(observations.times_s, track.times_s)
        for row, box in zip(rows, track.boxes, strict=True):
            size = max(float(box[2] - box[0]), float(box[3] - box[1])) / height
            if size <= _LARGE:
                continue
            left, right = int(box[0] / width * across), int(np.ceil(box[2] / width * across))
            top, bottom = int(box[1] / height * down), int(np.ceil(box[3] / height * down))
            patch = factor[row, max(top, 0) : bottom, max(left, 0) : right]
            np.minimum(patch, _LARGE / size, out=patch)
    return factor.reshape(len(observations), down * across)


def _smooth(values: np.ndarray) -> Float64:
    return uniform_filter1d(values.astype(np.float64), _SMOOTH, mode="nearest") if len(values) else np.zeros(0)
