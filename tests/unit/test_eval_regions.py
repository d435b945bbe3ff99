from __future__ import annotations

import numpy as np
import pytest

from vau.errors import InputError
from vau.eval.metrics.regions import Regions, RegionTrack, region_figures

BOX = [10.0, 10.0, 19.0, 19.0]  # 10 x 10 pixels, both edges counted
FAR = [100.0, 100.0, 109.0, 109.0]


def _regions(video: str, rows: list[tuple[int, list[float], float]]) -> Regions:
    frames, boxes, scores = zip(*rows, strict=True)
    return Regions(video, np.array(frames), np.array(boxes), np.array(scores))


def _track(video: str, frames: list[int], boxes: list[list[float]]) -> RegionTrack:
    return RegionTrack(video, np.array(frames), np.array(boxes))


def test_a_curve_by_hand() -> None:
    # One video of four frames; a track in frames 0 and 1, another in frame 2.
    tracks = [_track("a", [0, 1], [BOX, BOX]), _track("a", [2], [BOX])]
    rows = [(0, BOX, 0.9), (0, FAR, 0.8), (3, BOX, 0.7), (1, BOX, 0.6), (2, FAR, 0.5), (2, BOX, 0.4)]
    found = region_figures([_regions("a", rows)], tracks, {"a": 4})
    # False positives a frame and regions found, score by score: (0, 1/3), (1/4, 1/3), (1/2, 1/3), (1/2, 2/3),
    # (3/4, 2/3), (3/4, 1), then held to 1. Tracks: 1/2 from the start, 1 from 3/4 on.
    assert found.rbdc == pytest.approx(1 / 2 * 1 / 3 + 1 / 4 * 2 / 3 + 1 / 4 * 1)
    assert found.tbdc == pytest.approx(3 / 4 * 1 / 2 + 1 / 4 * 1)
    assert (found.regions, found.tracks, found.predictions, found.frames) == (3, 2, 6, 4)


def test_a_track_is_found_by_a_share_of_its_regions() -> None:
    track = _track("a", list(range(10)), [BOX] * 10)
    prediction = _regions("a", [(4, BOX, 0.9), (5, FAR, 0.8), (6, BOX, 0.7)])
    lengths = {"a": 10}
    assert region_figures([prediction], [track], lengths, alpha=0.1).tbdc == 1
    # A second region is found behind one false positive in ten frames; at the same rate the curve rises upright.
    assert region_figures([prediction], [track], lengths, alpha=0.2).tbdc == pytest.approx(0.9)
    assert region_figures([prediction], [track], lengths, alpha=0.21).tbdc == 0


def test_overlap_counts_edge_pixels() -> None:
    track = _track("a", [0], [BOX])
    corner = [19.0, 19.0, 19.0, 19.0]  # one pixel, shared: 1 of 100
    for beta, found in ((0.01, 1), (0.011, 0)):
        assert region_figures([_regions("a", [(0, corner, 1)])], [track], {"a": 1}, beta=beta).rbdc == found
    beside = [20.0, 10.0, 29.0, 19.0]
    assert region_figures([_regions("a", [(0, beside, 1)])], [track], {"a": 1}, beta=1e-9).rbdc == 0


def test_one_box_finds_several_regions_and_more_boxes_on_one_count_neither_way() -> None:
    tracks = [_track("a", [0], [BOX]), _track("a", [0], [[10.0, 20.0, 19.0, 29.0]])]
    both = (0, [10.0, 10.0, 19.0, 29.0], 0.9)
    again = [(0, BOX, 0.8)] * 5
    assert region_figures([_regions("a", [both, *again])], tracks, {"a": 1}).rbdc == 1


def test_boxes_in_normal_videos_and_frames_are_false_positives() -> None:
    track = _track("a", [1], [BOX])
    normal = _regions("n", [(0, BOX, 0.9)])
    found = region_figures([normal, _regions("a", [(1, BOX, 0.5)])], [track], {"a": 2, "n": 2})
    assert found.rbdc == pytest.approx(3 / 4)
    assert region_figures([normal], [track], {"a": 2, "n": 2}).rbdc == 0


def test_nothing_counts_beyond_one_false_positive_a_frame() -> None:
    track = _track("a", [0], [BOX])
    flood = [(1, FAR, 0.9), (1, FAR, 0.8), (1, FAR, 0.7)]
    assert region_figures([_regions("a", [*flood, (0, BOX, 0.1)])], [track], {"a": 2}).rbdc == 0


