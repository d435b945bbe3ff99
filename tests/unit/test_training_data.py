"""Records, prompts, tasks, frames and leaks: what a model is taught with, and what must never get into it."""

from __future__ import annotations

import json
from collections import Counter

import cv2
import numpy as np
import pytest
from PIL import Image

from vau.errors import InputError
from vau.mllm.structured import parse
from vau.training.data import simulated
from vau.training.data.conversation import conversation, takes
from vau.training.data.frames import FrameSettings, FrameStore, keyframe_times
from vau.training.data.leaks import find_leaks, key, read_held_out, refuse_leaks
from vau.training.data.records import Record, Vocabulary, read_records, write_records
from vau.training.data.targets import target
from vau.training.data.tasks import make_rows, split
from vau.training.rewards.answers import JSON_TASKS, TASKS, read

cv2.setNumThreads(1)


def record(**changes):
    told = {"id": "a", "video": "a.mp4", "duration_s": 20.0, "abnormal": True, "spans_s": ((5.0, 9.0),), **changes}
    return Record.model_validate(told)


@pytest.fixture(scope="module")
def records():
    return simulated.simulated_records(range(3), ("fall", "intrusion", "road accident"))


@pytest.fixture(scope="module")
def rows(records):
    return make_rows(records, dict.fromkeys(TASKS, 1.0), Vocabulary.of(records), seed=1)


def test_records_survive_their_file(tmp_path, records):
    file = tmp_path / "records.jsonl"
    write_records(file, records)
    assert list(read_records(file)) == records


