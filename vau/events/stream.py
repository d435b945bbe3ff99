"""Event boundaries while a video is still running: the causal form of `vau.events.boundaries`.

What needs the whole video is replaced by what the past gives: motion on a fixed scale, edges of the graph to earlier
nodes only, a running level and a running threshold. Smoothing looks a little ahead, so that nothing lags. Memory does
not grow, and how frames are cut into chunks changes not a bit: work is done in hops of one size. Ours; EventVAD (arXiv
2504.13092) has the whole video.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vau.config import EventsConfig, RecipeConfig
from vau.errors import ConfigError
from vau.events.boundaries import PROMINENCE, duration_of, strength
from vau.events.change import echo_s, scales_of, strongest
from vau.events.features import fixed_scale, fuse, motion_columns, signed_root
from vau.events.graph import CausalBand
from vau.events.running import RunningScale, Tail, needed
from vau.types import Float32, Float64, Observations, Segments

_HOP_S = 1.0
_MEMORY_S = 300.0  # of ratios that set the threshold
_BEYOND_S = 1.0  # that the level of the slowest scale sees ahead
_ROUNDING_S = 1e-6


@dataclass(frozen=True)
class Boundary:
    """A boundary that will not change any more."""

    time_s: float  # midway between two sampled frames
    strength: float  # (0, 1), as in `vau.types.Segments`


class Segmenter:
    """Finds the boundaries of a stream.

    Feed it sampled frames in time order, in chunks of any size, and take what each call returns; `finish` gives the
    rest. A boundary comes out once, and at the latest with the first frame `delay_s` behind it, if frames come at the
    stated rate. No boundary up to `certain_s` is still to come. One instance serves one stream and one thread::

        segmenter = Segmenter(config.events, MOTION_CHANNELS, rate=4.0)
        for times_s, embeddings, motion in chunks:
            for boundary in segmenter.push(times_s, embeddings, motion):
                close_event(boundary.time_s)
        last = segmenter.finish(duration_s)

    Attributes:
        delay_s: longest time from a boundary to the frame with which it is returned.
        certain_s: everything up to this time is final.
    """

    def __init__(self, config: EventsConfig, channels: tuple[str, ...], *, rate: float) -> None:
        """Prepares for a stream.

        Args:
            config: as for `vau.events.segment`, with the default recipe.
            channels: names of the B motion channels.
            rate: sampled frames a second, in which windows are counted.

        Raises:
            ConfigError: a rate that is not positive and finite, or another recipe.
        """
        if not 0 < rate < np.inf:
            raise ConfigError(f"a stream needs a rate above 0 frames a second, got {rate!r}")
        if config.recipe != RecipeConfig():
            raise ConfigError(f"a stream is segmented by the default recipe only, got {config.recipe!r}")
        self._config, self._channels = config, len(channels)
        self._columns = motion_columns(channels, speeds_only=True)
        self._dim: int | None = None
        self._hop = max(1, round(_HOP_S * rate))
        scales = scales_of(1 / rate, config)
        ahead = max(map(needed, scales)) + round(_BEYOND_S * rate)
        self._scales = [RunningScale(scale, ahead, round(_MEMORY_S * rate), config) for scale in scales]
        width = max(1, round(config.band_s * rate))
        self._band = CausalBand(config, width=width) if config.propagation else None
        self._frames: list[tuple[float, Float32, Float32]] = []  # of a hop that is not full yet
        self._rows, self._speeds, self._times = Tail(), Tail(), Tail()
        self._gaps = Tail()  # (G, 5) measured: time, then ratio and excess of the picture, ratio and excess of motion
        self._decided = 0  # gaps
        self._latest_s, self._finished = -np.inf, False
        self.certain_s = 0.0
        self.delay_s = (ahead + self._hop) / rate + echo_s(config)

    def push(self, times_s: Float64, embeddings: Float32, motion: Float32) -> tuple[Boundary, ...]:
        """Takes the next frames.

        Args:
            times_s: (N,) increasing, after those of earlier calls; N from 0 up.
            embeddings: (N, D) unit norm, of one D in all calls.
            motion: (N, B).

        Returns:
            Boundaries that have become certain, in time order and after all earlier ones.

        Raises:
            ValueError: times that do not increase, arrays that do not fit or hold NaN, or a finished stream; nothing
                of the chunk has been taken then.
        """
        times, seen = np.asarray(times_s, np.float64), np.array(embeddings, np.float32)
        moved = np.array(motion, np.float32)
        self._check(times, seen, moved)
        if len(times):
            self._dim = seen.shape[1]
        root = signed_root(moved[:, self._columns])
        found: list[Boundary] = []
        for row, time_s in enumerate(times.tolist()):
            self._frames.append((time_s, seen[row], root[row]))
            self._latest_s = time_s
            if len(self._frames) == self._hop:
                self._take()
                found += self._decide(None)
        return tuple(found)

    def finish(self, duration_s: float) -> tuple[Boundary, ...]:
        """Ends the stream and returns its last boundaries.

        Args:
            duration_s: end of the stream; not before its last frame.

        Raises:
            ValueError: a stream that is finished already, or a duration that is not finite.
        """
        if self._finished or not np.isfinite(duration_s):
            raise ValueError(f"a stream ends once and at a finite time, got {duration_s!r}")
        self._finished = True
        if self._frames:
            self._take()
        end_s = max(duration_s, self._latest_s, 0.0)
        found = self._decide(end_s)
        self.certain_s = end_s
        return tuple(found)

    def _check(self, times: Float64, seen: Float32, moved: Float32) -> None:
        if self._finished:
            raise ValueError("the stream is finished; a new one needs a new Segmenter")
        count = len(times) if times.ndim == 1 else -1
        if seen.shape[:1] != (count,) or seen.ndim != 2 or moved.shape != (count, self._channels):
            raise ValueError(f"a chunk needs rows that fit, got {times.shape = }, {seen.shape = }, {moved.shape = }")
        if count and self._dim not in (None, seen.shape[1]):
            raise ValueError(f"embeddings of one stream have one length, got {seen.shape[1]} after {self._dim}")
        if not (np.isfinite(times).all() and np.isfinite(seen).all() and np.isfinite(moved).all()):
            raise ValueError("a chunk holds NaN or infinity")
        if count and not (np.diff(times, prepend=self._latest_s) > 0).all():
            raise ValueError(f"times must increase, got {times[0]!r} and on after {self._latest_s!r}")

    def _take(self) -> None:
        """Turns the waiting frames into rows of features."""
        times = np.array([frame[0] for frame in self._frames])
        seen, root = (np.stack([frame[part] for frame in self._frames]) for part in (1, 2))
        self._frames.clear()
        motion = fixed_scale(root)
        rows = fuse(seen, motion, self._config.alpha)
        if self._band is not None:
            rows = self._band.mix(times, seen, motion, rows)
        self._rows.append(rows)
        self._speeds.append(root)
        self._times.append(times)

    def _decide(self, end_s: float | None) -> list[Boundary]:
        """Measures and decides all gaps that can be; `end_s` is the end of the stream once it is known."""
        *pictures, motion = self._scales
        end = end_s is not None
        picture = strongest([scale.advance(self._rows, end=end) for scale in pictures])
        moving = motion.advance(self._speeds, end=end)
        self._rows.forget(min(scale.first_row for scale in pictures))
        self._speeds.forget(motion.first_row)
        if count := len(picture.excess):
            first = self._gaps.stop
            times = self._times.between(first, first + count + 1)
            middles = (times[:-1] + times[1:]) / 2
            self._gaps.append(np.stack([middles, picture.ratios, picture.excess, moving.ratios, moving.excess], axis=1))
            self._times.forget(first + count)
        return self._pick(end_s) if self._gaps.stop else []

    def _pick(self, end_s: float | None) -> list[Boundary]:
        """Returns the boundaries among the gaps on both sides of which enough is known."""
        first = self._gaps.start
        times, *columns = self._gaps.between(first, self._gaps.stop).T
        apart_s, reach_s = self._config.min_segment_s - _ROUNDING_S, echo_s(self._config)
        new, known = self._decided - first, len(times)
        if end_s is None:
            known = int(np.searchsorted(times, times[-1] - reach_s, side="right"))
        outside = times < self._config.window_s / 2
        if end_s is not None:
            outside |= times > end_s - self._config.window_s / 2
        found = []
        for (ratios, excess), echo in ((columns[:2], False), (columns[2:], True)):
            inside = np.where(outside, -1.0, excess)
            for gap in new + np.flatnonzero(inside[new:known] >= 1):
                left = int(np.searchsorted(times, times[gap] - apart_s, side="right"))
                right = int(np.searchsorted(times, times[gap] + apart_s, side="left"))
                near = np.abs(times - times[gap]) < reach_s
                if echo and (columns[1][near] >= 1).any():
                    continue
                if _is_peak(inside[left:gap], inside[gap], inside[gap + 1 : right]):
                    found.append(Boundary(float(times[gap]), float(strength(ratios[gap : gap + 1])[0])))
        if known > new:
            self._decided = first + known
            self.certain_s = float(times[known - 1])
            self._gaps.forget(first + int(np.searchsorted(times, times[known - 1] - reach_s, side="right")))
        return sorted(found, key=lambda boundary: boundary.time_s)


def _is_peak(before: Float64, value: float, after: Float64) -> bool:
    """Says whether a value is the (first) largest of its surroundings and stands out from both sides of them."""
    if (before >= value).any() or (after > value).any():
        return False
    return all(len(side) == 0 or value - side.min() >= PROMINENCE for side in (before, after))


def segment_causal(observations: Observations, config: EventsConfig) -> Segments:
    """Partitions a whole video as a `Segmenter` does that sees it frame by frame.

    Args:
        observations: N sampled frames, N from 0 up.
        config: as for `Segmenter`.

    Returns:
        Segments as `vau.events.segment` gives them.
    """
    steps = np.diff(observations.times_s)
    rate = 1 / float(np.median(steps)) if len(steps) else 1.0
    segmenter = Segmenter(config, observations.motion_channels, rate=rate)
    duration = duration_of(observations)
    found = [
        *segmenter.push(observations.times_s, observations.embeddings, observations.motion),
        *segmenter.finish(duration),
    ]
    edges, strengths = [item.time_s for item in found], [item.strength for item in found]
    return Segments(np.array([0.0, *edges, duration]), np.array([0.0, *strengths, 0.0]))
