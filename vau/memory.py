"""Gives freed memory back to the operating system.

The C library keeps what models have freed for later, some hundred megabytes that an hour of video then needs beside it.
"""

from __future__ import annotations

import ctypes
import gc


def give_back() -> None:
    """Frees what nobody refers to and returns it to the system, as far as the C library can."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)  # glibc
    except (AttributeError, OSError, TypeError):
        return
