"""Protocols: grids, readings of intervals, repairs by rule, and refusal where no rule is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vau.errors import InputError
from vau.eval.names import canonical
from vau.eval.protocols import DATASETS, Expected, Grid, Protocol, find_dataset
from vau.eval.protocols.base import Annotation, numbered
from vau.eval.protocols.tad import category as tad_category
from vau.eval.protocols.ucf_crime import category as ucf_category
from vau.eval.protocols.xd_violence import category as xd_category
from vau.eval.truth import Truth, load_truth


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def truth_of(folder: Path, dataset: str, protocol: str | None = None, **files: Path) -> Truth:
    chosen = find_dataset(dataset)
    return load_truth(chosen, chosen.protocol(protocol), folder, **files)


def rules(truth: Truth) -> dict[str, int]:
    return {repair.rule: repair.count for repair in truth.repairs}


@given(st.integers(16, 200_000))
def test_grids_differ_by_less_than_two_blocks(frames):
    lengths = {tail: Grid(16, tail).length("v", frames) for tail in ("drop", "drop-one-more", "pad-zero")}
    assert all(length % 16 == 0 for length in lengths.values())
    assert lengths["drop-one-more"] <= lengths["drop"] <= frames <= lengths["pad-zero"] < frames + 16
    assert frames - lengths["drop-one-more"] <= 16
    assert Grid().length("v", frames) == frames


def test_a_grid_with_more_blocks_for_one_video():
    grid = Grid(16, "drop", (("long", 1),))
    assert (grid.length("long", 40), grid.length("other", 40)) == (48, 32)


def test_sultani_counts_time_and_refuses_without_it():
    grid = Grid(tail="30-fps")
    assert grid.length("v", 99, duration_s=3.34) == 100
    with pytest.raises(InputError, match="duration_s"):
        grid.length("v", 99)


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda dataset: dataset.name)
def test_declarations_are_consistent(dataset):
    names = [protocol.name for protocol in dataset.protocols]
    assert len(set(names)) == len(names)
    sources = {source.name for source in dataset.sources}
    for protocol in dataset.protocols:
        assert protocol.dataset == dataset.name
        assert set(protocol.sources) <= sources
        assert protocol.source
        assert dataset.protocol(protocol.name) is protocol
    assert dataset.terms
    assert dataset.videos_from
    with pytest.raises(InputError, match="no protocol 'other'"):
        dataset.protocol("other")


def test_an_unknown_data_set_is_answered_with_the_known_ones():
    with pytest.raises(InputError, match="ucf-crime, xd-violence"):
        find_dataset("ucf")


@pytest.mark.parametrize(
    ("given_name", "expected"),
    [
        ("Abuse/Abuse028_x264.mp4", "Abuse028_x264"),
        (r"C:\videos\Abuse028_x264.MP4", "Abuse028_x264"),
        ("Bad.Boys.1995__#01-11-55_01-12-40_label_G-B2-B6", "Bad.Boys.1995__#01-11-55_01-12-40_label_G-B2-B6"),
        ("v=38GQ9L2meyE__#1_label_B6-0-0.npy", "v=38GQ9L2meyE__#1_label_B6-0-0"),
        ("Test001/", "Test001"),
    ],
)
def test_names_lose_folder_and_extension_only(given_name, expected):
    assert canonical(given_name) == expected


def test_numbered_names():
    rename = numbered("Test", 3)
    assert {rename(name) for name in ("7", "07", "test_07", "Test007", "TEST007")} == {"Test007"}
    assert rename("Abuse007") == "Abuse007"


def test_classes_are_told_by_names():
    assert ucf_category("RoadAccidents127_x264") == "RoadAccidents"
    assert ucf_category("Normal_Videos_003_x264") == "Normal"
    assert xd_category("x_label_B2-G-0") == "Shooting+Explosion"
    assert xd_category("x_label_A") == "Normal"
    assert tad_category("01_Accident_004") == "Accident"
    assert tad_category("Normal_012") == "Normal"


@pytest.fixture
def ucf(tmp_path) -> Path:
    write(
        tmp_path,
        "Temporal_Anomaly_Annotation.txt",
        "Abuse028_x264.mp4  Abuse  10  19  30  60  \nNormal_Videos_003_x264.mp4  Normal  -1  -1  -1  -1  \n",
    )
    write(tmp_path, "lengths.csv", "video,frames,duration_s\nAbuse028_x264,50,1.6\nNormal_Videos_003,33,1.1\n")
    return tmp_path


@pytest.mark.parametrize(
    ("protocol", "frames", "abnormal"),
    [
        ("full-frame", [50, 33], [*range(10, 20), *range(30, 50)]),
        ("rtfm", [64, 48], [*range(10, 20), *range(30, 61)]),
        ("vadclip", [48, 32], [*range(10, 19), *range(30, 48)]),
        ("sultani", [48, 33], [*range(9, 19), *range(29, 48)]),
    ],
)
def test_one_annotation_under_four_readings(ucf, protocol, frames, abnormal):
    truth = truth_of(ucf, "ucf-crime", protocol)
    assert [len(video.labels) for video in truth.videos] == frames
    assert np.flatnonzero(truth.videos[0].labels).tolist() == abnormal
    assert [video.category for video in truth.videos] == ["Abuse", "Normal"]
    assert rules(truth) == ({} if protocol == "rtfm" else {"beyond-end": 1})


def test_totals_that_differ_are_told(ucf):
    truth = truth_of(ucf, "ucf-crime")
    assert "2 videos, the protocol has 290" in truth.deviations
    assert any(line.startswith("83 frames") for line in truth.deviations)


def test_fractions_and_frames_agree(ucf):
    entry = {"video_path": "x/Abuse028_x264.mp4", "class_name": "Abuse", "anomaly_span": [[0.2, 0.38], [0.6, 1.0]]}
    normal = {"video_path": "x/Normal_Videos_003_x264.mp4", "class_name": "Normal", "anomaly_span": []}
    path = write(ucf, "other/ucf_test_anno.json", json.dumps([entry, normal]))
    truth = truth_of(ucf, "ucf-crime", annotations=path)
    assert np.array_equal(truth.videos[0].labels, truth_of(ucf, "ucf-crime").videos[0].labels)


def test_fractions_of_another_length_are_counted(ucf):
    entry = {"video_path": "Abuse028_x264.mp4", "class_name": "Abuse", "anomaly_span": [[0.205, 0.38]]}
    path = write(ucf, "other/ucf_test_anno.json", json.dumps([entry]))
    assert rules(truth_of(ucf, "ucf-crime", annotations=path)) == {"span-rounded": 1}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Abuse028_x264.mp4 Abuse 10 -1", "-1 stands for none"),
        ("Abuse028_x264.mp4 Abuse 10 20 30", "do not make pairs"),
        ("Abuse028_x264.mp4 Abuse 20 10", "ends before it begins"),
        ("Abuse028_x264.mp4 Abuse ten 20", "not a whole number"),
        ("Abuse028_x264.mp4", "expected name, class"),
        ("Abuse028_x264.mp4 Abuse 1 2\nx/Abuse028_x264 Abuse 1 2", "occur more than once"),
        ("Robbery001_x264.mp4 Robbery 1 2", "number of frames of 1 videos is not known"),
    ],
)
def test_a_malformed_annotation_is_refused(tmp_path, line, message):
    write(tmp_path, "Temporal_Anomaly_Annotation.txt", line + "\n")
    if "Robbery" not in line:
        write(tmp_path, "lengths.json", '{"Abuse028_x264": 50}')
    with pytest.raises(InputError, match=message):
        truth_of(tmp_path, "ucf-crime")


def test_xd_suffixes_are_taken_off_and_counted(tmp_path):
    write(tmp_path, "annotations.txt", "a_label_B1-0-0 4 9\nb_label_G-0-0.mp4 2 3 8 12\n")
    write(tmp_path, "lengths.csv", "video,frames\na_label_B1-0-0,32\nb_label_G-0-0,33\nc_label_A,20\n")
    truth = truth_of(tmp_path, "xd-violence")
    assert rules(truth) == {"xd-suffix": 1}
    assert truth.positives == 6 + 2 + 5
    assert [video.category for video in truth.videos] == ["Fighting", "Explosion", "Normal"]
    grid = truth_of(tmp_path, "xd-violence", "xdviodet")
    assert [len(video.labels) for video in grid.videos] == [16, 32, 16]
    assert grid.positives == 5 + 1 + 4


def test_an_annotation_without_normal_videos_needs_a_list(tmp_path):
    write(tmp_path, "annotations.txt", "a_label_B1-0-0 4 9\n")
    with pytest.raises(InputError, match="which videos are tested"):
        truth_of(tmp_path, "xd-violence")


def test_stray_frames_of_tad_are_removed_and_counted(tmp_path):
    folder = tmp_path / "tad_labels"
    folder.mkdir()
    marks = np.zeros(40, np.uint8)
    marks[5:9] = 1
    np.save(folder / "01_Accident_004.npy", marks)
    stray = np.zeros(30, np.uint8)
    stray[-2] = 1
    np.save(folder / "Normal_012.npy", stray)
    truth = truth_of(tmp_path, "tad", "tevad")
    assert rules(truth) == {"stray-normal": 1}
    assert truth.positives == 4
    assert "-1" in truth.repairs[0].what


def test_stray_frames_elsewhere_are_refused(tmp_path):
    marks = np.ones(40, bool)
    np.savez(tmp_path / "truth.npz", names=["normal_scene_1_scenario_2"], lengths=[40], labels=marks)
    with pytest.raises(InputError, match="called normal, yet 40"):
        truth_of(tmp_path, "ubnormal")


def test_labels_of_videos_are_not_taken_for_labels_of_frames(tmp_path):
    names = [f"abnormal_scene_1_scenario_{number}" for number in range(4)] + ["normal_scene_1_scenario_1"]
    labels = np.repeat([1, 1, 1, 1, 0], 10)
    np.savez(tmp_path / "truth.npz", names=names, lengths=[10] * 5, labels=labels)
    with pytest.raises(InputError, match="not which frames"):
        truth_of(tmp_path, "ubnormal")


def test_short_masks_are_filled_with_their_last_label(tmp_path):
    folder = tmp_path / "test_frame_mask"
    folder.mkdir()
    np.save(folder / "01_0015.npy", np.array([0] * 20 + [1] * 10, np.int8))
    write(tmp_path, "lengths.csv", "video,frames\n01_0015,32\n01_001,16\n")
    truth = truth_of(tmp_path, "shanghaitech", "weak-rtfm")
    assert [video.video for video in truth.videos] == ["01_001", "01_0015"]
    assert (truth.frames, truth.positives) == (48, 12)
    assert rules(truth) == {"pad-last": 2}
    with pytest.raises(InputError, match="30 labels for 32 frames"):
        truth_of(tmp_path, "shanghaitech", "weak")


def test_annotated_videos_that_are_not_tested_are_counted(tmp_path):
    header = "name,scenario,total frames,starting frame of anomaly,ending frame of anomaly\n"
    write(tmp_path, "anomaly_annotation.csv", header + "Fire_1,shop,100,11,100\nFire_2,shop,100,1,5\n")
    write(tmp_path, "lengths.csv", "video,frames\nFire_1,100\nMSAD_normal_testing_1,50\n")
    truth = truth_of(tmp_path, "msad")
    assert [(video.video, video.category) for video in truth.videos] == [
        ("Fire_1", "Fire"),
        ("MSAD_normal_testing_1", "Normal"),
    ]
    assert truth.positives == 89
    assert rules(truth) == {"not-listed": 1, "beyond-end": 1}


def test_nothing_there_says_where_it_comes_from(tmp_path):
    with pytest.raises(InputError, match=r"metadata_val\.json: https://github\.com/MoonBlvd"):
        truth_of(tmp_path, "dota")


@given(
    st.integers(1, 400),
    st.lists(st.tuples(st.integers(0, 450), st.integers(0, 60)), max_size=5),
    st.booleans(),
    st.sampled_from([0, 1]),
)
@example(10, [(0, 3)], True, 1)  # a 0 where numbers count from 1 must not become an index of -1
def test_marking_equals_asking_every_frame(frames, starts, inclusive, base):
    from vau.eval.truth import _marked

    intervals = tuple((float(start), float(start + more)) for start, more in starts)
    protocol = Protocol("p", "d", "s", Expected(1), index_base=base, end_inclusive=inclusive)
    labels = _marked(Annotation("v", intervals=intervals), frames, frames, protocol, [])
    asked = [any(start <= n + base < end + inclusive for start, end in intervals) for n in range(frames)]
    assert labels.tolist() == asked
