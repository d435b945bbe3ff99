"""From the checked plain data of schema 1.1 back to the value types.

Knows nothing of files; what pydantic cannot see (columns that fit, pictures that are pictures) is checked here and
raised as ValueError, which `vau.report.document` turns into a ReportError.
"""

from __future__ import annotations

import base64
import binascii

import networkx as nx
import numpy as np

from vau.narration import EventNarration, NarratedSentence, Narration, NarrationFailure, SuspectedText
from vau.report import wire
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

NO_POSE = [[0.0, 0.0, 0.0]] * 17


def decode(part: wire.ReportPart) -> Report:
    """Returns the report; raises ValueError where the parts do not fit together."""
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
        narration=None if part.narration is None else _read_narration(part.narration),
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
    graph: nx.DiGraph[str] = nx.DiGraph()
    for node in part.nodes:
        if node.id in graph:
            raise ValueError(f"graph.nodes: the id {node.id[:60]!r} is used twice")
        graph.add_node(node.id, **node.model_dump(exclude={"id"}))
    for edge in part.edges:
        if edge.source not in graph or edge.target not in graph:
            raise ValueError(
                f"graph.edges: {edge.source[:60]!r} to {edge.target[:60]!r} names a node that is not there"
            )
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


def _read_narration(part: wire.NarrationPart) -> Narration:
    narration = Narration(
        **part.model_dump(exclude={"prompts", "events", "suspected", "checkable", "faithfulness"}),
        prompts=tuple(part.prompts),
        events=tuple(_read_event_narration(item) for item in part.events),
        suspected=tuple(_read_suspected(item) for item in part.suspected),
    )
    counts = narration.counts
    if (part.checkable, part.faithfulness) != (counts.checkable, counts.faithfulness):
        raise ValueError("narration: checkable and faithfulness do not agree with the sentences")
    return narration


def _read_event_narration(part: wire.EventNarrationPart) -> EventNarration:
    item = EventNarration(
        event_id=part.event_id,
        sentences=tuple(
            NarratedSentence(
                text=sentence.text,
                role=sentence.role,
                verdict=sentence.verdict,
                reasons=tuple(sentence.reasons),
                evidence=tuple(sentence.evidence),
                times_s=tuple(sentence.times_s),
            )
            for sentence in part.sentences
        ),
        failures=tuple(NarrationFailure(**failure.model_dump()) for failure in part.failures),
        suspected=tuple(_read_suspected(text) for text in part.suspected),
    )
    if (part.checkable, part.faithfulness) != (item.counts.checkable, item.counts.faithfulness):
        raise ValueError("narration.events: checkable and faithfulness do not agree with the sentences")
    return item


def _read_suspected(part: wire.SuspectedPart) -> SuspectedText:
    return SuspectedText(part.source, part.quote, tuple(part.signs))
