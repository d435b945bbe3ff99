"""Requests to a model's server: one deadline over everything, bounded answers, typed errors, no redirects.

It knows JSON and server-sent events, not what is in them. One thread with an event loop carries all requests of a
client, so that a deadline holds against a server that sends a byte now and then, and closing ends what is under way.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import email.utils
import ssl
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx

from vau.errors import ConfigError, MllmCancelled, MllmError, MllmRefused, MllmTimeout, MllmUnavailable
from vau.mllm import strict_json
from vau.mllm.endpoint import Endpoint

T = TypeVar("T")
Json = Mapping[str, Any]

CONNECT_S = 10.0  # a server that is there takes the connection at once, also while it is busy
_JSON, _EVENTS = "application/json", "text/event-stream"
_JSON_DEPTH = 64
_ERROR_BYTES = 64_000  # of an error's body that are read
_ERROR_CHARS = 300  # of them that are shown
_LINE_BYTES = 2**20  # of a stream of events
_CLOSE_S = 5.0
_AGAIN = frozenset({408, 425, 429})


class Transport:
    """Carries requests to one server; any number of threads may use it at once.

    Args:
        endpoint: the server.
        max_bytes: size beyond which an answer is refused.
        connections: requests that may be under way at once; more of them wait.
        ca_file: certificates of a private authority, PEM; None: the usual ones. They are always checked.
    """

    def __init__(
        self, endpoint: Endpoint, *, max_bytes: int = 32 * 2**20, connections: int = 64, ca_file: Path | None = None
    ) -> None:
        self.endpoint = endpoint
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None  # started with the first request
        headers = {"Accept-Encoding": "identity"}  # a compressed answer could be a bomb
        if endpoint.api_key:
            headers["Authorization"] = f"Bearer {endpoint.api_key}"
        self._client = httpx.AsyncClient(
            headers=headers,
            verify=True if ca_file is None else _trust(ca_file),
            follow_redirects=False,
            trust_env=False,  # neither proxies nor passwords out of the environment
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            timeout=httpx.Timeout(None, connect=CONNECT_S),
        )

    def get(self, url: str, timeout_s: float) -> Any:
        """Gets a JSON value."""
        return self._call(self._json("GET", url, None), timeout_s)

    def post(self, url: str, body: Json, timeout_s: float) -> Any:
        """Posts a JSON object and returns the JSON value that comes back.

        Raises:
            MllmTimeout: nothing whole came in time.
            MllmUnavailable: no connection, a status of 408, 429 or 5xx, a broken or unreadable answer.
            MllmRefused: any other status, redirects among them.
            MllmError: an answer that is too large or no JSON at all.
            MllmCancelled: the transport was closed meanwhile.
        """
        return self._call(self._json("POST", url, body), timeout_s)

    def post_all(self, url: str, bodies: Sequence[Json], timeout_s: float) -> list[Any]:
        """Posts several objects at once and returns their answers in order; the first error ends the others."""

        async def together() -> list[Any]:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._json("POST", url, body)) for body in bodies]
            return [task.result() for task in tasks]

        try:
            return self._call(together(), timeout_s)
        except ExceptionGroup as group:
            errors = [error for error in group.exceptions if isinstance(error, MllmError)]
            if not errors:
                raise
            # One that a retry would not help, where there is any.
            raise min(errors, key=lambda error: error.retryable) from None

    def takes_post(self, url: str, timeout_s: float) -> bool:
        """Tells whether there is something at an address that only GET is refused at (405, not 404)."""

        async def probe() -> bool:
            with self._errors():
                async with self._client.stream("GET", url) as response:
                    return response.status_code == httpx.codes.METHOD_NOT_ALLOWED

        return self._call(probe(), timeout_s)

    def events(self, url: str, body: Json, timeout_s: float) -> Iterator[str]:
        """Posts a JSON object and yields the data of each server-sent event; raises as `post` does.

        From a server that cannot stream and answers with JSON, the whole answer comes as if it were the only event.
        """
        end = time.monotonic() + timeout_s
        source = self._events(url, body)

        async def following() -> str | None:
            return await anext(source, None)

        try:
            while (data := self._call(following(), max(end - time.monotonic(), 0.0))) is not None:
                yield data
        finally:
            # Not waited for: whoever drops the generator half way may be the loop's own thread, collecting garbage.
            if (loop := self._loop) is not None:
                asyncio.run_coroutine_threadsafe(source.aclose(), loop)

    def close(self) -> None:
        """Ends all requests under way with `MllmCancelled` and takes no more."""
        with self._lock:
            closed, self._closed = self._closed, True
            loop, self._loop = self._loop, None
        if loop is None or closed:
            return
        asyncio.run_coroutine_threadsafe(self._stop(), loop).result(_CLOSE_S)
        loop.call_soon_threadsafe(loop.stop)

    async def _stop(self) -> None:
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._client.aclose()

    def _call(self, work: Coroutine[Any, Any, T], timeout_s: float) -> T:
        """Runs work on the loop's thread under a deadline and waits for it."""
        loop = self._start(work)
        future = asyncio.run_coroutine_threadsafe(self._bounded(work, timeout_s), loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise MllmCancelled(f"the request to {self.endpoint.api} was cancelled") from None
        except BaseException:  # the caller was interrupted: the server need not go on either
            future.cancel()
            raise

    def _start(self, work: Coroutine[Any, Any, Any]) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._closed:
                work.close()
                raise MllmCancelled(f"the client of {self.endpoint.api} is closed")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_run, args=(self._loop,), name="vau-mllm", daemon=True).start()
            return self._loop

    async def _bounded(self, work: Coroutine[Any, Any, T], timeout_s: float) -> T:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            async with asyncio.timeout(timeout_s):
                return await work
        except TimeoutError:
            raise MllmTimeout(f"{self.endpoint.api} did not answer within {timeout_s:.3g} s") from None
        finally:
            self._running.discard(task)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turns what the HTTP library raises into errors of ours."""
        try:
            yield
        except httpx.TimeoutException as error:
            raise MllmTimeout(f"no connection to {self.endpoint.api} in time: {type(error).__name__}") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            text = self.endpoint.redact(_clean(str(error))) or type(error).__name__
            raise MllmUnavailable(f"{self.endpoint.api} cannot be reached or broke off: {text}") from None

    async def _json(self, method: str, url: str, body: Json | None) -> Any:
        async with self._open(method, url, body, _JSON) as response:
            raw = b"".join([chunk async for chunk in self._chunks(response)])
        try:
            return strict_json.loads(raw.decode("utf-8"), self._max_bytes, _JSON_DEPTH)
        except ValueError as error:
            raise MllmUnavailable(f"{url} answered with unreadable JSON: {_clean(str(error))}") from None

    async def _events(self, url: str, body: Json) -> AsyncGenerator[str, None]:
        async with self._open("POST", url, body, _EVENTS, _JSON) as response:
            if _kind(response) == _JSON:
                yield b"".join([chunk async for chunk in self._chunks(response)]).decode("utf-8", "replace")
                return
            held = b""
            data: list[str] = []
            async for chunk in self._chunks(response):
                *lines, held = (held + chunk).split(b"\n")
                for line in lines:
                    text = line.decode("utf-8", "replace").rstrip("\r")
                    if text.startswith("data:"):
                        data.append(text.removeprefix("data:").removeprefix(" "))
                    elif not text and data:
                        yield "\n".join(data)
                        data = []
                if len(held) > _LINE_BYTES:
                    raise MllmError(f"{url} sent a line of more than {_LINE_BYTES} bytes; no more was read")
            if data:
                yield "\n".join(data)

    @asynccontextmanager
    async def _open(self, method: str, url: str, body: Json | None, *wanted: str) -> AsyncIterator[httpx.Response]:
        headers = {"Accept": ", ".join(wanted)}
        with self._errors():
            async with self._client.stream(method, url, json=body, headers=headers) as response:
                if response.status_code >= 300:
                    raise await self._refusal(response)
                kind = _kind(response)
                coding = response.headers.get("content-encoding", "identity")
                if kind not in wanted or coding != "identity":
                    raise MllmError(
                        f"{url} answered with {_clean(kind) or None} ({_clean(coding)}), not with "
                        f"{' or '.join(wanted)}: is this the base URL of an OpenAI-compatible server?"
                    )
                yield response

    async def _chunks(self, response: httpx.Response) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in response.aiter_raw():
            size += len(chunk)
            if size > self._max_bytes:
                raise MllmError(f"{response.url} answered with more than {self._max_bytes} bytes; no more was read")
            yield chunk

    async def _refusal(self, response: httpx.Response) -> MllmError:
        """Makes the error that fits a status of 300 or more."""
        status, url = response.status_code, response.url
        if status < 400:
            where = _clean(response.headers.get("location", "nowhere"))
            return MllmRefused(f"{url} redirects to {where}, which is not followed: give the server's own address")
        raw = b""
        try:
            async for chunk in response.aiter_raw():
                raw += chunk
                if len(raw) > _ERROR_BYTES:
                    break
        except httpx.HTTPError:
            pass  # the status says enough
        text = self.endpoint.redact(_clean(_message(raw.decode("utf-8", "replace"))))
        message = f"{url} answered {status}" + (f": {text}" if text else "")
        if status in _AGAIN or status >= 500:
            return MllmUnavailable(message, _retry_after(response.headers.get("retry-after", "")))
        return MllmRefused(message + ("; check the API key" if status in (401, 403) else ""))


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


def _kind(response: httpx.Response) -> str:
    return str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()


def _trust(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except OSError as error:  # ssl.SSLError among them
        raise ConfigError(f"certificates cannot be read from {ca_file}: {error}") from None


def _clean(text: str) -> str:
    """Returns foreign text as one short line without control characters."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:_ERROR_CHARS]


def _message(body: str) -> str:
    """Returns what an error's body says, whichever form it has."""
    try:
        value = strict_json.loads(body)
    except ValueError:
        return body
    for name in ("error", "detail", "message"):
        if isinstance(value, dict) and name in value:
            value = value[name]
    return value if isinstance(value, str) else str(value)


def _retry_after(text: str) -> float | None:
    """Returns the seconds that a Retry-After header asks for, written as a number or as a date."""
    if text.strip().isdigit():
        return float(text.strip()[:9])
    try:
        return max(email.utils.parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except ValueError:
        return None
