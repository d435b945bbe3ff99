from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vau.perception.fusion import KNOWN_LABELS, attention, covered, fuse, group, moving_blobs, plausible
from vau.perception.models import box_iou
from vau.perception.motion import FlowField
from vau.types import Detection

FRAME = (640, 480)


def seen(box, label="person", confidence=0.6, source="ssd", keypoints=None) -> Detection:
    return Detection(label, confidence, np.array(box, np.float32), source, keypoints)


def flow(size: tuple[int, int] = (320, 240), *patches: tuple[int, int, int, int], speed: float = 0.5) -> FlowField:
    """Returns a still flow field whose patches (x0, y0, x1, y1) move to the right."""
    velocity = np.zeros((size[1], size[0], 2), np.float32)
    for x0, y0, x1, y1 in patches:
        velocity[y0:y1, x0:x1, 0] = speed
    return FlowField(velocity, (0.0, 0.0))


def test_coverage_and_box_iou():
    a, b = np.float32([0, 0, 10, 10]), np.float32([5, 0, 15, 10])
    assert box_iou(a, a) == 1 and box_iou(a, b) == pytest.approx(1 / 3)
    assert box_iou(a, np.float32([10, 0, 20, 10])) == 0
    assert covered(np.float32([2, 2, 4, 4]), a) == 1 and covered(a, b) == 0.5
    assert covered(a, np.float32([20, 20, 30, 30])) == 0


def test_sightings_of_one_person_become_one():
    fused = fuse([seen((100, 100, 140, 200)), seen((102, 98, 141, 203), source="pose", confidence=0.5)])
    assert len(fused) == 1
    assert fused[0].confidence == pytest.approx(1 - 0.4 * 0.5)
    assert fused[0].source == "pose+ssd"
    assert fused[0].box.tolist() == [100, 100, 140, 200]


def test_one_model_that_looks_twice_is_no_surer():
    (fused,) = fuse([seen((100, 100, 140, 200)), seen((102, 98, 141, 203), confidence=0.5)])
    assert (fused.confidence, fused.source) == (0.6, "ssd")


def test_two_models_that_look_twice_are_no_surer_than_once():
    box = (100, 100, 140, 200)
    twice = [
        seen(box),
        seen(box, source="pose", confidence=0.5),
        seen(box, confidence=0.45),
        seen(box, source="pose", confidence=0.4),
    ]
    (fused,) = fuse(twice)
    assert fused.confidence == pytest.approx(fuse(twice[:2])[0].confidence)


def test_the_pose_of_either_sighting_is_kept():
    points = np.full((17, 3), 0.5, np.float32)
    posed = seen((102, 98, 141, 203), source="pose", confidence=0.5, keypoints=points)
    (fused,) = fuse([seen((100, 100, 140, 200)), posed])
    assert fused.keypoints is not None and (fused.keypoints == points).all()


def test_neighbours_and_other_families_stay_apart():
    person, beside = seen((100, 100, 140, 200)), seen((150, 100, 190, 200))
    horse, car = seen((100, 100, 140, 200), "horse"), seen((100, 100, 140, 200), "car")
    assert len(fuse([person, beside, horse, car])) == 4
    truck = seen((101, 100, 141, 200), "truck", 0.5)
    (vehicle,) = fuse([car, truck])
    assert vehicle.label == "car"


def test_a_part_of_a_body_belongs_to_the_whole():
    whole, head = seen((100, 100, 160, 250), confidence=0.7), seen((110, 100, 150, 160), confidence=0.4)
    assert len(fuse([whole, head])) == 1


def test_the_surest_comes_first():
    first = seen((300, 100, 340, 200), confidence=0.7)
    second = [seen((100, 100, 140, 200)), seen((100, 100, 140, 200), source="pose")]
    confidences = [item.confidence for item in fuse([first, *second])]
    assert confidences == sorted(confidences, reverse=True)


def test_a_group_is_dropped_for_its_people():
    people = [seen((100 + 50 * n, 120, 140 + 50 * n, 220)) for n in range(4)]
    fused = fuse([seen((95, 100, 300, 230), confidence=0.9), *people])
    assert len(fused) == 4 and max(item.box[2] - item.box[0] for item in fused) == 40


def test_two_within_one_are_no_group():
    people = [seen((100 + 50 * n, 120, 140 + 50 * n, 220)) for n in range(2)]
    assert len(fuse([seen((95, 100, 300, 230), confidence=0.9), *people])) >= 1


def test_one_person_seen_by_several_models_is_no_group():
    adult = seen((100, 100, 180, 300), confidence=0.9)
    child = [seen((120, 200, 160, 300), source=source, confidence=0.5) for source in ("ssd", "pose", "ssd")]
    assert any(item.box.tolist() == [100, 100, 180, 300] for item in fuse([adult, *child]))


