from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks import clips, common, speed, surv_fight
from tests.video_clips import write_clip
from vau.config import VideoConfig
from vau.eval.frame import LabelledScores


def _outcome(scores: list[float], events: list[tuple[float, float]], **settings: object) -> clips.Outcome:
    aftermath = settings.pop("aftermath", ())
    clip = clips.Clip("a.mp4", "x", tuple(events), aftermath)  # type: ignore[arg-type]
    times_s = np.arange(len(scores), dtype=float)
    return clips.Outcome(clip, times_s=times_s, curves={clips.OWN: np.array(scores)}, **settings)  # type: ignore[arg-type]


def test_clips_are_read_with_events_and_aftermath(tmp_path: Path) -> None:
    listed = [
        {"file": "a/b.mp4", "label": "crash", "annotation": {"events": [[1, 2]], "aftermath": [[2, 5]]}, "fps": 25},
        {"file": "ucsd-ped2/c.mp4", "label": "normal", "annotation": {"events": []}},
    ]
    (tmp_path / "clips.json").write_text(json.dumps(listed))
    crash, normal = clips.read_clips(tmp_path)
    assert (crash.events, crash.aftermath, crash.anomalous, crash.single) == (((1, 2),), ((2, 5),), True, True)
    assert (normal.anomalous, normal.single) == (False, False)


def test_peak_counts_only_inside_an_event_and_only_if_there_is_one() -> None:
    assert _outcome([0.1, 0.2, 0.9, 0.3], [(2, 3)]).hit(clips.OWN)
    assert not _outcome([0.1, 0.95, 0.9, 0.3], [(2, 3)]).hit(clips.OWN)
    assert not _outcome([0, 0, 0, 0], [(0, 3)]).hit(clips.OWN)
    assert not clips.Outcome(clips.Clip("a.mp4", "x", ((0, 3),)), failure="damaged").hit(clips.OWN)


def test_found_and_quiet() -> None:
    assert _outcome([0.9], [(2, 3)], reported=((2.9, 5.0),)).found
    assert not _outcome([0.9], [(2, 3)], reported=((3.1, 5.0),)).found
    assert _outcome([0.1], []).quiet
    assert not _outcome([0.9], [], reported=((0.0, 1.0),)).quiet
    assert not clips.Outcome(clips.Clip("a.mp4", "x", ()), failure="damaged").quiet


def test_aftermath_is_normal_or_left_out_and_never_covers_the_event() -> None:
    outcome = _outcome([0.1, 0.9, 0.8, 0.2], [(1, 2)], aftermath=((2, 3),))
    assert outcome.labelled(clips.OWN, aftermath=True).labels.tolist() == [False, True, True, False]
    left = outcome.labelled(clips.OWN, aftermath=False)
    assert (left.labels.tolist(), left.scores.tolist()) == ([False, True, True], [0.1, 0.9, 0.8])


def test_pairs_are_averaged_up_to_the_sampled_frame_that_ends_them() -> None:
    pairs = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    means = clips.on_samples(np.array([0.0, 0.2, 0.4]), pairs, np.array([0.0, 1.0, 3.0, 5.0, 7.0, 100.0]))
    assert means.tolist() == [0.0, 2.0, 6.0]


def test_centre_prior_peaks_in_the_middle() -> None:
    assert clips.centre_prior(np.array([0.0, 2.5, 5.0, 10.0]), 10.0).tolist() == [0.0, 0.5, 1.0, 0.0]


def test_area_is_that_of_the_pooled_scores_and_none_for_one_class() -> None:
    groups = [
        LabelledScores(str(i), np.array([0.1, 0.9, 0.5]), np.array(labels))
        for i, labels in enumerate([[False, True, False], [False, True, True], [True, False, False]])
    ]
    found = common.area(groups)
    assert found is not None and found.interval is not None
    assert found.interval[0] <= found.auc <= found.interval[1]
    alone = common.area(groups[:1])
    assert alone is not None and (alone.auc, alone.interval, str(alone)) == (1.0, None, "1.000")
    assert common.area([LabelledScores("a", np.array([0.1]), np.array([True]))]) is None
    assert common.area([]) is None


