"""Loaders on small files in the layout that each source documents; real annotation is read by the integration tests."""

from __future__ import annotations

import json

import pytest

from vau.errors import InputError
from vau.eval.benchmarks import BENCHMARKS, context, find_benchmark
from vau.eval.benchmarks.base import Item
from vau.eval.benchmarks.cuebench import read_hierarchy
from vau.eval.benchmarks.cuva import read_categories
from vau.eval.benchmarks.inventory import take_stock
from vau.eval.benchmarks.predictions import Record
from vau.eval.benchmarks.result import evaluate
from vau.eval.benchmarks.uca import read_annotation
from vau.eval.benchmarks.vad_reasoning import parse_answer
from vau.eval.benchmarks.vau_answers import take_grounding
from vau.eval.benchmarks.vau_bench import minutes_and_seconds

HEAD = (
    "Video Name,Question,Option 1,Option 2,Option 3,Option 4,Correct Option,Key Object,Description,Reasoning,"
    "Anomaly Class,Start Time,End Time\n"
)


def rows_of(*rows: str) -> str:
    return HEAD + "".join(f"{row}\n" for row in rows)


def figures_of(name, folder, records, split=None):
    benchmark = find_benchmark(name)
    found = benchmark.load(folder, split)
    result = evaluate(benchmark, found, records, split=split, with_priors=False)
    return {figure: estimate.value for figure, estimate in result.figures.items()}, result


def test_names_and_prompts_of_benchmarks_exist() -> None:
    from vau.mllm.prompts import load_prompt

    names = [benchmark.name for benchmark in BENCHMARKS]
    assert len(set(names)) == len(names)
    for benchmark in BENCHMARKS:
        for prompt in (benchmark.prompt, benchmark.judge):
            assert not prompt or load_prompt(prompt).name == prompt
        assert bool(benchmark.judge) == (benchmark.case is not None)
    with pytest.raises(InputError, match="no benchmark 'uca'"):
        find_benchmark("uca")


def test_the_proxy_never_carries_cuebenchs_name() -> None:
    for benchmark in BENCHMARKS:
        if benchmark.name.startswith("context-proxy"):
            assert "cue" not in (benchmark.name + benchmark.title + benchmark.card + benchmark.note).lower()


# UCA


def test_uca_text_and_json_say_the_same(tmp_path) -> None:
    content = {"B_x264": {"duration": 3700.0, "timestamps": [[61.5, 70], [3, 3601.2]], "sentences": ["one", "two ##"]}}
    (tmp_path / "a.json").write_text(json.dumps(content))
    (tmp_path / "a.txt").write_text("B_x264 01:01.5 01:10.0 ##one\nB_x264 0:03.0 1:00:01.2 ## two ##\n")
    as_json, as_text = read_annotation(tmp_path / "a.json"), read_annotation(tmp_path / "a.txt")
    assert as_json["B_x264"][0] == 3700 and as_text["B_x264"][0] is None
    assert [span for span, _ in as_text["B_x264"][1]] == [pytest.approx(span) for span, _ in as_json["B_x264"][1]]
    assert [told for _, told in as_text["B_x264"][1]] == [told for _, told in as_json["B_x264"][1]]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", "[]"),
        ("a.json", '{"a": 3}'),
        ("a.json", '{"a": {"duration": 3, "timestamps": [[1, 2]], "sentences": []}}'),
        ("a.json", '{"a": {"duration": 3, "timestamps": [[2, 1]], "sentences": ["x"]}}'),
        ("a.json", '{"a": {"duration": NaN, "timestamps": [], "sentences": []}}'),
        ("a.txt", "a 1 2 no marks\n"),
        ("a.txt", "a 1:x 2 ##x\n"),
    ],
)
def test_malformed_uca_is_refused(tmp_path, name, content) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError):
        read_annotation(tmp_path / name)


# VAU-Bench


@pytest.mark.parametrize(("written", "seconds"), [(112, 72), (59, 59), (5633, 3393), (0, 0), (75, None), (1.5, None)])
def test_times_of_minutes_and_seconds(written, seconds) -> None:
    assert minutes_and_seconds(written) == seconds


