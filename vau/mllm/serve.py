"""Runs a model's server as a child: starts it, waits until it can be asked, and leaves none of its processes behind.

What is started and with which flags stands in `vau.mllm.serve_plan`. The child gets its key in its environment, which
only the same user can read, never among its arguments, which everybody can.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import httpx

from vau.errors import ConfigError, MllmError, MllmTimeout, MllmUnavailable
from vau.mllm.serve_plan import FLOOR, ServePlan, check_program

READY_S = 1800.0  # a large model is downloaded, loaded and compiled in that time
_POLL_S = 0.3
_PROBE_S = 5.0  # of one look at the server
_GRACE_S = 20.0  # to end by itself; then it is killed
_KEPT_LINES = 40
_LINE_CHARS = 2000


class Server:
    """A server that runs for the length of a ``with`` block.

    Args:
        planned: what to start.
        tell: called with each line that the server writes, from another thread.

    Raises:
        MissingExtraError, ConfigError: its program is not here; see `vau.mllm.serve_plan.check_program`.
        ConfigError: the address is taken, or none of this machine.
        MllmUnavailable: the program could not be started.
    """

    def __init__(self, planned: ServePlan, host: str, port: int, tell: Callable[[str], None] | None = None) -> None:
        check_program(planned)
        _check_free(host, port)
        self._plan = planned
        self._tell = tell
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        environment = {**os.environ, **self._plan.environment}
        if self._plan.api_key:
            environment["VLLM_API_KEY"] = self._plan.api_key
        try:
            self._process = subprocess.Popen(  # noqa: S603 - a program of the user's, no shell
                self._plan.command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,  # Ctrl-C reaches us alone; we end the whole group in order
            )
        except OSError as error:
            raise MllmUnavailable(f"{self._plan.command[0]} could not be started: {error.strerror or error}") from error
        threading.Thread(target=self._read, args=(self._process,), name="vau-serve-log", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The last lines that the server wrote, at most 40."""
        return tuple(self._lines)

    def wait_ready(self, timeout_s: float = READY_S) -> None:
        """Waits until the server takes questions.

        Raises:
            MllmUnavailable: it ended before that.
            MllmTimeout: it was not ready in time.
            MllmError: it is too old, or has not the model.
        """
        end = time.monotonic() + timeout_s
        with httpx.Client(trust_env=False, timeout=_PROBE_S, base_url=self._plan.url) as client:
            while not _is_well(client):
                if self._running().poll() is not None:
                    raise MllmUnavailable(self._ending("before it was ready"))
                if time.monotonic() >= end:
                    raise MllmTimeout(
                        f"{self._plan.engine} was not ready after {timeout_s:.0f} s; it wrote last: {self._last()}"
                    )
                time.sleep(_POLL_S)
            if self._plan.engine == "vllm":
                _check_version(client)
                _check_model(client, self._plan)

    def wait(self) -> None:
        """Waits until the server ends by itself, which it should not.

        Raises:
            MllmUnavailable: it did.
        """
        self._running().wait()
        raise MllmUnavailable(self._ending("by itself"))

    def stop(self) -> None:
        """Ends the server: by its own shutdown, and after 20 s by force; nothing that it started stays."""
        process = self._process
        if process is None:
            return
        try:
            if process.poll() is None:
                process.terminate()
                process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            pass
        finally:  # also where a second interrupt cuts the waiting short
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self._process = None

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise RuntimeError("the server runs within its `with` block alone")
        return self._process

    def _read(self, process: subprocess.Popen[str]) -> None:
        """Takes what the server writes, so that it never waits for a full pipe."""
        assert process.stdout is not None
        for line in iter(lambda: process.stdout.readline(_LINE_CHARS), ""):  # type: ignore[union-attr]
            text = "".join(char for char in line if char.isprintable()).strip()
            if text:
                self._lines.append(text)
                if self._tell is not None:
                    self._tell(text)

    def _ending(self, when: str) -> str:
        code = self._running().returncode
        how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
        return f"{self._plan.engine} ended {when}, {how}; it wrote last: {self._last()}"

    def _last(self) -> str:
        time.sleep(_POLL_S)  # the reading thread may have the last line yet to come
        return self._lines[-1][:300] if self._lines else "nothing"


def _is_well(client: httpx.Client) -> bool:
    try:
        return client.get("/health").status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _check_version(client: httpx.Client) -> None:
    found = _json(client, "/version", {})
    text = found.get("version") if isinstance(found, dict) else None
    match = re.match(r"(\d+)\.(\d+)", text) if isinstance(text, str) else None
    if match and (int(match[1]), int(match[2])) < FLOOR:  # builds from source may have no number
        raise MllmError(f"vLLM {text} has known holes; 0.19 is the oldest that is served with: update it")


def _check_model(client: httpx.Client, planned: ServePlan) -> None:
    headers = {"Authorization": f"Bearer {planned.api_key}"} if planned.api_key else {}
    found = _json(client, "/v1/models", headers)
    rows = found.get("data") if isinstance(found, dict) else None
    names = [row.get("id") for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    if planned.name not in names:
        raise MllmError(f"the server at {planned.url} has not the model {planned.name!r}, but {names[:10]}")


def _json(client: httpx.Client, path: str, headers: dict[str, str]) -> Any:
    try:
        return client.get(path, headers=headers).json()
    except (httpx.HTTPError, ValueError):
        return None


def _check_free(host: str, port: int) -> None:
    """Refuses an address that another program listens at: its answers would be taken for the server's."""
    try:
        kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(kind, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise ConfigError(f"nothing can listen at {host}, port {port} ({error.strerror}); choose another one") from None
