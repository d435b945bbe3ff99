"""From the configuration to a model that can be asked: a server's client or a model loaded here, with kept replies.

It knows no prompt and asks nothing. The embedded narrator speaks of one report and sees no pictures, so that it is no
`Mllm` for prompts: `is_evidence` tells it apart, and whoever has a report builds it there.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import platformdirs

from vau.config import MllmConfig
from vau.errors import ConfigError, WeightsError
from vau.mllm.cache import CachedMllm, ReplyCache
from vau.mllm.endpoint import Endpoint
from vau.mllm.interface import Mllm
from vau.mllm.local_load import LocalModel
from vau.mllm.openai_client import OpenAiClient
from vau.mllm.prompts import Prompt

EVIDENCE = "evidence"
OFF = "off"  # as the name of the cache's file: no replies are kept

_URL = re.compile(r"https?://", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:/", re.IGNORECASE)
_HOST = re.compile(r"[\w.-]+:\d{1,5}(/.*)?$|\[[0-9a-fA-F:]+\]")  # an address without its scheme
# Owner and name as the hub allows them; a name without an owner is more likely a mistyped path.
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_HUB_S = 5.0  # to see whether the hub can be reached at all; its own client tries for half a minute


def is_evidence(config: MllmConfig) -> bool:
    """Tells whether the configuration names the embedded narrator, for which there is nothing to open."""
    return config.model == EVIDENCE


class OpenMllm:
    """A model with the file of its kept replies; any number of threads may use it, and whoever opened it closes it.

    Args:
        model: the model to ask.
        cache: where replies are kept, or None.
        origin: what tells this model from another of the same name, such as a server's address; part of the key under
            which replies are kept.
        close: ends the model's connections.
    """

    def __init__(
        self, model: Mllm, cache: ReplyCache | None = None, *, origin: str = "", close: Callable[[], None] | None = None
    ) -> None:
        self.model = model
        self.cache = cache
        self._origin = origin
        self._close = close

    def __repr__(self) -> str:
        return f"OpenMllm({self.model!r}, cached={self.cache is not None})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def name(self) -> str:
        """The model's name, as reports show it; a server that has one model alone is asked for it with the first use.

        Raises:
            MllmError: the server cannot be reached, or has several models.
        """
        return self.model.name

    def for_prompt(self, prompt: Prompt | str) -> Mllm:
        """Returns the model for the messages of one prompt, with kept replies where there is a cache.

        Args:
            prompt: a loaded prompt, or the tag that its replies are kept under, such as ``qa_video/1``.
        """
        if self.cache is None:
            return self.model
        tag = prompt.tag if isinstance(prompt, Prompt) else prompt
        return CachedMllm(self.model, self.cache, f"{tag} {self._origin}".rstrip())

    def close(self) -> None:
        """Ends calls under way, takes no more, and closes the cache."""
        if self._close is not None:
            self._close()
        if self.cache is not None:
            self.cache.close()


def open_mllm(config: MllmConfig) -> OpenMllm:
    """Opens the model that a configuration names; a server is not asked for anything yet, a local model is loaded.

    Args:
        config: any but that of the embedded narrator, see `is_evidence`.

    Raises:
        ConfigError: the model's name or address, a key, a certificate or an option cannot be used.
        CacheError: the cache's file cannot be used.
        MissingExtraError: a package for local models is not installed.
        WeightsError: there is no such model here, and the hub has none or cannot be reached.
        CheckpointError: the adapter is none.
    """
    if is_evidence(config):
        raise ValueError("the embedded narrator is built from a report, see vau.mllm.evidence")
    if _URL.match(config.model.strip()):
        client, origin = _client(config)
        return _with_cache(client, origin, config, client.close)
    wanted = reachable(local_model(config))
    from vau.mllm.local import LocalMllm  # torch comes with it

    return _with_cache(LocalMllm(wanted, timeout_s=config.timeout_s), _origin(wanted), config)


def local_model(config: MllmConfig) -> LocalModel:
    """Returns which model to load here and how; nothing is loaded and the hub is not asked.

    Raises:
        ConfigError: the name is neither that of a folder with a model nor one that the hub could have.
    """
    name = config.model.strip()
    folder = Path(name).expanduser()
    adapter = Path(config.adapter).expanduser() if config.adapter else None
    offline = False
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ConfigError(f"mllm.model: the folder {name!r} holds no model of transformers (no config.json)")
        name, offline = str(folder), True
    else:
        _check_hub_name(name, folder)
    match config.precision:
        case "8bit" | "4bit" as bits:
            return LocalModel(name, adapter, quantisation=bits, offline=offline)
        case precision:
            return LocalModel(name, adapter, precision=precision, offline=offline)


def default_cache() -> Path:
    """Returns the file of kept replies in the user's cache folder; it need not exist yet."""
    return Path(platformdirs.user_cache_dir("vau")) / "replies.sqlite"


