"""Loss terms of the bag-learning objectives against values worked out by hand, and their invariants."""

import math

import numpy as np
import pytest
import torch

from vau.errors import InputError
from vau.scoring.heads.base import Head, HeadOutput
from vau.scoring.heads.gs_moe import GsMoeHead
from vau.scoring.heads.sultani import SultaniHead
from vau.scoring.heads.ur_dmu import UrDmuHead
from vau.training.scorer.bags import Bag, collate
from vau.training.scorer.clusters import assign_clusters
from vau.training.scorer.objectives import Settings, gs_moe, rtfm, sultani, ur_dmu
from vau.training.scorer.objectives.gs_moe import GsMoeObjective
from vau.training.scorer.objectives.rtfm import RtfmObjective
from vau.training.scorer.objectives.sultani import SultaniObjective
from vau.training.scorer.objectives.topk import TopKObjective, top_k_lengths, top_k_mean
from vau.training.scorer.objectives.ur_dmu import UrDmuObjective
from vau.training.scorer.splatting import Splatting

BASE = {
    "input_size": 4,
    "width": 6,
    "layers": 1,
    "attention_heads": 2,
    "head_width": 3,
    "normal_slots": 5,
    "abnormal_slots": 5,
    "classifier_width": 4,
    "dropout": 0.0,
}
MOE = {
    "base": BASE,
    "classes": 2,
    "expert_hidden": 5,
    "expert_sizes": [4],
    "gate_heads": 2,
    "gate_hidden": 5,
    "gate_sizes": [4],
}


class Given(Head):
    """Reads the logits out of the features: the first column; all columns are its features too."""

    def forward(self, features, mask, text=None):
        return HeadOutput(features[..., 0], extra={"features": features})


def bags(*scores, features=None):
    """Abnormal bags (class, scores) and normal bags (0, scores) for `Given`."""
    return collate([Bag(str(i), np.array(s, np.float32)[:, None], label) for i, (label, s) in enumerate(scores)])


def logit(p):
    return math.log(p / (1 - p))


def call(objective, head, batch, *, step=0, seed=0):
    terms = objective(head, batch, generator=torch.Generator().manual_seed(seed), step=step)
    return {name: float(term.detach()) for name, term in terms.items()}


def random_batch(lengths, labels, columns=4):
    generator = np.random.default_rng(3)
    drawn = [generator.standard_normal((length, columns)).astype(np.float32) for length in lengths]
    return collate([Bag(str(i), rows, label) for i, (rows, label) in enumerate(zip(drawn, labels, strict=True))])


def padded(batch, more):
    pad = torch.nn.functional.pad
    return type(batch)(pad(batch.features, (0, 0, 0, more)), pad(batch.mask, (0, more)), batch.labels)


# top-k


@pytest.mark.parametrize(("plus_one", "expected"), [(True, [1, 1, 2, 3]), (False, [1, 1, 1, 2])])
def test_k_follows_the_length_of_each_bag(plus_one, expected):
    mask = torch.arange(40) < torch.tensor([1, 15, 16, 32])[:, None]
    assert top_k_lengths(mask, plus_one=plus_one).tolist() == expected


def test_top_k_mean_ignores_padding():
    scores = torch.tensor([[0.1, 0.5, 0.3, 9.0], [0.2, 0.6, 0.4, 0.8]])
    mask = torch.tensor([[True, True, True, False], [True] * 4])
    assert top_k_mean(scores, mask, torch.tensor([2, 1])).tolist() == pytest.approx([0.4, 0.8])


def test_top_k_by_hand():
    batch = bags((1, [logit(0.8), logit(0.1)]), (0, [logit(0.3), logit(0.4), logit(0.2)]))
    assert call(TopKObjective(), Given(), batch)["top_k"] == pytest.approx(-(math.log(0.8) + math.log(0.6)) / 2)


def test_top_k_survives_saturation():
    terms = call(TopKObjective(), Given(), bags((1, [80.0] * 16), (0, [-80.0] * 16)))
    assert terms["top_k"] == pytest.approx(0, abs=1e-6)
    assert math.isfinite(call(TopKObjective(), Given(), bags((1, [-80.0]), (0, [80.0])))["top_k"])


# Sultani