def test_paths_in_a_file_start_at_its_folder(tmp_path):
    file = tmp_path / "r.jsonl"
    file.write_text(json.dumps({"id": "a", "video": "v/a.mp4", "duration_s": 3, "abnormal": False, "report": "a.json"}))
    (read,) = read_records(file)
    assert read.video == str(tmp_path / "v/a.mp4") and read.report == str(tmp_path / "a.json")


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"id": "a", "id": "b"}',
        json.dumps({"id": "a", "video": "v", "duration_s": 3, "abnormal": True, "spans_s": []}),
        json.dumps({"id": "a", "video": "v", "duration_s": 3, "abnormal": True, "spans_s": [[2, 1]]}),
        json.dumps({"id": "a", "video": "v", "duration_s": 3, "abnormal": True, "spans_s": [[2, 9]]}),
        json.dumps({"id": "a", "video": "v", "duration_s": 3, "abnormal": False, "spans_s": [[1, 2]]}),
        json.dumps({"id": "a", "video": "v", "duration_s": 3, "abnormal": True, "event": "fall"}),
        json.dumps({"id": "a", "video": "v", "duration_s": 3, "abnormal": True, "colour": "red"}),
        '{"id": "a", "video": "v", "duration_s": NaN, "abnormal": true}',
        json.dumps({"id": "a", "video": "v", "duration_s": 3, "abnormal": True, "what": "x" * 300_000}),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line):
    file = tmp_path / "r.jsonl"
    file.write_text(line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 1"):
        list(read_records(file))


def test_an_id_may_come_once(tmp_path):
    file = tmp_path / "r.jsonl"
    line = record().model_dump_json()
    file.write_text(f"{line}\n{line}\n")
    with pytest.raises(InputError, match="twice"):
        list(read_records(file))


def test_prompts_are_the_templates_of_inference(rows):
    from vau.mllm.interface import Text, TimedFrame
    from vau.mllm.prompts import load_prompt

    times = [0.5, 1.5]
    for task in TASKS:
        row = next(row for row in rows if row.task == task)
        assert set(row.inputs) <= takes(task)
        messages = conversation(task, row.inputs, times)
        frames = [TimedFrame(b"\xff\xd8\xff", time_s) for time_s in times]
        rendered = load_prompt(task).render(frames=frames, **row.inputs)
        assert [item["role"] for item in messages] == [item.role for item in rendered]
        told = [part.text if isinstance(part, Text) else part.time_text for item in rendered for part in item.parts]
        content = [part for item in messages for part in item["content"]]
        assert [part["text"] for part in content if part["type"] == "text"] == told
        assert sum(part["type"] == "image" for part in content) == 2
        place = next(i for i, part in enumerate(content) if part["type"] == "image")
        assert content[place - 1]["text"] == "<0.5 seconds>"


def test_every_task_is_asked_and_its_target_is_paid_in_full(rows):
    """The text that SFT teaches is the one that the rewards of GRPO want."""
    from tests.unit.test_training_rewards_hacks import PURE

    assert {row.task for row in rows} == set(TASKS)
    for row in rows:
        text = target(row)
        columns = {
            "choice": row.choice,
            "label": row.label,
            "labels": row.labels,
            "abnormal": row.abnormal,
            "spans_s": row.spans_s,
            "levels": None if row.levels is None else row.levels.model_dump(),
            "task": row.task,
            "think": row.think,
            "duration_s": row.record.duration_s,
            "sample_id": row.sample_id,
        }
        batch = {name: [value] for name, value in columns.items()}
        paid = [reward(completions=[text], **batch)[0] for reward in PURE]
        told = [value for value in paid if value is not None]
        # Written times have few digits, and a chance of 0.9 is not certainty.
        assert len(told) >= 2 and min(told) > 0.9, (row.task, text, paid)


def test_targets_fit_the_schema_of_their_prompt(rows):
    from vau.mllm.prompts import load_prompt

    for row in rows:
        if row.task in JSON_TASKS:
            assert parse(target(row), load_prompt(row.task).schema(**row.inputs)) is not None


def test_thinking_is_never_made_up():
    (row,) = make_rows([record()], {"vau_r1_grounding": 1.0}, Vocabulary())
    assert target(row) is None
    (row,) = make_rows([record()], {"vau_r1_grounding": 1.0}, Vocabulary(), think=False)
    assert target(row) == "<answer>Anomaly</answer>\n<glue>[5.0, 9.0]</glue>"


def test_unknown_times_are_not_asked_for():
    unknown = record(spans_s=None, label="Fire")
    with pytest.raises(InputError, match="no record has what vau_r1_grounding needs"):
        make_rows([unknown], {"vau_r1_grounding": 1.0}, Vocabulary.of([unknown]))
    (row,) = make_rows([unknown], {"vad_r1": 1.0}, Vocabulary.of([unknown]))
    assert row.abnormal is True and row.spans_s is None


def test_options_change_places_by_seed_and_the_letter_follows(records):
    words = Vocabulary.of(records)
    seen = Counter()
    for seed in range(30):
        for row in make_rows(records[:2], {"vau_r1_qa": 1.0}, words, seed=seed):
            asked = row.record.questions[int(row.sample_id.rpartition("/")[2])]
            shown = row.inputs["options"]["ABCDEFG".index(row.choice)]
            assert shown == f"{row.choice}. {asked.options[asked.right]}"
            if len(asked.options) == 2:
                seen[row.choice] += 1
    assert 0.3 < seen["A"] / seen.total() < 0.7


def test_a_mix_keeps_its_shares_and_its_order(records):
    words = Vocabulary.of(records)
    whole = make_rows(records, {"cue_r1": 1.0, "vau_r1_qa": 1.0}, words, seed=3)
    part = make_rows(records, {"cue_r1": 1.0, "vau_r1_qa": 0.5}, words, seed=3)
    assert whole == make_rows(records, {"cue_r1": 1.0, "vau_r1_qa": 1.0}, words, seed=3)
    counts = [Counter(row.task for row in rows) for rows in (whole, part)]
    assert counts[0]["cue_r1"] == counts[1]["cue_r1"] == len(records)
    assert 0.25 < counts[1]["vau_r1_qa"] / counts[0]["vau_r1_qa"] < 0.75
    assert {row.sample_id for row in part} <= {row.sample_id for row in whole}
    assert [row.task for row in whole] != sorted(row.task for row in whole)
    for mix in ({"poem": 1.0}, {"cue_r1": 0.0}, {"cue_r1": 1.5}):
        with pytest.raises(InputError, match="mix"):
            make_rows(records, mix, words)


def test_anticipation_shows_what_comes_before_and_its_length_tells_nothing():
    many = simulated.simulated_records(range(12), ("fall", "intrusion"))
    rows = make_rows(many, {"cue_anticipation": 1.0}, Vocabulary.of(many), lead_s=1.0)
    for row in rows:
        assert row.inputs["seen_s"] == row.until_s
        if row.abnormal:
            assert row.until_s == pytest.approx(row.record.spans_s[0][0] - 1.0)
    lengths = {
        flag: [row.until_s / row.record.duration_s for row in rows if row.abnormal is flag] for flag in (True, False)
    }
    assert abs(np.mean(lengths[True]) - np.mean(lengths[False])) < 0.12
    assert set(np.round(lengths[False], 6)) <= set(np.round(lengths[True], 6))


def test_no_recording_is_on_both_sides_of_a_split(records):
    train, test = split(records, 0.34, seed=2)
    assert len(train) + len(test) == len(records) and test
    assert not {item.origin for item in train} & {item.origin for item in test}


def test_twins_share_a_source_and_differ_in_context():
    pair = simulated.simulated_records([4], ("intrusion",))
    assert [item.abnormal for item in pair] == [True, False] and pair[0].source == pair[1].source
    assert pair[0].event == pair[1].event and "orange vest" in pair[1].attributes
    assert "orange vest" not in pair[0].attributes and pair[0].kind == "conditional" and pair[1].kind == "none"


@pytest.mark.parametrize("name", ["simulated:fall:x:abnormal", "simulated:poem:1:abnormal", "simulated:fall:1", "x"])
def test_unknown_scenes_are_refused(name):
    with pytest.raises(InputError, match="simulated"):
        simulated.scene_of(name)


def test_frames_are_evenly_spread_scaled_and_kept(tmp_path, monkeypatch):
    item = simulated.simulated_records([0], ("fall",))[0]
    store = FrameStore(tmp_path, FrameSettings(4, max_pixels=168 * 112))
    images, times = store.get(item)
    assert [image.size for image in images] == [(168, 112)] * 4
    np.testing.assert_allclose(times, (np.arange(4) + 0.5) / 4 * item.duration_s, atol=0.05)
    _, until = store.get(item, until_s=4.0)
    assert max(until) < 4.0 and len(list(tmp_path.iterdir())) == 2
    monkeypatch.setattr(simulated, "frames", None)  # nothing is drawn again
    again, kept = store.get(item)
    assert kept == times and all(np.array_equal(one, other) for one, other in zip(again, images, strict=True))


def test_a_torn_file_is_made_anew(tmp_path):
    item = simulated.simulated_records([0], ("fall",))[0]
    store = FrameStore(tmp_path, FrameSettings(2, max_pixels=168 * 112))
    store.get(item)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert len(store.get(item)[0]) == 2 and file.read_bytes() == whole


def test_other_settings_never_mix(tmp_path):
    item = simulated.simulated_records([0], ("fall",))[0]
    for settings in (
        FrameSettings(2, max_pixels=168 * 112),
        FrameSettings(2, max_pixels=168 * 112, total_pixels=168 * 112),
    ):
        images, _ = FrameStore(tmp_path, settings).get(item)
        assert len(images) * images[0].width * images[0].height <= (settings.total_pixels or 2 * 168 * 112) + 1
    assert len(list(tmp_path.iterdir())) == 2


def test_caes_needs_a_report_and_shows_its_events(tmp_path):
    from tests.sample_report import sample_report

    report = sample_report()
    times = keyframe_times(report, 12)
    assert len(times) == 12 and times == sorted(set(times))
    event = max(report.events, key=lambda item: item.score)
    assert sum(event.start_s <= time_s <= event.end_s for time_s in times) >= 3
    assert max(np.diff([0.0, *times, report.video.duration_s])) < report.video.duration_s / 3
    with pytest.raises(InputError, match="names no report"):
        FrameStore(tmp_path, FrameSettings(4, "caes")).get(record(video="simulated:fall:0:abnormal"))
    with pytest.raises(InputError, match=r"missing\.mp4"):
        FrameStore(tmp_path, FrameSettings(4)).get(record(video=str(tmp_path / "missing.mp4")))


def test_frames_of_a_file(tmp_path):
    from vau.training.simulate.scene import simulate, write_video

    scene = simulate("fall", 1, rate=8.0, size=(160, 120))
    file = tmp_path / "fall.mp4"
    write_video(scene, file)
    item = record(video=str(file), duration_s=scene.duration_s)
    images, times = FrameStore(tmp_path / "frames", FrameSettings(3, max_pixels=80 * 60)).get(item)
    assert len(images) == 3 and images[0].size == (80, 60) and isinstance(images[0], Image.Image)
    np.testing.assert_allclose(times, (np.arange(3) + 0.5) / 3 * scene.duration_s, atol=0.2)


def test_the_report_of_a_scene_supports_what_truly_happens():
    from vau.reasoning.claimcheck import check

    report = simulated.report_of("simulated:fall:3:abnormal")
    item = next(item for item in simulated.simulated_records([3], ("fall",)) if item.abnormal)
    checked = check(report, "A person fell. A car exploded.")
    assert [one.verdict for one in checked.sentences] == ["supported", "unsupported"], item.what


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Abuse037_x264.mp4", "videos/abuse037_x264"),
        ("C:\\v\\A.avi", "a"),
        ("x/Normal_Videos_417_x264.mp4", "normal_videos_417"),
    ],
)
def test_names_of_one_video(one, other):
    assert key(one) == key(other)


