"""Arrays that grow in place, and the sightings that are made of them."""

import errno
import io

import numpy as np
import pytest

from vau.perception import columns
from vau.perception.columns import Column, Spool
from vau.perception.sightings import Sightings, joined
from vau.types import Detection


def seen(times, posed=()):
    found = Sightings()
    for time_s in times:
        pose = np.full((17, 3), time_s, np.float32) if time_s in posed else None
        box = np.array([time_s, 0, time_s + 1, 1], np.float32)
        found.append(time_s, Detection("person", 0.5, box, "test", pose), np.full(4, time_s, np.float32))
    return found


def test_a_column_holds_what_was_added():
    column, rows = Column(np.float32, 3), np.arange(3000, dtype=np.float32).reshape(-1, 3)
    for row in rows[:500]:
        column.append(row)
    column.extend(rows[500:])
    assert len(column) == 1000 and (column.rows == rows).all()


def test_what_is_taken_is_the_takers_alone():
    column = Column(np.int64)
    for value in range(100):
        column.append(value)
    taken = column.take()
    column.append(-1)
    assert taken.tolist() == list(range(100)) and not taken.flags.writeable and taken.base is None
    assert column.rows.tolist() == [-1]


def test_an_empty_column_keeps_its_shape():
    assert Column(np.float32, 17, 3).take().shape == (0, 17, 3)


def test_joined_sightings_keep_their_order_and_poses():
    whole = joined([seen([1, 2, 3], posed=[2]), seen([5, 6], posed=[5, 6])])
    assert whole.times_s.tolist() == [1, 2, 3, 5, 6] and whole.boxes[:, 0].tolist() == [1, 2, 3, 5, 6]
    assert whole.posed.tolist() == [False, True, False, True, True]
    assert whole.poses[:, 0, 0].tolist() == [2, 5, 6] and whole.labels == ["person"] * 5


def test_joining_leaves_the_parts_alone():
    first, second = seen([1, 2]), seen([3])
    joined([first, second])
    assert len(first) == 2 and len(second) == 1


@pytest.mark.parametrize("room", [True, False])
def test_a_spool_gives_back_all_rows_in_order_whether_or_not_there_is_room_for_its_file(room, monkeypatch):
    def no_room(**_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(columns, "_IN_MEMORY", 1000)
    if not room:
        monkeypatch.setattr(columns, "TemporaryFile", no_room)
    spool, rows = Spool(np.float32, 7), np.arange(7 * 333, dtype=np.float32).reshape(-1, 7)
    for row in rows:
        spool.append(row)
    taken = spool.take()
    assert (taken == rows).all() and not taken.flags.writeable and taken.base is None


def test_a_spool_whose_disk_fills_up_half_way_loses_nothing(monkeypatch):
    class Filling(io.BytesIO):
        def write(self, data):
            if self.tell() > 3000:
                super().write(bytes(data)[:100])
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    monkeypatch.setattr(columns, "_IN_MEMORY", 1000)
    monkeypatch.setattr(columns, "TemporaryFile", lambda **_: Filling())
    spool, rows = Spool(np.float32, 5), np.random.default_rng(0).random((500, 5), np.float32)
    for row in rows:
        spool.append(row)
    assert (spool.take() == rows).all()


def test_a_short_spool_and_an_empty_one_need_no_file(monkeypatch):
    monkeypatch.setattr(columns, "TemporaryFile", None)
    spool = Spool(np.float32, 2)
    spool.append([1, 2])
    assert spool.take().tolist() == [[1, 2]] and Spool(np.float32, 2).take().shape == (0, 2)