def test_ranking_of_all_pairs_by_hand():
    batch = bags((1, [logit(0.9), logit(0.2), logit(0.4)]), (2, [logit(0.5)]), (0, [logit(0.3)]), (0, [logit(0.6)]))
    terms = call(SultaniObjective(), Given(), batch)
    pairs = [1 - 0.9 + 0.3, 1 - 0.5 + 0.3, 1 - 0.9 + 0.6, 1 - 0.5 + 0.6]
    assert terms["ranking"] == pytest.approx(sum(pairs) / 2)  # summed over abnormal, mean over 2 normal
    assert terms["sparsity"] == pytest.approx(8e-5 * (0.9 + 0.2 + 0.4 + 0.5))
    assert terms["smoothness"] == pytest.approx(8e-5 * (0.7**2 + 0.2**2))
    assert terms["weights"] == 0


def test_matched_pairs_by_hand():
    batch = bags((1, [logit(0.9), logit(0.2)]), (1, [logit(0.5)]), (0, [logit(0.3)]), (0, [logit(0.6)]))
    terms = call(SultaniObjective(pairs="matched"), Given(), batch)
    assert terms["ranking"] == pytest.approx((1 - 0.9 + 0.3 + 1 - 0.5 + 0.6) / 2)
    assert terms["sparsity"] == pytest.approx(8e-5 * (0.9 + 0.2 + 0.5) / 2)
    assert terms["smoothness"] == pytest.approx(8e-5 * 0.7**2 / 2)
    with pytest.raises(InputError, match="1, 2"):
        call(SultaniObjective(pairs="matched"), Given(), bags((1, [0.0]), (0, [0.0]), (0, [0.0])))


def test_weight_penalties_by_hand():
    head = SultaniHead(input_size=1, hidden=(1, 1))
    with torch.no_grad():
        for parameter, value in zip(head.parameters(), [3.0, 4.0, 2.0, 0.0, 1.0, 0.0], strict=True):
            parameter.fill_(value)  # weight and bias of each layer
    batch = bags((1, [0.1]), (0, [0.1]))
    assert call(SultaniObjective(), head, batch)["weights"] == pytest.approx(1e-3 * (9 + 4 + 1))
    assert call(SultaniObjective(pairs="matched"), head, batch)["weights"] == pytest.approx(1e-3 * (5 + 2 + 1))


# RTFM


def test_rtfm_by_hand():
    abnormal = np.array([[logit(0.9), 3.0], [logit(0.2), 0.0]], np.float32)
    normal = np.array([[logit(0.4), 1.0], [logit(0.3), 5.0]], np.float32)
    batch = collate([Bag("a", abnormal, 1), Bag("n", normal, 0)])
    terms = call(RtfmObjective(selection_dropout=0.0, margin=10.0), Given(), batch)
    longest_a, longest_n = math.hypot(logit(0.9), 3), math.hypot(logit(0.3), 5)
    assert terms["magnitude"] == pytest.approx(1e-4 * (10 - longest_a + longest_n) ** 2, rel=1e-5)
    assert terms["bag"] == pytest.approx(-(math.log(0.9) + math.log(0.7)) / 2, rel=1e-5)  # the longest, not the highest
    assert terms["smoothness"] == pytest.approx(8e-4 * 0.7**2, rel=1e-5)
    assert terms["sparsity"] == pytest.approx(8e-3 * math.hypot(0.9, 0.2), rel=1e-5)


def test_rtfm_selects_three_of_32_and_drops_by_the_generator():
    batch = random_batch([32, 32], [1, 0])
    assert top_k_lengths(batch.mask, share=10, plus_one=False).tolist() == [3, 3]
    objective = RtfmObjective()
    assert call(objective, Given(), batch, seed=1) == call(objective, Given(), batch, seed=1)
    assert call(objective, Given(), batch, seed=1) != call(objective, Given(), batch, seed=2)


def test_rtfm_needs_features_and_pairs():
    class Bare(Given):
        def forward(self, features, mask, text=None):
            return HeadOutput(features[..., 0])

    with pytest.raises(InputError, match="Bare"):
        call(RtfmObjective(), Bare(), bags((1, [0.0]), (0, [0.0])))
    with pytest.raises(InputError, match="1 of 3"):
        call(RtfmObjective(), Given(), bags((1, [0.0]), (0, [0.0]), (0, [0.0])))


# UR-DMU


