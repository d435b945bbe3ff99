"""The text that a model should have written: cold-start data for supervised fine-tuning, in the form of each task.

DeepSeek-R1 (arXiv 2501.12948) and Vad-R1 (2505.19877) begin with such data, so that reinforcement learning starts from
a model that knows the form. Reasoning is the record's own; where it has none, such a row is not made up.
"""

from __future__ import annotations

import json

from vau.training.data.tasks import Row


def target(row: Row) -> str | None:
    """Returns the right reply to a row; None where it asks for thinking and the record has no reasoning."""
    answer = _answer(row)
    if answer is None or (row.think and not row.record.thought):
        return None
    return f"<think>{row.record.thought.strip()}</think>\n{answer}" if row.think else answer


def _answer(row: Row) -> str | None:
    record = row.record
    match row.task:
        case "vau_r1_qa":
            return f"<answer>{row.choice}</answer>"
        case "vau_r1_classify":
            return f"<answer>{row.label}</answer>"
        case "vau_r1_grounding":
            start, end = _hull(row)
            word = "Anomaly" if record.abnormal else "Normal"
            return f"<answer>{word}</answer>\n<glue>[{start:.1f}, {end:.1f}]</glue>"
        case "vad_r1":
            return _parts(row)
        case "cue_r1":
            verdict = "anomaly" if record.abnormal else "normal"
            levels = (verdict, record.kind, record.event, record.scene, ", ".join(record.attributes))
            return f"<answer>{' > '.join(levels)}</answer>"
        case "cue_grounding":
            return json.dumps({"found": True, "span_s": [round(time_s, 1) for time_s in _hull(row)]})
        case "cue_detection":
            found = [
                {"what": record.what or record.event, "span_s": [round(start, 1), round(end, 1)], "confidence": 1.0}
                for start, end in row.spans_s or ()
            ]
            return json.dumps({"anomalies": found})
        case "cue_anticipation":
            # What follows is not seen, so that no reason is known that the frames would show.
            value = {
                "reason": "",
                "probability": 0.9 if record.abnormal else 0.1,
                "event_type": record.kind,
                "event": record.event,
            }
            return json.dumps(value)


def _parts(row: Row) -> str | None:
    record = row.record
    if not record.what or (record.abnormal and not row.spans_s):
        return None
    if not record.abnormal:
        return f"<answer><which>Normal</which> <what>{_line(record.what)}</what></answer>"
    start, end = _hull(row)
    when = f"[{start / record.duration_s:.2f}, {min(end / record.duration_s, 1.0):.2f}]"
    where, why, how = (_line(text) or "not known" for text in (record.where, record.why, record.how))
    return (
        f"<answer><which>Abnormal</which> <what>{_line(record.what)}</what> <when>{when}</when> "
        f"<where>{where}</where> <why>{why}</why> <how>{how}</how></answer>"
    )


def _hull(row: Row) -> tuple[float, float]:
    """Returns begin and end of everything abnormal, as forms with one interval need it; -1, -1 for nothing."""
    spans = row.spans_s or ((-1.0, -1.0),)
    return min(start for start, _ in spans), max(end for _, end in spans)


def _line(text: str) -> str:
    return " ".join(text.replace("<", " ").replace(">", " ").split())