def test_vau_bench_reads_both_readings_of_times(tmp_path) -> None:
    (tmp_path / "test_ecva.csv").write_text(
        rows_of(
            "1.mp4,q?,a,b,c,longest,D,k,d,r,Fighting,50.0,112.0",
            "2.mp4,q?,a,b,c,d,A. a,k,d,r,Normal,0.0,0.0",
            "3.mp4,q?,a,b,c,d,A,k,d,r,Fire,-1,-1",
            "4.mp4,q?,a,b,c,d,A,k,d,r,Fire,80,95",
        )
    )
    benchmark = find_benchmark("vau-bench/tag")
    found = benchmark.load(tmp_path, "ecva")
    assert [item.truth.span_s for item in found.items] == [(50, 72), None, (80, 95)]
    assert {repair.rule: repair.count for repair in found.repairs} == {"mmss": 1, "no-times": 1, "mmss-odd": 1}
    records = {
        "1": Record("<think>x</think><answer>Anomaly</answer><glue>[50, 72]</glue>"),
        "2": Record("<answer>Normal</answer><glue>[-1.0, -1.0]</glue>"),
        "4": Record({"answer": "Abnormal", "span_s": [80, 95]}),
    }
    figures, result = figures_of("vau-bench/tag", tmp_path, records, "ecva")
    assert figures["mIoU, anomalous"] == 1 and figures["mIoU, all"] == 1
    assert figures["mIoU, times as written"] == pytest.approx((22 / 62 + 1) / 2)
    assert figures["answer"] == pytest.approx(2 / 3), '"Abnormal" is not the label'
    assert figures["answer, as VAU-R1's code takes it"] == 1, "its first capital is an A"
    assert result.deviations == ("3 items, the source has 402", "3 videos, the source has 402")


def test_nearly_any_answer_is_normal_for_the_released_code(tmp_path) -> None:
    (tmp_path / "test_msad.csv").write_text(rows_of("n.mp4,q,a,b,c,d,A,k,d,r,Normal,0,0"))
    figures, _ = figures_of(
        "vau-bench/tag", tmp_path, {"n": Record("<answer>unsure</answer><glue>[1, 2]</glue>")}, "msad"
    )
    assert figures["answer"] == 0 and figures["answer, as VAU-R1's code takes it"] == 1
    assert figures["mIoU, all"] == 0 and figures["mIoU, anomalous"] is None


@pytest.mark.parametrize(
    ("value", "span"),
    [
        ("<answer>Anomaly</answer><glue>[1.5, 2]</glue>", (1.5, 2)),
        ("between [0:01:10, 0:01:20] or so", (70, 80)),
        ([3, 4], (3, 4)),
        ([-1, -1], None),
        ("<answer>Normal</answer>", None),
    ],
)
def test_forms_of_a_grounded_answer(value, span) -> None:
    assert take_grounding(value, Item("a", "a", {}, None)).span_s == span


@pytest.mark.parametrize("value", ["", "<answer>Anomaly</answer>", "[5, 3]", "[..,1]", None, 3, {"answer": "Anomaly"}])
def test_what_is_no_grounded_answer_is_refused(value) -> None:
    with pytest.raises(InputError):
        take_grounding(value, Item("a", "a", {}, None))


def test_vau_bench_questions_options_and_classes(tmp_path) -> None:
    (tmp_path / "test_ucf_crime.csv").write_text(
        rows_of(
            "a.mp4,q?,w,x,y,the longest,D. the longest,k,d,r,Traffic_accident,1,2",
            "b.mp4,q?,w,x,y,z,A,k,d,r,Normal,0,0",
            "c.mp4,-1,-1,-1,-1,-1,-1,-1,-1,-1,-1,1,2",
        )
    )
    benchmark = find_benchmark("vau-bench/qa")
    found = benchmark.load(tmp_path, "ucf")
    assert [item.truth for item in found.items] == ["D", "A"]
    assert found.items[0].inputs["options"][3] == "D. the longest"
    assert {repair.rule: repair.count for repair in found.repairs} == {"full-option": 1, "no-question": 1}
    answers = {"a": Record("The answer is D"), "b": Record("<answer>A</answer>")}
    figures, result = figures_of("vau-bench/qa", tmp_path, answers, "ucf")
    assert figures == {"accuracy": 0.5, "accuracy, lenient": 1}
    shuffled = find_benchmark("vau-bench/qa-shuffled").load(tmp_path, "ucf").items
    for plain, mixed in zip(found.items, shuffled, strict=True):
        right = plain.inputs["options"]["ABCD".index(plain.truth)][3:]
        assert mixed.inputs["options"]["ABCD".index(mixed.truth)][3:] == right
        assert {one[3:] for one in mixed.inputs["options"]} == {one[3:] for one in plain.inputs["options"]}
    classes = {"a": Record("traffic accident"), "b": Record("Something else")}
    figures, result = figures_of("vau-bench/cls", tmp_path, classes, "ucf")
    assert figures["accuracy, 20 classes"] == 0.5 and figures["accuracy, anomaly or not"] == 0.5
    assert result.unreadable == 1


