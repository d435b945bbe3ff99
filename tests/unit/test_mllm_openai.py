import base64
import json
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import scripted_server as play
from tests.scripted_server import ScriptedServer
from vau.errors import (
    ConfigError,
    MllmCancelled,
    MllmCannot,
    MllmError,
    MllmRefused,
    MllmTimeout,
    MllmUnavailable,
    ParseError,
)
from vau.mllm.endpoint import Endpoint
from vau.mllm.interface import Message, Mllm, Picture, Sampling, TimedFrame, Usage
from vau.mllm.openai_client import OpenAiClient

JPEG = b"\xff\xd8\xff\xe0 a picture \xff\xd9"
ASK = [Message.of("user", "what happens?")]
KEY = "sk-very-secret-0123456789"
SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "number"}},
    "required": ["score"],
    "additionalProperties": False,
}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def client(server: ScriptedServer) -> Iterator[OpenAiClient]:
    with OpenAiClient(server.url, play.MODEL, dialect="openai", timeout_s=5.0) as model:
        yield model


def test_generate(server: ScriptedServer, client: OpenAiClient) -> None:
    model: Mllm = client
    sampling = Sampling(max_tokens=7, temperature=0.5, seed=3, stop=("END",))
    reply = model.generate([Message.of("system", "be brief"), *ASK], sampling=sampling)
    assert reply.text == "all quiet"
    assert (reply.model, reply.finish_reason, reply.cached) == (play.MODEL, "stop", False)
    assert reply.usage == Usage(10, 2, 0)
    assert server.chats[0].body == {
        "model": play.MODEL,
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "what happens?"},
        ],
        "max_tokens": 7,
        "temperature": 0.5,
        "seed": 3,
        "stop": ["END"],
    }


