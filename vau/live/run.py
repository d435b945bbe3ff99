"""A stream from its beginning to its end: each unbroken stretch has its own watch, and all is told in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vau.config import Config
from vau.live.stream import Begun, Frame, Gap, Lost, Stream
from vau.live.watch import LiveEvent, LiveSettings, Watch
from vau.perception.observe import Models

Told = LiveEvent | Begun | Lost | Gap


@dataclass
class Tally:
    """What a run came to so far, in seconds of the stream."""

    frames: int = 0  # between which motion was measured
    watched_s: float = 0.0
    missing_s: float = 0.0  # in gaps
    gaps: int = 0
    events: int = 0


class Run:
    """Watches a stream; iterate over it for what is to be told, as it happens.

    Events that are open when the stream breaks off or ends, or when `Stream.close` is called, end there and are told.

    Args:
        stream: see there.
        models: look at sampled frames.
        config: all settings; the scorer is the training-free one.
        settings: how far to look back and ahead.
    """

    def __init__(self, stream: Stream, models: Models, config: Config, settings: LiveSettings | None = None) -> None:
        self.tally = Tally()
        self._stream = stream
        self._models = models
        self._config = config
        self._settings = settings
        self._watch: Watch | None = None
        self._from_s: float | None = None  # where the stretch began
        self._newest_s = 0.0

    def __iter__(self) -> Iterator[Told]:
        """Yields what is to be told.

        Raises:
            VauError: the stream cannot be used, or a stage failed.
        """
        for item in self._stream:
            if isinstance(item, Frame):
                yield from self._look(item)
                continue
            yield from self._end()
            if isinstance(item, Begun):
                first = self.tally.events + 1
                self._watch = Watch(item.info, self._models, self._config, self._settings, first=first)
            elif isinstance(item, Gap):
                self.tally.gaps += 1
                self.tally.missing_s += item.end_s - item.start_s
            yield item
        yield from self._end()

    def _look(self, frame: Frame) -> list[LiveEvent]:
        assert self._watch is not None  # a stretch begins before its frames
        self._from_s = frame.time_s if self._from_s is None else self._from_s
        self._newest_s = frame.time_s
        self.tally.frames += 1
        events = self._watch.push(frame.image, frame.time_s)
        self.tally.events += len(events)
        return events

    def _end(self) -> list[LiveEvent]:
        """Ends the stretch and returns the events that were open."""
        if self._watch is None or self._from_s is None:
            return []
        events = self._watch.finish()
        self.tally.events += len(events)
        self.tally.watched_s += self._newest_s - self._from_s
        self._watch, self._from_s = None, None
        return events
