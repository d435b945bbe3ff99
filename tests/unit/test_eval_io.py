"""Score files and their way onto a protocol's grid: names, strides, frames, times; and all that is refused."""

from __future__ import annotations

import json
import os
import pickle
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vau.errors import InputError
from vau.eval.align import align, on_grid
from vau.eval.protocols import Expected, find_dataset
from vau.eval.scorefile import VideoScores, read_scores
from vau.eval.truth import Truth, VideoTruth


def truth_video(frames: int, size: int | None = None, video: str = "a") -> VideoTruth:
    labels = np.zeros(size or frames, bool)
    labels[: len(labels) // 2] = True
    return VideoTruth(video, "Fire", labels, frames)


def truth_of(*videos: VideoTruth, expected: int | None = None) -> Truth:
    dataset = find_dataset("msad")
    protocol = replace(dataset.protocols[0], expected=Expected(expected or len(videos)))
    return Truth(dataset, protocol, videos, (), "annotation", "lengths")


def lines(path: Path, *entries: object) -> Path:
    path.write_text("\n".join(json.dumps(entry) for entry in entries) + "\n")
    return path


def per_frame(video: str, scores: list[float]) -> VideoScores:
    return VideoScores(video, np.array(scores, float), "per-frame")


def test_jsonl_and_both_forms_of_npz_say_the_same(tmp_path):
    values = {"x/a.mp4": [0.1, 0.2, 0.3], "b": [0.4, 0.5]}
    path = lines(tmp_path / "s.jsonl", *({"video": name, "scores": given} for name, given in values.items()))
    np.savez(tmp_path / "one.npz", **{name: np.array(given) for name, given in values.items()})
    flat = np.concatenate([np.array(given) for given in values.values()])
    np.savez(tmp_path / "two.npz", names=list(values), lengths=[3, 2], scores=flat)
    for file in (path, tmp_path / "one.npz", tmp_path / "two.npz"):
        read = {video.video: video.scores.tolist() for video in read_scores(file)}
        assert read == values
        truth = truth_of(truth_video(3), truth_video(2, video="b"))
        assert [video.video for video in align(truth, read_scores(file)).videos] == ["a", "b"]


def test_flat_npz_carries_strides_and_times(tmp_path):
    np.savez(tmp_path / "s.npz", names=["a"], lengths=[3], scores=[1.0, 2.0, 3.0], stride=16)
    assert read_scores(tmp_path / "s.npz")[0].stride == 16
    np.savez(tmp_path / "t.npz", names=["a"], lengths=[3], scores=[1, 2, 3], times_s=[0, 0.5, 1], fps=25.0)
    (video,) = read_scores(tmp_path / "t.npz")
    assert (video.kind, video.fps) == ("times_s", 25)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"video": "a", "scores": [0.1, float("nan")]}, "1 of 2 scores are NaN"),
        ({"video": "a", "scores": [float("inf")]}, "NaN or infinite"),
        ({"video": "a", "scores": [0.1, None]}, "list of numbers"),
        ({"video": "a", "scores": [0.1, True]}, "list of numbers, got True"),
        ({"video": "a", "scores": [0.1, "x"]}, "list of numbers, got 'x'"),
        ({"video": "a", "scores": [10**400]}, "too large"),
        ({"video": "a", "scores": []}, "no scores"),
        ({"video": "a"}, "list of numbers, got None"),
        ({"scores": [1]}, "video must be a name"),
        ({"video": "a" * 1000, "scores": [1]}, "video must be a name"),
        ([1, 2], "expected an object"),
        ({"video": "a", "scores": [1, 2], "times_s": [0, 1], "stride": 2}, "times_s and stride: give one"),
        ({"video": "a", "scores": [1, 2], "times_s": [1, 0.5]}, "rise strictly"),
        ({"video": "a", "scores": [1, 2], "frames": [0, 1.5]}, "whole numbers"),
        ({"video": "a", "scores": [1, 2], "frames": [-1, 1]}, "rise strictly from 0"),
        ({"video": "a", "scores": [1, 2], "frames": [1]}, "2 scores for 1 frames"),
        ({"video": "a", "scores": [1, 2], "stride": 0}, "at least 1"),
        ({"video": "a", "scores": [1, 2], "fps": "25"}, "fps must be"),
    ],
)
def test_a_malformed_record_is_refused_with_its_line(tmp_path, entry, message):
    with pytest.raises(InputError, match=message):
        read_scores(lines(tmp_path / "s.jsonl", entry))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("s.jsonl", b"", "no video"),
        ("s.jsonl", b"{", "line 1: not a JSON object"),
        ("s.jsonl", b"\xff\xfe\x00", "not a JSON object"),
        ("s.jsonl", b"[" * 200_000, "not a JSON object"),
        ("s.csv", b"", "not .csv"),
        ("s", b"", "without a suffix"),
        ("s.npz", b"", "not an npz"),
        ("s.npz", pickle.dumps([1]), "not an npz"),
    ],
)
def test_a_hostile_file_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_scores(tmp_path / name)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"names": ["a"], "scores": [1.0]}, "names without lengths"),
        ({"names": ["a", "b"], "lengths": [2], "scores": [1.0, 2]}, "2 names, 1 lengths"),
        ({"names": ["a"], "lengths": [3], "scores": [1.0, 2]}, "2 scores, lengths add up to 3"),
        ({"names": ["a"], "lengths": [2], "scores": [1.0, 2], "stride": [1, 2]}, "one number for all"),
        ({"a": np.zeros((2, 2))}, "must be a list of numbers"),
        ({"a": ["x"]}, "must be a list of numbers"),
    ],
)
def test_a_malformed_npz_is_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "s.npz", **{name: np.asarray(value) for name, value in arrays.items()})
    with pytest.raises(InputError, match=message):
        read_scores(tmp_path / "s.npz")


