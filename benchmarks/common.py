"""What the measuring commands share: tables, progress, a note on the machine, an AUC with its interval, a baseline.

Knows no data set and no model. Imports stay light, since a command that measures memory of its children uses it too.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from vau import __version__
from vau.config import VideoConfig
from vau.eval.frame import LabelledScores
from vau.eval.metrics.bootstrap import pooled_auc_interval
from vau.eval.metrics.ranking import pooled_auc

Item = TypeVar("Item")

_BASELINE_SIDE = 320  # pixels; enough for a difference of grey levels
_BUSY = 0.5  # load at the start above which timings say little


@dataclass(frozen=True)
class Area:
    """An ROC area with its 95 % bootstrap interval; without one where a single group is all there is."""

    auc: float
    interval: tuple[float, float] | None

    def __str__(self) -> str:
        return f"{self.auc:.3f}" + (" [{:.3f}, {:.3f}]".format(*self.interval) if self.interval else "")


def area(groups: Sequence[LabelledScores]) -> Area | None:
    """Returns the ROC area over all scores, with whole groups resampled; None where one class is all there is."""
    labels = [label for group in groups for label in group.labels.tolist()]
    if all(labels) or not any(labels):
        return None
    return Area(pooled_auc(groups), pooled_auc_interval(groups))


def grey_differences(path: Path, config: VideoConfig) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns times (M,) of the frames at the motion rate and (M,) their mean absolute grey difference, 0 to 1.

    Each value compares a frame with the one before it; the first is 0.
    """
    import cv2

    from vau.video import open_stream

    times, differences, before = [], [], None
    for batch in open_stream(path, config, fps=config.motion_fps, max_side=_BASELINE_SIDE):
        for image, time_s in zip(batch.images, batch.times_s, strict=True):
            grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64) / 255
            times.append(float(time_s))
            differences.append(0.0 if before is None else float(np.abs(grey - before).mean()))
            before = grey
    return np.array(times), np.array(differences)


def options_of(doc: str | None, *arguments: tuple[str, dict[str, Any]]) -> argparse.Namespace:
    """Parses the command line: the given arguments, and `--json`, which every command has."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, settings in arguments:
        parser.add_argument(name, **settings)
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all figures to this file")
    return parser.parse_args()


def watched(items: Sequence[Item], title: str) -> Iterable[Item]:
    """Yields the items while standard error shows how many are done and how long the rest takes."""
    return track(items, title, console=Console(stderr=True), transient=True)


def print_table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Prints a Markdown table and an empty line; None appears as a dash."""
    print(_line(head))
    print("|---" * len(head) + "|")
    for row in rows:
        print(_line(row))
    print()


def _line(cells: Sequence[object]) -> str:
    texts = ("-" if cell is None else " ".join(str(cell).split()).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(texts)} |"


def share(hits: Sequence[bool]) -> str | None:
    """Returns how many of all are true, such as ``7/10 (70 %)``; None for none at all."""
    return f"{sum(hits)}/{len(hits)} ({sum(hits) / len(hits):.0%})".replace("%", " %") if hits else None


def machine() -> dict[str, Any]:
    """Returns what the figures were measured with, and says on standard error where the machine is busy."""
    load = os.getloadavg()[0]
    if load > _BUSY:
        Console(stderr=True).print(f"The load of this machine is {load:.1f}: timings will not hold.", style="yellow")
    return {
        "vau": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": len(os.sched_getaffinity(0)),
        "load_at_start": load,
    }


def write_json(path: Path | None, data: dict[str, Any]) -> None:
    """Writes figures as JSON, dataclasses and arrays as plain data; does nothing without a path."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data, indent=1, allow_nan=False, default=_plain) + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    return np.round(value, 6).tolist() if isinstance(value, np.ndarray | np.generic) else asdict(value)
