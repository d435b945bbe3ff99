"""The evidence and the score curve as text and picture."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tests.sample_report import hostile_report, quiet_report, sample_report
from vau.mllm.curve import HEIGHT, WIDTH, plot_curve
from vau.mllm.evidence_text import curve_text, evidence_text, findings_text, frame_note
from vau.reasoning.claimcheck import check
from vau.types import ScoreTrack


def test_relations_carry_ids_times_confidence_and_phase() -> None:
    text = evidence_text(sample_report(), "E1")
    assert "R4: person 1 | struck | person 2; 10.50 to 11.00 s (0:10.5 to 0:11); confidence 0.58; during E1" in text
    assert "R1: person 1 | moved towards | person 2" in text
    assert "before E1" in text
    assert "after E1" in text
    assert "T4: car 4; 16.00 to 23.75 s" in text


def test_a_judge_may_be_spared_the_score() -> None:
    text = evidence_text(sample_report(), scores=False)
    assert "score" not in text
    assert "R5: person 2 | fell" in text


def test_what_is_left_out_is_said() -> None:
    text = evidence_text(sample_report(), max_relations=2)
    assert "(6 less telling ones left out)" in text
    assert "R5" in text
    assert "R2:" not in text


def test_no_account_of_the_narrator_is_handed_on() -> None:
    report = sample_report()
    text = evidence_text(report) + curve_text(report.scores, report.events)
    assert not any(claim.text in text for account in report.accounts for claim in account.claims)


def test_an_unknown_event_is_an_error() -> None:
    with pytest.raises(KeyError):
        evidence_text(sample_report(), "E9")


def test_the_curve_names_peaks_and_signals() -> None:
    report = sample_report()
    text = curve_text(report.scores, report.events)
    assert "E1: 9.20 to 13.00 s (0:09.2 to 0:13), peak 0.87 at 10.75 s (pose surprise" in text
    shape = text.rsplit(" ", 1)[1]
    assert len(shape) == 24
    assert shape.index(max(shape)) == int(10.75 / 29.75 * 24)
    assert "no score" in curve_text(ScoreTrack(np.zeros(0), np.zeros(0), "s", np.zeros((0, 1)), ("a",)), ())


def test_quiet_and_hostile_reports_are_told() -> None:
    assert "none" in evidence_text(quiet_report())
    text = evidence_text(hostile_report())
    assert all(line.isprintable() for line in text.split("\n"))
    assert len(text) < 20_000


def test_frame_notes_and_findings() -> None:
    report = sample_report()
    assert [frame_note(key) for key in report.keyframes[:3]] == ["before E1", "before E1", "during E1"]
    assert findings_text(check(report, "Person 2 falls at 0:25.")).startswith("contradicted: Person 2 falls at 0:25. (")


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_the_plot_is_a_picture_of_the_curve(kind: str) -> None:
    report = sample_report()
    data = plot_curve(report.scores, report.events, report.video.duration_s, kind=kind)
    assert data == plot_curve(report.scores, report.events, report.video.duration_s, kind=kind)
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.size) == (kind, (WIDTH, HEIGHT))
    red = np.asarray(image.convert("RGB")).astype(int)
    line = (red[..., 0] > 140) & (red[..., 1] < 90) & (red[..., 2] < 90)
    rows, columns = np.nonzero(line)
    # The highest point of the line lies at the highest score.
    peak = columns[rows == rows.min()].mean()
    top = float(report.scores.times_s[int(report.scores.scores.argmax())])
    assert abs((peak - 52) / (WIDTH - 68) * report.video.duration_s - top) < 0.6


def test_one_peak_of_a_long_video_is_not_lost_in_the_plot() -> None:
    times = np.arange(0, 36_000, 0.25)
    scores = np.full(len(times), 0.05, np.float32)
    scores[70_001] = 0.99
    track = ScoreTrack(times, scores, "s", scores[:, None], ("a",))
    image = np.asarray(Image.open(io.BytesIO(plot_curve(track, (), 36_000.0)))).astype(int)
    line = (image[..., 0] > 140) & (image[..., 1] < 90)
    assert np.nonzero(line)[0].min() < 40


@pytest.mark.parametrize("duration", [0.0, -1.0, float("nan"), float("inf")])
def test_a_plot_needs_a_duration(duration: float) -> None:
    with pytest.raises(ValueError, match="positive and finite"):
        plot_curve(sample_report().scores, (), duration)
