"""The score curve as a picture, for a model that looks over a long video: where about to look, never exact times.

VisualTimeAnomaly found that models see ranges in plots better than single points, hence a coarse picture of few marks.
Drawn with Pillow alone; the layout is ours.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vau.reasoning.language import clean, clock
from vau.types import Event, ScoreTrack

WIDTH, HEIGHT = 896, 336  # multiples of 28, the patch of Qwen's vision towers
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 16, 30, 38
_MOST_EVENTS = 20
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
_INK, _GRID, _SPAN, _LINE = (30, 30, 30), (222, 222, 222), (252, 226, 200), (178, 40, 40)


def plot_curve(
    scores: ScoreTrack, events: Sequence[Event], duration_s: float, *, kind: Literal["PNG", "JPEG"] = "PNG"
) -> bytes:
    """Draws the anomaly score over time with the spans of the events.

    Args:
        scores: the curve; of several samples in one column of the picture the highest is drawn, so no peak is lost.
        events: shaded and named, 20 at most.
        duration_s: length of the video, the right end of the axis.
        kind: JPEG for backends that take JPEG pictures alone.

    Returns:
        The encoded picture, 896 by 336 pixels; the same input gives the same bytes.

    Raises:
        ValueError: the duration is not a positive, finite number.
    """
    if not (np.isfinite(duration_s) and duration_s > 0):
        raise ValueError(f"duration_s must be positive and finite, got {duration_s!r}")
    image = Image.new("RGB", (WIDTH, HEIGHT), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(14)
    for event in list(events)[:_MOST_EVENTS]:
        left, right = _x(event.start_s, duration_s), _x(event.end_s, duration_s)
        draw.rectangle((left, _TOP, max(right, left + 2), HEIGHT - _BOTTOM), fill=_SPAN)
        draw.text((left + 2, _TOP - 18), clean(event.event_id, 8).encode("ascii", "replace").decode(), _INK, font)
    for tenth in (0, 5, 10):
        y = _y(tenth / 10)
        draw.line((_LEFT, y, WIDTH - _RIGHT, y), _GRID)
        draw.text((_LEFT - 30, y - 8), f"{tenth / 10:.1f}", _INK, font)
    for time_s in _ticks(duration_s):
        x = _x(time_s, duration_s)
        draw.line((x, HEIGHT - _BOTTOM, x, HEIGHT - _BOTTOM + 5), _INK)
        draw.text((x, HEIGHT - _BOTTOM + 7), clock(time_s), _INK, font, anchor="ma")
    draw.text((4, 6), "score", _INK, font)
    points = _points(scores, duration_s)
    if len(points) > 1:
        draw.line(points, _LINE, 2)
    elif points:
        draw.ellipse((points[0][0] - 2, points[0][1] - 2, points[0][0] + 2, points[0][1] + 2), _LINE)
    draw.line((_LEFT, _TOP, _LEFT, HEIGHT - _BOTTOM, WIDTH - _RIGHT, HEIGHT - _BOTTOM), _INK)
    out = io.BytesIO()
    image.save(out, kind, **({"quality": 90} if kind == "JPEG" else {}))
    return out.getvalue()


def _points(scores: ScoreTrack, duration_s: float) -> list[tuple[int, int]]:
    """Returns one point a column that has samples: the highest of them."""
    columns: dict[int, float] = {}
    for time_s, value in zip(scores.times_s.tolist(), scores.scores.tolist(), strict=True):
        x = _x(min(time_s, duration_s), duration_s)
        columns[x] = max(columns.get(x, 0.0), value)
    return [(x, _y(columns[x])) for x in sorted(columns)]


def _ticks(duration_s: float) -> list[float]:
    step = next((step for step in _STEPS_S if duration_s / step <= 10), duration_s / 8)
    return [float(step * index) for index in range(int(duration_s / step) + 1)]


def _x(time_s: float, duration_s: float) -> int:
    share = min(max(time_s / duration_s, 0.0), 1.0)
    return round(_LEFT + share * (WIDTH - _LEFT - _RIGHT))


def _y(value: float) -> int:
    return round(HEIGHT - _BOTTOM - value * (HEIGHT - _BOTTOM - _TOP))
