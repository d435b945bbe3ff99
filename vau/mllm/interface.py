"""What every multimodal language model backend takes and gives: messages of text and timed frames, replies, scores.

It knows no server, no weights and no prompt. Scoring by the likelihood of candidates instead of a decoded number is the
reading of Probe-VAD (arXiv 2609.17211, Table III); a time as text before each frame is what Qwen3-VL is trained on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np

from vau.checks import ShortRepr
from vau.types import Float64

Speaker = Literal["system", "user", "assistant"]
Schema = Mapping[str, Any]  # a JSON schema

MAX_JPEG_BYTES = 16 * 2**20
_JPEG_START = b"\xff\xd8\xff"


@dataclass(frozen=True)
class Text:
    """A piece of text of a message."""

    text: str


@dataclass(frozen=True, repr=False)
class Picture(ShortRepr):
    """A picture that is no frame and has no time, such as a plot; a text before it says what it is."""

    jpeg: bytes  # encoded by us

    def __post_init__(self) -> None:
        if not self.jpeg.startswith(_JPEG_START):
            raise ValueError(f"a picture must be a JPEG, got bytes that start with {self.jpeg[:4]!r}")
        if len(self.jpeg) > MAX_JPEG_BYTES:
            raise ValueError(f"a picture may have {MAX_JPEG_BYTES} bytes, got {len(self.jpeg)}")


@dataclass(frozen=True, repr=False)
class TimedFrame(Picture):
    """A frame that we decoded, with its time; backends put `time_text` before the picture, always."""

    time_s: float  # presentation time in the video

    def __post_init__(self) -> None:
        super().__post_init__()
        if not math.isfinite(self.time_s) or self.time_s < 0:
            raise ValueError(f"time_s must be a time from 0, got {self.time_s!r}")

    @property
    def time_text(self) -> str:
        """The time as the model reads it, such as ``<12.3 seconds>``; `time_s` itself stays exact."""
        return f"<{self.time_s:.1f} seconds>"


Part = Text | Picture


@dataclass(frozen=True)
class Message:
    """One turn of a conversation; only the user shows pictures."""

    role: Speaker
    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise ValueError(f"a message of the {self.role} needs at least one part")
        if self.role != "user" and self.pictures:
            raise ValueError(f"only the user's messages may show pictures, not those of the {self.role}")

    @classmethod
    def of(cls, role: Speaker, *parts: str | Part) -> Message:
        """Builds a message; bare strings become `Text`."""
        return cls(role, tuple(Text(part) if isinstance(part, str) else part for part in parts))

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Frames and other pictures in the order of the parts."""
        return tuple(part for part in self.parts if isinstance(part, Picture))


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn; the default is greedy, so that the same question gets the same answer."""

    max_tokens: int = 512
    temperature: float = 0.0
    seed: int | None = 0
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, got {self.max_tokens!r}")
        if not 0 <= self.temperature <= 2:
            raise ValueError(f"temperature must lie in [0, 2], got {self.temperature!r}")


GREEDY = Sampling()


@dataclass(frozen=True)
class Usage:
    """What a call cost; sums with ``+``."""

    prompt_tokens: int = 0  # those of pictures included, where the backend counts them
    completion_tokens: int = 0
    images: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.images + other.images,
        )


@dataclass(frozen=True)
class Reply:
    """What a model said."""

    text: str  # without the think block
    model: str  # as the backend names it
    thinking: str = ""  # the think block, kept apart
    finish_reason: str = "stop"  # "length" where max_tokens cut the text off
    usage: Usage = Usage()
    cached: bool = False


@dataclass(frozen=True, repr=False, eq=False)
class CandidateScores(ShortRepr):
    """How likely each of n candidate replies is."""

    candidates: tuple[str, ...]
    log_probs: Float64  # (n,) natural log of the probability of the candidate's tokens; -inf where it has none
    exact: bool = True  # False where the backend cannot read them as `Mllm.likelihood` defines them; see its docstring
    usage: Usage = Usage()
    cached: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "candidates", check_candidates(self.candidates))
        values = np.asarray(self.log_probs, np.float64)
        if values.shape != (len(self.candidates),):
            raise ValueError(f"{values.shape = } does not fit {len(self.candidates)} candidates")
        # Rounding on a server may leave a hair above zero.
        if np.isnan(values).any() or (values > 1e-3).any() or not np.isfinite(values).any():
            raise ValueError(f"log_probs must be at most 0 with at least one finite value, got {values}")
        values = np.minimum(values, 0.0)
        values.setflags(write=False)
        object.__setattr__(self, "log_probs", values)

    @property
    def probabilities(self) -> Float64:
        """Probabilities among the candidates (n,), which sum to 1."""
        weights = np.exp(self.log_probs - self.log_probs.max())
        return np.asarray(weights / weights.sum(), np.float64)

    @property
    def best(self) -> str:
        """The likeliest candidate, the first one where several are."""
        return self.candidates[int(self.log_probs.argmax())]

    def expectation(self, values: Sequence[float]) -> float:
        """Returns the mean of one value a candidate under `probabilities`, such as the score that each stands for."""
        if len(values) != len(self.candidates):
            raise ValueError(f"{len(values)} values do not fit {len(self.candidates)} candidates")
        return float(self.probabilities @ np.asarray(values, np.float64))


def check_candidates(candidates: Sequence[str]) -> tuple[str, ...]:
    """Returns candidates or choices as a tuple; ValueError where one is empty, one comes twice, or there is none."""
    given = tuple(candidates)
    if not given or not all(given) or len(set(given)) != len(given):
        raise ValueError(f"candidates must be different texts, none of them empty, got {given}")
    return given


class Mllm(Protocol):
    """A multimodal language model. Any number of threads may call one instance at once.

    Every method takes `timeout_s`, the seconds after which it gives up with `MllmTimeout`; None is the backend's own
    limit. All raise `MllmError` children alone, `MllmCannot` where the backend cannot do what was asked.
    """

    @property
    def name(self) -> str:
        """The model's name as reports show it and as the response cache keeps it apart."""
        ...

    def generate(
        self,
        messages: Sequence[Message],
        *,
        sampling: Sampling = GREEDY,
        schema: Schema | None = None,
        choices: tuple[str, ...] | None = None,
        timeout_s: float | None = None,
    ) -> Reply:
        """Continues a conversation.

        Args:
            messages: the conversation, oldest first.
            sampling: how tokens are drawn.
            schema: JSON schema that the text shall follow. A backend guides decoding by it where it can and does not
                promise that it is met: `vau.mllm.structured` checks.
            choices: texts of which the reply's shall be one, word for word; not together with `schema`.
            timeout_s: see the class.

        Returns:
            The reply; with `choices` its text is one of them, or `ParseError` is raised.
        """
        ...

    def stream(
        self, messages: Sequence[Message], *, sampling: Sampling = GREEDY, timeout_s: float | None = None
    ) -> Iterator[str]:
        """Continues a conversation and yields the text in pieces as they come; think blocks are left out.

        Raises `MllmUnavailable` after the last piece where the text broke off before its end.
        """
        ...

    def likelihood(
        self, messages: Sequence[Message], candidates: Sequence[str], *, timeout_s: float | None = None
    ) -> CandidateScores:
        """Tells how likely each candidate is as the beginning of the reply, at temperature 1.

        The log probability of a candidate is the sum over its own tokens, put right after the prompt; the token that
        ends the turn is not counted, so that of "1" and "10" the first holds the second as well: choose candidates
        that do not begin alike.
        """
        ...
