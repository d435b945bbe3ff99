"""The built distributions: `vau` and nothing else at the top, every package and data file once, as real files."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAPPED = ("eval", "prompts", "training")


def build(*options: str) -> None:
    done = subprocess.run([sys.executable, "-m", "build", *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.fixture(scope="module")
def direct(tmp_path_factory) -> Path:
    """Returns the wheel built from the tree, as `pip install .` does."""
    out = tmp_path_factory.mktemp("direct")
    build("--wheel", "--outdir", str(out), str(ROOT))
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def through_sdist(tmp_path_factory) -> tuple[Path, Path]:
    """Returns the sdist, and the wheel built from it, as a package index serves them."""
    out = tmp_path_factory.mktemp("sdist")
    build("--outdir", str(out), str(ROOT))
    return next(out.glob("*.tar.gz")), next(out.glob("*.whl"))


def wanted() -> set[str]:
    """Returns the files that the wheel must hold, by their names in it."""
    files = set()
    for top, inside in (("vau", "vau"), *((name, f"vau/{name}") for name in MAPPED)):
        for path in (ROOT / top).rglob("*"):
            parts = path.relative_to(ROOT / top).parts
            linked = top == "vau" and parts[0] in MAPPED
            if path.is_file() and not linked and "__pycache__" not in parts and path.suffix != ".pyc":
                files.add("/".join((inside, *parts)))
    return files


def contents(wheel: Path) -> set[str]:
    names = zipfile.ZipFile(wheel).namelist()
    assert max(Counter(names).values()) == 1
    return {name for name in names if ".dist-info/" not in name}


def test_wheel_holds_every_file_once_and_nothing_but_vau(direct):
    found = contents(direct)
    assert {name.split("/")[0] for name in found} == {"vau"}
    assert found == wanted()


def test_wheel_has_templates_schema_and_mapped_packages(direct):
    found = contents(direct)
    assert {"vau/eval/__init__.py", "vau/prompts/__init__.py", "vau/training/__init__.py", "vau/py.typed"} <= found
    assert any(name.startswith("vau/report/schema/") and name.endswith(".json") for name in found)
    assert any(name.startswith("vau/report/templates/") for name in found)


def test_wheel_from_sdist_is_the_same(direct, through_sdist):
    _, wheel = through_sdist
    assert contents(wheel) == contents(direct)


def test_sdist_holds_real_files_only(through_sdist):
    sdist, _ = through_sdist
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
    assert not [member.name for member in members if member.issym() or member.islnk()]
    tails = {member.name.split("/", 1)[1] for member in members}
    assert {"eval/__init__.py", "prompts/__init__.py", "training/__init__.py", "LICENSE", "README.md"} <= tails
    assert not any(name.startswith(("vau/eval", "vau/prompts", "vau/training")) for name in tails)


def test_wheel_metadata(direct):
    archive = zipfile.ZipFile(direct)
    info = next(name.split("/")[0] for name in archive.namelist() if ".dist-info/" in name)
    assert "vau = vau.cli:main" in archive.read(f"{info}/entry_points.txt").decode()
    assert f"{info}/licenses/LICENSE" in archive.namelist()
    metadata = archive.read(f"{info}/METADATA").decode()
    assert "Requires-Python: >=3.11" in metadata
    assert "License-Expression: Apache-2.0" in metadata
