"""The event graph for people: as a file for graph tools, and as a drawing of time with arcs between frames.

networkx is the view; the maths is in `vau.events.graph`. Knows nothing of how the graph was made.
"""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import networkx as nx
import numpy as np

from vau.config import EventsConfig
from vau.errors import InputError
from vau.events.boundaries import event_graph
from vau.events.features import node_features
from vau.events.graph import EventGraph, to_networkx
from vau.files import replace_file
from vau.types import Float64, Int64, Observations, Segments

MAX_DRAWN = 4000  # nodes; more is neither drawn quickly nor read
_ROW_S = 60.0
_WIDTH, _LEFT, _RIGHT = 1200.0, 60.0, 20.0
_ROW, _BASE, _TOP = 110.0, 80.0, 28.0
_TICK_S = 10.0


def graph_of(observations: Observations, config: EventsConfig) -> EventGraph:
    """Returns the event graph of a video by the settings `alpha`, `band_s`, `neighbours`, `decay` and `recipe`."""
    return event_graph(node_features(observations, config.alpha, config.recipe), config)


def write_graph(graph: EventGraph, path: Path) -> None:
    """Writes a graph: nodes with `time_s`, edges with `weight`.

    Args:
        graph: of N nodes.
        path: ends in ``.graphml``, or in ``.json`` for node-link data.

    Raises:
        InputError: another ending.
    """
    view = to_networkx(graph)
    if path.suffix == ".graphml":
        buffer = BytesIO()
        nx.write_graphml(view, buffer)
        replace_file(path, buffer.getvalue())
    elif path.suffix == ".json":
        replace_file(path, json.dumps(nx.node_link_data(view, edges="edges"), allow_nan=False).encode())
    else:
        raise InputError(f"{path.name}: an event graph is written as .graphml or .json")


def draw(graph: EventGraph, segments: Segments | None = None, *, start_s: float = 0.0, end_s: float = np.inf) -> str:
    """Draws a stretch of the graph: a line a minute, frames as dots, edges as arcs, boundaries as upright strokes.

    The heavier an edge, the darker its arc; edges from one line to another are left out and counted.

    Args:
        graph: of N nodes.
        segments: of the same video; None draws no boundaries.
        start_s: first time to show.
        end_s: last time to show.

    Returns:
        SVG, complete and without references to anything else.

    Raises:
        InputError: more than 4,000 frames in the stretch, or none.
    """
    shown = np.flatnonzero((graph.times_s >= start_s) & (graph.times_s <= end_s))
    if not 0 < len(shown) <= MAX_DRAWN:
        raise InputError(f"a drawing needs 1 to {MAX_DRAWN} frames, got {len(shown)} from {start_s:g} to {end_s:g} s")
    page = _Page(graph.times_s[shown])
    arcs, hidden = _arcs(graph, shown, page)
    dots = [page.dot(time_s) for time_s in graph.times_s[shown].tolist()]
    strokes = [] if segments is None else _strokes(segments, page)
    note = f"Event graph: {len(shown)} frames" + (f"; {hidden} edges from line to line are not drawn" if hidden else "")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:.0f} {page.height:.0f}" '
        f'font-family="sans-serif" font-size="11"><title>{note}</title>'
        f'<rect width="100%" height="100%" fill="#fff"/><text x="{_LEFT:.0f}" y="16" fill="#333">{note}</text>'
        f"{''.join([*page.axes(), *arcs, *dots, *strokes])}</svg>\n"
    )


class _Page:
    """Places times on lines of a minute each."""

    def __init__(self, times_s: Float64) -> None:
        self.first_s, self.last_s = float(times_s[0]), float(times_s[-1])
        self._zero_s = self.first_s // _ROW_S * _ROW_S
        self._rows = int((self.last_s - self._zero_s) // _ROW_S) + 1
        self.height = _TOP + self._rows * _ROW

    def at(self, time_s: float) -> tuple[int, float, float]:
        """Returns line, x and y of a time."""
        row = min(int((time_s - self._zero_s) // _ROW_S), self._rows - 1)
        x = _LEFT + (time_s - self._zero_s - row * _ROW_S) / _ROW_S * (_WIDTH - _LEFT - _RIGHT)
        return row, x, _TOP + row * _ROW + _BASE

    def dot(self, time_s: float) -> str:
        _, x, y = self.at(time_s)
        return f'<circle cx="{x:.1f}" cy="{y:.0f}" r="1.6" fill="#345"/>'

    def axes(self) -> list[str]:
        """Returns a line for each minute with the time every ten seconds."""
        parts = []
        for tick in range(self._rows * int(_ROW_S / _TICK_S)):
            time_s = self._zero_s + tick * _TICK_S
            _, x, y = self.at(time_s)
            if time_s % _ROW_S == 0:
                parts.append(f'<line x1="{x:.0f}" x2="{_WIDTH - _RIGHT:.0f}" y1="{y:.0f}" y2="{y:.0f}" stroke="#bbb"/>')
            parts.append(
                f'<text x="{x:.0f}" y="{y + 18:.0f}" fill="#666" text-anchor="middle">{_minutes(time_s)}</text>'
            )
        return parts


def _arcs(graph: EventGraph, shown: Int64, page: _Page) -> tuple[list[str], int]:
    """Returns the arcs, light ones first, and how many edges lead from line to line."""
    rows, slots = np.nonzero(graph.neighbours[shown] >= 0)
    nodes, others = shown[rows], graph.neighbours[shown][rows, slots]
    inside = (others >= shown[0]) & (others <= shown[-1])
    weights = {
        (min(i, j), max(i, j)): weight
        for i, j, weight in zip(
            nodes[inside].tolist(), others[inside].tolist(), graph.weights[nodes, slots][inside].tolist(), strict=True
        )
    }
    heaviest = max(weights.values(), default=1.0)
    parts, hidden = [], 0
    for (i, j), weight in sorted(weights.items(), key=lambda item: (item[1], item[0])):
        (row, x1, y), (other, x2, _) = page.at(float(graph.times_s[i])), page.at(float(graph.times_s[j]))
        if row != other:
            hidden += 1
            continue
        rise = min(6 + (x2 - x1) * 0.45, _BASE - 12)
        parts.append(
            f'<path d="M{x1:.1f} {y:.0f}Q{(x1 + x2) / 2:.1f} {y - 2 * rise:.1f} {x2:.1f} {y:.0f}" fill="none" '
            f'stroke="#27c" stroke-opacity="{max(weight / heaviest, 0.08):.2f}" stroke-width="0.7"/>'
        )
    return parts, hidden


def _strokes(segments: Segments, page: _Page) -> list[str]:
    parts = []
    for edge_s, strength in zip(segments.edges_s[1:-1].tolist(), segments.strengths[1:-1].tolist(), strict=True):
        if page.first_s <= edge_s <= page.last_s:
            _, x, y = page.at(edge_s)
            parts.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - _BASE + 6:.0f}" y2="{y + 6:.0f}" stroke="#c22" '
                f'stroke-width="{0.5 + 2 * strength:.1f}"><title>boundary at {edge_s:.2f} s, strength {strength:.2f}'
                "</title></line>"
            )
    return parts


def _minutes(time_s: float) -> str:
    return f"{int(time_s // 60)}:{int(time_s % 60):02d}"