def test_a_folder_or_pipe_is_not_called_missing(tmp_path):
    (tmp_path / "folder.jsonl").mkdir()
    os.mkfifo(tmp_path / "pipe.npz")
    for name, what in (
        ("folder.jsonl", "a folder, not a file"),
        ("pipe.npz", "a pipe or device"),
        ("none.npz", "no such file"),
        ("x" * 999, "too long"),
    ):
        with pytest.raises(InputError, match=what):
            read_scores(tmp_path / name)


def test_a_bomb_is_refused_unopened(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w") as file,
    ):
        for _ in range(513):
            file.write(bytes(1 << 20))
    start = time.process_time()
    with pytest.raises(InputError, match=r"unpacks to 513 MiB; the limit is 512"):
        read_scores(tmp_path / "bomb.npz")
    assert time.process_time() - start < 0.5


def test_mixed_grids_are_refused_and_counted(tmp_path):
    path = lines(
        tmp_path / "s.jsonl",
        {"video": "a", "scores": [1], "stride": 16},
        {"video": "b", "scores": [1], "stride": 16},
        {"video": "c", "scores": [1], "stride": 8},
    )
    with pytest.raises(InputError, match="2 stride 16, 1 stride 8"):
        read_scores(path)


def test_names_that_become_one_are_refused():
    with pytest.raises(InputError, match="1 videos occur more than once"):
        align(truth_of(truth_video(2)), [per_frame("a", [1, 2]), per_frame("x/a.mp4", [1, 2])])


def test_unknown_and_missing_videos_are_counted():
    truth = truth_of(truth_video(2), truth_video(2, video="b"))
    both = [per_frame("a", [1, 2]), per_frame("b", [1, 2])]
    with pytest.raises(InputError, match=r"1 videos \(c\) not in MSAD"):
        align(truth, [*both, per_frame("c", [1, 2])])
    with pytest.raises(InputError, match=r"1 of 2 videos have scores; 1 videos \(b\) missing.*--partial"):
        align(truth, both[:1])
    aligned = align(truth, both[:1], allow_partial=True)
    assert (len(aligned.videos), aligned.expected) == (1, 2)


def test_an_annotation_of_fewer_videos_is_partial_too():
    truth = truth_of(truth_video(2), expected=240)
    with pytest.raises(InputError, match=r"1 videos, MSAD .* has 240"):
        align(truth, [per_frame("a", [1, 2])])
    assert align(truth, [per_frame("a", [1, 2])], allow_partial=True).expected == 240
    with pytest.raises(InputError, match=r"2 videos, MSAD .* has 1"):
        align(truth_of(truth_video(2), truth_video(2, video="b"), expected=1), [], allow_partial=True)


