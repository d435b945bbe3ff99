"""Where a model's server is and how to prove oneself to it: base URLs in every form that users paste, and API keys.

A key is kept out of every repr, message and log line. Addresses on loopback or a private network are fine here, since
the user names the server.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from vau.errors import ConfigError

_MAX_KEY_CHARS = 4096
_ENDPOINT = re.compile(r"/(chat/completions|completions|models)/?$")
_VERSION = re.compile(r"v\d")


@dataclass(frozen=True)
class Endpoint:
    """A server's address and key.

    Args:
        url: with or without ``/v1``, or the address of its chat endpoint; http or https.
        api_key: the key itself, empty where the server asks for none.

    Raises:
        ConfigError: the address or the key cannot be used.
    """

    url: str
    api_key: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url.strip())
        except ValueError as error:
            raise ConfigError(f"the address {_shown(self.url)!r} of the model's server is none: {error}") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or "\\" in self.url:
            raise ConfigError(
                f"the model's server needs an address such as http://localhost:8000/v1, got {_shown(self.url)!r}"
            )
        if parts.username is not None or parts.query or parts.fragment:
            raise ConfigError("the address of the model's server may hold no user name, password, query or fragment")
        try:
            _ = parts.port
        except ValueError as error:
            raise ConfigError(f"the port in {_shown(self.url)!r} is no port: {error}") from None
        if not self.api_key.isascii() or not self.api_key.isprintable() or " " in self.api_key:
            raise ConfigError("the API key holds a character that no key has: is it the right file?")
        path = _ENDPOINT.sub("", parts.path.rstrip("/"))
        if not any(_VERSION.match(step) for step in path.split("/")):
            path += "/v1"
        object.__setattr__(self, "url", f"{parts.scheme}://{parts.netloc}{path}")

    @classmethod
    def from_key_file(cls, url: str, path: Path) -> Endpoint:
        """Reads the key from a file that holds it alone on one line."""
        try:
            with path.open(encoding="utf-8") as file:
                key = file.read(_MAX_KEY_CHARS + 1).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"the API key cannot be read from {path}: {error}") from None
        if not key or len(key) > _MAX_KEY_CHARS or len(key.split()) > 1:
            raise ConfigError(f"{path} must hold an API key alone on one line")
        return cls(url, key)

    @property
    def api(self) -> str:
        """Address of the OpenAI-style endpoints, such as ``http://localhost:8000/v1``."""
        return self.url

    @property
    def root(self) -> str:
        """Address of the server's own endpoints, which vLLM keeps outside ``/v1``."""
        return self.url.removesuffix("/v1")

    def redact(self, text: str) -> str:
        """Returns text in which the key does not occur."""
        return text.replace(self.api_key, "***") if self.api_key else text


def _shown(url: str) -> str:
    """Returns an address without what may be a password in it."""
    return re.sub(r"//[^/@]*@", "//***@", url)[:200]
