"""The OpenAI chat protocol as plain data: request bodies out of messages, replies and pieces out of answers.

It opens no connection. Pictures travel as data URLs alone, so that a server never fetches anything on our behalf.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vau.errors import MllmUnavailable, ParseError
from vau.mllm import strict_json
from vau.mllm.interface import Message, Part, Picture, Reply, Sampling, Schema, Text, TimedFrame, Usage
from vau.mllm.thinking import split_thinking

_SHOWN = 200  # characters of a malformed answer in messages
# What vLLM, transformers and hosted servers call the think block where they part it from the text themselves.
_THINKING = ("reasoning", "reasoning_content")


def write_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Returns the messages of a request; the time of each frame is a text part right before its picture."""
    if not messages:
        raise ValueError("a conversation needs at least one message")
    return [{"role": message.role, "content": _content(message)} for message in messages]


def _content(message: Message) -> str | list[dict[str, Any]]:
    # A bare string where there are only texts: some chat templates take no lists for system and assistant.
    if not message.pictures:
        return "".join(part.text for part in message.parts if isinstance(part, Text))
    return [piece for part in message.parts for piece in _pieces(part)]


def _pieces(part: Part) -> Iterable[dict[str, Any]]:
    if isinstance(part, Text):
        return [{"type": "text", "text": part.text}]
    shown = {"type": "image_url", "image_url": {"url": _data_url(part)}}
    return [{"type": "text", "text": part.time_text}, shown] if isinstance(part, TimedFrame) else [shown]


def _data_url(picture: Picture) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(picture.jpeg).decode("ascii")


def count_images(messages: Iterable[Message]) -> int:
    """Returns the number of pictures in a conversation."""
    return sum(len(message.pictures) for message in messages)


def write_sampling(sampling: Sampling) -> dict[str, Any]:
    """Returns the fields of a request that say how tokens are drawn."""
    body: dict[str, Any] = {"max_tokens": sampling.max_tokens, "temperature": sampling.temperature}
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    return body


def write_schema(schema: Schema, name: str = "reply") -> dict[str, Any]:
    """Returns ``response_format``, the guided decoding that vLLM, llama.cpp and hosted servers share."""
    form: dict[str, Any] = {"name": name, "schema": dict(schema)}
    # Hosted servers guide strictly only where every object is closed, and refuse the request otherwise.
    if _closed(schema):
        form["strict"] = True
    return {"response_format": {"type": "json_schema", "json_schema": form}}


def _closed(schema: Any) -> bool:
    """Tells whether every object of a schema names all its keys as required and allows no others."""
    if isinstance(schema, list):
        return all(map(_closed, schema))
    if not isinstance(schema, Mapping):
        return True
    if schema.get("type") == "object" or "properties" in schema:
        keys = set(schema.get("properties", {}))
        if schema.get("additionalProperties") is not False or keys != set(schema.get("required", ())):
            return False
    return all(map(_closed, schema.values()))


def write_choices(choices: Sequence[str], *, vllm: bool) -> dict[str, Any]:
    """Returns the fields that let the reply be one of some texts: vLLM's own, or an object with one of them."""
    if vllm:
        return {"structured_outputs": {"choice": list(choices)}}
    choice = {"type": "string", "enum": list(choices)}
    return write_schema(
        {"type": "object", "properties": {"choice": choice}, "required": ["choice"], "additionalProperties": False},
        "choice",
    )


def read_choice(text: str, choices: Sequence[str]) -> str:
    """Returns the choice that a reply is, bare or as the value of ``{"choice": ...}``.

    Quotes, white space, a full stop and the case of letters are passed over; anything else is a `ParseError`.
    """
    said = text
    if text.lstrip().startswith("{"):
        try:
            value = strict_json.loads(text)
        except ValueError:
            value = None
        if isinstance(value, dict) and list(value) == ["choice"] and isinstance(value["choice"], str):
            said = value["choice"]
    if said in choices:
        return said
    plain = [choice for choice in choices if _plain(choice) == _plain(said)]
    if len(plain) != 1:
        raise ParseError(f"the reply is none of {list(choices)}: {said[:_SHOWN]!r}", text)
    return plain[0]


def _plain(text: str) -> str:
    return text.strip().strip("\"'").rstrip(".").strip().casefold()


def read_reply(answer: Any, images: int) -> Reply:
    """Reads a ``chat.completion``; MllmUnavailable where it is none."""
    choice = first_choice(answer)
    message = choice.get("message")
    if not isinstance(message, dict) or not isinstance(message.get("content") or "", str):
        raise malformed("no message", answer)
    text = message.get("content") or ""
    thinking, rest = split_thinking(text)
    apart = next((message[name] for name in _THINKING if isinstance(message.get(name), str)), "")
    return Reply(
        text=rest,
        model=str(answer.get("model") or ""),
        thinking=(apart.strip() or thinking),
        finish_reason=str(choice.get("finish_reason") or "stop"),
        usage=read_usage(answer, images),
    )


def first_choice(answer: Any) -> dict[str, Any]:
    """Returns the one choice of an answer; MllmUnavailable where there is none."""
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise malformed("no choices", answer)
    return choices[0]


def read_usage(answer: Mapping[str, Any], images: int) -> Usage:
    """Returns what an answer says it has cost, zero tokens where it does not say."""
    usage = answer.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    prompt = counts.get("prompt_tokens", counts.get("input_tokens"))
    completion = counts.get("completion_tokens", counts.get("output_tokens"))
    return Usage(_count(prompt), _count(completion), images)


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**53 else 0


def read_piece(data: str) -> tuple[str, bool]:
    """Reads one event of a stream, or the whole reply of a server that does not stream.

    Returns:
        Its text, often empty, and whether the reply is complete with it: some servers end with ``[DONE]``, others with
        a finish reason alone.

    Raises:
        MllmUnavailable: the event reports an error or cannot be read.
    """
    if data.strip() == "[DONE]":
        return "", True
    try:
        event = strict_json.loads(data)
    except ValueError as error:
        raise MllmUnavailable(f"the server streamed what is no JSON ({error}): {data[:_SHOWN]!r}") from None
    if not isinstance(event, dict) or "error" in event:
        raise malformed("an error in the stream", event)
    if not event.get("choices"):
        return "", False  # usage alone
    choice = first_choice(event)
    if "message" in choice:
        return read_reply(event, 0).text, True
    delta = choice.get("delta")
    text = delta.get("content") if isinstance(delta, dict) else None
    return text if isinstance(text, str) else "", choice.get("finish_reason") is not None


def malformed(what: str, answer: Any) -> MllmUnavailable:
    """Makes the error for an answer that is not of the protocol."""
    return MllmUnavailable(f"the server's answer is not as the protocol says ({what}): {json.dumps(answer)[:_SHOWN]}")
