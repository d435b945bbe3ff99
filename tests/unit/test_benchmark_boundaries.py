"""Composed videos change where they say, and the boundary benchmark counts what it should."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks import boundaries, composed
from benchmarks.clips import Clip
from benchmarks.composed import Composition, Shot, draw, render
from vau.config import Config, VideoConfig
from vau.errors import InputError
from vau.events.recipe import DEFAULT, FAITHFUL
from vau.types import Detections, Observations
from vau.video import open_stream

COLOURS = {"a": (200, 30, 30), "b": (30, 160, 30), "c": (30, 30, 200)}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clips")
    for folder, colour in COLOURS.items():
        (root / folder).mkdir()
        with av.open(str(root / folder / "clip.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
            for index in range(120):
                frame = av.VideoFrame.from_ndarray(np.full((64, 96, 3), colour, np.uint8), format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, 10)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return root


def clips_of(root: Path) -> list[Path]:
    return sorted(root.glob("*/*.mp4"))


def test_draws_follow_their_seed_and_their_rules(sources: Path) -> None:
    plans = [draw(clips_of(sources), sources, seed=seed, duration_s=60) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]
    for plan in plans:
        folders = [shot.clip.parent.name for shot in plan.shots]
        assert all(one != other for one, other in pairwise(folders))
        assert 55 < plan.duration_s < 70 and len(plan.cuts_s) == len(plan.shots) - 1 >= 5
        assert np.allclose(plan.cuts_s * composed.RATE, np.round(plan.cuts_s * composed.RATE)), "whole frames"
        assert (np.diff(plan.cuts_s) >= composed.SHOT_S[0] - 1e-6).all()
        assert all(shot.from_s - shot.fade_s / 2 >= 0 for shot in plan.shots)
        assert all(shot.from_s + shot.duration_s + composed.FADE_S[1] / 2 <= 12 + 1e-6 for shot in plan.shots)


def test_one_folder_does_not_do(sources: Path) -> None:
    with pytest.raises(InputError, match="two folders"):
        draw([sources / "a" / "clip.mp4"], sources, seed=0, duration_s=20)


def test_video_changes_at_the_written_times(sources: Path, tmp_path: Path) -> None:
    parts = [("a", 3.0, 0.0), ("b", 4.0, 0.0), ("c", 3.0, 1.04)]
    plan = Composition("x", tuple(Shot(sources / f / "clip.mp4", 1.0, length, fade) for f, length, fade in parts))
    render(plan, tmp_path / "x.mp4")
    stream = open_stream(tmp_path / "x.mp4", VideoConfig(), fps=25, max_side=480)
    batches = list(stream)
    times = np.concatenate([batch.times_s for batch in batches])
    centre = np.concatenate([batch.images[:, 100:110, 100:110].mean(axis=(1, 2)) for batch in batches])
    assert len(times) == 250 and stream.info.duration_s == pytest.approx(10.0)
    assert np.abs(centre[times < 2.97] - COLOURS["a"]).max() < 12
    assert np.abs(centre[(times > 2.99) & (times < 6.4)] - COLOURS["b"]).max() < 12
    assert np.abs(centre[times > 7.6] - COLOURS["c"]).max() < 12
    middle = centre[np.abs(times - 7.0).argmin()]
    assert np.abs(middle - np.mean([COLOURS["b"], COLOURS["c"]], axis=0)).max() < 15


def subject(name: str, count: int, cuts: tuple[int, ...]) -> boundaries.Subject:
    rng = np.random.default_rng(len(name))
    scene = np.searchsorted(cuts, np.arange(count), side="right")
    embeddings = rng.standard_normal((len(cuts) + 1, 16))[scene] + 0.1 * rng.standard_normal((count, 16))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    channels = ("speed_mean", *(f"direction_{i}" for i in range(8)))
    seen = Observations(
        np.arange(count) / 4,
        embeddings,
        0.01 * rng.random((count, 9)),
        channels,
        (),
        Detections.of([()] * count),
        (640, 480),
        count / 4,
    )
    return boundaries.Subject(name, Path("none.mp4"), seen, (np.array(cuts) - 0.5) / 4)


def test_every_method_is_evaluated_beside_the_default() -> None:
    subjects = [subject("one", 160, (60, 100)), subject("other", 200, (80, 140, 170))]
    compared = {name: way for name, way in boundaries.methods().items() if not name.startswith("PySceneDetect")}
    results = {result.method: result for result in boundaries.evaluate(subjects, compared)}
    own = results[boundaries.OWN]
    assert own.figures[1].f1 == 1.0 and own.interval == (1.0, 1.0) and own.ahead is None
    assert results["every 2 s"].figures[1].recall == 1.0 and results["every 2 s"].ahead[0] > 0  # type: ignore[index]
    assert results["published (faithful)"].figures[0].f1 < 0.7  # type: ignore[operator]
    assert {f"default, {name}" for name in boundaries.TAKEN_BACK} < results.keys()


def test_every_departure_is_a_change() -> None:
    for changes in boundaries.TAKEN_BACK.values():
        assert boundaries.varied(DEFAULT, changes) != DEFAULT
    assert boundaries.varied(FAITHFUL, {"index": "exact"}).recipe.motion == "mean"


def test_only_starts_and_ends_inside_a_clip_count() -> None:
    clip = Clip("x.mp4", "crash", ((0.0, 3.0), (3.0, 5.0), (8.0, 9.8)))
    assert boundaries.true_boundaries(clip, 10.0).tolist() == [3.0, 5.0, 8.0]
    assert len(boundaries.true_boundaries(Clip("x.mp4", "normal", ()), 10.0)) == 0


def test_what_was_seen_is_kept(tmp_path: Path) -> None:
    seen = subject("one", 20, (9,)).seen
    kept = tmp_path / "x.npz"
    np.savez(
        kept,
        times_s=seen.times_s,
        embeddings=seen.embeddings,
        motion=seen.motion,
        channels=np.array(seen.motion_channels),
        size=np.array(seen.frame_size),
        duration_s=np.array(seen.duration_s),
    )
    back = boundaries.look(Path("absent.mp4"), None, Config(), kept)  # type: ignore[arg-type]
    assert np.array_equal(back.embeddings, seen.embeddings) and back.motion_channels == seen.motion_channels
    assert back.duration_s == seen.duration_s and back.frame_size == (640, 480)
