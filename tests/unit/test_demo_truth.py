import json

import networkx as nx
import numpy as np
import pytest

from vau.demo.truth import ActorTruth, Truth, TruthError, check_account, load_truth
from vau.types import (
    Account,
    Claim,
    Event,
    EvidenceGraph,
    Relation,
    Report,
    ScoreTrack,
    Segments,
    Track,
    VideoInfo,
)

TIMES = tuple(float(t) for t in range(21))
LYING = (100.0, 200.0, 200.0, 240.0)


def truth(scenario="fall"):
    actor = ActorTruth("actor A", "falls", TIMES, (LYING,) * len(TIMES))
    return Truth(scenario, "clip.mp4", 20.0, 10.0, 20.0, (actor,), ("A person falls.",), "Staged demonstration.")


def track(track_id, box):
    rows = len(TIMES)
    boxes = np.tile(np.float32(box), (rows, 1))
    return Track(track_id, "person", 0.9, TIMES, boxes, np.ones(rows, bool), np.zeros((rows, 4)))


def report(*, start_s=10.5, end_s=19.0, predicate="fell", box=LYING, supported=True, extra=(), events=True):
    event = Event("E1", start_s, end_s, start_s, 0.9, predicate)
    relation = Relation("R1", 3, predicate, None, start_s, end_s, 0.8)
    claim = Claim("Person 3 fell.", "what", ("R1",), (start_s,), 0.8, supported)
    return Report(
        VideoInfo("clip.mp4", "0" * 64, 20.0, 320, 240, 10.0, 200, "h264", "mp4"),
        "digest",
        (),
        (),
        ScoreTrack([0.0], [0.0], "test", [[0.0]], ("none",)),
        Segments([0.0, 20.0], [0.0, 0.0]),
        ((event,) if events else ()) + tuple(extra),
        (),
        (track(3, box), track(4, (0.0, 0.0, 30.0, 80.0))),
        (relation,),
        (),
        EvidenceGraph(nx.DiGraph()),
        (Account(None, (), 2, 0.8), Account("E1", (claim,), 2, 0.8)),
        (),
    )


def verdicts(given, staged=None):
    return {check.name: check.agrees for check in check_account(given, staged or truth())}


def test_a_right_account_agrees_in_all_points():
    assert verdicts(report()) == {"when": True, "who": True, "what": True, "nothing else": True}


def test_an_event_at_another_time_is_no_hit():
    found = verdicts(report(start_s=2.0, end_s=5.0))
    assert found == {"when": False, "who": False, "what": False, "nothing else": False}


def test_a_silent_report_misses_the_incident():
    assert verdicts(report(events=False)) == {"when": False, "who": False, "what": False, "nothing else": True}


def test_another_track_is_the_wrong_person():
    found = verdicts(report(box=(250.0, 10.0, 280.0, 90.0)))
    assert found["when"]
    assert not found["who"]
    assert not found["what"]


def test_another_predicate_is_the_wrong_thing():
    found = verdicts(report(predicate="running"))
    assert found["who"]
    assert not found["what"]


def test_an_unsupported_claim_names_nobody():
    assert not verdicts(report(supported=False))["who"]


def test_a_second_event_elsewhere_is_reported_too_much():
    stray = Event("E2", 1.0, 3.0, 2.0, 0.5)
    checks = check_account(report(extra=(stray,)), truth())
    assert not checks[-1].agrees
    assert "E2 at 1.0-3.0 s" in str(checks[-1])


def test_the_quiet_control_asks_for_silence_alone():
    assert verdicts(report(events=False), truth("quiet")) == {"nothing else": True}
    assert verdicts(report(), truth("quiet")) == {"nothing else": False}


def test_truth_survives_its_file(tmp_path):
    truth().save(tmp_path / "t.json")
    assert load_truth(tmp_path / "t.json") == truth()


@pytest.mark.parametrize("content", ["", "[]", "{}", "not json", "[" * 100_000])
def test_a_file_that_is_no_truth_is_refused(tmp_path, content):
    (tmp_path / "t.json").write_text(content)
    with pytest.raises(TruthError, match=r"t\.json"):
        load_truth(tmp_path / "t.json")


def test_a_garbled_truth_is_refused(tmp_path):
    truth().save(tmp_path / "t.json")
    data = json.loads((tmp_path / "t.json").read_text())
    data["actors"][0]["boxes"].pop()
    (tmp_path / "t.json").write_text(json.dumps(data))
    with pytest.raises(TruthError, match="different lengths"):
        load_truth(tmp_path / "t.json")


def test_a_missing_truth_is_refused(tmp_path):
    with pytest.raises(TruthError, match="stage the clip again"):
        load_truth(tmp_path / "absent.json")