def test_fusing_nothing_gives_nothing():
    assert fuse([]) == []


@given(
    st.lists(
        st.tuples(
            st.integers(0, 500), st.integers(0, 400), st.integers(5, 100), st.integers(5, 80),
            st.sampled_from(sorted(KNOWN_LABELS)), st.floats(0.05, 1), st.sampled_from(["ssd", "pose"]),
        ),
        max_size=12,
    )
)  # fmt: skip
def test_fusion_invents_nothing(items):
    given_ = [seen((x, y, x + w, y + h), label, confidence, source) for x, y, w, h, label, confidence, source in items]
    fused = fuse(given_)
    assert len(fused) <= len(given_)
    boxes = {tuple(item.box.tolist()) for item in given_}
    for item in fused:
        assert tuple(item.box.tolist()) in boxes
        assert 0 <= item.confidence <= 1
    assert {group(item.label) for item in fused} <= {group(item.label) for item in given_}


def test_fusion_is_deterministic():
    items = [
        seen((100, 100, 140, 200)),
        seen((110, 100, 150, 200)),
        seen((120, 100, 160, 200)),
        seen((105, 90, 150, 210), source="pose"),
    ]
    assert [repr(item) for item in fuse(items)] == [repr(item) for item in fuse(items)]


@pytest.mark.parametrize(
    ("item", "believed"),
    [
        (seen((100, 100, 140, 200)), True),
        (seen((0, 200, 600, 260)), False),
        (seen((0, 0, 640, 480), "car"), False),
        (seen((50, 50, 400, 400), "car"), True),
        (seen((0, 100, 600, 300), "bus"), True),
        (seen((100, 100, 140, 160), "suitcase", 0.8), True),
        (seen((100, 100, 140, 160), "suitcase", 0.32), False),
        (seen((50, 50, 400, 400), "backpack", 0.9), False),
        (seen((100, 100, 140, 160), "kite", 0.99), False),
        (seen((100, 100, 140, 160), "skateboard", 0.99), False),
    ],
)
def test_what_is_believed(item, believed):
    assert plausible(item, FRAME) == believed


def test_families():
    assert group("car") == group("truck") == group("bicycle")
    assert group("backpack") == group("suitcase") != group("car")
    assert group("dog") == group("cow") != group("person")
    assert group("person") == "person" and group("moving object") == "moving object"


def test_blobs_stand_for_motion_that_nothing_explains():
    (blob,) = moving_blobs(flow((320, 240), (100, 60, 150, 110)), [], 0.5)
    assert blob.label == "moving object"
    assert blob.box == pytest.approx([200, 120, 300, 220], abs=12)


def test_explained_slow_tiny_and_global_motion_gives_no_blob():
    moving = flow((320, 240), (100, 60, 150, 110))
    assert not moving_blobs(moving, [seen((190, 110, 310, 230))], 0.5)
    assert not moving_blobs(moving, [seen((220, 140, 280, 200))], 0.5)
    assert moving_blobs(moving, [seen((400, 300, 500, 400))], 0.5)
    assert not moving_blobs(flow((320, 240), (100, 60, 150, 110), speed=0.02), [], 0.5)
    assert not moving_blobs(flow((320, 240), (100, 60, 103, 63)), [], 0.5)
    assert not moving_blobs(flow((320, 240), (0, 0, 320, 240)), [], 0.5)
    assert not moving_blobs(flow(), [], 0.5)


def test_attention_goes_where_motion_is():
    square = attention(flow((320, 240), (250, 180, 280, 220)), FRAME)
    assert square is not None
    assert square[0] <= 500 and square[2] >= 560 and square[1] <= 360 and square[3] >= 440
    assert square[2] - square[0] == pytest.approx(square[3] - square[1])
    assert attention(flow(), FRAME) is None


@settings(deadline=None, max_examples=60)
@given(st.integers(64, 1280), st.integers(64, 1280), st.floats(0, 0.9), st.floats(0, 0.9), st.floats(0.2, 0.9))
def test_attention_stays_inside_the_frame(width, height, x, y, share):
    scale = 320 / max(width, height)
    size = (round(width * scale), round(height * scale))
    patch = (
        int(x * size[0]),
        int(y * size[1]),
        int(x * size[0]) + max(4, size[0] // 10),
        int(y * size[1]) + max(4, size[1] // 10),
    )
    square = attention(flow(size, patch), (width, height), share)
    if square is not None:
        x0, y0, x1, y1 = square
        assert -1e-3 <= x0 < x1 <= width + 1e-2
        assert -1e-3 <= y0 < y1 <= height + 1e-2


def test_attention_stays_inside_a_thin_frame():
    square = attention(flow((320, 7), (100, 0, 140, 7)), (640, 14))
    assert square is not None and square[1] >= 0 and square[3] <= 14
