"""Files and drawings of the event graph: complete, well-formed, bounded."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

from vau.config import EventsConfig
from vau.errors import InputError
from vau.events import segment
from vau.events.export import draw, graph_of, write_graph
from vau.types import Detections, Observations

SVG = "{http://www.w3.org/2000/svg}"


def video(count: int) -> Observations:
    rng = np.random.default_rng(0)
    embeddings = rng.random((2, 16))[(np.arange(count) > count // 2).astype(int)] + 0.02 * rng.random((count, 16))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    motion = 0.1 * rng.random((count, 3))
    names = ("speed_mean", "direction_0", "direction_1")
    return Observations(
        np.arange(count) / 4, embeddings, motion, names, (), Detections.of([()] * count), (64, 48), count / 4
    )


def test_files_hold_the_whole_graph(tmp_path: Path) -> None:
    graph = graph_of(video(80), EventsConfig(neighbours=3))
    write_graph(graph, tmp_path / "g.graphml")
    write_graph(graph, tmp_path / "g.json")
    first = nx.read_graphml(tmp_path / "g.graphml", node_type=int)
    second = nx.node_link_graph(json.loads((tmp_path / "g.json").read_text()), edges="edges")
    assert set(first.edges) == set(second.edges) and len(first) == len(second) == 80
    assert first.nodes[3]["time_s"] == second.nodes[3]["time_s"] == 0.75
    with pytest.raises(InputError, match=r"g\.csv"):
        write_graph(graph, tmp_path / "g.csv")


def test_drawing_shows_frames_edges_and_boundaries() -> None:
    observations = video(600)
    segments = segment(observations, EventsConfig())
    graph = graph_of(observations, EventsConfig())
    page = ET.fromstring(draw(graph, segments))
    strokes = [item for item in page.iter(f"{SVG}line") if item.find(f"{SVG}title") is not None]
    assert len(list(page.iter(f"{SVG}circle"))) == 600
    assert len(strokes) == len(segments) - 1 >= 1
    pairs = {tuple(sorted((i, int(j)))) for i in range(600) for j in graph.neighbours[i] if j >= 0}
    crossing = {(i, j) for i, j in pairs if i // 240 != j // 240}
    assert len(list(page.iter(f"{SVG}path"))) == len(pairs) - len(crossing)
    assert f"{len(crossing)} edges" in page.find(f"{SVG}title").text  # type: ignore[union-attr, operator]


def test_a_stretch_is_drawn_alone() -> None:
    page = ET.fromstring(draw(graph_of(video(600), EventsConfig()), start_s=30, end_s=40))
    assert len(list(page.iter(f"{SVG}circle"))) == 41
    assert float(page.attrib["viewBox"].split()[3]) < 200


@pytest.mark.parametrize(("count", "start_s"), [(5000, 0.0), (10, 99.0), (0, 0.0)])
def test_too_much_and_nothing_are_refused(count: int, start_s: float) -> None:
    with pytest.raises(InputError, match="frames"):
        draw(graph_of(video(count), EventsConfig()), start_s=start_s)
