"""The evidence graph: which relations make up an event, and which earlier ones may have led to it.

Nodes are events and the relations around them. The graph knows order, actors and measured strength; it knows nothing of
intent, and an edge `enables` means "came first, same actor, less grave", not proof. That changes of relations before,
during and after an anomaly explain it is VADER's idea (Cheng et al., WACV 2026); edge rules and strengths are ours.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import networkx as nx

from vau.relations.vocabulary import PREDICATES
from vau.types import Event, EvidenceGraph, Relation, RelationChange

GAP_S = 10.0  # relations farther apart than this are not linked
AFTER_S = 15.0  # what begins later than this after an event is not taken for its effect
MIN_CONFIDENCE = 0.25  # weaker relations are left out
_HALF_S = 5.0  # a gap of this length halves the strength of an edge
_MAX_RELATIONS = 24  # kept an event, so that graph and figure stay readable in a crowd
_MIN_LINK = 0.15  # weaker edges carry no causal chain
_RANK = {"before": 0, "same-actor": 1, "enables": 2}

Edge = tuple[str, str, str, float]


def severity(relation: Relation) -> float:
    """Returns how abnormal the predicate is by itself, 0 for an unknown one."""
    predicate = PREDICATES.get(relation.predicate)
    return predicate.severity if predicate else 0.0


def actors(relation: Relation) -> frozenset[int]:
    """Returns the ids of the tracks that take part."""
    return frozenset(item for item in (relation.subject, relation.object) if item is not None)


def in_order(relations: Iterable[Relation]) -> list[Relation]:
    """Returns relations by start, then by number of their id."""
    return sorted(relations, key=lambda item: (item.start_s, len(item.relation_id), item.relation_id))


def usable(relations: Iterable[Relation]) -> list[Relation]:
    """Returns the relations of known predicate and a confidence of `MIN_CONFIDENCE` or more, in order."""
    return in_order(item for item in relations if item.predicate in PREDICATES and item.confidence >= MIN_CONFIDENCE)


def part_of(relation: Relation, event: Event) -> bool:
    """Says whether a relation holds at some time of the event."""
    return relation.start_s <= event.end_s and relation.end_s >= event.start_s


def around(relations: Iterable[Relation], event: Event) -> list[Relation]:
    """Returns up to 24 usable relations from 10 s before to 15 s after an event, gravest first kept, in order."""
    near = [
        item
        for item in usable(relations)
        if item.end_s >= event.start_s - GAP_S and item.start_s <= event.end_s + AFTER_S
    ]
    near.sort(key=lambda item: -((severity(item) + 0.05) * item.confidence + 0.2 * part_of(item, event)))
    return in_order(near[:_MAX_RELATIONS])


def build_graph(
    events: Sequence[Event],
    relations: Sequence[Relation],
    changes: Sequence[RelationChange],
    labels: Mapping[str, str],
) -> EvidenceGraph:
    """Builds the evidence graph, a directed graph without cycles.

    Edges between two relations, the earlier start first, at most 10 s between them: `enables` where they share an actor
    and the later one is graver, `same-actor` where they share an actor otherwise, `before` for the rest. Strength is
    the geometric mean of both confidences, halved for every 5 s of gap; sharing no actor halves it, and an abrupt
    beginning of the later relation (its change's sharpness) keeps it where a gradual one takes up to 40 % away. Edges
    that a path of equal or stronger kind implies are dropped. `part-of` leads from a relation to its event with the
    relation's confidence; relations before or after an event, and neighbouring events, are joined by `before`.

    Args:
        events: in time order.
        relations: all of the video.
        changes: beginnings and ends of the relations.
        labels: text a node by id of event or relation; the id itself where it is missing.
    """
    graph: nx.DiGraph[str] = nx.DiGraph()
    kept: dict[str, Relation] = {}
    edges: dict[tuple[str, str], Edge] = {}
    sharpness = {item.relation_id: item.sharpness for item in changes if item.kind == "begins"}
    for event in events:
        members = around(relations, event)
        kept.update((item.relation_id, item) for item in members)
        for i, first in enumerate(members):
            for second in members[i + 1 :]:
                edge = _link(first, second, sharpness.get(second.relation_id, 0.5))
                if edge is not None:
                    edges[edge[:2]] = edge
    ordered = in_order(kept.values())
    for item in ordered:
        _add_node(graph, item.relation_id, item, item.confidence, labels)
    for event in events:
        _add_node(graph, event.event_id, event, event.score, labels)
    names = [item.relation_id for item in ordered]
    for source, target, kind, strength in _reduced(names, sorted(edges.values())):
        graph.add_edge(source, target, kind=kind, strength=strength)
    for event in events:
        _join_event(graph, event, ordered)
    for before, after in pairwise(events):
        gap = after.start_s - before.end_s
        if 0 < gap <= GAP_S:
            strength = _strength(before.score, after.score, gap)
            graph.add_edge(before.event_id, after.event_id, kind="before", strength=strength)
    return EvidenceGraph(graph)


def causal_chain(graph: EvidenceGraph, event_id: str, relation_id: str | None = None) -> tuple[str, ...]:
    """Returns the root-cause path: the strongest chain of `enables` edges into an event, as relation ids in order.

    The strength of a chain is the sum over its edges, so that a chain of several firm steps beats its last step alone.

    Args:
        graph: from `build_graph`.
        event_id: the event that is to be explained.
        relation_id: a relation that is part of the event and in which the chain must end; None for the best of all.
    """
    dag: nx.DiGraph[str] = graph.graph
    if event_id not in dag:
        return ()
    ends = [node for node in dag.predecessors(event_id) if dag.edges[node, event_id]["kind"] == "part-of"]
    ends = [node for node in ends if relation_id is None or node == relation_id]
    best: dict[str, tuple[float, tuple[str, ...]]] = {}
    for node in nx.lexicographical_topological_sort(dag, key=str):
        best[node] = (0.0, (node,))
        for source, _, edge in sorted(dag.in_edges(node, data=True), key=lambda item: str(item[0])):
            if edge["kind"] == "enables" and edge["strength"] >= _MIN_LINK:
                total = best[source][0] + edge["strength"]
                if total > best[node][0]:
                    best[node] = (total, (*best[source][1], node))
    if not ends:
        return ()
    winner = max(sorted(ends), key=lambda node: best[node][0] + dag.edges[node, event_id]["strength"])
    return best[winner][1]


def _link(first: Relation, second: Relation, sharpness: float) -> Edge | None:
    gap = max(0.0, second.start_s - first.end_s)
    if first.start_s >= second.start_s or gap > GAP_S:
        return None
    strength = _strength(first.confidence, second.confidence, gap) * (0.6 + 0.4 * sharpness)
    if not actors(first) & actors(second):
        return first.relation_id, second.relation_id, "before", strength / 2
    kind = "enables" if severity(first) < severity(second) else "same-actor"
    return first.relation_id, second.relation_id, kind, strength


def _strength(first: float, second: float, gap_s: float) -> float:
    return math.sqrt(first * second) * math.pow(0.5, gap_s / _HALF_S)


def _reduced(names: Sequence[str], edges: Sequence[Edge]) -> list[Edge]:
    """Drops every edge that a longer path of edges of its own or a stronger kind implies; `names` in order of time."""
    place = {name: i for i, name in enumerate(names)}
    kept = []
    for rank in sorted(_RANK.values()):
        after: dict[str, list[str]] = {name: [] for name in names}
        for source, target, kind, _ in edges:
            if _RANK[kind] >= rank:
                after[source].append(target)
        reach = dict.fromkeys(names, 0)  # bit sets of nodes that a path leads to
        for name in reversed(names):
            for target in after[name]:
                reach[name] |= reach[target] | 1 << place[target]
        kept += [
            edge
            for edge in edges
            if _RANK[edge[2]] == rank and not any(reach[node] >> place[edge[1]] & 1 for node in after[edge[0]])
        ]
    return sorted(kept)


def _join_event(graph: nx.DiGraph[str], event: Event, relations: Sequence[Relation]) -> None:
    near = [item for item in relations if item.end_s >= event.start_s - GAP_S and item.start_s <= event.end_s + AFTER_S]
    own = {item.relation_id for item in near if part_of(item, event)}
    for item in near:
        name = item.relation_id
        gap = max(item.start_s - event.end_s, event.start_s - item.end_s)
        strength = _strength(item.confidence, event.score, max(gap, 0.0)) / 2
        if name in own:
            graph.add_edge(name, event.event_id, kind="part-of", strength=item.confidence)
        elif item.end_s < event.start_s and not own & set(graph.successors(name)):
            graph.add_edge(name, event.event_id, kind="before", strength=strength)
        elif item.start_s > event.end_s and not own & set(graph.predecessors(name)):
            graph.add_edge(event.event_id, name, kind="before", strength=strength)


def _add_node(
    graph: nx.DiGraph[str], name: str, item: Event | Relation, confidence: float, labels: Mapping[str, str]
) -> None:
    kind = "event" if isinstance(item, Event) else "relation"
    label = labels.get(name, name)
    graph.add_node(name, kind=kind, label=label, start_s=item.start_s, end_s=item.end_s, confidence=confidence)
