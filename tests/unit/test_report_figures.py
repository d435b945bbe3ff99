"""Words, geometry of the time axis, layout of the graph, marks over pictures."""

from __future__ import annotations

from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_report import hostile_report, sample_report

from vau.report import graph, overlay, timeline
from vau.report.evidence import Evidence
from vau.report.text import certainty, clean, clock, measure, span
from vau.types import Event, Measure, Relation, ScoreTrack, Segments, Track


@pytest.mark.parametrize(
    ("time", "text"),
    [(0, "0.0 s"), (12.44, "12.4 s"), (59.96, "1:00.0"), (187.5, "3:07.5"), (3727, "1:02:07"), (-1, "0.0 s")],
)
def test_clock(time, text):
    assert clock(time) == text


def test_span_and_certainty():
    assert span(8.2, 13.4) == "8.2 – 13.4 s"
    assert span(58, 62) == "58.0 s – 1:02.0"
    assert span(3.0, 3.0) == "3.0 s"
    assert [certainty(value) for value in (1.0, 0.7, 0.5, 0.0)] == ["very likely", "likely", "possibly", "weak hint"]
    assert measure(Measure("fall time", 0.75, "s")) == "fall time 0.75 s"
    assert measure(Measure("distance", 1234.6, "m")) == "distance 1235 m"


@given(st.text(), st.integers(1, 50))
def test_clean_text_is_one_visible_line(text, limit):
    result = clean(text, limit)
    assert len(result) <= limit
    assert result == result.strip()
    assert not any(ord(mark) < 32 or 0x202A <= ord(mark) <= 0x202E or 0xD800 <= ord(mark) < 0xE000 for mark in result)


def test_clean_keeps_joiners_that_scripts_need():
    assert clean("می\u200cخواهم") == "می\u200cخواهم"


def test_curve_keeps_the_peak_of_a_long_series():
    count = 100_000
    scores = np.full(count, 0.1, np.float32)
    scores[77_777] = 0.9
    parts = np.stack([scores * 0.75, scores * 0.25], axis=1)
    curve = timeline.curve(ScoreTrack(np.arange(count) / 4, scores, "s", parts, ("a", "b")), count / 4)
    assert len(curve.times_s) <= timeline.MAX_POINTS
    assert curve.scores.max() == pytest.approx(0.9)
    assert curve.times_s[curve.scores.argmax()] == 77_777 / 4
    assert curve.names == ("a", "b")


def test_curve_folds_many_signals_into_other():
    parts = np.full((3, 12), 0.05, np.float32)
    names = tuple(f"signal {number}" for number in range(12))
    curve = timeline.curve(ScoreTrack(np.arange(3.0), parts.sum(1), "s", parts, names), 3.0)
    assert len(curve.names) == timeline.MAX_SIGNALS
    assert curve.names[-1] == "other signals"
    np.testing.assert_allclose(curve.shares.sum(1), 0.6, atol=1e-6)


def test_empty_curve_draws_nothing():
    empty = ScoreTrack(np.zeros(0), np.zeros(0), "s", np.zeros((0, 2)), ("a", "b"))
    curve = timeline.curve(empty, 1.0)
    assert curve.outline == ""
    assert curve.areas == ("", "")


@given(st.floats(0.05, 400_000))
def test_ticks_are_few_ordered_and_inside(duration):
    ticks = timeline.ticks(duration)
    places = [tick.percent for tick in ticks]
    assert 1 <= len(ticks) <= 13
    assert places == sorted(set(places))
    assert 0 <= places[0] <= places[-1] <= 100


@given(st.lists(st.tuples(st.floats(0, 90), st.floats(0, 30)), max_size=12))
def test_bands_of_one_row_never_overlap(pairs):
    events = [Event(f"E{n}", a, min(a + b, 100), a, 0.5) for n, (a, b) in enumerate(pairs)]
    bands = timeline.bands(events, 100.0)
    for row in {band.row for band in bands}:
        own = sorted((band.left, band.left + band.width) for band in bands if band.row == row)
        assert all(first[1] <= second[0] + 0.01 for first, second in pairwise(own))
    assert all(band.left >= 0 and band.left + band.width <= 100.01 for band in bands)


def test_boundaries_leave_out_both_ends():
    result = timeline.boundaries(Segments(np.array([0.0, 5.0, 10.0]), np.array([0.0, 0.4, 0.0])), 10.0)
    assert result == ((50.0, 1.0),)


