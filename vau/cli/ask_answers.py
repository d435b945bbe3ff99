"""How answers are asked for and printed: those out of the report alone, and those of a language model, checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from vau.cli.show import clean, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from vau.config import Config
    from vau.mllm.open import OpenMllm
    from vau.reasoning.answer import Answer
    from vau.reasoning.model_answer import ModelAnswer
    from vau.types import Report

_STYLES = {"supported": "green", "unsupported": "yellow", "contradicted": "red", "not checkable": "dim"}


class Responder(Protocol):
    """Answers one question after another, each with the answers before it in mind."""

    def tell(self, question: str, screen: Console, as_json: bool) -> None:
        """Answers a question and prints the answer."""
        ...


class Evidence:
    """Answers out of a report alone.

    Args:
        report: the analysed video.
        failed: why a language model did not answer instead; told in JSON.
    """

    def __init__(self, report: Report, failed: str = "") -> None:
        self._respond = _responder(report)
        self._failed = failed

    def tell(self, question: str, screen: Console, as_json: bool) -> None:
        """Answers a question and prints the answer."""
        from vau.report.text import clock

        found = self._respond(question)
        if as_json:
            print_json(_plain(question, found) | ({"model_error": self._failed} if self._failed else {}))
            return
        screen.print(clean(found.text))
        if found.times_s:
            screen.print("Check at: " + ", ".join(clock(time) for time in found.times_s), style="dim")


def _responder(report: Report) -> Callable[[str], Answer]:
    """Returns a function that answers one question after another, each knowing the answers before it."""
    from vau.reasoning.answer import Answerer
    from vau.reasoning.minilm import MiniLM
    from vau.weights import locate

    answerer = Answerer(MiniLM(locate("all-minilm-l6-v2"), locate("all-minilm-l6-v2-tokenizer")))
    history: list[Answer] = []

    def respond(text: str) -> Answer:
        found = answerer.answer(report, text, history)
        history.append(found)
        return found

    return respond


class Model:
    """Lets a language model answer, and shows what the report's evidence says to each sentence.

    Args:
        mllm: the opened model.
        report: the analysed video.
        config: all settings.
        video: the file, where it is known.
    """

    def __init__(self, mllm: OpenMllm, report: Report, config: Config, video: Path | None) -> None:
        from vau.reasoning.model_answer import ModelAnswerer

        self._answerer = ModelAnswerer(mllm, report, config.mllm, video=video, reading=config.video)
        self._history: list[ModelAnswer] = []

    def tell(self, question: str, screen: Console, as_json: bool) -> None:
        """Answers a question and prints the answer; raises MllmError."""
        if as_json:
            found = self._answerer.answer(question, self._history)
            print_json(_plain_model(found))
        else:
            found = self._stream(question, screen)
            _show_checked(found, screen)
        self._history.append(found)

    def _stream(self, question: str, screen: Console) -> ModelAnswer:
        from vau.reasoning.model_answer import ModelAnswer

        written = ""
        try:
            for item in self._answerer.stream(question, self._history):
                if isinstance(item, ModelAnswer):
                    found = item
                    break
                written += item
                screen.print(clean(item.replace("\n", " ")), end="", soft_wrap=True)
        finally:
            if written:
                screen.print()
        if written.strip() != found.text:  # nothing could be shown on the way, or the reply had to be asked for anew
            screen.print(clean(found.text.replace("\n", " ")))
        return found


def _show_checked(found: ModelAnswer, screen: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    from vau.report.text import clock

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for item in found.checked.sentences:
        line = Text(clean(item.text))
        line.append(f"  ({clean('; '.join(item.reasons))})", style="dim")
        table.add_row(Text(item.verdict, style=_STYLES[item.verdict]), line)
    screen.print()
    screen.print("Checked against the report's evidence:", style="bold")
    screen.print(table)
    if found.faithfulness is None:
        screen.print("Faithfulness: nothing in it can be checked")
    else:
        held = found.checked.count("supported")
        screen.print(
            f"Faithfulness: {found.faithfulness:.2f} ({held} of {found.checked.checkable} checkable sentences)"
        )
    if not found.answerable:
        screen.print("The model says that frames and evidence do not show the answer.", style="yellow")
    for problem in found.problems:
        screen.print(clean(problem[:1].upper() + problem[1:]) + ".", style="yellow")
    for suspicion in found.suspected:
        screen.print(clean(suspicion.note()), style="yellow")
    if found.times_s:
        screen.print("Check at: " + ", ".join(clock(time) for time in found.times_s), style="dim")
    screen.print(f"Model: {clean(found.model)}, prompt {found.prompt}", style="dim")


def _plain(question: str, found: Answer) -> dict[str, Any]:
    return {
        "question": question,
        "answer": found.text,
        "supported": found.supported,
        "intent": found.intent,
        "times_s": list(found.times_s),
        "keyframes": list(found.keyframe_ids),
        "claims": [
            {"text": claim.text, "evidence": list(claim.evidence), "times_s": list(claim.times_s)}
            for claim in found.claims
        ],
    }


def _plain_model(found: ModelAnswer) -> dict[str, Any]:
    return {
        "question": found.question,
        "answer": found.text,
        "answerable": found.answerable,
        "faithfulness": found.faithfulness,
        "sentences": [
            {
                "text": item.text,
                "verdict": item.verdict,
                "reasons": list(item.reasons),
                "evidence": list(item.evidence),
                "times_s": list(item.times_s),
            }
            for item in found.checked.sentences
        ],
        "evidence": list(found.evidence),
        "problems": list(found.problems),
        "times_s": list(found.times_s),
        "keyframes": list(found.keyframe_ids),
        "observed_text": list(found.observed_text),
        "suspected": [asdict(item) for item in found.suspected],
        "model": found.model,
        "prompt": found.prompt,
        "usage": None if found.usage is None else asdict(found.usage),
        "cached": found.cached,
    }
