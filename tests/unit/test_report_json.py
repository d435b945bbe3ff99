"""Reports as JSON: the round trip is exact, the schema is the published one, and nothing damaged gets in."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from importlib.resources import files

import jsonschema
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sample_report import hostile_report, narrated_report, quiet_report, sample_report

from vau.errors import ReportError
from vau.report.document import from_dict, read_json, to_dict, write_json
from vau.report.wire import json_schema
from vau.types import Measure, Relation, Report

SCHEMA = json.loads(files("vau.report").joinpath("schema", "report-1.1.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def sample() -> Report:
    return sample_report()


def test_published_schema_is_the_models_schema():
    assert json_schema() == SCHEMA
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_schema_is_closed_and_says_units():
    objects = [SCHEMA, *SCHEMA["$defs"].values()]
    assert all(item["additionalProperties"] is False for item in objects)
    for item in objects:
        for name, field in item["properties"].items():
            if name.endswith("_s") and name != "timings_s":
                assert "second" in field["description"], name


@pytest.mark.parametrize("make", [sample_report, quiet_report, narrated_report, hostile_report])
def test_documents_fit_the_schema_and_come_back(make):
    data = to_dict(make())
    jsonschema.validate(data, SCHEMA, cls=jsonschema.Draft202012Validator)
    assert to_dict(from_dict(json.loads(json.dumps(data)))) == data


def test_round_trip_of_every_part(tmp_path, sample):
    back = read_json(write_json(sample, tmp_path / "r.json"))
    for name in ("video", "events", "relations", "changes", "accounts", "versions", "models", "timings_s", "notes"):
        assert getattr(back, name) == getattr(sample, name), name
    assert [item.jpeg for item in back.keyframes] == [item.jpeg for item in sample.keyframes]
    for name in ("times_s", "scores", "contributions"):
        np.testing.assert_array_equal(getattr(back.scores, name), getattr(sample.scores, name))
    np.testing.assert_array_equal(back.segments.strengths, sample.segments.strengths)
    for ours, theirs in zip(sample.tracks, back.tracks, strict=True):
        np.testing.assert_array_equal(ours.times_s, theirs.times_s)
        np.testing.assert_array_equal(ours.detected, theirs.detected)
        np.testing.assert_allclose(ours.boxes, theirs.boxes, atol=0.051)
        np.testing.assert_allclose(ours.flow, theirs.flow, atol=6e-5)
    np.testing.assert_allclose(sample.tracks[0].keypoints, back.tracks[0].keypoints, atol=0.051)
    assert dict(back.graph.graph.nodes) == dict(sample.graph.graph.nodes)
    assert set(back.graph.graph.edges) == set(sample.graph.graph.edges)


def test_what_a_model_told_comes_back(tmp_path):
    report = narrated_report()
    data = to_dict(report)
    assert data["narration"]["faithfulness"] == 0.5
    assert [item["checkable"] for item in data["narration"]["events"]] == [3, 1]
    assert read_json(write_json(report, tmp_path / "r.json")).narration == report.narration


def test_reports_of_the_version_before_are_read(sample):
    old = to_dict(sample)
    del old["narration"]
    old["schema_version"] = "1.0"
    before = json.loads(files("vau.report").joinpath("schema", "report-1.0.json").read_text(encoding="utf-8"))
    jsonschema.validate(old, before, cls=jsonschema.Draft202012Validator)
    report = from_dict(old)
    assert report.narration is None
    assert to_dict(report) == {**old, "schema_version": "1.1", "narration": None}
    with pytest.raises(ReportError, match=r"1\.0 knows no"):
        from_dict({**old, "narration": None})


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (("faithfulness",), 1.0, "do not agree"),
        (("events", 0, "checkable"), 5, "do not agree"),
        (("events", 0, "event_id"), "E7", "narration names event 'E7'"),
        (("events", 1, "event_id"), "E1", "once"),
        (("events", 0, "sentences", 0, "verdict"), "true", "verdict"),
        (("events", 0, "sentences", 0, "reasons"), [], "reasons"),
        (("events", 0, "sentences", 0, "text"), "", "words"),
        (("events", 0, "sentences", 0, "times_s"), [-1.0], "times_s"),
        (("events", 1, "failures", 0, "raw"), "x" * 5000, "4000"),
        (("paid",), -1, "paid"),
        (("unknown",), 1, "unknown"),
    ],
)
def test_a_damaged_narration_is_refused(place, value, says):
    data = copy.deepcopy(to_dict(narrated_report()))
    part = data["narration"]
    for step in place[:-1]:
        part = part[step]
    part[place[-1]] = value
    with pytest.raises(ReportError, match=says):
        from_dict(data)


def test_numpy_numbers_are_written_as_numbers(tmp_path, sample):
    video = replace(sample.video, width=np.int64(1280), duration_s=np.float64(30), truncated=np.bool_(True))
    relation = replace(sample.relations[0], subject=np.int64(1), confidence=np.float32(0.5))
    report = replace(sample, video=video, relations=(relation, *sample.relations[1:]))
    assert read_json(write_json(report, tmp_path / "r.json")).video.truncated is True


def test_keypoints_can_be_left_out(sample):
    assert from_dict(to_dict(sample, keypoints=False)).tracks[0].keypoints is None


def test_source_is_a_base_name_even_where_the_type_holds_a_path(sample):
    report = replace(sample, video=replace(sample.video, source="/home/me/secret/a.mp4"))
    assert to_dict(report)["video"]["source"] == "a.mp4"


def test_lone_surrogates_of_file_names_become_question_marks(tmp_path, sample):
    report = replace(sample, video=replace(sample.video, source="caf\udce9.mp4"))
    assert read_json(write_json(report, tmp_path / "r.json")).video.source == "caf?.mp4"


def test_nan_is_refused_on_writing(sample):
    relation = replace(sample.relations[0], measures=(Measure("speed", float("nan"), "m/s"),))
    with pytest.raises(ReportError, match=r"relations\.0\.measures\.0\.value"):
        to_dict(replace(sample, relations=(relation, *sample.relations[1:])))


def test_dangling_links_are_refused_on_writing(sample):
    stray = Relation("R99", 77, "near", None, 0.0, 1.0, 0.5)
    with pytest.raises(ReportError, match="track 77"):
        to_dict(replace(sample, relations=(*sample.relations, stray)))


def test_failed_write_keeps_the_old_file(tmp_path, sample):
    path = write_json(sample, tmp_path / "r.json")
    before = path.read_bytes()
    with pytest.raises(ReportError):
        write_json(replace(sample, events=(sample.events[0], sample.events[0])), path)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["r.json"]


def test_write_into_a_file_as_folder_is_a_typed_error(tmp_path, sample):
    (tmp_path / "taken").write_text("x")
    with pytest.raises(ReportError, match="cannot write"):
        write_json(sample, tmp_path / "taken" / "r.json")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b"3",
        b"{}",
        b"\xff\xfe{}",
        b"not json",
        b'{"schema_version": "1.0"}',
        b'{"schema_version": "2.0"}',
        b'{"schema_version": NaN}',
        b'{"schema_version": "1.0", "schema_version": "1.0"}',
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b'{"schema_version": ' + b"9" * 10_000 + b"}",
    ],
)
def test_files_that_are_no_reports(tmp_path, raw):
    path = tmp_path / "r.json"
    path.write_bytes(raw)
    with pytest.raises(ReportError, match=r"r\.json"):
        read_json(path)


def test_missing_and_too_large_files(tmp_path, sample):
    with pytest.raises(ReportError, match="cannot read"):
        read_json(tmp_path / "none.json")
    with pytest.raises(ReportError, match="not a regular file"):
        read_json(tmp_path)
    path = write_json(sample, tmp_path / "r.json")
    with pytest.raises(ReportError, match="larger than 1000 bytes"):
        read_json(path, max_bytes=1000)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("video.width", 0),
        ("video.duration_s", float("inf")),
        ("video.duration_s", "30"),
        ("video.sha256", "../x"),
        ("video.extra", 1),
        ("scores.times_s", [0.0]),
        ("scores.signals", ["one"]),
        ("scores.scores.0", 1.5),
        ("segments.edges_s", [3.0, 1.0]),
        ("events.0.event_id", "E2"),
        ("events.0.peak_s", 29.0),
        ("keyframes.0.jpeg", "***"),
        ("keyframes.0.jpeg", "PHN2Zz48L3N2Zz4="),
        ("keyframes.0.event_id", "E9"),
        ("keyframes.0.phase", "later"),
        ("tracks.0.detected", "01x"),
        ("tracks.0.detected", "1"),
        ("tracks.0.boxes.0", [1, 2, 3]),
        ("tracks.0.track_id", True),
        ("tracks.0.track_id", 10**30),
        ("tracks.0.flow.0.0", 1e39),
        ("relations.0.subject", 99),
        ("changes.0.relation_id", "R99"),
        ("graph.edges.0.target", "nowhere"),
        ("graph.nodes.1.id", "R1"),
        ("accounts.0.threat_level", 3),
        ("accounts.1.event_id", None),
        ("accounts.0.claims.0.confidence", None),
        ("notes", "text"),
    ],
)
def test_damaged_values_are_refused(sample, place, value):
    data = copy.deepcopy(to_dict(sample))
    *path, last = [int(step) if step.isdigit() else step for step in place.split(".")]
    target = data
    for step in path:
        target = target[step]
    target[last] = value
    with pytest.raises(ReportError):
        from_dict(data)


_WEIRD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.sampled_from(sorted(SCHEMA["properties"])), value=_WEIRD, sub=st.integers(0, 30))
def test_any_value_anywhere_is_a_report_or_a_report_error(sample, key, value, sub):
    data = to_dict(sample, keypoints=False)
    part = data[key]
    if isinstance(part, dict):
        data[key] = {**part, sorted(part)[sub % len(part)]: value}
    elif isinstance(part, list) and part:
        data[key] = [*part[: sub % len(part)], value, *part[sub % len(part) + 1 :]]
    else:
        data[key] = value
    try:
        back = from_dict(data)
    except ReportError:
        return
    assert isinstance(back, Report)
    to_dict(back)
