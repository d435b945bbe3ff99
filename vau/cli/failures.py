"""Turns exceptions into one line on standard error and an exit code, in one place for all commands.

Knows nothing of the commands. An exception that nobody raised on purpose is a failure with code 1, never a success.
"""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType

import typer

from vau.cli.show import clean
from vau.errors import VauError

UNEXPECTED, BAD_INPUT, MISSING, INTERRUPTED = 1, 2, 3, 130
PIPE_CLOSED = 141  # as a shell reports a program that SIGPIPE ended
SYSTEM_LIBRARIES = "apt-get install libgl1 libglib2.0-0"
_LIBRARY_MARKS = ("libGL", "libgthread", "libglib", "cannot open shared object file")


@dataclass(frozen=True)
class Failure:
    """What went wrong, in one line, and the exit code it stands for."""

    message: str
    exit_code: int


def describe(error: BaseException) -> Failure | None:
    """Returns the failure that an exception stands for; None for those that steer the program, such as an exit."""
    if isinstance(error, VauError):
        return Failure(clean(str(error)), error.exit_code)
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return Failure("interrupted", INTERRUPTED)
    # The command line's own exits and usage errors pass.
    if not isinstance(error, Exception) or isinstance(error, typer.Exit | typer.BadParameter):
        return None
    if isinstance(error, ImportError) and any(mark in str(error) for mark in _LIBRARY_MARKS):
        return Failure(f"a system library is missing ({clean(str(error))}); run: {SYSTEM_LIBRARIES}", MISSING)
    if isinstance(error, ModuleNotFoundError):
        name = clean(error.name or str(error))
        return Failure(f"the Python package {name} is missing; run: pip install vau", MISSING)
    if isinstance(error, MemoryError):
        return Failure("out of memory; try a smaller video.max_side", UNEXPECTED)
    if isinstance(error, OSError) and error.filename is not None:
        return Failure(f"{clean(str(error.filename))}: {error.strerror}", UNEXPECTED)
    return Failure(f"unexpected {type(error).__name__}: {clean(str(error))[:500]} (--debug shows where)", UNEXPECTED)


class Attempt(AbstractContextManager["Attempt"]):
    """A block whose failure is kept in `failure` instead of leaving it; an interrupt always leaves.

    This is where a run over many videos goes on after one of them failed.
    """

    def __init__(self, debug: bool = False) -> None:
        self.debug = debug
        self.failure: Failure | None = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None or isinstance(error, BrokenPipeError) or not isinstance(error, Exception):
            return False
        self.failure = describe(error)
        if self.failure is not None and self.debug:
            traceback.print_exception(error)
        return self.failure is not None


class guard(AbstractContextManager[None]):
    """A command's body: a failure is printed as ``error: ...`` and the command leaves with its exit code."""

    def __init__(self, debug: bool = False) -> None:
        self.debug = debug

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            return
        if isinstance(error, BrokenPipeError):
            _silence_stdout()
            raise typer.Exit(PIPE_CLOSED) from None
        failure = describe(error)
        if failure is None:
            return
        if self.debug:
            traceback.print_exception(error)
        typer.echo(f"error: {failure.message}", err=True)
        raise typer.Exit(failure.exit_code) from None


def _silence_stdout() -> None:
    """Sends what is still buffered nowhere, so that the interpreter does not fail on the closed pipe at its end."""
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, sys.stdout.fileno())
    os.close(sink)
