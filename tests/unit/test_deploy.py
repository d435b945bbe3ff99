"""The container files: they parse, let in this machine alone, run guarded, and start servers as `vau serve` does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from vau.mllm.serve_plan import FLOOR, ServeOptions, plan

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("model-gpu", "model-cpu", "vau")


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))


def test_every_service_has_a_profile_of_its_own(compose):
    found = {name: service["profiles"] for name, service in compose["services"].items()}
    assert found == {"model-gpu": ["gpu"], "model-cpu": ["cpu"], "vau": ["ui"]}


@pytest.mark.parametrize("name", SERVICES)
def test_containers_are_guarded(compose, name):
    service = compose["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices", "env_file"} & set(service)
    assert not any("docker.sock" in volume for volume in service["volumes"])


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_to_this_machine_alone(compose, name):
    for port in compose["services"][name].get("ports", []):
        assert port.startswith("127.0.0.1:")


@pytest.mark.parametrize("name", ["model-gpu", "model-cpu"])
def test_servers_tell_whether_they_are_well(compose, name):
    service = compose["services"][name]
    assert "/health" in service["healthcheck"]["test"][-1]
    assert service["networks"]["models"]["aliases"] == ["model"]


def test_images_have_versions(compose):
    for service in compose["services"].values():
        _, _, tag = service["image"].rpartition(":")
        assert re.fullmatch(r"v?\d+\.\d+\.\d+", tag)
    major, minor = re.findall(r"\d+", compose["services"]["model-gpu"]["image"].rpartition(":")[2])[:2]
    assert (int(major), int(minor)) >= FLOOR


def test_vllm_is_started_as_vau_serve_starts_it(compose, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    planned = plan(ServeOptions(str(tmp_path), host="0.0.0.0", executable=Path("vllm")))
    command = list(planned.command[3:])
    wanted = {f"{name}={value}" for name, value in zip(command[::2], command[1::2], strict=True)}
    given = set(compose["services"]["model-gpu"]["command"][1:])
    assert given <= wanted
    # What is left out there is vLLM's own default.
    assert {item.partition("=")[0] for item in wanted - given} == {
        "--served-model-name", "--dtype", "--gpu-memory-utilization"
    }  # fmt: skip
    environment = compose["services"]["model-gpu"]["environment"]
    ours = {name: value for name, value in planned.environment.items() if name.startswith("VLLM")}
    assert ours.items() <= environment.items()


def test_no_argument_goes_unknown(compose):
    from typer.main import get_command

    from vau.cli import app

    command = get_command(app).commands["serve"]
    context = command.make_context("serve", list(compose["services"]["model-cpu"]["command"][1:]))
    assert context.params["host"] == "0.0.0.0"
    assert context.params["engine"].value == "transformers"


def test_folders_are_mounted_as_little_as_can_be(compose):
    videos, reports, _ = compose["services"]["vau"]["volumes"]
    assert videos.endswith(":/videos:ro")
    assert reports.endswith(":/reports")


def test_the_image_runs_as_nobody_special_and_takes_what_the_build_needs():
    lines = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert "USER vau" in lines
    assert lines.index("USER vau") < next(row for row, line in enumerate(lines) if line.startswith("ENTRYPOINT"))
    kept = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text(encoding="utf-8").split()
    assert kept[0] == "*"
    for name in (item.removeprefix("!") for item in kept if item.startswith("!")):
        assert (ROOT / name).exists()
