"""The hierarchy-refined reward: an event is right level by level, and a lower level counts only below right ones.

That Cue-R1 (arXiv 2511.00613) refines its reward by the hierarchy is all that its abstract tells; levels, weights and
gating are ours. The tree is that of `vau.eval.metrics.hierarchy`, so that training and evaluation agree on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vau.eval.metrics.hierarchy import shared_levels
from vau.training.rewards.answers import Completion, Levels, Reward, plain, read

WEIGHTS = (1.0, 1.0, 2.0, 1.0)  # normal or abnormal, type, event, context


def hier(
    completions: Sequence[Completion],
    levels: Sequence[Mapping[str, Any] | None],
    task: Sequence[str],
    *,
    weights: Sequence[float] = WEIGHTS,
    **_: object,
) -> Reward:
    """Returns the weighted share of levels that are right from the top on; range [0, 1], None for rows without levels.

    (1/Z) sum_k w_k prod_{j<=k} right_j over normal or abnormal, type, event and context, Z the sum of the weights of
    the levels that the truth states. Context counts by the F1 of scene and attributes together, all others by equality;
    no level below a wrong one counts, so that a lucky leaf earns nothing.

    Args:
        completions: as TRL gives them.
        levels: the truths, with abnormal, kind, event, scene and attributes; an empty event ends the levels before it,
            attributes None those before the context.
        task: of each row.
        weights: w of the four levels, not negative.
    """
    out: Reward = []
    for one, truth, name in zip(completions, levels, task, strict=True):
        out.append(None if truth is None else _share(read(name, one).levels, truth, weights))
    return out


def flat(
    completions: Sequence[Completion], levels: Sequence[Mapping[str, Any] | None], task: Sequence[str], **_: object
) -> Reward:
    """Returns 1 where verdict, type and event are all right, else 0: what `hier` refines; None without levels."""
    out: Reward = []
    for one, truth, name in zip(completions, levels, task, strict=True):
        said = None if truth is None else read(name, one).levels
        if truth is None:
            out.append(None)
        else:
            out.append(float(said is not None and _above(truth) == _above(vars(said))[: len(_above(truth))]))
    return out


def _share(said: Levels | None, truth: Mapping[str, Any], weights: Sequence[float]) -> float:
    path = _above(truth)
    asks_context = len(path) == 3 and truth.get("attributes") is not None
    total = sum(weights[: len(path)]) + (weights[3] if asks_context else 0.0)
    if said is None or total <= 0:
        return 0.0
    right = shared_levels(_above(vars(said)), path)
    earned = sum(weights[:right])
    if asks_context and right == len(path):
        earned += weights[3] * _f1(_context(vars(said)), _context(truth))
    return earned / total


def _above(levels: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the path of an event without its context; without the event where that is not stated."""
    verdict = "anomaly" if levels["abnormal"] else "normal"
    event = plain(str(levels["event"]))
    return (verdict, plain(str(levels["kind"])), *((event,) if event else ()))


def _context(levels: Mapping[str, Any]) -> set[str]:
    """Returns scene and attributes as a set; the scene is marked, as an attribute may bear the same name."""
    found = {plain(str(name)) for name in levels.get("attributes") or ()}
    scene = plain(str(levels.get("scene") or ""))
    return found | ({f"scene {scene}"} if scene else set())


def _f1(first: set[str], second: set[str]) -> float:
    if not first and not second:
        return 1.0
    return 2 * len(first & second) / (len(first) + len(second))