def _client(config: MllmConfig) -> tuple[OpenAiClient, str]:
    if config.adapter:
        raise ConfigError(
            f"mllm.adapter {config.adapter!r} is for a model that is loaded here; a server loads its own, such as by "
            "`vau serve --adapter`, and mllm.name chooses it"
        )
    url = config.model.strip()
    key_file = Path(config.api_key_file).expanduser() if config.api_key_file else None
    endpoint = Endpoint(url) if key_file is None else Endpoint.from_key_file(url, key_file)
    ca_file = Path(config.ca_file).expanduser() if config.ca_file else None
    return OpenAiClient(endpoint, config.name, timeout_s=config.timeout_s, ca_file=ca_file), endpoint.api


def _with_cache(model: Mllm, origin: str, config: MllmConfig, close: Callable[[], None] | None = None) -> OpenMllm:
    try:
        cache = None if config.cache == OFF else ReplyCache(_cache_file(config))
    except BaseException:
        if close is not None:
            close()
        raise
    return OpenMllm(model, cache, origin=origin, close=close)


def _cache_file(config: MllmConfig) -> Path:
    return Path(config.cache).expanduser() if config.cache else default_cache()


def _check_hub_name(name: str, path: Path) -> None:
    """Refuses what is no folder and can be no model of the hub either, with the reason that fits best."""
    wrong = f"mllm.model {name[:200]!r}"
    if _SCHEME.match(name):
        raise ConfigError(f"{wrong}: a server's address begins with http:// or https://")
    if _HOST.match(name):
        raise ConfigError(f"{wrong}: write the address of a server with its scheme, such as http://{name[:200]}")
    if path.is_file():
        raise ConfigError(
            f"{wrong} is a file; give the folder of a model with safetensors weights, or the address of a server that "
            "runs it"
        )
    if not _HUB_NAME.fullmatch(name) or ".." in name or "--" in name:
        raise ConfigError(
            f"{wrong}: there is no such folder, and a model of the hub is written owner/name; or write {EVIDENCE} for "
            "the embedded narrator, or a server's address such as http://localhost:8000"
        )
    if path.parent.is_dir():
        raise ConfigError(f"{wrong}: the folder {path.parent} is here, but holds no folder {path.name}")


def reachable(wanted: LocalModel) -> LocalModel:
    """Returns a model that can be loaded without long tries: from the hub's cache here where the hub is out of reach.

    Raises:
        WeightsError: the model would have to come from a hub that cannot be reached.
    """
    if wanted.offline or find_spec("huggingface_hub") is None:
        return wanted
    from huggingface_hub import constants

    try:
        if not constants.HF_HUB_OFFLINE:
            httpx.head(constants.ENDPOINT, timeout=_HUB_S)
            return wanted
        reason = "it is set to be offline"
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        reason = str(error) or type(error).__name__
    if _commit(wanted.model):
        return replace(wanted, offline=True)
    raise WeightsError(
        f"the model {wanted.model!r} is not on this machine and the hub {constants.ENDPOINT} cannot be reached "
        f"({reason}): give the folder of a model, the address of a server, or {EVIDENCE}"
    )


def _commit(name: str) -> str:
    """Returns the commit of a hub model that is in the hub's cache here; empty where none is."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "config.json")
    return Path(found).parent.name if isinstance(found, str) else ""


def _origin(wanted: LocalModel) -> str:
    """Returns a digest of which files a loaded model comes from: one that is trained anew keeps no old replies."""
    parts = [wanted.name]
    for folder in (Path(wanted.model), wanted.adapter):
        if folder is not None and folder.is_dir():
            parts.append(str(folder.resolve()))
            states = ((file.name, file.stat()) for file in sorted(folder.iterdir()) if file.is_file())
            parts += [f"{name} {state.st_size} {state.st_mtime_ns}" for name, state in states]
        elif folder is not None:
            parts.append(_commit(str(folder)))
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:16]
