from __future__ import annotations

import os

import numpy as np
import pytest

from tests.fake_models import models, scene, walking, write
from vau.config import Config
from vau.errors import InputError
from vau.scoring.features import PARTS
from vau.training.scorer.dataset import NORMAL, Dataset, Item, read_dataset
from vau.training.scorer.run import _candidates, _distinct
from vau.training.scorer.split import grouped_folds, merge_sources, validation_rows
from vau.training.scorer.store import FeatureStore, Seen


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "walk.mp4"
    return write(path, [scene(walking(index / 12)) for index in range(18)])


def test_a_video_is_looked_at_once(clip, tmp_path, monkeypatch):
    store = FeatureStore(tmp_path / "kept", Config(), models())
    first = store.load([Item("walk.mp4", clip, NORMAL, "a")])[0]
    assert set(first.parts) == set(PARTS) and len(first.times_s) == len(first.parts["motion"]) >= 5
    again = FeatureStore(tmp_path / "kept", Config(), models())
    monkeypatch.setattr(again, "_look", lambda item: pytest.fail("looked again"))
    second = again.load([Item("renamed.mp4", clip, "fight", "b")])[0]
    assert all((first.parts[part] == second.parts[part]).all() for part in PARTS)


def test_other_settings_or_models_never_mix(tmp_path):
    plain = FeatureStore(tmp_path, Config(), models()).digest()
    faster = Config().with_overrides({"video.sample_fps": 8.0})
    assert plain != FeatureStore(tmp_path, faster, models()).digest()
    assert plain != FeatureStore(tmp_path, Config(), models(pose=False)).digest()
    threads = Config().with_overrides({"video.threads": 1, "perception.threads": 1})
    assert plain == FeatureStore(tmp_path, threads, models()).digest()


@pytest.mark.parametrize("damage", [lambda whole: whole[: len(whole) // 2], lambda whole: b"", lambda whole: b"x" * 99])
def test_a_torn_file_is_made_anew(clip, tmp_path, damage):
    item = Item("walk.mp4", clip, NORMAL, "a")
    store = FeatureStore(tmp_path / "kept", Config(), models())
    first = store.load([item])[0]
    (file,) = (tmp_path / "kept").iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert (store.load([item])[0].parts["motion"] == first.parts["motion"]).all()
    assert file.read_bytes() == whole


def test_a_bad_video_is_reported_and_left_out(clip, tmp_path):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"no video")
    store = FeatureStore(tmp_path / "kept", Config(), models())
    items = [
        Item("bad.mp4", bad, NORMAL, "b"),
        Item("walk.mp4", clip, NORMAL, "a"),
        Item("gone", tmp_path / "gone", NORMAL, "g"),
    ]
    assert [seen.item.video for seen in store.load(items)] == ["walk.mp4"]
    assert [line.split(":")[0] for line in store.skipped] == ["bad.mp4", "gone"]


def files(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_folders_are_classes_and_subfolders_sources(tmp_path):
    files(
        tmp_path, "normal/a.mp4", "normal/cam/b.mp4", "normal/cam/c.avi", "fire/d.MP4", "fall/e.mkv", "fall/notes.txt"
    )
    found = read_dataset(tmp_path, name="yard")
    assert found.classes == ("normal", "fall", "fire") and found.name == "yard"
    told = {item.video: (item.label, item.source) for item in found.items}
    assert told["normal/cam/b.mp4"] == ("normal", "cam") == told["normal/cam/c.avi"]
    assert told["normal/a.mp4"][1] != told["fire/d.MP4"][1]
    assert len(told) == 5 and [item.video for item in found.items] == sorted(told)


def test_a_list_of_labels_wins(tmp_path):
    (tmp_path / "labels.csv").write_text("video,label,source,spans\na.mp4,calm,x,\nb.mp4,fight,y,1.5-3;7-9.25\n")
    found = read_dataset(tmp_path, normal="calm")
    assert [(item.label, item.source, item.spans) for item in found.items] == [
        ("normal", "x", None),
        ("fight", "y", ((1.5, 3.0), (7.0, 9.25))),
    ]
    lines = tmp_path / "other.jsonl"
    lines.write_text(
        '{"video": "a.mp4", "label": "normal"}\n\n{"video": "b.mp4", "label": "fight", "spans": [[1, 2]]}\n'
    )
    assert read_dataset(tmp_path, labels=lines).items[1].spans == ((1.0, 2.0),)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("l.csv", "file,class\n", "first line"),
        ("l.csv", "", "first line"),
        ("l.csv", "video,label\na.mp4,\n", "must be texts"),
        ("l.csv", "video,label,spans\na.mp4,x,3-1\n", "start <= end"),
        ("l.csv", "video,label,spans\na.mp4,x,nan-1\n", "start <= end"),
        ("l.csv", "video,label,spans\na.mp4,x,what\n", "two numbers"),
        ("l.csv", "video,label\na.mp4,x\na.mp4,normal\n", "listed twice"),
        ("l.csv", "video,label\na.mp4,x\n", "called 'normal'.*found 'x': 1"),
        ("l.csv", "video,label\n", "found none"),
        ("l.csv", "video,label\na.mp4,normal\n", "1 normal ones and 0 of anomalies"),
        ("l.csv", "video,label\n../a.mp4,x\n", "not inside"),
        ("l.csv", "video,label\nb/../../a.mp4,x\n", "not inside"),
        ("l.csv", "video,label\n/etc/passwd,x\n", "not inside"),
        ("l.csv", "video,label\na.mp4,x\nb/../a.mp4,normal\n", "listed twice"),
        ("l.jsonl", "[1]\n", "needs an object"),
        ("l.jsonl", "{\n", "not JSON"),
        ("l.jsonl", '{"video": 1, "label": "x"}\n', "must be texts"),
        ("l.jsonl", '{"video": "a", "label": "x", "spans": 3}\n', "pairs of seconds"),
    ],
)
def test_malformed_labels_are_refused(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=words):
        read_dataset(tmp_path, labels=tmp_path / name)


def test_a_list_may_name_its_videos_by_their_whole_path(tmp_path):
    (tmp_path / "labels.csv").write_text(f"video,label\n{tmp_path / 'b.mp4'},x\na.mp4,normal\n")
    assert [item.video for item in read_dataset(tmp_path).items] == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_labels_that_are_no_file_are_refused_unread(tmp_path, make):
    make(tmp_path / "labels.csv")
    for labels in (None, tmp_path / "labels.csv"):
        with pytest.raises(InputError, match="must be a file"):
            read_dataset(tmp_path, labels=labels)


def test_the_name_of_normal_videos_must_be_there_and_be_clear(tmp_path):
    files(tmp_path, "calm/a.mp4", "fight/b.mp4", "fight/c.mp4")
    assert read_dataset(tmp_path, normal="calm").classes == ("normal", "fight")
    with pytest.raises(InputError, match=r"called 'zzz'.*found 'calm': 1, 'fight': 2"):
        read_dataset(tmp_path, normal="zzz")
    files(tmp_path, "normal/d.mp4")
    with pytest.raises(InputError, match=r"'fight' as the name of normal videos.*rename"):
        read_dataset(tmp_path, normal="fight")


def seen(tmp_path, video, label, source, content):
    return Seen(Item(video, tmp_path, label, source), content, np.arange(3.0), {}, 3.0)


def test_one_content_cannot_be_normal_and_abnormal(tmp_path):
    videos = [seen(tmp_path, "normal/a", NORMAL, "a", "1"), seen(tmp_path, "fire/b", "fire", "b", "1")]
    for given in (videos, videos[::-1]):
        with pytest.raises(InputError, match=r"(?=.*normal/a)(?=.*fire/b).*same video"):
            _distinct(given)


def test_copies_of_a_content_are_of_one_source(tmp_path):
    videos = [seen(tmp_path, f"v{number}", NORMAL, source, "12324"[number]) for number, source in enumerate("aabcd")]
    found = [video.item.source for video in _distinct(videos)]
    assert found[0] == found[1] == found[3] and len(set(found)) == 3
    assert merge_sources(["x", "y"], ["1", "2"]) == ["x", "y"]


def test_features_go_to_a_folder_that_can_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="no folder that can be written"):
        FeatureStore(tmp_path / "file", Config(), models()).load([])


