"""The prefetching thread: order, bound, errors, early end."""

from __future__ import annotations

import threading
import time

import pytest

from vau.video import prefetch


def test_keeps_the_order():
    assert list(prefetch(range(100), 3)) == list(range(100))


def test_runs_at_most_depth_items_ahead():
    made = []

    def source():
        for item in range(50):
            made.append(item)
            yield item

    items = prefetch(source(), 2)
    assert next(items) == 0
    time.sleep(0.1)
    assert len(made) <= 1 + 2 + 1  # taken, waiting, in hand
    items.close()


def test_raises_the_error_at_its_place():
    def source():
        yield 1
        raise KeyError("broken")

    items = prefetch(source())
    assert next(items) == 1
    with pytest.raises(KeyError, match="broken"):
        next(items)
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_closing_early_closes_the_source_and_ends_the_thread():
    closed = threading.Event()

    def source():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    items = prefetch(source(), 1)
    next(items)
    items.close()
    assert closed.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_an_error_on_closing_the_source_does_not_hang():
    def source():
        try:
            yield 1
            yield 2
            yield 3
        finally:
            raise RuntimeError("on closing")

    items = prefetch(source(), 1)
    next(items)
    items.close()


def test_nothing_starts_before_the_first_item_is_asked_for():
    before = threading.active_count()
    prefetch(range(3)).close()
    assert threading.active_count() == before


def test_depth_must_be_positive():
    with pytest.raises(ValueError, match="depth"):
        prefetch(range(3), 0)