def test_many_boundaries_keep_the_strongest():
    edges, strengths = np.arange(102.0), np.r_[0, np.linspace(0.01, 1, 100), 0]
    result = timeline.boundaries(Segments(edges, strengths), 101.0)
    assert len(result) == timeline.MAX_BOUNDARIES
    assert min(strength for _, strength in result) > 0.59


def test_box_is_interpolated_and_absent_outside():
    boxes = np.array([[0, 0, 10, 10], [10, 0, 20, 10]])
    track = Track(1, "person", 0.9, np.array([1.0, 2.0]), boxes, np.array([True, False]), np.zeros((2, 4)))
    assert overlay.box_at(track, 1.4) == (pytest.approx(4), 0, pytest.approx(14), 10, True)
    assert overlay.box_at(track, 1.9)[4] is False
    assert overlay.box_at(track, 3.0) is None


def test_overlay_names_boxes_and_joins_predicates_of_a_pair():
    report = sample_report()
    marks = overlay.overlay(10.75, report.tracks, report.relations, {1: 0, 2: 1, 3: 2}, (1280, 720))
    texts = [label.text for label in marks.labels]
    assert {"person 1", "person 2", "person 3", "hit, in contact with"} <= set(texts)
    assert len(marks.arrows) == 1
    assert "person 1 hit person 2 (possibly)" in marks.description
    assert all(0 <= label.left <= 1 and 0 <= label.top <= 1 for label in marks.labels)


def test_overlay_survives_boxes_outside_and_one_place():
    boxes = np.array([[-50, -50, 2000, 2000], [-50, -50, 2000, 2000]])
    tracks = [Track(n, "car", 0.5, np.array([0.0, 1.0]), boxes, np.ones(2, bool), np.zeros((2, 4))) for n in (1, 2)]
    marks = overlay.overlay(0.5, tracks, [Relation("R1", 1, "hit", 2, 0, 1, 0.5)], {}, (640, 360))
    assert all(box.width <= 640 and box.height <= 360 for box in marks.boxes)
    assert marks.arrows[0].head == ""


def test_graph_layout_runs_to_the_right_and_boxes_do_not_overlap():
    report = sample_report()
    names = {track.track_id: track.name for track in report.tracks}
    actors = {item.relation_id: item.subject for item in report.relations}
    figure = graph.layout(report.graph.graph, actors, names, {1: 0, 2: 1, 3: 2, 4: 3})
    boxes = {node.node_id: node for node in figure.nodes}
    assert boxes["R1"].x < boxes["R2"].x < boxes["R3"].x < boxes["R4"].x < boxes["R5"].x
    assert boxes["E1"].x <= boxes["R3"].x
    assert boxes["E1"].x + boxes["E1"].width >= boxes["R5"].x + boxes["R5"].width
    spots = [(node.x, node.x + node.width, node.y) for node in figure.nodes]
    for index, (left, right, y) in enumerate(spots):
        assert not any(y == other[2] and left < other[1] and other[0] < right for other in spots[index + 1 :])
    assert [lane[0] for lane in figure.lanes][-1] == "Events"
    assert figure.hidden == 0


def test_graph_drops_order_edges_that_a_chain_says():
    net = nx.DiGraph()
    for number, name in enumerate("abc"):
        net.add_node(name, kind="relation", label=name, start_s=number, end_s=number + 1, confidence=0.5)
    net.add_edge("a", "b", kind="enables", strength=0.5)
    net.add_edge("b", "c", kind="enables", strength=0.5)
    net.add_edge("a", "c", kind="before", strength=0.5)
    figure = graph.layout(net, {}, {}, {})
    assert [edge.kind for edge in figure.edges] == ["enables", "enables"]


def test_large_graph_is_capped_and_says_so():
    figure = graph.layout(hostile_report().graph.graph, {}, {}, {})
    assert len(figure.nodes) == graph.MAX_NODES
    assert figure.hidden == 40 - graph.MAX_NODES
    assert graph.layout(nx.DiGraph(), {}, {}, {}) is None


def test_evidence_of_every_kind():
    items = Evidence(sample_report()).items(("R4", "C5", "E1", "T2", "S:pose surprise", "R404"))
    assert [item["known"] for item in items] == [True] * 5 + [False]
    assert items[0]["text"] == "person 1 hit person 2"
    assert "wrist speed 3.1 body heights/s" in items[0]["detail"]
    assert items[1]["text"] == "person 2 fell begins abruptly"
    assert items[5]["text"] == "not in this report"
