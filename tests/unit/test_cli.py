"""The command line: what it takes, prints and returns, with the analysis itself replaced by made-up reports."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests import scripted_server as play
from tests.sample_report import NASTY, hostile_report, narrated_report, sample_report
from tests.scripted_server import ScriptedServer
from vau import __version__
from vau.cli import app
from vau.cli.failures import Attempt, describe, guard
from vau.cli.inputs import content_of, expand, result_folder, stem_of
from vau.cli.show import clean, name_of
from vau.cli.work import configuration
from vau.errors import ConfigError, InputError, MissingExtraError, MllmCancelled, VideoOpenError, WeightsError

ROOT = Path(__file__).resolve().parents[2]
runner = CliRunner()
busy, hostile = cache(sample_report), cache(hostile_report)  # drawing their pictures takes most of the time


def run(*arguments: object):
    return runner.invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def analysed(monkeypatch) -> list:
    """Replaces the pipeline: a file's text decides what becomes of it; returns the calls."""
    calls = []
    failures = {
        b"broken": VideoOpenError("'broken.mp4': not a video"),
        b"bug": ZeroDivisionError("division by zero"),
        b"weights": WeightsError("weights ssd are not there; run: vau weights fetch"),
        b"extra": MissingExtraError("the reader", "decord"),
        b"interrupt": KeyboardInterrupt(),
        b"pipe": BrokenPipeError(),
        b"library": ImportError("libGL.so.1: cannot open shared object file: No such file or directory"),
        b"exit": typer.Exit(7),
    }

    def fake(video, config=None, *, models=None, scorer=None, mllm=None, progress=None, notes=()):
        calls.append((Path(video), config, models, mllm))
        if not Path(video).is_file():
            raise VideoOpenError(f"{str(video)!r}: cannot be opened: No such file or directory")
        content = Path(video).read_bytes()
        if content in failures:
            raise failures[content]
        if progress is not None:
            progress("decode", 0.5)
        report = {b"hostile": hostile, b"narrated": narrated_report}.get(content, busy)()
        info = replace(report.video, sha256=sha256(content).hexdigest(), truncated=content == b"truncated")
        return replace(report, video=info, notes=(*report.notes, *notes))

    monkeypatch.setattr("vau.pipeline.analyze", fake)
    monkeypatch.setattr("vau.perception.observe.load_models", lambda config: object())
    return calls


def video(path: Path, content: str = "fine") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


# analyze: one video


def test_one_video(here, analysed):
    done = run("analyze", video(here / "a.mp4"))
    assert done.exit_code == 0, done.output
    folder = here / "reports" / "a"
    assert (folder / "report.json").is_file()
    assert (folder / "report.html").is_file()
    assert "fall" in done.stdout
    assert "Confidence" in done.stdout
    assert "reports/a/report.html" in done.stdout
    assert "Staged footage" in done.stdout
    assert "\x1b" not in done.stdout


def test_the_page_plays_the_video(here, analysed):
    run("analyze", video(here / "in" / "a b.mp4"), "--out", "out")
    assert "../../in/a%20b.mp4" in (here / "out" / "a b" / "report.html").read_text(encoding="utf-8")


def test_quiet_prints_nothing(here, analysed):
    done = run("analyze", video(here / "a.mp4"), "--quiet")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")


def test_json_is_one_object_a_line(here, analysed):
    done = run("analyze", video(here / "a.mp4"), video(here / "b.mp4", "b"), "--json", "--out", "o")
    first, second = map(json.loads, done.stdout.splitlines())
    assert done.exit_code == 0
    assert Path(first["report"]) == Path("o/a/report.json")
    assert second["video"].endswith("b.mp4")
    assert first["verdict"]["threat_level"] in (0, 1, 2)
    assert first["events"][0]["id"] == "E1"
    assert first["events"][0]["start_s"] == pytest.approx(9.2)
    assert first["events"][0]["title"]


