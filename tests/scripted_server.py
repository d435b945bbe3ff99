"""A local server that speaks the OpenAI protocol from a script and misbehaves on request: no model behind it.

Behaviours are functions of the request's handler; the server plays the scripted ones in the order in which chat
requests come and the default one after that.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Behaviour = Callable[["Handler"], None]
Route = Callable[[Any], Any]  # body of a request, {} for GET, to the JSON value that answers it; None: 405
MODEL = "scripted"


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: Any


def completion(text: str | None, **message: Any) -> dict[str, Any]:
    """A ``chat.completion`` with 10 prompt tokens and one completion token a word."""
    words = len((text or "").split())
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text, **message}}
    return {
        "object": "chat.completion",
        "model": MODEL,
        "choices": [choice],
        "usage": {"prompt_tokens": 10, "completion_tokens": words, "total_tokens": 10 + words},
    }


def chunk(text: str = "", finish: str | None = None) -> str:
    """One event of a stream."""
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish}
    return f"data: {json.dumps({'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n"


def reply(text: str, latency_s: float = 0.0, **message: Any) -> Behaviour:
    """Answers as it should, after a while."""

    def act(handler: Handler) -> None:
        time.sleep(latency_s)
        handler.send_json(completion(text, **message))

    return act


def answer(value: Any) -> Behaviour:
    """Answers with any JSON value."""
    return lambda handler: handler.send_json(value)


def status(code: int, headers: Mapping[str, str] | None = None, body: str = '{"error": "no"}') -> Behaviour:
    return lambda handler: handler.send(code, body.encode(), {"Content-Type": "application/json", **(headers or {})})


def raw(body: bytes, kind: str = "application/json", **headers: str) -> Behaviour:
    return lambda handler: handler.send(200, body, {"Content-Type": kind, **headers})


def redirect(url: str) -> Behaviour:
    return status(307, {"Location": url}, "")


def hang(handler: Handler) -> None:
    """Takes the request and says nothing until the server stops."""
    handler.server.stopped.wait(30)
    handler.close_connection = True


def drip_headers(handler: Handler) -> None:
    """Sends a header's bytes one by one, slowly enough that no single wait is long."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    handler.trickle(b"a")


def drip_body(handler: Handler) -> None:
    """Sends a body's bytes one by one."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n")
    handler.trickle(b" ")


def die_in_body(handler: Handler) -> None:
    """Promises more than it sends."""
    handler.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{"choices"')
    handler.close_connection = True


def stream(*texts: str, end: str = "data: [DONE]\n\n", pause_s: float = 0.0) -> Behaviour:
    """Streams pieces; without an `end` it dies in the middle."""

    def act(handler: Handler) -> None:
        handler.start_stream()
        for text in texts:
            handler.wfile.write(chunk(text).encode())
            handler.wfile.flush()
            time.sleep(pause_s)
        handler.wfile.write(end.encode())
        handler.close_connection = True

    return act


def huge(total: int) -> Behaviour:
    """Sends a very long string."""

    def act(handler: Handler) -> None:
        handler.send_headers(200, {"Content-Type": "application/json", "Content-Length": str(total)})
        block = b"x" * 65536
        try:
            for _ in range(total // len(block)):
                handler.wfile.write(block)
        except OSError:
            handler.server.hung_up.set()  # the client would not read it all
        handler.close_connection = True

    return act


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, default: Behaviour, routes: Mapping[str, Route]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.default = default
        self.routes = routes
        self.script: deque[Behaviour] = deque()
        self.requests: list[Request] = []
        self.stopped = threading.Event()
        self.hung_up = threading.Event()
        self.lock = threading.Lock()
        self.busy = 0
        self.most_busy = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: clients that hang up are part of the tests."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server
    body: Any = None  # of the request

    def do_GET(self) -> None:
        self.take({})

    def do_POST(self) -> None:
        self.take(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def take(self, body: Any) -> None:
        server = self.server
        self.body = body
        chat = self.path.endswith("/chat/completions")
        with server.lock:
            server.requests.append(Request(self.command, self.path, dict(self.headers), body))
            act = server.script.popleft() if chat and server.script else server.default
            server.busy += chat
            server.most_busy = max(server.most_busy, server.busy)
        try:
            if self.path in server.routes:
                value = server.routes[self.path](body)
                self.send_json(value) if value is not None else status(405)(self)
            elif chat:
                act(self)
            else:
                self.send(404, b"{}", {"Content-Type": "application/json"})
        finally:
            with server.lock:
                server.busy -= chat

    def send_json(self, value: Any) -> None:
        self.send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def send(self, code: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_headers(code, {**headers, "Content-Length": str(len(body))})
        self.wfile.write(body)

    def send_headers(self, code: int, headers: Mapping[str, str]) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def start_stream(self) -> None:
        self.send_headers(200, {"Content-Type": "text/event-stream", "Connection": "close"})

    def trickle(self, byte: bytes) -> None:
        self.close_connection = True
        while not self.server.stopped.wait(0.02):
            try:
                self.wfile.write(byte)
            except OSError:
                self.server.hung_up.set()
                return

    def log_message(self, *args: Any) -> None:
        """Says nothing."""


def models(owner: str = "", names: Sequence[str] = (MODEL,)) -> Route:
    """Answers ``/v1/models``."""
    return lambda _: {"object": "list", "data": [{"id": name, "object": "model", "owned_by": owner} for name in names]}


class ScriptedServer:
    """Runs the server in threads of this process for the length of a ``with`` block."""

    def __init__(self, default: Behaviour | None = None, routes: Mapping[str, Route] | None = None) -> None:
        self.server = Server(default or reply("all quiet"), {"/v1/models": models(), **(routes or {})})
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.stopped.set()
        self.server.shutdown()
        self.server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"

    @property
    def chats(self) -> list[Request]:
        """The chat requests that came."""
        return [request for request in self.server.requests if request.path.endswith("/chat/completions")]

    def play(self, *behaviours: Behaviour) -> None:
        """Scripts what the next chat requests get."""
        self.server.script.extend(behaviours)
