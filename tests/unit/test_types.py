from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.tracks import clock, falling, observations
from vau import types
from vau.types import (
    Claim,
    Detection,
    Detections,
    Event,
    FrameBatch,
    Observations,
    Relation,
    RelationChange,
    ScoreTrack,
    Segments,
    Track,
    VideoInfo,
)

INFO = VideoInfo("a.mp4", "00", 2.0, 64, 48, 25.0, 50, "h264", "mp4")
BOX = np.array([1, 2, 3, 4], np.float32)
IMAGES = np.zeros((2, 4, 6, 3), np.uint8)


def score_track(scores=(0.1, 0.5), contributions=((0.1, 0.0), (0.2, 0.3)), times=(0.0, 0.25), signals=("a", "b")):
    return ScoreTrack(np.array(times), np.array(scores), "test", np.array(contributions), signals)


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0},
        {"height": -1},
        {"duration_s": -0.1},
        {"duration_s": float("nan")},
        {"duration_s": float("inf")},
        {"nominal_fps": -1.0},
        {"nominal_fps": float("inf")},
    ],
)
def test_video_info_refuses(change):
    with pytest.raises(ValueError, match=r"width|duration"):
        dataclasses.replace(INFO, **change)


@pytest.mark.parametrize(
    ("images", "times", "indices", "words"),
    [
        (IMAGES[0], [0.0], [0], "images must be"),
        (IMAGES[..., :2], [0.0, 1.0], [0, 1], "images must be"),
        (IMAGES.astype(np.float32), [0.0, 1.0], [0, 1], "images must be"),
        (IMAGES, [0.0], [0, 1], "times_s must have 2 rows"),
        (IMAGES, [0.0, 1.0], [0, 1, 2], "indices must have 2 rows"),
        (IMAGES, [0.0, 0.0], [0, 1], "strictly increasing"),
        (IMAGES, [1.0, 0.5], [0, 1], "strictly increasing"),
        (IMAGES, [0.0, float("nan")], [0, 1], "NaN"),
        (IMAGES, [[0.0, 1.0]], [0, 1], "dimensions"),
    ],
)
def test_frame_batch_refuses(images, times, indices, words):
    with pytest.raises(ValueError, match=words):
        FrameBatch(images, np.array(times), np.array(indices))


@pytest.mark.parametrize(
    "box", [[3, 2, 1, 4], [1, 4, 3, 2], [1, 1, 1, 2], [1, 2, 3], [1, 2, np.nan, 4], [1, 2, np.inf, 4]]
)
def test_detection_refuses_boxes(box):
    with pytest.raises(ValueError, match="box"):
        Detection("person", 0.5, np.array(box, np.float32), "m")


@pytest.mark.parametrize("confidence", [-0.01, 1.01, float("nan"), float("inf")])
def test_confidence_lies_in_the_unit_interval(confidence):
    makers = (
        lambda: Detection("person", confidence, BOX, "m"),
        lambda: dataclasses.replace(falling(1), confidence=confidence),
        lambda: Relation("R1", 1, "fell", None, 0.0, 1.0, confidence),
        lambda: RelationChange("C1", "R1", "begins", 0.0, confidence),
        lambda: Claim("x", "what", (), (), confidence),
        lambda: Event("E1", 0.0, 1.0, 0.5, confidence),
    )
    for make in makers:
        with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
            make()


@pytest.mark.parametrize(
    "change",
    [
        {
            "times_s": np.zeros(0),
            "boxes": np.zeros((0, 4)),
            "detected": np.zeros(0, bool),
            "flow": np.zeros((0, 4)),
            "keypoints": None,
        },
        {"boxes": np.zeros((3, 4))},
        {"detected": np.ones(2, bool)},
        {"flow": np.zeros((5, 4))},
        {"keypoints": np.zeros((1, 17, 3))},
        {"keypoints": np.zeros((17, 3))},
        {"boxes": np.full((33, 4), np.nan)},
    ],
)
def test_track_refuses(change):
    with pytest.raises(ValueError, match=r"rows|row|dimensions|NaN"):
        dataclasses.replace(falling(1), **change)


@pytest.mark.parametrize(
    "change", [{"boxes": np.zeros((33, 3))}, {"flow": np.zeros((33, 2))}, {"keypoints": np.zeros((33, 5, 2))}]
)
def test_track_refuses_wrong_columns(change):
    with pytest.raises(ValueError, match=r"\w"):
        dataclasses.replace(falling(1), **change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"embeddings": np.zeros((2, 8))}, "embeddings"),
        ({"motion": np.zeros((2, 4))}, "motion"),
        ({"motion_channels": ("speed",)}, "channel names"),
        ({"detections": Detections.of([])}, "detections"),
        ({"times_s": np.zeros(5)}, "strictly increasing"),
        ({"motion": np.full((5, len(observations().motion_channels)), np.nan)}, "NaN"),
        ({"embeddings": np.full((5, 8), np.inf)}, "NaN"),
    ],
)
def test_observations_refuse(change, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(observations(times=clock(1.0)), **change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scores": (0.1, 1.2), "contributions": ((0.1, 0.0), (0.6, 0.6))}, r"\[0, 1\]"),
        ({"scores": (-0.1, 0.5)}, r"\[0, 1\]"),
        ({"scores": (0.1, float("nan"))}, "NaN"),
        ({"contributions": ((0.1, 0.0), (0.2, 0.2))}, "sum"),
        ({"contributions": ((0.2, -0.1), (0.2, 0.3))}, "non-negative"),
        ({"contributions": ((0.1, 0.0),)}, "rows"),
        ({"signals": ("a",)}, "signal names"),
        ({"times": (0.0, 0.0)}, "strictly increasing"),
    ],
)
def test_score_track_refuses(change, words):
    assert len(score_track()) == 2
    with pytest.raises(ValueError, match=words):
        score_track(**change)


