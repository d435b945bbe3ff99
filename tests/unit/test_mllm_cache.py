import logging
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vau.errors import CacheError
from vau.mllm.cache import CachedMllm, ReplyCache
from vau.mllm.interface import (
    GREEDY,
    CandidateScores,
    Message,
    Mllm,
    Picture,
    Reply,
    Sampling,
    Schema,
    TimedFrame,
    Usage,
)

JPEG = b"\xff\xd8\xff\xe0 a picture \xff\xd9"
ASK = [Message.of("user", TimedFrame(JPEG, 1.0), "what happens?")]


class Counting:
    """A model that says how often it was asked."""

    def __init__(self, name: str = "m", text: str = "reply {}") -> None:
        self.name = name
        self.calls = 0
        self._text = text

    def generate(
        self,
        messages: Sequence[Message],
        *,
        sampling: Sampling = GREEDY,
        schema: Schema | None = None,
        choices: tuple[str, ...] | None = None,
        timeout_s: float | None = None,
    ) -> Reply:
        self.calls += 1
        return Reply(self._text.format(self.calls), self.name, "hm", usage=Usage(1, 2, 3))

    def stream(
        self, messages: Sequence[Message], *, sampling: Sampling = GREEDY, timeout_s: float | None = None
    ) -> Iterator[str]:
        self.calls += 1
        yield "reply"

    def likelihood(
        self, messages: Sequence[Message], candidates: Sequence[str], *, timeout_s: float | None = None
    ) -> CandidateScores:
        self.calls += 1
        values = np.array([-0.5, *[-np.inf] * (len(candidates) - 1)])
        return CandidateScores(tuple(candidates), values, exact=False, usage=Usage(4, 5, 6))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "replies.sqlite"


def test_the_same_question_is_asked_once(path: Path) -> None:
    model = Counting()
    for _ in range(2):  # also after the file was closed
        cache = ReplyCache(path)
        cached: Mllm = CachedMllm(model, cache, "judge@1")
        first, again = cached.generate(ASK), cached.generate(ASK)
        assert (first.text, again.text, again.thinking, again.usage) == ("reply 1", "reply 1", "hm", Usage(1, 2, 3))
        assert again.cached
        scores = [cached.likelihood(ASK, ("yes", "no")) for _ in range(2)]
        np.testing.assert_array_equal(scores[1].log_probs, [-0.5, -np.inf])
        assert (scores[1].cached, scores[1].exact, scores[1].usage) == (True, False, Usage(4, 5, 6))
        cache.close()
    assert model.calls == 2


def test_whatever_changes_the_reply_changes_the_key(path: Path) -> None:
    cache = ReplyCache(path)
    text = "what happens?"

    def key(messages: Sequence[Message] = ASK, prompt: str = "p@1", name: str = "m", **asked: Any) -> str:
        return CachedMllm(Counting(name), cache, prompt)._key("generate", messages, asked)

    others = [
        key(prompt="p@2"),
        key(name="other"),
        key([Message.of("user", TimedFrame(JPEG, 1.01), text)]),
        key([Message.of("user", TimedFrame(JPEG + b"x", 1.0), text)]),
        key([Message.of("user", text, TimedFrame(JPEG, 1.0))]),
        key([Message.of("user", Picture(JPEG), text)]),
        key([Message.of("user", TimedFrame(JPEG, 1.0), text + " ")]),
        key([Message.of("user", "<1.0 seconds>", text)]),
        key([Message.of("system", "be brief"), *ASK]),
        key(sampling={"seed": 1}),
        key(schema={"type": "object"}),
        key(choices=["a"]),
    ]
    assert len({key(), *others}) == len(others) + 1
    assert key() == key()
    assert key([Message.of("user", "\ud800")])  # a damaged name is no reason to fail


def test_sampling_schema_and_choices_are_part_of_the_question(path: Path) -> None:
    model = Counting()
    cached = CachedMllm(model, ReplyCache(path), "p@1")
    for arguments in [{}, {"sampling": Sampling(max_tokens=5)}, {"schema": {"type": "string"}}, {"choices": ("a",)}]:
        cached.generate(ASK, **arguments)  # type: ignore[arg-type]
    assert model.calls == 4


def test_what_would_not_come_again_is_not_kept(path: Path) -> None:
    cache = ReplyCache(path)
    model = CachedMllm(Counting(), cache, "p@1")
    assert [model.generate(ASK, sampling=Sampling(temperature=0.7, seed=None)).text for _ in range(2)] == [
        "reply 1",
        "reply 2",
    ]
    assert list(model.stream(ASK)) == ["reply"]
    CachedMllm(Counting(text=" "), cache, "p@1").generate(ASK)
    assert len(cache) == 0


