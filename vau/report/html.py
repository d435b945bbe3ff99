"""The report as one self-contained HTML page that works offline and asks the network for nothing.

Security: Jinja2 escapes every text; a content security policy allows exactly one script, by its hash; data for that
script is JSON in an inert block with every `<`, `>` and `&` escaped.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from vau.errors import ReportError
from vau.report import view
from vau.report.files import write_text
from vau.types import Report

TEMPLATE = "report.html.j2"


def render_html(report: Report, *, video_href: str | None = None, licences: Mapping[str, str] | None = None) -> str:
    """Returns the page.

    Args:
        report: what to show.
        video_href: path of the video file relative to the page, to be played in it; None shows keyframes only.
        licences: licence of each model, by the model's name in `report.models`.

    Raises:
        ReportError: `video_href` is absolute or names another host.
    """
    content = view.build(report, None if video_href is None else relative_href(video_href), licences or {})
    style, script = _asset("report.css"), _asset("report.js")
    return _template().render(
        **content,
        style=Markup(style),  # noqa: S704 - our own file, holds no data
        script=Markup(script),  # noqa: S704
        policy=policy(script),
        data_json=inert_json(content["data"]),
    )


def write_html(
    report: Report, path: Path, *, video_href: str | None = None, licences: Mapping[str, str] | None = None
) -> Path:
    """Writes the page atomically, as `render_html` makes it; returns the path."""
    return write_text(render_html(report, video_href=video_href, licences=licences), path)


def policy(script: str) -> str:
    """Returns the content security policy that lets only this script run."""
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    return (
        "default-src 'none'; img-src data: blob:; media-src 'self' data: blob: file:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def inert_json(data: object) -> Markup:
    """Returns JSON that no HTML parser can mistake for markup."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))  # noqa: S704


def relative_href(path: str) -> str:
    """Returns a relative path as an address, quoted, so that no part of it can be read as a scheme, query or host.

    Raises:
        ReportError: the path is empty or absolute.
    """
    if not path or path.startswith(("/", "\\")) or "\x00" in path:
        raise ReportError(f"video_href must be a path relative to the report, got {path[:200]!r}")
    address = quote(path, safe="/", errors="surrogateescape")
    return address if address.startswith(("./", "../")) else f"./{address}"


def _asset(name: str) -> str:
    return files("vau.report").joinpath("templates", name).read_text(encoding="utf-8").replace("\r\n", "\n")


@cache
def _template() -> jinja2.Template:
    environment: jinja2.Environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals.update(_helpers())
    return environment.get_template(TEMPLATE)


def _helpers() -> dict[str, Any]:
    from vau import __version__
    from vau.report.text import clock

    return {"vau_version": __version__, "clock": clock}
