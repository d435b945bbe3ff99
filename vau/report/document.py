"""Reports as JSON: an exact, versioned, strictly checked round trip between `vau.types.Report` and a file.

Pictures travel inside as base64, so that one file is all that `vau ask` needs. Reading trusts nothing: a file that is
too large, not JSON, of another version, malformed or inconsistent ends in a ReportError that says where.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vau.errors import ReportError
from vau.report import wire
from vau.report.decode import decode
from vau.report.encode import encode
from vau.report.files import write_bytes
from vau.types import Report

MAX_JSON_BYTES = 256 * 2**20


def to_dict(report: Report, *, keypoints: bool = True) -> dict[str, Any]:
    """Returns the report as plain data of schema 1.1.

    Everything comes back from `from_dict` as it was, but for boxes and keypoints (rounded to 0.1 pixel) and flow
    (rounded to 0.0001), and for lone surrogates in text, which UTF-8 cannot hold.

    Args:
        report: the report.
        keypoints: whether to keep the poses of tracks, the bulk of a long video's report.

    Raises:
        ReportError: the report's parts name each other wrongly (a relation of an unknown track, two events of one id),
            or a value fits no report (NaN in a measure, a time below 0).
    """
    check_links(report)
    data = encode(report, keypoints=keypoints)
    try:
        wire.ReportPart.model_validate(data)
    except ValidationError as error:
        raise ReportError(f"the report does not fit schema {wire.SCHEMA_VERSION}: {_first(error)}") from error
    return data


def from_dict(data: Mapping[str, Any]) -> Report:
    """Builds a report from plain data of schema 1.0 or 1.1.

    Raises:
        ReportError: another schema version, a missing, unknown or wrong value, or parts that do not fit together.
    """
    version = data.get("schema_version") if isinstance(data, Mapping) else None
    if version not in wire.READABLE:
        raise ReportError(
            f"schema_version is {str(version)[:40]!r}, but this vau reads {' and '.join(wire.READABLE)}; "
            "analyse the video again, or read the report with the vau that wrote it"
        )
    if version == "1.0" and "narration" in data:
        raise ReportError("not a vau report: narration: schema 1.0 knows no such key")
    try:
        part = wire.ReportPart.model_validate({**data, "schema_version": wire.SCHEMA_VERSION})
        report = decode(part)
    except ValidationError as error:
        raise ReportError(f"not a vau report: {_first(error)}") from error
    except (ValueError, OverflowError) as error:
        raise ReportError(f"not a vau report: {str(error)[:300]}") from error
    check_links(report)
    return report


def write_json(report: Report, path: Path, *, keypoints: bool = True) -> Path:
    """Writes the report as one JSON file, atomically; returns the path.

    Raises:
        ReportError: the file cannot be written, or the report is inconsistent.
    """
    text = json.dumps(to_dict(report, keypoints=keypoints), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return write_bytes(text.encode("utf-8") + b"\n", path)


def read_json(path: Path, *, max_bytes: int = MAX_JSON_BYTES) -> Report:
    """Reads a report that `write_json` wrote.

    Args:
        path: the file.
        max_bytes: a larger file is refused unread.

    Raises:
        ReportError: the file is missing, too large, not JSON, of another schema, or damaged.
    """
    try:
        if path.exists() and not path.is_file():
            raise ReportError(f"{path}: not a regular file; give the report.json that `vau analyze` wrote")
        with path.open("rb") as file:
            raw = file.read(max_bytes + 1)
    except OSError as error:
        raise ReportError(f"cannot read {path}: {error.strerror}") from error
    if len(raw) > max_bytes:
        raise ReportError(f"{path}: a report larger than {max_bytes} bytes is refused")
    try:
        data = json.loads(raw.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_no_twins)
        if not isinstance(data, dict):
            raise ReportError(f"holds {type(data).__name__}, not an object")
        return from_dict(data)
    except ReportError as error:
        raise ReportError(f"{path}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{path}: not readable as JSON: {str(error)[:200]}; analyse the video again") from error


def check_links(report: Report) -> None:
    """Raises ReportError where ids are used twice or name something that the report does not hold."""
    tracks = _unique("track", (track.track_id for track in report.tracks))
    events = _unique("event", (event.event_id for event in report.events))
    relations = _unique("relation", (relation.relation_id for relation in report.relations))
    _unique("keyframe", (keyframe.keyframe_id for keyframe in report.keyframes))
    _unique("change", (change.change_id for change in report.changes))
    _unique("account", (account.event_id for account in report.accounts))
    for relation in report.relations:
        for track_id in (relation.subject, relation.object):
            if track_id is not None and track_id not in tracks:
                raise ReportError(f"relation {relation.relation_id!r} names track {track_id}, which is not there")
    for change in report.changes:
        if change.relation_id not in relations:
            raise ReportError(f"change {change.change_id!r} names relation {change.relation_id!r}, which is not there")
    for keyframe in report.keyframes:
        if keyframe.event_id and keyframe.event_id not in events:
            raise ReportError(
                f"keyframe {keyframe.keyframe_id!r} names event {keyframe.event_id!r}, which is not there"
            )
    for account in report.accounts:
        if account.event_id is not None and account.event_id not in events:
            raise ReportError(f"an account names event {account.event_id!r}, which is not there")
    for told in report.narration.events if report.narration is not None else ():
        if told.event_id is not None and told.event_id not in events:
            raise ReportError(f"the narration names event {told.event_id!r}, which is not there")


def _first(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(step)[:60] for step in first["loc"][:8]) or "the whole"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{place}: {first['msg'][:200]}{more}"


def _unique(name: str, ids: Iterable[Hashable]) -> set[Hashable]:
    seen: set[Hashable] = set()
    for value in ids:
        if value in seen:
            raise ReportError(f"two {name}s have the id {str(value)[:60]!r}")
        seen.add(value)
    return seen


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number that JSON knows")


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("an object names the same key twice")
    return result