def test_nothing_to_train_on_is_said(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        read_dataset(tmp_path / "gone")
    with pytest.raises(InputError, match="'normal'"):
        read_dataset(tmp_path)
    with pytest.raises(InputError, match="0 normal ones and 1 of anomalies"):
        Dataset("x", (Item("a", tmp_path, "fire", "a"),))


def test_folds_never_part_a_source_and_are_even():
    random = np.random.default_rng(0)
    sources = [f"s{index}" for index in random.integers(0, 40, 200)]
    abnormal = random.random(200) < 0.4
    folds = grouped_folds(abnormal, sources, 5, seed=3)
    assert all(
        len({fold for fold, name in zip(folds, sources, strict=True) if name == one}) == 1 for one in set(sources)
    )
    counts = [np.bincount(folds[abnormal == kind], minlength=5) for kind in (True, False)]
    assert all(count.max() - count.min() <= 5 for count in counts)
    assert (folds == grouped_folds(abnormal, sources, 5, seed=3)).all()
    assert (folds != grouped_folds(abnormal, sources, 5, seed=4)).any()


def test_validation_has_both_classes_on_both_sides():
    abnormal = np.array([True] * 6 + [False] * 6)
    held = validation_rows(abnormal, [f"s{index // 2}" for index in range(12)], 0.3)
    assert 0 < abnormal[held].sum() < held.sum() and 0 < abnormal[~held].sum() < (~held).sum()
    with pytest.raises(InputError, match="both sides"):
        validation_rows(abnormal, ["a"] * 6 + ["b"] * 6, 0.3)
    with pytest.raises(InputError, match="share"):
        validation_rows(abnormal, list("abcdefghijkl"), 0.7)


def test_files_of_the_store_are_not_left_half_written(clip, tmp_path):
    FeatureStore(tmp_path / "kept", Config(), models()).load([Item("walk.mp4", clip, NORMAL, "a")])
    assert all(path.suffix == ".safetensors" and path.name[0] != "." for path in (tmp_path / "kept").iterdir())


@pytest.mark.parametrize(
    ("label", "spans", "rows"),
    [
        ("fight", ((1.0, 1.5), (3.0, 3.1)), [4, 5, 6, 12]),
        ("fight", ((1.05, 1.06),), [4]),
        ("fight", ((90.0, 99.0),), [19]),
        ("fight", None, list(range(20))),
        (NORMAL, ((1.0, 1.5),), list(range(20))),
    ],
)
def test_known_abnormal_seconds_say_which_windows_count(tmp_path, label, spans, rows):
    item = Item("a.mp4", tmp_path, label, "a", spans)
    seen = Seen(item, "0" * 64, np.arange(20) / 4, {}, 5.0)
    assert np.flatnonzero(_candidates(seen)).tolist() == rows
