"""Measures how long a whole evaluation takes: every figure, interval, prior and table of over a million frames.

    python -m benchmarks.eval_speed [--truth NPZ] [--lengths KEY] [--labels KEY] [--repeat 5] [--json OUT]

NPZ holds `names` (V,), the lengths of the videos (V,) and their labels as one array in the same order (by default
`n_frames` and `gt_full_incl`, as for the UCF-Crime test set). Without it, sizes like those of that set are drawn: 290
videos, 1.1 million frames. Scores are random; distinct in every frame is the slowest case, one for 16 frames is what
most systems give. The priors' figures on these labels stand below, since they depend on nothing else.
"""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.common import machine, options_of, print_table, write_json
from vau.errors import InputError
from vau.eval.frame import LabelledScores
from vau.eval.result import FrameResult, evaluate_frames

VIDEOS, ABNORMAL, FRAMES = 290, 140, 1_111_808
SNIPPET = 16


def read_truth(path: Path, lengths_key: str, labels_key: str) -> list[LabelledScores]:
    """Returns the videos of a ground-truth file, with scores of 0; the class is the name up to its first digit.

    Raises:
        InputError: a key is missing or the lengths do not add up to the labels.
    """
    with np.load(path, allow_pickle=False) as arrays:
        missing = {"names", lengths_key, labels_key} - set(arrays.files)
        if missing:
            raise InputError(f"{path}: no array {', '.join(sorted(missing))}; there are {', '.join(arrays.files)}")
        names, lengths, labels = arrays["names"], arrays[lengths_key], arrays[labels_key]
    if lengths.sum() != len(labels) or len(names) != len(lengths):
        raise InputError(f"{path}: {len(names)} names, lengths of {lengths.sum()} frames, labels of {len(labels)}")
    parts = np.split(labels > 0, np.cumsum(lengths)[:-1])
    return [_video(str(name), part) for name, part in zip(names, parts, strict=True)]


def draw_truth(seed: int = 0) -> list[LabelledScores]:
    """Draws videos of very unequal lengths, about half of them with one abnormal stretch."""
    rng = np.random.default_rng(seed)
    shares = rng.lognormal(sigma=1.1, size=VIDEOS)
    lengths = np.maximum(100, shares / shares.sum() * FRAMES).astype(int)
    videos = []
    for number, length in enumerate(lengths.tolist()):
        labels = np.zeros(length, bool)
        if number < ABNORMAL:
            first = rng.integers(0, length - length // 6)
            labels[first : first + length // 6] = True
        videos.append(_video(f"{'Abnormal' if number < ABNORMAL else 'Normal'}{number:03d}", labels))
    return videos


def _video(name: str, labels: np.ndarray) -> LabelledScores:
    category = re.match(r"[^\d_]*", name)
    return LabelledScores(name, np.zeros(len(labels)), labels, category[0] if category and labels.any() else "")


def with_random_scores(videos: list[LabelledScores], held: int) -> list[LabelledScores]:
    """Returns the videos with random scores, each held for some frames, a little higher in abnormal ones."""
    rng = np.random.default_rng(0)
    scored = []
    for video in videos:
        raised = rng.random(-(-len(video) // held)) + 0.3 * video.labels[::held]
        scored.append(replace(video, scores=np.repeat(raised, held)[: len(video)]))
    return scored


def timed(videos: list[LabelledScores], repeat: int) -> tuple[FrameResult, list[tuple[float, float]]]:
    """Evaluates the videos several times; returns the result and, for each run, wall and processor seconds."""
    seconds = []
    for _ in range(max(1, repeat)):
        wall, used = time.perf_counter(), time.process_time()
        result = evaluate_frames(videos, expected=len(videos))
        seconds.append((time.perf_counter() - wall, time.process_time() - used))
    return result, seconds


def main() -> None:
    """Evaluates random scores and prints the times and the priors."""
    options = options_of(
        __doc__,
        ("--truth", {"type": Path, "metavar": "NPZ"}),
        ("--lengths", {"default": "n_frames", "metavar": "KEY"}),
        ("--labels", {"default": "gt_full_incl", "metavar": "KEY"}),
        ("--repeat", {"type": int, "default": 5}),
    )
    about = machine()
    videos = draw_truth() if options.truth is None else read_truth(options.truth, options.lengths, options.labels)
    rows, figures = [], {}
    for name, held in (("distinct in every frame", 1), (f"one for {SNIPPET} frames", SNIPPET)):
        result, seconds = timed(with_random_scores(videos, held), options.repeat)
        wall, used = np.median(seconds, axis=0)
        rows.append((name, f"{wall:.2f}", f"{min(seconds)[0]:.2f}", f"{used:.2f}", result.auc, result.ap_step))
        figures[name] = {"seconds": seconds, "result": result.to_dict()}
    print(
        f"{result.used} videos, {result.frames:,} frames, {result.abnormal_frames:,} abnormal; {result.resamples} "
        f"resamples, {options.repeat} runs.\n"
    )
    print_table(("scores", "wall s, median", "least", "processor s, median", "AUC", "AP, step-wise"), rows)
    print_table(
        ("prior", "AUC", "AP, step-wise", "AP, trapezoid", "AUC, abnormal only", "macro AUC"),
        (
            (
                name,
                *(
                    None if area is None else f"{100 * area:.2f}"
                    for area in (p.auc, p.ap_step, p.ap_trapezoid, p.auc_abnormal_only, p.macro_auc)
                ),
            )
            for name, p in result.priors.items()
        ),
    )
    write_json(options.json, {"machine": about, "runs": figures})


if __name__ == "__main__":
    main()
