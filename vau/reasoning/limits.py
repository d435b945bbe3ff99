"""What limits an account: small pictures, moving cameras, cuts, crowds, few detections, short or damaged videos.

Stated so that a reader can weigh the rest. The thresholds are ours and lie where the detectors' own error grows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vau.reasoning.language import clock, duration, sentence
from vau.reasoning.scene import CAMERA_MOVES, Scene, most_at_once
from vau.types import Event

_SMALL_SIDE = 288  # pixels
_SMALL_ACTOR = 48  # pixels of height
_DARK = 0.06  # of full brightness
_CROWD = 10
_FEW = 0.5  # share of frames
_SHORT_S = 10.0
_MOST = 3


@dataclass(frozen=True)
class Limit:
    """A sentence on what limits an account, with times at which it can be checked."""

    text: str
    times_s: tuple[float, ...]


def event_limits(event: Event, scene: Scene, involved: Sequence[int]) -> list[Limit]:
    """Returns what limits the account of one event: one sentence, or none."""
    start_s, end_s = event.start_s, event.end_s
    found: list[str] = []
    times = [event.peak_s]
    cuts = scene.cuts(start_s - 2.0, end_s + 2.0)
    if cuts:
        found.append(f"the shot changes at {clock(cuts[0])}, which breaks all tracks")
        times.append(cuts[0])
    found += _conditions(scene, start_s, end_s)
    sizes = [size for item in involved if (size := scene.size(item, event.peak_s)) is not None]
    if sizes and min(sizes) < _SMALL_ACTOR and not _small(scene):
        found.append(f"those involved are only about {min(sizes):.0f} pixels long in the picture")
    if scene.info.truncated and scene.info.duration_s - end_s < _SHORT_S:
        found.append("the file breaks off soon after")
    return [_limit(found, times)] if found else []


def sight(scene: Scene) -> float:
    """Returns in (0, 1] how much a video without findings can be taken for one in which nothing happened.

    Each limit takes a fifth away, a black picture nearly all: what cannot be seen cannot be ruled out.
    """
    found, _ = _video_findings(scene)
    dark = any("black" in item for item in found)
    return float(0.95 * 0.8 ** len(found) * (0.2 if dark else 1.0))


def video_limits(scene: Scene) -> list[Limit]:
    """Returns what limits the account of a whole video: one sentence, or none."""
    found, times = _video_findings(scene)
    return [_limit(found, times)] if found else []


def _video_findings(scene: Scene) -> tuple[list[str], list[float]]:
    found: list[str] = []
    times = [0.0]
    if scene.info.truncated:
        found.append(f"the file breaks off at {clock(scene.info.duration_s)}")
        times = [scene.info.duration_s]
    cuts = scene.cuts(0.0, scene.info.duration_s)
    if cuts:
        found.append(
            f"the shot changes at least {'once' if len(cuts) == 1 else f'{len(cuts)} times'}, which breaks all tracks"
        )
        times.append(cuts[0])
    if scene.info.duration_s < _SHORT_S:
        found.append(f"with {duration(scene.info.duration_s)} of video there is little to compare with")
    found += _conditions(scene, 0.0, scene.info.duration_s)
    return found, times


def _limit(found: Sequence[str], times_s: Sequence[float]) -> Limit:
    return Limit(sentence("Some caution:", "; ".join(found[:_MOST])), tuple(times_s))


def _small(scene: Scene) -> bool:
    return min(scene.info.width, scene.info.height) < _SMALL_SIDE


def _conditions(scene: Scene, start_s: float, end_s: float) -> list[str]:
    found = []
    if scene.level("camera_speed", start_s, end_s) > CAMERA_MOVES:
        found.append("the camera moves, which blurs measured speeds")
    measured = "luminance" in scene.observations.motion_channels
    if measured and scene.level("luminance", start_s, end_s) < _DARK:
        found.append("the picture is nearly black, so hardly anything can be seen")
    if scene.share_with_detections(start_s, end_s) < _FEW:
        found.append("the detectors found nothing in most frames")
    if _small(scene):
        found.append(f"the picture is small ({scene.info.width} by {scene.info.height} pixels)")
    if most_at_once(scene.present(start_s, end_s))[0] > _CROWD:
        found.append("so many people and vehicles are in view that one may have been taken for another")
    return found
