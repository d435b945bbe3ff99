"""The report page in a real browser: keyboard, phone width, no network, no hostile text executed."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from sample_report import hostile_report, narrated_report, quiet_report, sample_report
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.support.ui import WebDriverWait

from vau.report.html import write_html

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium or chromedriver is not installed"),
]
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --force-prefers-reduced-motion"
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    for make in (sample_report, quiet_report, narrated_report, hostile_report):
        write_html(make(), folder / f"{make.__name__}.html")
    portrait = sample_report()
    write_html(
        replace(portrait, video=replace(portrait.video, width=720, height=1280)), folder / "portrait_report.html"
    )
    return folder


def visit(browser, path: Path, width: int = 1280, height: int = 900, dark: bool = False) -> None:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(path.as_uri())


def press(browser, *keys: str) -> None:
    ActionChains(browser).send_keys(*keys).perform()


def focused(browser) -> dict[str, str]:
    return browser.execute_script(
        "const e = document.activeElement;"
        "return {id: e.id, cls: e.className, label: e.getAttribute('aria-label') || ''}"
    )


KEYS = {"tab": "\ue004", "enter": "\ue007", "escape": "\ue00c", "left": "\ue012", "right": "\ue014", "end": "\ue010"}
PAGE_DOWN = "\ue00f"
NAMES = ["sample_report", "quiet_report", "narrated_report", "hostile_report", "portrait_report"]


@pytest.mark.parametrize("name", NAMES)
def test_no_errors_no_requests_nothing_executed(browser, pages, name):
    visit(browser, pages / f"{name}.html")
    assert browser.execute_script("return window.pwned") is None
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [item["params"]["request"]["url"] for item in messages if item["method"] == "Network.requestWillBeSent"]
    assert [url for url in urls if not url.startswith("data:")] == [(pages / f"{name}.html").as_uri()]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("width", [320, 390, 768])
def test_no_sideways_scrolling(browser, pages, name, width):
    visit(browser, pages / f"{name}.html", width, 844)
    browser.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_injected_script_is_refused_by_the_policy(browser, pages):
    visit(browser, pages / "sample_report.html")
    browser.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.pwned = 2'; document.body.append(s);"
        "const i = new Image(); i.src = 'https://example.invalid/x.png'; document.body.append(i);"
    )
    assert browser.execute_script("return window.pwned") is None
    assert any("Content Security Policy" in entry["message"] for entry in browser.get_log("browser"))


def test_axis_by_keyboard(browser, pages):
    visit(browser, pages / "sample_report.html")
    browser.execute_script("document.getElementById('plot').focus()")
    value = lambda: float(browser.execute_script("return document.getElementById('plot').ariaValueNow"))  # noqa: E731
    start = value()
    press(browser, KEYS["right"])
    assert value() > start
    press(browser, KEYS["end"])
    assert value() == pytest.approx(30.0)
    press(browser, "\ue011")
    assert value() == 0.0
    press(browser, PAGE_DOWN)
    assert value() == pytest.approx(4.5)
    text = browser.execute_script("return document.getElementById('plot').getAttribute('aria-valuetext')")
    assert text.startswith("4.5 s, score 0.")
    assert "per cent" in text
    assert browser.execute_script("return document.getElementById('stage-caption').textContent").startswith("K1 ")


def test_pictures_by_keyboard(browser, pages):
    visit(browser, pages / "sample_report.html")
    browser.execute_script("document.querySelector('.thumb').focus()")
    press(browser, KEYS["enter"])
    assert browser.execute_script("return document.getElementById('viewer').open")
    caption = lambda: browser.execute_script("return document.getElementById('viewer-caption').textContent")  # noqa: E731
    assert caption() == "K1 · 4.5 s · before E1"
    press(browser, KEYS["right"], KEYS["right"], KEYS["right"])
    assert caption().startswith("K4 · 10.8 s")
    press(browser, KEYS["left"])
    assert caption().startswith("K3 ")
    press(browser, KEYS["escape"])
    assert not browser.execute_script("return document.getElementById('viewer').open")
    assert "thumb" in focused(browser)["cls"]


def test_every_control_is_reached_by_tab_and_has_a_name(browser, pages):
    visit(browser, pages / "sample_report.html")
    wanted = browser.execute_script(
        "return [...document.querySelectorAll('button, a[href], summary, [tabindex=\"0\"]')]"
        ".filter(e => e.checkVisibility() && !e.disabled).length"
    )
    seen = 0
    for _ in range(wanted + 5):
        press(browser, KEYS["tab"])
        state = browser.execute_script(
            "const e = document.activeElement; if (e === document.body || e.dataset.seen) return null;"
            "e.dataset.seen = 1; return (e.getAttribute('aria-label') || e.textContent).trim()"
        )
        if state is not None:
            assert state
            seen += 1
    assert seen >= wanted


def test_a_time_in_the_account_opens_the_nearest_picture(browser, pages):
    visit(browser, pages / "sample_report.html")
    chip = browser.find_element("css selector", "#event-0 .role-effect .t")
    chip.click()
    assert browser.execute_script("return document.getElementById('viewer').open")
    assert browser.execute_script("return document.getElementById('viewer-caption').textContent").startswith("K6 ")
    browser.find_element("id", "viewer-close").click()
    assert focused(browser)["label"] == chip.get_attribute("aria-label")


def test_hover_reads_and_leaving_returns(browser, pages):
    visit(browser, pages / "quiet_report.html")
    plot = browser.find_element("id", "plot")
    before = browser.find_element("id", "at-time").text
    ActionChains(browser).move_to_element_with_offset(plot, -300, 0).perform()
    assert browser.find_element("id", "at-time").text != before
    ActionChains(browser).move_to_element(browser.find_element("id", "headline")).perform()
    assert browser.find_element("id", "at-time").text == before


def test_marks_can_be_hidden(browser, pages):
    visit(browser, pages / "sample_report.html")
    shown = "return getComputedStyle(document.querySelector('#stage .marks')).display"
    toggle = browser.find_element("id", "toggle-marks")
    assert browser.execute_script(shown) != "none"
    toggle.click()
    assert browser.execute_script(shown) == "none"
    assert toggle.get_attribute("aria-pressed") == "false"


def test_dark_scheme_is_dark(browser, pages):
    visit(browser, pages / "sample_report.html", dark=True)
    colour = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert colour == "rgb(15, 19, 24)"


def test_portrait_pictures_keep_their_shape(browser, pages):
    visit(browser, pages / "portrait_report.html")
    width, height = browser.execute_script(
        "const b = document.getElementById('stage-open').getBoundingClientRect(); return [b.width, b.height]"
    )
    assert width / height == pytest.approx(720 / 1280, rel=0.01)
    assert height <= 0.75 * 900


def test_the_player_follows_times(browser, pages):
    with av.open(str(pages / "clip #1.webm"), "w") as container:
        stream = container.add_stream("libvpx", rate=5)
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        for number in range(150):
            image = np.full((90, 160, 3), number, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(image)):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    write_html(sample_report(), pages / "video.html", video_href="clip #1.webm")
    visit(browser, pages / "video.html")
    place = lambda: browser.execute_script("return document.getElementById('player').currentTime")  # noqa: E731
    wait = WebDriverWait(browser, 10)
    wait.until(lambda _: browser.execute_script("return document.getElementById('player').readyState") >= 2)
    wait.until(lambda _: abs(place() - 10.75) < 0.3)
    browser.find_element("css selector", "#event-1 .role-effect .t, #event-1 .role-limit .t").click()
    wait.until(lambda _: abs(place() - 29.0) < 0.3)
    wait.until(lambda _: browser.find_elements("css selector", "#live rect"))
    assert browser.get_log("browser") == []


def test_verdicts_on_a_models_sentences_are_printed_with_their_reasons(browser, pages):
    visit(browser, pages / "narrated_report.html")
    shown = "return [...document.querySelectorAll('.said .why')].filter(e => e.checkVisibility()).length"
    everything = browser.execute_script("return document.querySelectorAll('.said .why').length")
    assert browser.execute_script(shown) == 4  # what is wrong or missing says why at once, the rest when opened
    browser.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    assert browser.execute_script(shown) == everything == 8
    browser.execute_script("window.dispatchEvent(new Event('afterprint'))")
    assert browser.execute_script(shown) == 4
    marks = browser.execute_script(
        "return [...document.querySelectorAll('.said .judged')].map(e => e.textContent.trim())"
    )
    assert set(marks) == {
        "Agrees with the evidence",
        "Not in the evidence",
        "Contradicts the evidence",
        "Cannot be checked",
        "No answer",
    }
