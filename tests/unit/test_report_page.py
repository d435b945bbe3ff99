"""The HTML page as text: escaped, closed to the network, complete; behaviour is tested in a browser (e2e)."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from sample_report import hostile_report, narrated_report, quiet_report, sample_report

from vau.errors import ReportError
from vau.report.html import inert_json, relative_href, render_html, write_html
from vau.types import ScoreTrack

VOID = {"meta", "link", "img", "br", "hr", "input", "path", "circle", "rect", "line", "polygon", "use"}


class Page(HTMLParser):
    """Collects tags, ids and scripts, and checks that tags close in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.faults: list[str] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts[-1] += data


@pytest.fixture(scope="module")
def page() -> str:
    return render_html(sample_report(), licences={"SSD-MobileNet-V2 COCO": "Apache-2.0"})


@pytest.mark.parametrize("make", [sample_report, quiet_report, narrated_report, hostile_report])
def test_markup_is_well_formed_with_unique_ids(make):
    parsed = Page(render_html(make(), video_href="v.mp4"))
    assert not parsed.faults
    assert not parsed.open
    ids = [attrs["id"] for _, attrs in parsed.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert [tag for tag, _ in parsed.tags].count("h1") == 1
    for tag, attrs in parsed.tags:
        for name in ("aria-labelledby", "aria-describedby"):
            if name in attrs:
                assert attrs[name] in ids, (tag, attrs)


@pytest.mark.parametrize("make", [sample_report, quiet_report, narrated_report, hostile_report])
def test_nothing_is_loaded_and_only_our_script_runs(make):
    parsed = Page(render_html(make()))
    for tag, attrs in parsed.tags:
        for name in ("src", "href"):
            if attrs.get(name) is not None:
                assert attrs[name].startswith(("data:", "#")), (tag, attrs)
        assert not any(name.startswith("on") for name in attrs), (tag, attrs)
    assert [tag for tag, _ in parsed.tags].count("script") == 2
    policy = next(attrs["content"] for tag, attrs in parsed.tags if attrs.get("http-equiv"))
    digest = base64.b64encode(hashlib.sha256(parsed.scripts[1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe-inline" not in policy.split("script-src")[1]
    json.loads(parsed.scripts[0])


def test_hostile_text_stays_text():
    text = render_html(hostile_report())
    body = text.split("<body>")[1]
    assert "<script>window" not in body
    assert "<img src=x" not in body
    assert "<svg onload" not in body
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202a-\u202e\ud800-\udfff]", text)
    text.encode("utf-8")


def test_account_is_complete(page):
    for words in (
        "One person falls after contact with another and stays on the ground",
        "Person 1 approached person 2 for four and a half seconds before.",
        "Not supported by evidence",
        "wrist speed 3.1 body heights/s",
        "Staged footage",
        "Apache-2.0",
        "not stated",
        "3f9a1c0d22b84e71",
        "MoveNet MultiPose Lightning",
        "possibly",
    ):
        assert words in page, words


def test_threat_is_said_by_word_icon_and_level(page):
    assert "Threat level 2 of 2" in page
    assert "<strong>Dangerous</strong>" in page
    assert page.count('href="#i-level2"') >= 2
    assert page.count('href="#i-level1"') >= 2


def test_what_the_model_says_is_marked_by_word_and_shape():
    text = render_html(narrated_report())
    block = text.split('id="event-0"')[1].split("</section>")[0]
    marks = re.findall(r'class="judged"><svg[^>]*><use href="#i-([\w-]+)"/></svg>([^<]+)<', block)
    assert marks == [
        ("level0", "Agrees with the evidence"),
        ("open", "Cannot be checked"),
        ("level1", "Not in the evidence"),
        ("cross", "Contradicts the evidence"),
        ("open", "Cannot be checked"),
    ]
    for symbol, _ in marks:
        assert f'<symbol id="i-{symbol}"' in text
    assert "there is no evidence R99" in block
    assert "No &#34;collision&#34; of this kind was measured" in block
    assert 'title="Track 2 fell from 0:11 to 0:12 (R5)"' in block
    assert "1 of 3 checkable sentences agrees with the evidence" in block
    assert "Suspected orders in the model" in block
    other = text.split('id="event-1"')[1].split("</section>")[0]
    assert other.count("No answer") == 2
    assert "A dog ru" in other


def test_the_technical_part_names_model_prompts_and_tokens():
    text = render_html(narrated_report()).split('class="card technical"')[1]
    for words in (
        "scripted-vl-7b",
        "vader_cause/2",
        "7 answered, 2 from the cache, 1 failed",
        "12,345 read, 678 written",
    ):
        assert words in text, words
    assert "faithfulness 0.50" in text


def test_a_narration_of_the_whole_video_has_its_place():
    told = narrated_report().narration
    whole = replace(told, events=(replace(told.events[0], event_id=None),))
    text = render_html(replace(quiet_report(), narration=whole))
    assert "What the language model says" in text.split('id="whole-title"')[1]


def test_a_model_that_told_nothing_is_a_notice():
    told = narrated_report().narration
    nothing = replace(told, events=(replace(told.events[1], sentences=()),))
    notes = render_html(replace(sample_report(), narration=nothing)).split('class="notes"')[1].split("</section>")[0]
    assert "told nothing that could be read" in notes


def test_without_a_model_nothing_is_said_of_one(page):
    assert "anguage model" not in page.split("<body>")[1]


def test_quiet_report_says_what_normal_means():
    text = render_html(quiet_report())
    assert "Nothing abnormal found" in text
    assert "not proof that nothing happened" in text
    assert 'id="stage"' not in text
    assert 'id="graph-title"' not in text


def test_report_of_an_empty_video_renders():
    report = quiet_report()
    empty = ScoreTrack(np.zeros(0), np.zeros(0), "s", np.zeros((0, 0)), ())
    text = render_html(
        replace(report, scores=empty, tracks=(), relations=(), changes=(), accounts=(), models=(), timings_s=())
    )
    assert "No abnormal event found" in text


def test_event_without_account_renders():
    report = sample_report()
    text = render_html(replace(report, accounts=()))
    assert "2 abnormal events found" in text
    assert "no account could be given" in text


def test_unsupported_title_is_marked():
    report = sample_report()
    doubted = tuple(
        replace(item, claims=tuple(replace(claim, supported=False) for claim in item.claims))
        for item in report.accounts
    )
    text = render_html(replace(report, accounts=doubted))
    assert "This headline is not supported" in text
    assert text.count("This title is not supported") == 2


def test_many_events_fold_their_pictures():
    report = sample_report()
    events = tuple(replace(report.events[0], event_id=f"E{number}") for number in range(1, 9))
    frames = tuple(
        replace(report.keyframes[0], keyframe_id=f"K{number}", event_id=f"E{number}") for number in range(1, 9)
    )
    text = render_html(replace(report, events=events, keyframes=frames, accounts=()))
    parsed = Page(text)
    assert not parsed.faults
    groups = [attrs for tag, attrs in parsed.tags if tag == "details" and attrs.get("class") == "group"]
    assert ["open" in attrs for attrs in groups] == [True, True] + [False] * 6


def test_truncated_video_is_a_notice():
    report = quiet_report()
    assert "Truncated file" in render_html(replace(report, video=replace(report.video, truncated=True)))


def test_player_is_there_only_with_a_video(page):
    assert "<video" not in page
    text = render_html(sample_report(), video_href="my clip #1.mp4")
    assert 'src="./my%20clip%20%231.mp4"' in text


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("a.mp4", "./a.mp4"),
        ("../clips/a b.mp4", "../clips/a%20b.mp4"),
        ("javascript:alert(1)", "./javascript%3Aalert%281%29"),
        ("http://host/x.mp4", "./http%3A//host/x.mp4"),
        ('"><script>', "./%22%3E%3Cscript%3E"),
        ("caf\udce9.mp4", "./caf%E9.mp4"),
    ],
)
def test_relative_href_cannot_leave(path, address):
    assert relative_href(path) == address


@pytest.mark.parametrize("path", ["", "/etc/passwd", "//host/x.mp4", "\\\\host\\x.mp4", "a\x00.mp4"])
def test_absolute_href_is_refused(path):
    with pytest.raises(ReportError, match="relative"):
        relative_href(path)


def test_inert_json_has_no_markup():
    text = str(inert_json({"a": "</script><!--&\u2028"}))
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"a": "</script><!--&\u2028"}


def test_write_html(tmp_path, page):
    path = write_html(quiet_report(), tmp_path / "deep" / "r.html")
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


def _luminance(colour: str) -> float:
    full = colour if len(colour) == 7 else "#" + "".join(2 * mark for mark in colour[1:])
    values = [int(full[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1])
def test_text_colours_have_contrast(page, scheme):
    blocks = re.findall(r":root\s*\{([^}]*)\}", page)[: 1 + scheme]
    colours = dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{3,6})\b", ";".join(blocks)))
    pairs = [("ink", "card"), ("ink", "bg"), ("muted", "card"), ("muted", "bg"), ("accent", "accent-soft")]
    pairs += [(f"l{level}", ground) for level in range(3) for ground in ("card", f"l{level}-soft")]
    pairs += [("on", f"l{level}") for level in range(3)]
    pairs += [(text, "sunk") for text in ("ink", "muted", "l0", "l1", "l2")]
    for text, ground in pairs:
        light, dark = sorted((_luminance(colours[text]), _luminance(colours[ground])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)
