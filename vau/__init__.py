"""`vau`: video anomaly understanding, from pixels to a causal account that can be checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vau.config import Config
    from vau.pipeline import analyze
    from vau.types import Report

__version__ = "0.1.0"
__all__ = ["Config", "Report", "__version__", "analyze"]


def __getattr__(name: str) -> Any:
    """Imports the public names on first use, so that `import vau` stays fast."""
    if name == "Config":
        from vau.config import Config

        return Config
    if name == "analyze":
        from vau.pipeline import analyze

        return analyze
    if name == "Report":
        from vau.types import Report

        return Report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
