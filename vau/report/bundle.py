"""All outputs of one video in one folder.

Knows the files' names and nothing of their insides. The JSON comes first: it alone is enough to make the rest again.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vau.report.document import write_json
from vau.report.files import write_bytes
from vau.report.html import write_html
from vau.report.subtitles import write_srt, write_vtt
from vau.report.tables import write_events, write_relations, write_scores
from vau.types import Report


def write_all(
    report: Report,
    folder: Path,
    *,
    video_href: str | None = None,
    licences: Mapping[str, str] | None = None,
    keypoints: bool = True,
    pictures: bool = False,
) -> dict[str, Path]:
    """Writes report.json, report.html, events.srt, events.vtt, events.csv, relations.csv and scores.csv.

    Args:
        report: what to write.
        folder: where; made where it is missing, files of the same names are replaced.
        video_href: path of the video relative to `folder`, to be played in the page; None shows keyframes only.
        licences: licence of each model, by the model's name in `report.models`.
        keypoints: whether the JSON keeps the poses of tracks.
        pictures: whether to write keyframes as files too (keyframes/*.jpg); the JSON and the page hold them anyway.

    Returns:
        The path of each file by its name; pictures under ``keyframes/NAME``.

    Raises:
        ReportError: a file cannot be written, or the report is inconsistent.
    """
    written = {
        "report.json": write_json(report, folder / "report.json", keypoints=keypoints),
        "report.html": write_html(report, folder / "report.html", video_href=video_href, licences=licences),
        "events.srt": write_srt(report, folder / "events.srt"),
        "events.vtt": write_vtt(report, folder / "events.vtt"),
        "events.csv": write_events(report, folder / "events.csv"),
        "relations.csv": write_relations(report, folder / "relations.csv"),
        "scores.csv": write_scores(report, folder / "scores.csv"),
    }
    if pictures:
        for number, keyframe in enumerate(report.keyframes, 1):
            if keyframe.jpeg:
                # Names are made of numbers alone: ids may come from anywhere.
                name = f"{number:03d}-{keyframe.phase}-{keyframe.time_s:.2f}s.jpg"
                written[f"keyframes/{name}"] = write_bytes(keyframe.jpeg, folder / "keyframes" / name)
    return written
