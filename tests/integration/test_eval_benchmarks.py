"""Benchmarks on real annotation: counts as the sources state them, trivial predictors to the last printed digit.

The annotation lies outside the repository and serves measurements only (see data_cards).
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from vau.errors import InputError
from vau.eval.benchmarks import find_benchmark
from vau.eval.benchmarks.cuva import read_categories
from vau.eval.benchmarks.hivau import read_database
from vau.eval.benchmarks.predictions import Record, read_predictions
from vau.eval.benchmarks.result import evaluate
from vau.eval.benchmarks.uca import read_annotation
from vau.eval.leakage import overlap
from vau.eval.metrics.captions import caption_figures

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
ANNOTATIONS = DATA / "annotations"
UCA = ANNOTATIONS / "UCA" / "json"
GROUND_TRUTH = DATA / "ground_truth"

pytestmark = pytest.mark.skipif(not ANNOTATIONS.is_dir(), reason=f"no annotation at {ANNOTATIONS}")


@pytest.mark.parametrize(
    ("name", "split", "folder", "items", "videos"),
    [
        ("uca/tsgv", "test", UCA, 4_331, 310),
        ("uca/tsgv", "val", UCA, 3_534, 379),
        ("uca/vc", "train", UCA, 15_677, 1_165),
        ("uca/dvc", "test", UCA, 310, 310),
        ("hivau/clip", "test", ANNOTATIONS / "HIVAU-70k", 2_207, None),
        ("hivau/event", "test", ANNOTATIONS / "HIVAU-70k", 734, None),
        ("hivau/video", "test", ANNOTATIONS / "HIVAU-70k", 398, None),
        ("hivau/grounding", "test", ANNOTATIONS / "HIVAU-70k", 337, 251),
        ("vau-bench/qa", "msad", ANNOTATIONS / "VAU-R1", 240, 240),
        ("vau-bench/qa-shuffled", "val", ANNOTATIONS / "VAU-R1", 734, 734),
        ("vau-bench/cls", "msad", ANNOTATIONS / "VAU-R1", 240, 240),
        ("vau-bench/reasoning", "val", ANNOTATIONS / "VAU-R1", 734, 734),
        ("vau-bench/tag", "msad", ANNOTATIONS / "VAU-R1", 240, 240),
        ("vau-bench/tag", "val", ANNOTATIONS / "VAU-R1", 553, 553),
    ],
)
def test_counts_are_those_of_the_source(name, split, folder, items, videos):
    benchmark = find_benchmark(name)
    found = benchmark.load(folder, split)
    assert len(found.items) == items
    assert videos is None or len({item.video for item in found.items}) == videos
    assert benchmark.deviations(found, split) == ()


@pytest.mark.parametrize("split", ["Train", "Val", "Test"])
def test_ucas_two_forms_agree_to_the_sentence(split):
    as_json = read_annotation(UCA / f"UCFCrime_{split}.json")
    as_text = read_annotation(UCA.parent / "txt" / f"UCFCrime_{split}.txt")
    assert set(as_json) == set(as_text)
    for name, (_, events) in as_json.items():
        assert [told for _, told in events] == [told for _, told in as_text[name][1]], name
        both = zip(events, as_text[name][1], strict=True)
        assert all(one == pytest.approx(other, abs=0.051) for (one, _), (other, _) in both), name


def test_ucas_classes_by_split():
    expected = {"Abuse": (36, 8, 6), "Explosion": (7, 20, 23), "Normal": (589, 217, 104), "Vandalism": (30, 7, 12)}
    found = [find_benchmark("uca/dvc").load(UCA, split).items for split in ("train", "val", "test")]
    for name, counts in expected.items():
        assert tuple(sum(name in item.groups for item in items) for items in found) == counts, name


def test_trivial_rows_of_uca_grounding_and_its_speed():
    benchmark = find_benchmark("uca/tsgv")
    start = time.process_time()
    found = benchmark.load(UCA)
    result = evaluate(benchmark, found, {item.item_id: Record([[0, 1]]) for item in found.items})
    seconds = time.process_time() - start
    rows = {
        "whole video": ("3.83", "1.18", "0.58", "6.13"),
        "first 10.9 s": ("7.16", "4.13", "2.01", "4.81"),
        "centred 10.9 s": ("5.45", "2.54", "0.83", "3.78"),
        "first half": ("5.82", "2.15", "0.58", "5.92"),
    }
    names = ("R@1, IoU=0.3", "R@1, IoU=0.5", "R@1, IoU=0.7", "mIoU")
    for prior, printed in rows.items():
        assert tuple(f"{100 * result.priors[prior][name]:.2f}" for name in names) == printed, prior
    windows = result.priors["five equal windows"]
    assert [f"{100 * windows[f'R@5, IoU={m}']:.2f}" for m in (0.3, 0.5, 0.7)] == ["25.05", "11.73", "4.18"]
    # Drawn spans: the published draw lies within four standard deviations of this one.
    drawn = result.priors["random train prior"]
    for name, published in (
        ("R@1, IoU=0.3", 2.08),
        ("R@1, IoU=0.5", 0.83),
        ("R@5, IoU=0.3", 9.24),
        ("R@5, IoU=0.5", 4.02),
    ):
        share = published / 100
        assert abs(drawn[name] - share) < 4 * np.sqrt(2 * share * (1 - share) / 4_331), name
    assert seconds < 2 * 3, f"{seconds:.1f} s of one core, 2 s are meant on an idle machine"


def test_uca_against_the_official_split_of_ucf_crime():
    official = [
        line.split()[0] for line in (GROUND_TRUTH / "ucf_crime_temporal_annotation.txt").read_text().splitlines()
    ]
    names = {split: read_annotation(UCA / f"UCFCrime_{split}.json") for split in ("Train", "Val", "Test")}
    found = overlap([name for name in official if name], names)
    assert found.counts() == {"Train": 214, "Val": 22, "Test": 50, "outside": 4}
    assert {int("".join(c for c in name.split("_x264")[0] if c.isdigit())) for name in found.outside} == {
        417,
        876,
        927,
        937,
    }


def test_detection_with_captions_refuses_the_official_split(tmp_path):
    for path in (
        *UCA.glob("*.json"),
        GROUND_TRUTH / "ucf_crime_temporal_annotation.txt",
        GROUND_TRUTH / "recon_ucf_gt.npz",
    ):
        (tmp_path / path.name).symlink_to(path)
    benchmark = find_benchmark("uca/mad")
    for split, count in (("outside-train", 76), ("uca-test", 50), ("official", 290)):
        found = benchmark.load(tmp_path, split)
        assert len(found.items) == count and benchmark.deviations(found, split) == ()
    with pytest.raises(InputError, match=r"214 are in UCA's training split, 22 .* 50 .* 4 in none"):
        evaluate(benchmark, found, {}, split="official")
    answers = {item.item_id: Record([float(one) for one in item.truth.labels]) for item in found.items}
    result = evaluate(benchmark, found, answers, split="official", allow_leaks=True)
    assert result.figures["AUC"].value == 1
    # The oracle of the frame-level evaluation, to its printed digit.
    assert f"{100 * result.priors['video-label oracle']['AUC']:.2f}" == "81.58"


def test_option_bias_and_times_of_vau_bench():
    benchmark = find_benchmark("vau-bench/qa")
    found = benchmark.load(ANNOTATIONS / "VAU-R1", "msad")
    result = evaluate(benchmark, found, {}, split="msad")
    assert f"{100 * result.priors['always A']['accuracy']:.1f}" == "68.3"
    assert f"{100 * result.priors['longest option']['accuracy']:.1f}" == "43.8"
    assert {repair.rule: repair.count for repair in found.repairs} == {"full-option": 8}
    times = find_benchmark("vau-bench/tag").load(ANNOTATIONS / "VAU-R1", "val")
    assert sum(item.truth.span_s is not None for item in times.items) == 339
    assert sum(item.truth.span_s is None for item in times.items) == 214
    assert {repair.rule: repair.count for repair in times.repairs} == {"no-times": 181, "mmss": 115, "mmss-odd": 3}


def test_other_annotation_files_are_read_whole():
    database = read_database(ANNOTATIONS / "HIVAU-70k" / "ucf_database_test.json")
    assert len(database) == 251 and sum(len(group) for one in database.values() for group in one["clips"]) == 762
    categories = read_categories(ANNOTATIONS / "CUVA" / "Category.txt")
    assert len(categories) == 11 and sum(map(len, categories.values())) == 42


@pytest.mark.parametrize(
    ("name", "split", "items", "queries", "frames"),
    [
        ("any-anomaly/c-avenue", "single", 90, 5, 5 * 12_394),
        ("any-anomaly/c-avenue", "multiple", 3, 2, 1_175 + 1_755),
        ("any-anomaly/c-shanghaitech", "single", 1_056, 11, 11 * 36_388),
        ("any-anomaly/c-shanghaitech", "multiple", 11, 9, 4_403),
    ],
)
def test_text_defined_anomalies(name, split, items, queries, frames):
    pytest.importorskip("h5py")
    found = find_benchmark(name).load(ANNOTATIONS / "AnyAnomaly", split)
    assert len(found.items) == items and len({item.groups for item in found.items}) == queries
    assert sum(len(item.truth.labels) for item in found.items) == frames


def test_captions_of_the_whole_test_split_in_a_minute():
    pytest.importorskip("pycocoevalcap")
    if shutil.which("java") is None:
        pytest.skip("no Java")
    sentences = [told for _, events in read_annotation(UCA / "UCFCrime_Test.json").values() for _, told in events]
    start = time.monotonic()
    figures = {
        one.name: one.value() for one in caption_figures([*sentences[1:], sentences[0]], [[one] for one in sentences])
    }
    seconds = time.monotonic() - start
    # Parity with METEOR's own aggregate on these sentences is tested in test_eval_captions_java.
    assert 0.19 < figures["METEOR"] < 0.2 and 0.7 < figures["CIDEr"] < 0.8
    assert seconds < 60 * 4, f"{seconds:.0f} s; a minute is meant on an idle machine"


def test_a_submission_by_video_and_query_is_scored(tmp_path):
    videos = json.loads((UCA / "UCFCrime_Test.json").read_text())
    given = {f"{name}.mp4": [[span, [0, 1]] for span in entry["timestamps"]] for name, entry in videos.items()}
    (tmp_path / "p.json").write_text(json.dumps(given))
    benchmark = find_benchmark("uca/tsgv")
    found = benchmark.load(UCA)
    result = evaluate(benchmark, found, read_predictions(tmp_path / "p.json", found.items), with_priors=False)
    assert result.complete and result.figures["R@1, IoU=0.7"].value == 1 and result.answered == 4_331
