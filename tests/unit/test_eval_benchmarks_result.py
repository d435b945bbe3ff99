from __future__ import annotations

import json

import numpy as np
import pytest

from vau.errors import InputError
from vau.eval.benchmarks.base import Benchmark, Counts, Item, Items
from vau.eval.benchmarks.frames import frame_figures, take_scores
from vau.eval.benchmarks.predictions import Record, read_predictions
from vau.eval.benchmarks.result import evaluate
from vau.eval.metrics.grounding import check_spans, recall_figures
from vau.eval.metrics.judge import Case
from vau.eval.truth import VideoTruth

ITEMS = tuple(Item(f"v{n // 2}/{n % 2}", f"v{n // 2}", {}, (0.0, 10.0), groups=(f"g{n % 2}",)) for n in range(6))
BENCHMARK = Benchmark(
    name="toy",
    title="Toy",
    prompt="uca_grounding",
    splits={"test": Counts(6, 3), "leaky": Counts()},
    parts=(),
    read=lambda folder, split: Items(ITEMS, (), leaks=("All of it leaks.",) if split == "leaky" else ()),
    take=lambda value, item: check_spans(value),
    figures=lambda items, answers: recall_figures(answers, [item.truth for item in items], recalled=(1,)),
    priors=lambda found: {"whole": [((0.0, 20.0),)] * len(found.items)},
    videos_from="nowhere",
    terms="none",
    card="toy",
)


def test_what_failed_is_counted_and_stays_in_the_denominator(tmp_path) -> None:
    found = BENCHMARK.load(tmp_path)
    records = {
        "v0/0": Record([[0, 10]]),
        "v0/1": Record(error="timed out"),
        "v1/0": Record("no idea"),
        "v1/1": Record([[0, 10]]),
    }
    result = evaluate(BENCHMARK, found, records)
    assert (result.used, result.expected, result.complete) == (6, 6, True)
    assert (result.answered, result.missing, result.failed, result.unreadable) == (2, 2, 1, 1)
    assert result.figures["R@1, IoU=0.5"].value == pytest.approx(2 / 6)
    assert result.priors["whole"]["R@1, IoU=0.5"] == 1
    assert [(row.group, row.items) for row in result.rows] == [("g0", 3), ("g1", 3)]
    assert result.deviations == () and ("timed out", 1) in result.reasons
    json.dumps(result.to_dict(), allow_nan=False)


def test_a_part_is_scored_on_request_and_said_to_be_one(tmp_path) -> None:
    found = BENCHMARK.load(tmp_path)
    result = evaluate(BENCHMARK, found, {"v2/1": Record([[0, 10]]), "v2/0": Record(error="x")}, partial=True)
    assert (result.used, result.expected, result.complete) == (2, 6, False)
    assert result.figures["mIoU"].value == 0.5
    with pytest.raises(InputError, match="none of the 6 items"):
        evaluate(BENCHMARK, found, {}, partial=True)


def test_a_leaking_split_is_refused_unless_allowed(tmp_path) -> None:
    found = BENCHMARK.load(tmp_path, "leaky")
    with pytest.raises(InputError, match="All of it leaks"):
        evaluate(BENCHMARK, found, {}, split="leaky")
    assert evaluate(BENCHMARK, found, {}, split="leaky", allow_leaks=True).leaks == ("All of it leaks.",)


def test_a_judge_needs_texts(tmp_path) -> None:
    with pytest.raises(InputError, match="no texts to judge"):
        evaluate(BENCHMARK, BENCHMARK.load(tmp_path), {}, judge=object())  # type: ignore[arg-type]
    assert Case(None, "x").question is None


