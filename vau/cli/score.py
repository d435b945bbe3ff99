"""`vau eval score`: answers of any system to a benchmark, beside what trivial answers reach."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vau.cli.failures import guard
from vau.cli.show import clean, console, name_of, print_json
from vau.errors import InputError
from vau.files import replace_file

if TYPE_CHECKING:
    from vau.eval.benchmarks.result import BenchmarkResult
    from vau.eval.metrics.judge import Judge

_TABLE_ROWS = 24


def score(
    benchmark: Annotated[str, typer.Option(help="Such as uca/tsgv; vau data list names them all.")],
    data: Annotated[Path, typer.Option(help="Folder with the annotation; subfolders are searched.")],
    predictions: Annotated[Path, typer.Option(help="JSONL with id and prediction, or the benchmark's own form.")],
    split: Annotated[str | None, typer.Option(help="One of the benchmark's; none: its first.")] = None,
    trained_on: Annotated[Path | None, typer.Option(help="Names of training videos, one a line.")] = None,
    allow_leak: Annotated[bool, typer.Option("--allow-leak", help="Score leaking splits, and say so.")] = False,
    partial: Annotated[bool, typer.Option("--partial", help="Score only items with a record, and say so.")] = False,
    priors: Annotated[bool, typer.Option(help="Score trivial answers too.")] = True,
    judge: Annotated[str | None, typer.Option(help="Address, folder or hub name of a model that grades texts.")] = None,
    judge_name: Annotated[str, typer.Option(help="Its name at its server, where that has several.")] = "",
    judge_key: Annotated[Path | None, typer.Option(help="File with the server's key.")] = None,
    cache: Annotated[str, typer.Option(help="File of the judge's kept replies; off: none.")] = "",
    resamples: Annotated[int, typer.Option(min=0, max=100_000, help="Of the intervals; 0: none.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the intervals.")] = 0,
    out: Annotated[Path | None, typer.Option("--json", help="Write the result here; - for standard output.")] = None,
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
) -> None:
    """Score a file of predictions; items that failed or have none count as wrong."""
    with guard(debug):
        from vau.eval.benchmarks import find_benchmark
        from vau.eval.benchmarks.predictions import read_predictions
        from vau.eval.benchmarks.result import evaluate
        from vau.eval.files import text
        from vau.eval.leakage import refuse_overlap
        from vau.eval.metrics.bootstrap import Resampling

        chosen = find_benchmark(benchmark)
        _check_out(out)
        found = chosen.load(data, split)
        leaks: tuple[str, ...] = ()
        if trained_on is not None:
            trained = [line.strip() for line in text(trained_on).splitlines() if line.strip()]
            leaks = refuse_overlap([item.video for item in found.items], trained, allow=allow_leak)
        with _judge(judge, judge_name, judge_key, cache, chosen.judge) as grading:
            result = evaluate(
                chosen,
                found,
                read_predictions(predictions, found.items),
                split=split,
                partial=partial,
                allow_leaks=allow_leak,
                judge=grading,
                with_priors=priors,
                resampling=Resampling(resamples, seed=seed),
            )
        _write(_record(result, predictions, leaks), out)
        if out is None or str(out) != "-":
            show_result(result, console(), title=chosen.title, leaks=leaks)


@contextmanager
def _judge(model: str | None, name: str, key: Path | None, cache: str, prompt: str) -> Iterator[Judge | None]:
    """Opens the judging model with its kept replies; None where none is asked for."""
    if model is None:
        yield None
        return
    from vau.config import MllmConfig
    from vau.eval.metrics.judge import Judge
    from vau.mllm.open import is_evidence, open_mllm
    from vau.mllm.prompts import load_prompt

    if not prompt:
        raise InputError("this benchmark has no texts to judge; leave --judge out")
    config = MllmConfig(model=model, name=name, api_key_file=str(key or ""), cache=cache)
    if is_evidence(config):
        raise InputError(f"--judge {model}: the embedded narrator cannot judge; name a server or a model")
    with open_mllm(config) as opened:
        yield Judge(opened.for_prompt(load_prompt(prompt)), prompt, concurrency=config.concurrency)


def show_result(result: BenchmarkResult, out: Console, *, title: str, leaks: tuple[str, ...] = ()) -> None:
    """Prints a result: what it rests on, its figures beside the trivial ones, and its groups."""
    out.print(f"{title} ({result.benchmark}, {result.split})", style="bold")
    used = f"n used / n expected: {result.used:,} / {result.expected:,} items"
    out.print(Text(f"  {used}", style="green" if result.complete else "bold red"), end="")
    lost = f"no record {result.missing:,}, failed {result.failed:,}, unreadable {result.unreadable:,}"
    out.print(f"; {result.videos:,} videos; answered {result.answered:,} ({lost}: all count as wrong)")
    for reason, count in result.reasons:
        out.print(f"  {count:,} times: {clean(reason)}", style="yellow")
    for repair in result.repairs:
        out.print(f"  Repaired, {repair.rule}: {repair.count:,} {repair.what}", style="yellow")
    for sentence in (*result.deviations, *result.leaks, *leaks):
        out.print(f"  Not comparable: {sentence}", style="bold yellow", soft_wrap=True)
    out.print()
    out.print(_figures(result))
    told = f"Intervals resample whole videos ({result.resamples} times); the columns after them never saw a frame."
    out.print(f"{told} {result.note}".strip(), style="dim", soft_wrap=True)
    if result.judge:
        out.print(f"Judge: {clean(result.judge)}; {result.judge_failed} texts could not be judged", style="dim")
    _show_rows(result, out)


def _figures(result: BenchmarkResult) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column("this\nsystem", justify="right", no_wrap=True)
    table.add_column(f"{100 * result.level:g} %\ninterval", justify="right", no_wrap=True)
    for name in result.priors:
        table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
    for name, figure in result.figures.items():
        scale = result.scales[name]
        span = (
            "-" if figure.low is None or figure.high is None else f"{scale * figure.low:.1f}-{scale * figure.high:.1f}"
        )
        trivial = [_number(values.get(name), scale) for values in result.priors.values()]
        table.add_row(name, Text(_number(figure.value, scale), style="bold"), span, *trivial)
    return table


def _show_rows(result: BenchmarkResult, out: Console) -> None:
    if not result.rows:
        return
    names = list(result.figures)[:8]
    table = Table(box=None, pad_edge=False, title="\nBy group", title_justify="left", title_style="bold")
    table.add_column("group", no_wrap=True)
    table.add_column("items", justify="right")
    for name in names:
        table.add_column(name.replace(", ", "\n"), justify="right", no_wrap=True)
    for row in result.rows[:_TABLE_ROWS]:
        values = [_number(row.figures[name], result.scales[name]) for name in names]
        table.add_row(clean(row.group), f"{row.items:,}", *values)
    out.print(table)


def _number(value: float | None, scale: float) -> str:
    return "-" if value is None else f"{scale * value:.2f}"


def _record(result: BenchmarkResult, predictions: Path, leaks: tuple[str, ...]) -> dict[str, Any]:
    from vau import __version__

    return {
        "vau": __version__,
        "predictions": name_of(predictions),
        "trained_on_overlap": list(leaks),
        **result.to_dict(),
    }


def _check_out(out: Path | None) -> None:
    """Makes sure, before the work, that the result replaces nothing but an earlier result."""
    if out is None or str(out) == "-" or not out.exists():
        return
    from vau.eval.files import json_value

    try:
        earlier = json_value(out)
    except InputError:
        earlier = None
    if not isinstance(earlier, dict) or not {"vau", "benchmark"} <= earlier.keys():
        raise InputError(f"--json {out}: holds something that is no result; write the result elsewhere")


def _write(record: dict[str, Any], out: Path | None) -> None:
    if out is None:
        return
    if str(out) == "-":
        print_json(record)
        return
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        replace_file(out, (json.dumps(record, indent=1, allow_nan=False) + "\n").encode())
    except OSError as error:
        raise InputError(f"--json {out}: {error.strerror or error}") from error
