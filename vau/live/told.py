"""What a watch tells: one JSON object a line, and the same as a line for people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vau.live.watch import EARLY_S, LiveEvent
from vau.reasoning.language import clock
from vau.types import Keyframe, Role

FORMAT = "vau.live/1"
_ROLES: tuple[Role, ...] = ("what", "why", "cause", "effect")
_SHOWN: tuple[Role, ...] = ("what", "why")
_THREATS = ("normal", "unusual: look at it", "dangerous: act")


def event_record(told: LiveEvent, pictures: Mapping[str, Path]) -> dict[str, Any]:
    """Returns an event as plain data.

    Args:
        told: the event.
        pictures: files of its keyframes by their id.
    """
    event, account = told.event, told.account
    return {
        "kind": "event",
        "event": event.event_id,
        "start_s": round(event.start_s, 3),
        "end_s": round(event.end_s, 3),
        "peak_s": round(event.peak_s, 3),
        "told_s": round(told.told_s, 3),
        "score": round(event.score, 4),
        "threat_level": account.threat_level,
        "confidence": round(account.confidence, 4),
        "title": account.title,
        **{role: account.role(role) for role in _ROLES},
        "signals": {name: round(share, 4) for name, share in event.signals},
        "keyframes": [
            {"time_s": round(item.time_s, 3), "phase": item.phase, "file": str(pictures[item.keyframe_id])}
            for item in told.keyframes
            if item.keyframe_id in pictures
        ],
        "continues": told.continues,
        "early": told.early,
    }


def event_lines(told: LiveEvent) -> list[str]:
    """Returns an event for people: when, what, why, and how surely."""
    event, account = told.event, told.account
    span = f"{clock(event.start_s)} to {clock(event.end_s)}"
    lines = [f"{event.event_id}  {span}  {account.title} ({_THREATS[account.threat_level]})"]
    lines += [f"    {text}" for role in _SHOWN if (text := account.role(role))]
    if told.continues:
        lines.append(f"    It was still going on at {clock(told.told_s)}; what follows is told by itself.")
    if told.early:
        lines.append(f"    Seen within the first {EARLY_S:.0f} seconds, when little is known of what is usual here.")
    return lines


def save_pictures(told: LiveEvent, folder: Path) -> dict[str, Path]:
    """Writes the keyframes of an event and returns their files by keyframe id."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for item in told.keyframes:
        files[item.keyframe_id] = file = folder / _name(told, item)
        file.write_bytes(item.jpeg)
    return files


def _name(told: LiveEvent, item: Keyframe) -> str:
    return f"{told.event.event_id}-{item.keyframe_id}-{item.phase}-{item.time_s:.2f}s.jpg"
