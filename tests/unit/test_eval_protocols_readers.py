"""Annotation formats, good and hostile: MATLAB cells and masks, scripts, CSV, JSON, npz, label folders, lengths."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from tests.video_clips import write_clip
from vau.errors import InputError
from vau.eval import files
from vau.eval.check import take_stock
from vau.eval.lengths import find_lengths_file, from_frames, read_lengths
from vau.eval.protocols import find_dataset
from vau.eval.truth import Truth, load_truth


def truth_of(folder: Path, dataset: str, protocol: str | None = None) -> Truth:
    chosen = find_dataset(dataset)
    return load_truth(chosen, chosen.protocol(protocol), folder)


def cells(items: list) -> np.ndarray:
    made = np.empty((1, len(items)), object)
    for index, item in enumerate(items):
        made[0, index] = item
    return made


def ped2_lengths(folder: Path) -> None:
    rows = "".join(f"{number:02d},20\n" for number in range(1, 13))
    (folder / "lengths.csv").write_text("video,frames\n" + rows)


def test_ped2_as_cells_and_as_script_agree(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    bounds = [np.array([[3, 9], [5, 10]], np.uint8)] + [np.array([[2], [20]], np.uint8)] * 11
    savemat(one / "ped2.mat", {"gt": cells(bounds)})
    lines = ["TestVideoFile = {};", "TestVideoFile{end+1}.gt_frame = [3:5, 9:10];"]
    lines += ["TestVideoFile{end+1}.gt_frame = [2:20];"] * 11
    (two / "UCSDped2.m").write_text("\n".join(lines))
    for folder in (one, two):
        ped2_lengths(folder)
        truth = truth_of(folder, "ped2")
        assert [video.video for video in truth.videos][:2] == ["Test001", "Test002"]
        assert np.flatnonzero(truth.videos[0].labels).tolist() == [2, 3, 4, 8, 9]
        assert truth.positives == 5 + 11 * 19


def test_frames_are_counted_in_folders(tmp_path):
    savemat(tmp_path / "ped2.mat", {"gt": cells([np.array([[1], [2]])] * 12)})
    for number in range(1, 13):
        for folder, count in ((f"Test{number:03d}", 3), (f"Test{number:03d}_gt", 3)):
            (tmp_path / "Test" / folder).mkdir(parents=True)
            for frame in range(count):
                Image.new("L", (2, 2)).save(tmp_path / "Test" / folder / f"{frame:03d}.tif")
    truth = truth_of(tmp_path, "ped2")
    assert (truth.frames, truth.positives) == (36, 24)
    assert truth.lengths_from.startswith("frames counted")
    assert from_frames(tmp_path, {"Test001"}, str).videos["Test001"].frames == 3


def test_three_truths_of_avenue(tmp_path):
    savemat(tmp_path / "avenue.mat", {f"{number:02d}": np.eye(1, 6, 2, dtype=np.uint8) for number in range(1, 22)})
    assert truth_of(tmp_path, "avenue", "frame-labels").positives == 21
    with pytest.raises(InputError, match="expected a cell array gt of 21 videos"):
        truth_of(tmp_path, "avenue", "liu")
    masks = tmp_path / "testing_label_mask"
    masks.mkdir()
    for number in range(1, 22):
        savemat(masks / f"{number}_label.mat", {"volLabel": cells([np.zeros((2, 2)), np.eye(2), np.zeros((2, 2))])})
    truth = truth_of(tmp_path, "avenue", "pixel-masks")
    assert (truth.videos[0].video, truth.frames, truth.positives) == ("01", 63, 21)


def test_ubnormal_tracks_and_labels_agree(tmp_path):
    name = "abnormal_scene_1_scenario_2"
    folder = tmp_path / "Scene1" / f"{name}_annotations"
    folder.mkdir(parents=True)
    (folder / f"{name}_tracks.txt").write_text("1.0,3.0,5.0\n2.0,5.0,8.0\n")
    (tmp_path / "lengths.csv").write_text(f"video,frames\n{name},12\nnormal_scene_1_scenario_1,10\n")
    tracks = truth_of(tmp_path, "ubnormal")
    other = tmp_path / "other"
    for video, marks in ((name, [0] * 3 + [1] * 6 + [0] * 3), ("normal_scene_1_scenario_1", [0] * 10)):
        (other / "testing" / video).mkdir(parents=True)
        np.savetxt(other / "testing" / video / "ground_truth_frame_level.txt", np.array(marks, float))
    labels = truth_of(other, "ubnormal")
    for mine, theirs in zip(tracks.videos, labels.videos, strict=True):
        assert mine.video == theirs.video
        assert np.array_equal(mine.labels, theirs.labels)


def test_lad_and_dota_and_tad(tmp_path):
    savemat(tmp_path / "gt_Crash_a_s001_c001.mat", {"gt": np.array([[0, 1, 1, 0]], np.uint8)})
    (tmp_path / "lengths.json").write_text('{"v_Crash_a_s001_c001": 4, "v_Crash_n_s001_c001": {"frames": 3}}')
    truth = truth_of(tmp_path, "lad")
    assert [(video.category, int(video.labels.sum())) for video in truth.videos] == [("Crash", 2), ("Normal", 0)]
    dota = tmp_path / "dota"
    dota.mkdir()
    clip = {"anomaly_start": 2, "anomaly_end": 5, "num_frames": 9, "anomaly_class": "ego: turning"}
    (dota / "metadata_val.json").write_text(json.dumps({"a_000001": clip}))
    truth = truth_of(dota, "dota")
    assert (truth.frames, truth.positives, truth.videos[0].category) == (9, 3, "ego: turning")
    tad = tmp_path / "tad"
    tad.mkdir()
    (tad / "vals.txt").write_text("01_Accident_004.mp4 190 53 118\nNormal_012.mp4 70 -1 -1\n")
    truth = truth_of(tad, "tad")
    assert (truth.frames, truth.positives) == (260, 66)


@pytest.mark.parametrize(
    ("dataset", "name", "content"),
    [
        ("ped2", "ped2.mat", b"MATLAB 5.0 MAT-file" + bytes(200)),
        ("ped2", "ped2.mat", b""),
        ("ped2", "UCSDped2.m", b"TestVideoFile{end+1}.gt_frame = [1:2];"),
        ("ped2", "test.csv", b"image_path,label\nped2/01/000.jpg,2\n"),
        ("ped2", "test.csv", b"image,label\n"),
        ("dota", "metadata_val.json", b"[1]"),
        ("dota", "metadata_val.json", b'{"a": {"anomaly_start": true}}'),
        ("dota", "metadata_val.json", b'{"a": ' * 100_000),
        ("dota", "dota_test_anno.json", b'[{"video_path": "a", "class_name": "b", "anomaly_span": [[2, 3]]}]'),
        ("dota", "dota_test_anno.json", b'[{"video_path": "a", "class_name": "b", "anomaly_span": [[NaN, 0.5]]}]'),
        ("dota", "dota_test_anno.json", b"\xff\xfe"),
        ("tad", "vals.txt", b"01_Accident_004.mp4 190 53"),
        ("tad", "vals.txt", b"01_Accident_004.mp4 1e400 5 9"),
        ("msad", "truth.npz", b"PK\x03\x04 not a zip"),
    ],
)
def test_hostile_annotation_is_refused_with_a_reason(tmp_path, dataset, name, content):
    (tmp_path / name).write_bytes(content)
    ped2_lengths(tmp_path)
    with pytest.raises(InputError, match=name.split(".")[0]):
        truth_of(tmp_path, dataset)


class Bomb:
    """Would create a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_pickles_are_never_loaded(tmp_path):
    trace = tmp_path / "trace"
    objects = np.array([Bomb(trace)], object)
    np.save(tmp_path / "a.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "a.npz", names=objects)
    (tmp_path / "b.npz").write_bytes(pickle.dumps(Bomb(trace)))
    for read, name in ((files.npy, "a.npy"), (files.npz, "a.npz"), (files.npz, "b.npz")):
        with pytest.raises(InputError, match=name):
            read(tmp_path / name)
    assert not trace.exists()


def test_an_npz_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_UNPACKED_BYTES", 1000)
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(10_000))
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("scores.npy", buffer.getvalue())
    with pytest.raises(InputError, match="the limit is"):
        files.npz(tmp_path / "a.npz")


