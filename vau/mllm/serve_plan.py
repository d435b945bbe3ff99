"""The command line that starts a model's server: vLLM for GPUs, `transformers serve` where that is missing.

It starts nothing. The flags are those of vLLM 0.19 to 0.33 and of transformers 5.23, read in their sources. Pictures
always come as data URLs of frames that we decoded, so that the server is told to fetch none, as far as it can be told.
"""

from __future__ import annotations

import ipaddress
import json
import re
import shlex
import shutil
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

from vau.config import MllmConfig
from vau.errors import CheckpointError, ConfigError, MissingExtraError
from vau.mllm import strict_json
from vau.mllm.endpoint import Endpoint
from vau.mllm.open import is_evidence, local_model, reachable

Engine = Literal["vllm", "transformers"]
Dtype = Literal["auto", "bfloat16", "float16", "float32"]

FLOOR = (0, 19)  # of vLLM; releases before it have known holes
_NOWHERE = "media.invalid"  # a domain that cannot exist: an empty list of allowed ones would mean all
_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # of adapters, as vLLM takes them
_BITS = {"4bit": "bnb-4bit", "8bit": "bnb-8bit"}
_METHOD = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")
_NAME = re.compile(r"[\w][\w./@:+-]{0,199}")
_MAX_ADAPTER_CONFIG = 1_000_000


@dataclass(frozen=True)
class ServeOptions:
    """What to serve and how.

    Parameters that control what is served: `model` a folder or hub name; `adapter` the folder of a LoRA adapter;
    `name` under which clients ask for the model, empty: its own. Parameters that control where: `host`, `port`,
    `api_key_file`. Parameters that control memory: `context` in tokens, 0: what fits; `images` a prompt; `quantise`,
    a method of vLLM such as fp8, or 4bit and 8bit of transformers; `dtype`; `gpus` over which the model is split;
    `gpu_memory`, the share of each GPU's memory; `at_once`, requests at once, 0: the server's own. `executable` is
    the server's program where it is not found by itself, `extra` what is put behind its other arguments.
    """

    model: str
    engine: Engine = "vllm"
    adapter: Path | None = None
    name: str = ""
    host: str = "127.0.0.1"
    port: int = 8000
    api_key_file: Path | None = None
    context: int = 0
    images: int = 32
    quantise: str = ""
    dtype: Dtype = "auto"
    gpus: int = 1
    gpu_memory: float = 0.9
    at_once: int = 0
    executable: Path | None = None
    extra: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.engine not in get_args(Engine) or self.dtype not in get_args(Dtype):
            raise ConfigError(f"no engine {self.engine!r} or number format {self.dtype!r} is known")
        for name, value, least, most in (
            ("port", self.port, 1, 65_535),
            ("context", self.context, 0, 10_000_000),
            ("images", self.images, 1, 1024),
            ("gpus", self.gpus, 1, 1024),
            ("gpu_memory", self.gpu_memory, 0.05, 1.0),
            ("at_once", self.at_once, 0, 100_000),
        ):
            if not least <= value <= most:
                raise ConfigError(f"{name} must lie in [{least}, {most}], got {value!r}")
        if not re.fullmatch(r"[\w.:-]+", self.host):
            raise ConfigError(f"host must be an address or a name such as 127.0.0.1, got {self.host!r}")
        if self.name and not _NAME.fullmatch(self.name):
            raise ConfigError(f"name may have letters, digits and ./@:+-_, got {self.name!r}")