def test_frames_are_data_urls_each_after_its_time(server: ScriptedServer, client: OpenAiClient) -> None:
    frames = [TimedFrame(JPEG, 1.04), TimedFrame(JPEG + b"2", 2.5)]
    reply = client.generate([Message.of("user", "look", *frames, "what happens?")])
    assert reply.usage.images == 2
    parts = server.chats[0].body["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["text", "text", "image_url", "text", "image_url", "text"]
    assert [part["text"] for part in parts if part["type"] == "text"] == [
        "look",
        "<1.0 seconds>",
        "<2.5 seconds>",
        "what happens?",
    ]
    urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    assert all(url.startswith("data:image/jpeg;base64,") for url in urls)
    assert base64.b64decode(urls[1].partition(",")[2]) == JPEG + b"2"


def test_a_picture_without_a_time_stands_alone(server: ScriptedServer, client: OpenAiClient) -> None:
    reply = client.generate([Message.of("user", "a plot:", Picture(JPEG), "a frame:", TimedFrame(JPEG, 2.5))])
    assert reply.usage.images == 2
    parts = server.chats[0].body["messages"][0]["content"]
    assert [part.get("text") for part in parts] == ["a plot:", None, "a frame:", "<2.5 seconds>", None]


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/", "/v1/chat/completions"])
def test_base_url_in_every_form(server: ScriptedServer, end: str) -> None:
    with OpenAiClient(server.url + end, play.MODEL) as model:
        assert model.generate(ASK).text == "all quiet"
    assert server.chats[0].path == "/v1/chat/completions"


@pytest.mark.parametrize(
    ("given", "api", "root"),
    [
        ("https://host/openai/v1", "https://host/openai/v1", "https://host/openai"),
        ("https://host/v1beta/openai/", "https://host/v1beta/openai", "https://host/v1beta/openai"),
        ("http://[::1]:8000", "http://[::1]:8000/v1", "http://[::1]:8000"),
    ],
)
def test_base_url_of_other_servers(given: str, api: str, root: str) -> None:
    assert (Endpoint(given).api, Endpoint(given).root) == (api, root)


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "localhost:8000",
        "file:///etc/passwd",
        "http://",
        "http://user:pw@host",
        "http://[::1",
        "http://host:99999",
        "http://host?a=b",
    ],
)
def test_base_url_that_is_none(wrong: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Endpoint(wrong)
    assert "pw" not in str(caught.value).replace("password", "")


def test_key_is_sent_and_never_shown(server: ScriptedServer, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "key"
    path.write_text(f"{KEY}\n")
    endpoint = Endpoint.from_key_file(server.url, path)
    caplog.set_level("DEBUG")
    server.play(play.status(401, body=json.dumps({"error": {"message": f"bad key {KEY}"}})))
    with OpenAiClient(endpoint, play.MODEL) as model:
        with pytest.raises(MllmRefused) as caught:
            model.generate(ASK)
        assert server.chats[0].headers["Authorization"] == f"Bearer {KEY}"
        shown = f"{model!r} {endpoint!r} {caught.value} {caught.value!r} {caplog.text} {model._transport!r}"
    assert KEY not in shown
    assert "check the API key" in str(caught.value)


@pytest.mark.parametrize("text", ["", "two words", "a\nb", "x" * 5000, "ключ"])
def test_key_file_must_hold_a_key(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    with pytest.raises(ConfigError):
        Endpoint.from_key_file("http://localhost", path)
    with pytest.raises(ConfigError, match="missing"):
        Endpoint.from_key_file("http://localhost", tmp_path / "missing")


def test_name_is_asked_for_once(server: ScriptedServer) -> None:
    with OpenAiClient(server.url) as model:
        assert model.name == play.MODEL
        assert model.name == play.MODEL
    assert len(server.server.requests) == 1


def test_several_models_must_be_chosen_from() -> None:
    with (
        ScriptedServer(routes={"/v1/models": play.models(names=("a", "b"))}) as server,
        OpenAiClient(server.url) as model,
        pytest.raises(MllmError, match="a, b"),
    ):
        _ = model.name


def test_dialects() -> None:
    def broken(_: object) -> object:
        raise RuntimeError

    # `transformers serve` without a hub cache cannot list models; other servers know no decisions.
    decide = {"/v1/systemone": lambda _: None, "/v1/models": broken}
    for routes, dialect in [
        ({"/v1/models": play.models("vllm")}, "vllm"),
        (decide, "transformers"),
        ({"/v1/models": play.models("llamacpp")}, "openai"),
    ]:
        with ScriptedServer(routes=routes) as server, OpenAiClient(server.url, "m") as model:
            assert model.dialect == dialect
    with (
        ScriptedServer(routes=decide) as server,
        OpenAiClient(server.url) as model,
        pytest.raises(MllmUnavailable, match="name the one"),
    ):
        _ = model.name


def test_stop_texts_break_transformers_serve(server: ScriptedServer) -> None:
    with OpenAiClient(server.url, play.MODEL, dialect="transformers") as model, pytest.raises(MllmCannot, match="stop"):
        model.generate(ASK, sampling=Sampling(stop=("END",)))


def test_think_block_is_kept_apart(server: ScriptedServer, client: OpenAiClient) -> None:
    server.play(play.reply("<think>a man falls</think>yes"), play.reply("yes", reasoning="a man falls"))
    for _ in range(2):
        reply = client.generate(ASK)
        assert (reply.thinking, reply.text) == ("a man falls", "yes")


def test_schema_guides_decoding(server: ScriptedServer, client: OpenAiClient) -> None:
    client.generate(ASK, schema=SCHEMA)
    form = server.chats[0].body["response_format"]
    assert form == {"type": "json_schema", "json_schema": {"name": "reply", "schema": SCHEMA, "strict": True}}
    client.generate(ASK, schema={"type": "object", "properties": {"a": {}}})
    assert "strict" not in server.chats[1].body["response_format"]["json_schema"]
    with pytest.raises(ValueError, match="not both"):
        client.generate(ASK, schema=SCHEMA, choices=("a",))


def test_choices(server: ScriptedServer, client: OpenAiClient) -> None:
    server.play(play.reply('{"choice": "abnormal"}'), play.reply(" Normal. "), play.reply("hard to say, abnormal"))
    choices = ("normal", "abnormal")
    assert client.generate(ASK, choices=choices).text == "abnormal"
    schema = server.chats[0].body["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["choice"]["enum"] == list(choices)
    assert client.generate(ASK, choices=choices).text == "normal"
    with pytest.raises(ParseError) as caught:
        client.generate(ASK, choices=choices)
    assert caught.value.raw == "hard to say, abnormal"


def test_choices_of_vllm(server: ScriptedServer) -> None:
    server.play(play.reply("abnormal"))
    with OpenAiClient(server.url, play.MODEL, dialect="vllm") as model:
        assert model.generate(ASK, choices=("normal", "abnormal")).text == "abnormal"
    assert server.chats[0].body["structured_outputs"] == {"choice": ["normal", "abnormal"]}


# -- Misbehaviour -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "error", "says"),
    [
        (play.status(429, {"Retry-After": "7"}), MllmUnavailable, "429"),
        (play.status(500, body="boom\x1b[31m"), MllmUnavailable, "500: boom [31m"),
        (play.status(503), MllmUnavailable, "503"),
        (play.status(408), MllmUnavailable, "408"),
        (play.status(400, body='{"error": {"message": "too long"}}'), MllmRefused, "too long"),
        (play.status(404), MllmRefused, "404"),
        (play.status(422, body='{"detail": "no such field"}'), MllmRefused, "no such field"),
        (play.raw(b"{not json"), MllmUnavailable, "unreadable JSON"),
        (play.raw(b"\xff\xfe"), MllmUnavailable, "unreadable JSON"),
        (play.raw(b"[" * 100_000), MllmUnavailable, "nested"),
        (play.raw(b'{"a": NaN}'), MllmUnavailable, "NaN"),
        (play.raw(b"<html>hello</html>", "text/html"), MllmError, "base URL"),
        (play.raw(b"{}", **{"Content-Encoding": "gzip"}), MllmError, "gzip"),
        (play.answer([]), MllmUnavailable, "no choices"),
        (play.answer({"choices": []}), MllmUnavailable, "no choices"),
        (play.answer({"choices": [{"message": {"content": 5}}]}), MllmUnavailable, "no message"),
        (play.die_in_body, MllmUnavailable, "broke off"),
    ],
)
def test_misbehaving_server(
    server: ScriptedServer, client: OpenAiClient, behaviour: play.Behaviour, error: type[MllmError], says: str
) -> None:
    server.play(behaviour)
    with pytest.raises(error) as caught:
        client.generate(ASK)
    assert type(caught.value) is error
    assert says in str(caught.value)
    assert str(caught.value).isprintable()
    assert client.generate(ASK).text == "all quiet"  # the client is as good as before


def test_retry_after_is_read(server: ScriptedServer, client: OpenAiClient) -> None:
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 30))
    server.play(*(play.status(429, {"Retry-After": text}) for text in ("7", date, "soon", "-3")))
    found = []
    for _ in range(4):
        with pytest.raises(MllmUnavailable) as caught:
            client.generate(ASK)
        found.append(caught.value.retry_after_s)
    assert found[0] == 7.0
    assert found[1] == pytest.approx(30, abs=3)
    assert found[2:] == [None, None]


@pytest.mark.parametrize("behaviour", [play.hang, play.drip_headers, play.drip_body])
def test_deadline_holds(server: ScriptedServer, client: OpenAiClient, behaviour: play.Behaviour) -> None:
    server.play(behaviour)
    start = time.monotonic()
    with pytest.raises(MllmTimeout, match=r"0\.3 s"):
        client.generate(ASK, timeout_s=0.3)
    assert time.monotonic() - start < 1.0


def test_deadline_holds_in_a_stream(server: ScriptedServer, client: OpenAiClient) -> None:
    server.play(play.stream(*["tick "] * 100, pause_s=0.05))
    pieces = []
    start = time.monotonic()
    with pytest.raises(MllmTimeout):
        pieces.extend(client.stream(ASK, timeout_s=0.4))
    assert time.monotonic() - start < 1.0


def test_huge_answer_is_not_read(server: ScriptedServer) -> None:
    server.play(play.huge(200 * 2**20))
    with (
        OpenAiClient(server.url, play.MODEL, max_reply_bytes=2**20) as model,
        pytest.raises(MllmError, match="1048576"),
    ):
        model.generate(ASK)
    assert server.server.hung_up.wait(2)


def test_redirect_is_not_followed(server: ScriptedServer, client: OpenAiClient) -> None:
    with ScriptedServer() as elsewhere:
        server.play(play.redirect(f"{elsewhere.url}/v1/chat/completions"))
        with pytest.raises(MllmRefused, match="redirects"):
            client.generate(ASK)
        assert not elsewhere.server.requests


def test_no_server() -> None:
    with (
        OpenAiClient("http://127.0.0.1:9", play.MODEL) as model,
        pytest.raises(MllmUnavailable, match=r"127\.0\.0\.1:9"),
    ):
        model.generate(ASK)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_certificates_are_checked(tmp_path: Path) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -keyout {key} -out {cert}"
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    with ScriptedServer() as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        server.server.socket = context.wrap_socket(server.server.socket, server_side=True)
        url = server.url.replace("http://", "https://")
        with OpenAiClient(url, play.MODEL) as model, pytest.raises(MllmUnavailable, match="certificate"):
            model.generate(ASK)
        with OpenAiClient(url, play.MODEL, ca_file=cert) as model:
            assert model.generate(ASK).text == "all quiet"
    with pytest.raises(ConfigError, match="missing"):
        OpenAiClient(url, play.MODEL, ca_file=tmp_path / "missing.pem")


def test_proxies_of_the_environment_are_passed_over(server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with OpenAiClient(server.url, play.MODEL) as model:
        assert model.generate(ASK).text == "all quiet"


def test_closing_ends_calls_under_way(server: ScriptedServer) -> None:
    server.play(play.hang, play.hang)
    model = OpenAiClient(server.url, play.MODEL)
    errors: list[MllmError] = []

    def call() -> None:
        try:
            model.generate(ASK)
        except MllmError as error:
            errors.append(error)

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    while len(server.chats) < 2:
        time.sleep(0.01)
    model.close()
    for thread in threads:
        thread.join(2)
    assert [type(error) for error in errors] == [MllmCancelled] * 2
    with pytest.raises(MllmCancelled, match="closed"):
        model.generate(ASK)
    model.close()


# -- Streams ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["data: [DONE]\n\n", play.chunk(finish="stop"), play.chunk(" end", "length")])
def test_stream(server: ScriptedServer, client: OpenAiClient, end: str) -> None:
    server.play(play.stream("A man", " falls", end=end))
    pieces = list(client.stream(ASK))
    assert pieces[:2] == ["A man", " falls"]
    assert server.chats[0].body["stream"] is True


def test_stream_leaves_thinking_out(server: ScriptedServer, client: OpenAiClient) -> None:
    server.play(play.stream("<thi", "nk>hm", "</think>", "\n\nA man", " falls"))
    assert "".join(client.stream(ASK)) == "A man falls"


@pytest.mark.parametrize(
    ("end", "says"),
    [
        ("", "broke off"),
        ('data: {"error": "out of memory"}\n\n', "out of memory"),
        ("data: {half a line", "broke off"),
        ("data: no json\n\n", "no JSON"),
        ('data: {"choices": 5}\n\n', "no choices"),
    ],
)
def test_stream_that_dies(server: ScriptedServer, client: OpenAiClient, end: str, says: str) -> None:
    server.play(play.stream("A man", end=end))
    pieces = []
    with pytest.raises(MllmUnavailable, match=says):
        for piece in client.stream(ASK):
            pieces.append(piece)
    assert pieces == ["A man"]


def test_stream_of_one_endless_line(server: ScriptedServer, client: OpenAiClient) -> None:
    server.play(play.stream(end="data: " + "x" * 3_000_000))
    with pytest.raises(MllmError, match="line of more than"):
        list(client.stream(ASK))


def test_stream_that_is_dropped_hangs_up(server: ScriptedServer, client: OpenAiClient) -> None:
    server.play(play.stream(*["tick "] * 1000, pause_s=0.01))
    stream = client.stream(ASK)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert client.generate(ASK).text == "all quiet"
    for _ in range(200):
        if server.server.busy == 0:
            break
        time.sleep(0.01)
    assert server.server.busy == 0


@pytest.mark.parametrize("text", ["A man falls", "<think>hm</think>A man falls", "hm</think>\n\nA man falls"])
def test_whole_reply_instead_of_a_stream(server: ScriptedServer, client: OpenAiClient, text: str) -> None:
    server.play(play.reply(text))
    assert list(client.stream(ASK)) == ["A man falls"]
    assert server.chats[0].body["stream"] is True


@pytest.mark.parametrize(
    ("behaviour", "error", "says"),
    [
        (play.answer({"error": "out of memory"}), MllmUnavailable, "out of memory"),
        (play.answer({"choices": []}), MllmUnavailable, "broke off"),
        (play.answer({"choices": [{"message": {"content": [1]}}]}), MllmUnavailable, "no message"),
        (play.raw(b"{half"), MllmUnavailable, "no JSON"),
        (play.raw(b"\xff\xfe"), MllmUnavailable, "no JSON"),
        (play.raw(b"<html>hello</html>", "text/html"), MllmError, "base URL"),
        (play.die_in_body, MllmUnavailable, "broke off"),
        (play.huge(40 * 2**20), MllmError, "more than"),
        (play.drip_body, MllmTimeout, "did not answer within"),
    ],
)
def test_whole_reply_that_is_none(
    server: ScriptedServer,
    client: OpenAiClient,
    behaviour: Callable[[play.Handler], None],
    error: type[MllmError],
    says: str,
) -> None:
    server.play(behaviour)
    with pytest.raises(error, match=says):
        list(client.stream(ASK, timeout_s=1.0))


@pytest.mark.parametrize("behaviour", [play.status(401), play.status(500)])
def test_stream_refused(
    server: ScriptedServer, client: OpenAiClient, behaviour: Callable[[play.Handler], None]
) -> None:
    server.play(behaviour)
    with pytest.raises(MllmError):
        list(client.stream(ASK))
