"""Checkpoints of trained scorers: a folder of named arrays, a typed card and a page for people; nothing executable.

`model.safetensors` holds the arrays, `card.json` says what they are (with a SHA-256 of the arrays' file and of itself,
so that mixed files and edits by hand are noticed), `README.md` tells it to people. Pickles are refused unread: loading
one runs the code inside. Needs NumPy only; which class the arrays belong to is known to `vau.scoring.load`.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from vau.errors import CheckpointError, InputError
from vau.files import replace_file
from vau.scoring.card import Calibration, Card, DataInfo, Metric, SplitInfo, readme

__all__ = [
    "Calibration",
    "Card",
    "DataInfo",
    "Metric",
    "SplitInfo",
    "claim_folder",
    "make_writable",
    "read_arrays",
    "read_checkpoint",
    "write_checkpoint",
]

FORMAT = "vau-scorer"
VERSION = 1
MODEL, CARD, README = "model.safetensors", "card.json", "README.md"
MAX_CARD_BYTES = 4 * 2**20
MAX_MODEL_BYTES = 4 * 2**30
_MAX_HEADER_BYTES = 16 * 2**20
_PICKLES = {".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".bin", ".joblib", ".npy", ".npz"}


def write_checkpoint(folder: Path, card: Card, arrays: dict[str, NDArray[Any]]) -> None:
    """Writes a checkpoint, the card last; each file appears whole or not at all.

    Args:
        folder: made where it is missing; a checkpoint that it holds is replaced.
        card: what the arrays are.
        arrays: numbers and booleans by name; NaN and infinity are refused.

    Raises:
        CheckpointError: an array cannot be stored, or the folder holds something else.
        InputError: the folder cannot be written.
    """
    folder = Path(folder)
    for name, array in arrays.items():
        _check_array(name, array)
    claim_folder(folder, force=True)
    content = save({name: np.array(array, order="C") for name, array in arrays.items()})
    told = card.model_dump(mode="json")
    envelope = {
        "format": FORMAT,
        "version": VERSION,
        "model_sha256": hashlib.sha256(content).hexdigest(),
        "card_sha256": _digest(told),
        "card": told,
    }
    text = json.dumps(envelope, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    if len(text.encode()) > MAX_CARD_BYTES:
        raise CheckpointError(f"the card would have {len(text.encode())} bytes, more than {MAX_CARD_BYTES}")
    replace_file(folder / MODEL, content)
    replace_file(folder / README, readme(card).encode())
    replace_file(folder / CARD, text.encode())


def claim_folder(folder: Path, force: bool) -> None:
    """Makes sure that a checkpoint can be written to a folder; to be called before the work that leads to one.

    Args:
        folder: made where it is missing.
        force: whether a checkpoint that it holds may be replaced; anything else never is.

    Raises:
        CheckpointError: it is a file, or holds a checkpoint that may not be replaced, or something else.
        InputError: it cannot be made or written.
    """
    folder = Path(folder)
    try:
        if folder.exists() and not folder.is_dir():
            raise CheckpointError(f"{folder}: is a file; a checkpoint is a folder")
        if folder.is_dir() and any(folder.iterdir()):
            try:
                _read_envelope(folder / CARD)
            except CheckpointError as error:
                raise CheckpointError(
                    f"{folder}: holds something that is not a checkpoint; choose another folder ({error})"
                ) from error
            if not force:
                raise CheckpointError(f"{folder}: holds a checkpoint; choose another folder, or --force to replace it")
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror or error}") from error
    make_writable(folder)


def make_writable(folder: Path) -> None:
    """Makes a folder where it is missing, and tries that files can be written to it.

    Raises:
        InputError: it is a file, or cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"{folder}: no folder that can be written ({error.strerror or error})") from error


