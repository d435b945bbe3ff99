"""Events that are normal in one context and abnormal in another: records, and four tasks on them.

The tasks are those that CueBench's abstract names (arXiv 2511.00613): recognition, temporal grounding, detection and
anticipation. Figures are standard ones, chosen by us. What matters most is the accuracy on matched pairs: the same
event once normal and once not, so that naming the event is not enough.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vau.errors import InputError
from vau.eval.benchmarks.base import Item, Items, Predictions
from vau.eval.benchmarks.frames import FrameArea, frame_figures, frame_priors
from vau.eval.frame import LabelledScores, interval_labels
from vau.eval.metrics.grounding import Span, check_span, recall_figures
from vau.eval.metrics.hierarchy import Path as Levels
from vau.eval.metrics.hierarchy import hierarchy_figures, pair_accuracy
from vau.eval.metrics.labels import accuracy, answered, macro_f1, normal_label
from vau.eval.metrics.sums import Figure, mean
from vau.eval.truth import VideoTruth

Float64 = NDArray[np.float64]
Kind = Literal["none", "conditional", "absolute"]
KINDS: tuple[Kind, ...] = ("none", "conditional", "absolute")
AHEAD_S = (1, 2, 5)
_LABELS_PER_S = 10.0
_MAX_LABELS = 1_000_000


@dataclass(frozen=True)
class Record:
    """What is true of one video.

    Raises:
        InputError: an abnormal video without a span inside it, or a normal one with a span.
    """

    record_id: str
    video: str
    duration_s: float
    event: str
    kind: Kind
    scene: str
    attributes: frozenset[str]
    abnormal: bool
    span_s: Span | None = None
    pair: str | None = None  # members of a matched pair name it alike
    above: Levels = ()  # levels over the event in the label hierarchy, where one is known

    def __post_init__(self) -> None:
        if not 0 < self.duration_s < 1e7:
            raise InputError(f"{self.record_id}: a duration in seconds is needed, got {self.duration_s}")
        if self.abnormal != (self.span_s is not None):
            raise InputError(f"{self.record_id}: abnormal videos have a span and normal ones none, got {self.span_s}")
        if self.span_s is not None and not 0 <= self.span_s[0] < self.span_s[1] <= self.duration_s + 1:
            raise InputError(f"{self.record_id}: the span {self.span_s} is not within {self.duration_s} s")

    @property
    def levels(self) -> Levels:
        """The path of the whole label: normal or anomaly, kind or the hierarchy's levels, event, scene, attributes."""
        return levels(self.abnormal, self.above or (self.kind,), self.event, self.scene, self.attributes)


@dataclass(frozen=True)
class Recognised:
    """What a system says a video shows."""

    abnormal: bool
    kind: str
    event: str
    scene: str
    attributes: frozenset[str]


def levels(abnormal: bool, above: Levels, event: str, scene: str, attributes: frozenset[str]) -> Levels:
    """Returns the path of a label; a part that is empty is left out."""
    named = (*above, event, scene, ", ".join(sorted(attributes)))
    return ("anomaly" if abnormal else "normal", *(normal_label(name) for name in named if name))


def recognition_items(records: Sequence[Record], read_from: tuple[str, ...]) -> Items:
    """Returns an item a record: name event, scene and attributes, and whether the event is abnormal here."""
    labels = {
        "events": tuple(sorted({record.event for record in records if record.event})),
        "scenes": tuple(sorted({record.scene for record in records if record.scene})),
        "attributes": tuple(sorted({name for record in records for name in record.attributes})),
    }
    pairs = _pairs(records)
    return Items(
        tuple(
            Item(
                record.record_id, record.video, labels, (record, pairs.get(record.record_id)), None, record.duration_s,
                (record.kind,),
            )
            for record in records
        ),
        read_from,
    )  # fmt: skip


def _pairs(records: Sequence[Record]) -> dict[str, str]:
    """Returns the pair that a record belongs to: as annotated, else abnormal and normal ones of an event in turn."""
    named = {record.record_id: record.pair for record in records if record.pair is not None}
    if named:
        return named
    sides: dict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for record in sorted(records, key=lambda one: one.record_id):
        if record.kind == "conditional":
            sides[record.event][record.abnormal].append(record.record_id)
    found: dict[str, str] = {}
    for event, (normal, abnormal) in sides.items():
        for number, members in enumerate(zip(normal, abnormal, strict=False)):
            found |= dict.fromkeys(members, f"{event}/{number}")
    return found


