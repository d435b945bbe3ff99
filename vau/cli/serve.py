"""`vau serve`: runs a multimodal language model behind an OpenAI-compatible server, for `--mllm` of other commands."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from vau.cli.failures import guard
from vau.cli.progress import waiting
from vau.cli.show import clean, console
from vau.cli.work import log_to_stderr


class EngineName(StrEnum):
    """What serves."""

    vllm = "vllm"
    transformers = "transformers"


class DtypeName(StrEnum):
    """Number formats."""

    auto = "auto"
    bfloat16 = "bfloat16"
    float16 = "float16"
    float32 = "float32"


def serve(
    model: Annotated[str, typer.Argument(help="A model's folder, or its hub name such as owner/name.")],
    extra: Annotated[
        list[str] | None, typer.Argument(metavar="[-- SERVER OPTIONS]", help="Put behind the server's own arguments.")
    ] = None,
    engine: Annotated[EngineName, typer.Option(help="transformers is slow, but needs no GPU.")] = EngineName.vllm,
    host: Annotated[str, typer.Option(help="Address to listen at; the default lets in this machine alone.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="Port to listen at.")] = 8000,
    api_key_file: Annotated[
        Path | None, typer.Option(help="File with a key that clients must show, alone on one line (vLLM).")
    ] = None,
    name: Annotated[str, typer.Option(help="The model's name for clients; empty: its own (vLLM).")] = "",
    adapter: Annotated[Path | None, typer.Option(metavar="FOLDER", help="A LoRA adapter to serve too (vLLM).")] = None,
    context: Annotated[int, typer.Option(help="Longest prompt and reply in tokens; 0: what fits (vLLM).")] = 0,
    images: Annotated[int, typer.Option(help="Most pictures a prompt (vLLM).")] = 32,
    quantise: Annotated[
        str, typer.Option(help="fp8 or another method of vLLM; 4bit or 8bit with transformers; empty: as stored.")
    ] = "",
    dtype: Annotated[DtypeName, typer.Option(help="Number format of the weights.")] = DtypeName.auto,
    gpus: Annotated[int, typer.Option(help="GPUs that share the model, tensor parallel (vLLM).")] = 1,
    gpu_memory: Annotated[float, typer.Option(help="Share of each GPU's memory to take (vLLM).")] = 0.9,
    at_once: Annotated[int, typer.Option(help="Most requests at once; 0: the server's default (vLLM).")] = 0,
    executable: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The server's program, where it is not found by itself.")
    ] = None,
    ready_s: Annotated[float, typer.Option(min=1.0, help="Seconds until the server must be ready.")] = 1800.0,
    show: Annotated[bool, typer.Option("--print", help="Print the command and start nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Leave out what the server writes.")] = False,
    debug: Annotated[bool, typer.Option(help="Show tracebacks and log messages.")] = False,
) -> None:
    """Starts a model's server, waits until it is ready, and says how to use it; Ctrl-C ends it.

    It listens to this machine alone, unless told otherwise. vLLM is started so that it fetches no address that a
    request names and loads no pickled weights. `transformers serve` cannot be kept from either, nor from loading other
    models on request, and has no key: it is for this machine and people whom you trust.
    """
    with guard(debug):
        log_to_stderr(debug)
        from vau.mllm.serve import Server
        from vau.mllm.serve_plan import ServeOptions, is_loopback, plan

        planned = plan(
            ServeOptions(
                model=model,
                engine=engine.value,
                adapter=adapter,
                name=name,
                host=host,
                port=port,
                api_key_file=api_key_file,
                context=context,
                images=images,
                quantise=quantise,
                dtype=dtype.value,
                gpus=gpus,
                gpu_memory=gpu_memory,
                at_once=at_once,
                executable=executable,
                extra=tuple(extra or ()),
            )
        )
        if show:
            typer.echo(planned.shell_line())
            return
        if not is_loopback(host):
            _warn(f"{clean(host)} lets other machines in", authenticated=planned.api_key_file is not None)
        with _ended_by_signals(), Server(planned, host, port, None if quiet else _log) as server:
            try:
                with waiting("starting", quiet=not quiet):
                    server.wait_ready(ready_s)
                out = console()
                out.print(f"Ready: {planned.url}  (model {clean(planned.name)})", soft_wrap=True)
                out.print(f"Use it: {clean(planned.client_line())}", soft_wrap=True)
                server.wait()
            except Exception:
                if quiet:  # else they have been seen
                    for line in server.last_lines:
                        _log(line)
                raise


def _warn(what: str, authenticated: bool) -> None:
    lock = "only the key protects it" if authenticated else "and there is no authentication: anybody there can use it"
    typer.echo(f"warning: {what}, {lock}; requests and pictures go unencrypted", err=True)


def _log(line: str) -> None:
    typer.echo(f"| {line}", err=True)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Lets a request to end, such as that of a service manager or of a closed terminal, end the server in order."""

    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
