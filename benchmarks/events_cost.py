"""Measures time and memory of event segmentation on hours of made-up features: whole, and as a stream.

    python -m benchmarks.events_cost [--hours 1 2 4 8 24] [--dim 628] [--json OUT]

Four frames a second; with the 12 channels of motion a node has 640 dimensions. Scenes last two minutes on average. Each
measurement is a process of its own, so that its peak memory is its own; making the features is no part of the time, but
the features that a whole video is held in are part of the memory. Processor time counts what all threads used; it holds
on a busy machine too. Peak memory of a process that only makes and holds one minute of features stands as "nothing".
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np

from benchmarks.common import machine, options_of, print_table, watched, write_json
from vau.config import EventsConfig
from vau.events import Segmenter, segment
from vau.types import Detections, Float32, Float64, Observations

RATE = 4.0
CHANNELS = (*(f"speed_{i}" for i in range(3)), *(f"direction_{i}" for i in range(8)), "direction_entropy")
CHUNK = 240
SCENE = 480.0  # frames, on average


@dataclass(frozen=True)
class Cost:
    """What one process used."""

    way: str
    hours: float
    segments: int
    wall_s: float
    cpu_s: float  # user and system, all threads
    peak_mib: float  # resident set, all of the process
    start_mib: float  # the same before the segmentation


def made_up(hours: float, dim: int) -> Iterator[tuple[Float64, Float32, Float32]]:
    """Yields times, embeddings and motion of a minute each."""
    rng = np.random.default_rng(0)
    scene = rng.standard_normal(dim, dtype=np.float32)
    level = 0.1
    for start in range(0, round(hours * 3600 * RATE), CHUNK):
        embeddings = np.empty((CHUNK, dim), np.float32)
        motion = np.empty((CHUNK, len(CHANNELS)), np.float32)
        for row in range(CHUNK):
            if rng.random() < 1 / SCENE:
                scene, level = rng.standard_normal(dim, dtype=np.float32), float(rng.uniform(0.02, 0.4))
            embeddings[row] = scene + 0.3 * rng.standard_normal(dim, dtype=np.float32)
            motion[row] = level * rng.random(len(CHANNELS), dtype=np.float32)
        embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
        yield (start + np.arange(CHUNK)) / RATE, embeddings, motion


def nothing(hours: float, dim: int) -> Cost:
    """Makes the features and drops them."""
    for _ in made_up(hours, dim):
        pass
    return Cost("nothing", hours, 0, 0.0, 0.0, _peak_mib(), _peak_mib())


def whole(hours: float, dim: int) -> Cost:
    """Segments a whole video."""
    count = round(hours * 3600 * RATE)
    embeddings, motion = np.empty((count, dim), np.float32), np.empty((count, len(CHANNELS)), np.float32)
    for number, (_, seen, moved) in enumerate(made_up(hours, dim)):
        rows = slice(number * CHUNK, (number + 1) * CHUNK)
        embeddings[rows], motion[rows] = seen, moved
    for array in (embeddings, motion):
        array.setflags(write=False)  # Observations take such arrays as they are
    nobody = Detections(
        np.zeros(count + 1, np.int64), np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), ()
    )
    times = np.arange(count) / RATE
    observations = Observations(times, embeddings, motion, CHANNELS, (), nobody, (640, 360), count / RATE)
    start, wall, cpu = _peak_mib(), time.perf_counter(), time.process_time()
    segments = segment(observations, EventsConfig())
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Cost("whole", hours, len(segments), wall, cpu, _peak_mib(), start)


def streamed(hours: float, dim: int) -> Cost:
    """Segments a stream, a minute at a time."""
    segmenter = Segmenter(EventsConfig(), CHANNELS, rate=RATE)
    start, wall, cpu, found = _peak_mib(), 0.0, 0.0, 1
    for chunk in made_up(hours, dim):
        began = time.perf_counter(), time.process_time()
        found += len(segmenter.push(*chunk))
        wall, cpu = wall + time.perf_counter() - began[0], cpu + time.process_time() - began[1]
    found += len(segmenter.finish(hours * 3600))
    return Cost("streamed", hours, found, wall, cpu, _peak_mib(), start)


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Runs each measurement in a fresh process and prints the table."""
    options = options_of(
        __doc__,
        ("--hours", {"type": float, "nargs": "*", "default": [1, 2, 4, 8, 24]}),
        ("--dim", {"type": int, "default": 628, "help": "of the embeddings"}),
    )
    about = machine()
    runs = [(nothing, options.hours[0])] + [(way, hours) for way in (whole, streamed) for hours in options.hours]
    costs = []
    for way, hours in watched(runs, "Segmenting"):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            costs.append(pool.submit(way, hours, options.dim).result())
    head = ("way", "hours", "segments", "wall s", "processor s", "processor s an hour", "peak MiB", "before MiB")
    print_table(head, map(_row, costs))
    write_json(options.json, {"machine": about, "threads": os.environ.get("OPENBLAS_NUM_THREADS"), "costs": costs})


def _row(cost: Cost) -> tuple[object, ...]:
    seconds = (f"{cost.wall_s:.2f}", f"{cost.cpu_s:.2f}", f"{cost.cpu_s / cost.hours:.2f}")
    return cost.way, f"{cost.hours:g}", cost.segments, *seconds, f"{cost.peak_mib:.0f}", f"{cost.start_mib:.0f}"


if __name__ == "__main__":
    main()