def test_truncated_is_said(here, analysed):
    file = video(here / "a.mp4", "truncated")
    assert "truncated" in run("analyze", file).stdout
    assert json.loads(run("analyze", file, "--json").stdout)["truncated"] is True


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        ("broken", 2, "not a video"),
        ("weights", 3, "vau weights fetch"),
        ("extra", 3, 'pip install "vau[decord]"'),
        ("library", 3, "apt-get install libgl1 libglib2.0-0"),
        ("bug", 1, "unexpected ZeroDivisionError"),
        ("exit", 7, ""),
    ],
)
def test_exit_codes(here, analysed, content, code, message):
    done = run("analyze", video(here / "broken.mp4", content))
    assert done.exit_code == code
    assert message in done.stderr
    assert "Traceback" not in done.output
    assert done.stdout == ""


def test_interrupt_is_130_and_ends_the_run(here, analysed):
    done = run("analyze", video(here / "a.mp4", "interrupt"), video(here / "b.mp4"))
    assert done.exit_code == 130
    assert "interrupted" in done.stderr
    assert len(analysed) == 1


def test_debug_shows_the_traceback(here, analysed):
    done = run("analyze", video(here / "a.mp4", "bug"), "--debug")
    assert done.exit_code == 1
    assert "Traceback" in done.stderr
    assert "ZeroDivisionError" in done.stderr


def test_missing_file_is_2(here, analysed):
    done = run("analyze", "nowhere.mp4")
    assert done.exit_code == 2
    assert "nowhere.mp4" in done.stderr


def test_no_argument_is_a_usage_error(analysed):
    assert run("analyze").exit_code == 2


# analyze: many


def test_folder_run_goes_on_and_lists_failures(here, analysed):
    video(here / "in" / "a.mp4")
    video(here / "in" / "b.MP4", "broken")
    video(here / "in" / "deep" / "c.avi", "bug")
    video(here / "in" / "deep" / "d.mkv", "d")
    video(here / "in" / "notes.txt")
    video(here / "in" / ".hidden.mp4")
    video(here / "in" / ".trash" / "e.mp4")
    done = run("analyze", "in")
    assert done.exit_code == 2
    assert [call[0].name for call in analysed] == ["a.mp4", "b.MP4", "c.avi", "d.mkv"]
    closing = done.stderr[done.stderr.index("2 analysed, 2 failed") :]
    assert "in/b.MP4" in closing
    assert "not a video" in closing
    assert "c.avi" in closing
    assert "unexpected ZeroDivisionError" in closing
    assert (here / "reports" / "d" / "report.json").is_file()


def test_models_are_loaded_once_for_many_videos(here, analysed):
    for name in "abc":
        video(here / "in" / f"{name}.mp4", name)
    run("analyze", "in", "--quiet")
    models = [call[2] for call in analysed]
    assert models[0] is not None
    assert all(item is models[0] for item in models)


# analyze: with a language model


def test_the_model_is_opened_once_for_many_videos_and_closed(here, analysed):
    for name in "abc":
        video(here / "in" / f"{name}.mp4", name)
    with ScriptedServer(play.reply("ready")) as server:
        done = run("analyze", "in", "--quiet", "--mllm", server.url, "--set", f"mllm.cache={here / 'kept.sqlite'}")
        assert done.exit_code == 0, done.output
        assert len(server.chats) == 1
    models = [call[3] for call in analysed]
    assert len(models) == 3 and models[0] is not None
    assert all(model is models[0] for model in models)
    assert analysed[0][1].mllm.model == server.url
    with pytest.raises(MllmCancelled):
        models[0].model.models()


def test_a_model_that_is_not_there_is_said_before_the_work(here, analysed):
    with ScriptedServer() as server:
        url = server.url
    done = run("analyze", video(here / "a.mp4"), "--mllm", url, "--set", f"mllm.cache={here / 'kept.sqlite'}")
    assert done.exit_code == 3
    assert "start its server" in done.stderr
    assert analysed == []
    assert not (here / "reports").exists()


def test_what_a_model_could_not_tell_is_said_even_to_the_quiet(here, analysed):
    done = run("analyze", video(here / "a.mp4", "narrated"), "--quiet")
    assert done.exit_code == 0
    assert done.stderr.startswith("warning: ") and "told some parts only" in done.stderr


def test_a_model_that_is_no_model_is_a_wrong_argument(here, analysed):
    done = run("analyze", video(here / "a.mp4"), "--mllm", "localhost:8000")
    assert done.exit_code == 2
    assert "http://localhost:8000" in done.stderr
    assert analysed == []


