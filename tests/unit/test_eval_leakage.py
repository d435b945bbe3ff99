from __future__ import annotations

import pytest

from vau.errors import InputError
from vau.eval.leakage import copies, overlap, refuse_overlap, uca_leak


def test_names_are_compared_without_folder_and_extension() -> None:
    found = overlap(["test/Abuse001_x264.mp4", "b", "c", "b.avi"], {"train": ["Abuse001_x264"], "val": ["x", "b.npy"]})
    assert found.tested == 3
    assert found.counts() == {"train": 1, "val": 1, "outside": 1} and found.outside == ("c",)


def test_the_sentence_names_all_four_numbers() -> None:
    found = overlap("abcdefg", {"train": "abcd", "val": "e", "test": "f"})
    assert "7 official test videos of UCF-Crime 4 are" in uca_leak(found) and "captions of 4." in uca_leak(found)


def test_training_videos_are_refused_unless_allowed() -> None:
    assert refuse_overlap(["a.mp4"], ["b"]) == ()
    with pytest.raises(InputError, match="1 of 2 test videos were trained on, such as a"):
        refuse_overlap(["a.mp4", "c"], ["x/a"])
    (told,) = refuse_overlap(["a.mp4", "c"], ["x/a"], allow=True)
    assert told.startswith("1 of 2")


def test_copies_are_found_by_content(tmp_path) -> None:
    train, test = tmp_path / "train" / "deep", tmp_path / "test"
    train.mkdir(parents=True)
    test.mkdir()
    (train / "a.mp4").write_bytes(b"same bytes")
    (train / "b.mp4").write_bytes(b"else bytes")
    (test / "renamed.MP4").write_bytes(b"same bytes")
    (test / "c.mp4").write_bytes(b"other")
    (test / "notes.txt").write_bytes(b"else bytes")
    found = copies(tmp_path / "train", test, [".mp4"])
    assert (found.training, found.testing) == (2, 2)
    assert found.pairs == ((str(train / "a.mp4"), str(test / "renamed.MP4")),)
    with pytest.raises(InputError, match="no such folder"):
        copies(tmp_path / "nowhere", test, [".mp4"])
