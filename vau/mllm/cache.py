"""Replies kept on disk, so that the same question about the same pictures is paid for once.

The key is the whole content: every text, every picture's bytes and time, the prompt's name and version, the model, and
how tokens are drawn. Only replies that would come again are kept: greedy ones and those with a seed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from vau.errors import CacheError
from vau.mllm import strict_json
from vau.mllm.interface import (
    GREEDY,
    CandidateScores,
    Message,
    Mllm,
    Part,
    Reply,
    Sampling,
    Schema,
    Text,
    TimedFrame,
    Usage,
)

FORMAT = 1  # of keys and values; a change makes all that is kept unknown
APPLICATION_ID = 0x76617543  # "vauC", in the header of the file
_MAX_VALUE_CHARS = 4_000_000
_BUSY_S = 10.0
_KEEP = 0.9  # share of the size that is kept when the cache is full
_HEADER = b"SQLite format 3\x00"

log = logging.getLogger(__name__)


class ReplyCache:
    """A table of values by key in one SQLite file; any number of threads and processes may use it at once.

    A file of ours that turns out damaged is put aside as ``<name>.damaged`` and begun anew. A file that is not ours is
    never touched.

    Args:
        path: the file; made with its folder where it is missing.
        max_bytes: size of all values beyond which those that were not used for longest are dropped.

    Raises:
        CacheError: the file is something else, or cannot be written.
    """

    def __init__(self, path: Path, max_bytes: int = 256 * 2**20) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _check_ours(path)
            self._connection = self._open()
        except sqlite3.OperationalError as error:
            raise CacheError(f"the response cache {path} cannot be opened: {error}") from None
        except sqlite3.DatabaseError as error:
            self._connection = self._renew(error)
        except OSError as error:
            raise CacheError(f"the response cache {path} cannot be opened: {error}") from None

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._connection.close()

    def get(self, key: str) -> Any:
        """Returns the value of a key, None where there is none."""
        with self._lock:
            try:
                row = self._connection.execute("SELECT value FROM replies WHERE key = ?", (key,)).fetchone()
            except sqlite3.OperationalError as error:
                log.warning("the response cache %s was not read: %s", self._path, error)
                return None
            except sqlite3.DatabaseError as error:
                self._recover(error)
                return None
        if row is None:
            return None
        self._write("UPDATE replies SET used = ? WHERE key = ?", (time.time(), key))
        try:
            return strict_json.loads(row[0], _MAX_VALUE_CHARS)
        except (ValueError, TypeError):
            self.drop(key)
            return None

    def put(self, key: str, value: Any) -> None:
        """Keeps a value that JSON can write; on a full or locked disk it logs a warning and keeps nothing."""
        text = json.dumps(value, allow_nan=False)
        if len(text) > min(_MAX_VALUE_CHARS, self._max_bytes):
            return
        self._write("INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?)", (key, text, len(text), time.time()))

    def drop(self, key: str) -> None:
        """Forgets a key."""
        self._write("DELETE FROM replies WHERE key = ?", (key,))

    def __len__(self) -> int:
        with self._lock:
            return int(self._connection.execute("SELECT count(*) FROM replies").fetchone()[0])

    def _write(self, statement: str, values: tuple[Any, ...]) -> None:
        with self._lock:
            try:
                self._connection.execute(statement, values)
                if statement.startswith("INSERT"):
                    self._trim()
            except sqlite3.OperationalError as error:
                log.warning("the response cache %s was not written: %s", self._path, error)
            except sqlite3.DatabaseError as error:
                self._recover(error)

    def _trim(self) -> None:
        (size,) = self._connection.execute("SELECT sum(size) FROM replies").fetchone()
        if (size or 0) <= self._max_bytes:
            return
        self._connection.execute(
            "DELETE FROM replies WHERE key IN (SELECT key FROM (SELECT key, sum(size) OVER (ORDER BY used DESC, key) AS"
            " upto FROM replies) WHERE upto > ?)",
            (int(self._max_bytes * _KEEP),),
        )

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            # The mark comes first: before the write-ahead log takes over, it goes into the file's own header.
            if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            for statement in _TABLES:
                connection.execute(statement)
        except BaseException:
            connection.close()
            raise
        self._opened = self._path.stat().st_ino
        return connection

    def _recover(self, error: sqlite3.DatabaseError) -> None:
        self._connection.close()
        self._connection = self._renew(error)

    def _renew(self, error: sqlite3.DatabaseError) -> sqlite3.Connection:
        """Begins the file anew, unless another process has done that meanwhile."""
        try:
            if not hasattr(self, "_opened") or self._path.stat().st_ino == self._opened:
                aside = self._path.with_name(self._path.name + ".damaged")
                self._path.replace(aside)
                for suffix in ("-wal", "-shm"):
                    self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
                log.warning("the response cache %s was damaged (%s); it is kept as %s", self._path, error, aside.name)
            return self._open()
        except (OSError, sqlite3.DatabaseError) as failure:
            raise CacheError(
                f"the response cache {self._path} is damaged ({error}) and cannot be begun anew: {failure}"
            ) from None


_TABLES = (
    "CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, value TEXT NOT NULL, size INTEGER NOT NULL, used REAL)",
    # Holds all that sizing up and dropping need, so that they do not read the values.
    "CREATE INDEX IF NOT EXISTS by_use ON replies (used DESC, key, size)",
)


def _check_ours(path: Path) -> None:
    """Refuses a file that is there and is no cache of this package."""
    if not path.exists():
        return
    if not path.is_file():
        raise CacheError(f"the response cache {path} is no file")
    with path.open("rb") as file:
        head = file.read(100)
    if head and (not head.startswith(_HEADER) or head[68:72] not in (APPLICATION_ID.to_bytes(4, "big"), bytes(4))):
        raise CacheError(f"{path} is not a response cache of this package and was left as it is; name another file")
    if head[68:72] == bytes(4):  # SQLite's own default: ours only where nothing is in it
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise CacheError(f"{path} is another database and was left as it is; name another file")


class CachedMllm:
    """A model whose replies come from the cache where it holds them.

    Args:
        model: the model to ask otherwise.
        cache: where replies are kept.
        prompt: name and version of the prompt that the messages come from, such as ``judge@2``.
    """

    def __init__(self, model: Mllm, cache: ReplyCache, prompt: str) -> None:
        self._model = model
        self._cache = cache
        self._prompt = prompt

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model.name

    def generate(
        self,
        messages: Sequence[Message],
        *,
        sampling: Sampling = GREEDY,
        schema: Schema | None = None,
        choices: tuple[str, ...] | None = None,
        timeout_s: float | None = None,
    ) -> Reply:
        """Continues a conversation, from the cache where it can; the reply says so."""
        repeatable = sampling.temperature == 0 or sampling.seed is not None
        asked = {"sampling": asdict(sampling), "schema": schema, "choices": choices}
        key = self._key("generate", messages, asked)
        if repeatable and (found := _read_reply(self._cache.get(key))) is not None:
            return found
        reply = self._model.generate(messages, sampling=sampling, schema=schema, choices=choices, timeout_s=timeout_s)
        if repeatable and reply.text.strip():
            self._cache.put(key, asdict(replace(reply, cached=False)))
        return reply

    def stream(
        self, messages: Sequence[Message], *, sampling: Sampling = GREEDY, timeout_s: float | None = None
    ) -> Iterator[str]:
        """Continues a conversation in pieces; streams are neither kept nor read from the cache."""
        return self._model.stream(messages, sampling=sampling, timeout_s=timeout_s)

    def likelihood(
        self, messages: Sequence[Message], candidates: Sequence[str], *, timeout_s: float | None = None
    ) -> CandidateScores:
        """Tells how likely each candidate is, from the cache where it can."""
        key = self._key("likelihood", messages, {"candidates": list(candidates)})
        if (found := _read_scores(self._cache.get(key), tuple(candidates))) is not None:
            return found
        scores = self._model.likelihood(messages, candidates, timeout_s=timeout_s)
        # JSON has no infinity: None stands for the logarithm of zero.
        values = [float(value) if np.isfinite(value) else None for value in scores.log_probs]
        self._cache.put(key, {"log_probs": values, "exact": scores.exact, "usage": asdict(scores.usage)})
        return scores

    def _key(self, kind: str, messages: Sequence[Message], asked: dict[str, Any]) -> str:
        content = {
            "format": FORMAT,
            "kind": kind,
            "model": self._model.name,
            "prompt": self._prompt,
            "messages": [[message.role, [_content(part) for part in message.parts]] for message in messages],
            "asked": asked,
        }
        text = json.dumps(content, sort_keys=True, allow_nan=False, default=dict)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _content(part: Part) -> list[Any]:
    if isinstance(part, Text):
        return ["text", part.text]
    digest = hashlib.sha256(part.jpeg).hexdigest()
    return ["frame", part.time_s, digest] if isinstance(part, TimedFrame) else ["picture", digest]


def _read_reply(value: Any) -> Reply | None:
    """Returns a kept reply, None where it is none: another program may have written into the file."""
    try:
        reply = Reply(**{**value, "usage": _read_usage(value), "cached": True})
    except (TypeError, KeyError, ValueError):
        return None
    texts = (reply.text, reply.model, reply.thinking, reply.finish_reason)
    return reply if all(isinstance(text, str) for text in texts) else None


def _read_usage(value: Any) -> Usage:
    usage = Usage(**value["usage"])
    if not all(type(count) is int and count >= 0 for count in asdict(usage).values()):
        raise ValueError(f"counts must be whole numbers, got {usage}")
    return usage


def _read_scores(value: Any, candidates: tuple[str, ...]) -> CandidateScores | None:
    try:
        log_probs = np.array([-np.inf if item is None else item for item in value["log_probs"]], np.float64)
        return CandidateScores(candidates, log_probs, bool(value["exact"]), _read_usage(value), cached=True)
    except (TypeError, KeyError, ValueError):
        return None
