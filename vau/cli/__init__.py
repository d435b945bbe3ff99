"""The command line: `vau analyze | ask | demo | doctor | eval | train | weights`; `main` is the installed command."""

from vau.cli.app import app, main

__all__ = ["app", "main"]
