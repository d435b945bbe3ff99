"""Answers about the report itself: the video file, the models behind it, what can be asked, and what lies outside."""

from __future__ import annotations

from vau.reasoning.answers.base import Context, Draft, say
from vau.reasoning.language import clean, clock, duration, join_words, plural, shorten_list
from vau.types import Claim

_CAN_ASK = (
    "ask what happened, when, where, who was involved, why it is abnormal, what led to it or followed, how many "
    "people or vehicles there are, whether there was a fight, a fall or a collision, or what happened at a time"
)


def video(ctx: Context) -> Draft:
    """States the facts of the file, those asked for first."""
    info = ctx.report.video
    whole = "it was cut short, and what could be decoded was analysed" if info.truncated else "it decoded to its end"
    frames = f", {plural(info.n_frames, 'frame')}" if info.n_frames else ""
    rate = "a variable rate, about" if info.variable_rate else "a constant"
    facts = {
        ("trunc", "complete", "cut", "damag", "corrupt", "whole"): f"the file {clean(info.source, 80)}: {whole}",
        (
            "resol",
            "size",
            "pixel",
            "width",
            "height",
            "dimension",
        ): f"the picture is {info.width} x {info.height} pixels",
        ("rate", "fps", "frames"): f"it has {rate} {info.nominal_fps:.4g} frames a second{frames}",
        ("codec", "format", "container", "encod"): f"it is {clean(info.codec, 40)} in {clean(info.container, 40)}",
        ("name", "file", "source"): f"the file is called {clean(info.source, 80)}",
        (
            "long",
            "length",
            "duration",
            "time",
            "video",
        ): f"the video lasts {duration(info.duration_s)} ({clock(info.duration_s)})",
    }
    asked = [text for words, text in facts.items() if any(word in ctx.question.text for word in words)]
    picked = asked[:1] if asked else [*facts.values()][-1:]
    if "metadata" in ctx.question.text or "properties" in ctx.question.text:
        picked = list(facts.values())[::-1]
    return Draft([say(text) for text in picked])


def models(ctx: Context) -> Draft:
    """Names the models, the software and the time it took."""
    report = ctx.report
    names = [clean(name, 80) for name in report.models]
    claims: list[Claim] = []
    if names:
        claims.append(say(f"this report was made with {join_words(shorten_list(names, 8))}"))
    else:
        claims.append(say("the report names no models", role="limit"))
    claims.append(say(f"the anomaly score comes from “{clean(report.scores.scorer, 60)}”"))
    versions = [f"{clean(name, 40)} {clean(version, 40)}" for name, version in report.versions]
    if versions:
        claims.append(say(f"software: {', '.join(shorten_list(versions, 6))}"))
    total = sum(seconds for _, seconds in report.timings_s)
    if total > 0:
        claims.append(say(f"the analysis took {duration(total)}"))
    return Draft(claims)


def assist(ctx: Context) -> Draft:
    """Says what can be asked."""
    return Draft([say("vau answers questions about this video from its analysis:", _CAN_ASK)])


def outside(ctx: Context) -> Draft:
    """Says that a text is no question about the video that vau understands."""
    head = say("vau did not understand this as a question in English about the video", role="limit")
    return Draft([head, say(_CAN_ASK)], supported=False)