def test_grey_differences_see_the_change_between_frames(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", frames=12, fps=12)
    times_s, differences = common.grey_differences(path, VideoConfig())
    assert len(times_s) == len(differences) == 12
    assert differences[0] == 0 and (differences[1:] > 0.01).all() and (differences < 1).all()


def test_tables_keep_their_columns(capsys: pytest.CaptureFixture[str]) -> None:
    common.print_table(("a", "b"), [("x|y\nz", None)])
    assert capsys.readouterr().out == "| a | b |\n|---|---|\n| x\\|y z | - |\n\n"
    assert common.share([True, True, False]) == "2/3 (67 %)"
    assert common.share([]) is None


def test_json_holds_arrays_and_nothing_that_json_lacks(tmp_path: Path) -> None:
    common.write_json(tmp_path / "new" / "a.json", {"clips": [_outcome([0.25], [(0, 1)])]})
    (read,) = json.loads((tmp_path / "new" / "a.json").read_text())["clips"]
    assert (read["curves"], read["clip"]["events"]) == ({clips.OWN: [0.25]}, [[0, 1]])
    with pytest.raises(ValueError, match="not JSON compliant"):
        common.write_json(tmp_path / "a.json", {"auc": float("nan")})


def test_sources_by_block_and_by_range() -> None:
    text = (
        "https://a\r\nfi001: 0.13.50 - 0.15.60\r\nnofi002: 1 - 2\r\n\r\nhttps://b\r\nfi003: 0 - 1\r\n"
        "nofi002 - nofi004 : Other set\r\n"
    )
    assert surv_fight.read_sources(text) == {
        "fi001": "https://a",
        "nofi002": "https://a",
        "fi003": "https://b",
        "nofi003": "Other set",
        "nofi004": "Other set",
    }


def test_clips_alternate_and_unknown_sources_stand_alone(tmp_path: Path) -> None:
    for name in ("fight/fi001", "fight/fi002", "noFight/nofi001", "noFight/nofi002"):
        path = tmp_path / f"{name}.mp4"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "videos.txt").write_text("https://a\nfi001: 0 - 1\n")
    found = surv_fight.read_clips(tmp_path)
    assert [outcome.fight for outcome in found] == [True, False, True, False]
    assert [outcome.source for outcome in found] == ["https://a", "nofi001", "fi002", "nofi002"]


def test_clip_areas_leave_failures_out() -> None:
    def outcome(fight: bool, source: str, score: float) -> surv_fight.Outcome:
        return surv_fight.Outcome("c", fight, source, scores={"own": score})

    found = surv_fight.areas(
        [
            surv_fight.Outcome("c", True, "a", failure="damaged"),
            outcome(True, "a", 0.9),
            outcome(False, "a", 0.1),
            outcome(True, "b", 0.4),
            outcome(False, "b", 0.5),
        ]
    )
    # Of the four pairs of a fight and a scene without one, three are in order.
    assert found["own"] is not None and found["own"].auc == pytest.approx(0.75)


def test_still_and_moving_frames_differ_in_the_spread_of_directions(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", frames=12, fps=12)
    assert surv_fight.entropy_spread(path, VideoConfig()) > 0
    assert surv_fight.entropy_spread(write_clip(tmp_path / "b.mp4", frames=1), VideoConfig()) == 0


def test_made_clip_has_the_stated_form_and_repeats_without_a_gap(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", frames=5, fps=10)
    short, long = tmp_path / "short.mp4", tmp_path / "long.mp4"
    speed.make_clip(source, short, 1.2)
    speed.repeat_clip(short, long, 3)
    with av.open(str(long)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.codec.name) == (1280, 720, "h264")
        times_s = [frame.time for frame in container.decode(stream)]
    assert np.diff(times_s) == pytest.approx(np.full(3 * 36 - 1, 1 / 30), abs=1e-3)


def test_peak_memory_is_the_childs() -> None:
    # Measured from a fresh process, as the command does: a child's peak begins at that of the process it comes from.
    measure = (
        "import sys; from benchmarks import speed; "
        "print(*speed.timed([sys.executable, '-c', \"x = b'1' * (400 << 20); print('done')\"]))"
    )
    root = Path(__file__).resolve().parents[2]
    fresh = subprocess.run([sys.executable, "-c", measure], cwd=root, capture_output=True, text=True, check=True)
    said, wall_s, peak_mib = fresh.stdout.split()
    assert said == "done" and float(wall_s) > 0
    assert 400 < float(peak_mib) < 1200
    with pytest.raises(subprocess.CalledProcessError):
        speed.timed([sys.executable, "-c", "raise SystemExit(2)"])
