"""What calling a model's server for many events at once is worth, against one call after the other.

`python benchmarks/mllm_concurrency.py`. The server is scripted: it runs on loopback, has no model and answers each
request after a fixed time, so that the figures are those of our client and pool and not of a GPU. With `--faults` every
fourth request gets a 429, a 500, a cut or a hang first, and the table shows whether anything was lost.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from tests import scripted_server as play
from tests.scripted_server import ScriptedServer
from vau.mllm.interface import Message, Reply, TimedFrame
from vau.mllm.openai_client import OpenAiClient
from vau.mllm.pool import Outcome, Retries, Tally, Task, run_all, tally

_FRAMES = 8  # a request
_FRAME_BYTES = 30_000  # about those of a picture of 640 x 360
_FAULTS = (play.status(429, {"Retry-After": "0"}), play.status(500), play.die_in_body, play.hang)
_FAULT_EVERY = 4


@dataclass(frozen=True)
class Result:
    """One way of calling."""

    concurrency: int
    seconds: float
    counts: Tally
    in_order: bool  # every reply is that to its own question


def echo(latency_s: float) -> play.Behaviour:
    """Answers with the name of the event that was asked about."""

    def act(handler: play.Handler) -> None:
        time.sleep(latency_s)
        handler.send_json(play.completion(handler.body["messages"][-1]["content"][-1]["text"]))

    return act


def faulty(latency_s: float) -> play.Behaviour:
    """The same, but for every fourth request."""
    good, faults, count = echo(latency_s), itertools.cycle(_FAULTS), itertools.count(1)
    lock = threading.Lock()

    def act(handler: play.Handler) -> None:
        with lock:
            behaviour = next(faults) if next(count) % _FAULT_EVERY == 0 else good
        behaviour(handler)

    return act


def measure(events: int, concurrency: int, behaviour: play.Behaviour, timeout_s: float) -> Result:
    """Asks about all events once."""
    picture = b"\xff\xd8\xff" + bytes(_FRAME_BYTES)
    frames = [TimedFrame(picture, 0.5 * place) for place in range(_FRAMES)]

    def task(number: int) -> Task[Reply]:
        ask = [Message.of("user", *frames, f"event {number}")]
        return lambda left_s: client.generate(ask, timeout_s=left_s)

    with ScriptedServer(behaviour) as server, OpenAiClient(server.url, play.MODEL, timeout_s=timeout_s) as client:
        start = time.perf_counter()
        outcomes: Sequence[Outcome[Reply]] = run_all(
            [task(number) for number in range(events)],
            concurrency=concurrency,
            retries=Retries(tries=20, base_s=0.05),
            deadline_s=600.0,
        )
        seconds = time.perf_counter() - start
    said = [item.value.text if item.value is not None else "" for item in outcomes]
    return Result(concurrency, seconds, tally(outcomes), said == [f"event {number}" for number in range(events)])


def main() -> None:
    """Measures and prints a table; exit code 1 where something was lost or the gain is too small."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=100)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--latency", type=float, default=0.25, help="seconds that the server takes for a reply")
    parser.add_argument("--faults", action="store_true", help="every fourth request fails first")
    parser.add_argument("--gain", type=float, default=10.0, help="least gain of the last concurrency over the first")
    options = parser.parse_args()
    table = Table("at once", "seconds", "events a second", "gain", "calls", "retries", "lost", "in order")
    results: list[Result] = []
    for concurrency in options.concurrency:
        behaviour = faulty(options.latency) if options.faults else echo(options.latency)
        results.append(result := measure(options.events, concurrency, behaviour, 4 * options.latency + 1.0))
        counts = result.counts
        table.add_row(
            str(concurrency),
            f"{result.seconds:.2f}",
            f"{options.events / result.seconds:.1f}",
            f"{results[0].seconds / result.seconds:.1f}",
            str(counts.calls),
            str(counts.retries),
            str(options.events - counts.answered),
            "yes" if result.in_order else "no",
        )
    Console().print(table)
    gain = results[0].seconds / results[-1].seconds
    if not all(result.in_order for result in results) or (len(results) > 1 and gain < options.gain):
        sys.exit(1)


if __name__ == "__main__":
    main()
