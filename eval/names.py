"""One name for one video, however an annotation, a score file or a folder writes it.

Folders and a known extension are taken off, nothing else: names of XD-Violence hold dots and hashes of their own. What
a data set's name may look like beyond that is the data set's rule (`Dataset.rename`).
"""

from __future__ import annotations

EXTENSIONS = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".npy", ".npz", ".mat", ".txt", ".json", ".csv", ".h5")
MAX_NAME = 512


def canonical(name: str) -> str:
    """Returns a video's name without folders and without a known extension."""
    stem = name.strip().replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    lowered = stem.lower()
    for extension in EXTENSIONS:
        if lowered.endswith(extension):
            return stem[: -len(extension)]
    return stem
