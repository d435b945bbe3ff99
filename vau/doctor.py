"""What this machine can run: packages, readers, weights, optional extras, GPU; what is missing and how to get it.

Knows nothing of how it is shown. Nothing is downloaded or changed; packages are found by their metadata, and only
OpenCV is imported, because a missing system library shows in no metadata.
"""

from __future__ import annotations

import importlib
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from vau import __version__, weights

State = Literal["ok", "missing", "optional"]  # optional: absent, and the embedded default runs without it
PYTHON_MINIMUM = (3, 11)
SYSTEM_LIBRARIES = "apt-get install libgl1 libglib2.0-0"
READERS = {"pyav": "av", "torchcodec": "torchcodec", "decord": "decord"}
_NOT_FOR_USERS = frozenset({"all", "dev"})
_QUERY_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    section: str
    name: str
    state: State
    detail: str
    remedy: str = ""  # a command, or what to do; empty where nothing needs doing


@dataclass(frozen=True)
class Diagnosis:
    """All checks, and what follows from them."""

    checks: tuple[Check, ...]
    abilities: tuple[str, ...]  # what can run now, in sentences

    @property
    def ready(self) -> bool:
        """Whether the embedded default can run."""
        return not any(check.state == "missing" for check in self.checks)

    @property
    def remedies(self) -> tuple[str, ...]:
        """What to do for what is missing, then for what is optional; each once."""
        ordered = sorted((check for check in self.checks if check.remedy), key=lambda check: check.state != "missing")
        return tuple(dict.fromkeys(check.remedy for check in ordered))


def examine(folder: Path | None = None) -> Diagnosis:
    """Looks at this machine.

    Args:
        folder: of the weights; None for the default one.
    """
    required, extras = requirements()
    checks = [_python(), *_packages(required), _opencv(), _single_opencv(), *_readers()]
    checks += [*_weights(folder), *_extras(extras), _gpu(), _cores()]
    return Diagnosis(tuple(checks), tuple(_abilities(checks)))


def requirements() -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Returns the packages that `vau` needs, and those that each extra adds, from the installed metadata."""
    try:
        lines = metadata.requires("vau") or []
    except metadata.PackageNotFoundError:
        lines = []  # run from a source tree that is not installed
    core: list[str] = []
    extras: dict[str, list[str]] = {}
    for line in lines:
        name = re.match(r"[A-Za-z0-9._-]+", line)
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", line)
        if name is None or (extra is not None and extra[1] in _NOT_FOR_USERS):
            continue
        (core if extra is None else extras.setdefault(extra[1], [])).append(name[0])
    return tuple(core), {name: tuple(packages) for name, packages in extras.items()}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _python() -> Check:
    fine = sys.version_info >= PYTHON_MINIMUM
    wanted = ".".join(map(str, PYTHON_MINIMUM))
    detail = f"{platform.python_version()} at {sys.executable}, {platform.system()} {platform.machine()}"
    return Check("system", "python", "ok" if fine else "missing", detail, "" if fine else f"install Python {wanted}+")


def _packages(names: Sequence[str]) -> list[Check]:
    if not names:
        detail = "run from a source tree; what vau and its extras need is known only once it is installed"
        return [Check("packages", f"vau {__version__}", "optional", detail, "pip install .")]
    checks = [Check("packages", "vau", "ok", __version__)]
    for name in names:
        found = _version(name)
        remedy = "" if found else f'pip install "{name}"'
        checks.append(Check("packages", name, "ok" if found else "missing", found or "not installed", remedy))
    return checks


def _opencv() -> Check:
    try:
        cv2 = importlib.import_module("cv2")
    except ImportError as error:
        absent = isinstance(error, ModuleNotFoundError) and error.name == "cv2"
        remedy = "pip install opencv-python" if absent else SYSTEM_LIBRARIES
        return Check("system", "cv2 loads", "missing", str(error), remedy)
    return Check("system", "cv2 loads", "ok", f"{cv2.__version__}, with the system libraries that it needs")


def _single_opencv() -> Check:
    # Two distributions that both bring cv2 overwrite each other's files; which of them runs is then chance.
    found = sorted(set(metadata.packages_distributions().get("cv2", [])))
    if len(found) > 1:
        remedy = f"pip uninstall --yes {' '.join(found)} && pip install --force-reinstall --no-deps opencv-python"
        return Check("system", "one OpenCV", "missing", "several packages bring cv2: " + ", ".join(found), remedy)
    return Check("system", "one OpenCV", "ok", ", ".join(found) or "none installed")


def _readers() -> list[Check]:
    checks = []
    for reader, package in READERS.items():
        found = _version(package)
        if found is None and reader == "pyav":
            continue  # already among the packages
        remedy = "" if found else f'pip install "vau[{reader}]"'
        detail = f"{package} {found}" if found else "not installed"
        checks.append(Check("readers", reader, "ok" if found else "optional", detail, remedy))
    return checks


def _weights(folder: Path | None) -> list[Check]:
    checks = []
    for line in weights.listing(folder):
        file = line.file
        ready = line.state == "ready"
        state: State = "ok" if ready else "missing" if file.extra is None else "optional"
        command = weights.FETCH_COMMAND + (f" {file.model}" if file.extra else "")
        detail = f"{line.state}, {file.size / 1e6:.1f} MB, {file.licence}"
        checks.append(Check("weights", file.name, state, detail, "" if ready else command))
    return checks


def _extras(extras: dict[str, tuple[str, ...]]) -> list[Check]:
    checks = []
    for extra, packages in extras.items():
        absent = [name for name in packages if _version(name) is None]
        have = ", ".join(f"{name} {_version(name)}" for name in packages if name not in absent)
        detail = have if not absent else "without " + ", ".join(absent)
        remedy = f'pip install "vau[{extra}]"' if absent else ""
        checks.append(Check("extras", extra, "optional" if absent else "ok", detail, remedy))
    return checks


def _gpu() -> Check:
    """Asks NVIDIA's own tool, which is there wherever the driver is; importing torch to ask would take seconds."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return Check("system", "gpu", "optional", "none found (no nvidia-smi); everything runs on the processor")
    command = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command, found on the path
            command, capture_output=True, text=True, errors="replace", timeout=_QUERY_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check("system", "gpu", "optional", f"nvidia-smi failed: {error}")
    lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    if done.returncode or not lines:
        return Check("system", "gpu", "optional", "none found by nvidia-smi; everything runs on the processor")
    return Check("system", "gpu", "ok", "; ".join(lines))


def _cores() -> Check:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Check("system", "processor", "ok", f"{usable} usable cores")


def _abilities(checks: list[Check]) -> list[str]:
    """Says what can run, from what was found; a model runs when its package and its weights are both there."""
    ok = {(check.section, check.name) for check in checks if check.state == "ok"}
    lacking = [check.name for check in checks if check.state == "missing"]
    if lacking:
        able = ["The embedded default cannot run yet: " + ", ".join(lacking) + "."]
    else:
        able = ["The embedded default runs: detector ssd, pose MoveNet, embedder efficientnet, questions by MiniLM."]
    if ("extras", "yolo") in ok:
        packaged = ("weights", "yolov8n") in ok
        able.append(
            "The yolo detector runs (perception.detector: yolo)"
            + ("." if packaged else " with your own weights (perception.yolo_weights).")
        )
    if ("extras", "clip") in ok:
        able.append("The open_clip embedder runs (perception.embedder: open_clip).")
    readers = [check.name for check in checks if check.section == "readers" and check.state == "ok"]
    if readers:
        able.append("Video readers: " + ", ".join(readers) + " (video.reader).")
    return able
