"""Likelihoods of candidates, against servers that answer from a small language model with known probabilities."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests import scripted_server as play
from tests.scripted_server import ScriptedServer
from vau.errors import MllmCannot, MllmError, MllmRefused, MllmTimeout, MllmUnavailable
from vau.mllm.interface import CandidateScores, Message, Picture, TimedFrame, Usage
from vau.mllm.openai_client import OpenAiClient

JPEG = b"\xff\xd8\xff\xe0 a picture \xff\xd9"
ASK = [Message.of("system", "judge"), Message.of("user", TimedFrame(JPEG, 1.0), "score from 0 to 9?")]
IMAGE_TOKENS = [900, 901, 902]
END = 1
# Tokens of the little model: single characters, and whole words for a few.
WORDS = {"yes": 500, "no": 501}


def tokens(text: str) -> list[int]:
    return [WORDS[text]] if text in WORDS else [ord(char) for char in text]


def prompt(messages: list[dict[str, Any]], open_ended: bool) -> list[int]:
    """What a chat template makes of messages: roles, content, end of turn; pictures are tokens."""
    ids: list[int] = []
    for place, message in enumerate(messages):
        content = message["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        ids.append(ord(message["role"][0]))
        for part in parts:
            ids += tokens(part["text"]) if part["type"] == "text" else IMAGE_TOKENS
        if not (open_ended and place == len(messages) - 1):
            ids.append(END)
    return ids if open_ended else [*ids, ord("a")]


def log_prob(before: Sequence[int], token: int) -> float:
    """The little model: any function of prefix and token will do."""
    return -0.1 - ((sum(before) * 7 + token * 13 + len(before)) % 50) / 10


def truth(candidate: str) -> float:
    from vau.mllm.wire import write_messages

    ids = prompt(write_messages(ASK), False)
    total = 0.0
    for token in tokens(candidate):
        total += log_prob(ids, token)
        ids.append(token)
    return total


def tokenize(body: Any) -> Any:
    assert "image_url" not in str(body)
    return {"tokens": prompt(body["messages"], body.get("continue_final_message", False))}


class Vllm:
    """A chat route with vLLM's extra fields."""

    def __init__(self, knows_token_ids: bool = True, knows_prompts: bool = True) -> None:
        self.knows_token_ids = knows_token_ids
        self.knows_prompts = knows_prompts
        self.bodies: list[Any] = []

    def __call__(self, body: Any) -> Any:
        self.bodies.append(body)
        ids = prompt(body["messages"], body.get("continue_final_message", False))
        out = play.completion("x")
        if body.get("prompt_logprobs") == 0 and self.knows_prompts:
            rows: list[Any] = [None]
            for place in range(1, len(ids)):
                value = {"logprob": log_prob(ids[:place], ids[place]), "rank": 1, "decoded_token": "?"}
                rows.append({str(ids[place]): value})
            out["prompt_logprobs"] = rows
        if body.get("logprobs"):
            asked = body["logprob_token_ids"] if self.knows_token_ids else [9998, 9999]
            cells = [{"token": f"token_id:{item}", "logprob": log_prob(ids, item)} for item in asked]
            out["choices"][0]["logprobs"] = {"content": [{**cells[0], "top_logprobs": cells}]}
        return out


def ask_vllm(chat: Vllm, candidates: tuple[str, ...], tokenizer: play.Route = tokenize) -> CandidateScores:
    routes = {"/v1/chat/completions": chat, "/tokenize": tokenizer}
    with ScriptedServer(routes=routes) as server, OpenAiClient(server.url, play.MODEL, dialect="vllm") as model:
        return model.likelihood(ASK, candidates)


def test_vllm_reads_single_tokens_in_one_request() -> None:
    chat = Vllm()
    scores = ask_vllm(chat, ("0", "5", "9", "yes"))
    assert scores.exact
    assert len(chat.bodies) == 1
    assert chat.bodies[0]["logprob_token_ids"] == [48, 53, 57, 500]
    np.testing.assert_allclose(scores.log_probs, [truth(text) for text in scores.candidates])
    assert scores.usage == Usage(10, 1, 1)


@pytest.mark.parametrize("candidates", [("0.1", "0.2", "1.0"), ("yes", "maybe")])
def test_vllm_sums_several_tokens_of_the_prompt(candidates: tuple[str, ...]) -> None:
    chat = Vllm()
    scores = ask_vllm(chat, candidates)
    assert scores.exact
    assert len(chat.bodies) == len(candidates)
    np.testing.assert_allclose(scores.log_probs, [truth(text) for text in candidates])
    assert scores.usage.prompt_tokens == 10 * len(candidates)


def test_vllm_that_cannot_list_given_tokens() -> None:
    scores = ask_vllm(Vllm(knows_token_ids=False), ("yes", "no"))
    assert scores.exact
    np.testing.assert_allclose(scores.log_probs, [truth("yes"), truth("no")])


def test_vllm_with_a_template_that_changes_the_prompt() -> None:
    def thinking(body: Any) -> Any:
        ids = tokenize(body)["tokens"]
        return {"tokens": [7, *ids] if body.get("continue_final_message") else ids}

    with pytest.raises(MllmCannot, match="template"):
        ask_vllm(Vllm(), ("yes", "no"), thinking)


def test_vllm_without_prompt_probabilities() -> None:
    with pytest.raises(MllmCannot, match="prompt tokens"):
        ask_vllm(Vllm(knows_prompts=False), ("0.1", "0.2"))
    with pytest.raises(MllmUnavailable, match="no tokens"):
        ask_vllm(Vllm(), ("0.1", "0.2"), lambda _: {"tokens": None})