@pytest.mark.parametrize(("offset", "value"), [(8, 99), (6, 1), (4, 200)], ids=["compression", "encrypted", "version"])
def test_an_npz_that_the_reader_cannot_unpack_is_refused(tmp_path, offset, value):
    np.savez(tmp_path / "a.npz", scores=np.zeros(3))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[offset] = value
    central = content.index(b"PK\x01\x02")
    content[central + offset + 2] = value
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(InputError, match="not an npz"):
        files.npz(tmp_path / "a.npz")


def test_a_size_that_lies_is_refused(tmp_path):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000000,), }"
    header += b" " * (117 - len(header)) + b"\n"
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    with pytest.raises(InputError, match=r"a\.npy"):
        files.npy(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "video,frames\nx,0\n", "at least 1"),
        ("a.csv", "video,frames\nx,3\nx.mp4,4\n", "occur more than once"),
        ("a.csv", "video,length\nx,3\n", "no column frames"),
        ("a.csv", "video,frames\nx,1e12\n", "more than a video has"),
        ("a.json", '{"x": 2.5}', "whole number"),
        ("a.json", "[1]", "expected an object"),
        ("a.json", '{"x": {"frames": 3, "duration_s": -1}}', "above 0"),
        ("a.txt", "", "not .txt"),
    ],
)
def test_a_malformed_lengths_file_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        read_lengths(tmp_path / name, str)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "lengths.csv")
    for read in (files.text, files.npz, files.npy, files.matlab):
        with pytest.raises(InputError, match="a pipe or device, not a file"):
            read(tmp_path / "lengths.csv")


def test_lengths_from_an_npz_of_truth(tmp_path):
    np.savez(tmp_path / "my_ucf_gt.npz", names=["a.mp4"], n_frames=[7], gt=[0])
    path = find_lengths_file(tmp_path, ("*ucf*gt*.npz",))
    assert read_lengths(path, str).videos["a"].frames == 7


def test_lengths_from_the_headers_of_videos(tmp_path):
    (tmp_path / "Temporal_Anomaly_Annotation.txt").write_text("Abuse028_x264.mp4 Abuse 2 5 -1 -1\n")
    (tmp_path / "Abuse").mkdir()
    write_clip(tmp_path / "Abuse" / "Abuse028_x264.mp4", frames=60, fps=30)
    truth = truth_of(tmp_path, "ucf-crime")
    assert truth.lengths_from.startswith("headers of 1 videos")
    assert truth.frames == truth_of(tmp_path, "ucf-crime", "sultani").frames == 60


def test_stock_of_an_empty_folder_says_what_is_missing(tmp_path):
    found = take_stock(find_dataset("ucf-crime"), tmp_path)
    assert not found.usable
    assert all(not part.found for part in found.parts)
    assert {verdict.state for verdict in found.verdicts} == {"missing"}
    with pytest.raises(InputError, match="no such folder"):
        take_stock(find_dataset("ucf-crime"), tmp_path / "none")
