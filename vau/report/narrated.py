"""What a language model told, as plain data for the page and as words: verdicts, reasons, figures, cost.

Knows nothing of HTML. The same words serve the terminal.
"""

from __future__ import annotations

from typing import Any

from vau.narration import EventNarration, NarratedSentence, Narration, NarrationFailure, SuspectedText, VerdictCounts
from vau.report.evidence import Evidence
from vau.report.text import ROLE_TITLES, clean, clock

# Class, symbol and words of each verdict: no two share a shape, so that colour is never needed to tell them apart.
_MARKS = {
    "supported": ("agrees", "level0", "Agrees with the evidence"),
    "unsupported": ("lacks", "level1", "Not in the evidence"),
    "contradicted": ("denied", "cross", "Contradicts the evidence"),
    "not checkable": ("open", "open", "Cannot be checked"),
}
_RAW = 1500  # characters of an unreadable reply that are shown


def block(item: EventNarration | None, evidence: Evidence) -> dict[str, Any] | None:
    """Returns what the page shows of one event's narration, None where there is none."""
    if item is None:
        return None
    groups = []
    for role, title in ROLE_TITLES:
        sentences = [_sentence(sentence, evidence) for sentence in item.sentences if sentence.role == role]
        failures = [_failure(failure) for failure in item.failures if failure.role == role]
        if sentences or failures:
            groups.append({"role": role, "title": title, "sentences": sentences, "failures": failures})
    return {
        "groups": groups,
        "figure": figure(item.counts),
        "suspected": [suspicion(text) for text in item.suspected],
    }


def technical(narration: Narration | None) -> dict[str, Any] | None:
    """Returns model, prompts and cost for the technical part of the page."""
    if narration is None:
        return None
    return {
        "model": clean(narration.model, 120),
        "prompts": [clean(tag, 60) for tag in narration.prompts],
        "calls": calls(narration),
        "tokens": tokens(narration),
        "figure": figure(narration.counts),
    }


def notices(narration: Narration | None) -> list[str]:
    """Returns what a reader of the report must see before all else."""
    if narration is None:
        return []
    found = [suspicion(item) for item in narration.suspected]
    failures = narration.failures
    if failures and not any(item.sentences for item in narration.events):
        reason = clean(failures[0][1].reason, 300)
        found.append(f"The language model {clean(narration.model, 120)} told nothing that could be read: {reason}")
    return found


def figure(counts: VerdictCounts) -> str:
    """Returns the faithfulness in words with its counts."""
    if not counts.checkable:
        told = counts.not_checkable
        if not told:
            return "nothing was told"
        return f"none of {told} sentence{'s' if told > 1 else ''} states what the evidence could show"
    agree = f"{counts.supported} of {counts.checkable} checkable sentence{'s' if counts.checkable > 1 else ''}"
    parts = [f"{agree} agree{'s' if 1 in (counts.supported, counts.checkable) else ''} with the evidence"]
    if counts.contradicted:
        parts.append(f"{counts.contradicted} contradict{'s' if counts.contradicted == 1 else ''} it")
    if counts.unsupported:
        parts.append(f"{counts.unsupported} {'is' if counts.unsupported == 1 else 'are'} not in it")
    if counts.not_checkable:
        parts.append(f"{counts.not_checkable} cannot be checked")
    return f"{', '.join(parts)} (faithfulness {counts.faithfulness:.2f})"


def calls(narration: Narration) -> str:
    """Returns how many calls were made, in words."""
    return f"{narration.paid} answered, {narration.cached} from the cache, {narration.failed} failed"


def tokens(narration: Narration) -> str:
    """Returns what the calls cost, in words."""
    pictures = f"{narration.images:,} picture{'' if narration.images == 1 else 's'}"
    return f"{narration.prompt_tokens:,} read, {narration.completion_tokens:,} written, {pictures} shown"


def suspicion(item: SuspectedText) -> str:
    """Returns the line that quotes what looks like an order to a machine."""
    signs = clean(", ".join(item.signs), 120)
    source, quote = clean(item.source, 80), clean(item.quote, 200)
    return f"Suspected orders in the {source} ({signs}); no score depends on them: “{quote}”"


def _sentence(item: NarratedSentence, evidence: Evidence) -> dict[str, Any]:
    mark, icon, word = _MARKS[item.verdict]
    reasons = clean("; ".join(item.reasons), 600)
    return {
        "text": clean(item.text, 1200),
        "mark": mark,
        "icon": icon,
        "word": word,
        "reasons": reasons[:1].upper() + reasons[1:],
        "wrong": item.verdict in ("unsupported", "contradicted"),
        "times": [{"s": round(time, 3), "text": clock(time)} for time in item.times_s[:6]],
        "evidence": evidence.items(item.evidence),
    }


def _failure(item: NarrationFailure) -> dict[str, str]:
    return {"reason": clean(item.reason, 500), "raw": clean(item.raw, _RAW)}
