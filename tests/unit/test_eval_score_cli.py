from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from tests.scripted_server import ScriptedServer, reply
from vau.cli.app import app

run = CliRunner()


def uca(folder, videos=2):
    for split in ("Train", "Test"):
        content = {
            f"Abuse00{n}_x264": {"duration": 50.0, "timestamps": [[0, 10], [20, 30]], "sentences": ["a", "b"]}
            for n in range(videos)
        }
        (folder / f"UCFCrime_{split}.json").write_text(json.dumps(content))
    return folder


def score(*arguments):
    return run.invoke(app, ["eval", "score", *map(str, arguments)])


def test_a_file_of_predictions_is_scored(tmp_path) -> None:
    folder = uca(tmp_path)
    lines = [{"id": f"Abuse00{n}_x264/{k}", "prediction": [[20 * k, 20 * k + 10]]} for n in range(2) for k in range(2)]
    lines[3] = {"id": "Abuse001_x264/1", "error": "out of memory"}
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, lines)))
    out = tmp_path / "r.json"
    done = score("--benchmark", "uca/tsgv", "--data", folder, "--predictions", tmp_path / "p.jsonl", "--json", out)
    assert done.exit_code == 0, done.output
    assert "n used / n expected: 4 / 4,331" in done.output and "failed 1" in done.output
    assert "out of memory" in done.output and "whole" in done.output and "75.00" in done.output
    record = json.loads(out.read_text())
    assert record["benchmark"] == "uca/tsgv" and record["figures"]["mIoU"]["value"] == 0.75
    assert not record["complete"] and record["deviations"]
    again = score("--benchmark", "uca/tsgv", "--data", folder, "--predictions", tmp_path / "p.jsonl", "--json", out)
    assert again.exit_code == 0, "an earlier result may be replaced"


def test_what_is_no_result_is_not_replaced(tmp_path) -> None:
    folder = uca(tmp_path)
    predictions = tmp_path / "p.jsonl"
    predictions.write_text('{"id": "Abuse000_x264/0", "prediction": [[0, 1]]}')
    for target in (predictions, folder / "UCFCrime_Test.json"):
        before = target.read_text()
        done = score("--benchmark", "uca/tsgv", "--data", folder, "--predictions", predictions, "--json", target)
        assert done.exit_code == 2 and "no result" in done.output and target.read_text() == before


def test_training_on_the_test_is_refused_unless_allowed(tmp_path) -> None:
    folder = uca(tmp_path)
    (tmp_path / "p.jsonl").write_text('{"id": "Abuse000_x264/0", "prediction": [[0, 1]]}')
    (tmp_path / "names.txt").write_text("Abuse001_x264.mp4\nother\n")
    given = ("--benchmark", "uca/tsgv", "--data", folder, "--predictions", tmp_path / "p.jsonl")
    refused = score(*given, "--trained-on", tmp_path / "names.txt")
    assert refused.exit_code == 2 and "1 of 2 test videos were trained on" in refused.output
    allowed = score(*given, "--trained-on", tmp_path / "names.txt", "--allow-leak", "--json", "-")
    assert allowed.exit_code == 0
    assert json.loads(allowed.output)["trained_on_overlap"][0].startswith("1 of 2")


def test_data_check_says_what_is_missing(tmp_path) -> None:
    done = run.invoke(app, ["data", "check", "uca/tsgv", str(tmp_path)])
    assert done.exit_code == 2 and "UCFCrime_Test.json" in done.output and "Surveillance-Video" in done.output
    assert "Apache-2.0" in done.output
    done = run.invoke(app, ["data", "check", "hawk", str(tmp_path), "--json"])
    assert done.exit_code == 2 and [
        one["benchmark"] for one in json.loads(done.output.splitlines()[0])["benchmarks"]
    ] == [
        "hawk/description",
        "hawk/qa",
    ]
    rows = [{"video": "U/a.mp4", "description": "x", "QA": [{"q": "y", "a": "z"}]}]
    (tmp_path / "all_videos_test.json").write_text(json.dumps(rows))
    (tmp_path / "a.mp4").write_bytes(b"")
    done = run.invoke(app, ["data", "check", "hawk/qa", str(tmp_path)])
    assert done.exit_code == 0 and "ready" in done.output


