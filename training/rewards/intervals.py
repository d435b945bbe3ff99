"""The reward for times: intersection over union of the time that is named and the time that is true.

VAU-R1's training rule (arXiv 2505.23504, and its code): both normal 1, one of them 0, else intersection by union.
Ours: unions where there are several intervals on either side, and two intervals without length earn nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from vau.training.rewards.answers import Completion, Reward, Spans, read


def t_iou(
    completions: Sequence[Completion],
    spans_s: Sequence[Sequence[Sequence[float]] | None],
    duration_s: Sequence[float],
    task: Sequence[str],
    **_: object,
) -> Reward:
    """Returns the temporal intersection over union; range [0, 1], None for rows that ask for no time.

    Args:
        completions: as TRL gives them.
        spans_s: true intervals in seconds, none for a normal video; None where they are unknown.
        duration_s: of the videos.
        task: of each row.
    """
    out: Reward = []
    for one, truth, length_s, name in zip(completions, spans_s, duration_s, task, strict=True):
        if truth is None or name in ("vau_r1_qa", "vau_r1_classify", "cue_r1", "cue_anticipation"):
            out.append(None)
            continue
        said = read(name, one, length_s).spans_s
        out.append(0.0 if said is None else span_iou(said, tuple((span[0], span[1]) for span in truth)))
    return out


def span_iou(first: Spans, second: Spans) -> float:
    """Returns the intersection of two unions of intervals by their union, as lengths; 1 where both are empty."""
    if not first or not second:
        return float(not first and not second)
    one, other = _merged(first), _merged(second)
    shared = sum(max(0.0, min(a[1], b[1]) - max(a[0], b[0])) for a in one for b in other)
    whole = _length(one) + _length(other) - shared
    return shared / whole if whole > 0 else 0.0


def _merged(spans: Spans) -> list[tuple[float, float]]:
    out: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((start, end))
    return out


def _length(spans: Sequence[tuple[float, float]]) -> float:
    return sum(end - start for start, end in spans)