def test_leaks_are_found_by_name_recording_and_content(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"same")
    (tmp_path / "b.mp4").write_bytes(b"same")
    items = [record(id="1", video=str(tmp_path / "a.mp4")), record(id="2", video="c.mp4", source="camera 7")]
    assert find_leaks(items, ["A_x264.mkv"]) == ["1"]
    assert find_leaks(items, ["camera 7"]) == ["2"]
    assert find_leaks(items, [str(tmp_path / "b.mp4")]) == []
    assert find_leaks(items, [str(tmp_path / "b.mp4")], contents=True) == ["1"]
    with pytest.raises(InputError, match="1 of 2 training videos"):
        refuse_leaks(items, ["a"])
    refuse_leaks(items, ["d"])


def test_held_out_names_from_a_list_and_from_records(tmp_path, records):
    names = tmp_path / "test.txt"
    names.write_text("# official test\nAbuse037_x264.mp4\n\nfight1\n")
    assert read_held_out(names) == ["Abuse037_x264.mp4", "fight1"]
    file = tmp_path / "test.jsonl"
    write_records(file, records[:1])
    assert find_leaks(records, read_held_out(file)) == [records[0].id, records[1].id]  # the twin too
    with pytest.raises(InputError, match="No such file"):
        read_held_out(tmp_path / "none.txt")


