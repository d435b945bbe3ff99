"""Measures how fast trained score heads read a long video, and that their memory does not grow with its length.

    python -m benchmarks.scorer_speed [--hours H] [--threads N] [--json OUT]

Features are random, D 512 at 4 a second, so an hour is 14,400 snippets. Weights are random too: neither matters for
time. A head whose cost is quadratic sees `head.chunk` snippets at a time. Every head runs in a process of its own; its
memory is the growth of the peak from before the first pass, for the whole and for a quarter of the video.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch

from benchmarks.common import machine, options_of, print_table, watched, write_json
from vau.scoring.heads.base import Head
from vau.scoring.heads.gs_moe import GsMoeHead
from vau.scoring.heads.sultani import SultaniHead
from vau.scoring.heads.ur_dmu import UrDmuHead

DIMENSIONS = 512
RATE = 4  # snippets a second
_WHOLE = 4096  # snippets at a time for heads that do not say: their cost is linear
_SMALL = {"width": 64, "layers": 1, "head_width": 32, "classifier_width": 64}
_SMALL_GATE = {"expert_hidden": 64, "expert_sizes": (64,), "gate_heads": 2, "gate_hidden": 128, "gate_sizes": (64,)}

HEADS: dict[str, Callable[[], Head]] = {
    "Sultani, published sizes": lambda: SultaniHead(input_size=DIMENSIONS),
    "UR-DMU, published sizes": lambda: UrDmuHead(input_size=DIMENSIONS),
    "UR-DMU, small": lambda: UrDmuHead(input_size=DIMENSIONS, **_SMALL),
    "GS-MoE, 13 experts, published sizes": lambda: GsMoeHead(classes=13, base={"input_size": DIMENSIONS}),
    "GS-MoE, 13 experts, small": lambda: GsMoeHead(
        classes=13, base={"input_size": DIMENSIONS, **_SMALL}, **_SMALL_GATE
    ),
}


def measure(name: str, snippets: int, threads: int) -> dict[str, float]:
    """Scores a video of that many snippets; returns seconds, processor seconds, MiB of growth, and parameters."""
    torch.set_num_threads(threads)
    head = HEADS[name]().eval()
    chunk = head.chunk or _WHOLE
    features = torch.randn(snippets, DIMENSIONS)
    with torch.no_grad():
        _pass(head, features[:64], chunk)  # libraries load their code once
        before, start, spent = _peak_mib(), time.perf_counter(), time.process_time()
        scores = _pass(head, features, chunk)
    return {
        "seconds": time.perf_counter() - start,
        "processor_seconds": time.process_time() - spent,
        "growth_mib": _peak_mib() - before,
        "million_parameters": sum(p.numel() for p in head.parameters()) / 1e6,
        "scored": len(scores),
    }


def _pass(head: Head, features: torch.Tensor, chunk: int) -> torch.Tensor:
    parts = [head(part[None], torch.ones(1, len(part), dtype=torch.bool)).logits[0] for part in features.split(chunk)]
    return torch.cat(parts)


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts in KiB


def main() -> None:
    """Measures every head and prints the table."""
    options = options_of(
        __doc__,
        ("--hours", {"type": float, "default": 1.0, "help": "length of the video"}),
        ("--threads", {"type": int, "default": 1, "help": "processor threads"}),
    )
    notes, snippets = machine(), round(options.hours * 3600 * RATE)
    found = {
        name: [_apart(name, length, options.threads) for length in (snippets, snippets // 4)]
        for name in watched(list(HEADS), "Scoring")
    }
    print_table(
        ("head", "parameters", f"seconds for {options.hours:g} h", "processor s", "growth of memory", "for a quarter"),
        (
            (
                name,
                f"{whole['million_parameters']:.2f} M",
                f"{whole['seconds']:.2f}",
                f"{whole['processor_seconds']:.2f}",
                f"{whole['growth_mib']:.0f} MiB",
                f"{quarter['growth_mib']:.0f} MiB",
            )
            for name, (whole, quarter) in found.items()
        ),
    )
    write_json(options.json, {"machine": notes, "hours": options.hours, "threads": options.threads, "heads": found})


def _apart(name: str, snippets: int, threads: int) -> dict[str, float]:
    """Runs `measure` in a fresh process, so that peaks of memory do not mix."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, name, snippets, threads).result()


if __name__ == "__main__":
    main()
