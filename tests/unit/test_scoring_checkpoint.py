from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vau.errors import CheckpointError, InputError
from vau.scoring.card import Card, Metric, doubt, readme
from vau.scoring.checkpoint import claim_folder, read_arrays, read_checkpoint, write_checkpoint

CARD = Card(
    kind="clip-stats", parts=("motion",), dims=(3,), metrics=(Metric(name="AUC", value=0.8, low=0.7, high=0.9),)
)
ARRAYS = {"weights": np.arange(6, dtype=np.float32).reshape(3, 2), "bias": np.array(0.5), "flag": np.array([True])}


@pytest.fixture
def folder(tmp_path):
    write_checkpoint(tmp_path / "scorer", CARD, ARRAYS)
    return tmp_path / "scorer"


def test_what_is_written_is_read(folder):
    card, arrays = read_checkpoint(folder)
    assert card == CARD
    assert {name: (a.dtype, a.shape) for name, a in arrays.items()} == {
        name: (a.dtype, a.shape) for name, a in ARRAYS.items()
    }
    assert all((arrays[name] == ARRAYS[name]).all() for name in ARRAYS)
    assert "0.800 [0.700, 0.900]" in (folder / "README.md").read_text()
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "card.json", "model.safetensors"]


def test_a_checkpoint_may_be_replaced_but_nothing_else(folder, tmp_path):
    write_checkpoint(folder, CARD.model_copy(update={"seed": 7}), {})
    assert read_checkpoint(folder)[0].seed == 7
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "photo.jpg").write_bytes(b"x")
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        write_checkpoint(tmp_path / "holiday", CARD, {})


def test_a_checkpoint_is_replaced_only_on_demand(folder):
    with pytest.raises(CheckpointError, match="--force"):
        claim_folder(folder, force=False)
    claim_folder(folder, force=True)
    assert read_checkpoint(folder)[0] == CARD


@pytest.mark.parametrize("text", ['{"name": "a library card"}', '{"format": "other"}', "[]", "no JSON", ""])
def test_the_card_of_another_program_is_never_overwritten(tmp_path, text):
    (tmp_path / "card.json").write_text(text)
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        claim_folder(tmp_path, force=True)
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        write_checkpoint(tmp_path, CARD, ARRAYS)
    assert [path.name for path in tmp_path.iterdir()] == ["card.json"]
    assert (tmp_path / "card.json").read_text() == text


def test_a_new_folder_is_made_and_left_empty(tmp_path):
    for _ in range(2):  # a run that was cut off claims it again
        claim_folder(tmp_path / "a" / "b", force=False)
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_what_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    places = (tmp_path / "file", tmp_path / "file" / "x", tmp_path / ("x" * 999), Path("/proc/x"))
    for place in places:
        with pytest.raises(InputError, match=str(place)):
            claim_folder(place, force=True)


