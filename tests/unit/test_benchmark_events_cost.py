"""The cost benchmark segments what it says, whole and as a stream, and finds the scenes that it made up."""

from __future__ import annotations

import numpy as np

from benchmarks import events_cost


def test_made_up_features_are_what_a_video_gives() -> None:
    chunks = list(events_cost.made_up(0.05, 20))
    times = np.concatenate([times for times, _, _ in chunks])
    assert np.allclose(np.diff(times), 1 / events_cost.RATE) and len(times) == 720
    assert all(np.allclose(np.linalg.norm(seen, axis=1), 1, atol=1e-5) for _, seen, _ in chunks)
    assert all((moved >= 0).all() and moved.shape == (240, 12) for _, _, moved in chunks)


def test_whole_and_stream_are_measured_alike() -> None:
    costs = [way(0.2, 40) for way in (events_cost.nothing, events_cost.whole, events_cost.streamed)]
    assert [cost.way for cost in costs] == ["nothing", "whole", "streamed"]
    assert costs[0].segments == 0 and 3 <= costs[1].segments <= 20 and 3 <= costs[2].segments <= 20
    assert all(cost.cpu_s > 0 and cost.peak_mib >= cost.start_mib > 10 for cost in costs[1:])
