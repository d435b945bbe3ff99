"""Arrays that grow in place, and the sightings that are made of them."""

import numpy as np

from vau.perception.columns import Column
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
