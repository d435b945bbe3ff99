"""`vau serve`: the command that starts vLLM, and the life of what it starts, with a program that stands in for it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.unit import fake_vllm
from vau.cli import app
from vau.errors import CheckpointError, ConfigError, MissingExtraError, MllmError, MllmTimeout, MllmUnavailable
from vau.mllm import serve_plan
from vau.mllm.openai_client import OpenAiClient
from vau.mllm.serve import Server
from vau.mllm.serve_plan import ServeOptions, is_loopback, plan


@pytest.fixture
def model(tmp_path) -> Path:
    folder = tmp_path / "tiny model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


@pytest.fixture
def adapter(tmp_path) -> Path:
    folder = tmp_path / "theft-lora"
    folder.mkdir()
    (folder / "adapter_config.json").write_text('{"r": 24}')
    (folder / "adapter_model.safetensors").write_bytes(b"")
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def options(model: Path | str, **values) -> ServeOptions:
    return ServeOptions(str(model), **values)


def flag(command: tuple[str, ...], name: str) -> str:
    assert command.count(name) == 1
    return command[command.index(name) + 1]


def started(folder: Path) -> dict:
    return json.loads((folder / "started.json").read_text())


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def gone(run: dict) -> bool:
    """Whether server and child are gone; one that was killed may take a moment to go."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and (alive(run["pid"]) or alive(run["child"])):
        time.sleep(0.02)
    return not alive(run["pid"]) and not alive(run["child"])


def test_the_command_serves_pictures_that_come_with_the_request_alone(model):
    planned = plan(options(model, executable=Path("vllm")))
    command = planned.command
    assert command[:3] == ("vllm", "serve", str(model))
    assert flag(command, "--host") == "127.0.0.1"
    assert flag(command, "--allowed-media-domains").endswith(".invalid")
    assert "--allowed-local-media-path" not in command
    assert flag(command, "--allowed-origins") == "[]"
    assert json.loads(flag(command, "--limit-mm-per-prompt")) == {"image": 32, "video": 0}
    assert flag(command, "--max-model-len") == "auto"
    assert flag(command, "--load-format") == "safetensors"
    assert not {"--trust-remote-code", "--tensor-parallel-size", "--quantization", "--enable-lora"} & set(command)
    assert planned.environment["VLLM_MEDIA_URL_ALLOW_REDIRECTS"] == "0"
    assert planned.environment["HF_HUB_OFFLINE"] == "1"
    assert (planned.url, planned.name, planned.listed) == ("http://127.0.0.1:8000", "tiny model", True)


def test_every_option_reaches_the_server(model, adapter):
    planned = plan(
        options(
            model, adapter=adapter, name="guard", host="::1", port=9001, context=4096, images=9, quantise="fp8",
            dtype="bfloat16", gpus=2, gpu_memory=0.5, at_once=7, extra=("--seed", "3"), executable=Path("vllm"),
        )
    )  # fmt: skip
    command = planned.command
    expected = {
        "--served-model-name": "guard", "--host": "::1", "--port": "9001", "--max-model-len": "4096",
        "--quantization": "fp8", "--dtype": "bfloat16", "--tensor-parallel-size": "2", "--max-num-seqs": "7",
        "--gpu-memory-utilization": "0.5", "--max-lora-rank": "32", "--seed": "3",
    }  # fmt: skip
    assert {name: flag(command, name) for name in expected} == expected
    assert json.loads(flag(command, "--limit-mm-per-prompt"))["image"] == 9
    assert json.loads(flag(command, "--lora-modules")) == {"name": "theft-lora", "path": str(adapter)}
    assert "--enable-lora" in command
    assert (planned.url, planned.name) == ("http://[::1]:9001", "theft-lora")
    assert "mllm.name=theft-lora" in planned.client_line()


def test_transformers_serves_without_a_gpu(model):
    planned = plan(options(model, engine="transformers", quantise="4bit", dtype="float32", executable=Path("tf")))
    assert planned.command == (
        "tf", "serve", str(model), "--host", "127.0.0.1", "--port", "8000", "--dtype", "float32", "--quantization",
        "bnb-4bit",
    )  # fmt: skip
    assert planned.name == str(model) and not planned.listed
    assert f"'mllm.name={model}'" in planned.client_line()


