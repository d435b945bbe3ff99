"""Makes ``python -m vau`` the same as the ``vau`` command."""

from __future__ import annotations

from vau.cli import main

if __name__ == "__main__":
    main()
