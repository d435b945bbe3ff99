"""Looks for videos that are trained on and tested on: the same recording under the same name, or the same file.

UCA's training split holds 214 of the 290 official test videos of UCF-Crime, so that a captioner trained on it has seen
the answers. Names are compared without folder, ending and encoder's mark; the content of files by SHA-256.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from vau.errors import InputError
from vau.eval.names import canonical
from vau.training.data.records import Record, read_records

MAX_NAMES_BYTES = 64 * 2**20
_MARK = re.compile(r"[_-](?:x264|x265|h264|hevc)$")


def key(name: str) -> str:
    """Returns the name by which a video is compared: lower case, no folder, no ending, no encoder's mark."""
    return name if name.startswith("simulated:") else _MARK.sub("", canonical(name).casefold())


def find_leaks(train: Iterable[Record], held_out: Iterable[str], *, contents: bool = False) -> list[str]:
    """Returns the ids of training records whose video or recording is held out, in order.

    Args:
        train: records to train on.
        held_out: names or paths of test videos, or their recordings.
        contents: compare the content of files that exist too; reads all of them.
    """
    names = list(held_out)
    keys = {key(name) for name in names}
    digests = {_digest(name) for name in names} - {None} if contents else set()
    return [
        record.id
        for record in train
        if {key(record.video), key(record.origin)} & keys or (digests and _digest(record.video) in digests)
    ]


def refuse_leaks(train: Sequence[Record], held_out: Iterable[str]) -> None:
    """Stops where a training video is held out; raises InputError that names some."""
    leaks = find_leaks(train, held_out)
    if leaks:
        raise InputError(
            f"{len(leaks)} of {len(train)} training videos are held out for testing, such as {', '.join(leaks[:3])}; "
            "take them out of the training data"
        )


def read_held_out(path: Path) -> list[str]:
    """Reads names of test videos: records as JSON lines, or a plain list, one name a line.

    Raises:
        InputError: the file cannot be read or is too large.
    """
    if path.suffix == ".jsonl":
        return [name for record in read_records(path) for name in {record.video, record.origin}]
    try:
        if path.stat().st_size > MAX_NAMES_BYTES:
            raise InputError(f"{path}: larger than {MAX_NAMES_BYTES} bytes")
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8") from error
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _digest(name: str) -> str | None:
    path = Path(name)
    if name.startswith("simulated:") or not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
