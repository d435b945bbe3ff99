"""Checks an account that a language model wrote against a report: times, actors, counts and relations of each sentence.

A sentence is supported where the evidence shows all of it that evidence can show, contradicted where the evidence shows
something else in its place, unsupported where it states what the evidence does not hold, and not checkable where it
states nothing that the evidence speaks of. The check knows the report alone: a true sentence about what perception
missed is called unsupported. Rules, tolerances and verdicts are ours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from vau.reasoning.clause_check import Finding, Verdict, check_clause
from vau.reasoning.language import LIKELY, clock, join_words, span
from vau.reasoning.ledger import Ledger
from vau.reasoning.places import agrees, has_place
from vau.reasoning.statements import MAX_CHARACTERS, Statement, read, split_unsaid
from vau.types import Claim, Report, Role, Track

MAX_SENTENCES = 200
_ORDER_S = 0.5  # by which an order may be off
_THERE_S = 1.5  # by which a track may begin too late or end too early
_FALLEN = re.compile(r"\bfallen \w+ #?(\d{1,6})\b")
_BULLET = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]*[A-Z0-9])|\n+")


@dataclass(frozen=True)
class CheckedSentence:
    """One sentence with its verdict."""

    text: str
    verdict: Verdict
    reasons: tuple[str, ...]  # plain English, at least one
    evidence: tuple[str, ...] = ()  # what supports or contradicts it: relations, events, tracks
    times_s: tuple[float, ...] = ()  # where a reader can look
    confidence: float = 0.0  # of the evidence, [0, 1]
    hedged: bool = False


@dataclass(frozen=True)
class ClaimCheck:
    """A checked account."""

    sentences: tuple[CheckedSentence, ...]

    def count(self, verdict: Verdict) -> int:
        """Returns the number of sentences with a verdict."""
        return sum(item.verdict == verdict for item in self.sentences)

    @property
    def checkable(self) -> int:
        """Number of sentences that state something which the evidence could show."""
        return len(self.sentences) - self.count("not checkable")

    @property
    def faithfulness(self) -> float | None:
        """Supported sentences by checkable ones, [0, 1]; None where nothing could be checked."""
        return self.count("supported") / self.checkable if self.checkable else None

    def claims(self, role: Role = "what") -> tuple[Claim, ...]:
        """Returns the sentences as claims; `supported` is True for those that the evidence supports alone."""
        return tuple(
            Claim(item.text, role, item.evidence, item.times_s, item.confidence, item.verdict == "supported")
            for item in self.sentences
        )


def check(report: Report, text: str) -> ClaimCheck:
    """Checks an account.

    Args:
        report: the analysed video.
        text: running text or a list, of which 200 sentences of 600 characters are read.
    """
    ledger = Ledger(report)
    return ClaimCheck(tuple(_sentence(ledger, item) for item in split_sentences(text)))


def split_sentences(text: str) -> list[str]:
    """Returns the sentences of running text or of a list, at most 200 of at most 600 characters."""
    pieces = (_BULLET.sub("", piece).strip() for piece in _SENTENCE_END.split(text[: MAX_SENTENCES * MAX_CHARACTERS]))
    return [piece[:MAX_CHARACTERS] for piece in pieces if re.search(r"\w", piece)][:MAX_SENTENCES]


def _sentence(ledger: Ledger, text: str) -> CheckedSentence:
    statement = split_unsaid(read(text, ledger.duration_s, ledger.report.video.nominal_fps))
    of_clause = [check_clause(ledger, clause) for clause in statement.clauses]
    findings = [*_facts(ledger, statement), *(item for item in of_clause if item is not None)]
    findings += [*_order(statement, of_clause), *_scenery(ledger, statement, of_clause)]
    if all(item.verdict == "supported" for item in findings):
        findings += _beyond(statement, of_clause)
    return _judge(statement, findings)


def _judge(statement: Statement, findings: Sequence[Finding]) -> CheckedSentence:
    ranks: tuple[Verdict, ...] = ("contradicted", "unsupported", "supported")
    verdict: Verdict = next((rank for rank in ranks if any(f.verdict == rank for f in findings)), "not checkable")
    telling = [item for item in findings if item.verdict == verdict]
    reasons = [item.reason for item in telling]
    if verdict == "not checkable":
        what = join_words([*statement.minds, *statement.attributes])
        reasons = reasons or [
            f"no evidence can show {what}" if what else "it states nothing that the evidence speaks of"
        ]
    elif statement.attributes:
        reasons.append(f"not checked: {join_words(list(statement.attributes))}")
    weak = verdict == "supported" and not statement.hedged and min(f.confidence for f in telling) < LIKELY
    if weak:
        reasons.append("stated more firmly than the evidence is")
    confidences = [item.confidence for item in telling]
    return CheckedSentence(
        text=statement.text,
        verdict=verdict,
        reasons=tuple(dict.fromkeys(reasons)),
        evidence=tuple(dict.fromkeys(name for item in telling for name in item.evidence)),
        times_s=tuple(sorted({round(time, 3) for item in telling for time in item.times_s}))[:12],
        confidence=(min if verdict == "supported" else max)(confidences, default=0.0),
        hedged=statement.hedged,
    )


def _facts(ledger: Ledger, statement: Statement) -> list[Finding]:
    """Returns what is wrong with a sentence whatever it states: ids, kinds and times that do not exist."""
    wrong = []
    down = {item.subject for item in ledger.of(("fell", "lying"))}
    fallen = [int(item) for item in _FALLEN.findall(statement.text.lower())]
    wrong += [f"no fall of track {item} was measured" for item in fallen if item not in down]
    denied = bool(statement.clauses) and all(clause.negated for clause in statement.clauses)
    if not denied:
        wrong += [f"there is no track {item}" for item in statement.named if item not in ledger.tracks]
    wrong += [f"there is no evidence {item}" for item in statement.cited if item not in ledger.ids]
    for actor in (actor for clause in statement.clauses for actor in (*clause.subjects, *clause.objects)):
        for item in actor.ids:
            label = ledger.label(item)
            if actor.labels and label and label != "moving object" and label not in actor.labels:
                wrong.append(f"track {item} is a {label}")
    if any(item.start_s > ledger.duration_s + _ORDER_S for item in statement.spans):
        wrong.append(f"the video ends at {clock(ledger.duration_s)}")
    return [Finding("contradicted", reason, confidence=1.0) for reason in dict.fromkeys(wrong)]


def _beyond(statement: Statement, of_clause: Sequence[Finding | None]) -> list[Finding]:
    """Returns what a sentence adds to what the evidence shows and that changes what it claims."""
    found = [Finding("unsupported", f"no evidence shows {name}") for name in statement.deeds]
    if statement.clauses:
        found += [Finding("unsupported", f"no evidence can show {name}") for name in statement.minds]
    if statement.unexplained and statement.clauses:
        found.append(Finding("unsupported", "the cause it gives is not in the evidence"))
    if any(item is not None for item in of_clause):
        tried = any(clause.unreal for clause in statement.clauses)
        found += [Finding("unsupported", "no evidence can show what was only tried or seemed so")] * tried
        unread = dict.fromkeys(word for clause in statement.clauses for word in clause.unread)
        if unread:
            quoted = join_words([f'"{word}"' for word in unread])
            found.append(Finding("unsupported", f"no evidence is compared with {quoted}"))
    return found


def _scenery(ledger: Ledger, statement: Statement, of_clause: Sequence[Finding | None]) -> list[Finding]:
    """Returns who is said to be there meanwhile and was not, and what is said to be elsewhere than it was."""
    wrong = []
    for clause, finding in zip(statement.clauses, of_clause, strict=True):
        if finding is None or finding.verdict != "supported" or not finding.times_s or clause.negated:
            continue
        for item in clause.beside:
            track = ledger.tracks.get(item)
            if track and not any(_is_there(track, time) for time in finding.times_s):
                text = f"{track.name} was tracked {span(track.start_s, track.end_s)}"
                wrong.append(Finding("contradicted", text, (f"T{item}",), (track.start_s,), track.confidence))
        if has_place(clause.text):
            named = [item for actor in clause.subjects for item in actor.ids]
            meant = named or [int(item[1:]) for item in finding.evidence if re.fullmatch(r"T\d+", item)]
            if not agrees(ledger, clause.text, meant, finding.times_s[0]):
                verdict: Verdict = "contradicted" if named else "unsupported"
                wrong.append(Finding(verdict, "the boxes are elsewhere in the picture", finding.evidence))
    return wrong


def _is_there(track: Track, time_s: float) -> bool:
    return track.start_s - _THERE_S <= time_s <= track.end_s + _THERE_S


def _order(statement: Statement, of_clause: Sequence[Finding | None]) -> list[Finding]:
    wrong = []
    for first, second in statement.order:
        one, other = of_clause[first], of_clause[second]
        if one is None or other is None or one.starts is None or other.starts is None:
            continue
        if one.evidence and one.evidence == other.evidence:
            wrong.append(Finding("unsupported", f"{one.evidence[0]} is one deed, not two", one.evidence, one.times_s))
        elif one.starts[0] > other.starts[1] + _ORDER_S:
            text = f"the order is the other way round: {clock(other.starts[1])} comes before {clock(one.starts[0])}"
            wrong.append(
                Finding("contradicted", text, (*one.evidence, *other.evidence), (*one.times_s, *other.times_s), 0.7)
            )
    for first, second in statement.together:
        one, other = of_clause[first], of_clause[second]
        if one is None or other is None or one.lasts is None or other.lasts is None:
            continue
        earlier, later = sorted((one.lasts, other.lasts))
        if later[0] > earlier[1] + _THERE_S:
            text = f"not at the same time: {clock(earlier[1])} is over before {clock(later[0])}"
            wrong.append(
                Finding("contradicted", text, (*one.evidence, *other.evidence), (*one.times_s, *other.times_s), 0.7)
            )
    return wrong
