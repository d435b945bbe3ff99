"""A multimodal model on this machine through the transformers library, with exact likelihoods of candidates.

It knows no prompt. Text that a user or a video brings cannot open or close turns: the special tokens of the model are
broken up in it. Each frame goes in with its time as text before it.
"""

from __future__ import annotations

import copy
import io
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from queue import Empty
from typing import Any

import numpy as np
from PIL import Image

from vau.errors import MllmError, MllmRefused, MllmTimeout
from vau.mllm.interface import (
    GREEDY,
    CandidateScores,
    Message,
    Reply,
    Sampling,
    Schema,
    Text,
    TimedFrame,
    Usage,
    check_candidates,
)
from vau.mllm.local_load import LocalModel, load
from vau.mllm.thinking import ThinkFilter, split_thinking

TIMEOUT_S = 600.0  # of one call; a large model on a CPU is slow
_AT_ONCE = 16  # candidates in one pass
_POLL_S = 0.2


class LocalMllm:
    """A model in this process. Calls from several threads wait for each other.

    A schema is not enforced: `vau.mllm.structured` checks. Choices are decided by the likelihood of each as the whole
    reply, its end included.

    Args:
        wanted: the model, or its folder or hub name.
        timeout_s: seconds that a call may take, waiting for others included, where the call itself does not say.

    Raises:
        MissingExtraError, WeightsError, CheckpointError, InputError: see `vau.mllm.local_load.load`.
    """

    def __init__(self, wanted: LocalModel | str, *, timeout_s: float = TIMEOUT_S) -> None:
        self._wanted = LocalModel(wanted) if isinstance(wanted, str) else wanted
        self._model, self._processor = load(self._wanted)
        self._tokenizer: Any = getattr(self._processor, "tokenizer", self._processor)
        self._special = _special_tokens(self._tokenizer)
        self._timeout_s = timeout_s
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"LocalMllm({self.name!r})"

    @property
    def name(self) -> str:
        """The model's name with adapter and precision."""
        return self._wanted.name

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
        if choices is not None:
            scores = self._score(messages, check_candidates(choices), self._end(timeout_s), whole=True)
            return Reply(_drawn(scores, sampling), self.name, usage=scores.usage)
        with self._turn(self._end(timeout_s)) as end:
            inputs = self._inputs(messages)
            limit = _Limit(end)
            written = self._write(inputs, sampling, limit)
        if limit.timed_out:
            raise MllmTimeout(f"{self.name} had not finished its reply after {len(written)} tokens")
        text = _before(self._tokenizer.decode(written, skip_special_tokens=True), sampling.stop)
        thinking, said = split_thinking(text)
        cut = len(written) >= sampling.max_tokens and written[-1] not in self._ends()
        usage = Usage(inputs["input_ids"].shape[1], len(written), sum(len(item.pictures) for item in messages))
        return Reply(said, self.name, thinking, "length" if cut else "stop", usage)

    def stream(
        self, messages: Sequence[Message], *, sampling: Sampling = GREEDY, timeout_s: float | None = None
    ) -> Iterator[str]:
        """Continues a conversation in pieces; one who stops reading stops the model."""
        from transformers import TextIteratorStreamer

        with self._turn(self._end(timeout_s)) as end:
            inputs = self._inputs(messages)
            limit, shown, said = _Limit(end), ThinkFilter(), ""
            streamer: Any = TextIteratorStreamer(
                self._tokenizer, skip_prompt=True, timeout=_POLL_S, skip_special_tokens=True
            )
            failed: list[MllmError] = []

            def work() -> None:
                try:
                    self._write(inputs, sampling, limit, streamer)
                except MllmError as error:
                    failed.append(error)
                finally:
                    streamer.end()

            worker = threading.Thread(target=work, daemon=True)
            worker.start()
            try:
                for piece in _pieces(streamer, worker):
                    whole = _before(said + piece, sampling.stop)
                    if text := shown.feed(whole[len(said) :]):
                        yield text
                    if len(whole) < len(said + piece):
                        break
                    said = whole
            finally:
                limit.cancelled.set()
                worker.join()
            if failed:
                raise failed[0]
            if limit.timed_out:
                raise MllmTimeout(f"{self.name} had not finished its reply in time")
            if text := shown.finish():
                yield text

    def likelihood(
        self, messages: Sequence[Message], candidates: Sequence[str], *, timeout_s: float | None = None
    ) -> CandidateScores:
        """Tells exactly how likely each candidate is; see `vau.mllm.interface.Mllm`.

        The prompt is read once; then all tokens of every candidate are given and their logits read.
        """
        return self._score(messages, check_candidates(candidates), self._end(timeout_s), whole=False)

    def _score(
        self, messages: Sequence[Message], candidates: tuple[str, ...], end: float, *, whole: bool
    ) -> CandidateScores:
        """Scores candidates as beginnings of the reply or, where `whole`, with the token that ends it."""
        import torch

        closing = sorted(self._ends())[:1] if whole else []
        with self._turn(end) as end, _memory(self.name), torch.inference_mode():
            inputs = self._inputs(messages)
            tokens = [ids + closing for ids in self._candidate_tokens(messages, candidates)]
            prompt = self._model(**inputs, use_cache=True)
            first = torch.log_softmax(prompt.logits[0, -1].float(), -1)
            log_probs: list[float] = []
            for start in range(0, len(tokens), _AT_ONCE):
                if time.monotonic() > end:
                    raise MllmTimeout(f"{self.name} scored {start} of {len(tokens)} candidates in time")
                some = tokens[start : start + _AT_ONCE]
                log_probs += self._follow(prompt.past_key_values, first, some)
        images = sum(len(message.pictures) for message in messages)
        usage = Usage(inputs["input_ids"].shape[1] + sum(map(len, tokens)), 0, images)
        return CandidateScores(candidates, np.minimum(log_probs, 0.0), True, usage)

    def _follow(self, cache: Any, first: Any, tokens: Sequence[list[int]]) -> list[float]:
        """Returns the log probability of each token list after the cached prompt.

        Args:
            cache: of the prompt; left as it is.
            first: (V,) log probabilities of the first token.
            tokens: n lists, the longest of length L.
        """
        import torch

        totals = [float(first[ids[0]]) for ids in tokens]
        longest = max(map(len, tokens))
        if longest == 1:
            return totals
        # The last token of a candidate predicts nothing that counts, so L - 1 tokens go in. Shorter candidates are
        # filled up behind, where no token of theirs looks.
        given = torch.tensor([[*ids[:-1], *[0] * (longest - len(ids))] for ids in tokens], device=first.device)
        own = copy.deepcopy(cache)
        own.batch_repeat_interleave(len(tokens))
        logits = self._model(input_ids=given, past_key_values=own, use_cache=True).logits
        log_probs = torch.log_softmax(logits.float(), -1)  # (n, L - 1, V)
        for row, ids in enumerate(tokens):
            totals[row] += sum(float(log_probs[row, place, token]) for place, token in enumerate(ids[1:]))
        return totals

    def _candidate_tokens(self, messages: Sequence[Message], candidates: Sequence[str]) -> list[list[int]]:
        """Returns the tokens that each candidate adds to the prompt, a blank that the template puts before it too."""
        chat = self._chat(messages, pictures=False)
        prompt: str = self._processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        before = self._ids(prompt)
        found = []
        for candidate in candidates:
            plain = _broken_up(candidate, self._special)
            turn = {"role": "assistant", "content": [{"type": "text", "text": plain}]}
            whole: str = self._processor.apply_chat_template([*chat, turn], tokenize=False, add_generation_prompt=False)
            added = whole[len(prompt) :].lstrip("\n") if whole.startswith(prompt) else plain
            added = added[: added.find(plain) + len(plain)] if plain in added else plain
            ids = self._ids(prompt + added)
            found.append(ids[len(before) :] if ids[: len(before)] == before else self._ids(added))
        return found

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _inputs(self, messages: Sequence[Message]) -> dict[str, Any]:
        """Returns the tensors of a conversation up to the point where the model speaks, on its device."""
        batch = self._processor.apply_chat_template(
            self._chat(messages, pictures=True),
            tokenize=True,
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
        )
        return {key: self._cast(value) for key, value in batch.items()}

    def _cast(self, value: Any) -> Any:
        moved = value.to(self._model.device)
        return moved.to(self._model.dtype) if moved.is_floating_point() else moved

    def _chat(self, messages: Sequence[Message], *, pictures: bool) -> list[dict[str, Any]]:
        chat = []
        for message in messages:
            content: list[dict[str, Any]] = []
            for part in message.parts:
                if isinstance(part, Text):
                    content.append({"type": "text", "text": _broken_up(part.text, self._special)})
                    continue
                if isinstance(part, TimedFrame):
                    content.append({"type": "text", "text": part.time_text})
                picture = {"image": Image.open(io.BytesIO(part.jpeg)).convert("RGB")} if pictures else {}
                content.append({"type": "image", **picture})
            chat.append({"role": message.role, "content": content})
        return chat

    def _write(self, inputs: dict[str, Any], sampling: Sampling, limit: _Limit, streamer: Any = None) -> list[int]:
        """Lets the model continue and returns the new tokens."""
        import torch
        from transformers import StoppingCriteriaList

        options: dict[str, Any] = {"max_new_tokens": sampling.max_tokens, "do_sample": sampling.temperature > 0}
        if sampling.temperature > 0:
            options["temperature"] = sampling.temperature
        else:  # what the model's own settings say of drawing would only be warned about
            options |= {"temperature": None, "top_p": None, "top_k": None}
        if sampling.stop:
            options |= {"stop_strings": list(sampling.stop), "tokenizer": self._tokenizer}
        devices = [self._model.device] if self._model.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices), _memory(self.name), torch.inference_mode():
            if sampling.seed is not None:
                torch.manual_seed(sampling.seed)
            output = self._model.generate(
                **inputs, **options, streamer=streamer, stopping_criteria=StoppingCriteriaList([limit])
            )
        written: list[int] = output[0, inputs["input_ids"].shape[1] :].tolist()
        return written

    def _ends(self) -> set[int]:
        """Returns the tokens that end a reply."""
        ends = self._model.generation_config.eos_token_id
        if ends is None:
            ends = self._tokenizer.eos_token_id
        return {ends} if isinstance(ends, int) else set(ends or ())

    def _end(self, timeout_s: float | None) -> float:
        return time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)

    @contextmanager
    def _turn(self, end: float) -> Iterator[float]:
        """Waits until no other thread uses the model."""
        if not self._lock.acquire(timeout=max(0.0, end - time.monotonic())):
            raise MllmTimeout(f"{self.name} was busy with other calls for all of the time that this one had")
        try:
            yield end
        finally:
            self._lock.release()


