"""Measures how fast trained networks score a long video, and that their memory does not grow with its length.

    python -m benchmarks.scorer_speed [--hours H] [--threads N] [--dimensions D] [--head NAME ...] [--json OUT]

Features are random, D 512 or as told, at 4 a second, so an hour is 14,400 snippets; weights and the fourteen class
texts are random too: none of it matters for time. What runs is what a checkpoint runs, scaling of features and cutting
into chunks included. Every network runs in a process of its own. Its memory is the growth of the peak from before the
first pass, without the features, for the whole and for a quarter of the video. Processor seconds count all threads:
where the machine is busy, their number over that of the cores is the better estimate of the time.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import torch

from benchmarks.common import machine, options_of, print_table, watched, write_json
from vau.scoring.head_model import HeadModel
from vau.scoring.heads.base import Head
from vau.scoring.heads.gs_moe import GsMoeHead
from vau.scoring.heads.lagovad import LaGoVad
from vau.scoring.heads.sultani import SultaniHead
from vau.scoring.heads.ur_dmu import UrDmuHead
from vau.scoring.heads.vadclip import VadClip

RATE = 4  # snippets a second
_TEXTS, _TEXT_SIZE = 14, 512  # normal and thirteen classes, as CLIP embeds them
_SMALL = {"width": 64, "layers": 1, "head_width": 32, "classifier_width": 64}
_SMALL_GATE = {"expert_hidden": 64, "expert_sizes": (64,), "gate_heads": 2, "gate_hidden": 128, "gate_sizes": (64,)}

HEADS: dict[str, Callable[[int], Head]] = {
    "Sultani, published sizes": lambda dim: SultaniHead(input_size=dim),
    "UR-DMU, published sizes": lambda dim: UrDmuHead(input_size=dim),
    "UR-DMU, small": lambda dim: UrDmuHead(input_size=dim, **_SMALL),
    "VadCLIP, published sizes": lambda dim: VadClip(dim=dim, text_dim=_TEXT_SIZE),
    "LaGoVAD, published sizes": lambda dim: LaGoVad(dim=dim, text_dim=_TEXT_SIZE),
    "LaGoVAD, as trained here": lambda dim: LaGoVad(dim=dim, text_dim=_TEXT_SIZE, width=256, matched=True),
    "GS-MoE, 13 experts, published sizes": lambda dim: GsMoeHead(classes=13, base={"input_size": dim}),
    "GS-MoE, 13 experts, small": lambda dim: GsMoeHead(classes=13, base={"input_size": dim, **_SMALL}, **_SMALL_GATE),
}


def measure(name: str, snippets: int, dimensions: int, threads: int) -> dict[str, float]:
    """Scores a video of that many snippets; returns seconds, processor seconds, MiB of growth, and parameters."""
    torch.set_num_threads(threads)
    generator = np.random.default_rng(0)
    head = HEADS[name](dimensions)
    texts = generator.standard_normal((_TEXTS, _TEXT_SIZE), dtype=np.float32)
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    model = HeadModel(head, np.zeros(dimensions), np.ones(dimensions), (dimensions,), texts)
    features = generator.standard_normal((snippets, dimensions), dtype=np.float32)
    model.logits(features[:64])  # libraries load their code once
    before, start, spent = _peak_mib(), time.perf_counter(), time.process_time()
    scores = model.logits(features)
    return {
        "seconds": time.perf_counter() - start,
        "processor_seconds": time.process_time() - spent,
        "growth_mib": _peak_mib() - before,
        "million_parameters": sum(p.numel() for p in head.parameters()) / 1e6,
        "scored": len(scores),
    }


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts in KiB


def main() -> None:
    """Measures every head and prints the table."""
    options = options_of(
        __doc__,
        ("--hours", {"type": float, "default": 1.0, "help": "length of the video"}),
        ("--threads", {"type": int, "default": 1, "help": "processor threads"}),
        ("--dimensions", {"type": int, "default": 512, "help": "of a feature"}),
        ("--head", {"nargs": "+", "choices": list(HEADS), "default": list(HEADS), "help": "networks"}),
    )
    notes, snippets = machine(), round(options.hours * 3600 * RATE)
    found = {
        name: [_apart(name, length, options.dimensions, options.threads) for length in (snippets, snippets // 4)]
        for name in watched(options.head, "Scoring")
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
    write_json(options.json, {"machine": notes, "options": vars(options), "heads": found})


def _apart(name: str, snippets: int, dimensions: int, threads: int) -> dict[str, float]:
    """Runs `measure` in a fresh process, so that peaks of memory do not mix."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, name, snippets, dimensions, threads).result()


if __name__ == "__main__":
    main()
