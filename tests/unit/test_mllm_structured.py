import json
import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import scripted_server as play
from tests.scripted_server import ScriptedServer
from vau.errors import MllmTimeout, ParseError
from vau.mllm import strict_json
from vau.mllm.interface import Message, Usage
from vau.mllm.openai_client import OpenAiClient
from vau.mllm.structured import Structured, ask, parse

SCHEMA = {
    "type": "object",
    "properties": {
        "reason": {"type": "string"},
        "score": {"type": "number", "minimum": 0, "maximum": 1},
    },
    "required": ["reason", "score"],
    "additionalProperties": False,
}
GOOD = {"reason": "a man falls", "score": 0.9}
TEXT = json.dumps(GOOD)
ASK = [Message.of("user", "score it")]


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"\n {TEXT} \n",
        f"```json\n{TEXT}\n```",
        f"Here it is:\n\n```\n{TEXT}\n```\nI hope this helps.",
        f"<think>score {{0.5}}?</think>\n{TEXT}",
        f"<think>x</think><answer>{TEXT}</answer>",
        f"<answer>\n```json\n{TEXT}\n```\n</answer>",
    ],
)
def test_forms_that_are_read(text: str) -> None:
    assert parse(text, SCHEMA) == GOOD


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("<think>still thinking about " + TEXT, "empty"),
        ("I cannot tell.", "no JSON"),
        (f"{TEXT} and so on", "no JSON"),
        (f"```json\n{TEXT}\n```\n```json\n{TEXT}\n```", "no JSON"),
        (TEXT[:-5], "no JSON"),
        (TEXT.replace('"', "'"), "no JSON"),
        ("__import__('os').system('id')", "no JSON"),
        ('{"reason": "x", "score": NaN}', "NaN"),
        ('{"reason": "x", "score": Infinity}', "Infinity"),
        ('{"reason": "x", "score": 1e999}', "out of range"),
        ('{"reason": "x", "score": 0.1, "score": 0.9}', "'score' comes twice"),
        ('{"reason": "x", "score": 3}', "reply.score"),
        ('{"reason": "x"}', "'score' is a required property"),
        ('{"reason": "x", "score": 0.5, "extra": 1}', "extra"),
        ("[" * 10_000 + "]" * 10_000, "nested"),
        ('{"a":' * 50, "nested"),
        ('"' + "x" * 300_000 + '"', "characters"),
        ('{"reason": "x", "score": ' + "9" * 5000 + "}", "no JSON"),
    ],
)
def test_everything_else_is_a_parse_error_with_the_raw_text(text: str, says: str) -> None:
    with pytest.raises(ParseError, match=says) as caught:
        parse(text, SCHEMA)
    assert caught.value.raw == text
    assert len(str(caught.value)) < 1000


def test_references_lead_nowhere() -> None:
    with ScriptedServer() as server:
        with pytest.raises(Exception, match="Unresolvable"):
            parse("{}", {"$ref": f"{server.url}/schema.json"})
        assert server.server.requests == []


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_all_json_is_read_as_it_is(value: Any) -> None:
    assert strict_json.loads(json.dumps(value)) == value
    assert strict_json.loads(json.dumps(value, ensure_ascii=False)) == value


@given(st.text())
def test_any_text_is_read_or_a_parse_error(text: str) -> None:
    try:
        parse(text, {})
    except ParseError as error:
        assert error.raw == text


@given(st.integers(1, 60))
def test_depth_is_counted_outside_strings(depth: int) -> None:
    text = "[" * depth + json.dumps('"[[[[\\' * 30) + "]" * depth
    if depth > 32:
        with pytest.raises(ValueError, match="deeper"):
            strict_json.loads(text)
    else:
        assert strict_json.loads(text)


def ask_twice(behaviours: Sequence[play.Behaviour], timeout_s: float = 5.0) -> tuple[Structured, list[play.Request]]:
    with ScriptedServer() as server, OpenAiClient(server.url, play.MODEL, dialect="openai") as model:
        server.play(*behaviours)
        return ask(model, ASK, SCHEMA, timeout_s=timeout_s), server.chats


def test_a_good_reply_is_asked_for_once() -> None:
    out, chats = ask_twice([play.reply(TEXT)])
    assert (out.value, out.repaired, len(chats)) == (GOOD, False, 1)
    assert out.usage == Usage(10, len(TEXT.split()), 0)


def test_a_bad_reply_is_mended_once() -> None:
    out, chats = ask_twice([play.reply('{"reason": "a man falls"}'), play.reply(TEXT)])
    assert (out.value, out.repaired) == (GOOD, True)
    assert out.usage.prompt_tokens == 20
    (asked,) = chats[1].body["messages"]
    assert asked["role"] == "user"
    assert asked["content"].startswith("score it\n\n")
    assert '{"reason": "a man falls"}' in asked["content"]
    assert "'score' is a required property" in asked["content"]


def test_two_bad_replies_are_a_parse_error() -> None:
    cut = play.completion("{ again")
    cut["choices"][0]["finish_reason"] = "length"
    with pytest.raises(ParseError, match="cut off at 512 tokens") as caught:
        ask_twice([play.reply(""), play.answer(cut)])
    assert caught.value.raw == "{ again"


def test_both_calls_share_the_time() -> None:
    start = time.monotonic()
    with pytest.raises(MllmTimeout):
        ask_twice([play.reply("bad", latency_s=0.3), play.hang], timeout_s=0.5)
    assert time.monotonic() - start < 1.2