def test_targets_are_read_back(rows):
    for row in rows:
        if row.task == "vad_r1":
            said = read(row.task, target(row), row.record.duration_s)
            assert said.abnormal is row.abnormal


def test_vau_bench_becomes_records_with_its_traps_handled(tmp_path):
    import csv

    from vau.training.data.benchmarks import take_records
    from vau.training.simulate.scene import simulate, write_video

    columns = ["Video Name", "Question", "Option 1", "Option 2", "Option 3", "Option 4", "Correct Option", "Key Object",
               "Description", "Reasoning", "Anomaly Class", "Start Time", "End Time"]  # fmt: skip
    lines = [
        ["ecva_17.mp4", "Why?", "a", "b", "c", "d", "C. c", "k", "It fell.", "Since.", "People_falling", "0", "9"],
        ["msad_n.mp4", "What?", "a", "b", "c", "d", "A", "k", "All is well.", "-1", "Normal", "0", "0"],
        ["ucf_x.mp4", "Who?", "a", "b", "c", "d", "D", "k", "d", "r", "Fire", "-1", "-1"],
        ["gone.mp4", "Who?", "a", "b", "c", "d", "D", "k", "d", "r", "Fire", "1", "2"],
    ]
    with (tmp_path / "val.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, *lines])
    videos = tmp_path / "videos"
    videos.mkdir()
    for line in lines[:3]:
        write_video(simulate("fall", 1, rate=4.0, size=(64, 48)), videos / line[0])
    taken = take_records("vau-bench", tmp_path, "val", videos)
    assert taken.missing == ("gone.mp4",)
    known = {item.id: item for item in taken.records}
    fell, normal, fire = (known[name] for name in ("ecva_17", "msad_n", "ucf_x"))
    assert fell.spans_s == ((0.0, 9.0),) and fell.questions[0].right == 2 and fell.thought == "It fell. Since."
    assert normal.spans_s == () and normal.abnormal is False and normal.thought == "All is well."
    assert fire.spans_s is None and fire.abnormal is True and fire.label == "Fire"
    rows = make_rows(taken.records, {"vau_r1_grounding": 1.0, "vau_r1_qa": 1.0}, Vocabulary.of(taken.records))
    assert Counter(row.task for row in rows) == {"vau_r1_grounding": 2, "vau_r1_qa": 3}
    for name, part, words in (("vau-bench", "ucf", "test split"), ("poem", "val", "choose from")):
        with pytest.raises(InputError, match=words):
            take_records(name, tmp_path, part, videos)


def test_the_context_proxy_becomes_records(tmp_path):
    from vau.training.data.benchmarks import take_records
    from vau.training.simulate.scene import simulate, write_video

    told = [
        {"id": "1", "video": "a", "duration": 15, "event": "climbing", "event_type": "conditional", "scene": "cliff",
         "attributes": ["no rope"], "is_anomaly": True, "start": 2, "end": 5, "pair": "p"},
        {"id": "2", "video": "b", "duration": 15, "event": "climbing", "event_type": "conditional", "scene": "cliff",
         "attributes": ["rope"], "is_anomaly": False, "pair": "p"},
    ]  # fmt: skip
    (tmp_path / "context_proxy.jsonl").write_text("".join(json.dumps(row) + "\n" for row in told))
    (tmp_path / "v").mkdir()
    for name in "ab":
        write_video(simulate("fall", 1, rate=4.0, size=(64, 48)), tmp_path / "v" / f"{name}.mp4")
    one, two = take_records("context-proxy", tmp_path, "train", tmp_path / "v").records
    assert one.spans_s == ((2.0, 5.0),) and one.kind == "conditional" and two.kind == "none" and two.spans_s == ()
    assert one.source == two.source and two.attributes == ("rope",) and two.label == "Normal"


def test_the_command_writes_records_and_says_what_is_missing(tmp_path):
    from typer.testing import CliRunner

    from vau.cli.app import app
    from vau.training.simulate.scene import simulate, write_video

    told = {"id": "1", "video": "a", "duration": 15, "event": "climbing", "event_type": "absolute", "is_anomaly": True,
            "start": 2, "end": 5}  # fmt: skip
    lines = [told, told | {"id": "2", "video": "gone"}]
    (tmp_path / "context_proxy.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
    (tmp_path / "v").mkdir()
    write_video(simulate("fall", 1, rate=4.0, size=(64, 48)), tmp_path / "v" / "a.mp4")
    out = tmp_path / "records.jsonl"
    arguments = ["train", "records", "context-proxy", str(tmp_path), "--videos", str(tmp_path / "v"), "--out", str(out)]
    ran = CliRunner().invoke(app, arguments)
    assert ran.exit_code == 0, ran.output
    assert "left out: 1 videos" in ran.stderr and [item.id for item in read_records(out)] == ["1"]
    ran = CliRunner().invoke(app, [*arguments, "--split", "test"])
    assert ran.exit_code == 2 and "test split" in ran.stderr
