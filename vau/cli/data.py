"""`vau data`: what a local copy of a benchmark lacks and where it comes from, and what two sets of videos share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vau.cli.failures import guard
from vau.cli.show import clean, console, name_of, print_json
from vau.errors import InputError

if TYPE_CHECKING:
    from vau.eval.benchmarks.inventory import Stock

data = typer.Typer(help="Look after local copies of data sets and benchmarks.", no_args_is_help=True)

_STYLES = {"ready": "green", "differs": "yellow", "missing": "red"}
Debug = Annotated[bool, typer.Option(help="Show tracebacks.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@data.command("list")
def names(debug: Debug = False) -> None:
    """Lists the benchmarks, with the card that tells of each."""
    with guard(debug):
        from vau.eval.benchmarks import BENCHMARKS

        table = Table(box=None, pad_edge=False)
        for heading in ("benchmark", "splits", "card"):
            table.add_column(heading, overflow="fold")
        for benchmark in BENCHMARKS:
            table.add_row(benchmark.name, ", ".join(benchmark.splits), f"data_cards/{benchmark.card}.md")
        console().print(table)


@data.command()
def check(
    name: Annotated[str, typer.Argument(help="A benchmark, such as uca/tsgv, or all its tasks: uca.")],
    path: Annotated[Path, typer.Argument(help="Folder with a local copy; subfolders are searched.")],
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Says what a local copy of a benchmark holds, what is missing, where it comes from and its terms.

    Exit code 2, and a line that says so, where no split can be evaluated with it.
    """
    with guard(debug):
        from vau.eval.benchmarks import BENCHMARKS, find_benchmark
        from vau.eval.benchmarks.inventory import take_stock

        chosen = [one for one in BENCHMARKS if one.name.split("/")[0] == name.lower()] or [find_benchmark(name)]
        found = [take_stock(benchmark, path) for benchmark in chosen]
        if as_json:
            print_json({"benchmarks": [_record(stock) for stock in found]})
        else:
            for stock in found:
                _show(stock, console())
        if not any(stock.usable for stock in found):
            raise InputError(f"{path}: no split of {name} can be evaluated; see what is missing above")


@data.command()
def fetch(
    name: Annotated[str, typer.Argument(help="A benchmark, such as vau-bench/qa.")],
    folder: Annotated[Path, typer.Argument(help="Where its annotation goes.")],
    debug: Debug = False,
) -> None:
    """Downloads the annotation of a benchmark, and no videos, from the Hugging Face hub, where it is there."""
    with guard(debug):
        from vau.eval.benchmarks import find_benchmark
        from vau.eval.benchmarks.hub import fetch as download

        benchmark = find_benchmark(name)
        if not benchmark.hub:
            origins = "; ".join(dict.fromkeys(part.origin for part in benchmark.parts))
            raise InputError(f"{benchmark.name} is not on the hub; it comes from {origins}")
        out = console()
        out.print(f"{benchmark.hub}. Terms: {benchmark.terms}", soft_wrap=True)
        patterns = [pattern for part in benchmark.parts for pattern in part.patterns]
        out.print(f"fetched to {clean(download(benchmark.hub, patterns, folder))}", soft_wrap=True)


@data.command()
def overlap(
    training: Annotated[Path, typer.Argument(help="Folder of videos that a system was trained on.")],
    testing: Annotated[Path, typer.Argument(help="Folder of videos that it is tested on.")],
    as_json: AsJson = False,
    debug: Debug = False,
) -> None:
    """Finds test videos that are among the training videos, by name and by content.

    Exit code 2 where there are any. Videos that were encoded anew under another name are not found.
    """
    with guard(debug):
        from vau.cli.inputs import VIDEO_SUFFIXES
        from vau.eval.leakage import copies
        from vau.eval.leakage import overlap as by_name

        same = copies(training, testing, VIDEO_SUFFIXES)
        named = by_name(_videos(testing, VIDEO_SUFFIXES), {"train": _videos(training, VIDEO_SUFFIXES)}).shared["train"]
        if as_json:
            pairs = [[name_of(first), name_of(second)] for first, second in same.pairs]
            counts = {"training": same.training, "testing": same.testing}
            print_json({**counts, "same_name": list(named), "same_content": pairs})
        else:
            out = console()
            out.print(f"{same.training} training videos, {same.testing} test videos")
            out.print(f"same name: {len(named)}; same content: {len(same.pairs)}")
            for first, second in same.pairs[:20]:
                out.print(f"  {clean(second)} is {clean(first)}", soft_wrap=True)
        if named or same.pairs:
            raise InputError(f"{testing}: {len(named)} names and {len(same.pairs)} contents are in {training} too")


def _videos(folder: Path, suffixes: frozenset[str]) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.suffix.lower() in suffixes]


def _record(stock: Stock) -> dict[str, Any]:
    benchmark = stock.benchmark
    return {
        "benchmark": benchmark.name,
        "usable": stock.usable,
        "terms": benchmark.terms,
        "videos_from": benchmark.videos_from,
        "hub": benchmark.hub,
        "parts": [
            {"name": part.name, "needed": part.needed, "found": name_of(found or ""), "origin": part.origin}
            for part, found in stock.parts
        ],
        "splits": [
            {"name": verdict.split, "state": verdict.state, "items": verdict.items, "detail": name_of(verdict.detail)}
            for verdict in stock.verdicts
        ],
        "videos": {"named": stock.videos, "found": stock.videos_found},
    }


def _show(stock: Stock, out: Console) -> None:
    benchmark = stock.benchmark
    out.print(f"{benchmark.name}: {benchmark.title}", style="bold")
    out.print(f"  Videos: {benchmark.videos_from}; {stock.videos_found} of {stock.videos} are here", soft_wrap=True)
    out.print(f"  Terms: {benchmark.terms}", soft_wrap=True)
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for part, found in stock.parts:
        need = "missing" if part.needed else "not here, and not needed for every split"
        told = Text(clean(found), style="green") if found else Text(need, style="red" if part.needed else "yellow")
        if not found:
            told.append(f"\n{part.patterns[0]}, from {part.origin}", style="dim")
        table.add_row(Text(f"  {part.name}"), told)
    for verdict in stock.verdicts:
        state = Text(verdict.state, style=_STYLES[verdict.state])
        table.add_row(Text(f"  split {verdict.split}"), state.append(f", {clean(verdict.detail)}", style="dim"))
    out.print(table)
    out.print()