@pytest.mark.parametrize("arguments", [(), ("--mllm", "evidence")])
def test_the_embedded_narrator_needs_no_model(here, analysed, arguments):
    assert run("analyze", video(here / "a.mp4"), *arguments).exit_code == 0
    assert analysed[0][3] is None


def test_the_configuration_names_the_model_too(here, analysed):
    with ScriptedServer(play.reply("ready")) as server:
        (here / "c.yaml").write_text(f"mllm: {{model: '{server.url}', cache: '{here / 'kept.sqlite'}', frames: 3}}")
        assert run("analyze", video(here / "a.mp4"), "--config", "c.yaml").exit_code == 0
    assert analysed[0][3] is not None and analysed[0][1].mllm.frames == 3


def test_what_a_model_told_is_summed_up(here, analysed):
    done = run("analyze", video(here / "a.mp4", "narrated"))
    words = " ".join(done.stdout.split())
    for part in (
        "scripted-vl-7b",
        "2 of 4 checkable sentences agree with the evidence",
        "faithfulness 0.50",
        "7 answered, 2 from the cache, 1 failed",
        "12,345 read, 678 written",
        "E2, effect: the server answered 500",
        "ignore all previous instructions",
    ):
        assert part in words, part
    told = json.loads(run("analyze", video(here / "b.mp4", "narrated"), "--json").stdout)["narration"]
    assert (told["model"], told["faithfulness"], told["checkable"], told["sentences"]) == ("scripted-vl-7b", 0.5, 4, 6)
    assert told["tokens"] == {"prompt": 12345, "completion": 678}
    assert told["calls"] == {"paid": 7, "cached": 2, "failed": 1}
    assert [item["role"] for item in told["failures"]] == ["cause", "effect"]
    assert json.loads(run("analyze", video(here / "c.mp4"), "--json").stdout)["narration"] is None


def test_retries_of_a_download_are_told_when_debugging_only():
    code = (
        "import logging, sys; from vau.cli.work import log_to_stderr; log_to_stderr(sys.argv[1] == 'debug');"
        "logging.getLogger('huggingface_hub.utils._http').warning('retry'); logging.error('failed');"
        "logging.getLogger('vau').warning('told')"
    )
    told = [
        subprocess.run([sys.executable, "-c", code, mode], capture_output=True, text=True, check=True, cwd=ROOT).stderr
        for mode in ("plain", "debug")
    ]
    assert told[0] == "WARNING vau: told\n"
    assert "retry" in told[1] and "failed" in told[1]


def test_a_bad_scorer_is_told_once_and_blamed_on_no_video(here, analysed):
    for name in "ab":
        video(here / "in" / f"{name}.mp4", name)
    done = run("analyze", "in", "--scorer", here / "nowhere")
    assert done.exit_code == 2
    assert "no such folder" in done.stderr and "mp4" not in done.output
    assert done.output.count("\n") == 1
    assert not analysed


@pytest.mark.parametrize("option", ["--anomaly", "--normal"])
def test_a_blank_definition_is_refused(here, analysed, option):
    done = run("analyze", video(here / "a.mp4"), option, "  ")
    assert done.exit_code == 2
    assert f"{option} '  ' is blank" in done.stderr
    assert not analysed


def test_json_of_a_folder_run_names_failures_too(here, analysed):
    video(here / "in" / "a.mp4")
    video(here / "in" / "b.mp4", "broken")
    lines = [json.loads(line) for line in run("analyze", "in", "--json").stdout.splitlines()]
    assert lines[1] == {"video": "in/b.mp4", "error": "'broken.mp4': not a video", "exit_code": 2}


def test_missing_weights_stop_a_folder_run(here, analysed):
    video(here / "in" / "a.mp4", "weights")
    video(here / "in" / "b.mp4")
    assert run("analyze", "in").exit_code == 3
    assert len(analysed) == 1


def test_a_missing_argument_does_not_stop_the_others(here, analysed):
    done = run("analyze", "gone*.mp4", video(here / "a.mp4"))
    assert done.exit_code == 2
    assert len(analysed) == 1
    assert "no file matches" in done.stderr