class Trap:
    """Would end the test run if it were unpickled."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('a pickle was loaded')",))


@pytest.mark.parametrize("name", ["model.pt", "model.pkl", "weights.ckpt"])
def test_a_pickle_is_refused_unread(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(CheckpointError, match="run code"):
        read_checkpoint(tmp_path / name)
    with pytest.raises(CheckpointError, match=name):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("content", [pickle.dumps(Trap()), b"PK\x03\x04" + bytes(60), b"", b"\x08" + bytes(7) + b"{"])
def test_what_only_calls_itself_safetensors_is_refused(folder, content):
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError):
        read_checkpoint(folder)


@settings(max_examples=30, deadline=None)
@given(cut=st.integers(0, 10_000))
def test_a_truncated_file_is_refused(tmp_path_factory, cut):
    folder = tmp_path_factory.mktemp("cut") / "scorer"
    write_checkpoint(folder, CARD, ARRAYS)
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: cut % len(whole)])
    with pytest.raises(CheckpointError):
        read_checkpoint(folder)
    with pytest.raises(CheckpointError):
        read_arrays(folder / "model.safetensors")


def test_files_of_two_checkpoints_are_not_mixed(folder, tmp_path):
    write_checkpoint(tmp_path / "other", CARD, {"weights": np.zeros((3, 2), np.float32)})
    (folder / "model.safetensors").write_bytes((tmp_path / "other" / "model.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match="mixed up"):
        read_checkpoint(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 2}, "upgrade vau"),
        ({"version": True}, "whole number"),
        ({"version": "1"}, "whole number"),
        ({"format": "other"}, "not the card"),
        ({"card": {"kind": "../x"}}, "kind"),
        ({"card": {"kind": "x", "surprise": 1}}, "surprise"),
        ({"card": {"kind": "x", "calibration": {"scale": 0}}}, "scale"),
        ({"card": {"kind": "x", "calibration": {"threshold": float("nan")}}}, "threshold"),
        ({"card": None}, "card"),
    ],
)
def test_a_strange_card_is_refused(folder, change, words):
    data = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(data | change))
    with pytest.raises(CheckpointError, match=words):
        read_checkpoint(folder)


@pytest.mark.parametrize("change", [{"seed": 7}, {"calibration": {"threshold": -9.0}}, {"metrics": []}])
def test_a_card_edited_by_hand_is_refused(folder, change):
    data = json.loads((folder / "card.json").read_text())
    data["card"] |= change
    (folder / "card.json").write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match="changed since"):
        read_checkpoint(folder)


def test_the_layout_of_a_card_is_free(folder):
    data = json.loads((folder / "card.json").read_text())
    data["card"] = dict(reversed(data["card"].items()))
    (folder / "card.json").write_text(json.dumps(data))
    assert read_checkpoint(folder)[0] == CARD


def test_a_folder_or_pipe_in_place_of_a_file_is_called_so(folder):
    for name, stand_in in (("model.safetensors", Path.mkdir), ("card.json", os.mkfifo)):
        (folder / name).unlink()
        stand_in(folder / name)
        with pytest.raises(CheckpointError, match=r"a folder, pipe or device, not a file"):
            read_checkpoint(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"format":'])
def test_a_card_that_is_no_json_object_is_refused(folder, text):
    (folder / "card.json").write_text(text)
    with pytest.raises(CheckpointError):
        read_checkpoint(folder)


def test_a_huge_card_is_refused_unread(folder):
    with (folder / "card.json").open("wb") as file:
        file.truncate(2**33)
    with pytest.raises(CheckpointError, match="refused"):
        read_checkpoint(folder)


def test_a_huge_model_is_refused_unread(folder):
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(2**33)
    with pytest.raises(CheckpointError, match="refused"):
        read_checkpoint(folder)


@pytest.mark.parametrize("bad", [np.array([1.0, np.nan]), np.array([np.inf]), np.array(["a"]), np.array([object()])])
def test_unfit_arrays_are_not_written(tmp_path, bad):
    with pytest.raises(CheckpointError, match="bad"):
        write_checkpoint(tmp_path / "scorer", CARD, {"bad": bad})
    assert not (tmp_path / "scorer").exists()


def test_nan_in_a_file_is_refused(folder):
    from safetensors.numpy import save_file

    save_file({"weights": np.array([np.nan], np.float32)}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="NaN"):
        read_arrays(folder / "model.safetensors")


def test_missing_things_are_named(tmp_path, folder):
    with pytest.raises(CheckpointError, match="no such folder"):
        read_checkpoint(tmp_path / "nowhere")
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"model\.safetensors is missing"):
        read_checkpoint(folder)


def test_the_page_keeps_hostile_text_in_its_cells():
    card = Card(kind="x", data={"name": "a|b\n# <script>", "skipped": ("c\n- d|e",)}, limits=("1\n2",))
    assert "<script>" not in readme(card).replace("# <script>", "") or "&lt;script>" in readme(card)
    assert "- 1 2" in readme(card) and "c - d\\|e" in readme(card)


def test_names_lose_what_a_terminal_would_obey(tmp_path):
    hostile = "a\x1b[31m\x07b\u202ec\udcffd\ne"
    card = Card(
        kind="x",
        arguments={hostile: [hostile]},
        models=(hostile,),
        classes=("normal", hostile),
        data={"name": hostile, "skipped": (hostile,)},
        metrics=(Metric(name=hostile, value=1, data=hostile),),
    )
    write_checkpoint(tmp_path / "scorer", card, {})
    for name in ("README.md", "card.json"):
        text = (tmp_path / "scorer" / name).read_text()
        assert "a[31mbcd e" in text
        assert all(char.isprintable() or char == "\n" for char in text) and "\\u" not in text


def measured(low: float | None, sources: int | None) -> Card:
    return Card(kind="x", metrics=(Metric(name="AUC", value=0.8, low=low, high=low and 0.9, sources=sources),))


@pytest.mark.parametrize(
    ("card", "words"),
    [
        (measured(0.45, 40), "AUC may be chance"),
        (measured(None, 40), "AUC may be chance"),
        (measured(0.7, 9), "rest on 9 sources"),
        (measured(0.7, 10), ""),
        (measured(0.2, None), ""),  # a figure of which 0.5 is not chance
        (Card(kind="x"), ""),
    ],
)
def test_figures_that_say_little_are_doubted(card, words):
    assert words in doubt(card) and bool(doubt(card)) == bool(words)
    assert ("**Warning:**" in readme(card)) == bool(words) and words in readme(card)
