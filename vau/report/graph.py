"""Layout of the causal graph: time from left to right, a lane an actor, the most telling nodes only.

Knows nothing of HTML. Columns follow the order of starts rather than the clock, so that close moments stay readable.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import networkx as nx

from vau.report.text import clean, span

MAX_NODES = 14
MAX_LANES = 6
NODE_WIDTH, NODE_HEIGHT = 150.0, 62.0
COLUMN, LANE, LEFT, TOP = 180.0, 94.0, 104.0, 14.0
LINE_CHARACTERS, MAX_LINES = 21, 2
EDGE_KINDS = {"enables": "enables", "same-actor": "same actor", "before": "before", "part-of": "part of the event"}
# Edges that only say "earlier" are dropped where a chain of others says so already.
ORDER_KINDS = frozenset({"before", "same-actor"})
EVENT_LANE = "Events"


@dataclass(frozen=True)
class NodeBox:
    """A node at its place, in the figure's units."""

    node_id: str
    kind: str
    lines: tuple[str, ...]
    full: str
    when: str
    start_s: float
    x: float
    y: float
    width: float
    colour: int  # index of the actor's colour, -1 where it has none


@dataclass(frozen=True)
class EdgePath:
    """An edge as an SVG path with its arrow head's points."""

    path: str
    head: str
    kind: str
    text: str  # for readers without the picture
    strength: float


@dataclass(frozen=True)
class Figure:
    """The whole drawing; `hidden` counts the nodes left out."""

    width: float
    height: float
    nodes: tuple[NodeBox, ...]
    edges: tuple[EdgePath, ...]
    lanes: tuple[tuple[str, float, int], ...]  # name, y of its middle, colour
    kinds: tuple[tuple[str, str], ...]  # edge kinds in use with their words
    hidden: int


def layout(
    graph: nx.DiGraph[Any], actors: Mapping[str, int | None], names: Mapping[int, str], colours: Mapping[int, int]
) -> Figure | None:
    """Returns the figure, or None for a graph without nodes.

    Args:
        graph: as in `vau.types.EvidenceGraph`.
        actors: track id of the subject, by id of the relation or change that a node stands for.
        names: names of tracks by id.
        colours: colour index by track id.
    """
    if not graph:
        return None
    order = sorted(_choose(graph), key=lambda node: (graph.nodes[node]["start_s"], _is_event(graph, node), str(node)))
    lane_of = _lanes(graph, order, actors, names)
    columns = _columns(graph, order, lane_of)
    spans = _event_spans(graph, order, columns)
    rows = _event_rows(spans)
    lanes = list(dict.fromkeys(lane for lane in lane_of.values() if lane != EVENT_LANE))
    lane_colour = {
        lane_of[node]: colours.get(actor, -1)
        for node in order
        if (actor := actors.get(str(node))) is not None and lane_of[node] == names.get(actor)
    }
    boxes = {}
    for node in order:
        item = graph.nodes[node]
        first, last = spans[node] if node in spans else (columns[node], columns[node])
        width = (last - first) * COLUMN + NODE_WIDTH
        full = clean(str(item["label"]), 300)
        characters = int(LINE_CHARACTERS * width / NODE_WIDTH)
        boxes[node] = NodeBox(
            node_id=clean(str(node), 40),
            kind="event" if node in spans else "relation",
            lines=tuple(textwrap.wrap(full, characters, max_lines=MAX_LINES, placeholder=" …")),
            full=full,
            when=span(item["start_s"], item["end_s"]),
            start_s=float(item["start_s"]),
            x=LEFT + first * COLUMN,
            y=TOP + (len(lanes) + rows[node] if node in spans else lanes.index(lane_of[node])) * LANE,
            width=width,
            colour=lane_colour.get(lane_of[node], -1),
        )
    lanes += [EVENT_LANE] * (max(rows.values(), default=-1) + 1)
    edges = _edges(graph, boxes)
    used = dict.fromkeys(edge.kind for edge in edges)
    return Figure(
        width=max(box.x + box.width for box in boxes.values()) + 14,
        height=TOP * 2 + len(lanes) * LANE - (LANE - NODE_HEIGHT),
        nodes=tuple(boxes.values()),
        edges=edges,
        lanes=tuple(
            (lane, TOP + row * LANE + NODE_HEIGHT / 2, lane_colour.get(lane, -1)) for row, lane in enumerate(lanes)
        ),
        kinds=tuple((kind, EDGE_KINDS.get(kind, kind)) for kind in EDGE_KINDS if kind in used),
        hidden=len(graph) - len(order),
    )


def _choose(graph: nx.DiGraph[Any]) -> list[Any]:
    """Returns the nodes that tell most: events, then sure relations with strong causal edges."""

    def weight(node: Any) -> float:
        value = float(graph.nodes[node]["confidence"]) + (3.0 if graph.nodes[node]["kind"] == "event" else 0.0)
        for _, _, item in (*graph.in_edges(node, data=True), *graph.out_edges(node, data=True)):
            value += float(item["strength"]) * {"enables": 1.0, "part-of": 0.5}.get(item["kind"], 0.1)
        return value

    return sorted(graph.nodes, key=lambda node: (-weight(node), str(node)))[:MAX_NODES]


def _lanes(
    graph: nx.DiGraph[Any], order: list[Any], actors: Mapping[str, int | None], names: Mapping[int, str]
) -> dict[Any, str]:
    lanes: dict[Any, str] = {}
    used: list[str] = []
    for node in order:
        actor = actors.get(str(node))
        lane = (
            EVENT_LANE
            if graph.nodes[node]["kind"] == "event"
            else names.get(actor, "scene")
            if actor is not None
            else "scene"
        )
        if lane != EVENT_LANE and lane not in used:
            lane = lane if len(used) < MAX_LANES - 1 else "others"
            used += [lane] if lane not in used else []
        lanes[node] = lane
    return lanes