def test_ur_dmu_memory_and_margin_terms_by_hand():
    torch.manual_seed(0)
    head = UrDmuHead(**BASE)
    batch = random_batch([5, 5], [1, 0])
    with torch.no_grad():
        recall = head.recall(batch.features, batch.mask)
    terms = call(UrDmuObjective(), head, batch)
    knows_normal, knows_abnormal = recall.normal_match, recall.abnormal_match  # k = 1 for 5 snippets
    assert terms["normal_knows_normal"] == pytest.approx(-0.1 * knows_normal[1].log().mean().item(), rel=1e-5)
    assert terms["abnormal_misses_normal"] == pytest.approx(
        -0.1 * (1 - knows_abnormal[1]).log().mean().item(), rel=1e-5
    )
    assert terms["abnormal_knows_abnormal"] == pytest.approx(-0.1 * math.log(knows_abnormal[0].max()), rel=1e-5)
    assert terms["normal_misses_abnormal"] == pytest.approx(-0.1 * math.log(1 - knows_normal[0].min()), rel=1e-5)
    anchor = recall.embedded[1, knows_normal[1].argmax()]
    positive = recall.embedded[0, knows_normal[0].argmax()]
    negative = recall.embedded[0, knows_abnormal[0].argmax()]
    unit = [v / v.norm() for v in (anchor, positive, negative)]
    triplet = max(0, (unit[0] - unit[1]).norm().item() - (unit[0] - unit[2]).norm().item() + 1)
    assert terms["triplet"] == pytest.approx(0.1 * triplet, rel=1e-3)
    mean, log_variance = recall.normal_mean[1], recall.normal_log_variance[1]
    divergence = (-0.5 * (1 + log_variance - mean**2 - log_variance.exp())).sum(0).mean().item()
    assert terms["divergence"] == pytest.approx(0.001 * divergence, rel=1e-4)
    noise = torch.randn(recall.normal_mean.shape, generator=torch.Generator().manual_seed(0))[1]
    drawn = (mean + noise * (log_variance / 2).exp())[knows_normal[1].argmax()]
    length = recall.abnormal_mean[0, knows_abnormal[0].argmax()].norm()
    assert terms["distance"] == pytest.approx(1e-4 * (100 - length + drawn.norm()).item(), rel=1e-5)
    assert "splatting" not in terms


@pytest.mark.parametrize(
    ("drawn", "differs"), [("all", (True, True)), ("normal", (False, True)), ("none", (False, False))]
)
def test_ur_dmu_draws_where_it_is_told_and_by_the_generator(drawn, differs):
    torch.manual_seed(0)
    head, batch = UrDmuHead(**BASE), random_batch([5, 6], [1, 0])
    generator = torch.Generator().manual_seed(1)
    _, output = UrDmuObjective(drawn=drawn).run(head, batch, generator=generator, step=0)
    plain = head(batch.features, batch.mask).logits
    assert tuple(not torch.allclose(output.logits[row], plain[row]) for row in (0, 1)) == differs
    assert call(UrDmuObjective(), head, batch, seed=4) == call(UrDmuObjective(), head, batch, seed=4)
    assert call(UrDmuObjective(), head, batch, seed=4) != call(UrDmuObjective(), head, batch, seed=5)


def test_ur_dmu_trains_every_parameter():
    head, batch = UrDmuHead(**BASE), random_batch([5, 6], [1, 0])
    terms = UrDmuObjective()(head, batch, generator=torch.Generator().manual_seed(0), step=0)
    sum(terms.values()).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in head.parameters())


def test_splatting_waits_for_the_warm_up():
    head, batch = UrDmuHead(**BASE), random_batch([5, 6], [1, 0])
    objective = UrDmuObjective(splatting=Splatting(), warm_up=3)
    assert "splatting" not in call(objective, head, batch, step=2) and "splatting" in call(
        objective, head, batch, step=3
    )


@pytest.mark.parametrize(("objective", "head"), [(UrDmuObjective(), Given()), (GsMoeObjective(), Given())])
def test_objectives_name_a_head_that_does_not_fit(objective, head):
    with pytest.raises(InputError, match="Given"):
        call(objective, head, bags((1, [0.0]), (0, [0.0])))


# GS-MoE


def test_gs_moe_terms_and_warm_up():
    torch.manual_seed(0)
    head, batch = GsMoeHead(**MOE), random_batch([5, 6, 4, 5], [2, 1, 0, 0])
    before, after = (call(GsMoeObjective(warm_up=1), head, batch, step=step) for step in (0, 1))
    assert set(after) - set(before) == {"splatting_base", "splatting_experts", "splatting_gate"}
    with torch.no_grad():
        experts = torch.sigmoid(head(batch.features, batch.mask).extra["experts"])
    assert call(GsMoeObjective(warm_up=0), head, batch, step=0) == after
    assert experts.shape == (4, 6, 2)


