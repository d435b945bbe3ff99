"""UCA, the UCF-Crime Annotation (Yuan et al., CVPR 2024): sentences with times for 1,854 surveillance videos.

Four tasks: grounding of a sentence (TSGV), a sentence for a clip (VC), all events of a video (DVC), and anomaly
detection on UCF-Crime with a captioner trained on UCA (MAD). Its splits are not UCF-Crime's: 214 of the 290 official
test videos are in UCA's training split, so that MAD on all of them leaks. Metrics are the field's; which (K, m) and
whether SODA_c the paper prints is not public.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vau.errors import InputError
from vau.eval import files
from vau.eval.benchmarks.base import Benchmark, Counts, Item, Items, Part, Predictions, locate, require
from vau.eval.benchmarks.frames import frame_figures, frame_priors, take_scores
from vau.eval.benchmarks.text import take_text
from vau.eval.leakage import overlap, uca_leak
from vau.eval.metrics.captions import caption_figures
from vau.eval.metrics.dense import Told, check_events, dense_figures
from vau.eval.metrics.grounding import Span, check_span, check_spans, length_bucket, recall_figures
from vau.eval.metrics.sums import Figure
from vau.eval.protocols.ucf_crime import UCF_CRIME
from vau.eval.truth import load_truth

_ORIGIN = "https://github.com/Xuange923/Surveillance-Video-Understanding (UCF Annotation/json)"
_TERMS = "annotation: Apache-2.0 by its README, which also asks for academic use; videos: UCF-Crime's own terms"
_VIDEOS = "https://www.crcv.ucf.edu/projects/real-world/ (UCF-Crime)"
_FILES = {"test": "UCFCrime_Test", "val": "UCFCrime_Val", "train": "UCFCrime_Train"}
_PARTS = {
    split: Part(f"annotation, {split}", (f"{name}.json", f"{name}.txt"), _ORIGIN, needed=split == "test")
    for split, name in _FILES.items()
}
_UCF = Part("UCF-Crime's test intervals", UCF_CRIME.sources[0].patterns[:2], UCF_CRIME.sources[0].origin)
_CLASS = re.compile(r"[A-Za-z]+?(?=\d|_)")
_DRAWN = 5  # spans of the random prior


def read_annotation(path: Path) -> dict[str, tuple[float | None, tuple[tuple[Span, str], ...]]]:
    """Returns duration and events of each video, as the JSON (or, without durations, the text) has them.

    Events keep the file's order, which is not always that of time.

    Raises:
        InputError: the file is malformed.
    """
    return _from_text(path) if path.suffix == ".txt" else _from_json(path)


def _from_json(path: Path) -> dict[str, tuple[float | None, tuple[tuple[Span, str], ...]]]:
    value = files.json_value(path)
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected an object by video, got {type(value).__name__}")
    videos: dict[str, tuple[float | None, tuple[tuple[Span, str], ...]]] = {}
    for name, entry in value.items():
        where = f"{path}, {name}"
        times, sentences = (entry.get(key) if isinstance(entry, dict) else None for key in ("timestamps", "sentences"))
        if not isinstance(times, list) or not isinstance(sentences, list) or len(times) != len(sentences):
            raise InputError(f"{where}: expected as many timestamps as sentences")
        if not all(isinstance(sentence, str) for sentence in sentences):
            raise InputError(f"{where}: sentences must be texts")
        duration_s = check_span([0, entry.get("duration")])[1]
        videos[name] = (
            duration_s,
            tuple((check_span(span), sentence.strip()) for span, sentence in zip(times, sentences, strict=True)),
        )
    return videos


def _from_text(path: Path) -> dict[str, tuple[float | None, tuple[tuple[Span, str], ...]]]:
    events: dict[str, list[tuple[Span, str]]] = {}
    for number, line in enumerate(files.text(path).splitlines(), 1):
        if not line.strip():
            continue
        head, parted, sentence = line.partition(" ##")
        fields = head.split()
        if not parted or len(fields) != 3:
            raise InputError(f"{path}, line {number}: expected 'name begin end ##sentence', got {line!r:.80}")
        where = f"{path}, line {number}"
        span = check_span([_clock(fields[1], where), _clock(fields[2], where)])
        events.setdefault(fields[0], []).append((span, sentence.strip()))
    return {name: (None, tuple(told)) for name, told in events.items()}


def _clock(text: str, where: str) -> float:
    """Returns seconds of mm:ss.f or h:mm:ss.f."""
    try:
        parts = [float(part) for part in text.split(":")]
    except ValueError as error:
        raise InputError(f"{where}: {text!r:.40} is no time") from error
    return float(sum(part * 60**power for power, part in enumerate(reversed(parts))))


def _groups(name: str, duration_s: float | None) -> tuple[str, ...]:
    match = _CLASS.match(name)
    return (*length_bucket(duration_s), *((match[0],) if match else ()))


def _read_sentences(folder: Path, split: str) -> Items:
    path = require(folder, _PARTS[split])
    items = []
    for name, (duration_s, events) in read_annotation(path).items():
        for number, (span, sentence) in enumerate(events):
            inputs = {"sentence": sentence, "duration_s": duration_s}
            groups = _groups(name, duration_s)
            items.append(Item(f"{name}/{number}", name, inputs, (span, sentence), span, duration_s, groups))
    return Items(tuple(items), (str(path),), context=_training(folder))


def _training(folder: Path) -> dict[str, Any]:
    """Returns what trivial predictors take from the training split: spans as shares, median length, sentences."""
    path = locate(folder, _PARTS["train"])
    if path is None:
        return {}
    videos = read_annotation(path)
    told = [(span, sentence, duration_s) for duration_s, events in videos.values() for span, sentence in events]
    shares = [(span[0] / duration_s, span[1] / duration_s) for span, _, duration_s in told if duration_s]
    # The median as it comes out of the sums of floats, 10.9 s but for 1e-14: two overlaps of exactly 1/2 hang on it.
    median_s = float(np.median([span[1] - span[0] for span, _, _ in told]))
    common = Counter(sentence for _, sentence, _ in told).most_common(1)[0][0]
    return {"shares": np.array(shares).reshape(-1, 2), "median_s": median_s, "sentence": common}


def _grounding_figures(items: Sequence[Item], answers: Predictions) -> Sequence[Figure]:
    return recall_figures(answers, [item.truth[0] for item in items])


def _grounding_priors(found: Items) -> Mapping[str, Predictions]:
    """Spans that never saw a frame; those that need the training split are left out where it is not there."""
    if any(item.duration_s is None for item in found.items):
        return {}
    ends = [float(item.duration_s or 0) for item in found.items]
    named: dict[str, Predictions] = {
        "whole video": [((0.0, end),) for end in ends],
        "first half": [((0.0, end / 2),) for end in ends],
        "five equal windows": [tuple((end * k / 5, end * (k + 1) / 5) for k in range(5)) for end in ends],
    }
    if found.context:
        length = found.context["median_s"]
        shares = found.context["shares"]
        drawn = shares[np.random.default_rng(0).integers(0, len(shares), (len(ends), _DRAWN))]
        named[f"first {length:.1f} s"] = [((0.0, min(length, end)),) for end in ends]
        named[f"centred {length:.1f} s"] = [
            ((max(0.0, end / 2 - length / 2), min(end, end / 2 + length / 2)),) for end in ends
        ]
        named["random train prior"] = [
            tuple((float(share[0]) * end, float(share[1]) * end) for share in row)
            for row, end in zip(drawn, ends, strict=True)
        ]
    return named


def _caption_figures(items: Sequence[Item], answers: Predictions) -> Sequence[Figure]:
    return caption_figures(answers, [[item.truth[1]] for item in items])


def _caption_priors(found: Items) -> Mapping[str, Predictions]:
    if not found.context:
        return {}
    return {"commonest training sentence": [found.context["sentence"]] * len(found.items)}


def _read_videos(folder: Path, split: str) -> Items:
    path = require(folder, _PARTS[split])
    items = []
    for name, (duration_s, events) in read_annotation(path).items():
        truth = tuple(Told(span, sentence) for span, sentence in events)
        items.append(Item(name, name, {"duration_s": duration_s}, truth, None, duration_s, _groups(name, duration_s)))
    return Items(tuple(items), (str(path),), context=_training(folder))


def _dense_figures(items: Sequence[Item], answers: Predictions) -> Sequence[Figure]:
    return dense_figures(answers, [item.truth for item in items])


def _dense_priors(found: Items) -> Mapping[str, Predictions]:
    if not found.context or any(item.duration_s is None for item in found.items):
        return {}
    sentence = found.context["sentence"]
    return {
        "whole video, commonest training sentence": [
            (Told((0.0, float(item.duration_s or 0)), sentence),) for item in found.items
        ]
    }


def _read_detection(folder: Path, split: str) -> Items:
    """UCF-Crime's official test videos, or those of them that UCA's training split lacks."""
    names = {part: set(read_annotation(require(folder, _PARTS[part]))) for part in _FILES}
    annotation = require(folder, _UCF)
    truth = load_truth(UCF_CRIME, UCF_CRIME.protocol(None), annotation.parent, annotations=annotation)
    official = [video.video for video in truth.videos]
    kept = {
        "official": set(official),
        "outside-train": set(official) - names["train"],
        "uca-test": set(official) & names["test"],
    }[split]
    items = tuple(
        Item(video.video, video.video, {}, video, groups=(video.category,))
        for video in truth.videos
        if video.video in kept
    )
    leaks = (uca_leak(overlap(official, names)),) if split == "official" else ()
    return Items(items, (str(annotation), truth.lengths_from), truth.repairs, leaks)


_SPLITS = ("test", "val", "train")
_SENTENCES = dict(zip(_SPLITS, (Counts(4_331, 310), Counts(3_534, 379), Counts(15_677, 1_165)), strict=True))
_VIDEO_COUNTS = dict(zip(_SPLITS, (Counts(310, 310), Counts(379, 379), Counts(1_165, 1_165)), strict=True))

TSGV = Benchmark(
    name="uca/tsgv",
    title="UCA, temporal grounding of sentences",
    prompt="uca_grounding",
    splits=_SENTENCES,
    parts=tuple(_PARTS.values()),
    read=_read_sentences,
    take=lambda value, item: check_spans(value),
    figures=_grounding_figures,
    priors=_grounding_priors,
    videos_from=_VIDEOS,
    terms=_TERMS,
    card="uca",
    note="MMN, the best published baseline that is known, reaches R@1, IoU=0.5 of 4.66: hardly more than the beginning "
    "of the video.",
)

VC = Benchmark(
    name="uca/vc",
    title="UCA, captions of clips",
    prompt="uca_caption",
    splits=_SENTENCES,
    parts=tuple(_PARTS.values()),
    read=_read_sentences,
    take=lambda value, item: take_text(value),
    figures=_caption_figures,
    priors=_caption_priors,
    videos_from=_VIDEOS,
    terms=_TERMS,
    card="uca",
    note="One reference a clip; CIDEr's document frequencies come from the references that are scored.",
)

DVC = Benchmark(
    name="uca/dvc",
    title="UCA, dense captions",
    prompt="uca_dense_caption",
    splits=_VIDEO_COUNTS,
    parts=tuple(_PARTS.values()),
    read=_read_videos,
    take=lambda value, item: check_events(value),
    figures=_dense_figures,
    priors=_dense_priors,
    videos_from=_VIDEOS,
    terms=_TERMS,
    card="uca",
    note="METEOR, CIDEr, recall and precision are means over tIoU 0.3, 0.5, 0.7 and 0.9; SODA_c is F.",
)

MAD = Benchmark(
    name="uca/mad",
    title="UCA, anomaly detection on UCF-Crime with captions",
    prompt="",
    splits={"outside-train": Counts(76, 76), "uca-test": Counts(50, 50), "official": Counts(290, 290)},
    parts=(*_PARTS.values(), _UCF),
    read=_read_detection,
    take=take_scores,
    figures=frame_figures,
    priors=lambda found: frame_priors(found.items),
    videos_from=_VIDEOS,
    terms=_TERMS,
    card="uca",
    note="Every frame, interval ends included. Lengths of the videos must lie beside UCF-Crime's annotation.",
)
