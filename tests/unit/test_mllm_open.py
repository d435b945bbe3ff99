"""From the configuration to a model: which names mean what, what is refused quickly, what replies are kept."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.scripted_server import ScriptedServer, reply
from vau.config import MllmConfig
from vau.errors import CacheError, ConfigError, MllmCancelled, WeightsError
from vau.mllm import open as opening
from vau.mllm.cache import CachedMllm
from vau.mllm.interface import Message
from vau.mllm.open import OpenMllm, default_cache, is_evidence, local_model, open_mllm
from vau.mllm.prompts import load_prompt

ASKED = (Message.of("user", "Is it night?"),)


def config(model: str, **values) -> MllmConfig:
    return MllmConfig.model_validate({"model": model, "cache": "off", **values})


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    (path / "config.json").write_text("{}")
    return path


def test_the_narrator_has_nothing_to_open():
    assert is_evidence(MllmConfig())
    assert not is_evidence(config("http://localhost:8000"))
    with pytest.raises(ValueError, match="built from a report"):
        open_mllm(MllmConfig())


def test_a_server_is_asked_only_when_used(tmp_path):
    key = tmp_path / "key"
    key.write_text("sk-secret-1\n")
    with ScriptedServer() as server:
        server.play(reply("yes"))
        with open_mllm(config(server.url, api_key_file=str(key), name="scripted")) as opened:
            assert not server.server.requests
            assert opened.name == "scripted"
            assert opened.for_prompt("qa/1") is opened.model
            assert opened.model.generate(ASKED).text == "yes"
        assert server.chats[-1].headers["Authorization"] == "Bearer sk-secret-1"
        with pytest.raises(MllmCancelled):
            opened.model.generate(ASKED)


def test_replies_are_kept_by_prompt_and_server(tmp_path):
    kept = {"cache": str(tmp_path / "deep" / "replies.sqlite"), "name": "scripted"}
    prompt = load_prompt("qa_video")
    with ScriptedServer() as one, ScriptedServer() as other:
        one.play(reply("one"), reply("another prompt"))
        other.play(reply("two"))
        with open_mllm(config(one.url, **kept)) as opened:
            model = opened.for_prompt(prompt)
            assert isinstance(model, CachedMllm)
            assert model.generate(ASKED).text == "one"
            assert opened.for_prompt("other/1").generate(ASKED).text == "another prompt"
        with open_mllm(config(one.url, **kept)) as opened:
            again = opened.for_prompt(prompt.tag).generate(ASKED)
            assert (again.text, again.cached) == ("one", True)
        with open_mllm(config(other.url, **kept)) as opened:
            assert opened.for_prompt(prompt).generate(ASKED).text == "two"


def test_the_default_cache_is_in_the_users_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(opening.platformdirs, "user_cache_dir", lambda name: str(tmp_path / name))
    with open_mllm(config("http://localhost:9", cache="")) as opened:
        assert opened.cache is not None
    assert default_cache() == tmp_path / "vau" / "replies.sqlite"
    assert default_cache().is_file()


def test_a_file_that_is_no_cache_is_refused_and_the_client_closed(tmp_path, monkeypatch):
    path = tmp_path / "notes.txt"
    path.write_text("my notes, which are not a cache " * 10)
    closed = []
    monkeypatch.setattr(opening.OpenAiClient, "close", lambda self: closed.append(True))
    with pytest.raises(CacheError, match="not a response cache"):
        open_mllm(config("http://localhost:9", cache=str(path)))
    assert closed


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("ftp://host/model", "begins with http:// or https://"),
        ("file:///etc/passwd", "begins with http:// or https://"),
        ("http:/localhost:8000", "begins with http:// or https://"),
        ("localhost:8000", "such as http://localhost:8000"),
        ("10.0.0.3:8000/v1", "such as http://10.0.0.3:8000/v1"),
        ("./missing", "there is no such folder"),
        ("/nowhere/missing", "there is no such folder"),
        ("~/missing-model", "there is no such folder"),
        ("../a/b", "there is no such folder"),
        ("a/b/c", "there is no such folder"),
        ("Evidence", "write evidence"),
        ("qwen", "is written owner/name"),
        ("own er/name", "there is no such folder"),
        ("owner/na..me", "there is no such folder"),
        ("http://", "needs an address"),
        ("http://user:secret@host:1", "no user name"),
    ],
)
def test_what_cannot_be_a_model_is_refused_at_once(model, said, monkeypatch):
    monkeypatch.setattr(httpx, "head", lambda *_, **__: pytest.fail("the hub was asked"))
    with pytest.raises(ConfigError, match=said.replace(".", r"\.")) as caught:
        open_mllm(config(model))
    assert "secret" not in str(caught.value)


def test_mistyped_paths_never_go_to_the_hub(folder, monkeypatch):
    monkeypatch.chdir(folder.parent.parent)
    with pytest.raises(ConfigError, match="holds no folder modle"):
        local_model(config(f"{folder.parent.name}/modle"))
    with pytest.raises(ConfigError, match="is a file; give the folder"):
        local_model(config(str(folder / "config.json")))
    with pytest.raises(ConfigError, match=r"no config\.json"):
        local_model(config(str(folder.parent)))


def test_a_folder_is_loaded_as_configured_and_without_the_hub(folder, tmp_path):
    wanted = local_model(config(str(folder), precision="4bit", adapter=str(tmp_path)))
    assert (wanted.model, wanted.quantisation, wanted.adapter, wanted.offline) == (
        str(folder),
        "4bit",
        tmp_path,
        True,
    )
    assert local_model(config(str(folder), precision="float16")).precision == "float16"
    assert local_model(config("owner/name")).offline is False


def test_an_adapter_is_not_for_a_server(tmp_path):
    with pytest.raises(ConfigError, match="a server loads its own"):
        open_mllm(config("http://localhost:9", adapter=str(tmp_path)))


def test_wrong_keys_and_certificates_are_named(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read from"):
        open_mllm(config("http://localhost:9", api_key_file=str(tmp_path / "none")))
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(ConfigError, match="certificates cannot be read"):
        open_mllm(config("https://localhost:9", ca_file=str(tmp_path / "ca.pem")))


def test_a_hub_out_of_reach_is_told_quickly(monkeypatch):
    pytest.importorskip("huggingface_hub")

    def refuse(url, *, timeout):
        assert timeout <= 10
        raise httpx.ConnectError("Name or service not known")

    monkeypatch.setattr(httpx, "head", refuse)
    start = time.monotonic()
    with pytest.raises(WeightsError, match=r"not on this machine and the hub .* cannot be reached"):
        open_mllm(config("nobody/no-such-model"))
    assert time.monotonic() - start < 10


def test_a_model_in_the_hubs_cache_needs_no_hub(monkeypatch, tmp_path):
    hub = pytest.importorskip("huggingface_hub")

    def refuse(*_, **__):
        raise httpx.ConnectError("no")

    monkeypatch.setattr(httpx, "head", refuse)
    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *_: str(tmp_path / "snapshots" / "abc" / "config.json"))
    wanted = opening.reachable(local_model(config("owner/name")))
    assert wanted.offline


def test_a_model_that_is_trained_anew_is_another_one(folder):
    wanted = local_model(config(str(folder)))
    before = opening._origin(wanted)
    assert opening._origin(wanted) == before
    (folder / "model.safetensors").write_bytes(b"123")
    assert opening._origin(wanted) != before


def test_an_opened_model_closes_what_it_was_given():
    closed = []

    class Model:
        name = "m"

    with OpenMllm(Model(), close=lambda: closed.append(1)) as opened:  # type: ignore[arg-type]
        assert "m" in opened.name
    assert closed == [1]
