"""Runs an iterator in a thread of its own, so that decoding overlaps with what is done with the frames.

Knows nothing of video: it hands items through a bounded queue and shuts down cleanly whichever side ends first.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class _End:
    """Last item of the queue: the iterable is exhausted, or failed with `error`."""

    error: BaseException | None = None


def prefetch(iterable: Iterable[T], depth: int = 2) -> Iterator[T]:
    """Yields the items of an iterable that is consumed by a thread at most `depth` items ahead.

    The thread starts with the first `next` and has ended when this generator has: by exhaustion, by an exception of
    the iterable (raised here, at its place in the order) or by `close`. A generator given as iterable is closed, in
    the thread.

    Raises:
        ValueError: `depth` is not positive.
    """
    if depth < 1:
        raise ValueError(f"depth must be positive, got {depth}")
    return _prefetched(iterable, depth)


def _prefetched(iterable: Iterable[T], depth: int) -> Iterator[T]:
    items: queue.Queue[T | _End] = queue.Queue(depth)
    stop = threading.Event()
    thread = threading.Thread(target=_produce, args=(iterable, items, stop), name="prefetch", daemon=True)
    thread.start()
    try:
        while not isinstance(item := items.get(), _End):
            yield item
            del item  # not held while waiting for the next
        if item.error is not None:
            raise item.error
    finally:
        stop.set()
        while thread.is_alive():  # make room for a producer that waits to put
            _drain(items)
            thread.join(0.02)


def _produce(iterable: Iterable[T], items: queue.Queue[T | _End], stop: threading.Event) -> None:
    end = _End()
    try:
        with ExitStack() as cleanup:
            iterator = iter(iterable)
            cleanup.callback(getattr(iterator, "close", lambda: None))
            for item in iterator:
                items.put(item)
                del item
                if stop.is_set():
                    break
    except BaseException as error:  # noqa: BLE001  # handed over and raised in the consumer's thread
        end = _End(error)
    items.put(end)


def _drain(items: queue.Queue[T | _End]) -> None:
    try:
        while True:
            items.get_nowait()
    except queue.Empty:
        return
