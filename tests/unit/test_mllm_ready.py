"""Is a model ready: asked once before the work, told in one line where it is not."""

from __future__ import annotations

import socket
import time

import pytest

from tests import scripted_server as play
from tests.scripted_server import ScriptedServer
from vau.config import MllmConfig
from vau.errors import ConfigError, MllmCancelled, MllmRefused, MllmUnavailable
from vau.mllm.interface import Message
from vau.mllm.ready import ready_mllm


def config(url: str, **more: object) -> MllmConfig:
    return MllmConfig(model=url, cache="off", **more)  # type: ignore[arg-type]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_narrator_needs_nothing_opened() -> None:
    with ready_mllm(MllmConfig()) as mllm:
        assert mllm is None


def test_a_server_is_asked_once_and_closed_at_the_end() -> None:
    with ScriptedServer(play.reply("ready")) as server:
        with ready_mllm(config(server.url)) as mllm:
            assert mllm is not None
            assert mllm.name == play.MODEL
            assert len(server.chats) == 1
            assert server.chats[0].body["max_tokens"] <= 16
        with pytest.raises(MllmCancelled, match="closed"):
            mllm.model.generate([Message.of("user", "still there?")])


def test_nobody_there_is_said_with_what_to_do() -> None:
    with (
        pytest.raises(MllmUnavailable, match="start its server") as caught,
        ready_mllm(config(f"http://127.0.0.1:{free_port()}")),
    ):
        pass  # fmt: skip
    assert "127.0.0.1" in str(caught.value)


def test_a_wrong_key_is_said_at_once() -> None:
    with (
        ScriptedServer(play.status(401)) as server,
        pytest.raises(MllmRefused, match="check the API key"),
        ready_mllm(config(server.url)),
    ):
        pass
    assert len(server.chats) == 1


def test_a_passing_failure_is_tried_again() -> None:
    with ScriptedServer(play.reply("ready")) as server:
        server.play(play.status(503))
        with ready_mllm(config(server.url)) as mllm:
            assert mllm is not None
        assert len(server.chats) == 2


def test_a_server_that_hangs_has_the_time_of_one_call() -> None:
    start = time.monotonic()
    with (
        ScriptedServer(play.hang) as server,
        pytest.raises(MllmUnavailable, match="not ready"),
        ready_mllm(config(server.url, timeout_s=0.5)),
    ):
        pass
    assert time.monotonic() - start < 5


def test_a_wrong_address_is_a_wrong_configuration() -> None:
    with pytest.raises(ConfigError), ready_mllm(config("http://user:secret@host")):
        pass
