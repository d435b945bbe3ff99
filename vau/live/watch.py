"""From the frames of one unbroken stretch of a stream to its events, each told once, when it has closed.

The scorer is the training-free one in a causal form with a bounded look ahead, ours: at every step it scores the last
`window_s`, and of that the values that lie `ahead_s` and more behind the newest frame become final. So the score of a
moment rests on at most `window_s` before it and `ahead_s` to `ahead_s + hop_s` after it, where the offline score may
look five minutes to both sides. What it costs is measured in the guide to live watching. Steps are taken by the
stream's own time, so that the same frames give the same events. It knows neither files nor networks.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from vau.config import Config
from vau.events.spans import find_events
from vau.events.stream import Boundary, Segmenter
from vau.jpeg import encode
from vau.live.window import Window
from vau.perception.motion import MOTION_CHANNELS
from vau.perception.observe import Models
from vau.reasoning.account import tell
from vau.relations.extract import extract_relations, relation_changes
from vau.sampling.caes import caes
from vau.scoring.training_free import SignalScorer
from vau.types import Account, Event, Keyframe, RelationChange, ScoreTrack, Segments, UInt8, VideoInfo

EARLY_S = 30.0  # since the watch began, within which little is known of what is usual


@dataclass(frozen=True)
class LiveSettings:
    """How far the watch looks back and ahead, in seconds of the stream."""

    window_s: float = 120.0
    ahead_s: float = 4.0
    hop_s: float = 2.0
    longest_s: float = 60.0  # an event that lasts longer is told in parts

    def __post_init__(self) -> None:
        if not 0 < self.hop_s <= self.ahead_s <= self.longest_s or 2 * self.longest_s > self.window_s:
            raise ValueError(f"0 < hop_s <= ahead_s <= longest_s <= window_s / 2 must hold, got {self!r}")


@dataclass(frozen=True)
class LiveEvent:
    """An event that has closed."""

    event: Event
    account: Account  # its claims name tracks and relations by numbers that hold within this event alone
    keyframes: tuple[Keyframe, ...]  # with pictures
    told_s: float  # time of the newest frame when it was told
    continues: bool = False  # it was cut off while it went on; what follows is told by itself if it is strong enough
    early: bool = False  # it began within `EARLY_S` of the watch


@dataclass(frozen=True)
class _Final:
    """A sampled moment whose score will not change any more."""

    time_s: float
    score: float
    shares: np.ndarray  # (K,)


class Watch:
    """Watches one unbroken stretch of a stream.

    Args:
        info: the stream, for its name and its size in pixels.
        models: look at sampled frames.
        config: sensitivity, events, keyframes and pictures; a scorer other than the training-free one is not used.
        settings: see there.
        first: number of the first event.
    """

    def __init__(
        self, info: VideoInfo, models: Models, config: Config, settings: LiveSettings | None = None, *, first: int = 1
    ) -> None:
        self.settings = settings or LiveSettings()
        self.number = first  # of the next event
        self.window = Window(info, models, sample_fps=config.video.sample_fps, seconds=self.settings.window_s)
        self._info = info
        self._config = config
        self._scorer = SignalScorer(config.scoring.sensitivity)
        self._segmenter = Segmenter(config.events, MOTION_CHANNELS, rate=config.video.sample_fps)
        self._boundaries: deque[Boundary] = deque()
        self._final: deque[_Final] = deque()
        self._jpegs: deque[tuple[float, bytes]] = deque()
        self._start_s: float | None = None
        self._newest_s = 0.0
        self._due_s = 0.0  # when the next step is taken
        self._told_s = 0.0  # up to which events have been told

    @property
    def delay_s(self) -> float:
        """The longest time from an event's end to the frame with which it is told, if frames come at their rate."""
        events, settings = self._config.events, self.settings
        known_s = max(events.merge_gap_s + settings.ahead_s, self._segmenter.delay_s)
        return known_s + events.snap_s + settings.hop_s

    def push(self, image: UInt8, time_s: float) -> list[LiveEvent]:
        """Takes the next frame (H, W, 3), reduced in size, and returns the events that have closed with it."""
        if self._start_s is None:
            self._start_s = self._told_s = time_s
            self._due_s = time_s + self.settings.hop_s
        if not self.window.push(image, time_s):
            return []
        self._newest_s = time_s
        look = self.window.latest
        self._boundaries.extend(self._segmenter.push(np.array([time_s]), look.embedding[None], look.motion[None]))
        self._jpegs.append((time_s, self._jpeg(image)))
        self._forget()
        if time_s + 1e-6 < self._due_s:
            return []
        self._due_s = time_s + self.settings.hop_s
        return self._step(time_s - self.settings.ahead_s, ended=False)

    def finish(self) -> list[LiveEvent]:
        """Ends the stretch and returns the events that were open, which end with it."""
        if self._start_s is None:
            return []
        self._boundaries.extend(self._segmenter.finish(self._newest_s))
        return self._step(self._newest_s, ended=True)

    def _step(self, until_s: float, *, ended: bool) -> list[LiveEvent]:
        """Scores the window, makes the values up to a time final, and tells what has closed."""
        seen = self.window.observations()
        relations = extract_relations(seen)
        track = self._scorer.score(seen, relations)
        after_s = self._final[-1].time_s if self._final else -1.0
        for time_s, score, shares in zip(
            track.times_s.tolist(), track.scores.tolist(), track.contributions, strict=True
        ):
            if after_s < time_s <= until_s:
                self._final.append(_Final(time_s, score, shares))
        told = []
        for event, continues in self._closed(track.signals, until_s, ended=ended):
            changes = relation_changes(relations, seen)
            info = replace(self._info, duration_s=self._newest_s)
            _, accounts = tell(info, seen, track, self._segments(until_s), [event], relations, changes)
            keyframes = self._keyframes(track, event, changes)
            early = event.start_s - (self._start_s or 0.0) < EARLY_S
            told.append(LiveEvent(event, accounts[1], keyframes, self._newest_s, continues, early))
        return told

    def _closed(self, signals: tuple[str, ...], until_s: float, *, ended: bool) -> list[tuple[Event, bool]]:
        """Returns the events that nothing to come can change, and whether each was cut off while it went on."""
        rows = [item for item in self._final if item.time_s > self._told_s]
        if not rows:
            return []
        scores = _track(rows, signals, self._scorer.name)
        config, found = self._config.events, []
        for event in find_events(scores, self._segments(until_s), config):
            quiet_s = until_s - event.end_s
            continues = not ended and until_s - event.start_s >= self.settings.longest_s
            settled = self._segmenter.certain_s >= event.end_s + config.snap_s
            closed = ended or (settled and quiet_s >= config.merge_gap_s + config.snap_s)
            if not (closed or continues):
                break
            event = replace(event, event_id=f"E{self.number}", start_s=max(event.start_s, self._told_s))
            found.append((event, continues and not closed))
            self.number += 1
            self._told_s = max(event.end_s, self._held_until(event, rows) if closed else until_s)
        return found

    def _held_until(self, event: Event, rows: Sequence[_Final]) -> float:
        """Returns how long the score stays at the event's level, past an end that was moved to an earlier boundary."""
        level, last_s = self._config.events.threshold * self._config.events.hold - 1e-6, event.end_s
        for item in rows:
            if item.time_s > event.end_s:
                if item.score < level:
                    break
                last_s = item.time_s
        return last_s

    def _segments(self, until_s: float) -> Segments:
        """Returns the partition up to a time; what lies before the window is one segment."""
        inside = [item for item in self._boundaries if self._told_s < item.time_s < until_s]
        edges = [0.0, *(item.time_s for item in inside), max(until_s, 1e-3)]
        return Segments(np.array(edges), np.array([0.0, *(item.strength for item in inside), 0.0]))

    def _keyframes(self, track: ScoreTrack, event: Event, changes: Sequence[RelationChange]) -> tuple[Keyframe, ...]:
        chosen = caes(track, (event,), self._config.sampling, changes)
        times = np.array([time_s for time_s, _ in self._jpegs])
        pictured = []
        for keyframe in chosen:
            jpeg = self._jpegs[int(np.abs(times - keyframe.time_s).argmin())][1]
            width, height = Image.open(io.BytesIO(jpeg)).size
            pictured.append(replace(keyframe, jpeg=jpeg, width=width, height=height))
        return tuple(pictured)

    def _forget(self) -> None:
        start_s = self.window.start_s
        while self._jpegs[0][0] < start_s:
            self._jpegs.popleft()
        while self._final and self._final[0].time_s < start_s:
            self._final.popleft()
        while self._boundaries and self._boundaries[0].time_s < start_s:
            self._boundaries.popleft()

    def _jpeg(self, image: UInt8) -> bytes:
        picture = Image.fromarray(image)
        picture.thumbnail((self._config.report.image_side,) * 2)
        return encode(picture, self._config.report.jpeg_quality)


def _track(rows: Sequence[_Final], signals: tuple[str, ...], scorer: str) -> ScoreTrack:
    return ScoreTrack(
        np.array([item.time_s for item in rows]),
        np.array([item.score for item in rows], np.float32),
        scorer,
        np.stack([item.shares for item in rows]),
        signals,
    )
