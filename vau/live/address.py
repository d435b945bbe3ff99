"""What may be watched, and how its address is shown: passwords and queries never reach a message, a log or a file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import certifi

from vau.errors import InputError

# FFmpeg may use these protocols and no other, whatever a server sends or redirects to.
_PROTOCOLS = {
    "rtsp": "rtsp,rtp,rtcp,udp,tcp",
    "rtsps": "rtsps,rtsp,rtp,srtp,rtcp,udp,tcp,tls,crypto",
    "http": "http,tcp",
    "https": "https,tls,tcp,crypto",
}
# Self-contained streams: no playlists, which name further addresses to be opened.
_DEMUXERS = "rtsp,rtp,sdp,mpegts,mov,matroska,flv,avi,ogg,asf,mpeg,h264,hevc,mpjpeg"
_SCHEME = re.compile(r"\s*([a-z][a-z0-9+.-]*):/", re.IGNORECASE)
_HIDDEN = "***"


@dataclass(frozen=True)
class Address:
    """A file or a stream.

    Args:
        text: a path, or an address that begins with rtsp, rtsps, http or https.

    Raises:
        InputError: another scheme, no usable host or port, a control character, or nothing at all.
    """

    text: str = field(repr=False)
    shown: str = field(init=False)  # for messages, logs and files: without what is secret

    def __post_init__(self) -> None:
        object.__setattr__(self, "shown", masked(self.text))
        if not self.text.isprintable() or not self.text.strip():
            raise InputError(f"{self.shown!r}: an address is not blank and holds no control characters")
        found = _SCHEME.match(self.text)
        if found is None:
            return
        if found[1].lower() not in _PROTOCOLS:
            raise InputError(
                f"{self.shown!r}: streams are watched by {', '.join(_PROTOCOLS)}; give a file by its path alone"
            )
        try:
            parts = urlsplit(self.text.strip())
            usable = bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            raise InputError(f"{self.shown!r}: no usable address, such as rtsp://192.168.1.20:554/stream1")

    @property
    def path(self) -> Path | None:
        """The file; None where it is a stream."""
        return None if _SCHEME.match(self.text) else Path(self.text)

    @property
    def encrypted(self) -> bool:
        """Whether it is a stream over TLS."""
        return urlsplit(self.text.strip()).scheme.lower() in ("rtsps", "https")

    def options(self, ca_file: Path | None = None) -> dict[str, str]:
        """Returns FFmpeg's options for a stream: which protocols and containers it may use, and how it connects.

        Args:
            ca_file: certificates to trust instead of the public authorities', PEM, such as the camera's own.
        """
        scheme = urlsplit(self.text.strip()).scheme.lower()
        options = {"protocol_whitelist": _PROTOCOLS[scheme], "format_whitelist": _DEMUXERS}
        if scheme.startswith("rtsp"):
            options["rtsp_transport"] = "tcp"  # what is lost on the way would be seen as motion
        else:
            options["max_redirects"] = "0"  # the user named this host and no other
        if self.encrypted:  # FFmpeg trusts everyone unless it is told not to
            options |= {"tls_verify": "1", "ca_file": certifi.where() if ca_file is None else str(ca_file)}
        return options


def masked(text: str) -> str:
    """Returns an address without its user, password, query and fragment; a path as it is."""
    if not _SCHEME.match(text):
        return text
    scheme = text.strip().partition(":")[0]
    try:
        parts = urlsplit(text.strip())
    except ValueError:
        return f"{scheme}://{_HIDDEN}"
    if "@" in parts.path + parts.query + parts.fragment:
        return f"{scheme}://{_HIDDEN}"  # a password with a slash or a question mark in it, which hides the host
    user, _, host = parts.netloc.rpartition("@")
    hidden = [_HIDDEN if part else "" for part in (parts.query, parts.fragment)]
    return urlunsplit((parts.scheme, f"{_HIDDEN}@{host}" if user else host, parts.path, *hidden))
