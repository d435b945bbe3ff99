"""Replies as JSON: read strictly, checked against a schema, mended once by asking the model again.

A reply that cannot be read is a `ParseError` with the raw text in it, never a default value: EventVAD's published code
turns one into the score -1, which then counts as most normal.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from referencing import Registry

from vau.errors import ParseError
from vau.mllm import strict_json
from vau.mllm.interface import GREEDY, Message, Mllm, Reply, Sampling, Schema, Text, Usage
from vau.mllm.prompts import load_prompt
from vau.mllm.thinking import split_thinking

MAX_CHARS = 200_000  # of a reply; an account has a few thousand
MAX_DEPTH = 16
_ECHOED = 4000  # characters of a bad reply that the model is shown again
_REASON = 300

# One fenced block, with or without a language, wherever it stands in the reply.
_FENCE = re.compile(r"^[ \t]*```[\w-]*[ \t]*\n(.*?)^[ \t]*```[ \t]*$", re.DOTALL | re.MULTILINE)
_ANSWER = re.compile(r"\s*<answer>(.*)</answer>\s*", re.DOTALL)

_REPAIR = "json_repair"  # the prompt that sends a reply back


@dataclass(frozen=True)
class Structured:
    """A reply that has been read."""

    value: Any  # fits the schema
    reply: Reply  # the one that was read
    usage: Usage  # of all calls that were paid for
    repaired: bool = False  # the first reply could not be read
    cached: bool = False  # no call was paid for


def parse(text: str, schema: Schema) -> Any:
    """Reads a reply that shall be one JSON value.

    A think block before it, ``<answer>`` tags and a single code fence around it are taken off. Nothing else is guessed:
    no single quotes, no trailing commas, no text around a bare value.

    Args:
        text: the reply as the model wrote it.
        schema: JSON schema (2020-12); references lead nowhere but into itself.

    Raises:
        ParseError: the text is no such value; `raw` holds it whole.
    """
    if len(text) > MAX_CHARS:
        raise ParseError(f"the reply has {len(text)} characters, more than the {MAX_CHARS} that are read", text)
    _, body = split_thinking(text)
    if tagged := _ANSWER.fullmatch(body):
        body = tagged[1]
    fenced = _FENCE.findall(body)
    if len(fenced) == 1 and not body.lstrip().startswith(("{", "[")):
        body = fenced[0]
    if not body.strip():
        raise ParseError("the reply is empty", text)
    try:
        value = strict_json.loads(body.strip(), MAX_CHARS, MAX_DEPTH)
    except ValueError as error:
        raise ParseError(f"the reply is no JSON: {error}", text) from None
    wrong = best_match(Draft202012Validator(schema, registry=Registry()).iter_errors(value))
    if wrong is not None:
        where = wrong.json_path.replace("$", "reply", 1)
        raise ParseError(f"{where}: {wrong.message[:_REASON]}", text)
    return value


def ask(
    model: Mllm,
    messages: Sequence[Message],
    schema: Schema,
    *,
    sampling: Sampling = GREEDY,
    timeout_s: float | None = None,
) -> Structured:
    """Asks for a reply by a schema; one that cannot be read goes back to the model once, with the reason.

    Args:
        model: which to ask; guided decoding is used where it has it.
        messages: the conversation; it should describe the form, for models that cannot be guided.
        schema: JSON schema of the reply.
        sampling: how tokens are drawn.
        timeout_s: seconds that both calls may take together.

    Raises:
        ParseError: the second reply cannot be read either; `raw` is the second one.
        MllmError: the model could not be asked.
    """
    start = time.monotonic()
    first = model.generate(messages, sampling=sampling, schema=schema, timeout_s=timeout_s)
    try:
        return Structured(parse(first.text, schema), first, _paid(first), cached=first.cached)
    except ParseError as error:
        reason = str(error)[:_REASON]
    left = None if timeout_s is None else max(timeout_s - (time.monotonic() - start), 0.0)
    second = model.generate(_again(messages, first, reason, schema), sampling=sampling, schema=schema, timeout_s=left)
    usage = _paid(first) + _paid(second)
    try:
        return Structured(
            parse(second.text, schema), second, usage, repaired=True, cached=first.cached and second.cached
        )
    except ParseError as error:
        cut = f"; it was cut off at {sampling.max_tokens} tokens" if second.finish_reason == "length" else ""
        raise ParseError(f"{error}, also when asked again{cut}", second.text) from None


def _again(messages: Sequence[Message], reply: Reply, reason: str, schema: Schema) -> list[Message]:
    """Returns the conversation with the bad reply put to the user's last message, quoted as the foreign text it is."""
    asked = load_prompt(_REPAIR).render(reply=reply.text[:_ECHOED], problem=reason, schema=json.dumps(schema))
    *earlier, last = messages
    if last.role != "user":
        return [*messages, *asked]
    # In one message, since many chat templates take none but the other side's next.
    parts = [part for message in asked for part in message.parts]
    return [*earlier, replace(last, parts=(*last.parts, Text("\n\n"), *parts))]


def _paid(reply: Reply) -> Usage:
    return Usage() if reply.cached else reply.usage
