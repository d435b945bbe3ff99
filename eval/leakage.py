"""What a system may have seen before it is tested: videos that two splits share, by name and by content.

Names are compared without folder and extension; contents by SHA-256, which finds a copy under another name but not a
video that was encoded anew. Knows no benchmark but the one whose overlap is famous: UCA's splits against the official
test split of UCF-Crime.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vau.errors import InputError
from vau.eval.names import canonical

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Overlap:
    """How the videos of a test split lie in the splits of another data set."""

    tested: int
    shared: Mapping[str, tuple[str, ...]]  # names by split of the other data set
    outside: tuple[str, ...]  # in none of them

    def counts(self) -> dict[str, int]:
        """Returns the number of test videos in each split, and in none under ``outside``."""
        return {name: len(videos) for name, videos in self.shared.items()} | {"outside": len(self.outside)}


@dataclass(frozen=True)
class Copies:
    """Files of two folders that have the same content."""

    training: int  # files looked at
    testing: int
    pairs: tuple[tuple[str, str], ...]  # file of the one, file of the other


def overlap(tested: Iterable[str], splits: Mapping[str, Iterable[str]]) -> Overlap:
    """Returns which test videos occur in which split of another data set, by name."""
    names = list(dict.fromkeys(canonical(name) for name in tested))
    known = {split: {canonical(name) for name in videos} for split, videos in splits.items()}
    shared = {split: tuple(name for name in names if name in videos) for split, videos in known.items()}
    outside = tuple(name for name in names if not any(name in videos for videos in known.values()))
    return Overlap(len(names), shared, outside)


def uca_leak(found: Overlap) -> str:
    """Returns the sentence that stands beside anomaly detection with captions on UCF-Crime's official test split."""
    counts = found.counts()
    return (
        f"Of the {found.tested} official test videos of UCF-Crime {counts['train']} are in UCA's training split, "
        f"{counts['val']} in its validation split, {counts['test']} in its test split and {counts['outside']} in none: "
        f"a captioner trained on UCA has seen the captions of {counts['train']}."
    )


def refuse_overlap(tested: Iterable[str], trained: Iterable[str], *, allow: bool = False) -> tuple[str, ...]:
    """Refuses a test on videos that a system was trained on.

    Args:
        tested: names of the test's videos.
        trained: names of the videos that the system was trained on.
        allow: whether the overlap is known and wanted; the sentence that is returned belongs beside the result.

    Returns:
        What has to be said of the overlap; nothing where there is none.

    Raises:
        InputError: there is an overlap, and it is not allowed.
    """
    found = overlap(tested, {"train": trained})
    shared = found.shared["train"]
    if not shared:
        return ()
    told = f"{len(shared)} of {found.tested} test videos were trained on, such as {shared[0]}."
    if not allow:
        raise InputError(f"{told} Test on others, or allow the leak; the result will say so")
    return (told,)


def copies(training: Path, testing: Path, suffixes: Iterable[str]) -> Copies:
    """Returns which files of two folders, subfolders included, hold the same bytes.

    Args:
        training: the one folder.
        testing: the other folder.
        suffixes: of the files to look at, such as ``.mp4``.

    Raises:
        InputError: a folder does not exist, or a file cannot be read.
    """
    wanted = {suffix.lower() for suffix in suffixes}
    first, second = _files(training, wanted), _files(testing, wanted)
    # Only files of equal size can be equal, so that most of a large data set is never read.
    sizes = {path.stat().st_size for path in first} & {path.stat().st_size for path in second}
    digests: dict[str, list[Path]] = defaultdict(list)
    for path in first:
        if path.stat().st_size in sizes:
            digests[sha256(path)].append(path)
    pairs = [
        (str(twin), str(path))
        for path in second
        if path.stat().st_size in sizes
        for twin in digests.get(sha256(path), ())
    ]
    return Copies(len(first), len(second), tuple(pairs))


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file's content; raises InputError where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    return digest.hexdigest()


def _files(folder: Path, suffixes: set[str]) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes and path.is_file())
