import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from tests import scripted_server as play
from tests.scripted_server import ScriptedServer
from vau.errors import MllmCancelled, MllmError, MllmRefused, MllmTimeout, MllmUnavailable
from vau.mllm.interface import Message, Reply, Usage
from vau.mllm.openai_client import OpenAiClient
from vau.mllm.pool import Outcome, Retries, Tally, run_all, tally

FAST = Retries(tries=4, base_s=0.01, longest_s=0.05, longest_wait_s=0.1)
Task = Callable[[float | None], Reply]


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def client(server: ScriptedServer) -> Iterator[OpenAiClient]:
    with OpenAiClient(server.url, play.MODEL, dialect="openai", timeout_s=0.5) as model:
        yield model


def asking(client: OpenAiClient, count: int) -> list[Task]:
    def task(number: int) -> Task:
        ask = [Message.of("user", f"event {number}")]
        return lambda timeout_s: client.generate(ask, timeout_s=timeout_s)

    return [task(number) for number in range(count)]


def reply(text: str = "ok") -> Reply:
    return Reply(text, "m", usage=Usage(1, 1, 1))


def test_order_is_kept_whichever_ends_first() -> None:
    def task(number: int) -> Task:
        def run(_: float | None) -> Reply:
            time.sleep(0.02 * (5 - number % 5))
            return reply(str(number))

        return run

    seen: list[int] = []
    outcomes = run_all([task(i) for i in range(20)], concurrency=5, progress=lambda place, _: seen.append(place))
    assert [item.get().text for item in outcomes] == [str(i) for i in range(20)]
    assert sorted(seen) == list(range(20))
    assert seen != sorted(seen)


def test_concurrency_is_bounded(server: ScriptedServer, client: OpenAiClient) -> None:
    server.server.default = play.reply("ok", latency_s=0.05)
    outcomes = run_all(asking(client, 24), concurrency=6)
    assert all(item.value for item in outcomes)
    assert server.server.most_busy == 6


def test_nothing_is_lost_on_a_misbehaving_server(server: ScriptedServer, client: OpenAiClient) -> None:
    server.play(
        *[
            play.status(429, {"Retry-After": "0"}),
            play.status(500),
            play.hang,
            play.die_in_body,
            play.raw(b"{half"),
            play.reply("ok"),
        ]
        * 5
    )
    patient = replace(FAST, tries=30)
    outcomes = run_all(asking(client, 40), concurrency=8, retries=patient, deadline_s=20.0, give_up_after=1000)
    assert len(outcomes) == 40
    assert all(item.value is not None and item.error is None for item in outcomes)
    asked = [request.body["messages"][0]["content"] for request in server.chats]
    assert set(asked) == {f"event {i}" for i in range(40)}
    count = tally(outcomes)
    assert (count.answered, count.failed, count.retries) == (40, 0, 25)
    assert count.calls == len(asked) == 65
    assert count.usage == Usage(400, 5 + 2 * 35, 0)


@pytest.mark.parametrize(
    "behaviour",
    [
        play.status(400),
        play.status(401),
        play.status(404),
        play.status(422),
        play.redirect("http://127.0.0.1:9/"),
        play.raw(b"", "text/html"),
    ],
)
def test_what_a_retry_would_not_help_is_not_retried(
    server: ScriptedServer, client: OpenAiClient, behaviour: play.Behaviour
) -> None:
    server.server.default = behaviour
    (outcome,) = run_all(asking(client, 1), retries=FAST)
    assert isinstance(outcome.error, MllmError)
    assert outcome.tries == len(server.chats) == 1


@pytest.mark.parametrize("behaviour", [play.status(408), play.status(429), play.status(503), play.hang])
def test_tries_are_bounded(server: ScriptedServer, behaviour: play.Behaviour) -> None:
    server.server.default = behaviour
    with OpenAiClient(server.url, play.MODEL, timeout_s=0.1) as client:
        (outcome,) = run_all(asking(client, 1), retries=FAST)
    assert outcome.error is not None
    assert outcome.tries == len(server.chats) == 4
    with pytest.raises(type(outcome.error)):
        outcome.get()


def test_retry_after_is_honoured_and_capped() -> None:
    long = Retries(longest_wait_s=3.0)
    for _ in range(50):
        assert 2.0 <= long.pause_s(1, MllmUnavailable("busy", 2.0)) <= 2.4
        assert 3.0 <= long.pause_s(1, MllmUnavailable("busy", 500.0)) <= 3.6
        assert 0.25 <= long.pause_s(1, MllmUnavailable("down")) <= 0.5
        assert 2.0 <= long.pause_s(4, MllmTimeout("late")) <= 4.0
        assert 10.0 <= long.pause_s(60, MllmTimeout("late")) <= 20.0
    assert len({long.pause_s(1, MllmTimeout("late")) for _ in range(10)}) > 1


