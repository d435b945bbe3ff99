"""HIVAU-70k of Holmes-VAU (Zhang et al., CVPR 2025): texts on clips, events and videos of UCF-Crime and XD-Violence.

The paper scores caption metrics by level, BLEU as the sum of BLEU-1 to 4. Grounding of events is a task of ours on the
times that its UCF-Crime database has; the paper has none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vau.errors import InputError
from vau.eval import files
from vau.eval.benchmarks.base import Benchmark, Counts, Item, Items, Part, Predictions, require
from vau.eval.benchmarks.hub import rows
from vau.eval.benchmarks.text import take_text, text_case, text_figures
from vau.eval.metrics.captions import bleu
from vau.eval.metrics.grounding import check_span, check_spans, length_bucket, recall_figures
from vau.eval.metrics.sums import Figure, Summed
from vau.eval.names import canonical

Float64 = NDArray[np.float64]

_ORIGIN = "https://github.com/pipixin321/HolmesVAU (HIVAU-70k)"
_TEXTS = Part("instructions, test", ("merge_instruction_test_final.jsonl",), _ORIGIN)
_DATABASE = Part("database of UCF-Crime, test", ("ucf_database_test.json",), _ORIGIN)
_PIECE = re.compile(r"_E\d+(C\d+)?$")  # of the name of an event or a clip
_TERMS = "annotation: MIT; videos: UCF-Crime's and XD-Violence's own terms"
_VIDEOS = "UCF-Crime and XD-Violence, each from its own source, cut by the repository's scripts"


def _read_texts(folder: Path, split: str, level: str) -> Items:
    path = require(folder, _TEXTS)
    items = []
    for number, row in enumerate(rows(path), 1):
        if row.get("type") != level:
            continue
        # The release spells the key of the answer so.
        values = [row.get(key) for key in ("video", "prompt", "task", "anwser")]
        if not all(isinstance(value, str) and value for value in values) or row.get("id") is None:
            raise InputError(f"{path}, row {number}: expected texts under video, prompt, task and anwser, and an id")
        video, prompt, task, answer = (str(value) for value in values)
        name = _PIECE.sub("", canonical(video))
        source = video.split("/")[0]
        items.append(Item(str(row["id"]), name, {"question": prompt}, answer, groups=(task, source), path=video))
    return Items(tuple(items), (str(path),))


def _text_figures(items: Sequence[Item], answers: Predictions) -> Sequence[Figure]:
    figures = {figure.name: figure for figure in text_figures(items, answers) if isinstance(figure, Summed)}
    return (Summed("BLEU, sum of 1 to 4", figures["BLEU-4"].parts, bleu_sum, scale=1.0), *figures.values())


def bleu_sum(sums: Float64) -> Float64:
    """Returns BLEU-1 + ... + BLEU-4 (R,) from sums of the counts of BLEU-4 (R, 10), as the paper prints it."""
    matches, guesses, sizes = sums[:, :4], sums[:, 4:8], sums[:, 8:]
    total: Float64 = np.sum([bleu(np.hstack([matches[:, :n], guesses[:, :n], sizes])) for n in range(1, 5)], axis=0)
    return total


def _text_priors(found: Items) -> Mapping[str, Predictions]:
    return {"no anomaly": ["No anomaly exists in the video."] * len(found.items)}


def read_database(path: Path) -> dict[str, dict[str, Any]]:
    """Returns what the database says of each video: duration_s, label, events with their spans and summaries, clips.

    Raises:
        InputError: it is of another form.
    """
    value = files.json_value(path)
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected an object by video, got {type(value).__name__}")
    found = {}
    for name, entry in value.items():
        where = f"{path}, {name}"
        events, told = (entry.get(key) if isinstance(entry, dict) else None for key in ("events", "events_summary"))
        if not isinstance(events, list) or not isinstance(told, list) or len(events) != len(told):
            raise InputError(f"{where}: expected as many events as summaries")
        frames, fps = files.whole(entry.get("n_frames"), where, 1), entry.get("fps")
        if isinstance(fps, bool) or not isinstance(fps, int | float) or not 0 < fps <= 1000:
            raise InputError(f"{where}: fps must be above 0 and at most 1000, got {fps!r:.40}")
        spans = [check_span(span) for span in events]
        clips = [[check_span(span) for span in group] for group in entry.get("clips", [])]
        found[name] = {
            "duration_s": frames / fps,
            "label": entry.get("label"),
            "events": list(zip(spans, map(str, told), strict=True)),
            "clips": clips,
        }
    return found


def _read_events(folder: Path, split: str) -> Items:
    path = require(folder, _DATABASE)
    items = []
    for name, entry in read_database(path).items():
        for number, (span, summary) in enumerate(entry["events"]):
            inputs = {"sentence": summary, "duration_s": entry["duration_s"]}
            groups = length_bucket(entry["duration_s"])
            items.append(Item(f"{name}/{number}", name, inputs, span, None, entry["duration_s"], groups))
    return Items(tuple(items), (str(path),))


def _event_figures(items: Sequence[Item], answers: Predictions) -> Sequence[Figure]:
    return recall_figures(answers, [item.truth for item in items])


def _event_priors(found: Items) -> Mapping[str, Predictions]:
    ends = [float(item.duration_s or 0) for item in found.items]
    return {
        "whole video": [((0.0, end),) for end in ends],
        "middle half": [((end / 4, 3 * end / 4),) for end in ends],
    }


HIVAU = (
    *(
        Benchmark(
            name=f"hivau/{level}",
            title=f"HIVAU-70k, texts on {level}s",
            prompt="qa_video",
            splits={"test": Counts(count)},
            parts=(_TEXTS,),
            read=partial(_read_texts, level=level),
            take=lambda value, item: take_text(value),
            figures=_text_figures,
            priors=_text_priors,
            videos_from=_VIDEOS,
            terms=_TERMS,
            card="hivau-70k",
            case=text_case,
            judge="judge_caption",
        )
        for level, count in (("clip", 2_207), ("event", 734), ("video", 398))
    ),
    Benchmark(
        name="hivau/grounding",
        title="HIVAU-70k, when a described event happens",
        prompt="uca_grounding",
        splits={"test": Counts(337, 251)},
        parts=(_DATABASE,),
        read=_read_events,
        take=lambda value, item: check_spans(value),
        figures=_event_figures,
        priors=_event_priors,
        videos_from=_VIDEOS,
        terms=_TERMS,
        card="hivau-70k",
        note="A task of ours on the annotation's times; the paper has no such table.",
    ),
)