@pytest.mark.parametrize(
    ("behaviours", "error"),
    [
        ([play.status(500), play.hang], MllmUnavailable),
        ([play.status(500), play.status(400)], MllmRefused),
        ([play.hang, play.hang], MllmTimeout),
    ],
)
def test_vllm_that_fails_on_one_of_several_requests(behaviours: list[play.Behaviour], error: type[MllmError]) -> None:
    with (
        ScriptedServer(routes={"/tokenize": tokenize}) as server,
        OpenAiClient(server.url, play.MODEL, dialect="vllm") as model,
    ):
        server.play(*behaviours)
        with pytest.raises(MllmError) as caught:
            model.likelihood(ASK, ("0.1", "0.2"), timeout_s=1.0)
        # Whichever of two failures comes first ends the other request.
        assert type(caught.value) in ({error, MllmUnavailable} if error is MllmRefused else {error})


def top(**alternatives: float) -> play.Behaviour:
    cells = [{"token": token, "logprob": value} for token, value in alternatives.items()]
    out = play.completion("x")
    out["choices"][0]["logprobs"] = {"content": [{**cells[0], "top_logprobs": cells}]}
    return play.answer(out)


def ask_openai(behaviour: play.Behaviour, candidates: tuple[str, ...]) -> CandidateScores:
    with ScriptedServer(behaviour) as server, OpenAiClient(server.url, play.MODEL, dialect="openai") as model:
        scores = model.likelihood(ASK, candidates)
        assert server.chats[0].body["top_logprobs"] == 20
        return scores


def test_first_tokens() -> None:
    scores = ask_openai(top(**{"yes": -1.0, " yes": -2.0, "no": -3.0, "maybe": -4.0}), ("yes", "no"))
    assert scores.exact
    np.testing.assert_allclose(scores.log_probs, [math.log(math.exp(-1) + math.exp(-2)), -3.0])


def test_first_tokens_that_do_not_list_a_candidate() -> None:
    scores = ask_openai(top(yes=-0.01, maybe=-5.0), ("yes", "no"))
    assert not scores.exact
    np.testing.assert_array_equal(scores.log_probs, [-0.01, -np.inf])


def test_first_tokens_that_only_begin_a_candidate() -> None:
    with pytest.raises(MllmCannot, match="more than one token"):
        ask_openai(top(**{"0": -0.1, "1": -2.0}), ("0.5", "1"))


@pytest.mark.parametrize(
    "behaviour",
    [top(perhaps=-0.1), play.reply("yes"), play.status(400), top(yes="high"), top(yes=True)],  # type: ignore[arg-type]
)
def test_first_tokens_that_say_nothing(behaviour: play.Behaviour) -> None:
    with pytest.raises(MllmCannot):
        ask_openai(behaviour, ("yes", "no"))


def decide(answer: Any, candidates: tuple[str, ...], messages: Sequence[Message] = ASK) -> tuple[CandidateScores, Any]:
    bodies = []

    def route(body: Any) -> Any:
        bodies.append(body)
        return answer

    with (
        ScriptedServer(routes={"/v1/systemone": route}) as server,
        OpenAiClient(server.url, play.MODEL, dialect="transformers") as model,
    ):
        return model.likelihood(messages, candidates), bodies[0]


def test_decisions() -> None:
    answer = {
        "answers": {"reply": {"type": "choice", "choice": "no", "probabilities": {"yes": 0.25, "no": 0.75}}},
        "usage": {"input_tokens": 40, "output_tokens": 0},
    }
    scores, body = decide(answer, ("yes", "no"))
    assert not scores.exact
    np.testing.assert_allclose(scores.probabilities, [0.25, 0.75])
    assert scores.usage == Usage(40, 0, 1)
    assert set(body) == {"model", "state", "questions", "assets"}
    (name,) = body["assets"]
    assert f"<1.0 seconds> {name}" in body["state"]
    assert body["questions"] == {"reply": {"type": "choice", "criteria": {"yes": None, "no": None}}}


def test_a_picture_without_a_time_is_only_named_in_decisions() -> None:
    answer = {"answers": {"reply": {"probabilities": {"yes": 0.25, "no": 0.75}}}}
    _, body = decide(answer, ("yes", "no"), [Message.of("user", "a plot:", Picture(JPEG), TimedFrame(JPEG, 2.5))])
    assert body["state"] == "a plot:\n[[frame 1]]\n<2.5 seconds> [[frame 2]]"


def test_decisions_have_limits() -> None:
    frames = [TimedFrame(JPEG, float(time)) for time in range(5)]
    with pytest.raises(MllmCannot, match="4 pictures"):
        decide({}, ("yes", "no"), [Message.of("user", *frames)])
    with pytest.raises(MllmCannot, match="26 options"):
        decide({}, tuple(map(str, range(27))))
    with pytest.raises(MllmCannot, match="place of a picture"):
        decide({}, ("yes", "no"), [Message.of("user", "[[frame 1]]", frames[0])])


@pytest.mark.parametrize("table", [None, {}, {"yes": 0.5}, {"yes": 2.0, "no": 0.1}, {"yes": 0, "no": 0}])
def test_decisions_that_say_nothing(table: Any) -> None:
    with pytest.raises(MllmUnavailable):
        decide({"answers": {"reply": {"probabilities": table}}}, ("yes", "no"))