@pytest.mark.parametrize(
    ("edges", "strengths"), [([0.0], [0.0]), ([0.0, 0.0], [0, 0]), ([0.0, 1.0], [0.0]), ([0, 1, np.nan], [0, 0, 0])]
)
def test_segments_refuse(edges, strengths):
    with pytest.raises(ValueError, match=r"\w"):
        Segments(np.array(edges), np.array(strengths))


def test_segments_count_the_parts_between_edges():
    assert len(Segments(np.array([0.0, 1.0, 5.0]), np.zeros(3))) == 2


@pytest.mark.parametrize(
    ("start", "end", "peak"),
    [(1, 0, 0.5), (0, 1, 2), (0, 1, float("nan")), (float("nan"), 1, 0.5), (0, float("inf"), 1)],
)
def test_event_refuses_times(start, end, peak):
    with pytest.raises(ValueError, match=r"start_s|peak_s"):
        Event("E1", start, end, peak, 0.5)


def test_relation_refuses_a_span_that_runs_backwards():
    with pytest.raises(ValueError, match="start_s <= end_s"):
        Relation("R1", 1, "fell", None, 2.0, 1.0, 0.5)


def test_arrays_are_own_read_only_copies():
    times, boxes = clock(1.0), np.tile(BOX, (5, 1))
    item = Track(1, "person", 0.5, times, boxes, np.ones(5, bool), np.zeros((5, 4)))
    boxes[0, 0] = -9.0
    assert item.boxes[0, 0] == 1.0
    seen = observations([item])
    arrays = (item.times_s, item.boxes, item.detected, item.flow, seen.times_s, seen.motion, seen.embeddings)
    for array in (*arrays, score_track().scores, score_track().contributions, Detection("person", 0.5, BOX, "m").box):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_reprs_show_shapes_and_stay_short():
    long = falling(1, seconds=600.0)
    shown = repr(long)
    assert "float32[2401, 4]" in shown
    seen = observations([long] * 9)
    for item in (
        long,
        seen,
        score_track(),
        Segments(np.arange(99.0), np.zeros(99)),
        FrameBatch(IMAGES, np.arange(2.0), np.arange(2)),
    ):
        assert len(repr(item)) < 1500, type(item)
    assert "<9 items>" in repr(seen)
    key = types.Keyframe("K1", 1.0, "pre", "E1", jpeg=b"x" * 100_000)
    assert "<100000 bytes>" in repr(key) and len(repr(key)) < 300


def test_values_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        INFO.width = 3  # type: ignore[misc]


def test_observations_give_channels_by_name():
    seen = observations(times=clock(1.0), luminance=np.arange(5) / 10)
    assert seen.channel("luminance") == pytest.approx(np.arange(5) / 10)
    assert isinstance(seen, Observations)
    with pytest.raises(ValueError, match="not in"):
        seen.channel("no such thing")


def test_track_says_when_it_is_there_and_what_it_is_called():
    item = falling(7, seconds=2.0, start_s=3.0)
    assert (item.start_s, item.end_s, item.name) == (3.0, 5.0, "person 7")


def test_account_gives_its_sentences_by_role():
    claims = (
        Claim("A fall.", "title", (), (), 1.0),
        Claim("One.", "why", (), (), 1.0),
        Claim("Two.", "why", (), (), 1.0),
    )
    account = types.Account(None, claims, 1, 0.5)
    assert account.title == "A fall."
    assert account.role("why") == "One. Two."
    assert account.role("effect") == ""


def test_detections_are_found_again_by_frame():
    car = Detection("car", 0.75, np.array([1, 2, 3, 4], np.float32), "test")
    bus = Detection("bus", 0.5, np.array([5, 6, 7, 8], np.float32), "test")
    found = Detections.of([[], [car, bus], [], [bus]])
    assert found.counts.tolist() == [0, 2, 0, 1]
    assert [(label, confidence) for label, confidence, _ in found.at(1)] == [("car", 0.75), ("bus", 0.5)]
    assert found.at(3)[0][2].tolist() == [5, 6, 7, 8] and found.at(0) == []


@pytest.mark.parametrize(
    "change",
    [
        {"starts": np.array([0, 1])},
        {"starts": np.array([1, 2])},
        {"starts": np.array([0, 3, 2])},
        {"starts": np.array([], np.int64)},
        {"label_ids": np.array([0, 1])},
        {"label_ids": np.array([0, -1])},
        {"confidences": np.ones(3)},
        {"boxes": np.full((2, 4), np.nan)},
    ],
)
def test_detections_refuse(change):
    item = Detection("car", 0.75, np.array([1, 2, 3, 4], np.float32), "test")
    with pytest.raises(ValueError, match=r"\w"):
        dataclasses.replace(Detections.of([[item, item]]), **change)