def test_wrong_vau_bench_rows_are_refused(tmp_path) -> None:
    for row in ("a,q,w,x,y,z,E,k,d,r,Fire,1,2", "a,q,w,x,y,z,A,k,d,r,Dragons,1,2"):
        (tmp_path / "val.csv").write_text(rows_of(row))
        with pytest.raises(InputError):
            find_benchmark("vau-bench/qa").load(tmp_path, "val")
    (tmp_path / "val.csv").write_text(rows_of("a,q,w,x,y,z,A,k,d,r,Fire,x,2"))
    with pytest.raises(InputError, match="times must be numbers"):
        find_benchmark("vau-bench/tag").load(tmp_path, "val")


# CueBench's layout, and the proxy


def cue_rows() -> list[dict[str, object]]:
    shared = {"video_duration": 20.0, "event_id": 1, "scene": "cliff"}
    return [
        {"video": "videos/a.mp4", "anomaly": 1, "start_time": 10, "end_time": 15, "attribute": ["no rope"], **shared},
        {"video": "videos/b.mp4", "anomaly": 0, "attribute": ["rope", "helmet"], **shared},
    ]


def cue_folder(tmp_path):
    (tmp_path / "Annotation").mkdir()
    (tmp_path / "Annotation" / "event_id2n.json").write_text('{"1": "climbing", "2": "robbery"}')
    tree = {"conditional": {"climbing": ["cliff", "wall"]}, "absolute": {"robbery": []}}
    (tmp_path / "Annotation" / "Event_Scene_Hierarchy.json").write_text(json.dumps(tree))
    (tmp_path / "test.json").write_text(json.dumps(cue_rows()))
    return tmp_path


def test_cuebench_reads_the_layout_and_its_hierarchy(tmp_path) -> None:
    folder = cue_folder(tmp_path)
    assert read_hierarchy(folder / "Annotation" / "Event_Scene_Hierarchy.json")["climbing"] == ("conditional",)
    found = find_benchmark("cuebench/recognition").load(folder)
    first = found.items[0].truth[0]
    assert (first.video, first.event, first.kind, first.span_s) == ("a", "climbing", "conditional", (10, 15))
    assert first.levels == ("anomaly", "conditional", "climbing", "cliff", "no rope")
    assert found.items[0].truth[1] == found.items[1].truth[1] == "climbing/0"


def test_recognition_by_levels_and_pairs(tmp_path) -> None:
    folder = cue_folder(tmp_path)
    fields = {"is_anomaly": True, "event_type": "conditional", "event": "Climbing", "scene": "cliff"}
    records = {
        "1": Record({**fields, "attributes": ["no_rope"]}),
        "2": Record("<answer>anomaly > conditional > climbing > cliff > rope, helmet</answer>"),
    }
    figures, _ = figures_of("cuebench/recognition", folder, records)
    assert figures["event"] == 1 and figures["normal or not"] == 0.5 and figures["attribute F1"] == 1
    assert figures["pair accuracy"] == 0, "one of the two is wrong, so the pair is"
    assert figures["hP"] == 0.5 and figures["scene"] == 1


def test_unknown_fields_say_how_to_name_them(tmp_path) -> None:
    folder = cue_folder(tmp_path)
    rows = [{("leaf" if key == "event_id" else key): value for key, value in row.items()} for row in cue_rows()]
    (folder / "test.json").write_text(json.dumps(rows))
    benchmark = find_benchmark("cuebench/grounding")
    with pytest.raises(InputError, match=r"no field for event; the row has .*leaf.*fields\.json"):
        benchmark.load(folder)
    (folder / "fields.json").write_text('{"event": "leaf"}')
    assert [item.inputs for item in benchmark.load(folder).items] == [{"event": "climbing"}]


