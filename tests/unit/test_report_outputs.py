"""Subtitles, tables and the folder of all outputs."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_report import hostile_report, quiet_report, sample_report

import vau.report
from vau.errors import ReportError
from vau.report import read_json, write_all
from vau.report.subtitles import to_srt, to_vtt
from vau.report.tables import events_csv, relations_csv, safe_cell, scores_csv

STAMP = re.compile(r"(\d\d+):(\d\d):(\d\d)[,.](\d{3}) --> (\d\d+):(\d\d):(\d\d)[,.](\d{3})")


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_srt_has_a_cue_an_event():
    blocks = to_srt(sample_report()).strip().split("\n\n")
    assert len(blocks) == 2
    number, times, title, why = blocks[0].split("\n")
    assert (number, times) == ("1", "00:00:09,200 --> 00:00:13,000")
    assert title.startswith("One person falls")
    assert "poses" in why


def test_vtt_has_a_header_and_dots():
    text = to_vtt(sample_report())
    assert text.startswith("WEBVTT\n\n1\n00:00:09.200 --> 00:00:13.000\n")


def test_quiet_video_has_no_cues():
    assert to_srt(quiet_report()) == ""
    assert to_vtt(quiet_report()) == "WEBVTT\n"


@pytest.mark.parametrize("make", [to_srt, to_vtt])
def test_hostile_text_makes_no_time_line_and_no_markup(make):
    text = make(hostile_report())
    stamps = STAMP.findall(text)
    assert len(stamps) == 2
    assert text.count("-->") == 2
    body = STAMP.sub("", text)
    assert "<" not in body
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202a-\u202e\ud800-\udfff]", body)


def test_instant_event_still_gets_a_readable_cue():
    report = sample_report()
    event = replace(report.events[0], start_s=9.0, end_s=9.0, peak_s=9.0)
    assert "00:00:09,000 --> 00:00:10,000" in to_srt(replace(report, events=(event,)))


def test_event_without_account_is_named_by_its_label():
    assert "fall after contact" in to_srt(replace(sample_report(), accounts=()))


def test_csv_values():
    report = sample_report()
    first = rows(events_csv(report))[0]
    assert (first["event_id"], first["start_s"], first["threat_level"]) == ("E1", "9.2", "2")
    relation = rows(relations_csv(report))[3]
    assert (relation["subject"], relation["predicate"], relation["object"]) == ("person 1", "hit", "person 2")
    assert relation["measures"] == "wrist speed 3.1 body heights/s; distance 0.11 body heights"
    scores = rows(scores_csv(report))
    assert len(scores) == len(report.scores)
    signals = [float(scores[43][name]) for name in report.scores.signals]
    assert sum(signals) == pytest.approx(float(scores[43]["score"]), abs=1e-3)


@pytest.mark.parametrize("start", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\u200b=1", "＝1"])
def test_formulas_are_defused(start):
    assert str(safe_cell(start)).startswith("'")


def test_numbers_stay_numbers():
    assert safe_cell(-1.5) == -1.5
    assert safe_cell(None) is None


@given(st.text())
def test_no_text_cell_starts_like_a_formula(text):
    assert not str(safe_cell(text)).startswith(("=", "+", "-", "@", "\t", "\r"))


@pytest.mark.parametrize("make", [events_csv, relations_csv, scores_csv])
def test_hostile_tables_keep_their_shape(make):
    table = list(csv.reader(io.StringIO(make(hostile_report()))))
    assert len({len(row) for row in table}) == 1
    assert not any(cell.startswith(("=", "@", "+")) for row in table for cell in row)


def test_write_all(tmp_path):
    written = write_all(sample_report(), tmp_path / "out", pictures=True)
    assert {"report.json", "report.html", "events.srt", "events.vtt", "events.csv", "relations.csv", "scores.csv"} < {
        *written
    }
    assert all(path.is_file() and path.stat().st_size for path in written.values())
    pictures = sorted((tmp_path / "out" / "keyframes").iterdir())
    assert len(pictures) == 13
    assert pictures[0].name == "001-pre-4.50s.jpg"
    assert pictures[0].read_bytes().startswith(b"\xff\xd8")
    assert len(read_json(written["report.json"]).events) == 2
    assert not list(tmp_path.rglob("*.part"))


def test_write_all_refuses_an_absolute_video(tmp_path):
    with pytest.raises(ReportError, match="relative"):
        write_all(quiet_report(), tmp_path, video_href="/etc/passwd")


def test_public_names():
    assert all(callable(getattr(vau.report, name)) for name in vau.report.__all__)
    with pytest.raises(AttributeError):
        vau.report.nothing  # noqa: B018