def take_recognition(value: Any, item: Item) -> Recognised:
    """Returns what a system says, from the JSON of the prompt cue_recognition or the levels of cue_r1.

    Raises:
        InputError: it says neither whether the event is abnormal nor which event it is.
    """
    if isinstance(value, str):
        parts = [part.strip() for part in answered(value).split(">")]
        if len(parts) < 3 or parts[0].lower() not in ("normal", "anomaly"):
            raise InputError(
                f"expected levels such as 'anomaly > conditional > event > scene > a, b', got {value!r:.80}"
            )
        parts += [""] * (5 - len(parts))
        attributes = frozenset(normal_label(name) for name in parts[4].split(",") if name.strip())
        scene = normal_label(parts[3])
        return Recognised(
            parts[0].lower() == "anomaly", normal_label(parts[1]), normal_label(parts[2]), scene, attributes
        )
    if not isinstance(value, dict) or not isinstance(value.get("is_anomaly"), bool):
        raise InputError(f"is_anomaly, event_type, event, scene and attributes are needed, got {value!r:.80}")
    listed = value.get("attributes") or ()
    if not isinstance(listed, list | tuple) or not all(isinstance(name, str) for name in listed):
        raise InputError(f"attributes must be a list of names, got {listed!r:.60}")
    kind, event, scene = (normal_label(str(value.get(key) or "")) for key in ("event_type", "event", "scene"))
    return Recognised(value["is_anomaly"], kind, event, scene, frozenset(map(normal_label, listed)))


def recognition_figures(items: Sequence[Item], answers: Predictions) -> Sequence[Figure]:
    """Returns accuracies by level, hierarchical figures, attribute F1 and the accuracy on matched pairs."""
    records: list[Record] = [item.truth[0] for item in items]
    given: list[Recognised | None] = list(answers)
    right = [one is not None and one.abnormal == true.abnormal for one, true in zip(given, records, strict=True)]
    events = [None if one is None else one.event for one in given]
    true_events = [normal_label(record.event) for record in records]
    known = {normal_label(record.event): record.above or (record.kind,) for record in records}
    paths = [
        None
        if one is None
        else levels(one.abnormal, known.get(one.event, (one.kind,)), one.event, one.scene, one.attributes)
        for one in given
    ]
    scenes = [None if one is None else one.scene for one in given]
    attributes = [
        0.0 if one is None else _set_f1(one.attributes, frozenset(map(normal_label, true.attributes)))
        for one, true in zip(given, records, strict=True)
    ]
    return (
        accuracy("event", events, true_events),
        macro_f1(events, true_events),
        mean("normal or not", right),
        pair_accuracy(right, [item.truth[1] for item in items]),
        accuracy("scene", scenes, [normal_label(record.scene) for record in records]),
        mean("attribute F1", attributes),
        *hierarchy_figures(paths, [record.levels for record in records]),
    )


def recognition_priors(found: Items) -> Mapping[str, Predictions]:
    """Returns two answers for all: everything abnormal, and the right event but always normal."""
    blank = Recognised(True, "", "", "", frozenset())
    named = []
    for item in found.items:
        record: Record = item.truth[0]
        named.append(
            Recognised(False, record.kind, normal_label(record.event), normal_label(record.scene), frozenset())
        )
    return {"always abnormal": [blank] * len(found.items), "event and scene known, always normal": named}


def _set_f1(first: frozenset[str], second: frozenset[str]) -> float:
    total = len(first) + len(second)
    return 2 * len(first & second) / total if total else 1.0


def grounding_items(records: Sequence[Record], read_from: tuple[str, ...]) -> Items:
    """Returns an item an abnormal record: when does the event happen?"""
    return Items(
        tuple(
            Item(record.record_id, record.video, {"event": record.event}, record.span_s, None, record.duration_s,
                 (record.kind,))
            for record in records
            if record.span_s is not None
        ),
        read_from,
    )  # fmt: skip


def take_span(value: Any, item: Item) -> tuple[Span, ...]:
    """Returns the span that a system gives; none where it says that the event does not happen.

    Raises:
        InputError: there is neither.
    """
    if isinstance(value, dict):
        if value.get("found") is False:
            return ()
        value = value.get("span_s")
    return (check_span(value),)


def grounding_figures(items: Sequence[Item], answers: Predictions) -> Sequence[Figure]:
    """Returns R@1 at three overlaps and mean IoU."""
    return recall_figures(answers, [item.truth for item in items], recalled=(1,))


def grounding_priors(found: Items) -> Mapping[str, Predictions]:
    """Returns the whole video and its middle half."""
    ends = [float(item.duration_s or 0) for item in found.items]
    return {
        "whole video": [((0.0, end),) for end in ends],
        "middle half": [((end / 4, 3 * end / 4),) for end in ends],
    }


