"""Any OpenAI-compatible server as a language model: vLLM first, then `transformers serve`, llama.cpp, hosted services.

It knows the protocol and three dialects of it, no prompt and no weights. The names of vLLM's own fields are those from
0.12 on (``structured_outputs``).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from vau.errors import MllmCannot, MllmError, MllmRefused, MllmUnavailable
from vau.mllm import candidates as likelihoods
from vau.mllm.endpoint import Endpoint
from vau.mllm.interface import (
    GREEDY,
    CandidateScores,
    Message,
    Reply,
    Sampling,
    Schema,
    check_candidates,
)
from vau.mllm.thinking import ThinkFilter
from vau.mllm.transport import Transport
from vau.mllm.wire import (
    count_images,
    malformed,
    read_choice,
    read_piece,
    read_reply,
    write_choices,
    write_messages,
    write_sampling,
    write_schema,
)

Dialect = Literal["vllm", "transformers", "openai"]

TIMEOUT_S = 120.0  # of one call, as Frigate has it
_PROBE_S = 15.0


class OpenAiClient:
    """A model behind an OpenAI-compatible server; any number of threads may use one client at once.

    What it can do depends on the dialect:

    * ``vllm``: guided decoding by schema and by choices. Likelihoods are exact, by one request where each candidate is
      one token, else by one a candidate. They are exact for a server that returns raw probabilities, its default.
    * ``transformers``: no guided decoding and no stop texts. Likelihoods by its decisions endpoint, of the options
      among each other and for at most four pictures; not exact.
    * ``openai``: guided decoding by schema, choices as a schema. Likelihoods by the 20 likeliest first tokens, so for
      candidates of one token only; exact where all of them are listed.

    A reasoning model that thinks before it answers has no likelihood of an answer right after the prompt: turn its
    thinking off on the server.

    Args:
        endpoint: the server and its key, or its base URL where it needs no key.
        model: its name there; empty: the one model that the server has, asked for with the first call.
        dialect: see above; None: found out with the first call that needs it.
        timeout_s: seconds that a call may take, where the call itself does not say.
        max_reply_bytes: size beyond which an answer is refused.
        ca_file: certificates of a private authority, PEM.
    """

    def __init__(
        self,
        endpoint: Endpoint | str,
        model: str = "",
        *,
        dialect: Dialect | None = None,
        timeout_s: float = TIMEOUT_S,
        max_reply_bytes: int = 32 * 2**20,
        ca_file: Path | None = None,
    ) -> None:
        self._endpoint = Endpoint(endpoint) if isinstance(endpoint, str) else endpoint
        self._transport = Transport(self._endpoint, max_bytes=max_reply_bytes, ca_file=ca_file)
        self._timeout_s = timeout_s
        self._lock = threading.Lock()  # over finding out the two below
        self._model = model
        self._dialect: Dialect | None = dialect

    def __repr__(self) -> str:
        return f"OpenAiClient({self._endpoint.api!r}, {self._model!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends all calls under way with `MllmCancelled` and takes no more."""
        self._transport.close()

    @property
    def name(self) -> str:
        """The model's name on the server."""
        with self._lock:
            if not self._model:
                self._model = self._only_model()
            return self._model

    @property
    def dialect(self) -> Dialect:
        """What kind of server it is."""
        with self._lock:
            if self._dialect is None:
                self._dialect = self._find_dialect()
            return self._dialect

    def models(self) -> list[dict[str, Any]]:
        """Returns the server's list of models as it gives it; a light request, good to see whether it is up."""
        answer = self._transport.get(f"{self._endpoint.api}/models", min(self._timeout_s, _PROBE_S))
        rows = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(rows, list):
            raise malformed("no list of models", answer)
        return [row for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)]

    def generate(
        self,
        messages: Sequence[Message],
        *,
        sampling: Sampling = GREEDY,
        schema: Schema | None = None,
        choices: tuple[str, ...] | None = None,
        timeout_s: float | None = None,
    ) -> Reply:
        """Continues a conversation; see `vau.mllm.interface.Mllm`."""
        if schema is not None and choices is not None:
            raise ValueError("a reply follows a schema or is one of some choices, not both")
        end = self._end(timeout_s)
        body = self._body(messages, sampling)
        if schema is not None:
            body |= write_schema(schema)
        if choices is not None:
            choices = check_candidates(choices)
            body |= write_choices(choices, vllm=self.dialect == "vllm")
        reply = read_reply(self._chat(body, end), count_images(messages))
        reply = replace(reply, model=reply.model or self.name)
        return reply if choices is None else replace(reply, text=read_choice(reply.text, choices))

    def stream(
        self, messages: Sequence[Message], *, sampling: Sampling = GREEDY, timeout_s: float | None = None
    ) -> Iterator[str]:
        """Continues a conversation in pieces; see `vau.mllm.interface.Mllm`."""
        end = self._end(timeout_s)
        body = self._body(messages, sampling) | {"stream": True}
        shown, complete = ThinkFilter(), False
        for data in self._transport.events(self._chat_url, body, _left(end)):
            piece, complete = read_piece(data)
            if text := shown.feed(piece):
                yield text
            if complete:
                break
        if text := shown.finish():
            yield text
        if not complete:
            raise MllmUnavailable(f"{self._endpoint.api} broke off in the middle of its reply")

    def likelihood(
        self, messages: Sequence[Message], candidates: Sequence[str], *, timeout_s: float | None = None
    ) -> CandidateScores:
        """Tells how likely each candidate is; how, and how exactly, depends on the dialect: see the class."""
        given = check_candidates(candidates)
        end = self._end(timeout_s)
        images = count_images(messages)
        if self.dialect == "vllm":
            return self._vllm_likelihood(messages, given, images, end)
        if self.dialect == "transformers":
            body = likelihoods.decision_body(self.name, messages, given)
            answer = self._transport.post(f"{self._endpoint.api}/systemone", body, _left(end))
            return likelihoods.read_decision(answer, given, images)
        try:
            answer = self._chat(likelihoods.top_body(self.name, messages), end)
        except MllmRefused as error:
            raise MllmCannot(f"the server does not return log probabilities: {error}") from error
        return likelihoods.read_top(answer, given, images)

    def _vllm_likelihood(
        self, messages: Sequence[Message], candidates: tuple[str, ...], images: int, end: float
    ) -> CandidateScores:
        asked = likelihoods.tokenize_bodies(self.name, messages, candidates)
        tokens = likelihoods.read_tokens(self._transport.post_all(f"{self._endpoint.root}/tokenize", asked, _left(end)))
        if all(len(ids) == 1 for ids in tokens):
            ids = [item for (item,) in tokens]
            answer = self._chat(likelihoods.next_token_body(self.name, messages, ids), end)
            # A server that does not know how to list given tokens lists the likeliest, which may be enough.
            if (found := likelihoods.read_next_token(answer, ids)) is not None:
                return likelihoods.collect(candidates, found, [answer], images)
        bodies = likelihoods.prompt_bodies(self.name, messages, candidates)
        answers = self._transport.post_all(self._chat_url, bodies, _left(end))
        log_probs = [likelihoods.read_prompt(answer, ids) for answer, ids in zip(answers, tokens, strict=True)]
        return likelihoods.collect(candidates, log_probs, answers, images)

    @property
    def _chat_url(self) -> str:
        return f"{self._endpoint.api}/chat/completions"

    def _body(self, messages: Sequence[Message], sampling: Sampling) -> dict[str, Any]:
        if sampling.stop and self.dialect == "transformers":
            # Seen with 5.23: it looks for a tokenizer where such a model has a processor, and answers 500.
            raise MllmCannot("`transformers serve` fails on stop texts with a multimodal model; leave them out")
        return {"model": self.name, "messages": write_messages(messages)} | write_sampling(sampling)

    def _chat(self, body: dict[str, Any], end: float) -> Any:
        return self._transport.post(self._chat_url, body, _left(end))

    def _end(self, timeout_s: float | None) -> float:
        return time.monotonic() + (self._timeout_s if timeout_s is None else min(timeout_s, self._timeout_s))

    def _only_model(self) -> str:
        try:
            names = [row["id"] for row in self.models()]
        except MllmUnavailable as error:
            hint = "where the server does not list its models, name the one to use (mllm.name)"
            raise MllmUnavailable(f"{error}; {hint}") from None
        if len(names) != 1:
            listed = ", ".join(names[:10]) or "none"
            raise MllmError(f"name the model to use (mllm.name): {self._endpoint.api} has {listed}")
        return str(names[0])

    def _find_dialect(self) -> Dialect:
        # The probe comes first: `transformers serve` fails to list models on a machine without a hub cache.
        if self._transport.takes_post(f"{self._endpoint.api}/systemone", min(self._timeout_s, _PROBE_S)):
            return "transformers"
        return "vllm" if any(row.get("owned_by") == "vllm" for row in self.models()) else "openai"


def _left(end: float) -> float:
    return max(end - time.monotonic(), 0.0)