def test_ties_are_one_operating_point_in_any_order() -> None:
    track = _track("a", [0], [BOX])
    rows = [(1, FAR, 0.5), (0, BOX, 0.5), (1, FAR, 0.5)]
    for order in ([0, 1, 2], [1, 0, 2], [2, 0, 1]):
        found = region_figures([_regions("a", [rows[row] for row in order])], [track], {"a": 2})
        assert found.rbdc == pytest.approx(0.5)  # the line from (0, 0) to (1, 1)
    # Four false positives in two frames at once: the line from (0, 0) to (2, 1) is cut at 1.
    wide = region_figures([_regions("a", [(0, BOX, 0.5), *[(1, FAR, 0.5)] * 4])], [track], {"a": 2})
    assert wide.rbdc == pytest.approx(0.25)


def _step_by_step(predictions: list[Regions], tracks: list[RegionTrack], frames: int) -> tuple[float, float]:
    """Walks through the boxes by falling score, as the definition is told."""
    boxes = sorted(
        ((s, p.video, f, b) for p in predictions for f, b, s in zip(p.frames, p.boxes, p.scores, strict=True)),
        key=lambda row: -row[0],
    )
    found = [np.zeros(len(track.frames), bool) for track in tracks]
    false, curve = 0, [(0.0, 0.0, 0.0)]
    for _, video, frame, box in boxes:
        hit = False
        for track, done in zip(tracks, found, strict=True):
            for row in np.flatnonzero((track.frames == frame) & (track.video == video)):
                low, high = np.maximum(box[:2], track.boxes[row, :2]), np.minimum(box[2:], track.boxes[row, 2:])
                shared = max(0, high[0] - low[0] + 1) * max(0, high[1] - low[1] + 1)
                areas = [np.prod(b[2:] - b[:2] + 1) for b in (box, track.boxes[row])]
                if shared / (sum(areas) - shared) >= 0.1:
                    hit = done[row] = True
        false += not hit
        curve.append(
            (
                false / frames,
                sum(done.sum() for done in found) / sum(map(len, found)),
                np.mean([done.mean() >= 0.1 for done in found]),
            )
        )
    kept = [point for point in curve if point[0] <= 1]
    rate, regions, hits = zip(*kept, (1.0, *kept[-1][1:]), strict=True)
    return float(np.trapezoid(regions, rate)), float(np.trapezoid(hits, rate))


@pytest.mark.parametrize("seed", range(6))
def test_random_scenes_agree_with_a_step_by_step_walk(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def boxes(count: int) -> np.ndarray:
        corners = rng.integers(0, 30, (count, 2)).astype(float)
        return np.hstack([corners, corners + rng.integers(4, 12, (count, 2))])

    tracks = [RegionTrack("ab"[n % 2], np.sort(rng.permutation(20)[:15]), boxes(15)) for n in range(4)]
    predictions = [
        Regions(v, rng.integers(0, 20, 60), boxes(60), rng.permutation(60) + k) for k, v in ((0, "a"), (0.5, "b"))
    ]
    found = region_figures(predictions, tracks, {"a": 20, "b": 20})
    assert (found.rbdc, found.tbdc) == pytest.approx(_step_by_step(predictions, tracks, 40))


def test_wrong_input_is_refused() -> None:
    track, lengths = _track("a", [0], [BOX]), {"a": 1}
    one = _regions("a", [(0, BOX, 1)])
    with pytest.raises(InputError, match="twice"):
        region_figures([one, one], [track], lengths)
    with pytest.raises(InputError, match="outside the video"):
        region_figures([_regions("a", [(1, BOX, 1)])], [track], lengths)
    with pytest.raises(InputError, match="length is given as None"):
        region_figures([_regions("x", [(0, BOX, 1)])], [track], lengths)
    with pytest.raises(InputError, match="at least one true track"):
        region_figures([one], [], lengths)
    with pytest.raises(InputError, match="alpha and beta"):
        region_figures([one], [track], lengths, alpha=0)
    with pytest.raises(InputError, match="finite score"):
        _regions("a", [(0, BOX, float("nan"))])
    with pytest.raises(InputError, match="x0 <= x1"):
        _regions("a", [(0, [5.0, 0.0, 4.0, 1.0], 1)])
    with pytest.raises(InputError, match="one box a frame"):
        _track("a", [0, 0], [BOX, BOX])
    with pytest.raises(InputError, match="must be"):
        Regions("a", np.array([0.5]), np.array([BOX]), np.array([1.0]))  # type: ignore[arg-type]
