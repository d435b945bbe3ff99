"""Progress of long work on standard error: one bar a stage, with the time left. Silent where nobody watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

from vau.cli.show import clean, console

Report = Callable[[str, float], None]  # stage, fraction done in [0, 1]


@contextmanager
def stages(title: str, quiet: bool) -> Iterator[Report | None]:
    """Yields a callback that draws one bar for each stage; None where standard error is no terminal, or if quiet."""
    screen = console(stderr=True)
    if quiet or not screen.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=screen, transient=True) as bars:
        screen.print(clean(title), style="bold")
        tasks: dict[str, TaskID] = {}

        def advance(stage: str, fraction: float) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(clean(stage), total=1.0)
            bars.update(tasks[stage], completed=min(max(fraction, 0.0), 1.0))

        yield advance


@contextmanager
def waiting(title: str, quiet: bool) -> Iterator[None]:
    """Shows that work of unknown length goes on, where somebody watches."""
    screen = console(stderr=True)
    if quiet or not screen.is_terminal:
        yield
        return
    with screen.status(clean(title)):
        yield