def test_an_expert_is_right_about_its_class_alone():
    class Fixed(GsMoeHead):
        def assemble(self, coarse, mask):
            output = super().assemble(coarse, mask)
            row = torch.tensor([[0.9, 0.2], [0.3, 0.6], [0.1, 0.4], [0.5, 0.2]])
            output.extra["experts"] = torch.logit(row)[:, None, :].expand(4, mask.shape[1], 2)
            return output

    batch = random_batch([3, 3, 3, 3], [1, 2, 0, 0])
    terms = call(GsMoeObjective(splatting=None), Fixed(**MOE), batch)
    first = math.log(0.9) + math.log(0.7) + math.log(0.9) + math.log(0.5)
    second = math.log(0.8) + math.log(0.6) + math.log(0.6) + math.log(0.8)
    assert terms["experts"] == pytest.approx(-(first + second) / 8, rel=1e-5)


def test_gs_moe_trains_every_parameter():
    torch.manual_seed(0)
    head, batch = GsMoeHead(**MOE), random_batch([5, 6, 4, 5], [2, 1, 0, 0])
    sum(GsMoeObjective()(head, batch, generator=torch.Generator(), step=100).values()).backward()
    assert all(parameter.grad is not None for parameter in head.parameters())
    assert all(any(p.grad.any() for p in expert.parameters()) for expert in head.experts)


def test_gs_moe_names_a_label_without_expert():
    with pytest.raises(InputError, match="label 3"):
        call(GsMoeObjective(), GsMoeHead(**MOE), random_batch([3, 3], [3, 0]))


# all of them


CASES = [
    (TopKObjective(), lambda: SultaniHead(input_size=4, hidden=(5, 3), dropout=0)),
    (SultaniObjective(), lambda: SultaniHead(input_size=4, hidden=(5, 3), dropout=0)),
    (SultaniObjective(pairs="matched"), lambda: SultaniHead(input_size=4, hidden=(5, 3), dropout=0)),
    (RtfmObjective(selection_dropout=0.0), lambda: SultaniHead(input_size=4, hidden=(5, 3), dropout=0)),
    (UrDmuObjective(splatting=Splatting()), lambda: UrDmuHead(**BASE)),
    (GsMoeObjective(), lambda: GsMoeHead(**MOE)),
]


@pytest.mark.parametrize(("objective", "build"), CASES)
def test_padding_never_changes_a_term(objective, build):
    torch.manual_seed(0)
    head, batch = build(), random_batch([18, 17, 3, 20], [2, 1, 0, 0])
    with torch.no_grad():  # the mean answer for normal videos too, since noise is drawn by the shape of the batch
        for module in [head, getattr(head, "base", head)]:
            if isinstance(module, UrDmuHead):
                module.log_variance.weight.zero_()
                module.log_variance.bias.fill_(-60.0)
    expected = call(objective, head, batch, step=100)
    assert call(objective, head, padded(batch, 30), step=100) == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(("objective", "build"), CASES)
def test_a_few_steps_lower_the_loss(objective, build):
    torch.manual_seed(0)
    head, batch = build(), random_batch([18, 17, 3, 20], [2, 1, 0, 0])
    optimiser = Settings("adam", 0.01, 20, 2).build(head.parameters())
    losses = []
    for _ in range(20):
        loss = sum(objective(head, batch, generator=torch.Generator().manual_seed(0), step=0).values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_published_settings():
    assert [s.SETTINGS.bags_a_side for s in (sultani, rtfm, ur_dmu, gs_moe)] == [30, 32, 64, 64]
    optimiser = sultani.SETTINGS.build(SultaniHead(input_size=2, hidden=(2, 2)).parameters())
    assert isinstance(optimiser, torch.optim.Adagrad)
    assert optimiser.defaults["lr"] == 0.01 and optimiser.defaults["eps"] == 1e-8
    assert isinstance(sultani.PORT_SETTINGS.build([torch.nn.Parameter(torch.zeros(1))]), torch.optim.Adadelta)


# clusters


def test_clusters_find_what_stands_out_and_leave_normal_bags():
    generator = np.random.default_rng(0)
    made, scores = [], []
    for index in range(12):
        rows = generator.normal(0, 0.05, (10, 6)).astype(np.float32) + generator.normal(0, 3, 6).astype(np.float32)
        rows[4, index % 3] += 2
        made.append(Bag(str(index), rows, 1 if index < 9 else 0))
        scores.append(np.eye(10)[4])
    found = [bag.label for bag in assign_clusters(made, scores, 3)]
    assert found[9:] == [0, 0, 0] and set(found[:9]) == {1, 2, 3}
    assert found[0:3] == found[3:6] == found[6:9]
    assert [bag.label for bag in assign_clusters(made, scores, 3)] == found
    with pytest.raises(InputError, match="13 clusters"):
        assign_clusters(made, scores, 13)
    with pytest.raises(InputError, match="12 bags"):
        assign_clusters(made, scores[:-1], 3)