@dataclass(frozen=True)
class ServePlan:
    """What is started, and how clients reach it."""

    engine: Engine
    command: tuple[str, ...]
    environment: dict[str, str]  # added to that of this process; without the key
    url: str  # for clients on this machine, without /v1
    name: str  # the model's name at the server
    listed: bool  # whether the server has this model alone and lists it, so that clients need not name it
    api_key_file: Path | None = None
    api_key: str = field(default="", repr=False)

    def shell_line(self) -> str:
        """Returns the command as one would type it; the key is read out of its file then."""
        parts = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        if self.api_key_file is not None:
            parts.append(f'VLLM_API_KEY="$(cat {shlex.quote(str(self.api_key_file))})"')
        return " ".join([*parts, shlex.join(self.command)])

    def client_line(self) -> str:
        """Returns a `vau analyze` command that uses the server."""
        parts = ["vau", "analyze", "VIDEO", "--mllm", self.url]
        if not self.listed:
            parts += ["--set", f"mllm.name={self.name}"]
        if self.api_key_file is not None:
            parts += ["--set", f"mllm.api_key_file={self.api_key_file}"]
        return shlex.join(parts)


def plan(options: ServeOptions) -> ServePlan:
    """Returns what to start.

    Raises:
        ConfigError: the model's name, an option or the key's file cannot be used.
        CheckpointError: the adapter is none, or holds pickled weights.
        WeightsError: the model is not here and the hub cannot be reached.
    """
    source, here = _source(options.model)
    key = _key(options)
    client_host = _client_host(options.host)
    url = f"http://{f'[{client_host}]' if ':' in client_host else client_host}:{options.port}"
    environment = {"PYTHONUNBUFFERED": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    if here:
        environment["HF_HUB_OFFLINE"] = "1"
    if options.engine == "transformers":
        command = [_program(options, "transformers"), *_transformers_arguments(options, source), *options.extra]
        return ServePlan("transformers", tuple(command), environment, url, source, False)
    name = options.name or (Path(source).name if Path(source).is_dir() else source)
    adapter = None if options.adapter is None else _adapter(options.adapter)
    command = [_program(options, "vllm"), *_vllm_arguments(options, source, name, adapter), *options.extra]
    # Neither statistics nor, by a redirect, anything else goes out of the house.
    environment |= {"VLLM_NO_USAGE_STATS": "1", "VLLM_MEDIA_URL_ALLOW_REDIRECTS": "0"}
    asked = name if adapter is None else adapter[0]
    return ServePlan("vllm", tuple(command), environment, url, asked, adapter is None, options.api_key_file, key)


def check_program(planned: ServePlan) -> None:
    """Refuses a plan whose program is not on this machine.

    Raises:
        MissingExtraError: it is not; the message names what brings it.
        ConfigError: the program that was named does not exist.
    """
    program = planned.command[0]
    found = shutil.which(program)
    if found is None and program != planned.engine:
        raise ConfigError(f"{program} is no program that can be started; name the one of {planned.engine}")
    if planned.engine == "vllm" and found is None:
        # Its own pins of torch and transformers seldom fit those of another package, hence --executable.
        raise MissingExtraError(
            "vLLM, which is not found here (name its program by --executable, or use --engine transformers),", "gpu"
        )
    if planned.engine == "transformers":
        own = found is not None and Path(found).parent == Path(sys.executable).parent
        if found is None or (own and not all(map(find_spec, ("fastapi", "uvicorn", "openai")))):
            raise MissingExtraError("`vau serve --engine transformers`", "serve")


def is_loopback(host: str) -> bool:
    """Tells whether only this machine can reach a server that listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _source(model: str) -> tuple[str, bool]:
    """Returns the model as the server gets it, and whether it is all on this machine."""
    given = model.strip()
    config = MllmConfig(model=given) if given else None
    if config is None or is_evidence(config) or re.match(r"https?://", given, re.IGNORECASE):
        raise ConfigError(f"{model!r} is nothing to serve; name a model's folder or hub name, such as owner/name")
    wanted = reachable(local_model(config))
    # An absolute path: it can then not be taken for an option, and the server may have another folder.
    source = str(Path(wanted.model).resolve()) if Path(wanted.model).is_dir() else wanted.model
    return source, wanted.offline


def _vllm_arguments(options: ServeOptions, source: str, name: str, adapter: tuple[str, Path, int] | None) -> list[str]:
    arguments = ["serve", source, "--served-model-name", name, "--host", options.host, "--port", str(options.port)]
    arguments += ["--load-format", "safetensors"]  # never pickles
    arguments += ["--allowed-media-domains", _NOWHERE, "--allowed-origins", "[]"]
    arguments += ["--limit-mm-per-prompt", json.dumps({"image": options.images, "video": 0})]
    arguments += ["--max-model-len", str(options.context) if options.context else "auto"]
    arguments += ["--dtype", options.dtype, "--gpu-memory-utilization", f"{options.gpu_memory:g}"]
    if options.gpus > 1:
        arguments += ["--tensor-parallel-size", str(options.gpus)]
    if options.at_once:
        arguments += ["--max-num-seqs", str(options.at_once)]
    if options.quantise:
        if options.quantise in _BITS or not _METHOD.fullmatch(options.quantise):
            raise ConfigError(
                f"--quantise {options.quantise!r}: vLLM takes a method of its own, such as fp8; a model that is stored "
                "quantised needs none, and 4bit and 8bit are for --engine transformers"
            )
        arguments += ["--quantization", options.quantise]
    if adapter is not None:
        module = json.dumps({"name": adapter[0], "path": str(adapter[1])})
        arguments += ["--enable-lora", "--max-lora-rank", str(adapter[2]), "--lora-modules", module]
    return arguments


def _transformers_arguments(options: ServeOptions, source: str) -> list[str]:
    for given, what in (
        (options.adapter, "--adapter"),
        (options.name, "--name"),
        (options.api_key_file, "--api-key-file"),
        (options.context, "--context"),
        (options.at_once, "--at-once"),
        (options.gpus > 1, "--gpus"),
    ):
        if given:
            raise ConfigError(f"{what} is nothing that `transformers serve` can do; use vLLM for it")
    arguments = ["serve", source, "--host", options.host, "--port", str(options.port), "--dtype", options.dtype]
    if options.quantise:
        if options.quantise not in _BITS:
            raise ConfigError(f"--quantise {options.quantise!r}: transformers takes {' or '.join(_BITS)}")
        arguments += ["--quantization", _BITS[options.quantise]]
    return arguments


def _adapter(folder: Path) -> tuple[str, Path, int]:
    """Returns an adapter's name, its absolute path, and the least rank of vLLM's that takes it in."""
    path = folder.expanduser().resolve()
    if not (path / "adapter_model.safetensors").is_file():
        raise CheckpointError(f"{folder} is no adapter: it holds no adapter_model.safetensors; pickles are not served")
    try:
        with (path / "adapter_config.json").open(encoding="utf-8") as file:
            settings = strict_json.loads(file.read(_MAX_ADAPTER_CONFIG + 1), _MAX_ADAPTER_CONFIG)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder} is no adapter: its adapter_config.json cannot be read: {error}") from error
    rank = settings.get("r") if isinstance(settings, dict) else None
    taken = next((item for item in _RANKS if type(rank) is int and 1 <= rank <= item), None)
    if taken is None:
        raise CheckpointError(f"{folder}: vLLM takes adapters of rank 1 to {_RANKS[-1]}, got r = {rank!r}")
    if not _NAME.fullmatch(path.name):
        raise CheckpointError(f"the folder's name {path.name!r} cannot be a model's name; rename it")
    return path.name, path, taken


def _key(options: ServeOptions) -> str:
    if any(item.startswith("--api-key") for item in options.extra):
        raise ConfigError("a key among the arguments could be read by everybody on this machine: use --api-key-file")
    if options.api_key_file is None:
        return ""
    return Endpoint.from_key_file("http://localhost", options.api_key_file.expanduser()).api_key


def _client_host(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - what was asked for, not bound to here


def _program(options: ServeOptions, name: str) -> str:
    """Returns the program beside this Python, else the one on the path, else its bare name."""
    if options.executable is not None:
        return str(options.executable.expanduser())
    beside = Path(sys.executable).parent / name
    return str(beside) if shutil.which(beside) else shutil.which(name) or name
