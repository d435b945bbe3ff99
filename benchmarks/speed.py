"""Measures speed and memory of `vau analyze` at its default settings, each run a fresh process as a user starts it.

    python -m benchmarks.speed [--clip PATH] [--minutes 60] [--json OUT]

Three clips, 1280 x 720 at 30 frames a second in H.264, are made by looping a given one: 30 s for the time from pressing
return to the finished report, 60 s for the speed, and the same 60 s repeated without encoding again (`--minutes`) for
memory over length. Wall time holds everything: the start of Python, the loading of models, the writing of the report.
A clip of 25 frames a second and more is the fair choice; slower ones leave repeated frames, which are cheap to decode.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.common import machine, options_of, print_table, write_json

if TYPE_CHECKING:
    from vau.types import UInt8
    from vau.video import FrameStream

WIDTH, HEIGHT, RATE = 1280, 720, 30


@dataclass(frozen=True)
class Run:
    """Figures of one process that analysed one clip."""

    video_s: float
    wall_s: float
    peak_mib: float  # resident set
    report_mib: float  # report.json
    stages_s: dict[str, float]

    @property
    def times_real(self) -> float:
        """Seconds of video a second of wall time."""
        return self.video_s / self.wall_s


def make_clip(source: Path, target: Path, seconds: float) -> None:
    """Encodes the source, looped and scaled to the whole picture, as H.264 (x264's medium preset)."""
    import av
    import cv2

    from vau.config import VideoConfig
    from vau.video import open_stream

    frames = _looped(open_stream(source, VideoConfig(), fps=RATE, max_side=WIDTH))
    image, upcoming = next(frames)[1], next(frames)
    with av.open(str(target), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(round(seconds * RATE)):
            while upcoming[0] <= index / RATE:
                image, upcoming = upcoming[1], next(frames)
            frame = av.VideoFrame.from_ndarray(cv2.resize(image, (WIDTH, HEIGHT)), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _looped(stream: FrameStream) -> Iterator[tuple[float, UInt8]]:
    """Yields time and image of every frame, over and over."""
    offset_s = 0.0
    while True:
        for batch in stream:
            yield from zip((batch.times_s + offset_s).tolist(), batch.images, strict=True)
        offset_s += stream.info.duration_s


def repeat_clip(source: Path, target: Path, times: int) -> None:
    """Writes a clip several times in a row into one file, packets copied as they are."""
    import av

    with av.open(str(target), "w") as out:
        copy, offset = None, 0
        for _ in range(times):
            with av.open(str(source)) as container:
                stream = container.streams.video[0]
                copy = copy or out.add_stream_from_template(stream)
                end = 0
                for packet in container.demux(stream):
                    if packet.pts is None or packet.dts is None:
                        continue
                    end = max(end, packet.pts + (packet.duration or 0))
                    packet.pts, packet.dts, packet.stream = packet.pts + offset, packet.dts + offset, copy
                    out.mux(packet)
                offset += end


def in_child(function: Callable[..., None], *arguments: object) -> None:
    """Runs a function in a process of its own: a child's peak memory starts at that of the process it comes from."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        pool.submit(function, *arguments).result()


def timed(command: list[str]) -> tuple[str, float, float]:
    """Runs a command to its end; returns its standard output, seconds and peak resident set in MiB.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, said)
    return said, wall_s, usage.ru_maxrss / 1024


def analyse(video: Path, out: Path) -> Run:
    """Analyses a clip as a user would, progress on standard error."""
    command = [sys.executable, "-m", "vau", "analyze", str(video), "--out", str(out), "--json"]
    said, wall_s, peak_mib = timed(command)
    path = Path(json.loads(said)["report"])
    report = json.loads(path.read_text(encoding="utf-8"))
    stages = {item["stage"]: item["seconds"] for item in report["timings_s"]}
    return Run(report["video"]["duration_s"], wall_s, peak_mib, path.stat().st_size / 2**20, stages)


def main() -> None:
    """Makes the clips, analyses them and prints the tables."""
    options = options_of(
        __doc__,
        ("--clip", {"type": Path, "help": "footage to loop; default: that of the demonstration"}),
        ("--seconds", {"type": float, "default": 60.0, "help": "length of the clip that speed is measured on"}),
        ("--minutes", {"type": float, "default": 60.0, "help": "length of the long clip; 0 leaves it out"}),
        ("--first", {"type": float, "default": 30.0, "help": "length of the clip for the first report"}),
    )
    about = machine()
    runs: dict[str, Run] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        source = options.clip or _footage(folder)
        first, short, long = folder / "first.mp4", folder / "short.mp4", folder / "long.mp4"
        in_child(make_clip, source, first, options.first)
        in_child(make_clip, source, short, options.seconds)
        runs["first report"] = analyse(first, folder / "reports")
        runs["speed"] = analyse(short, folder / "reports")
        if options.minutes:
            in_child(repeat_clip, short, long, max(2, round(options.minutes * 60 / options.seconds)))
            # The last one: its report may be so large that reading it here would raise the floor of a later child.
            runs["memory"] = analyse(long, folder / "reports")
    print_runs(runs)
    write_json(options.json, {"machine": about, "clip": source.name, "runs": runs})


def _footage(folder: Path) -> Path:
    from vau.demo.footage import fetch_footage

    return fetch_footage(folder)


def print_runs(runs: dict[str, Run]) -> None:
    """Prints all runs, then the stages of each, and what the longer video adds to memory."""
    head = ("run", "video s", "wall s", "x real time", "peak RSS MiB", "report.json MiB")
    rows = [
        (name, f"{r.video_s:.0f}", f"{r.wall_s:.1f}", f"{r.times_real:.2f}", f"{r.peak_mib:.0f}", f"{r.report_mib:.1f}")
        for name, r in runs.items()
    ]
    print_table(head, rows)
    stages = next(iter(runs.values())).stages_s
    rest = [f"{run.wall_s - sum(run.stages_s.values()):.1f}" for run in runs.values()]
    print_table(
        ("stage, s", *runs),
        [
            *((stage, *(f"{run.stages_s.get(stage, 0.0):.1f}" for run in runs.values())) for stage in stages),
            ("start and writing", *rest),
        ],
    )
    if "memory" in runs:
        short, long = runs["speed"], runs["memory"]
        print(f"Peak memory: {short.peak_mib:.0f} MiB for {short.video_s:.0f} s, {long.peak_mib:.0f} MiB for", end=" ")
        print(f"{long.video_s:.0f} s of video: {long.peak_mib - short.peak_mib:+.0f} MiB.")
    print("Wanted on 2 cores: first report within 30 s, 2 x real time, below 1536 MiB and flat in length.")


if __name__ == "__main__":
    main()