def test_the_same_video_twice_is_analysed_once(here, analysed):
    file = video(here / "in" / "a.mp4")
    run("analyze", file, "in", "in/*.mp4", "in/../in/a.mp4")
    assert len(analysed) == 1


def test_same_stem_never_overwrites_another_video(here, analysed):
    first, second = video(here / "x" / "cam.mp4", "1"), video(here / "y" / "cam.mp4", "2")
    for _ in range(2):  # the second time each goes to its own folder again
        assert run("analyze", first, second).exit_code == 0
    suffix = sha256(b"2").hexdigest()[:8]
    assert sorted(path.name for path in (here / "reports").iterdir()) == ["cam", f"cam-{suffix}"]
    assert content_of(here / "reports" / "cam") == sha256(b"1").hexdigest()
    assert content_of(here / "reports" / f"cam-{suffix}") == sha256(b"2").hexdigest()


def test_a_folder_of_the_user_is_left_alone(here, analysed):
    (here / "reports" / "cam").mkdir(parents=True)
    (here / "reports" / "cam" / "thesis.tex").write_text("years of work")
    assert run("analyze", video(here / "cam.mp4")).exit_code == 0
    assert [path.name for path in (here / "reports" / "cam").iterdir()] == ["thesis.tex"]


def test_out_that_is_a_file_is_an_error(here, analysed):
    (here / "out").write_text("")
    done = run("analyze", video(here / "a.mp4"), "--out", "out")
    assert done.exit_code in (1, 2)
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.output


# hostile names and text


@pytest.mark.parametrize("name", ["\x1b[31mred\x07.mp4", "a\nb.mp4", "\u202egpj.mp4", "-rf.mp4", "~.mp4", "$(id).mp4"])
def test_hostile_names_are_shown_harmless(here, analysed, name):
    video(here / "in" / name)
    video(here / "in" / "sub" / name, "broken")
    done = run("analyze", "in")
    for bad in ("\x1b", "\x07", "\u202e"):
        assert bad not in done.stdout + done.stderr
    assert "1 analysed, 1 failed" in done.stderr
    (folder,) = (here / "reports").iterdir()
    assert clean(folder.name) == folder.name
    assert folder.name[0] not in ".-"


def test_hostile_report_text_cannot_steer_the_terminal(here, analysed):
    done = run("analyze", video(here / "a.mp4", "hostile"))
    assert done.exit_code == 0, done.output
    assert not set("\x1b\x07\x00\u202e\ud800") & set(done.output)
    assert "[31m" in done.output  # the harmless rest stays visible


def test_json_of_a_hostile_report_is_json(here, analysed):
    (line,) = run("analyze", video(here / "a.mp4", "hostile"), "--json").stdout.splitlines()
    assert "\x1b" not in line
    assert json.loads(line)["events"][0]["label"]