def _is_event(graph: nx.DiGraph[Any], node: Any) -> bool:
    return bool(graph.nodes[node]["kind"] == "event")


def _columns(graph: nx.DiGraph[Any], order: list[Any], lane_of: Mapping[Any, str]) -> dict[Any, int]:
    """Returns a column for each relation: a new one where its lane is taken or an edge must lead to the right.

    Events have columns of their own only where none of their relations is shown.
    """
    columns: dict[Any, int] = {}
    column, taken = 0, set[str]()
    for node in order:
        if _is_event(graph, node) and _parts(graph, node, order):
            continue
        near = (*graph.predecessors(node), *graph.successors(node))
        if lane_of[node] in taken or any(columns.get(other) == column for other in near):
            column, taken = column + 1, set()
        columns[node] = column
        taken.add(lane_of[node])
    return columns


def _parts(graph: nx.DiGraph[Any], event: Any, order: list[Any]) -> list[Any]:
    shown = set(order)
    return [
        node
        for node in (*graph.predecessors(event), *graph.successors(event))
        if node in shown and not _is_event(graph, node)
    ]


def _event_spans(graph: nx.DiGraph[Any], order: list[Any], columns: Mapping[Any, int]) -> dict[Any, tuple[int, int]]:
    """Returns the first and last column of each event: a bar under all that belongs to it."""
    spans = {}
    for node in order:
        if _is_event(graph, node):
            own = [columns[part] for part in _parts(graph, node, order)] or [columns[node]]
            spans[node] = (min(own), max(own))
    return spans


def _event_rows(spans: Mapping[Any, tuple[int, int]]) -> dict[Any, int]:
    """Returns a row for each event, so that bars do not overlap."""
    free: list[int] = []
    rows = {}
    for node, (first, last) in sorted(spans.items(), key=lambda item: item[1]):
        row = next((index for index, end in enumerate(free) if end < first), len(free))
        free[row:] = [last, *free[row + 1 :]]
        rows[node] = row
    return rows


def _edges(graph: nx.DiGraph[Any], boxes: Mapping[Any, NodeBox]) -> tuple[EdgePath, ...]:
    part = graph.subgraph(boxes)
    kept: nx.DiGraph[Any] = nx.DiGraph(part.edges)
    for source, target, item in part.edges(data=True):
        if item["kind"] not in ORDER_KINDS:
            continue
        kept.remove_edge(source, target)
        if not nx.has_path(kept, source, target):
            kept.add_edge(source, target)
    result = []
    for source, target, item in part.edges(data=True):
        if source == target or not kept.has_edge(source, target):
            continue
        start, end = boxes[source], boxes[target]
        path, head = _route(start, end, [box for box in boxes.values() if box not in (start, end)])
        kind = item["kind"] if item["kind"] in EDGE_KINDS else "before"
        text = f"{start.full} ({start.when}) – {EDGE_KINDS[kind]} – {end.full} ({end.when})"
        result.append(EdgePath(path, head, kind, text, float(item["strength"])))
    return tuple(result)


def _route(start: NodeBox, end: NodeBox, others: list[NodeBox]) -> tuple[str, str]:
    """Returns the path from one box to another and the points of its arrow head."""
    overlap = max(start.x, end.x), min(start.x + start.width, end.x + end.width)
    if overlap[0] < overlap[1]:  # one above the other: straight down or up
        down = 1 if end.y > start.y else -1
        x = sum(overlap) / 2
        y1, y2 = start.y + (NODE_HEIGHT if down > 0 else 0), end.y + (0 if down > 0 else NODE_HEIGHT)
        return f"M{x:.0f} {y1:.0f}V{y2 - 7 * down:.0f}", _head(x, y2, 0, down)
    right = 1 if end.x > start.x else -1
    x1 = start.x + (start.width if right > 0 else 0)
    x2 = end.x + (0 if right > 0 else end.width)
    y1, y2 = start.y + NODE_HEIGHT / 2, end.y + NODE_HEIGHT / 2
    low, high = sorted((x1, x2))
    if start.y == end.y and any(box.y == start.y and low < box.x + box.width / 2 < high for box in others):
        # Something stands between the two in their lane: go below it.
        edge = start.y + NODE_HEIGHT
        x1, x2 = start.x + start.width * 0.75, end.x + end.width * 0.25
        bend = f"M{x1:.0f} {edge:.0f}C{x1:.0f} {edge + 24:.0f} {x2:.0f} {edge + 24:.0f} {x2:.0f} {edge + 7:.0f}"
        return bend, _head(x2, edge, 0, -1)
    reach = max(24.0, min(abs(x2 - x1) / 2, 90.0)) * right
    tip = x2 - 7 * right
    return (
        f"M{x1:.0f} {y1:.0f}C{x1 + reach:.0f} {y1:.0f} {tip - reach:.0f} {y2:.0f} {tip:.0f} {y2:.0f}",
        _head(x2, y2, right, 0),
    )


def _head(x: float, y: float, right: int, down: int) -> str:
    if down:
        return f"{x:.0f},{y:.0f} {x - 4.5:.1f},{y - 8 * down:.0f} {x + 4.5:.1f},{y - 8 * down:.0f}"
    return f"{x:.0f},{y:.0f} {x - 8 * right:.0f},{y - 4.5:.1f} {x - 8 * right:.0f},{y + 4.5:.1f}"
