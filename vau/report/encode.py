"""From the value types to the plain data of schema 1.1: a part of a report, a function.

Knows nothing of files; `vau.report.document` puts the parts together and checks them.
"""

from __future__ import annotations

import base64
from typing import Any

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from vau.errors import ReportError
from vau.narration import EventNarration, NarratedSentence, Narration, SuspectedText
from vau.report import wire
from vau.types import Account, Event, Keyframe, Relation, Report, Track, VideoInfo


def encode(report: Report, *, keypoints: bool) -> dict[str, Any]:
    """Returns the whole report as plain data; the report's links must have been checked."""
    return {
        "schema_version": wire.SCHEMA_VERSION,
        "video": _video(report.video),
        "config_digest": _text(report.config_digest),
        "versions": [{"package": _text(name), "version": _text(version)} for name, version in report.versions],
        "models": [_text(name) for name in report.models],
        "notes": [_text(note, wire.TEXT_LIMIT) for note in report.notes],
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
        "narration": None if report.narration is None else _narration(report.narration),
    }


def _text(value: str, limit: int = wire.NAME_LIMIT) -> str:
    # Names of files may hold undecodable bytes as lone surrogates, which no UTF-8 file can carry.
    return value[:limit].encode("utf-8", "replace").decode("utf-8")


def _shortest(values: NDArray[np.float32]) -> list[Any]:
    """Returns float32 values as the shortest decimals that read back as the same float32."""
    flat = [float(text) for text in values.ravel().astype(str)]
    return (
        flat
        if values.ndim == 1
        else [flat[row * values.shape[1] : (row + 1) * values.shape[1]] for row in range(len(values))]
    )


def _rounded(values: NDArray[Any], decimals: int) -> list[Any]:
    # Adding 0 turns -0.0 into 0.0, which would otherwise read as a sign that was measured.
    result: list[Any] = (np.round(values.astype(np.float64), decimals) + 0.0).tolist()
    return result


def _video(video: VideoInfo) -> dict[str, Any]:
    base = video.source.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    return {
        "source": _text(base),
        "sha256": video.sha256,
        "codec": _text(video.codec),
        "container": _text(video.container),
        "duration_s": float(video.duration_s),
        "width": int(video.width),
        "height": int(video.height),
        "nominal_fps": float(video.nominal_fps),
        "n_frames": int(video.n_frames),
        "variable_rate": bool(video.variable_rate),
        "truncated": bool(video.truncated),
        "rotation": int(video.rotation),
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
        rounded = np.concatenate(
            [np.round(track.keypoints[..., :2], 1), np.round(track.keypoints[..., 2:], 3)], axis=-1
        )
        seen = np.any(track.keypoints[..., 2] > 0, axis=1).tolist()
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
        "subject": None if relation.subject is None else int(relation.subject),
        "predicate": _text(relation.predicate),
        "object": None if relation.object is None else int(relation.object),
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
        "threat_level": int(account.threat_level),
        "confidence": float(account.confidence),
        "claims": [
            {
                "text": _text(claim.text, wire.TEXT_LIMIT),
                "role": claim.role,
                "evidence": [_text(item) for item in claim.evidence],
                "times_s": [float(time) for time in claim.times_s],
                "confidence": float(claim.confidence),
                "supported": bool(claim.supported),
            }
            for claim in account.claims
        ],
    }


def _narration(narration: Narration) -> dict[str, Any]:
    numbers = ("paid", "cached", "failed", "prompt_tokens", "completion_tokens", "images")
    return {
        "model": _text(narration.model),
        "prompts": [_text(tag) for tag in narration.prompts],
        "checkable": narration.counts.checkable,
        "faithfulness": narration.counts.faithfulness,
        "events": [_event_narration(item) for item in narration.events],
        "suspected": [_suspected(item) for item in narration.suspected],
        **{name: int(getattr(narration, name)) for name in numbers},
    }


def _event_narration(item: EventNarration) -> dict[str, Any]:
    return {
        "event_id": None if item.event_id is None else _text(item.event_id),
        "checkable": item.counts.checkable,
        "faithfulness": item.counts.faithfulness,
        "sentences": [_sentence(sentence) for sentence in item.sentences],
        "failures": [
            {
                "role": failure.role,
                "reason": _text(failure.reason, wire.TEXT_LIMIT),
                "raw": _text(failure.raw, wire.TEXT_LIMIT),
            }
            for failure in item.failures
        ],
        "suspected": [_suspected(text) for text in item.suspected],
    }


def _sentence(item: NarratedSentence) -> dict[str, Any]:
    return {
        "text": _text(item.text, wire.TEXT_LIMIT),
        "role": item.role,
        "verdict": item.verdict,
        "reasons": [_text(reason, wire.TEXT_LIMIT) for reason in item.reasons],
        "evidence": [_text(name) for name in item.evidence],
        "times_s": [float(time) for time in item.times_s],
    }


def _suspected(item: SuspectedText) -> dict[str, Any]:
    return {
        "source": _text(item.source),
        "quote": _text(item.quote, wire.TEXT_LIMIT),
        "signs": [_text(sign) for sign in item.signs],
    }


def _graph(graph: nx.DiGraph[Any]) -> dict[str, Any]:
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
