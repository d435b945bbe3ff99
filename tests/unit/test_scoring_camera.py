from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import fake_models
from vau.errors import CheckpointError, ScoreError
from vau.perception.camera import MOTION, MoverMeter, Movers, crop_around, moving_regions
from vau.scoring.camera.density import HALF, Density, Smoothing, levels
from vau.scoring.camera.features import mover_features
from vau.scoring.camera.load import camera_scorer
from vau.scoring.camera.neighbours import NearestNormal
from vau.scoring.camera.objects import DensityCamera, density_arguments, density_arrays
from vau.scoring.camera.watch import CameraScorer, Regions, strongest, track_of
from vau.scoring.camera.ways import carry_on, overlaps, predecessors, smooth_along
from vau.scoring.checkpoint import Card, read_checkpoint, write_checkpoint
from vau.scoring.fusion import QuantileScale
from vau.types import FrameBatch, Observations, VideoInfo

SIZE = (320, 240)
INFO = VideoInfo("a.mp4", "0" * 64, 4.0, *SIZE, 10.0, 40, "h264", "mp4")


def movers(rows: list[tuple[int, float, float, float]], frames: int = 20) -> Movers:
    """Returns squares of 20 pixels: frame, left, top, velocity x in pixels a frame."""
    boxes = np.array([[x, y, x + 20, y + 20] for _, x, y, _ in rows], np.float32).reshape(-1, 4)
    speed = np.array([10 * v / SIZE[1] for *_, v in rows])
    motion = np.stack([speed, 0 * speed, abs(speed), 0 * speed, 0 * speed + 0.8], 1).reshape(-1, len(MOTION))
    frame = np.array([row[0] for row in rows], np.int64)
    return Movers(np.arange(frames) / 10, frame, boxes, motion, np.zeros((len(rows), 0)), SIZE)


def walk(speed: float = 2.0, frames: int = 20, first: int = 1) -> list[tuple[int, float, float, float]]:
    return [(frame, 20 + speed * frame, 100, speed) for frame in range(first, frames)]


def density(*, causal: bool = False) -> Density:
    generator = np.random.default_rng(0)
    normal = [(frame, 20 + s * frame, y, s) for s in (1.5, 2, 2.5) for y in (90, 100, 110) for frame in range(1, 20)]
    vectors = mover_features(movers(sorted(normal)))
    banks, scales = {}, {}
    for name in ("place", "size", "speed"):
        columns = vectors[name] + generator.normal(0, 1e-3, vectors[name].shape).astype(np.float32)
        matrix = np.diag(1 / np.maximum(columns.std(axis=0), 0.05)).astype(np.float32)
        banks[name] = NearestNormal(columns @ matrix, np.zeros(len(matrix), np.float32), matrix, cosine=False)
        scales[name] = QuantileScale(0.5, 1.0)
    return Density(banks, scales, Smoothing(causal=causal))


def batches(images: list[np.ndarray]) -> list[FrameBatch]:
    return [FrameBatch(np.stack(images), np.arange(len(images)) / 10, np.arange(len(images)))]


def observations(times: list[float]) -> Observations:
    from vau.perception.motion import MOTION_CHANNELS
    from vau.types import Detections

    rows = len(times)
    return Observations(
        np.array(times),
        np.ones((rows, 1), np.float32),
        np.zeros((rows, len(MOTION_CHANNELS)), np.float32),
        MOTION_CHANNELS,
        (),
        Detections.of([[] for _ in times]),
        SIZE,
        4.0,
    )


def test_meter_finds_what_moves_and_how_fast() -> None:
    meter = MoverMeter(SIZE, fake_models.Thumbnails(), look_every=2)
    images = [fake_models.scene((60 + 4 * i, 100, 90 + 4 * i, 160)) for i in range(8)]
    assert [len(batch) for batch in meter.watch(batches(images))] == [8]
    found = meter.take()
    assert meter.frames == len(found.times_s) == 8 and found.frame.min() == 1
    last = found.frame == 7
    best = overlaps(found.boxes[last], np.array([[88, 100, 118, 160]], np.float32)).max()
    assert best > 0.5
    # 4 pixels a frame at 10 frames a second are a sixth of the frame's height a second.
    assert found.motion[last, 0].max() == pytest.approx(4 * 10 / SIZE[1], rel=0.3)
    looked = found.embeddings.any(axis=1)
    assert set(found.frame[looked] % 2) == {1} and set(found.frame[~looked] % 2) == {0}


def test_nothing_moves_in_a_still_picture_and_a_shaking_mast_is_no_motion() -> None:
    assert moving_regions(np.zeros((60, 80, 2), np.float32)) == []
    meter = MoverMeter(SIZE)
    picture = fake_models.scene()
    for index in range(4):
        meter.push(np.roll(picture, index % 2 * 2, axis=1), index / 10)
    boxes = meter.take().boxes
    assert not len(boxes) or ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])).max() < 0.3 * 320 * 240


