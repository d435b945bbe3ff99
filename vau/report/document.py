"""Reports as JSON: an exact, versioned, strictly checked round trip between `vau.types.Report` and a file.

Pictures travel inside as base64, so that one file is all that `vau ask` needs. Reading trusts nothing: a file that is
too large, not JSON, of another version, malformed or inconsistent ends in a ReportError that says where.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from vau.errors import ReportError
from vau.report import wire
from vau.report.files import write_bytes
from vau.types import (
    Account,
    Claim,
    Event,
    EvidenceGraph,
    Keyframe,
    Measure,
    Relation,
    RelationChange,
    Report,
    ScoreTrack,
    Segments,
    Track,
    VideoInfo,
)

MAX_JSON_BYTES = 256 * 2**20
NO_POSE = [[0.0, 0.0, 0.0]] * 17


def to_dict(report: Report, *, keypoints: bool = True) -> dict[str, Any]:
    """Returns the report as plain data of schema 1.0.

    Everything comes back from `from_dict` as it was, but for boxes and keypoints (rounded to 0.1 pixel) and flow
    (rounded to 0.0001), and for lone surrogates in text, which UTF-8 cannot hold.

    Args:
        report: the report.
        keypoints: whether to keep the poses of tracks, the bulk of a long video's report.

    Raises:
        ReportError: the report's parts name each other wrongly (a relation of an unknown track, two events of one id).
    """
    check_links(report)
    return {
        "schema_version": wire.SCHEMA_VERSION,
        "video": _video(report.video),
        "config_digest": _text(report.config_digest),
        "versions": [{"package": _text(name), "version": _text(version)} for name, version in report.versions],
        "models": [_text(name) for name in report.models],
        "notes": [_text(note) for note in report.notes],
        "accounts": [_account(account) for account in report.accounts],
        "events": [_event(event) for event in report.events],
        "scores": {
            "scorer": _text(report.scores.scorer),
            "signals": [_text(name) for name in report.scores.signals],
            "times_s": report.scores.times_s.tolist(),
            "scores": _shortest(report.scores.scores),
            "contributions": _shortest(report.scores.contributions),
        },
        "segments": {
            "edges_s": report.segments.edges_s.tolist(),
            "strengths": _shortest(report.segments.strengths),
        },
        "keyframes": [_keyframe(keyframe) for keyframe in report.keyframes],
        "tracks": [_track(track, keypoints) for track in report.tracks],
        "relations": [_relation(relation) for relation in report.relations],
        "changes": [
            {
                "change_id": _text(change.change_id),
                "relation_id": _text(change.relation_id),
                "kind": change.kind,
                "time_s": float(change.time_s),
                "sharpness": float(change.sharpness),
            }
            for change in report.changes
        ],
        "graph": _graph(report.graph.graph),
        "timings_s": [{"stage": _text(stage), "seconds": float(seconds)} for stage, seconds in report.timings_s],
    }


def from_dict(data: Mapping[str, Any]) -> Report:
    """Builds a report from plain data of schema 1.0.

    Raises:
        ReportError: another schema version, a missing, unknown or wrong value, or parts that do not fit together.
    """
    version = data.get("schema_version") if isinstance(data, Mapping) else None
    if version != wire.SCHEMA_VERSION:
        raise ReportError(
            f"schema_version is {str(version)[:40]!r}, but this vau reads {wire.SCHEMA_VERSION!r}; "
            "analyse the video again, or read the report with the vau that wrote it"
        )
    try:
        part = wire.ReportPart.model_validate(data)
        report = _report(part)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(step)[:60] for step in first["loc"][:8]) or "the whole"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise ReportError(f"not a vau report: {place}: {first['msg'][:200]}{more}") from error
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
            raise ReportError(f"keyframe {keyframe.keyframe_id!r} names event {keyframe.event_id!r}, which is not there")
    for account in report.accounts:
        if account.event_id is not None and account.event_id not in events:
            raise ReportError(f"an account names event {account.event_id!r}, which is not there")


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


def _text(value: str) -> str:
    # Names of files may hold undecodable bytes as lone surrogates, which no UTF-8 file can carry.
    return value.encode("utf-8", "replace").decode("utf-8")


def _shortest(values: NDArray[np.float32]) -> list[Any]:
    """Returns float32 values as the shortest decimals that read back as the same float32."""
    flat = [float(text) for text in values.ravel().astype(str)]
    return flat if values.ndim == 1 else [flat[row * values.shape[1] : (row + 1) * values.shape[1]] for row in range(len(values))]


def _rounded(values: NDArray[Any], decimals: int) -> list[Any]:
    # Adding 0 turns -0.0 into 0.0, which would otherwise read as a sign that was measured.
    result: list[Any] = (np.round(values.astype(np.float64), decimals) + 0.0).tolist()
    return result


def _video(video: VideoInfo) -> dict[str, Any]:
    names = ("duration_s", "width", "height", "nominal_fps", "n_frames", "variable_rate", "truncated", "rotation")
    base = video.source.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    return {
        "source": _text(base)[:500],
        "sha256": video.sha256,
        "codec": _text(video.codec),
        "container": _text(video.container),
        **{name: getattr(video, name) for name in names},
    }


def _event(event: Event) -> dict[str, Any]:
    numbers = ("start_s", "end_s", "peak_s", "score", "start_strength", "end_strength")
    return {
        "event_id": _text(event.event_id),
        "label": None if event.label is None else _text(event.label),
        **{name: float(getattr(event, name)) for name in numbers},
        "signals": [{"name": _text(name), "mean": float(mean)} for name, mean in event.signals],
    }


def _keyframe(keyframe: Keyframe) -> dict[str, Any]:
    return {
        "keyframe_id": _text(keyframe.keyframe_id),
        "time_s": float(keyframe.time_s),
        "phase": keyframe.phase,
        "event_id": _text(keyframe.event_id),
        "jpeg": base64.b64encode(keyframe.jpeg).decode("ascii"),
        "width": int(keyframe.width),
        "height": int(keyframe.height),
    }


def _track(track: Track, keypoints: bool) -> dict[str, Any]:
    poses: list[Any] | None = None
    if keypoints and track.keypoints is not None:
        rounded = np.concatenate([np.round(track.keypoints[..., :2], 1), np.round(track.keypoints[..., 2:], 3)], axis=-1)
        seen = (track.keypoints[..., 2] > 0).any(axis=1)
        poses = [_rounded(pose, 3) if shown else None for pose, shown in zip(rounded, seen, strict=True)]
    return {
        "track_id": int(track.track_id),
        "label": _text(track.label),
        "confidence": float(track.confidence),
        "times_s": track.times_s.tolist(),
        "boxes": _rounded(track.boxes, 1),
        "detected": "".join("1" if seen else "0" for seen in track.detected),
        "flow": _rounded(track.flow, 4),
        "keypoints": poses,
    }


def _relation(relation: Relation) -> dict[str, Any]:
    return {
        "relation_id": _text(relation.relation_id),
        "subject": relation.subject,
        "predicate": _text(relation.predicate),
        "object": relation.object,
        "start_s": float(relation.start_s),
        "end_s": float(relation.end_s),
        "confidence": float(relation.confidence),
        "measures": [
            {"name": _text(item.name), "value": float(item.value), "unit": _text(item.unit)}
            for item in relation.measures
        ],
    }


def _account(account: Account) -> dict[str, Any]:
    return {
        "event_id": None if account.event_id is None else _text(account.event_id),
        "threat_level": account.threat_level,
        "confidence": float(account.confidence),
        "claims": [
            {
                "text": _text(claim.text),
                "role": claim.role,
                "evidence": [_text(item) for item in claim.evidence],
                "times_s": [float(time) for time in claim.times_s],
                "confidence": float(claim.confidence),
                "supported": claim.supported,
            }
            for claim in account.claims
        ],
    }


def _graph(graph: nx.DiGraph) -> dict[str, Any]:
    try:
        return {
            "nodes": [
                {
                    "id": _text(str(node)),
                    "kind": _text(item["kind"]),
                    "label": _text(item["label"]),
                    "start_s": float(item["start_s"]),
                    "end_s": float(item["end_s"]),
                    "confidence": float(item["confidence"]),
                }
                for node, item in graph.nodes(data=True)
            ],
            "edges": [
                {
                    "source": _text(str(source)),
                    "target": _text(str(target)),
                    "kind": _text(item["kind"]),
                    "strength": float(item["strength"]),
                }
                for source, target, item in graph.edges(data=True)
            ],
        }
    except KeyError as error:
        raise ReportError(f"the evidence graph lacks the attribute {error} on a node or edge") from error


def _report(part: wire.ReportPart) -> Report:
    width = len(part.scores.signals)
    if any(len(row) != width for row in part.scores.contributions):
        raise ValueError(f"scores.contributions must have {width} columns in every row")
    return Report(
        video=VideoInfo(**part.video.model_dump()),
        config_digest=part.config_digest,
        versions=tuple((item.package, item.version) for item in part.versions),
        models=tuple(part.models),
        scores=ScoreTrack(
            times_s=np.array(part.scores.times_s, np.float64),
            scores=np.array(part.scores.scores, np.float32),
            scorer=part.scores.scorer,
            contributions=np.array(part.scores.contributions, np.float32).reshape(-1, width),
            signals=tuple(part.scores.signals),
        ),
        segments=Segments(
            edges_s=np.array(part.segments.edges_s, np.float64),
            strengths=np.array(part.segments.strengths, np.float32),
        ),
        events=tuple(
            Event(
                **item.model_dump(exclude={"signals"}),
                signals=tuple((signal.name, signal.mean) for signal in item.signals),
            )
            for item in part.events
        ),
        keyframes=tuple(
            Keyframe(**item.model_dump(exclude={"jpeg"}), jpeg=_picture(item.jpeg, item.keyframe_id))
            for item in part.keyframes
        ),
        tracks=tuple(_read_track(item) for item in part.tracks),
        relations=tuple(
            Relation(
                **item.model_dump(exclude={"measures"}),
                measures=tuple(Measure(measure.name, measure.value, measure.unit) for measure in item.measures),
            )
            for item in part.relations
        ),
        changes=tuple(RelationChange(**item.model_dump()) for item in part.changes),
        graph=_read_graph(part.graph),
        accounts=tuple(_read_account(item) for item in part.accounts),
        timings_s=tuple((item.stage, item.seconds) for item in part.timings_s),
        notes=tuple(part.notes),
    )


def _picture(text: str, name: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"keyframe {name[:60]!r}: jpeg is not base64: {error}") from error
    if data and not data.startswith(b"\xff\xd8\xff"):
        raise ValueError(f"keyframe {name[:60]!r}: jpeg holds no JPEG file")
    return data


def _read_track(part: wire.TrackPart) -> Track:
    poses = None
    if part.keypoints is not None:
        poses = np.array([NO_POSE if pose is None else pose for pose in part.keypoints], np.float32).reshape(-1, 17, 3)
    return Track(
        track_id=part.track_id,
        label=part.label,
        confidence=part.confidence,
        times_s=np.array(part.times_s, np.float64),
        boxes=np.array(part.boxes, np.float32),
        detected=np.array([mark == "1" for mark in part.detected], np.bool_),
        flow=np.array(part.flow, np.float32),
        keypoints=poses,
    )


def _read_graph(part: wire.GraphPart) -> EvidenceGraph:
    graph = nx.DiGraph()
    for node in part.nodes:
        if node.id in graph:
            raise ValueError(f"graph.nodes: the id {node.id[:60]!r} is used twice")
        graph.add_node(node.id, **node.model_dump(exclude={"id"}))
    for edge in part.edges:
        if edge.source not in graph or edge.target not in graph:
            raise ValueError(f"graph.edges: {edge.source[:60]!r} to {edge.target[:60]!r} names a node that is not there")
        graph.add_edge(edge.source, edge.target, kind=edge.kind, strength=edge.strength)
    return EvidenceGraph(graph)


def _read_account(part: wire.AccountPart) -> Account:
    claims = tuple(
        Claim(
            text=item.text,
            role=item.role,
            evidence=tuple(item.evidence),
            times_s=tuple(item.times_s),
            confidence=item.confidence,
            supported=item.supported,
        )
        for item in part.claims
    )
    return Account(part.event_id, claims, part.threat_level, part.confidence)