def test_data_list_names_cards_that_exist() -> None:
    from pathlib import Path

    from vau.eval.benchmarks import BENCHMARKS

    assert run.invoke(app, ["data", "list"]).exit_code == 0
    cards = Path(__file__).resolve().parents[2] / "data_cards"
    for benchmark in BENCHMARKS:
        assert (cards / f"{benchmark.card}.md").is_file(), benchmark.card


def test_overlap_of_folders(tmp_path) -> None:
    for name in ("train", "test"):
        (tmp_path / name).mkdir()
    (tmp_path / "train" / "a.mp4").write_bytes(b"same")
    (tmp_path / "test" / "b.mp4").write_bytes(b"same")
    done = run.invoke(app, ["data", "overlap", str(tmp_path / "train"), str(tmp_path / "test"), "--json"])
    assert done.exit_code == 2 and len(json.loads(done.output.splitlines()[0])["same_content"]) == 1
    (tmp_path / "test" / "b.mp4").write_bytes(b"else")
    assert run.invoke(app, ["data", "overlap", str(tmp_path / "train"), str(tmp_path / "test")]).exit_code == 0


@pytest.mark.parametrize("name", ["nothing", "uca/nothing"])
def test_unknown_benchmarks_are_refused(tmp_path, name) -> None:
    assert run.invoke(app, ["data", "check", name, str(tmp_path)]).exit_code == 2


def test_fetch_takes_annotation_alone(tmp_path, monkeypatch) -> None:
    hub = pytest.importorskip("huggingface_hub")
    asked = {}

    def download(repo, **given):
        asked.update(given, repo=repo)
        return given["local_dir"]

    monkeypatch.setattr(hub, "snapshot_download", download)
    done = run.invoke(app, ["data", "fetch", "vau-bench/qa", str(tmp_path)])
    assert done.exit_code == 0 and "research only" in done.output
    assert asked["repo"] == "7xiang/VAU-Bench" and asked["repo_type"] == "dataset"
    assert "test_msad.csv" in asked["allow_patterns"] and not any("mp4" in one for one in asked["allow_patterns"])

    def fail(repo, **given):
        raise OSError("no route to the hub")

    monkeypatch.setattr(hub, "snapshot_download", fail)
    done = run.invoke(app, ["data", "fetch", "vau-bench/qa", str(tmp_path)])
    assert done.exit_code == 2 and "no route" in done.output
    done = run.invoke(app, ["data", "fetch", "uca/tsgv", str(tmp_path)])
    assert done.exit_code == 2 and "Surveillance-Video-Understanding" in done.output


def test_a_server_may_judge_texts_and_its_replies_are_kept(tmp_path, monkeypatch) -> None:
    from vau.eval.benchmarks import cuva

    monkeypatch.setattr(cuva, "text_figures", lambda items, answers: ())  # the other figures need Java
    rows = [
        {"test_id": f"t{n}", "video_name": f"{n}.mp4", "task": "Cause", "answer": "the brakes failed"} for n in range(3)
    ]
    (tmp_path / "cuva_test.json").write_text(json.dumps(rows))
    lines = [{"id": "t0", "prediction": "the brakes"}, {"id": "t1", "prediction": "rain"}, {"id": "t2", "error": "x"}]
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with ScriptedServer(reply('{"why": "partly", "score": 6}')) as server:
        given = ("--benchmark", "cuva", "--data", tmp_path, "--predictions", tmp_path / "p.jsonl", "--no-priors")
        judging = ("--judge", server.url, "--cache", tmp_path / "kept.sqlite", "--json", "-")
        first, again = score(*given, *judging), score(*given, *judging)
        assert first.exit_code == 0, first.output
        assert len(server.chats) == 2, "the failed item is not shown, and the second run pays for nothing"
    record = json.loads(first.output)
    assert record["figures"]["judge: score"]["value"] == 4 and record["judge"].startswith("scripted, judge_cause/")
    assert json.loads(again.output)["figures"] == record["figures"]
    refused = score(
        "--benchmark", "uca/tsgv", "--data", uca(tmp_path), "--predictions", tmp_path / "p.jsonl", "--judge", "http://x"
    )
    assert refused.exit_code == 2 and "no texts to judge" in refused.output
