"""`vau eval`: exit codes, what is printed always, what JSON holds, and that help needs no heavy import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from vau.cli.evaluate import evaluate
from vau.errors import InputError
from vau.eval.lengths import find_lengths_file
from vau.eval.truth import Truth

runner = CliRunner()
HEAVY = ("numpy", "scipy", "sklearn", "torch", "cv2", "vau.eval")


def run(*arguments: object):
    return runner.invoke(evaluate, [str(argument) for argument in arguments])


@pytest.fixture
def ped2(tmp_path) -> Path:
    """A made-up copy of Ped2: twelve videos of 20 frames, the last five abnormal."""
    folder = tmp_path / "ped2"
    folder.mkdir()
    lines = ["TestVideoFile{end+1}.gt_frame = [16:20];"] * 12
    (folder / "UCSDped2.m").write_text("\n".join(lines))
    rows = "".join(f"Test{number:03d},20\n" for number in range(1, 13))
    (folder / "lengths.csv").write_text("video,frames\n" + rows)
    return folder


def scores(folder: Path, videos: int = 12, frames: int = 20) -> Path:
    path = folder / "scores.jsonl"
    entries = ({"video": f"Test{n:03d}", "scores": list(range(frames))} for n in range(1, videos + 1))
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


def test_figures_priors_and_counts_are_always_printed(ped2, tmp_path):
    found = run("frame", "--dataset", "ped2", "--data", ped2, "--scores", scores(tmp_path), "--resamples", 50)
    assert found.exit_code == 0, found.output
    assert "n used / n expected: 12 / 12 videos" in found.output
    for prior in ("oracle", "centre", "random", "1/"):
        assert prior in found.output
    for row in ("AUC ", "AP step", "AP trapezoid", "AUC_A", "macro AUC", "By length", "100.00"):
        assert row in found.output
    assert "Not the protocol's totals: 240 frames, the protocol has 2,010" in " ".join(found.output.split())


def test_json_holds_result_repairs_and_deviations(ped2, tmp_path):
    out = tmp_path / "deep" / "result.json"
    options = ("--dataset", "ped2", "--data", ped2, "--scores", scores(tmp_path), "--resamples", 20)
    assert run("frame", *options, "--json", out).exit_code == 0
    record = json.loads(out.read_text())
    assert record["auc"]["value"] == 1
    assert (record["used"], record["expected"], record["complete"]) == (12, 12, True)
    assert (record["dataset"], record["protocol"]) == ("ped2", "frames")
    assert record["priors"]["video-label oracle"]["auc"] == 0.5
    assert "240 frames, the protocol has 2,010" in record["deviations"]
    printed = run("frame", *options, "--json", "-")
    assert json.loads(printed.stdout) == record


def test_partial_scores_need_the_flag_and_are_told(ped2, tmp_path):
    options = ("--dataset", "ped2", "--data", ped2, "--scores", scores(tmp_path, videos=5), "--resamples", 0)
    refused = run("frame", *options)
    assert refused.exit_code == 2
    assert "5 of 12 videos have scores" in refused.output
    allowed = run("frame", *options, "--partial")
    assert allowed.exit_code == 0
    assert "5 / 12 videos" in allowed.output


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--dataset", "nothing"), "no data set 'nothing'"),
        (("--protocol", "other"), "no protocol 'other'; there are: frames"),
        (("--scores", "missing.jsonl"), "no such file"),
        (("--data", "missing"), "no annotation for ped2"),
        (("--lengths", "missing.csv"), "missing.csv: no such file"),
    ],
)
def test_unusable_input_is_exit_code_2_in_one_line(ped2, tmp_path, change, message):
    options = {"--dataset": "ped2", "--data": str(ped2), "--scores": str(scores(tmp_path))} | dict([change])
    found = run("frame", *(part for pair in options.items() for part in pair))
    assert found.exit_code == 2
    assert message in found.output
    assert found.output.count("\n") == 1


def test_wrong_lengths_are_exit_code_2(ped2, tmp_path):
    found = run("frame", "--dataset", "ped2", "--data", ped2, "--scores", scores(tmp_path, frames=19))
    assert found.exit_code == 2
    assert "wrong length in 12 of 12 videos" in found.output


def test_scores_at_times_with_a_rate_given_on_the_line(ped2, tmp_path):
    path = tmp_path / "times.npz"
    times = np.arange(10) * 0.2
    np.savez(
        path,
        names=[f"{n:02d}" for n in range(1, 13)],
        lengths=[10] * 12,
        scores=np.tile(times, 12),
        times_s=np.tile(times, 12),
    )
    options = ("--dataset", "ped2", "--data", ped2, "--scores", path, "--resamples", 0)
    assert run("frame", *options).exit_code == 2
    found = run("frame", *options, "--fps", 10, "--resample", "linear")
    assert found.exit_code == 0, found.output
    assert "interpolated linearly" in found.output


def test_check_tells_what_is_there_and_what_is_not(ped2, tmp_path):
    found = run("check", ped2, "--dataset", "ped2")
    text = " ".join(found.output.split())
    assert found.exit_code == 2  # the made-up copy has other totals than Ped2
    assert "differs" in text
    assert "240 frames, the protocol has 2,010" in text
    assert "svcl.ucsd.edu" in text
    assert "missing" in text
    assert "Terms:" in text
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run("check", empty, "--dataset", "ucf-crime").exit_code == 2
    assert "no such folder" in run("check", tmp_path / "none", "--dataset", "ucf-crime").output


def test_check_says_on_standard_error_why_it_fails(ped2):
    found = run("check", ped2, "--dataset", "ped2", "--json", "-")
    assert found.exit_code == 2
    assert "no protocol of ped2 can be evaluated as it is stated (frames differs)" in found.stderr
    assert found.stderr.count("\n") == 1


def npz_copy(folder: Path, name: str, frames: int = 8) -> Path:
    """Writes a ground truth of Ped2 that states its lengths: twelve videos, all abnormal, of the true total."""
    lengths = [frames] * 12
    labels = np.tile(np.arange(frames) >= frames // 2, 12).astype(int)
    np.savez(folder / name, names=[f"{n:02d}" for n in range(1, 13)], lengths=lengths, labels=labels, n_frames=lengths)
    return folder / name


def test_several_files_are_told_with_the_option_that_chooses(tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    one, other = npz_copy(folder, "ped2_gt.npz", 8), npz_copy(folder, "ped2_gt_other.npz", 6)
    options = ("--dataset", "ped2", "--data", folder, "--resamples", 0, "--scores", scores(tmp_path, frames=6))
    refused = run("frame", *options)
    assert refused.exit_code == 2 and "2 files match" in refused.output and "--annotations" in refused.output
    chosen = run("frame", *options, "--annotations", other)
    assert chosen.exit_code == 0, chosen.output
    wrong = run("frame", *options, "--annotations", one)
    assert wrong.exit_code == 2 and "wrong length" in wrong.output
    with pytest.raises(InputError, match="--lengths"):
        find_lengths_file(folder, ["*ped2*gt*.npz"])
    assert run("check", folder, "--dataset", "ped2", "--annotations", other).output.count("differs")


def test_lengths_that_no_protocol_needs_are_not_called_missing(ped2, monkeypatch):
    monkeypatch.setattr(Truth, "deviations", ())
    (ped2 / "lengths.csv").unlink()
    npz_copy(ped2, "ped2_gt.npz")
    (ped2 / "UCSDped2.m").unlink()
    np.savez(ped2 / "ped2_gt.npz", **{k: v for k, v in np.load(ped2 / "ped2_gt.npz").items() if k != "n_frames"})
    record = json.loads(run("check", ped2, "--dataset", "ped2", "--json", "-").stdout)
    assert record["usable"] and record["parts"][-1]["found"] == "not needed; taken from npz itself"


@pytest.mark.parametrize("name", ["scores.jsonl", "ped2/UCSDped2.m", "ped2/lengths.csv", "ped2/frame.jpg", "ped2"])
def test_a_result_never_replaces_what_it_is_made_from(ped2, tmp_path, name):
    given, target = scores(tmp_path), tmp_path / name
    if not target.exists():
        target.write_bytes(b"picture")
    before = None if target.is_dir() else target.read_bytes()
    link = tmp_path / "link.json"
    link.symlink_to(target)
    for out in (target, link):
        found = run("frame", "--dataset", "ped2", "--data", ped2, "--scores", given, "--json", out)
        assert found.exit_code == 2 and "--json" in found.output and found.output.count("\n") == 1
    assert before is None or target.read_bytes() == before


def test_a_result_may_replace_an_earlier_one_but_needs_a_place(ped2, tmp_path):
    options = ("--dataset", "ped2", "--data", ped2, "--scores", scores(tmp_path), "--resamples", 0)
    for _ in range(2):
        assert run("frame", *options, "--json", ped2 / "result.json").exit_code == 0
    for out in (tmp_path / "scores.jsonl" / "deep" / "result.json", Path("/proc/nowhere/result.json")):
        found = run("frame", *options, "--json", out)
        assert found.exit_code == 2 and found.output.startswith("error: --json") and found.output.count("\n") == 1


def test_check_as_json(ped2):
    record = json.loads(run("check", ped2, "--dataset", "ped2", "--json", "-").stdout)
    assert record["usable"] is False
    assert [protocol["state"] for protocol in record["protocols"]] == ["differs"]
    assert any(part["found"].endswith("UCSDped2.m") for part in record["parts"])


def test_file_names_cannot_steer_the_terminal(ped2, tmp_path):
    path = tmp_path / "s\x1b[31m.jsonl"
    path.write_text("{")
    found = run("frame", "--dataset", "ped2", "--data", ped2, "--scores", path)
    assert found.exit_code == 2
    assert "\x1b" not in found.output


def test_help_imports_nothing_heavy():
    code = f"import sys, vau.cli.evaluate; print([name for name in {HEAVY!r} if name in sys.modules])"
    root = Path(__file__).resolve().parents[2]
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert found.stdout.strip() == "[]"
    assert "frame" in run("--help").output
