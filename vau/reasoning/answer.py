"""Answers a question about an analysed video from its report: what is asked, whether it is there, what there is.

It never looks at the video again and knows nothing but the report; where the evidence does not show what is asked for,
it says that. Deterministic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vau.reasoning.answers import about, checks, events, order, things, tracks
from vau.reasoning.answers.base import MAX_CLAIMS, MAX_KEYFRAMES, MAX_TIMES, Answer, Context, Draft, quote, say
from vau.reasoning.language import clock, duration, join_words, plural, shorten_list
from vau.reasoning.minilm import SentenceEncoder
from vau.reasoning.questions import Question, QuestionParser
from vau.types import Report

__all__ = ["Answer", "Answerer", "answer"]

_ANSWERS: dict[str, Callable[[Context], Draft]] = {
    "overview": events.overview,
    "when": events.when,
    "duration": events.length,
    "count": things.count,
    "count_events": events.count_events,
    "who": things.who,
    "actor": things.actor,
    "why": events.why,
    "cause": order.cause,
    "effect": order.effect,
    "before": order.before,
    "after": order.after,
    "moment": order.moment,
    "check": checks.check,
    "presence": things.presence,
    "where": tracks.where,
    "threat": events.threat,
    "certainty": events.sureness,
    "show": events.show,
    "track": tracks.track_story,
    "speed": tracks.speed,
    "unusual": events.unusual,
    "models": about.models,
    "video": about.video,
    "compare": events.compare,
    "unknowable": checks.unknowable,
    "help": about.assist,
    "out_of_scope": about.outside,
}
# Intents that do not hang on whether the thing that a question names was seen.
_FREE = frozenset(
    {"overview", "count_events", "compare", "models", "video", "help", "out_of_scope", "unknowable", "unusual"}
)
_BEYOND_S = 0.5  # how far past the end a time may lie and still mean the end


class Answerer:
    """Answers questions about any number of reports with one encoder.

    Args:
        encoder: the sentence encoder, such as `vau.reasoning.minilm.MiniLM`.
    """

    def __init__(self, encoder: SentenceEncoder) -> None:
        self._parser = QuestionParser(encoder)

    def answer(self, report: Report, question: str, history: Sequence[Answer] = ()) -> Answer:
        """Answers one question.

        Args:
            report: the analysed video.
            question: any text; what lies beyond 500 characters is not read.
            history: earlier answers about the same report, oldest first, for follow-ups such as "and after that?".

        Returns:
            An answer of at most eight sentences, every one a claim; `supported` is False where the evidence does not
            show what was asked for.
        """
        asked = self._parser.parse(question, report, history)
        context = Context(report, asked)
        # "Did anyone fall? - Yes. - Why?" asks why he fell, not why the event was reported.
        of_relation = asked.intent == "why" and asked.focus.concept is not None and bool(context.matches)
        draft = _refuse(context) or _ANSWERS["cause" if of_relation else asked.intent](context)
        return _finish(context, draft)


def answer(report: Report, question: str, encoder: SentenceEncoder, history: Sequence[Answer] = ()) -> Answer:
    """Answers one question; keep an `Answerer` to ask several, since this one embeds all exemplars each time."""
    return Answerer(encoder).answer(report, question, history)


def _refuse(ctx: Context) -> Draft | None:
    """Returns the answer to a question that names a time, event, track or relation that is not there."""
    asked, report = ctx.question, ctx.report
    if asked.event_id is not None and asked.event_id not in {event.event_id for event in report.events}:
        listed = join_words(shorten_list([event.event_id for event in ctx.events]))
        have = f"the report has {plural(len(ctx.events), 'event')}" + (f": {listed}" if listed else "")
        return Draft([say(f"there is no event {asked.event_id}; {have}", role="limit")], supported=False)
    missing = [item for item in asked.track_ids if ctx.track(item) is None]
    if missing:
        there = ctx.names(track.track_id for track in report.tracks)
        have = f"tracked are {there}" if there else "nothing was tracked"
        return Draft(
            [say(f"there is no track {join_words([str(i) for i in missing[:5]])}; {have}", role="limit")],
            supported=False,
        )
    end = report.video.duration_s
    if asked.times is not None and asked.times.start_s > end + _BEYOND_S:
        text = f"{clock(asked.times.start_s)} lies outside the video, which lasts {duration(end)} ({clock(end)})"
        return Draft([say(text, role="limit")], supported=False)
    free = _FREE if asked.concept is not None else _FREE | {"certainty", "threat"}
    if ctx.concept is not None and not ctx.matches and asked.intent not in free and not _only_subject(asked):
        return checks.not_shown(ctx, ctx.concept)
    return None


def _only_subject(asked: Question) -> bool:
    """Tells whether the matter named is only the wording of a question about single tracks."""
    return asked.intent == "track" and bool(asked.track_ids)


def _finish(ctx: Context, draft: Draft) -> Answer:
    claims = tuple(quote(draft.claims, MAX_CLAIMS))
    times = tuple(sorted({time for claim in claims for time in claim.times_s}))[:MAX_TIMES]
    frames = draft.keyframe_ids
    if frames is None:
        frames = ctx.frames_near(times) if draft.supported else ()
    return Answer(
        text=" ".join(claim.text for claim in claims),
        claims=claims,
        times_s=times,
        keyframe_ids=frames[:MAX_KEYFRAMES],
        intent=ctx.question.intent,
        supported=draft.supported,
        focus=draft.focus or ctx.question.focus,
    )
