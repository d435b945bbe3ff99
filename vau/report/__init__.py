"""All that is written about a video: JSON, one HTML page, subtitles and tables.

Each name is imported on first use, so that reading a report's JSON does not load the template engine.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vau.report.bundle import write_all
    from vau.report.document import from_dict, read_json, to_dict, write_json
    from vau.report.html import render_html, write_html
    from vau.report.subtitles import write_srt, write_vtt

__all__ = [
    "from_dict",
    "read_json",
    "render_html",
    "to_dict",
    "write_all",
    "write_html",
    "write_json",
    "write_srt",
    "write_vtt",
]

_HOMES = {
    "from_dict": "document",
    "read_json": "document",
    "render_html": "html",
    "to_dict": "document",
    "write_all": "bundle",
    "write_html": "html",
    "write_json": "document",
    "write_srt": "subtitles",
    "write_vtt": "subtitles",
}


def __getattr__(name: str) -> Any:
    """Imports a public name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"vau.report.{_HOMES[name]}"), name)
