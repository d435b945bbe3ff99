"""Finds out before long work whether a model can be asked: its server is up, takes the key, and has the model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from vau.config import MllmConfig
from vau.errors import MllmError, MllmRefused, MllmUnavailable
from vau.mllm.interface import Message, Reply, Sampling
from vau.mllm.open import OpenMllm, is_evidence, open_mllm
from vau.mllm.openai_client import OpenAiClient
from vau.mllm.pool import Retries, run_all

_QUESTION = (Message.of("user", "Reply with the word ready."),)
_SHORT = Sampling(max_tokens=16)
_RETRIES = Retries(tries=3)


@contextmanager
def ready_mllm(config: MllmConfig) -> Iterator[OpenMllm | None]:
    """Yields the model that a configuration names, opened and found ready, and closes it; None for the narrator.

    Raises:
        MllmError: see `check_ready`; ConfigError, CacheError, MissingExtraError, WeightsError, CheckpointError: see
            `vau.mllm.open.open_mllm`.
    """
    if is_evidence(config):
        yield None
        return
    with open_mllm(config) as mllm:
        check_ready(mllm, config.timeout_s)
        yield mllm


def check_ready(mllm: OpenMllm, timeout_s: float) -> None:
    """Asks a server for one word; a model that has been loaded here is ready as it is.

    A list of models would cost nothing, but not all servers have one, and it proves neither the key nor the name.

    Args:
        mllm: the opened model.
        timeout_s: seconds for up to three tries together; some servers load the model with the first request.

    Raises:
        MllmUnavailable: the server cannot be reached, fails, or does not answer in time.
        MllmRefused: it refuses the key, the model's name, or what was asked.
    """
    if not isinstance(mllm.model, OpenAiClient):
        return

    def ask(left_s: float | None) -> Reply:
        return mllm.model.generate(_QUESTION, sampling=_SHORT, timeout_s=left_s)

    try:
        run_all([ask], concurrency=1, retries=_RETRIES, deadline_s=timeout_s)[0].get()
    except MllmRefused as error:
        raise MllmRefused(f"the language model cannot be used: {error}") from error
    except MllmError as error:
        raise MllmUnavailable(
            f"the language model is not ready: {error}; start its server, or go without (mllm.model=evidence)"
        ) from error
