"""The synthetic bags are as they say: reproducible, without priors to exploit, near real features in their cosines."""

import numpy as np
import pytest

from benchmarks.synthetic_world import World, class_texts, make_bags
from vau.eval.frame import LabelledScores
from vau.eval.metrics.priors import priors

SMALL = World(train_a_side=10, val_a_side=10, test_a_side=100)


@pytest.fixture(scope="module")
def test_bags():
    return make_bags(0, SMALL)[2]


def cosine(rows, others):
    return (rows * others).sum(-1).mean()


def test_seed_decides_everything():
    first, again, other = (make_bags(seed, World(train_a_side=5, val_a_side=2, test_a_side=2))[0] for seed in (1, 1, 2))
    assert all(np.array_equal(a.features, b.features) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0].features[:20], other[0].features[:20])


def test_classes_are_even_and_names_tell_splits_apart(test_bags):
    labels = [bag.label for bag in test_bags]
    assert [labels.count(label) for label in range(6)] == [100, 20, 20, 20, 20, 20]
    names = [bag.video for split in make_bags(0, SMALL) for bag in split]
    assert len(set(names)) == len(names)


def test_only_abnormal_bags_hold_abnormal_snippets(test_bags):
    assert all(bool(bag.label) == bag.frame_labels.any() for bag in test_bags)
    assert all(not bag.frame_labels.all() for bag in test_bags)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_place_and_length_say_nothing(seed):
    bags = make_bags(seed, SMALL)[2]
    videos = [LabelledScores(bag.video, np.zeros(len(bag.features)), bag.frame_labels) for bag in bags]
    found = priors(videos)
    assert found["centre"].auc == pytest.approx(0.5, abs=0.06)
    assert found["1 / length"].auc == pytest.approx(0.5, abs=0.06)
    assert found["video-label oracle"].auc < 0.85


def test_cosines_are_like_those_of_real_clips(test_bags):
    assert all(np.linalg.norm(bag.features, axis=1) == pytest.approx(1, abs=1e-5) for bag in test_bags)
    rows = [bag.features for bag in test_bags]
    assert np.mean([cosine(r[1:], r[:-1]) for r in rows]) == pytest.approx(0.96, abs=0.02)
    assert np.mean([cosine(r[10:], r[:-10]) for r in rows]) == pytest.approx(0.89, abs=0.07)
    means = np.array([r.mean(0) / np.linalg.norm(r.mean(0)) for r in rows])
    between = (means @ means.T)[np.triu_indices(len(means), 1)]
    assert between.mean() == pytest.approx(0.63, abs=0.1)


def test_an_anomaly_is_nearer_to_its_text_than_to_others(test_bags):
    texts = class_texts(0, SMALL)
    assert texts.shape == (6, 32) and np.linalg.norm(texts, axis=1) == pytest.approx(1, abs=1e-5)
    hits = []
    for bag in test_bags:
        if bag.label:
            change = bag.features[bag.frame_labels].mean(0) - bag.features[~bag.frame_labels].mean(0)
            hits.append(np.argmax(texts[1:] @ change) + 1 == bag.label)
    assert np.mean(hits) > 0.6  # chance is 0.2
