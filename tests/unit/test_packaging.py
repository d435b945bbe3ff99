"""What the distribution promises: a light import, one import package, folders mapped in, extras as documented."""

from __future__ import annotations

import subprocess
import sys
import time
import tomllib
from itertools import chain
from pathlib import Path

import pytest

import vau

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("cv2", "av", "torch", "scipy", "trackers", "supervision", "ai_edge_litert", "tokenizers", "sklearn", "jinja2")
EXTRAS = {
    *("mllm", "serve", "clip", "yolo", "scorers", "gpu", "train", "eval", "logging"),
    *("app", "decord", "torchcodec", "ray", "dev", "all"),
}


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def loaded_by(statement: str, *names: str) -> list[str]:
    code = f"import sys; {statement}; print(*[n for n in {names!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.split()


def test_importing_vau_loads_nothing_heavy():
    assert loaded_by("import vau", *HEAVY, "numpy", "pydantic", "networkx") == []


def test_importing_the_command_line_loads_no_stage():
    assert loaded_by("import vau.cli", *HEAVY, "numpy", "pydantic", "networkx", "vau.types") == []


def test_the_public_names_load_without_torch_or_opencv():
    assert loaded_by("from vau import Config, Report", "torch", "cv2", "av") == []


def test_import_takes_under_a_second():
    def seconds() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import vau"], check=True, cwd=ROOT)
        return time.perf_counter() - start

    assert min(seconds() for _ in range(3)) < 1.0


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="analyse"):
        vau.analyse  # noqa: B018


@pytest.mark.parametrize("name", ["eval", "prompts", "training"])
def test_folders_are_seen_inside_the_package(name):
    done = subprocess.run(
        [sys.executable, "-c", f"import vau.{name} as m; print(m.__file__)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert Path(done.stdout.strip()).resolve() == ROOT / name / "__init__.py"
    assert (ROOT / "vau" / name).is_symlink()


def test_versions_agree(project):
    assert vau.__version__ == project["project"]["version"]
    assert f"## [{vau.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_extras_are_the_documented_ones(project):
    extras = project["project"]["optional-dependencies"]
    assert set(extras) == EXTRAS
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for extra in EXTRAS:
        assert f"`{extra}`" in readme, extra
    every = extras["all"][0].removeprefix("vau[").removesuffix("]").split(",")
    assert set(every) == EXTRAS - {"dev", "all", "gpu"}  # vllm has its own idea of the version of transformers


def test_the_core_needs_no_torch(project):
    names = " ".join(project["project"]["dependencies"])
    assert not any(heavy in names for heavy in ("torch", "transformers", "ultralytics", "gradio"))


def test_core_and_extras_bring_one_opencv(project):
    lines = [*project["project"]["dependencies"], *chain(*project["project"]["optional-dependencies"].values())]
    assert {line.split(">")[0] for line in lines if line.startswith("opencv")} == {"opencv-python"}


def test_every_weight_file_is_in_the_readme():
    from vau.weights import FILES

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for file in FILES:
        assert f"`{file.name}`" in readme, file.name
        assert file.requirement in readme
        assert file.sha256[:12] in readme
        assert file.licence in readme


def test_documents_are_there():
    for name in ("LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "PAPERS.md"):
        assert (ROOT / name).stat().st_size > 500, name
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert (ROOT / "vau" / "py.typed").is_file()
