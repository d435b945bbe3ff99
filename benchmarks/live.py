"""Watching against analysing: the same clips as files and as if they were live, by the same code as the command line.

Usage: python benchmarks/live.py CLIP [CLIP ...]

For each clip: its events offline and live, how many of the offline ones a live one overlaps, and the delay from an
event's end to the frame with which it was told.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from vau.cli.live import RECORDS, Watching, watch_live
from vau.config import Config
from vau.perception.observe import Models, load_models
from vau.pipeline import analyze

Span = tuple[float, float]


def offline(clip: Path, models: Models, config: Config) -> list[Span]:
    """Returns the events of a file."""
    return [(event.start_s, event.end_s) for event in analyze(clip, config, models=models).events]


def live(clip: Path, models: Models, config: Config) -> list[dict[str, Any]]:
    """Returns the events of the same file, watched as fast as it can be read."""
    with tempfile.TemporaryDirectory() as folder:
        watch_live(str(clip), config, Path(folder), Watching(speed=0), quiet=True, models=models)
        records = [json.loads(line) for line in Path(folder, RECORDS).read_text("utf-8").splitlines()]
    return [item for item in records if item["kind"] == "event"]


def shown(spans: list[Span]) -> str:
    """Returns spans in seconds."""
    return ", ".join(f"{start_s:.1f}-{end_s:.1f}" for start_s, end_s in spans) or "none"


def main() -> None:
    """Runs all clips and prints one block each, and the sums."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+", type=Path)
    clips: list[Path] = parser.parse_args().clips
    config = Config()
    models = load_models(config.perception)
    known = met = told = early = 0
    delays: list[float] = []
    for clip in clips:
        started = time.perf_counter()
        before = offline(clip, models, config)
        middle = time.perf_counter()
        events = live(clip, models, config)
        ended = time.perf_counter()
        after = [(item["start_s"], item["end_s"]) for item in events]
        known, told = known + len(before), told + len(after)
        met += sum(any(a <= end and start <= b for a, b in after) for start, end in before)
        extra = [item for item in events if not any(a <= item["end_s"] and item["start_s"] <= b for a, b in before)]
        early += sum(item["early"] for item in extra)
        # What the end of the file closes has not waited.
        delays += [item["told_s"] - item["end_s"] for item in events]
        print(f"{clip.parent.name}/{clip.name}: {middle - started:.0f} s offline, {ended - middle:.0f} s live")
        print(f"  offline {shown(before)}\n  live    {shown(after)}", flush=True)
    print(f"offline {known} events, {met} of them met live; live {told}, of the others {early} early")
    print(f"longest delay {max(delays, default=0.0):.1f} s of the stream")


if __name__ == "__main__":
    main()