def test_the_deadline_is_kept_with_all_that_was_answered(server: ScriptedServer) -> None:
    server.play(play.reply("ok"), play.reply("ok"), *[play.hang] * 30)
    start = time.monotonic()
    with OpenAiClient(server.url, play.MODEL, timeout_s=60.0) as client:
        outcomes = run_all(asking(client, 10), concurrency=4, retries=FAST, deadline_s=0.5)
    assert time.monotonic() - start < 1.5
    assert len(outcomes) == 10
    assert sum(item.value is not None for item in outcomes) == 2
    assert all(isinstance(item.error, MllmTimeout) for item in outcomes if item.value is None)


def test_the_deadline_is_kept_with_tasks_that_do_not_listen() -> None:
    block = threading.Event()

    def deaf(_: float | None) -> Reply:
        block.wait(10)
        return reply()

    start = time.monotonic()
    outcomes = run_all([deaf] * 3, concurrency=2, deadline_s=0.2)
    assert time.monotonic() - start < 1.2
    assert all(isinstance(item.error, MllmTimeout) for item in outcomes)
    block.set()


def test_a_pause_ends_with_the_deadline() -> None:
    def fail(_: float | None) -> Reply:
        raise MllmUnavailable("busy", 50.0)

    start = time.monotonic()
    (outcome,) = run_all([fail], deadline_s=0.2)
    assert time.monotonic() - start < 1.0
    assert "busy" in str(outcome.error)


def test_cancelling(server: ScriptedServer) -> None:
    server.play(*[play.reply("ok")] * 3, *[play.hang] * 30)
    cancel = threading.Event()
    seen: list[Outcome[Reply]] = []

    def progress(_: int, outcome: Outcome[Reply]) -> None:
        seen.append(outcome)
        if len(seen) == 3:
            cancel.set()

    start = time.monotonic()
    with OpenAiClient(server.url, play.MODEL, timeout_s=60.0) as client:
        outcomes = run_all(asking(client, 12), concurrency=3, cancel=cancel, progress=progress)
    assert time.monotonic() - start < 1.0
    assert sum(item.value is not None for item in outcomes) == 3
    assert sum(isinstance(item.error, MllmCancelled) for item in outcomes) == 9
    assert len(server.chats) <= 6


def test_a_server_that_is_gone_is_given_up() -> None:
    tried = []

    def fail(_: float | None) -> Reply:
        tried.append(1)
        raise MllmUnavailable("connection refused")

    outcomes = run_all([fail] * 200, concurrency=4, retries=FAST)
    assert len(outcomes) == 200
    assert all(item.error is not None for item in outcomes)
    assert "given up after 12" in str(outcomes[-1].error)
    assert len(tried) < 24


def test_a_server_that_asks_for_pauses_is_not_given_up() -> None:
    left = [60]
    lock = threading.Lock()

    def busy(_: float | None) -> Reply:
        with lock:
            left[0] -= 1
            if left[0] > 0:
                raise MllmUnavailable("busy", 0.0)
        return reply()

    outcomes = run_all([busy] * 8, concurrency=4, retries=Retries(tries=100, longest_wait_s=0.0))
    assert all(item.value for item in outcomes)


def test_a_mistake_in_a_task_is_raised() -> None:
    def wrong(_: float | None) -> Reply:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_all([wrong, lambda _: reply()])


def test_nothing_to_do() -> None:
    assert run_all([]) == []
    with pytest.raises(ValueError, match="concurrency"):
        run_all([], concurrency=0)


def test_tally_counts_what_was_paid_for() -> None:
    paid = Outcome(reply(), None, 2, 0.1)
    kept = Outcome(Reply("ok", "m", usage=Usage(5, 5, 5), cached=True), None, 1, 0.0)
    lost: Outcome[Reply] = Outcome(None, MllmRefused("no"), 1, 0.1)
    count = tally([paid, kept, lost])
    assert count == Tally(calls=4, answered=2, failed=1, retries=1, cached=1, usage=Usage(1, 1, 1))
    assert (count + count).calls == 8
    assert Tally(usage=Usage(2_000_000, 500_000, 0)).cost(0.5, 2.0) == pytest.approx(2.0)
