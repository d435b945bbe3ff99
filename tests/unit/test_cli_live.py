"""`vau analyze --live` over a file and over a server that dies: what is printed, what is written, how it is left."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import pytest
from typer.testing import CliRunner

from tests import fake_models
from tests.fake_models import FPS, falling, scene
from vau.cli import live
from vau.cli.app import app
from vau.cli.live import RECORDS, Watching, watch_live
from vau.config import Config
from vau.errors import ConfigError, InputError, VideoError

CONFIG = Config()
AT_ONCE = Watching(speed=0)


@pytest.fixture(scope="module")
def fall(tmp_path_factory) -> Path:
    images = [scene(falling(index / FPS)) for index in range(7 * FPS)]
    return fake_models.write(tmp_path_factory.mktemp("clips") / "fall.mp4", images)


def watched(clip: Path, out: Path, *, text: str = "", how: Watching = AT_ONCE, **options: Any) -> list[dict[str, Any]]:
    watch_live(text or str(clip), CONFIG, out, how, **({"models": fake_models.models()} | options))
    return [json.loads(line) for line in (out / RECORDS).read_text("utf-8").splitlines()]


def test_a_file_is_watched_to_its_end(fall, tmp_path, capsys):
    records = watched(fall, tmp_path, as_json=True)
    assert [item["kind"] for item in records] == ["begun", "event", "summary"]
    begun, event, summary = records
    assert begun["source"] == str(fall) and begun["format"] == "vau.live/1"
    assert event["event"] == "E1" and 3 < event["start_s"] < 5 and event["title"]
    assert all(Path(item["file"]).read_bytes().startswith(b"\xff\xd8") for item in event["keyframes"])
    assert summary["events"] == 1 and summary["gaps"] == 0 and summary["watched_s"] == pytest.approx(7, abs=0.2)
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == records


def test_twice_the_same(fall, tmp_path):
    one, other = watched(fall, tmp_path / "a"), watched(fall, tmp_path / "b")
    assert json.dumps(one).replace("/a/", "/b/") == json.dumps(other)
    pictures = [sorted((tmp_path / name).glob("*.jpg")) for name in ("a", "b")]
    assert [path.read_bytes() for path in pictures[0]] == [path.read_bytes() for path in pictures[1]]


def test_people_read_sentences(fall, tmp_path, capsys):
    watched(fall, tmp_path)
    said = capsys.readouterr().out
    assert "Watching" in said and "E1  0:0" in said and "Watched 7 s: one event, no gaps" in said
    watched(fall, tmp_path, quiet=True)
    assert capsys.readouterr().out == ""


def test_an_interrupt_closes_what_is_open_and_sums_up(fall, tmp_path, monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    told = live._told

    def begin(*arguments: Any) -> Any:
        if not timer.is_alive() and timer.ident is None:
            timer.start()
        return told(*arguments)

    monkeypatch.setattr(live, "_told", begin)
    records = watched(fall, tmp_path, how=Watching(speed=0.25))
    assert [item["kind"] for item in records][-1] == "summary" and records[-1]["watched_s"] < 6
    assert signal.getsignal(signal.SIGINT) is before


def remuxed(clip: Path, path: Path) -> Path:
    """Copies a video into a container that can be read from any place on."""
    with av.open(str(clip)) as source, av.open(str(path), "w", format="mpegts") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return path


def test_a_camera_that_dies_after_a_fall(fall, tmp_path):
    """The fall is told when the stream breaks off, the gap when it is back; no secret is in what is written."""
    content = remuxed(fall, tmp_path / "fall.ts").read_bytes()

    class Camera(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if len(asked) == 2 or len(asked) > 3:
                return self.send_error(503)
            self.send_response(200)
            self.end_headers()
            step = len(content) // 40
            with suppress(OSError):
                for start in range(0, len(content), step):
                    self.wfile.write(content[start : start + step])
                    time.sleep(0.1)

        def log_message(self, *_: object) -> None:
            pass

    asked: list[str] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Camera)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    address = f"http://user:geheim@127.0.0.1:{server.server_port}/live?token=geheim"
    try:
        records = watched(Path(address), tmp_path / "out", text=address, how=Watching(give_up_s=2.5))
    finally:
        server.shutdown()
        server.server_close()
    seen = [item["kind"] for item in records]
    assert seen == ["begun", "event", "lost", "gap", "begun", "event", "lost", "gap", "summary"]
    events = [item for item in records if item["kind"] == "event"]
    assert [item["event"] for item in events] == ["E1", "E2"]
    assert events[0]["end_s"] <= records[3]["start_s"] < records[3]["end_s"] <= events[1]["start_s"]
    assert all("fell" in item["title"] + item["what"] for item in events)
    assert records[-1]["gaps"] == 2 and records[-1]["missing_s"] > 0.5
    assert "geheim" not in (tmp_path / "out" / RECORDS).read_text("utf-8")


@pytest.mark.parametrize("changes", [{"scoring.method": "themis"}, {"scoring.checkpoint": "somewhere"}])
def test_a_scorer_that_cannot_watch_is_refused(fall, tmp_path, changes):
    with pytest.raises(ConfigError, match="training-free"):
        watch_live(str(fall), CONFIG.with_overrides(changes), tmp_path)


def test_what_cannot_be_watched_is_an_error(tmp_path):
    with pytest.raises(InputError):
        watch_live("ftp://user:geheim@cam/1", CONFIG, tmp_path, models=fake_models.models())
    with pytest.raises(VideoError):
        watch_live(str(tmp_path / "none.mp4"), CONFIG, tmp_path, models=fake_models.models())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rtsp://cam/1", "rtsp://cam/2"], "watches one file or stream, got 2"),
        (["ftp://user:geheim@cam/1"], "rtsp, rtsps, http, https"),
        (["rtsp://cam/1", "--ca-file", "none.pem"], "no file of certificates"),
        (["a.mp4", "--set", "scoring.method=themis"], "training-free"),
        (["a.mp4", "--mllm", "http://127.0.0.1:1"], "leave out --mllm"),
    ],
)
def test_the_command_refuses_what_it_cannot_watch(arguments, words, tmp_path):
    found = CliRunner().invoke(app, ["analyze", "--live", *arguments, "-o", str(tmp_path / "out")])
    assert found.exit_code == 2, found.output
    assert words in found.output and "geheim" not in found.output
    assert not (tmp_path / "out").exists()


def test_the_command_hands_its_options_over(tmp_path, monkeypatch):
    given: list[Any] = []
    monkeypatch.setattr("vau.cli.analyze.watch_live", lambda *values, **options: given.append((values, options)))
    pem = tmp_path / "own.pem"
    options = ["--speed", "0", "--give-up-after", "60", "--ca-file", str(pem), "--json", "--sensitivity", "0.7"]
    found = CliRunner().invoke(app, ["analyze", "--live", "rtsp://cam/1", "-o", str(tmp_path), *options])
    assert found.exit_code == 0, found.output
    ((text, config, out, how), rest) = given[0]
    assert (text, out, how) == ("rtsp://cam/1", tmp_path, Watching(0.0, 60.0, pem))
    assert config.scoring.sensitivity == 0.7 and rest == {"as_json": True, "quiet": False}


@pytest.mark.parametrize("option", [("--speed", "2"), ("--give-up-after", "9"), ("--ca-file", "some.pem")])
def test_options_of_live_alone_mean_nothing_without_it(option, tmp_path):
    found = CliRunner().invoke(app, ["analyze", "a.mp4", *option, "-o", str(tmp_path / "out")])
    assert found.exit_code == 2 and "for --live alone" in found.output
