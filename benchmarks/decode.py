"""Compares the video readers: speed and memory of one pass at the default sampling rate.

    python benchmarks/decode.py CLIP [CLIP ...] [--fps 4] [--max-side 640] [--threads 2] [--runs 3]

Every reader decodes every clip in a child process of its own, so that peak memory is its own too; the best of the runs
counts. Readers that are not installed, and files that a reader refuses, are shown as such. Opening, probing and hashing
are not timed; the import of the reader is not either.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

READERS = ("pyav", "decord", "torchcodec")


def measure(path: Path, reader: str, fps: float, max_side: int, threads: int) -> dict[str, float]:
    """Decodes a clip once in this process."""
    from vau.config import VideoConfig
    from vau.video import open_stream

    stream = open_stream(
        path, VideoConfig.model_validate({"reader": reader, "threads": threads}), fps=fps, max_side=max_side
    )
    cpu, start = time.process_time(), time.perf_counter()
    sampled = sum(len(batch) for batch in stream)
    wall = time.perf_counter() - start
    return {
        "frames": stream.info.n_frames,
        "sampled": sampled,
        "duration_s": stream.info.duration_s,
        "wall_s": wall,
        "cpu_s": time.process_time() - cpu,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def child(path: Path, reader: str, options: argparse.Namespace) -> dict[str, float] | str:
    """Measures in a child process; returns the figures of the fastest run, or why there are none."""
    results = []
    for _ in range(options.runs):
        command = [sys.executable, __file__, str(path), "--one", reader, "--fps", str(options.fps)]
        command += ["--max-side", str(options.max_side), "--threads", str(options.threads)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return (done.stderr.strip().splitlines() or ["failed"])[-1][:110]
        results.append(json.loads(done.stdout.splitlines()[-1]))
    return min(results, key=lambda result: result["wall_s"])


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--fps", type=float, default=4.0)
    parser.add_argument("--max-side", type=int, default=640)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--one", choices=READERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.clips[0], options.one, options.fps, options.max_side, options.threads)))
        return
    print("| clip | reader | sampled | decoded frames/s | x real time | CPU s | peak RSS MiB |")
    print("|---|---|---|---|---|---|---|")
    for path in options.clips:
        for reader in READERS:
            result = child(path, reader, options)
            if isinstance(result, str):
                print(f"| {path.name} | {reader} | {result} | | | | |")
                continue
            wall = result["wall_s"]
            print(
                f"| {path.name} | {reader} | {result['sampled']} | {result['frames'] / wall:.0f} "
                f"| {result['duration_s'] / wall:.1f} | {result['cpu_s']:.2f} | {result['peak_mib']:.0f} |"
            )


if __name__ == "__main__":
    main()
