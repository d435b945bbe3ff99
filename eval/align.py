"""Brings scores onto a protocol's grid by a declared rule, and refuses what no rule covers.

Held scores last until the next one; linear ones are interpolated between the frames they stand for (a stride's score
stands for the middle of its block). Before the first and after the last score its value is held. That is allowed over
two steps of the scores and a second at most: scores that end before their video are partial, and so refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vau.errors import InputError
from vau.eval.frame import LabelledScores
from vau.eval.names import canonical
from vau.eval.protocols.base import ABNORMAL, NORMAL, check_unique
from vau.eval.scorefile import VideoScores
from vau.eval.truth import Truth, VideoTruth

Rule = Literal["hold", "linear"]
_SECOND_FRAMES = 32.0  # where no rate is known; two I3D snippets
_SHOWN = 3


@dataclass(frozen=True, eq=False)
class Aligned:
    """Scores and truth on one grid, and what was done to get there."""

    videos: tuple[LabelledScores, ...]
    expected: int  # videos of the protocol
    grid: str  # in words: how the scores were brought onto the protocol's grid


def align(
    truth: Truth,
    scores: Sequence[VideoScores],
    *,
    rule: Rule = "hold",
    fps: float | None = None,
    allow_partial: bool = False,
    where: Path | str = "scores",
) -> Aligned:
    """Pairs scores with truth by name and brings them onto the protocol's grid.

    Args:
        truth: the protocol's videos and labels.
        scores: as a score file gives them, all on one kind of grid.
        rule: how scores become a value a frame.
        fps: frames a second of all videos, for scores at times whose file does not say it.
        allow_partial: whether videos may be without scores.
        where: name of the file, for messages.

    Raises:
        InputError: videos are unknown, missing or given twice, lengths do not fit, or times have no rate.
    """
    _check_videos(truth, allow_partial)
    named = {truth.dataset.rename(canonical(video.video)): video for video in scores}
    check_unique([truth.dataset.rename(canonical(video.video)) for video in scores], where)
    known = {video.video for video in truth.videos}
    unknown = sorted(named.keys() - known)
    if unknown:
        raise InputError(f"{where}: {_some(unknown)} not in {truth.dataset.title} ({truth.protocol.name})")
    missing = sorted(known - named.keys())
    if missing and not allow_partial:
        raise InputError(
            f"{where}: {len(named)} of {len(known)} videos have scores; {_some(missing)} missing. A figure over fewer "
            "videos compares with nothing; --partial computes it all the same and says so"
        )
    _check_lengths(truth, named, where)
    videos = tuple(
        LabelledScores(video.video, on_grid(named[video.video], video, rule, fps), video.labels, _class(video))
        for video in truth.videos
        if video.video in named
    )
    return Aligned(videos, truth.protocol.expected.videos, _told(next(iter(named.values())), rule))


def on_grid(scores: VideoScores, truth: VideoTruth, rule: Rule, fps: float | None = None) -> NDArray[np.float64]:
    """Returns a score for each label of a video, (N,).

    Raises:
        InputError: positions leave too much of the video without scores or lie beyond it, or times have no rate.
    """
    size = len(truth.labels)
    if scores.kind == "per-frame":
        return _held(scores.scores, size)
    if scores.kind == "stride":
        if rule == "hold":
            return _held(np.repeat(scores.scores, scores.stride), size)
        centres = np.arange(len(scores.scores)) * scores.stride + (scores.stride - 1) / 2
        return np.interp(np.arange(size), centres, scores.scores)
    positions, second = _frame_positions(scores, fps)
    _check_cover(scores.video, positions, truth, second)
    frames = np.arange(size)
    if rule == "linear":
        return np.interp(frames, positions, scores.scores)
    # A time such as 0.1 x 30 is a hair above its frame; without the tolerance the score would come a frame late.
    latest = np.searchsorted(positions, frames + 1e-3, side="right") - 1
    return scores.scores[np.maximum(latest, 0)]


def _check_videos(truth: Truth, allow_partial: bool) -> None:
    found, expected = len(truth.videos), truth.protocol.expected.videos
    if found > expected or (found < expected and not allow_partial):
        raise InputError(
            f"{truth.annotation_from}: {found} videos, {truth.dataset.title} ({truth.protocol.name}) has {expected}"
            + ("; --partial scores fewer all the same and says so" if found < expected else "")
        )


def _held(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Returns values cut to `size`, or with the last one repeated up to it."""
    return np.concatenate([values[:size], np.repeat(values[-1:], max(0, size - len(values)))])


def _frame_positions(scores: VideoScores, fps: float | None) -> tuple[NDArray[np.float64], float]:
    """Returns where each score lies, in frames, and how many frames a second has, or about has."""
    assert scores.positions is not None
    if scores.kind == "frames":
        return scores.positions, _SECOND_FRAMES
    rate = scores.fps or fps
    if rate is None:
        raise InputError(f"{scores.video}: times_s need the rate of the video: fps in the file, or --fps")
    return scores.positions * rate, rate


def _check_cover(video: str, positions: NDArray[np.float64], truth: VideoTruth, second: float) -> None:
    longest, shortest = max(truth.n_frames, len(truth.labels)), min(truth.n_frames, len(truth.labels))
    slack = second + (2 * float(np.median(np.diff(positions))) if len(positions) > 1 else 0.0)
    if positions[-1] > longest + second:
        raise InputError(f"{video}: scores reach frame {positions[-1]:g}, the video has {truth.n_frames}; wrong rate?")
    if positions[0] > slack or shortest - 1 - positions[-1] > slack:
        raise InputError(
            f"{video}: scores cover frames {positions[0]:g} to {positions[-1]:g} of {truth.n_frames}; scores of a "
            "part of a video are not held over the rest of it"
        )


def _check_lengths(truth: Truth, named: dict[str, VideoScores], where: Path | str) -> None:
    """Refuses scores a frame, or a stride, whose number fits neither the grid nor the video; counts all of them."""
    wrong = []
    for video in truth.videos:
        scores = named.get(video.video)
        if scores is None or scores.positions is not None:
            continue
        sizes = (len(video.labels), video.n_frames)
        if scores.kind == "per-frame":
            fits = len(scores.scores) in sizes
        else:
            fits = max(1, min(sizes) // scores.stride) <= len(scores.scores) <= -(-max(sizes) // scores.stride)
        if not fits:
            per = f" of {scores.stride} frames" if scores.kind == "stride" else ""
            wrong.append(f"{video.video} ({len(scores.scores)} scores{per}, {video.n_frames} frames)")
    if wrong:
        raise InputError(
            f"{where}: wrong length in {len(wrong)} of {len(named)} videos: {', '.join(wrong[:_SHOWN])}. Give a "
            "score a frame, or say which frames they are: stride, frames or times_s"
        )


def _class(video: VideoTruth) -> str:
    return "" if video.category in (NORMAL, ABNORMAL) else video.category


def _told(scores: VideoScores, rule: Rule) -> str:
    if scores.kind == "per-frame":
        return "a score a frame; cut, or the last one held, to the grid's length"
    told = {"stride": f"a score per {scores.stride} frames", "frames": "scores at frames", "times_s": "scores at times"}
    return f"{told[scores.kind]}, {'held' if rule == 'hold' else 'interpolated linearly'}; the last one held to the end"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    return f"{len(names)} videos ({shown})"
