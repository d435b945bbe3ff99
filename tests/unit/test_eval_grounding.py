from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vau.errors import InputError
from vau.eval.metrics.grounding import (
    check_span,
    check_spans,
    length_bucket,
    overlaps,
    recall_figures,
    tiou,
    video_figures,
)

times = st.floats(0, 1000, allow_nan=False)
spans = st.tuples(times, times).map(lambda pair: (min(pair), max(pair)))


def test_overlap_by_hand() -> None:
    assert tiou((0, 10), (5, 15)) == pytest.approx(1 / 3)
    assert tiou((0, 1), (2, 3)) == 0
    assert tiou((2, 2), (2, 2)) == 0  # two points share no time


@given(spans, spans)
def test_overlap_is_symmetric_and_at_most_one(first, second) -> None:
    found = tiou(first, second)
    assert found == tiou(second, first) and 0 <= found <= 1
    if first[1] > first[0]:
        assert tiou(first, first) == 1


@given(st.lists(st.tuples(st.lists(spans, max_size=4), spans), min_size=1, max_size=8))
def test_the_table_of_overlaps_is_the_overlap_of_each(rows) -> None:
    predictions, truths = [row[0] for row in rows], [row[1] for row in rows]
    found = overlaps(predictions, truths, 3)
    for row, (ranked, true) in enumerate(rows):
        by_hand = [tiou(span, true) for span in ranked[:3]]
        assert found[row].tolist() == pytest.approx(by_hand + [0] * (3 - len(by_hand)))


def test_recall_counts_failures_as_wrong_and_exact_overlap_as_right() -> None:
    predictions = [((0.0, 10.0),), ((90.0, 99.0), (0.0, 5.0)), None]
    figures = {figure.name: figure.value() for figure in recall_figures(predictions, [(0.0, 10.0)] * 3)}
    assert figures["R@1, IoU=0.5"] == pytest.approx(1 / 3)
    assert figures["R@5, IoU=0.5"] == pytest.approx(2 / 3)  # the second span overlaps by exactly 1/2
    assert figures["mIoU"] == pytest.approx(1 / 3)


def test_normal_videos_by_both_conventions() -> None:
    truths = [(0.0, 10.0), None, None, (0.0, 10.0)]
    predictions = [(0.0, 5.0), None, (0.0, 1.0), "failed"]
    figures = {figure.name: figure.value() for figure in video_figures(predictions, truths)}
    assert figures["mIoU, anomalous"] == pytest.approx(0.25)  # (0.5 + 0) / 2
    assert figures["mIoU, all"] == pytest.approx(0.375)  # (0.5 + 1 + 0 + 0) / 4
    assert figures["R@1, IoU=0.5"] == 0.5 and figures["R@1, IoU=0.5, all"] == 0.5


def test_a_failed_item_of_a_normal_video_is_wrong() -> None:
    figures = {figure.name: figure.value() for figure in video_figures(["failed", None], [None, None])}
    assert figures["mIoU, all"] == 0.5 and figures["mIoU, anomalous"] is None


def test_forms_of_a_ranked_list() -> None:
    assert check_spans([1, 2]) == ((1, 2),)
    assert check_spans({"spans_s": [[1, 2], [3, 4]]}) == ((1, 2), (3, 4))
    assert check_spans({"pred_relevant_windows": [[1, 2, 0.9]]}) == ((1, 2),)


@pytest.mark.parametrize("value", [[], None, "1-2", [2, 1], [[1]], [[1, float("nan")]], [[True, 2]], [1, 1e12], {}])
def test_what_is_no_span_is_refused(value) -> None:
    with pytest.raises(InputError, match="span"):
        check_spans(value)
    if not isinstance(value, dict):
        with pytest.raises(InputError, match="span"):
            check_span(value)


def test_buckets_of_length() -> None:
    assert length_bucket(60) == ("video <= 60 s",)
    assert length_bucket(60.1) == length_bucket(300) == ("60 s < video <= 300 s",)
    assert length_bucket(301) == ("video > 300 s",) and length_bucket(None) == ()
