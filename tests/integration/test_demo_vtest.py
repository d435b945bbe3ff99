"""Staging on the footage that Debian carries: real walkers, real background."""

import av
import numpy as np
import pytest

from vau.demo.cutout import difference
from vau.demo.footage import known_obstacles
from vau.demo.plots import plan
from vau.demo.scene import survey
from vau.demo.stage import stage

pytestmark = pytest.mark.clips
RATE = 10.0


@pytest.fixture(scope="module")
def vtest(clips_dir):
    return clips_dir / "opencv-doc_debian" / "vtest.avi"


@pytest.fixture(scope="module")
def scene(vtest):
    return survey(vtest, RATE, 79.5)


def test_several_different_walkers_are_cut_out_at_the_scenes_scale(scene):
    assert len(scene.walkers) >= 8
    # measured by eye: 71 px at row 220, 139 px at row 500
    assert scene.perspective.height(220) == pytest.approx(71, abs=6)
    assert scene.perspective.height(500) == pytest.approx(139, abs=8)
    assert 0.5 < scene.noise_sigma < 6


@pytest.mark.parametrize("scenario", ["fall", "chase", "struck", "quiet"])
def test_every_scenario_finds_free_ground(scene, vtest, scenario):
    plot = plan(scene, scenario, 400, known_obstacles(vtest), 0)
    assert plot.start_s < 20.0
    tall = [pose.height for actor in plot.actors for pose in actor.poses if 0 < pose.foot[0] < 768]
    assert np.median(tall) > 95  # near enough for the packaged detectors
    # the people in the clip are not in it a second time
    assert all(actor.walker.first_index >= 400 for actor in plot.actors)


def test_the_staged_fall_plays_as_the_truth_says(vtest, tmp_path):
    staged = stage(vtest, tmp_path / "fall.mp4", "fall")
    truth = staged.truth
    assert truth.incident_start_s == pytest.approx(18.0)
    assert truth.duration_s == pytest.approx(40.0)
    (actor,) = truth.actors
    x0, y0, x1, y1 = actor.box_at(truth.incident_start_s)
    assert y1 - y0 > 110
    x0, y0, x1, y1 = (int(value) for value in actor.box_at(30.0))
    assert x1 - x0 > 2 * (y1 - y0)
    wanted = {170: None, 300: None}
    with av.open(str(staged.path)) as played, av.open(str(vtest)) as real:
        pairs = zip(played.decode(video=0), real.decode(video=0), strict=False)
        for index, (ours, theirs) in enumerate(pairs):
            if index in wanted:
                wanted[index] = difference(ours.to_ndarray(format="rgb24"), theirs.to_ndarray(format="rgb24"))
            if index > 300:
                break
    assert wanted[300][y0:y1, x0:x1].mean() > 20
    assert wanted[170][y0:y1, x0:x1].mean() < 10  # before the fall nobody lies there
    assert wanted[300][:200].mean() < 6  # far from the actor only the encoder's loss