def read_checkpoint(folder: Path) -> tuple[Card, dict[str, NDArray[Any]]]:
    """Reads and checks a checkpoint.

    Returns:
        The card and the arrays by name, all finite.

    Raises:
        CheckpointError: there is none, it is a pickle, of another format or a later version, too large, or damaged.
    """
    folder = Path(folder)
    _refuse_pickles(folder)
    try:
        card, expected = _read_card(folder / CARD)
        found = _sha256(folder / MODEL)
    except OSError as error:
        raise CheckpointError(f"{error.filename or folder}: {error.strerror}; a checkpoint needs it") from error
    if found != expected:
        raise CheckpointError(f"{folder / MODEL}: not the file that {CARD} was written with; it is damaged or mixed up")
    return card, read_arrays(folder / MODEL)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Reads a safetensors file.

    Raises:
        CheckpointError: the file is missing, truncated, larger than 4 GiB, no safetensors, or holds NaN.
    """
    try:
        _check_head(path)
        with safe_open(path, framework="numpy") as file:
            arrays = {name: np.asarray(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118 - not a dict
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}") from error
    except (SafetensorError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{path}: not readable as safetensors: {str(error)[:200]}") from error
    for name, array in arrays.items():
        _check_array(name, array)
    return arrays


def _refuse_pickles(folder: Path) -> None:
    advice = "such a file can run code when it is opened, so it is refused unread; give the folder of a vau checkpoint"
    if folder.is_file():
        kind = "a pickle or of an unknown format" if folder.suffix.lower() in _PICKLES else "a file"
        raise CheckpointError(f"{folder}: is {kind}: {advice}")
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: no such folder; a checkpoint is a folder with {CARD} and {MODEL}")
    if (folder / CARD).exists() and (folder / MODEL).exists():
        return
    strange = sorted(item.name for item in folder.iterdir() if item.suffix.lower() in _PICKLES)
    if strange:
        raise CheckpointError(f"{folder}: holds {strange[0]} instead of {CARD} and {MODEL}: {advice}")
    missing = CARD if not (folder / CARD).exists() else MODEL
    raise CheckpointError(f"{folder}: {missing} is missing; a checkpoint is a folder with {CARD} and {MODEL}")


def _read_envelope(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise CheckpointError(f"{path}: {'a folder, pipe or device, not a file' if path.exists() else 'no such file'}")
    if path.stat().st_size > MAX_CARD_BYTES:
        raise CheckpointError(f"{path}: {path.stat().st_size} bytes; more than {MAX_CARD_BYTES} are refused")
    try:
        data = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not readable as JSON: {str(error)[:200]}") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not the card of a vau scorer")
    return data


def _read_card(path: Path) -> tuple[Card, str]:
    data = _read_envelope(path)
    version = data.get("version")
    if type(version) is not int or version < 1:
        raise CheckpointError(f"{path}: version must be a whole number from 1 on, got {str(version)[:40]!r}")
    if version > VERSION:
        raise CheckpointError(f"{path}: version {version} is newer than this vau reads ({VERSION}); upgrade vau")
    try:
        card = Card.model_validate(data.get("card"))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))[:100] or "card"
        raise CheckpointError(f"{path}: {place}: {first['msg'][:200]}") from error
    if data.get("card_sha256") != _digest(data["card"]):
        raise CheckpointError(
            f"{path}: changed since the training wrote it, so that it need not be true of {MODEL} any more; restore "
            "it, or train again"
        )
    return card, str(data.get("model_sha256"))


def _digest(card: object) -> str:
    """Returns a SHA-256 over the values of a card, whatever their order and layout. It finds edits, not forgery."""
    return hashlib.sha256(json.dumps(card, sort_keys=True).encode()).hexdigest()


def _check_head(path: Path) -> None:
    """Refuses what is no plain safetensors file before a parser sees it."""
    if not path.is_file():
        raise CheckpointError(f"{path}: {'a folder, pipe or device, not a file' if path.exists() else 'no such file'}")
    size = path.stat().st_size
    if size > MAX_MODEL_BYTES:
        raise CheckpointError(f"{path}: {size} bytes; more than {MAX_MODEL_BYTES} are refused")
    with path.open("rb") as file:
        head = file.read(9)
    # A header's length comes first, little-endian; no pickle and no zip archive (which torch.save writes) passes.
    if len(head) < 9 or head[8:] != b"{" or int.from_bytes(head[:8], "little") > min(_MAX_HEADER_BYTES, size - 8):
        raise CheckpointError(f"{path}: not a safetensors file, or cut short; pickles are refused unread")


def _sha256(path: Path) -> str:
    _check_head(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_array(name: str, array: NDArray[Any]) -> None:
    if array.dtype.kind not in "fiub":
        raise CheckpointError(f"array {name!r}: {array.dtype} cannot be stored; numbers and booleans can")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise CheckpointError(f"array {name!r} holds NaN or infinity")