def test_a_name_that_is_not_utf8(here, analysed):
    file = Path("in") / "caf\udce9.mp4"
    try:
        video(file)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    done = run("analyze", "in", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["video"] == "in/caf\\udce9.mp4"


@given(st.text(max_size=300))
def test_stems_are_plain_folder_names(name):
    stem = stem_of(Path("/x") / (name.replace("/", "").replace("\x00", "") or "a"))
    assert stem
    assert "/" not in stem
    assert stem not in (".", "..")
    assert stem[0] not in " .-"
    assert len(stem.encode()) <= 100
    assert clean(stem) == stem


@given(st.text(max_size=200))
def test_clean_text_is_printable_and_stays(text):
    assert clean(text).isprintable()
    assert clean(clean(text)) == clean(text)
    if text.isprintable():
        assert clean(text) == text


def test_clean_takes_out_what_steers():
    assert not set("\x1b\x07\x00\u202e\n\r\ud800") & set(clean(NASTY))


def test_name_of_keeps_paths():
    assert name_of(Path("a") / "b\nc.mp4") == "a/b\nc.mp4"
    assert name_of("caf\udce9") == "caf\\udce9"


# inputs


def test_expand_file_of_any_name(tmp_path):
    file = video(tmp_path / "footage.bin")
    assert expand(str(file)) == [file]


def test_expand_leaves_missing_files_to_the_reader(tmp_path):
    assert expand(str(tmp_path / "no.mp4")) == [tmp_path / "no.mp4"]


def test_expand_pattern(tmp_path):
    files = [video(tmp_path / f"{name}.mp4") for name in "ba"]
    video(tmp_path / "d" / "c.mp4")
    assert expand(str(tmp_path / "*.mp4")) == sorted(files)
    assert len(expand(str(tmp_path / "**" / "*.mp4"))) == 3


def test_expand_prefers_a_file_named_like_a_pattern(tmp_path):
    file = video(tmp_path / "[1].mp4")
    video(tmp_path / "1.mp4")
    assert expand(str(file)) == [file]


def test_expand_empty_folder(tmp_path):
    with pytest.raises(InputError, match="holds no video"):
        expand(str(tmp_path))


def test_expand_survives_a_loop_of_links(tmp_path):
    file = video(tmp_path / "in" / "a.mp4")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in")
    assert expand(str(tmp_path / "in")) == [file]


def test_result_folder_refuses_what_it_cannot_tell_apart(tmp_path):
    digest = "ab" * 32
    for name in ("a", "a-" + digest[:8], "a-" + digest[:16], "a-" + digest):
        video(tmp_path / name / "x")
    with pytest.raises(InputError, match="--out"):
        result_folder(tmp_path, Path("a.mp4"), digest)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"video": 3}', '{"video": {"sha256": 1}}', "[" * 100_000, "\xff"])
def test_content_of_damaged_reports_is_unknown(tmp_path, text):
    (tmp_path / "report.json").write_text(text, encoding="latin-1")
    assert content_of(tmp_path) is None


# configuration


