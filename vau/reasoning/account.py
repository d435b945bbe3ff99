"""From evidence to text: the evidence graph of a video and the accounts of the video and of each of its events.

The front door of this room; it needs no weights and talks to no language model. What VADER asks of such an account
(description, causes and effects out of relation changes) is kept; how it is found and worded is ours.
"""

from __future__ import annotations

from collections.abc import Sequence

from vau.reasoning.evidence import build_graph, usable
from vau.reasoning.findings import find, title
from vau.reasoning.narrator import narrate
from vau.reasoning.overview import survey
from vau.reasoning.phrases import Names, clause, gather
from vau.reasoning.scene import Scene
from vau.types import (
    Account,
    Event,
    EvidenceGraph,
    Observations,
    Relation,
    RelationChange,
    ScoreTrack,
    Segments,
    VideoInfo,
)


def tell(
    info: VideoInfo,
    observations: Observations,
    scores: ScoreTrack,
    segments: Segments,
    events: Sequence[Event],
    relations: Sequence[Relation],
    changes: Sequence[RelationChange],
) -> tuple[EvidenceGraph, tuple[Account, ...]]:
    """Builds the evidence graph and tells what the evidence shows.

    Args:
        info: the video.
        observations: what perception saw.
        scores: the anomaly score with its signals.
        segments: the video's partition at event boundaries.
        events: what is to be told, in time order.
        relations: all relations, those of unknown predicates or under 0.25 of confidence are passed over.
        changes: their beginnings and ends.

    Returns:
        The graph, and the accounts: first the whole video's, then one an event in the order of `events`. Every claim
        names the relations, tracks ("T3"), signals ("S:motion surprise") and events that it rests on. The same input
        gives the same output.
    """
    scene = Scene(info, observations, scores, tuple(events))
    found = [find(event, relations, scene) for event in events]
    labels = {
        item.relation_id: clause(gather([item], scene)[0], Names(scene), when=False) for item in usable(relations)
    }
    labels |= {item.event.event_id: title(item, scene) for item in found}
    graph = build_graph(events, relations, changes, labels)
    accounts = [narrate(item, scene, graph) for item in found]
    return graph, (survey(scene, found, accounts, relations, segments), *accounts)
