"""Real footage watched as if it were live, by the packaged models."""

from __future__ import annotations

import json

import pytest

from vau.cli.live import RECORDS, Watching, watch_live
from vau.config import Config
from vau.perception.observe import load_models


@pytest.mark.weights
@pytest.mark.clips
def test_a_real_fall_is_told_while_it_is_watched(clips_dir, weights, tmp_path):
    clip = clips_dir / "taufeeque9+HumanFallDetection" / "A03_S1_T1_Cam1.mp4"
    models = load_models(Config().perception)
    watch_live(str(clip), Config(), tmp_path, Watching(speed=0), quiet=True, models=models)
    records = [json.loads(line) for line in (tmp_path / RECORDS).read_text("utf-8").splitlines()]
    events = [item for item in records if item["kind"] == "event"]
    assert any(item["start_s"] < 5 and item["end_s"] > 1 and item["threat_level"] > 0 for item in events)
    assert all(item["told_s"] - item["end_s"] <= 13 for item in events)
    assert records[-1]["kind"] == "summary" and records[-1]["frames"] > 60