def test_settings_win_over_the_file(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_text("video: {sample_fps: 2, max_side: 320}\nscoring: {sensitivity: 0.1}")
    settled = configuration(file, ["video.sample_fps=3", "perception.pose=false"], sensitivity=0.9)
    assert settled.video.sample_fps == 3
    assert settled.video.max_side == 320
    assert settled.perception.pose is False
    assert settled.scoring.sensitivity == 0.9


@pytest.mark.parametrize(
    "text", ["video.sample_fps", "=3", "video.sample_fsp=3", "video.max_side=[", "nope=1", "video=1"]
)
def test_wrong_settings(text):
    with pytest.raises(ConfigError):
        configuration(None, [text])


def test_wrong_options_are_2(here, analysed):
    file = video(here / "a.mp4")
    assert run("analyze", file, "--sensitivity", "1.5").exit_code == 2
    assert run("analyze", file, "--config", "nope.yaml").exit_code == 2
    done = run("analyze", file, "--set", "video.sample_fsp=3")
    assert "did you mean video.sample_fps" in done.stderr
    assert not analysed


def test_options_reach_the_pipeline(here, analysed):
    run("analyze", video(here / "a.mp4"), "--sample-fps", "2.5", "--sensitivity", "0.7", "--set", "video.max_side=480")
    config = analysed[0][1]
    assert (config.video.sample_fps, config.scoring.sensitivity, config.video.max_side) == (2.5, 0.7, 480)


# failures


def test_describe_lets_exits_pass():
    assert describe(typer.Exit(3)) is None
    assert describe(GeneratorExit()) is None
    assert describe(SystemExit(1)) is None


def test_describe_strips_control_characters():
    assert "\x1b" not in describe(InputError("\x1b[2Jx")).message
    assert "\x1b" not in describe(ValueError("\x1b[2Jx")).message


def test_describe_memory_and_files():
    assert describe(MemoryError()).exit_code == 1
    assert "full.bin: No space" in describe(OSError(28, "No space left on device", "full.bin")).message


def test_attempt_keeps_failures_but_not_interrupts():
    attempt = Attempt()
    with attempt:
        raise InputError("no")
    assert attempt.failure.exit_code == 2
    with pytest.raises(KeyboardInterrupt), Attempt():
        raise KeyboardInterrupt
    with pytest.raises(BrokenPipeError), Attempt():
        raise BrokenPipeError


def test_guard_is_silent_on_success():
    with guard():
        pass


# ask


@dataclass
class Reply:
    """What the command reads of an answer."""

    text: str
    times_s: tuple[float, ...] = (10.75,)
    keyframe_ids: tuple[str, ...] = ("K4",)
    intent: str = "overview"
    supported: bool = True
    claims: tuple = ()


@pytest.fixture
def replies(monkeypatch) -> list:
    """Replaces the answering; returns (question, number of earlier answers, video) of every call."""
    asked = []

    def responder(report):
        count = iter(range(100))

        def respond(text):
            asked.append((text, next(count), report.video.source))
            return Reply(f"\x1b[2JYou asked: {text}")

        return respond

    monkeypatch.setattr("vau.cli.ask_answers._responder", responder)
    return asked


@pytest.mark.parametrize("name", ["", "report.json", "report.html"])
def test_ask_a_report(here, analysed, replies, name):
    run("analyze", video(here / "a.mp4"), "--quiet")
    done = run("ask", here / "reports" / "a" / name, "What happened?")
    assert done.exit_code == 0, done.output
    assert done.stdout == "[2JYou asked: What happened?\nCheck at: 10.8 s\n"


def test_ask_json(here, analysed, replies):
    run("analyze", video(here / "a.mp4"), "--quiet")
    found = json.loads(run("ask", here / "reports" / "a", "What happened?", "--json").stdout)
    assert found["question"] == "What happened?"
    assert found["times_s"] == [10.75]
    assert found["supported"] is True


def test_ask_a_video_analyses_it_once(here, analysed, replies, monkeypatch):
    file = video(here / "a.mp4")
    info = replace(busy().video, sha256=sha256(b"fine").hexdigest())
    monkeypatch.setattr("vau.video.probe", lambda path, config: info)
    for _ in range(2):
        assert run("ask", file, "What happened?").exit_code == 0
    assert len(analysed) == 1
    assert (here / "reports" / "a" / "report.json").is_file()


def test_ask_line_by_line(here, analysed, replies):
    run("analyze", video(here / "a.mp4"), "--quiet")
    done = runner.invoke(app, ["ask", "reports/a"], input="What happened?\n\nAnd then?\nquit\nNever read\n")
    assert done.exit_code == 0
    assert [call[:2] for call in replies] == [("What happened?", 0), ("And then?", 1)]


def test_ask_without_any_question_is_2(here, analysed, replies):
    run("analyze", video(here / "a.mp4"), "--quiet")
    done = run("ask", "reports/a")
    assert done.exit_code == 2
    assert "What happened?" in done.stderr


@pytest.mark.parametrize("source", ["gone", "gone.json", "gone.mp4", "damaged.json"])
def test_ask_what_is_not_there_is_2(here, replies, source):
    (here / "damaged.json").write_text('{"schema_version": "0.1"}')
    done = run("ask", source, "What happened?")
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")


# demo


def test_scenarios_are_those_that_can_be_staged():
    from vau.cli.demo import Scenario
    from vau.demo.truth import SCENARIOS

    assert {item.value for item in Scenario} == set(SCENARIOS)


@pytest.mark.parametrize(("agrees", "code"), [(True, 0), (False, 1)])
def test_demo_compares_with_the_truth(here, analysed, monkeypatch, agrees, code):
    from vau.demo.stage import StagedVideo
    from vau.demo.truth import Check, Truth

    def stage(source, out, scenario, *, seed):
        truth = Truth(
            scenario, source.name, 30.0, 10.0, 14.0, (), ("A person falls.",), "Staged demonstration: so it is."
        )
        return StagedVideo(video(out), truth, out.with_suffix(".truth.json"))

    monkeypatch.setattr("vau.demo.footage.fetch_footage", lambda folder: Path("street.avi"))
    monkeypatch.setattr("vau.demo.stage.stage", stage)
    monkeypatch.setattr("vau.demo.truth.check_account", lambda report, truth: (Check("when", agrees, "at 10 s"),))
    done = run("demo", "--scenario", "struck", "--out", "d")
    assert done.exit_code == code, done.output
    assert "A person falls." in done.stdout
    assert ("yes when: at 10 s" if agrees else "NO  when: at 10 s") in done.stdout
    assert "Note: Staged demonstration: so it is." in done.stdout
    assert (here / "d" / "staged-struck" / "report.html").is_file()
    told = json.loads(run("demo", "-s", "struck", "--out", "d", "--json").stdout)["staged"]
    assert told["scenario"] == "struck"
    assert told["checks"] == [{"name": "when", "agrees": agrees, "detail": "at 10 s"}]


# doctor and weights


def test_doctor_finds_nothing_to_complain_about_here():
    done = run("doctor", "--json")
    found = json.loads(done.stdout)
    weights = [check for check in found["checks"] if check["section"] == "weights"]
    assert {check["name"] for check in found["checks"] if check["state"] == "missing"} <= {c["name"] for c in weights}
    assert done.exit_code == (0 if found["ready"] else 3)


def test_doctor_says_what_is_missing_and_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr("vau.weights.default_dir", lambda: tmp_path)
    done = run("doctor")
    assert done.exit_code == 3
    assert "cannot run yet" in done.stdout
    assert "vau weights fetch" in done.stdout


def test_doctor_knows_two_opencvs(monkeypatch):
    from vau import doctor

    both = {"cv2": ["opencv-python", "opencv-python-headless", "opencv-python"]}
    monkeypatch.setattr(doctor.metadata, "packages_distributions", lambda: both)
    (check,) = (item for item in doctor.examine().checks if item.name == "one OpenCV")
    assert check.state == "missing"
    assert "pip uninstall --yes opencv-python opencv-python-headless" in check.remedy


def test_doctor_knows_a_missing_system_library(monkeypatch):
    from vau import doctor

    def fail(name):
        raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory")

    monkeypatch.setattr(doctor.importlib, "import_module", fail)
    (check,) = (item for item in doctor.examine().checks if item.name == "cv2 loads")
    assert (check.state, check.remedy) == ("missing", "apt-get install libgl1 libglib2.0-0")


def test_doctor_reads_requirements_and_extras(monkeypatch):
    from vau import doctor

    lines = [
        "numpy>=2",
        "torch>=2; extra == 'yolo'",
        'ultralytics; extra == "yolo"',
        "ruff; extra == 'dev'",
        "vau[yolo]; extra == 'all'",
    ]
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: lines)
    assert doctor.requirements() == (("numpy",), {"yolo": ("torch", "ultralytics")})