def test_cuebench_from_arrow_and_parquet(tmp_path) -> None:
    datasets = pytest.importorskip("datasets")
    folder = cue_folder(tmp_path)
    (folder / "test.json").unlink()
    rows = [{"start_time": None, "end_time": None, **row} for row in cue_rows()]
    datasets.Dataset.from_list(rows).save_to_disk(str(folder / "test"))
    assert len(find_benchmark("cuebench/detection").load(folder).items) == 2
    for file in (folder / "test").iterdir():
        file.unlink()
    for number in range(2):
        datasets.Dataset.from_list(rows[number : number + 1]).to_parquet(str(folder / "test" / f"{number}.parquet"))
    stock = take_stock(find_benchmark("cuebench/detection"), folder)
    assert [verdict.state for verdict in stock.verdicts] == ["ready", "missing"]
    assert len(find_benchmark("cuebench/detection").load(folder).items) == 2
    (folder / "test" / "0.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(InputError, match="not Arrow or Parquet"):
        find_benchmark("cuebench/detection").load(folder)


def proxy_folder(tmp_path, count=6):
    rows = []
    for number in range(count):
        odd = bool(number % 2)
        rows.append(
            {
                "id": f"r{number}",
                "video": f"v{number}.mp4",
                "duration": 20.0,
                "event": "climbing",
                "event_type": "conditional",
                "scene": "cliff",
                "attributes": ["no rope" if odd else "rope"],
                "is_anomaly": odd,
                "start": 10.0 if odd else None,
                "end": 14.0 if odd else None,
            }
        )
    (tmp_path / "context_proxy_test.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return tmp_path


def test_detection_from_spans_with_confidence(tmp_path) -> None:
    folder = proxy_folder(tmp_path)
    records = {
        f"r{n}": Record({"anomalies": [{"span_s": [10, 14], "confidence": 0.9}] if n % 2 else []}) for n in range(6)
    }
    figures, _ = figures_of("context-proxy/detection", folder, records)
    assert figures == {"AUC": 1, "AP": 1}
    bad = Record({"anomalies": [{"span_s": [1, 2], "confidence": 7}]})
    assert figures_of("context-proxy/detection", folder, {"r0": bad})[1].unreadable == 1


def test_anticipation_shows_no_more_than_the_time_before(tmp_path) -> None:
    folder = proxy_folder(tmp_path)
    benchmark = find_benchmark("context-proxy/anticipation")
    for split, shown in (("test-1s", 9), ("test-5s", 5)):
        found = benchmark.load(folder, split)
        assert {item.span_s for item in found.items} == {(0.0, shown)}, "normal prefixes are as long as abnormal ones"
    records = {f"r{n}": Record({"probability": 0.8 if n % 2 else 0.1, "event": "climbing"}) for n in range(6)}
    figures, _ = figures_of("context-proxy/anticipation", folder, records, "test-1s")
    assert figures == {"AUC": 1, "accuracy": 1, "event": 1}
    figures, _ = figures_of("context-proxy/anticipation", folder, {}, "test-1s")
    assert figures == {"AUC": 0, "accuracy": 0, "event": 0}, "what fails is wrong"


def test_grounding_of_an_event(tmp_path) -> None:
    folder = proxy_folder(tmp_path)
    records = {"r1": Record({"found": True, "span_s": [10, 14]}), "r3": Record({"found": False, "span_s": None})}
    figures, result = figures_of("context-proxy/grounding", folder, records)
    assert figures["R@1, IoU=0.7"] == pytest.approx(1 / 3) and result.answered == 2


def test_records_must_make_sense() -> None:
    fields = {"record_id": "a", "video": "a", "event": "e", "kind": "none", "scene": "", "attributes": frozenset()}
    with pytest.raises(InputError, match="span"):
        context.Record(**fields, duration_s=5, abnormal=True)
    with pytest.raises(InputError, match="not within"):
        context.Record(**fields, duration_s=5, abnormal=True, span_s=(1, 9))
    with pytest.raises(InputError, match="duration"):
        context.Record(**fields, duration_s=0, abnormal=False)


# Vad-Reasoning, CUVA, HAWK


def test_vad_reasoning_parts_and_times(tmp_path) -> None:
    told = "<which>Fighting</which> <what>two men fight</what> <when>[0.2, 0.4]</when>"
    rows = [
        {
            "source": "UCF",
            "video": "a.mp4",
            "anomaly_type": "Fighting",
            "total_frames": 100,
            "answer": told,
            "start": 20,
            "end": 40,
        },
        {
            "source": "UCF",
            "video": "b.mp4",
            "anomaly_type": "Normal",
            "total_frames": 9,
            "answer": "<which>Normal</which>",
        },
        {
            "source": "TAD",
            "video": "c.mp4",
            "anomaly_type": "Fire",
            "total_frames": 200,
            "answer": "fire",
            "start": 50,
            "end": 100,
        },
    ]
    (tmp_path / "sft_test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = find_benchmark("vad-reasoning").load(tmp_path)
    assert [item.truth.span for item in found.items] == [(0.2, 0.4), None, (0.25, 0.5)]
    assert [item.truth.label for item in found.items] == ["abnormal", "normal", "abnormal"]
    assert found.items[0].truth.text == "Fighting two men fight [0.2, 0.4]"
    answer = parse_answer(f"<think>normal?</think><answer>{told}</answer>")
    assert (answer.label, answer.span) == ("abnormal", (0.2, 0.4))
    assert parse_answer("<which>Normal</which><when>[0, 1]</when>").span is None
    for wrong in ("two men fight", "<which>Abnormal</which><when>[0.9, 0.1]</when>"):
        with pytest.raises(InputError):
            parse_answer(wrong)


def test_cuva_in_both_layouts(tmp_path) -> None:
    lmms = [
        {"test_id": f"t{n}", "video_name": "1.mp4", "task": task, "answer": "x"}
        for n, task in enumerate(("Description", "Cause", "Result"))
    ]
    (tmp_path / "cuva_test.json").write_text(json.dumps(lmms))
    found = find_benchmark("cuva").load(tmp_path)
    assert [item.groups[0] for item in found.items] == ["description", "cause", "result"]
    (tmp_path / "cuva_test.json").unlink()
    released = [
        {
            "video_id": "00001.mp4",
            "question": "why?",
            "answer": "x",
            "question_id": 7,
            "answer_type": "Cause",
            "output": "y",
        }
    ]
    (tmp_path / "output_anomaly_cause.json").write_text(json.dumps(released))
    (item,) = find_benchmark("cuva").load(tmp_path).items
    assert (item.item_id, item.video, item.inputs["question"]) == ("7", "00001", "why?")
    from vau.eval.benchmarks.predictions import read_predictions

    assert read_predictions(tmp_path / "output_anomaly_cause.json", [item])["7"].prediction == "y"


def test_categories_of_cuva(tmp_path) -> None:
    (tmp_path / "c.txt").write_text("1-Fighting\n1-1 Street\n1-2 Other\n2-Fire\n")
    assert read_categories(tmp_path / "c.txt") == {"Fighting": ("Street", "Other"), "Fire": ()}
    (tmp_path / "c.txt").write_text("2-1 Street\n")
    with pytest.raises(InputError, match="before its class"):
        read_categories(tmp_path / "c.txt")


def test_hawk_descriptions_and_questions(tmp_path) -> None:
    rows = [
        {
            "video": "UCF_Crime/a.mp4",
            "description": "a man falls",
            "QA": [{"q": "who?", "a": "a man"}, {"q": "what?", "a": "a fall"}],
        }
    ]
    (tmp_path / "all_videos_test.json").write_text(json.dumps(rows))
    (told,) = find_benchmark("hawk/description").load(tmp_path).items
    asked = find_benchmark("hawk/qa").load(tmp_path).items
    assert told.truth == "a man falls" and told.groups == ("UCF_Crime",)
    assert [(item.inputs["question"], item.truth) for item in asked] == [("who?", "a man"), ("what?", "a fall")]
    rows[0]["QA"] = [{"q": "who?"}]
    (tmp_path / "all_videos_test.json").write_text(json.dumps(rows))
    with pytest.raises(InputError, match="needs q and a"):
        find_benchmark("hawk/qa").load(tmp_path)


def test_any_anomaly_labels(tmp_path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "avenue_bicycle_label.h5", "w") as file:
        file["01"], file["02"] = [0, 1, 1], [0, 0]
    figures, _ = figures_of(
        "any-anomaly/c-avenue", tmp_path, {"bicycle/01": Record([0.1, 0.9, 0.8]), "bicycle/02": Record([0, 0.2])}
    )
    assert figures["AUC, mean over queries"] == figures["AUC"] == 1
    (tmp_path / "avenue_bicycle_label.h5").write_bytes(b"no")
    with pytest.raises(InputError, match="not HDF5"):
        find_benchmark("any-anomaly/c-avenue").load(tmp_path)


def test_stock_says_what_is_missing_and_where_it_is_from(tmp_path) -> None:
    stock = take_stock(find_benchmark("hawk/qa"), tmp_path)
    assert not stock.usable and stock.verdicts[0].state == "missing"
    assert "github.com/jqtangust/hawk" in stock.verdicts[0].detail
    (tmp_path / "x").mkdir()
    rows = [{"video": "UCF_Crime/a.mp4", "description": "a man falls", "QA": [{"q": "who?", "a": "a man"}]}]
    (tmp_path / "x" / "all_videos_test.json").write_text(json.dumps(rows))
    stock = take_stock(find_benchmark("hawk/qa"), tmp_path)
    assert stock.usable and stock.verdicts[0].items == 1
    (tmp_path / "all_videos_test.json").write_text(json.dumps(rows))
    with pytest.raises(InputError, match="2 files fit"):
        take_stock(find_benchmark("hawk/qa"), tmp_path)
