"""Load time, speed and peak memory of a local multimodal model, in float32, bfloat16, 8 and 4 bits.

`python -m benchmarks.local_mllm FOLDER`. Each way of holding the weights is measured in a child process of its own, so
that its peak memory is its own too; what cannot be loaded is named with the reason. The pictures are drawn scenes, the
same for all; what the model says of them is not looked at.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

import cv2

from benchmarks.common import machine, options_of, print_table, watched, write_json

_WAYS: dict[str, dict[str, str]] = {
    "float32": {"precision": "float32"},
    "bfloat16": {"precision": "bfloat16"},
    "8bit": {"quantisation": "8bit"},
    "4bit": {"quantisation": "4bit"},
}
_CANDIDATES = ("yes", "no")
_RUNS = 3  # the first one warms up and does not count
_COLUMNS = {
    "load_s": "load, s",
    "prompt_tokens": "prompt, tokens",
    "likelihood_s": "2 candidates, s",
    "tokens": "written, tokens",
    "tokens_per_s": "tokens/s",
    "peak_mib": "peak memory, MiB",
    "peak_gpu_mib": "of the GPU, MiB",
}


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Loads a model one way and measures it; the best of the runs counts."""
    import torch

    from vau.mllm.interface import Message, Sampling, TimedFrame
    from vau.mllm.local import LocalMllm
    from vau.mllm.local_load import LocalModel
    from vau.training.simulate.scene import simulate

    if options.threads:
        torch.set_num_threads(options.threads)
    size = (options.width, options.width * 2 // 3)
    batch = next(simulate("fall", 0, rate=4.0, size=size).frames(options.pictures))
    jpegs = [cv2.imencode(".jpg", image[..., ::-1])[1].tobytes() for image in batch.images]
    frames = [TimedFrame(jpeg, float(time_s)) for jpeg, time_s in zip(jpegs, batch.times_s, strict=True)]
    asked = (Message.of("user", *frames, "What happens in the video?"),)
    begun = time.perf_counter()
    model = LocalMllm(LocalModel(options.model, device=options.device, offline=True, **_WAYS[options.only]))
    load_s = time.perf_counter() - begun
    rates, scored = [], []
    for _ in range(_RUNS):
        begun = time.perf_counter()
        model.likelihood(asked, _CANDIDATES)
        scored.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        reply = model.generate(asked, sampling=Sampling(max_tokens=options.tokens))
        rates.append((reply.usage.completion_tokens / (time.perf_counter() - begun), reply))
    rate, reply = max(rates[1:], key=lambda pair: pair[0])
    figures = {
        "load_s": load_s,
        "prompt_tokens": reply.usage.prompt_tokens,
        "likelihood_s": min(scored[1:]),
        "tokens": reply.usage.completion_tokens,
        "tokens_per_s": rate,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,  # Linux counts in KiB
    }
    if torch.cuda.is_available() and not options.device.startswith("cpu"):
        figures["peak_gpu_mib"] = torch.cuda.max_memory_allocated() / 2**20
    return figures


def child(way: str, arguments: list[str]) -> dict[str, float] | str:
    """Measures one way in a child process; returns its figures, or why there are none."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.local_mllm", *arguments, "--only", way]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    if not lines:
        return f"ended with code {done.returncode} and said nothing"
    figures: dict[str, float] | str = json.loads(lines[-1]) if done.returncode == 0 else lines[-1]
    return figures


def _cells(figures: dict[str, float] | str) -> list[Any]:
    if isinstance(figures, str):
        return [None] * len(_COLUMNS)
    given = (figures.get(name) for name in _COLUMNS)
    return [None if value is None else f"{value:.4g}" for value in given]


def main() -> None:
    """Measures and prints a row for each way."""
    options = options_of(
        __doc__,
        ("model", {"help": "folder of the model, such as one that `python -m vau.training.tiny_school` made"}),
        ("--device", {"default": "cpu", "help": "cpu or cuda:0"}),
        ("--pictures", {"type": int, "default": 4}),
        ("--width", {"type": int, "default": 168, "help": "of the pictures, in pixels"}),
        ("--tokens", {"type": int, "default": 64, "help": "most tokens to write"}),
        ("--threads", {"type": int, "default": 0, "help": "of torch; 0: its own choice"}),
        ("--only", {"choices": list(_WAYS), "help": "measure one way in this process and print JSON"}),
    )
    if options.only:
        print(json.dumps(measure(options)))
        return
    found = machine()
    results = {way: child(way, sys.argv[1:]) for way in watched(list(_WAYS), "loading and asking")}
    print_table(["weights", *_COLUMNS.values()], ([way, *_cells(figures)] for way, figures in results.items()))
    for way, figures in results.items():
        if isinstance(figures, str):
            print(f"{way} was left out: {figures}")
    write_json(options.json, {"machine": found, "model": options.model, "device": options.device, "ways": results})


if __name__ == "__main__":
    main()
