"""`vau analyze --live`: a file or a stream watched as it comes; events, gaps and a summary, told as they happen."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from vau.cli.show import clean, console
from vau.errors import ConfigError, InputError

if TYPE_CHECKING:
    from vau.config import Config
    from vau.live.run import Told
    from vau.live.stream import Stream
    from vau.perception.observe import Models

RECORDS = "events.jsonl"


@dataclass(frozen=True)
class Watching:
    """How a file or a stream is watched."""

    speed: float = 1.0  # of a file: 1 as fast as it happened, 0 as fast as it can be read
    give_up_s: float = 0.0  # without a frame after which a lost stream is given up; 0: never
    ca_file: Path | None = None  # certificates to trust for an encrypted stream; None: the public authorities'


def watch_live(
    text: str,
    config: Config,
    out: Path,
    how: Watching | None = None,
    *,
    as_json: bool = False,
    quiet: bool = False,
    models: Models | None = None,
) -> None:
    """Watches until the stream ends for good or the user interrupts, which closes what is open and sums up.

    Every record is a line of ``events.jsonl`` in `out`, where the keyframes go too; with `as_json` it is also printed,
    else its text is.

    Args:
        text: a file's path, or an address that begins with rtsp, rtsps, http or https.
        config: all settings.
        out: folder; made where it is missing, and added to where it is not.
        how: see there.
        as_json: print JSON lines.
        quiet: print nothing but JSON lines.
        models: loaded models; they are loaded from `config` otherwise.

    Raises:
        InputError: the address or the file of certificates cannot be used.
        ConfigError: the configuration names a scorer that cannot watch.
        VauError: what the stages raise.
    """
    from vau.live.address import Address
    from vau.live.run import Run
    from vau.live.stream import Connecting, Stream
    from vau.perception.observe import load_models

    if config.scoring.checkpoint or config.scoring.method != "signals":
        named = config.scoring.checkpoint or config.scoring.method
        raise ConfigError(f"a stream is watched by the training-free scorer alone, not by {named!r}; leave it out")
    if config.mllm.model != "evidence":
        raise ConfigError("a stream is told from what is measured alone; leave out --mllm (mllm.model) with --live")
    address = Address(text)
    how = how or Watching()
    if how.ca_file is not None and not how.ca_file.is_file():
        raise InputError(f"{how.ca_file}: no file of certificates")
    connecting = Connecting(give_up_s=how.give_up_s, ca_file=how.ca_file)
    stream = Stream(address, config.video, speed=how.speed, connecting=connecting)
    run = Run(stream, models or load_models(config.perception), config)
    out.mkdir(parents=True, exist_ok=True)
    with (out / RECORDS).open("a", encoding="utf-8") as file, _until_interrupted(stream):
        for told in run:
            record, lines = _told(told, address.shown, out)
            _write(record, lines, file, as_json=as_json, quiet=quiet)
        summary = {"kind": "summary", **asdict(run.tally), "left_out": stream.left_out}
        _write(summary, [_summary(summary)], file, as_json=as_json, quiet=quiet)


def _told(told: Told, shown: str, out: Path) -> tuple[dict[str, Any], list[str]]:
    """Returns a record and its lines for people."""
    from vau.live.stream import Begun, Lost
    from vau.live.told import FORMAT, event_lines, event_record, save_pictures
    from vau.live.watch import LiveEvent
    from vau.report.text import clock

    if isinstance(told, LiveEvent):
        return event_record(told, save_pictures(told, out)), event_lines(told)
    if isinstance(told, Begun):
        info = told.info
        record = {"kind": "begun", "format": FORMAT, "source": shown, "width": info.width, "height": info.height}
        return record, [f"Watching {shown}: {info.width} x {info.height}, {info.codec}"]
    if isinstance(told, Lost):
        record = {"kind": "lost", "time_s": round(told.time_s, 3), "reason": told.reason}
        return record, [f"Lost at {clock(told.time_s)} ({told.reason}); trying again"]
    record = {
        "kind": "gap",
        "start_s": round(told.start_s, 3),
        "end_s": round(told.end_s, 3),
        "reason": told.reason,
    }
    return record, [f"Nothing was seen from {clock(told.start_s)} to {clock(told.end_s)} ({told.reason})"]


def _summary(summary: dict[str, Any]) -> str:
    from vau.reasoning.language import plural

    events, gaps = plural(summary["events"], "event"), plural(summary["gaps"], "gap")
    text = f"Watched {summary['watched_s']:.0f} s: {events}, {gaps}"
    if summary["gaps"]:
        text += f" of {summary['missing_s']:.0f} s together"
    if summary["left_out"]:
        text += f"; {summary['left_out']} frames left out because they came faster than they were looked at"
    return text


def _write(record: dict[str, Any], lines: list[str], file: Any, *, as_json: bool, quiet: bool) -> None:
    line = json.dumps(record, allow_nan=False)
    file.write(line + "\n")
    file.flush()
    if as_json:
        typer.echo(line)
    elif not quiet:
        screen = console()
        for text in lines:
            screen.print(clean(text), soft_wrap=True)


@contextmanager
def _until_interrupted(stream: Stream) -> Iterator[None]:
    """Lets the first interrupt end the stream, so that what is open is closed and told; the second one ends all."""

    def stop(number: int, _: object) -> None:
        signal.signal(number, before[signal.Signals(number)])
        stream.close()

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        stream.close()
