"""Events as subtitles, SubRip (SRT) and WebVTT: one cue an event, with its title and why it is abnormal.

Knows nothing of other outputs. Text is made harmless for players that read markup inside cues: WebVTT's own escapes,
and look-alike characters in SRT, which has none. Source for WebVTT: W3C WebVTT, section 4.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vau.report.files import write_text
from vau.report.text import clean
from vau.types import Report

MIN_CUE_S = 1.0  # a shorter cue cannot be read
MAX_LINE = 300
# Players take <b> and {\an8} in SRT for markup, and "-->" for a time line.
_SRT_SAFE = str.maketrans({"<": "‹", ">": "›", "{": "(", "}": ")"})
_VTT_SAFE = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def to_srt(report: Report) -> str:
    """Returns the events as SubRip; an empty text where there are none."""
    cues = [
        f"{number}\n{_stamp(start, ',')} --> {_stamp(end, ',')}\n"
        + "\n".join(line.translate(_SRT_SAFE) for line in lines)
        for number, (start, end, lines) in enumerate(_cues(report), 1)
    ]
    return "\n\n".join(cues) + ("\n" if cues else "")


def to_vtt(report: Report) -> str:
    """Returns the events as WebVTT; its header alone where there are none."""
    cues = [
        f"{number}\n{_stamp(start, '.')} --> {_stamp(end, '.')}\n"
        + "\n".join(line.translate(_VTT_SAFE) for line in lines)
        for number, (start, end, lines) in enumerate(_cues(report), 1)
    ]
    return "\n\n".join(["WEBVTT", *cues]) + "\n"


def write_srt(report: Report, path: Path) -> Path:
    """Writes SubRip atomically; returns the path; raises ReportError where it cannot."""
    return write_text(to_srt(report), path)


def write_vtt(report: Report, path: Path) -> Path:
    """Writes WebVTT atomically; returns the path; raises ReportError where it cannot."""
    return write_text(to_vtt(report), path)


def _cues(report: Report) -> Iterator[tuple[float, float, list[str]]]:
    accounts = {account.event_id: account for account in report.accounts}
    for event in sorted(report.events, key=lambda item: item.start_s):
        account = accounts.get(event.event_id)
        title = clean(account.title if account else "", MAX_LINE) or clean(event.label or "", MAX_LINE)
        why = clean(account.role("why") if account else "", MAX_LINE)
        end = max(event.end_s, event.start_s + MIN_CUE_S)
        yield event.start_s, end, [line for line in (title or "Unusual moment", why) if line]


def _stamp(time_s: float, mark: str) -> str:
    milliseconds = round(max(time_s, 0.0) * 1000)
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{mark}{rest:03d}"
