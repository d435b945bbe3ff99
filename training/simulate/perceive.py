"""Perfect tracks with motion as it is really perceived: optical flow of the pictures, weather and noise included.

Stands between `tracks.observations`, which looks at no picture, and the whole of `vau.perception`, whose detectors are
trained on photographs and see little in drawings.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from vau.perception.motion import MotionMeter
from vau.training.simulate.scene import Scene
from vau.training.simulate.tracks import RATE, observations
from vau.types import Observations

_SIDE = 320  # pixels of the longer side at which perception computes flow


def perceived(scene: Scene, rate: float = RATE) -> Observations:
    """Returns `tracks.observations` with motion channels and the flow of each track measured on rendered frames.

    Args:
        scene: rendered from beginning to end.
        rate: rows a second, at most the scene's frames a second.
    """
    base = observations(scene, rate)
    wanted = {round(float(time_s) * scene.rate): row for row, time_s in enumerate(base.times_s)}
    meter = MotionMeter()
    motion = np.zeros_like(base.motion)
    flows = {track.track_id: track.flow.copy() for track in base.tracks}
    scale = _SIDE / max(scene.camera.size)
    for batch in scene.frames():
        for image, index, time_s in zip(batch.images, batch.indices, batch.times_s, strict=True):
            meter.push(image, float(time_s))
            row = wanted.get(int(index))
            if row is None:
                continue
            motion[row] = meter.take()
            for track in base.tracks:
                at = int(np.searchsorted(track.times_s, time_s - 1e-6))
                if meter.latest is not None and at < len(track.times_s) and abs(track.times_s[at] - time_s) < 1e-6:
                    flows[track.track_id][at] = meter.latest.inside(track.boxes[at], scale)
    seen = tuple(replace(track, flow=flows[track.track_id]) for track in base.tracks)
    return replace(base, motion=motion, tracks=seen)
