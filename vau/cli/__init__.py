"""The command line, `vau analyze | ask | data | demo | doctor | eval | serve | train | weights`; `main` starts it."""

from vau.cli.app import app, main

__all__ = ["app", "main"]