def test_unknown_splits_and_folders_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="no split 'train'; there are: test, leaky"):
        BENCHMARK.load(tmp_path, "train")
    with pytest.raises(InputError, match="no such folder"):
        BENCHMARK.load(tmp_path / "x")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.jsonl", '{"id": "v0/0", "prediction": [[0, 5]]}\n\n{"id": "v0/1", "error": "died"}\n'),
        ("p.json", '[{"id": "v0/0", "prediction": [[0, 5]]}, {"qid": "v0/1", "error": "died"}]'),
        ("q.json", '{"v0.mp4": [[[0, 5]], [[1, 2]]]}'),
        ("r.json", '{"version": "1", "results": {"v0": [[[0, 5, 0.9]], [[1, 2]]]}}'),
        (
            "s.jsonl",
            '{"qid": "v0/0", "vid": "v0", "pred_relevant_windows": [[0, 5, 0.9]]}\n{"id": "v0/1", "error": "x"}',
        ),
    ],
)
def test_prediction_files_of_several_forms(tmp_path, name, content) -> None:
    (tmp_path / name).write_text(content)
    found = read_predictions(tmp_path / name, ITEMS)
    assert set(found) == {"v0/0", "v0/1"}
    assert check_spans(found["v0/0"].prediction) == ((0, 5),)


def test_dense_submissions_have_one_item_a_video(tmp_path) -> None:
    items = [Item("v0", "v0", {}, None), Item("v1", "v1", {}, None)]
    event = {"sentence": "a", "timestamp": [0, 1]}
    (tmp_path / "p.json").write_text(json.dumps({"results": {"v0": [event], "v1": [event, event]}}))
    found = read_predictions(tmp_path / "p.json", items)
    assert found["v0"].prediction == [event] and len(found["v1"].prediction) == 2
    (tmp_path / "q.json").write_text(json.dumps({"v0": [[[0, 1]]]}))  # spans by query, of a video with one query
    assert check_spans(read_predictions(tmp_path / "q.json", items)["v0"].prediction) == ((0, 1),)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.jsonl", "", "no prediction"),
        ("p.jsonl", '{"id": "v0/0", "prediction": 1', "not a JSON object"),
        ("p.jsonl", '{"prediction": 1}', "no id"),
        ("p.jsonl", '{"id": "v0/0"}', "neither prediction nor error"),
        ("p.jsonl", '{"id": "zz", "prediction": 1}', "belong to no item, such as 'zz'"),
        ("p.jsonl", '{"id": "v0/0", "prediction": 1}\n{"id": "v0/0", "prediction": 2}', "has 2 records"),
        ("p.json", '{"v0": [[[0, 1]]]}', "v0 has 2 items"),
        ("p.json", '{"nobody": [[[0, 1]]]}', "belong to no item"),
        ("p.json", '"x"', "expected a list of records"),
        ("p.jsonl", "[" * 100_000, "not a JSON object"),
    ],
)
def test_malformed_prediction_files_are_refused(tmp_path, name, content, message) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        read_predictions(tmp_path / name, ITEMS)


def labelled(name: str, labels: list[int], video: str = "") -> Item:
    values = np.array(labels, bool)
    return Item(name, video or name, {}, VideoTruth(video or name, "Abnormal", values, len(values)))


def test_a_failed_video_is_wrong_on_every_frame() -> None:
    items = [labelled("a", [0, 1, 1]), labelled("b", [0, 0, 0])]
    good = {one.name: one for one in frame_figures(items, [np.array([0.0, 1, 1]), np.zeros(3)])}
    assert good["AUC"].value() == 1
    # b fails: its normal frames are above all others.
    assert frame_figures(items, [np.array([0.0, 1, 1]), None])[0].value() == pytest.approx(2 / 8)
    assert good["AUC"].value(np.array([False, True])) is None


def test_forms_of_frame_scores() -> None:
    item = labelled("a", [0, 0, 1, 1])
    assert take_scores([1, 2, 3, 4], item).tolist() == [1, 2, 3, 4]
    assert take_scores({"scores": [1, 2], "stride": 2}, item).tolist() == [1, 1, 2, 2]
    assert take_scores({"scores": [1, 2], "frames": [0, 2]}, item).tolist() == [1, 1, 2, 2]
    assert take_scores({"scores": [1, 2], "times_s": [0, 0.2], "fps": 10}, item).tolist() == [1, 1, 2, 2]
    for wrong in (
        [1, 2],
        [],
        "x",
        [1, None, 2, 3],
        [float("nan")] * 4,
        {"scores": [1], "stride": 0},
        {"scores": [True] * 4},
    ):
        with pytest.raises(InputError):
            take_scores(wrong, item)