def test_size_is_bounded_and_what_was_used_last_stays(path: Path) -> None:
    cache = ReplyCache(path, max_bytes=10_000)
    cache.put("kept", "x" * 1000)
    for number in range(100):
        cache.put(str(number), "x" * 1000)
        assert cache.get("kept") is not None
        assert len(cache) <= 10
    assert cache.get("99") is not None
    assert cache.get("0") is None
    cache.put("too large", "x" * 20_000)
    assert cache.get("too large") is None
    for _ in range(50):
        cache.put("same", "x" * 1000)
    assert cache.get("kept") is not None


def test_many_threads_and_processes(path: Path) -> None:
    cache = ReplyCache(path)
    errors: list[Exception] = []

    def work(who: int) -> None:
        try:
            for number in range(30):
                cache.put(f"{who} {number}", {"n": number})
                assert cache.get(f"{who} {number}") == {"n": number}
        except Exception as error:  # noqa: BLE001 shown below
            errors.append(error)

    code = (
        "import sys; from pathlib import Path; from vau.mllm.cache import ReplyCache\n"
        "cache = ReplyCache(Path(sys.argv[1]))\n"
        "for n in range(60): cache.put(f'{sys.argv[2]} {n}', n)\n"
    )
    others = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in ("a", "b")]
    threads = [threading.Thread(target=work, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait(30) for process in others] == [0, 0]
    assert not errors
    assert len(cache) == 4 * 30 + 2 * 60


def damage(path: Path) -> None:
    """Overwrites every page but the header."""
    data = bytearray(path.read_bytes())
    data[100:] = b"\xa5" * (len(data) - 100)
    path.write_bytes(bytes(data))


def fill(path: Path) -> None:
    cache = ReplyCache(path)
    for number in range(200):
        cache.put(str(number), "x" * 500)
    cache.close()


def test_a_damaged_cache_is_begun_anew(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(path)
    damage(path)
    with caplog.at_level(logging.WARNING):
        cache = ReplyCache(path)
    assert "was damaged" in caplog.text
    assert path.with_name("replies.sqlite.damaged").exists()
    cache.put("a", 1)
    assert cache.get("a") == 1


def test_a_cache_damaged_while_open_is_begun_anew(path: Path) -> None:
    fill(path)
    cache = ReplyCache(path)
    damage(path)
    assert [cache.get(str(number)) for number in range(0, 200, 20)].count(None) >= 9
    cache.put("a", 1)
    assert cache.get("a") == 1


@pytest.mark.parametrize("content", [b"GIF89a my holiday", b"{}", b"SQLite format 3\x00 and nothing more"])
def test_a_file_that_is_no_cache_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "holiday.gif"
    path.write_bytes(content)
    with pytest.raises(CacheError, match=r"holiday\.gif"):
        ReplyCache(path)
    assert path.read_bytes() == content


def test_another_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "mail.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mail (text)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(CacheError, match="another database"):
        ReplyCache(path)
    assert path.read_bytes() == before
    with pytest.raises(CacheError, match="no file"):
        ReplyCache(tmp_path)
    with pytest.raises(CacheError):
        ReplyCache(path / "below" / "a.sqlite")


@pytest.mark.parametrize(
    "value",
    [
        "no JSON",
        "[]",
        "{}",
        '{"text": 5, "model": "m", "usage": {}}',
        '{"text": "x", "model": "m", "usage": {"images": "y"}}',
        '{"text": "x", "model": "m", "usage": {}, "more": 1}',
        "[" * 1000,
    ],
)
def test_a_row_that_is_no_reply_is_asked_for_again(path: Path, value: str) -> None:
    model = Counting()
    cached = CachedMllm(model, ReplyCache(path), "p@1")
    cached.generate(ASK)
    cached.likelihood(ASK, ("yes", "no"))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE replies SET value = ?", (value,))
    connection.close()
    assert cached.generate(ASK).text == "reply 3"
    assert not cached.likelihood(ASK, ("yes", "no")).cached
    assert cached.generate(ASK).cached


def test_a_full_disk_costs_no_reply(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = ReplyCache(path)
    pages = cache._connection.execute("PRAGMA page_count").fetchone()[0]
    cache._connection.execute(f"PRAGMA max_page_count = {pages}")
    model = CachedMllm(Counting(text="x" * 50_000), cache, "p@1")
    with caplog.at_level(logging.WARNING):
        assert len(model.generate(ASK).text) == 50_000
    assert "not written" in caplog.text
