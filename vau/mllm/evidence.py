"""The embedded backend: no language model, but a narrator over the evidence of one report, behind the same interface.

It answers questions about its report from what was measured, with `vau.reasoning.answer`, and refuses everything else:
it sees no pictures, follows no schema and has no likelihoods, as a claim's confidence is no probability of words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vau.errors import MllmCannot
from vau.mllm.interface import GREEDY, CandidateScores, Message, Reply, Sampling, Schema, Text
from vau.reasoning.answer import Answer, Answerer
from vau.reasoning.minilm import SentenceEncoder
from vau.types import Report

NAME = "evidence"
_HISTORY = 8  # earlier questions that a follow-up may refer to


class EvidenceNarrator:
    """Answers about one report; the same conversation always gets the same answer.

    `sampling` and `timeout_s` are taken and have no effect: an answer takes some milliseconds, costs nothing, and is a
    few sentences long.

    Args:
        report: the analysed video.
        encoder: reads the questions, such as `vau.reasoning.minilm.MiniLM`.
    """

    def __init__(self, report: Report, encoder: SentenceEncoder) -> None:
        self._report = report
        self._answerer = Answerer(encoder)

    @property
    def name(self) -> str:
        """Always ``evidence``."""
        return NAME

    def answer(self, messages: Sequence[Message]) -> Answer:
        """Answers the last message of a conversation, with claims and the evidence that they rest on.

        Earlier questions of the user are answered anew, so that "and after that?" is understood. What the system or an
        assistant says in the conversation is passed over: nothing but the report is believed.

        Raises:
            MllmCannot: the last message is not the user's, or a message shows a picture.
        """
        if any(message.pictures for message in messages):
            raise self._cannot("see pictures; it speaks of what was measured in the whole video")
        asked = [_text(message) for message in messages if message.role == "user"]
        if not messages or messages[-1].role != "user":
            raise self._cannot("continue a conversation that does not end with a question")
        history: list[Answer] = []
        for question in asked[-_HISTORY - 1 : -1]:
            history.append(self._answerer.answer(self._report, question, tuple(history)))
        return self._answerer.answer(self._report, asked[-1], history)

    def generate(
        self,
        messages: Sequence[Message],
        *,
        sampling: Sampling = GREEDY,
        schema: Schema | None = None,
        choices: tuple[str, ...] | None = None,
        timeout_s: float | None = None,
    ) -> Reply:
        """Answers in sentences; with `schema` or `choices` it raises `MllmCannot`."""
        if schema is not None or choices is not None:
            raise self._cannot("fill in a form or choose; ask for sentences, or read `Report` itself")
        return Reply(self.answer(messages).text, NAME)

    def stream(
        self, messages: Sequence[Message], *, sampling: Sampling = GREEDY, timeout_s: float | None = None
    ) -> Iterator[str]:
        """Answers sentence by sentence; the pieces joined are the text that `generate` returns."""
        for place, claim in enumerate(self.answer(messages).claims):
            yield claim.text if place == 0 else f" {claim.text}"

    def likelihood(
        self, messages: Sequence[Message], candidates: Sequence[str], *, timeout_s: float | None = None
    ) -> CandidateScores:
        """Raises `MllmCannot`, always."""
        raise self._cannot("tell how likely words are; use a model of language, or the scores of the report")

    def _cannot(self, what: str) -> MllmCannot:
        return MllmCannot(f"the evidence narrator cannot {what}")


def _text(message: Message) -> str:
    return " ".join(part.text for part in message.parts if isinstance(part, Text))
