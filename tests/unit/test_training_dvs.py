from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from vau.errors import InputError  # noqa: E402
from vau.training.scorer.bags import Bag  # noqa: E402
from vau.training.scorer.synthesis import nearest_normal, synthesise  # noqa: E402


def marked(lengths: list[int], labels: list[int]) -> list[Bag]:
    """Bags whose rows say where they come from: column 0 the bag, column 1 the row."""
    bags = []
    for index, (length, label) in enumerate(zip(lengths, labels, strict=True)):
        features = np.stack([np.full(length, index), np.arange(length)], axis=1).astype(np.float32)
        bags.append(Bag(f"v{index}", features, label))
    return bags


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 10_000),
    st.lists(st.integers(1, 30), min_size=2, max_size=6),
    st.integers(1, 60),
)
def test_labels_are_the_anchors_range_and_nothing_else(seed, lengths, longest):
    labels = [index % 3 for index in range(len(lengths))]  # bag 0 is normal, 1 and 2 are abnormal
    bags = marked(lengths, labels)
    made = synthesise(bags, seeded(seed), longest=longest)
    assert [bag.label > 0 for bag in made] == [True, False] * sum(label > 0 for label in labels)
    for bag in made:
        assert 1 <= len(bag.features) <= longest
        source, row = bag.features[:, 0].astype(int), bag.features[:, 1]
        abnormal = np.array(labels)[source] > 0
        assert (bag.frame_labels == abnormal).all()
        if not bag.label:
            continue
        anchor = int(bag.video[1:])
        kept = row[bag.frame_labels]
        assert (source[bag.frame_labels] == anchor).all() and bag.label == labels[anchor]
        assert (kept == np.arange(kept[0], kept[0] + len(kept))).all()  # whole and in order
        assert len(kept) == min(lengths[anchor], longest)


def test_clips_are_runs_of_normal_videos_that_start_in_the_first_half():
    bags = marked([20, 12, 9, 30], [1, 0, 0, 0])
    for seed in range(50):
        for bag in synthesise(bags, seeded(seed), longest=10_000):
            source, row = bag.features[:, 0], bag.features[:, 1]
            anchor = int(bag.video[1:])
            cuts = np.flatnonzero((np.diff(source) != 0) | (np.diff(row) != 1)) + 1
            for part in np.split(np.arange(len(row)), cuts):
                origin = int(source[part[0]])
                whole = len(part) == len(bags[origin].features)
                assert row[part[0]] < max(len(bags[origin].features) / 2, 1) or origin == anchor
                assert origin != 0 or whole


def test_the_number_of_clips_and_the_place_of_the_anchor():
    bags = marked([4] + [4] * 40, [1] + [0] * 40)
    near = [np.zeros(0, np.int64)] * len(bags)
    counts, firsts, alone = [], [], 0
    for seed in range(600):
        made = synthesise(bags, seeded(seed), neighbours=near, longest=10_000)[0]
        groups = [
            key for key, before in zip(made.features[:, 0], [-1, *made.features[:, 0]], strict=False) if key != before
        ]
        counts.append(len(groups))
        alone += len(groups) == 1
        firsts.append(groups.index(0.0) == 0 if len(groups) == 5 else None)
    assert max(counts) <= 5
    assert alone / 600 == pytest.approx(0.3 + 0.7 / 5, abs=0.06)
    of_five = [value for value in firsts if value is not None]
    assert np.mean(of_five) == pytest.approx(1 / 5, abs=0.12)


def test_half_of_the_clips_come_from_the_neighbours():
    bags = marked([4] + [4] * 40, [1] + [0] * 40)
    near = [np.array([7])] + [np.zeros(0, np.int64)] * 40
    found = [
        int(row) for seed in range(250) for row in synthesise(bags, seeded(seed), neighbours=near)[0].features[:, 0]
    ]
    beside = [row for row in found if row]
    assert np.mean(np.array(beside) == 7) == pytest.approx(0.5 + 0.5 / 40, abs=0.09)


def test_neighbours_are_normal_and_nearest_first():
    axes = [(1.0, 0.0), (0.9, 0.1), (0.0, 1.0), (0.6, 0.4), (1.0, 0.05)]
    labels = [2, 0, 0, 0, 1]
    bags = [
        Bag(f"v{i}", np.tile(np.float32(axis), (3, 1)), label)
        for i, (axis, label) in enumerate(zip(axes, labels, strict=True))
    ]
    assert [row.tolist() for row in nearest_normal(bags, count=2)] == [[1, 3], [3, 2], [3, 1], [1, 2], [1, 3]]


def test_one_seed_one_epoch_and_no_normals_no_epoch():
    bags = marked([5, 9, 7], [1, 0, 0])
    one, other, third = (synthesise(bags, seeded(seed)) for seed in (3, 3, 4))
    assert all(
        (a.features.shape == b.features.shape) and (a.features == b.features).all()
        for a, b in zip(one, other, strict=True)
    )
    assert any(
        a.features.shape != b.features.shape or (a.features != b.features).any()
        for a, b in zip(one, third, strict=True)
    )
    with pytest.raises(InputError, match="got none"):
        synthesise(marked([5, 6], [1, 2]), seeded(0))