def test_a_fast_thing_within_a_slow_crowd_is_a_region_of_its_own() -> None:
    velocity = np.zeros((100, 100, 2), np.float32)
    velocity[20:80, 10:90, 0] = 0.05
    velocity[40:60, 40:60, 0] = 0.3
    found = moving_regions(velocity)
    assert [box.tolist() for box, _ in found] == [[10, 20, 90, 80], [40, 40, 60, 60]]
    assert found[1][1][2] == pytest.approx(0.3) and found[1][1][4] == 1.0


@pytest.mark.parametrize("box", [(0, 0, 6, 10), (300, 220, 320, 240), (100, 100, 120, 160)])
def test_crops_are_square_even_at_the_border(box: tuple[float, ...]) -> None:
    crop = crop_around(fake_models.scene(), np.array(box, np.float32))
    assert abs(crop.shape[0] - crop.shape[1]) <= 1 and min(crop.shape[:2]) >= 8


def test_movers_check_themselves() -> None:
    with pytest.raises(ValueError, match="frame must rise"):
        movers([(3, 0, 0, 1), (2, 0, 0, 1)])
    with pytest.raises(ValueError, match="NaN"):
        movers([(1, float("nan"), 0, 1)])


def test_ways_follow_things_and_not_others() -> None:
    crossing = [(frame, 300 - 2 * frame, 30, -2) for frame in range(1, 20)]
    before = predecessors(movers(sorted(walk() + crossing)))
    assert before.tolist() == [-1, -1, *range(36)]
    assert predecessors(movers([(1, 0, 0, 1), (2, 200, 100, 1)])).tolist() == [-1, -1]


def test_smoothing_along_ways_keeps_what_lasts_and_lowers_what_flashes() -> None:
    seen = movers(walk(frames=19, first=2))
    before = predecessors(seen)
    steady = smooth_along(np.ones(len(seen)), seen, before, 0.4)
    assert steady[len(steady) // 2] == pytest.approx(1, abs=0.15) and steady.max() <= 1 + 1e-9
    flash = np.zeros(len(seen))
    flash[8] = 1
    assert smooth_along(flash, seen, before, 0.4).max() < 0.2


def test_a_way_cut_by_the_ends_of_the_video_is_not_short() -> None:
    seen = movers(walk())
    assert smooth_along(np.ones(len(seen)), seen, predecessors(seen), 0.4) == pytest.approx(1.0)


def test_causal_smoothing_ignores_the_future() -> None:
    seen = movers(walk())
    before = predecessors(seen)
    values = np.linspace(0, 1, len(seen))
    changed = values.copy()
    changed[10:] = 9
    one, other = (smooth_along(item, seen, before, 0.4, causal=True) for item in (values, changed))
    assert one[:10] == pytest.approx(other[:10]) and one[10] != other[10]


def test_unknown_regions_carry_the_value_of_those_they_continue() -> None:
    before = np.array([-1, 0, 1, -1])
    assert carry_on(np.array([3.0, 0, 0, 0]), np.array([True, False, False, False]), before).tolist() == [3, 3, 3, 0]


@given(st.integers(1, 7), st.integers(0, 1000))
def test_nearest_distance_agrees_with_brute_force(k: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    bank, new = (generator.normal(size=(n, 3)).astype(np.float32) for n in (30, 5))
    near = NearestNormal(bank, np.zeros(3, np.float32), np.eye(3, dtype=np.float32), cosine=False, k=k)
    far = np.sort(np.linalg.norm(new[:, None] - bank[None], axis=-1), axis=1)[:, :k].mean(axis=1)
    assert near.distance(new) == pytest.approx(far, rel=1e-5)


def test_cosine_distance_is_nought_for_the_bank_itself() -> None:
    bank = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    bank /= np.linalg.norm(bank, axis=1, keepdims=True)
    near = NearestNormal(bank, np.zeros(6, np.float32), np.eye(6, dtype=np.float32), cosine=True, k=1)
    assert near.distance(bank) == pytest.approx(0, abs=1e-6)
    assert near.distance(-bank[:1])[0] > 0.05
    with pytest.raises(ScoreError, match="6 columns"):
        near.distance(np.zeros((2, 5), np.float32))


@pytest.mark.parametrize(
    ("rows", "signal"),
    [
        (walk(speed=9, frames=20), "speed"),
        ([(frame, 20 + 2 * frame, 10, 2) for frame in range(1, 20)], "place"),
    ],
)
def test_what_is_strange_is_named(rows: list[tuple[int, float, float, float]], signal: str) -> None:
    model = density()
    assert model.frames(movers(walk())).max() < 0
    values = model.frames(movers(rows))
    assert values[10].max() > HALF
    assert model.signals[int(values[10].argmax())] == signal or signal == "place"
    scores, shares = levels(values)
    assert shares.sum(axis=1) == pytest.approx(scores, abs=1e-5)


def test_levels_are_half_at_half_and_keep_order() -> None:
    scores, shares = levels(np.array([[HALF, -1.0], [-0.5, -1.0], [3.0, 2.9]]))
    assert scores[0] == pytest.approx(0.5) and scores[1] < scores[0] < scores[2] <= 1
    assert (shares >= 0).all() and shares[0, 0] > 0.49


def test_nothing_seen_scores_low_and_an_empty_video_is_refused() -> None:
    assert levels(density().frames(movers([])))[0].max() < 0.5
    watch = DensityCamera(density()).watch(INFO)
    with pytest.raises(ScoreError, match="saw none"):
        watch.score(observations([0.0, 0.25]))
    with pytest.raises(ScoreError, match="call watch"):
        DensityCamera(density()).score(observations([0.0]))


def test_a_watch_scores_sampled_times_and_is_reusable() -> None:
    camera = DensityCamera(density())
    assert isinstance(camera, CameraScorer)
    images = [fake_models.scene((20 + 12 * i, 100, 50 + 12 * i, 160)) for i in range(12)]
    tracks = []
    for _ in range(2):
        watch = camera.watch(INFO)
        for _ in watch.see(batches(images)):
            pass
        tracks.append(watch.score(observations([0.0, 0.25, 0.5, 0.75, 1.0])))
        assert watch.regions().values.shape == (len(watch.movers), 3)
    assert tracks[0].scores.tolist() == tracks[1].scores.tolist()
    assert tracks[0].signals[0] == "unlike this camera: place"


def test_each_sample_has_the_strangest_frame_since_the_last() -> None:
    values = np.zeros((10, 1))
    values[4] = 1.0
    track = track_of("x", ["speed"], np.arange(10) / 10, values, np.array([0.0, 0.25, 0.5, 0.75]))
    assert (track.scores > 0.5).tolist() == [False, False, True, False]


def test_weaker_regions_on_the_same_place_are_dropped() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60]], np.float32)
    regions = Regions(np.zeros(1), np.zeros(3, np.int64), boxes, np.array([[1.0], [2.0], [0.5]]))
    assert strongest(regions).values.tolist() == [[2.0], [0.5]]
    empty = Regions(np.zeros(1), np.zeros(0, np.int64), np.zeros((0, 4), np.float32), np.zeros((0, 1)))
    assert len(strongest(empty).frame) == 0