@pytest.mark.parametrize(
    ("reply", "state", "text"),
    [("NVIDIA H100, 81559 MiB\n", "ok", "NVIDIA H100, 81559 MiB"), ("", "optional", "none found")],
)
def test_doctor_asks_for_a_gpu(monkeypatch, reply, state, text):
    from vau import doctor

    answer = subprocess.CompletedProcess([], 0, reply, "")
    monkeypatch.setattr(doctor.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    monkeypatch.setattr(doctor.subprocess, "run", lambda *_, **__: answer)
    (check,) = (item for item in doctor.examine().checks if (item.section, item.name) == ("system", "gpu"))
    assert check.state == state
    assert text in check.detail


def test_weights_list(monkeypatch, tmp_path):
    monkeypatch.setattr("vau.weights.default_dir", lambda: tmp_path)
    lines = [json.loads(line) for line in run("weights", "list", "--json").stdout.splitlines()]
    assert {line["state"] for line in lines} == {"missing"}
    assert {"name", "licence", "source", "sha256", "package", "path"} <= set(lines[0])
    assert "missing" in run("weights", "list").stdout


def test_weights_fetch_of_an_unknown_name_is_3():
    done = run("weights", "fetch", "gpt-9")
    assert done.exit_code == 3
    assert "gpt-9" in done.stderr


# the command as a whole


def test_version_and_help():
    assert run("--version").stdout.strip() == f"vau {__version__}"
    done = run("--help")
    assert done.exit_code == 0
    for word in ("analyze", "ask", "demo", "doctor", "weights", "Exit codes"):
        assert word in done.stdout


def test_python_m_vau():
    done = subprocess.run(
        [sys.executable, "-m", "vau", "--version"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == f"vau {__version__}"


def test_a_closed_pipe_is_no_traceback():
    command = f"{sys.executable} -m vau doctor --json | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["/bin/bash", "-c", command], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode in (0, 3, 141)
    assert done.stderr == ""
