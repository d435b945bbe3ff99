"""Prompts with timed frames as the messages that TRL and transformers take; the same templates as at inference.

The content of a message is what `vau.mllm.local` makes of it: text, then each frame as its time and a place for a
picture. Time stands in text, as frames go in as single images and lose the time axis of video tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from PIL import Image

from vau.mllm.interface import Message, Text, TimedFrame
from vau.mllm.prompts import load_prompt

Messages = list[dict[str, Any]]
_BLANK = b"\xff\xd8\xff"  # stands for a picture while its prompt is rendered


def conversation(
    task: str, inputs: Mapping[str, Any], times_s: Sequence[float], images: Sequence[Image.Image] | None = None
) -> Messages:
    """Returns the prompt of a task about some frames.

    Args:
        task: name of its template.
        inputs: of the template, frames aside.
        times_s: of the frames, in order.
        images: put into their places; left open where None, as TRL fills them from a column.

    Raises:
        ValueError: the template does not take these inputs.
    """
    frames = [TimedFrame(_BLANK, float(time_s)) for time_s in times_s]
    messages = load_prompt(task).render(frames=frames, **inputs)
    pictures = iter(images or ())
    return [_message(message, pictures if images is not None else None) for message in messages]


@cache
def takes(task: str) -> frozenset[str]:
    """Returns the names of a template's inputs, frames aside."""
    return frozenset(item.name for item in load_prompt(task).inputs if item.kind != "frames")


def reply(text: str) -> Messages:
    """Returns a reply as the messages of a completion."""
    return [{"role": "assistant", "content": [{"type": "text", "text": text}]}]


def _message(message: Message, pictures: Any) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, Text):
            content.append({"type": "text", "text": part.text})
            continue
        if isinstance(part, TimedFrame):
            content.append({"type": "text", "text": part.time_text})
        content.append({"type": "image"} if pictures is None else {"type": "image", "image": next(pictures)})
    return {"role": message.role, "content": content}