def test_wrong_lengths_are_counted():
    truth = truth_of(truth_video(20, 16), truth_video(20, video="b"))
    with pytest.raises(InputError, match=r"wrong length in 1 of 2 videos: b \(19 scores, 20 frames\)"):
        align(truth, [per_frame("a", [1.0] * 16), per_frame("b", [1.0] * 19)])


def test_a_score_a_frame_fits_the_video_or_the_grid():
    for size in (16, 20, 32):
        video = truth_video(20, size)
        for given_size in {20, size}:
            found = on_grid(per_frame("a", list(range(given_size))), video, "hold")
            assert found.tolist() == [min(index, given_size - 1) for index in range(size)]


def test_strides_hold_or_join_up():
    video, scores = truth_video(7), VideoScores("a", np.array([0.0, 1.0]), "stride", stride=4)
    assert on_grid(scores, video, "hold").tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert np.allclose(on_grid(scores, video, "linear"), [0, 0, 0.125, 0.375, 0.625, 0.875, 1])


@given(st.integers(1, 64), st.integers(1, 2000), st.booleans())
def test_any_stride_covers_the_grid_whether_the_tail_is_dropped_or_not(stride, frames, dropped):
    count = max(1, frames // stride if dropped else -(-frames // stride))
    scores = VideoScores("a", np.arange(count, dtype=float), "stride", stride=stride)
    found = align(truth_of(truth_video(frames)), [scores]).videos[0].scores
    assert found.tolist() == [min(index // stride, count - 1) for index in range(frames)]


def test_a_stride_of_the_wrong_length_is_refused():
    scores = VideoScores("a", np.zeros(3), "stride", stride=16)
    with pytest.raises(InputError, match="3 scores of 16 frames"):
        align(truth_of(truth_video(80)), [scores])


def test_frames_hold_until_the_next():
    scores = VideoScores("a", np.array([5.0, 7.0, 9.0]), "frames", np.array([1.0, 3.0, 5.0]))
    assert on_grid(scores, truth_video(8), "hold").tolist() == [5, 5, 5, 7, 7, 9, 9, 9]
    assert on_grid(scores, truth_video(8), "linear").tolist() == [5, 5, 6, 7, 8, 9, 9, 9]


@given(st.integers(2, 400), st.sampled_from([10.0, 23.976, 25.0, 29.97, 30.0, 60.0]))
def test_times_of_frames_give_each_frame_its_own_score(frames, fps):
    scores = VideoScores("a", np.arange(frames, dtype=float), "times_s", np.arange(frames) / fps, fps=fps)
    for rule in ("hold", "linear"):
        assert np.allclose(on_grid(scores, truth_video(frames), rule), np.arange(frames))


def test_times_need_a_rate():
    scores = VideoScores("a", np.array([1.0, 2.0]), "times_s", np.array([0.0, 0.5]))
    with pytest.raises(InputError, match="fps in the file, or --fps"):
        on_grid(scores, truth_video(20), "hold")
    assert on_grid(scores, truth_video(20), "hold", fps=20).tolist() == [1.0] * 10 + [2.0] * 10


@pytest.mark.parametrize(
    ("positions", "message"),
    [([0.0, 1, 2], "cover frames 0 to 60 of 300"), ([7.0, 8, 9], "cover frames 210"), ([0.0, 10, 20], "wrong rate")],
)
def test_scores_of_a_part_of_a_video_are_refused(positions, message):
    scores = VideoScores("a", np.zeros(3), "times_s", np.array(positions), fps=30)
    with pytest.raises(InputError, match=message):
        on_grid(scores, truth_video(300), "hold")


def test_the_class_travels_and_normal_is_none():
    truth = truth_of(truth_video(2), replace(truth_video(2, video="b"), category="Normal"))
    aligned = align(truth, [per_frame("a", [1, 2]), per_frame("b", [1, 2])])
    assert [video.category for video in aligned.videos] == ["Fire", ""]
