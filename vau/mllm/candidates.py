"""How likely candidate replies are, read off a server in the three ways that servers offer.

Probe-VAD (arXiv 2609.17211) shows why: one frozen model's expected value over candidates scores far better than the
number that it writes. What each way measures, and where it is not exact, stands at its function.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vau.errors import MllmCannot
from vau.mllm.interface import CandidateScores, Message, Text, TimedFrame, Usage
from vau.mllm.wire import first_choice, malformed, read_usage, write_messages

TOP = 20  # most alternatives a token that OpenAI's protocol allows
DECISION_FRAMES = 4  # pictures that a decision of `transformers serve` may hold
DECISION_OPTIONS = 26  # it labels options A to Z
_OPEN_ENDED = {"add_generation_prompt": False, "continue_final_message": True}
_FLOOR = -9999.0  # what vLLM writes for a probability of zero


# -- vLLM ------------------------------------------------------------------------------------------------------------


def tokenize_bodies(model: str, messages: Sequence[Message], candidates: Sequence[str]) -> list[dict[str, Any]]:
    """Returns requests to ``/tokenize``: the prompt, then the prompt with each candidate.

    Pictures are left out, since only the end of the prompt matters to how a candidate falls into tokens.
    """
    bare = [replace(message, parts=_texts(message)) for message in messages]
    return [
        {"model": model, "messages": write_messages(bare)},
        *({"model": model, "messages": _with(bare, text), **_OPEN_ENDED} for text in candidates),
    ]


def read_tokens(answers: Sequence[Any]) -> list[tuple[int, ...]]:
    """Returns the token ids of each candidate from the answers to `tokenize_bodies`.

    Raises:
        MllmCannot: the chat template or the tokenizer puts a candidate elsewhere than right after the prompt.
    """
    prompt, *whole = [_ids(answer) for answer in answers]
    for ids in whole:
        if ids[: len(prompt)] != prompt or len(ids) == len(prompt):
            raise MllmCannot("this model's chat template does not let a candidate follow the prompt as it stands")
    return [ids[len(prompt) :] for ids in whole]


def _ids(answer: Any) -> tuple[int, ...]:
    ids = answer.get("tokens") if isinstance(answer, dict) else None
    if not isinstance(ids, list) or not all(isinstance(item, int) for item in ids):
        raise malformed("no tokens", answer)
    return tuple(ids)


def next_token_body(model: str, messages: Sequence[Message], ids: Sequence[int]) -> dict[str, Any]:
    """Returns a request for the probabilities of single tokens as the reply's first: one pass for all candidates."""
    return {
        "model": model,
        "messages": write_messages(messages),
        "max_tokens": 1,
        "temperature": 1.0,
        "logprobs": True,
        "top_logprobs": TOP,
        "logprob_token_ids": list(ids),
        "return_tokens_as_token_ids": True,
    }


def read_next_token(answer: Any, ids: Sequence[int]) -> list[float] | None:
    """Returns exact log probabilities of tokens, None where the server did not list them all."""
    listed = _listed(answer)
    found = [listed.get(f"token_id:{item}") for item in ids]
    return None if None in found else [_log(value) for value in found]


def prompt_bodies(model: str, messages: Sequence[Message], candidates: Sequence[str]) -> list[dict[str, Any]]:
    """Returns requests that put each candidate after the prompt and ask how likely the tokens of the prompt are."""
    return [
        {"model": model, "messages": _with(messages, text), "max_tokens": 1, "prompt_logprobs": 0, **_OPEN_ENDED}
        for text in candidates
    ]


def read_prompt(answer: Any, ids: Sequence[int]) -> float:
    """Returns the exact log probability of a candidate, the sum over its tokens at the prompt's end."""
    rows = answer.get("prompt_logprobs") if isinstance(answer, dict) else None
    if not isinstance(rows, list) or len(rows) <= len(ids):
        raise MllmCannot("the server returns no probabilities of prompt tokens")
    total = 0.0
    for row, item in zip(rows[-len(ids) :], ids, strict=True):
        cell = row.get(str(item)) if isinstance(row, dict) else None
        if not isinstance(cell, dict):
            raise MllmCannot(
                "the server splits a candidate into other tokens within the conversation than without pictures"
            )
        total += _log(cell.get("logprob"))
    return total


# -- Any server with top_logprobs -------------------------------------------------------------------------------------


def top_body(model: str, messages: Sequence[Message]) -> dict[str, Any]:
    """Returns a request for the likeliest first tokens of the reply."""
    return {
        "model": model,
        "messages": write_messages(messages),
        "max_tokens": 1,
        "temperature": 1.0,
        "logprobs": True,
        "top_logprobs": TOP,
    }