def test_another_embedder_is_refused() -> None:
    model = density()
    bank = NearestNormal(np.eye(4, dtype=np.float32), np.zeros(4, np.float32), np.eye(4, dtype=np.float32), cosine=True)
    both = Density({**model.banks, "appearance": bank}, {**model.scales, "appearance": QuantileScale(0, 1)})
    with pytest.raises(CheckpointError, match=r"clip.*None"):
        DensityCamera(both, embedder="clip").watch(INFO)
    with pytest.raises(CheckpointError, match="thumbnails"):
        DensityCamera(both, embedder="clip").watch(INFO, fake_models.Thumbnails())


def test_pictures_of_another_size_are_refused_before_any_is_seen() -> None:
    assert DensityCamera(density(), frame_size=SIZE).watch(INFO)
    with pytest.raises(CheckpointError, match=r"^pictures of 320 x 240.*trained on 640 x 480") as caught:
        DensityCamera(density(), frame_size=(640, 480)).watch(INFO)
    assert caught.value.exit_code == 2


def test_checkpoint_gives_the_same_scores_and_damage_is_told(tmp_path) -> None:  # type: ignore[no-untyped-def]
    model = density()
    size = {"frame_size": [640, 480]}
    card = Card(kind="camera-density", arguments=density_arguments(model, 2), perception=size)
    write_checkpoint(tmp_path / "c", card, density_arrays(model))
    read, arrays = read_checkpoint(tmp_path / "c")
    again = camera_scorer(read, arrays)
    assert isinstance(again, DensityCamera)
    seen = movers(walk(speed=7))
    with pytest.raises(CheckpointError, match="640 x 480"):
        again.watch(INFO)
    for broken_size in ([640], "wide", [None, 3], 7):
        with pytest.raises(CheckpointError, match="damaged"):
            camera_scorer(read.model_copy(update={"perception": {"frame_size": broken_size}}), arrays)
    assert again.density.frames(seen) == pytest.approx(model.frames(seen), rel=1e-5)
    for broken in (
        {**card.arguments, "signals": ["speed", "odour"]},
        {**card.arguments, "k": 0},
        {**card.arguments, "way_s": -1},
        {},
    ):
        with pytest.raises(CheckpointError, match="damaged"):
            camera_scorer(read.model_copy(update={"arguments": broken}), arrays)
    with pytest.raises(CheckpointError, match="damaged"):
        camera_scorer(read, {name: array for name, array in arrays.items() if name != "speed.scale"})
    with pytest.raises(CheckpointError, match="no fixed camera"):
        camera_scorer(read.model_copy(update={"kind": "mil"}), arrays)