class _Limit:
    """Stops the model after the time is up or the reader has gone."""

    def __init__(self, end: float) -> None:
        self._end = end
        self.cancelled = threading.Event()
        self.timed_out = False

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        """Says for each row (B,) whether to stop."""
        import torch

        self.timed_out = self.timed_out or (time.monotonic() > self._end and not self.cancelled.is_set())
        stop = self.timed_out or self.cancelled.is_set()
        return torch.full((input_ids.shape[0],), stop, dtype=torch.bool, device=input_ids.device)


@contextmanager
def _memory(name: str) -> Iterator[None]:
    """Turns running out of the device's memory into an error that says what to do."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MllmRefused(f"{name} ran out of memory: show fewer or smaller frames, or load it in 4 bits") from error


def _pieces(streamer: Any, worker: threading.Thread) -> Iterator[str]:
    """Yields what a streamer brings until it ends, looking up now and then whether its worker still lives."""
    while True:
        try:
            yield next(streamer)
        except StopIteration:
            return
        except Empty:
            if not worker.is_alive():
                return


def _special_tokens(tokenizer: Any) -> tuple[str, ...]:
    """Returns the texts that the tokenizer reads as one special token, the longest first."""
    added = {str(token) for token in tokenizer.get_added_vocab() if len(str(token)) > 1}
    return tuple(sorted(added | set(tokenizer.all_special_tokens), key=lambda token: (-len(token), token)))


def _broken_up(text: str, special: Sequence[str]) -> str:
    """Returns a text in which no special token is left: a blank after its first character makes it plain text."""
    for token in special:
        text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def _before(text: str, stops: Sequence[str]) -> str:
    """Returns the text up to the first of the stop texts."""
    return text[: min((place for stop in stops if (place := text.find(stop)) >= 0), default=len(text))]


def _drawn(scores: CandidateScores, sampling: Sampling) -> str:
    """Returns the likeliest candidate or, with a temperature, one drawn."""
    if sampling.temperature == 0:
        return scores.best
    weights = (scores.log_probs - scores.log_probs.max()) / sampling.temperature
    shares = np.exp(weights) / np.exp(weights).sum()
    return scores.candidates[int(np.random.default_rng(sampling.seed).choice(len(shares), p=shares))]