def read_top(answer: Any, candidates: Sequence[str], images: int) -> CandidateScores:
    """Matches candidates with the listed first tokens by their text, white space before it allowed.

    Exact where every candidate is listed; a candidate that is not has less probability than all that are, is given
    none, and the result says that it is not exact.

    Raises:
        MllmCannot: the server lists no tokens, none of the candidates, or only the beginning of one: its probability
            as a whole cannot be known here.
    """
    listed = _listed(answer)
    if not listed:
        raise MllmCannot("the server returns no log probabilities; ask for a choice instead, or use vLLM")
    log_probs = []
    for text in candidates:
        same = [_log(value) for token, value in listed.items() if token.strip() == text.strip()]
        begun = [token for token in listed if token.strip() and text.strip().startswith(token.strip())]
        if not same and begun:
            raise MllmCannot(f"the candidate {text!r} is more than one token ({begun[0]!r} ...): choose single words")
        log_probs.append(float(np.logaddexp.reduce(same)) if same else -math.inf)
    if max(log_probs) == -math.inf:
        raise MllmCannot(f"none of {list(candidates)} is among the {len(listed)} likeliest first tokens of the reply")
    exact = -math.inf not in log_probs
    return CandidateScores(tuple(candidates), np.minimum(log_probs, 0.0), exact, read_usage(answer, images))


def _listed(answer: Any) -> dict[str, Any]:
    """Returns the alternatives of the reply's first token and their log probabilities."""
    spoken = first_choice(answer).get("logprobs")
    rows = spoken.get("content") if isinstance(spoken, dict) else None
    if not isinstance(rows, list) or not rows or not isinstance(rows[0], dict):
        return {}
    cells = [*(rows[0].get("top_logprobs") or ()), rows[0]]
    return {str(cell["token"]): cell.get("logprob") for cell in cells if isinstance(cell, dict) and "token" in cell}


# -- Decisions of `transformers serve` --------------------------------------------------------------------------------


def decision_body(model: str, messages: Sequence[Message], candidates: Sequence[str]) -> dict[str, Any]:
    """Returns a request to ``/v1/systemone``: the conversation as the state, the candidates as options.

    Raises:
        MllmCannot: there are more pictures or candidates than the endpoint takes.
    """
    shown = sum(len(message.pictures) for message in messages)
    if shown > DECISION_FRAMES or len(candidates) > DECISION_OPTIONS:
        raise MllmCannot(
            f"decisions of `transformers serve` take {DECISION_FRAMES} pictures and {DECISION_OPTIONS} options, got "
            f"{shown} and {len(candidates)}"
        )
    names: dict[str, Any] = {}
    lines = []
    for message in messages:
        parts = []
        for part in message.parts:
            if isinstance(part, Text):
                parts.append(part.text)
                continue
            name = f"[[frame {len(names) + 1}]]"
            data = base64.b64encode(part.jpeg).decode("ascii")
            names[name] = {"type": "image", "format": "jpeg", "data_base64": data}
            parts.append(f"{part.time_text} {name}" if isinstance(part, TimedFrame) else name)
        lines.append("\n".join(parts))
    text = "\n\n".join(lines)
    if text.count("[[frame ") != len(names):
        raise MllmCannot("a message holds '[[frame ', which marks the place of a picture in decisions")
    question = {"type": "choice", "criteria": dict.fromkeys(candidates)}
    return {"model": model, "state": text, "questions": {"reply": question}, "assets": names}


def read_decision(answer: Any, candidates: Sequence[str], images: int) -> CandidateScores:
    """Reads the probabilities of the options.

    They are not those of the candidates' own words: the server lists the options under letters and compares the
    letters, so that they sum to 1 among the candidates, and the result says that it is not exact.
    """
    answers = answer.get("answers") if isinstance(answer, dict) else None
    given = answers.get("reply") if isinstance(answers, dict) else None
    table = given.get("probabilities") if isinstance(given, dict) else None
    values = [table.get(text) for text in candidates] if isinstance(table, dict) else []
    if not values or not all(isinstance(value, int | float) and 0 <= value <= 1 for value in values):
        raise malformed("no probabilities", answer)
    with np.errstate(divide="ignore"):
        log_probs = np.log(np.asarray(values, np.float64))
    if not np.isfinite(log_probs).any():
        raise malformed("no probability above zero", answer)
    return CandidateScores(tuple(candidates), log_probs, False, read_usage(answer, images))


def _with(messages: Sequence[Message], candidate: str) -> list[dict[str, Any]]:
    return write_messages([*messages, Message.of("assistant", candidate)])


def _texts(message: Message) -> tuple[Text, ...]:
    texts = tuple(part for part in message.parts if isinstance(part, Text))
    return texts or (Text(""),)


def _log(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise MllmCannot(f"the server wrote no number for a log probability: {value!r}")
    return -math.inf if value <= _FLOOR else min(float(value), 0.0)


def collect(
    candidates: Sequence[str], log_probs: Sequence[float], answers: Sequence[Mapping[str, Any]], images: int
) -> CandidateScores:
    """Puts exact log probabilities together with what all requests for them have cost."""
    usage = sum((read_usage(answer, images) for answer in answers), Usage())
    if not any(math.isfinite(value) for value in log_probs):
        raise MllmCannot(f"the model gives none of {list(candidates)} any probability")
    return CandidateScores(tuple(candidates), np.asarray(log_probs, np.float64), True, usage)