@pytest.mark.parametrize(
    "values",
    [{"name": "x"}, {"context": 5}, {"gpus": 2}, {"at_once": 2}, {"adapter": Path("a")}, {"quantise": "fp8"}],
)
def test_what_transformers_cannot_do_is_refused(model, values):
    with pytest.raises(ConfigError):
        plan(options(model, engine="transformers", **values))


@pytest.mark.parametrize("name", ["evidence", "", "http://localhost:8000", "ftp://x/y", "./none", "--help", "qwen"])
def test_only_a_model_is_served(name):
    with pytest.raises(ConfigError):
        plan(options(name))


@pytest.mark.parametrize(
    "values",
    [
        {"port": 0},
        {"images": 0},
        {"gpu_memory": 2.0},
        {"host": "a b"},
        {"name": "-x"},
        {"quantise": "4bit"},
        {"quantise": "--x"},
        {"extra": ("--api-key=x",)},
        {"api_key_file": Path("/none")},
    ],
)
def test_values_that_cannot_be_are_refused(model, values):
    with pytest.raises(ConfigError):
        plan(options(model, **values))


def test_a_broken_adapter_is_refused(model, adapter):
    (adapter / "adapter_config.json").write_text('{"r": 100000}')
    with pytest.raises(CheckpointError, match="rank 1 to 512"):
        plan(options(model, adapter=adapter))
    (adapter / "adapter_config.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        plan(options(model, adapter=adapter))
    (adapter / "adapter_model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="pickles are not served"):
        plan(options(model, adapter=adapter))


def test_a_missing_server_is_named_with_what_brings_it(model, tmp_path, monkeypatch):
    monkeypatch.setattr(serve_plan.shutil, "which", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"--engine transformers.*vau\[gpu\]"):
        Server(plan(options(model)), "127.0.0.1", 8000)
    with pytest.raises(MissingExtraError, match=r"vau\[serve\]"):
        Server(plan(options(model, engine="transformers")), "127.0.0.1", 8000)
    with pytest.raises(ConfigError, match="no program"):
        Server(plan(options(model, executable=tmp_path / "none")), "127.0.0.1", 8000)


def test_who_is_let_in():
    assert is_loopback("127.0.0.1") and is_loopback("localhost") and is_loopback("::1")
    assert not is_loopback("0.0.0.0") and not is_loopback("camera-server")


def test_it_starts_answers_and_leaves_nothing_behind(model, tmp_path):
    key = tmp_path / "key"
    key.write_text("sk-secret\n")
    lines: list[str] = []
    port = free_port()
    program = fake_vllm.write(tmp_path)
    planned = plan(options(model, port=port, api_key_file=key, executable=program))
    with Server(planned, "127.0.0.1", port, lines.append) as server:
        server.wait_ready(20)
        run = started(tmp_path)
        assert alive(run["pid"]) and alive(run["child"])
        assert run["environment"]["VLLM_API_KEY"] == "sk-secret"
        assert not any("sk-secret" in item for item in run["argv"])
    assert gone(run)
    assert lines[0] == "loading [31mweights"  # without the escape character
    assert "sk-secret" not in planned.shell_line() + planned.client_line() + repr(planned)
    assert f'VLLM_API_KEY="$(cat {key})"' in planned.shell_line()


def test_a_client_finds_its_model_by_itself(model, tmp_path):
    port = free_port()
    planned = plan(options(model, port=port, executable=fake_vllm.write(tmp_path)))
    with Server(planned, "127.0.0.1", port) as server:
        server.wait_ready(20)
        with OpenAiClient(planned.url) as client:
            assert (client.name, client.dialect) == ("tiny model", "vllm")


def test_one_that_dies_is_told_with_its_last_words(model, tmp_path):
    port = free_port()
    planned = plan(options(model, port=port, executable=fake_vllm.write(tmp_path, "die")))
    with (
        Server(planned, "127.0.0.1", port) as server,
        pytest.raises(MllmUnavailable, match="exit code 3; it wrote last: ValueError: no room"),
    ):
        server.wait_ready(20)
    assert gone(started(tmp_path))


def test_one_that_ends_later_is_told_too(model, tmp_path):
    port = free_port()
    planned = plan(options(model, port=port, executable=fake_vllm.write(tmp_path, "short")))
    with Server(planned, "127.0.0.1", port) as server:
        server.wait_ready(20)
        with pytest.raises(MllmUnavailable, match="by itself, with exit code 1; it wrote last: EngineDeadError"):
            server.wait()


def test_one_that_never_gets_ready_is_given_up(model, tmp_path):
    port = free_port()
    planned = plan(options(model, port=port, executable=fake_vllm.write(tmp_path, "never")))
    with Server(planned, "127.0.0.1", port) as server, pytest.raises(MllmTimeout, match="was not ready after 2 s"):
        server.wait_ready(2)
    assert gone(started(tmp_path))


def test_one_that_does_not_want_to_end_is_killed(model, tmp_path, monkeypatch):
    monkeypatch.setattr("vau.mllm.serve._GRACE_S", 0.5)
    port = free_port()
    planned = plan(options(model, port=port, executable=fake_vllm.write(tmp_path, "stubborn")))
    with Server(planned, "127.0.0.1", port) as server:
        server.wait_ready(20)
    assert gone(started(tmp_path))


@pytest.mark.parametrize(("version", "refused"), [("0.18.1", True), ("0.19.0", False), ("dev", False)])
def test_releases_with_known_holes_are_refused(model, tmp_path, version, refused):
    port = free_port()
    planned = plan(options(model, port=port, executable=fake_vllm.write(tmp_path, version=version)))
    with Server(planned, "127.0.0.1", port) as server:
        if refused:
            with pytest.raises(MllmError, match=r"0\.19 is the oldest"):
                server.wait_ready(20)
        else:
            server.wait_ready(20)


def test_an_address_that_is_taken_is_refused(model, tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        planned = plan(options(model, port=port, executable=fake_vllm.write(tmp_path)))
        with pytest.raises(ConfigError, match="choose another"):
            Server(planned, "127.0.0.1", port)
    with pytest.raises(ConfigError, match="nothing can listen"):
        Server(planned, "192.0.2.7", port)


def test_the_dry_run_prints_a_line_for_the_shell(model):
    found = CliRunner().invoke(app, ["serve", str(model), "--print", "--executable", "vllm", "--", "--seed", "3"])
    assert found.exit_code == 0, found.output
    words = shlex.split(found.output)
    assert words[words.index("vllm") : words.index("vllm") + 3] == ["vllm", "serve", str(model)]
    assert words[-2:] == ["--seed", "3"]


def heed_interrupts():
    # A shell that starts the tests in the background has them ignore interrupts, and children inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_the_command_ends_on_request_and_its_children_too(model, tmp_path):
    port = free_port()
    program = fake_vllm.write(tmp_path)
    command = [sys.executable, "-m", "vau", "serve", str(model), "--port", str(port), "--executable", str(program)]
    for number in (signal.SIGINT, signal.SIGTERM):
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
        ) as process:
            assert process.stdout is not None
            try:
                ready, use = process.stdout.readline(), process.stdout.readline()
                process.send_signal(number)
                _, said = process.communicate(timeout=30)
            finally:
                process.kill()
        assert ready.startswith(f"Ready: http://127.0.0.1:{port}  (model tiny model)")
        assert f"vau analyze VIDEO --mllm http://127.0.0.1:{port}" in use
        assert process.returncode == 130 and "interrupted" in said
        assert gone(started(tmp_path))


def test_a_host_for_others_is_warned_of(model, tmp_path):
    program = fake_vllm.write(tmp_path, "die")
    command = ["serve", str(model), "--host", "0.0.0.0", "--port", str(free_port()), "--executable", str(program), "-q"]
    found = CliRunner().invoke(app, command)
    assert found.exit_code == 3
    assert "no authentication" in found.stderr
    assert "| ValueError: no room for the key-value cache" in found.stderr
    assert os.environ.get("VLLM_API_KEY") is None
