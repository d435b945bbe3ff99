"""`vau weights`: which pretrained weights there are, whether they are here and unharmed, and how to get them."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from vau.cli.failures import guard
from vau.cli.show import clean, console, print_json

weights = typer.Typer(help="List and fetch the pretrained weights.", no_args_is_help=True)

_STYLES = {"ready": "green", "missing": "yellow", "damaged": "red"}


@weights.command("list")
def show(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a file.")] = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
) -> None:
    """Lists the weights with their state, licence and source; every SHA-256 is checked."""
    with guard(debug):
        from vau.weights import default_dir, listing

        lines = listing()
        if as_json:
            for line in lines:
                file = line.file
                print_json(
                    {
                        "name": file.name,
                        "state": line.state,
                        "path": str(line.path),
                        "package": file.requirement,
                        "licence": file.licence,
                        "source": file.source,
                        "sha256": file.sha256,
                        "bytes": file.size,
                        "extra": file.extra,
                    }
                )
            return
        table = Table(box=None, pad_edge=False)
        for heading in ("name", "state", "MB", "licence", "package", "sha256"):
            table.add_column(heading, overflow="fold")
        for line in lines:
            file = line.file
            state = Text(line.state, style=_STYLES[line.state])
            name = file.name + (f" (extra {file.extra})" if file.extra else "")
            table.add_row(name, state, f"{file.size / 1e6:.1f}", file.licence, file.requirement, file.sha256[:12])
        out = console()
        out.print(table)
        out.print(f"Folder: {clean(default_dir())}", soft_wrap=True)


@weights.command()
def fetch(
    names: Annotated[list[str] | None, typer.Argument(help="Models or files; none: all that need no extra.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")] = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks.")] = False,
) -> None:
    """Downloads weights with pip and verifies them; what is already here and right is left alone."""
    with guard(debug):
        from vau.weights import default_dir
        from vau.weights import fetch as fetch_files

        def tell(package: str, done: int, total: int) -> None:
            if package and not quiet:
                typer.echo(f"fetching {package} ({done + 1} of {total})", err=True)

        files = fetch_files(names or None, progress=tell)
        if not quiet:
            typer.echo(f"{len(files)} files ready in {clean(default_dir())}")