def detection_items(records: Sequence[Record], read_from: tuple[str, ...]) -> Items:
    """Returns an item a record: all abnormal spans; the truth has ten labels a second."""
    items = []
    for record in records:
        count = max(1, min(_MAX_LABELS, round(record.duration_s * _LABELS_PER_S)))
        times = _middles(count)
        labels = interval_labels(times, [record.span_s] if record.span_s else [])
        truth = VideoTruth(record.video, record.kind, labels, count)
        items.append(Item(record.record_id, record.video, {}, truth, None, record.duration_s, (record.kind,)))
    return Items(tuple(items), read_from)


def take_detection(value: Any, item: Item) -> Float64:
    """Returns a score for each label: the highest confidence of the spans over it.

    Raises:
        InputError: the spans or their confidences are malformed.
    """
    given = value.get("anomalies") if isinstance(value, dict) else value
    if not isinstance(given, list) or len(given) > 1000:
        raise InputError(f"a list of anomalies with span_s and confidence is needed, got {value!r:.80}")
    times = _middles(len(item.truth.labels))
    scores = np.zeros(len(times))
    for one in given:
        confidence = one.get("confidence", 1.0) if isinstance(one, dict) else None
        if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 <= confidence <= 1:
            raise InputError(f"a confidence from 0 to 1 is needed, got {one!r:.80}")
        inside = interval_labels(times, [check_span(one.get("span_s"))])
        scores[inside] = np.maximum(scores[inside], confidence)
    return scores


def _middles(count: int) -> Float64:
    times: Float64 = (np.arange(count, dtype=np.float64) + 0.5) / _LABELS_PER_S
    return times


def detection_figures(items: Sequence[Item], answers: Predictions) -> Sequence[Figure]:
    """Returns the pooled ROC area and average precision over labels."""
    return frame_figures(items, answers)


def detection_priors(found: Items) -> Mapping[str, Predictions]:
    """Returns the perfect label of the video, closeness to its middle, and both."""
    return frame_priors(found.items)


def anticipation_items(records: Sequence[Record], read_from: tuple[str, ...], ahead_s: float) -> Items:
    """Returns an item a record of which only the beginning is shown, up to `ahead_s` before the anomaly.

    Abnormal records that leave no beginning are left out. Normal ones are cut to lengths drawn from those of abnormal
    ones, by the video's name: the length of what is shown must not tell what follows.
    """
    shown = {record.record_id: record.span_s[0] - ahead_s for record in records if record.span_s}
    lengths = sorted(length for length in shown.values() if length > 0)
    items = []
    for record in records:
        if record.span_s is None:
            fitting = [length for length in lengths if length <= record.duration_s]
            place = np.random.default_rng(zlib.crc32(record.video.encode())).random()
            length = fitting[int(place * len(fitting))] if fitting else 0.0
        else:
            length = shown[record.record_id]
        if length > 0:
            inputs = {"seen_s": length, "events": tuple(sorted({one.event for one in records if one.event}))}
            items.append(
                Item(record.record_id, record.video, inputs, record, (0.0, length), record.duration_s, (record.kind,))
            )
    return Items(tuple(items), read_from)


def take_anticipation(value: Any, item: Item) -> tuple[float, str]:
    """Returns the probability that something abnormal follows, and which event; InputError without a probability."""
    fields = value if isinstance(value, dict) else {"probability": value}
    chance = fields.get("probability")
    if isinstance(chance, bool) or not isinstance(chance, int | float) or not 0 <= chance <= 1:
        raise InputError(f"a probability from 0 to 1 is needed, got {value!r:.80}")
    return float(chance), normal_label(str(fields.get("event") or ""))


def anticipation_figures(items: Sequence[Item], answers: Predictions) -> Sequence[Figure]:
    """Returns the ROC area over videos, the accuracy at one half, and that of the event in abnormal videos."""
    true = [item.truth.abnormal for item in items]
    chances = [
        (-1.0 if abnormal else 2.0) if answer is None else answer[0]
        for answer, abnormal in zip(answers, true, strict=True)
    ]
    videos = tuple(
        LabelledScores(item.item_id, np.array([chance]), np.array([abnormal]))
        for item, chance, abnormal in zip(items, chances, true, strict=True)
    )
    decided = [(chance >= 0.5) == abnormal for chance, abnormal in zip(chances, true, strict=True)]
    events = [
        answer is not None and answer[1] == normal_label(item.truth.event)
        for answer, item in zip(answers, items, strict=True)
    ]
    return FrameArea("AUC", videos, "auc"), mean("accuracy", decided), mean("event", events, true)


def anticipation_priors(found: Items) -> Mapping[str, Predictions]:
    """Returns the length of what is shown as probability, both ways: near 1/2 where lengths are matched."""
    longest = max(float(item.inputs["seen_s"]) for item in found.items)
    shares = [float(item.inputs["seen_s"]) / longest for item in found.items]
    return {"longer": [(share, "") for share in shares], "shorter": [(1 - share, "") for share in shares]}
