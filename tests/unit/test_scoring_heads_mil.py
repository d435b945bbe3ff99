"""Shapes, sizes and invariants of the heads that learn from bags: padding, order, chunks, gradients, determinism."""

import json
import math

import pytest
import torch

from vau.scoring.heads.attention import DualAttention, MaskedAttention, near_weights
from vau.scoring.heads.gs_moe import GsMoeHead
from vau.scoring.heads.sultani import SultaniHead
from vau.scoring.heads.ur_dmu import Memory, UrDmuHead

SMALL = {
    "input_size": 6,
    "width": 8,
    "layers": 2,
    "attention_heads": 2,
    "head_width": 4,
    "normal_slots": 20,
    "abnormal_slots": 33,
    "classifier_width": 5,
    "dropout": 0.1,
}
SMALL_GATE = {"expert_hidden": 6, "expert_sizes": [6, 4], "gate_heads": 2, "gate_hidden": 7, "gate_sizes": [5]}


def build(kind):
    torch.manual_seed(0)
    if kind == "sultani":
        return SultaniHead(input_size=6, hidden=(7, 3)).eval()
    if kind == "ur_dmu":
        return UrDmuHead(**SMALL).eval()
    return GsMoeHead(classes=3, base=SMALL, **SMALL_GATE).eval()


@pytest.fixture(params=["sultani", "ur_dmu", "gs_moe"])
def head(request):
    return build(request.param)


def batch(lengths, longest):
    generator = torch.Generator().manual_seed(5)
    features = torch.randn(len(lengths), longest, 6, generator=generator)
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    return features * mask[..., None], mask


def test_shapes(head):
    features, mask = batch([7, 4], 7)
    output = head(features, mask)
    assert output.logits.shape == (2, 7) and output.logits.dtype == torch.float32
    assert output.extra["features"].shape[:2] == (2, 7)
    if isinstance(head, GsMoeHead):
        assert output.class_logits.shape == (2, 7, 4) and not output.class_logits[..., 0].any()
        assert output.extra["experts"].shape == (2, 7, 3) and output.extra["coarse"].shape == (2, 7)
        assert torch.equal(output.class_logits[..., 1:], output.extra["experts"])


def test_padding_never_changes_a_score(head):
    features, mask = batch([7, 4, 1], 7)
    together = head(features, mask)
    longer = head(*batch_padded(features, mask, 100))
    for row, length in enumerate([7, 4, 1]):
        alone = head(features[row : row + 1, :length], mask[row : row + 1, :length])
        assert torch.allclose(together.logits[row, :length], alone.logits[0], atol=1e-5)
        assert torch.allclose(longer.logits[row, :length], alone.logits[0], atol=1e-5)
    assert torch.isfinite(longer.logits).all()


def batch_padded(features, mask, longest):
    more = longest - features.shape[1]
    return torch.nn.functional.pad(features, (0, 0, 0, more)), torch.nn.functional.pad(mask, (0, more))


def test_what_stands_at_padding_does_not_matter(head):
    features, mask = batch([7, 4], 7)
    dirty = torch.where(mask[..., None], features, 9.0)
    assert torch.allclose(head(features, mask).logits[mask], head(dirty, mask).logits[mask], atol=1e-5)


def test_order_of_videos_does_not_matter(head):
    features, mask = batch([5, 7, 2], 7)
    order = torch.tensor([2, 0, 1])
    expected = head(features, mask).logits[order]
    assert torch.allclose(head(features[order], mask[order]).logits, expected, atol=1e-5)


def test_gradients_reach_every_parameter_and_no_padding(head):
    features, mask = batch([7, 4], 7)
    features.requires_grad_()
    output = head(features, mask)
    output.logits[mask].square().sum().backward()
    unused = {name for name, parameter in head.named_parameters() if parameter.grad is None}
    # the variance is for training alone, and the gate does not read the base's own score
    assert all(name.removeprefix("base.").startswith(("log_variance", "score")) for name in unused)
    assert not any("score" in name for name in unused) or isinstance(head, GsMoeHead)
    assert not features.grad[~mask].any() and features.grad[mask].any()


@pytest.mark.parametrize("kind", ["sultani", "ur_dmu", "gs_moe"])
def test_seed_decides_weights(kind):
    first, second = build(kind).state_dict(), build(kind).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_constructor_arguments_survive_json():
    arguments = json.loads(json.dumps({"classes": 2, "base": SMALL, **SMALL_GATE}))
    assert sum(p.numel() for p in GsMoeHead(**arguments).parameters()) > 0


def test_sultani_sizes_and_its_linear_second_layer():
    head = SultaniHead()
    assert [tuple(p.shape) for p in head.parameters() if p.ndim > 1] == [(512, 4096), (32, 512), (1, 32)]
    small = SultaniHead(input_size=2, hidden=(2, 1)).eval()
    with torch.no_grad():
        small.embed[0].weight.copy_(torch.eye(2))
        small.score[1].weight.copy_(torch.tensor([[1.0, -2.0]]))
        small.score[3].weight.fill_(3.0)
    logits = small(torch.tensor([[[1.0, 2.0], [-5.0, 1.0]]]), torch.ones(1, 2, dtype=torch.bool)).logits
    assert logits.tolist() == [[3 * (1 - 4), 3 * (0 - 2)]]  # ReLU first, then negative values pass


def test_default_sizes_are_those_of_the_papers():
    with torch.device("meta"):  # sizes without memory
        base = UrDmuHead()
        moe = GsMoeHead(classes=13)
    assert base.normal_memory.slots.shape == (60, 512) and base.normal_memory.best == 4
    assert base.layers[0].attention.project.weight.shape == (4 * 4 * 128, 512)
    assert base.score[0].weight.shape == (128, 1024)
    assert len(moe.experts) == 13 and moe.experts[0].score[0].weight.shape == (512, 1024)
    assert moe.gate.project.weight.shape == (1024, 13) and moe.gate.score[0].weight.shape == (1024, 2048)


def test_memory_by_hand():
    memory = Memory(16, 4)
    with torch.no_grad():
        memory.slots.zero_()
        memory.slots[0] = torch.tensor([2.0, 0, 0, 0])
        memory.slots[1] = torch.tensor([0, 2.0, 0, 0])
    match, answer = memory(torch.tensor([[[3.0, 0, 0, 0]]]))
    first = torch.sigmoid(torch.tensor(3.0))  # 3 * 2 / sqrt(4); all others match with sigmoid(0)
    assert memory.best == 2
    assert match.item() == pytest.approx((first.item() + 0.5) / 2)
    assert answer[0, 0].tolist() == pytest.approx([2 * first.item(), 1, 0, 0])


def test_near_weights_by_hand():
    weights = near_weights(torch.tensor([[True, True, False]]))[0]
    beside = math.exp(-1 / math.e)
    assert weights[0].tolist() == pytest.approx([1 / (1 + beside), beside / (1 + beside), 0])
    assert weights[:2].sum(1).tolist() == pytest.approx([1, 1])
    assert torch.isfinite(near_weights(torch.arange(2000)[None] < 1)).all()


def test_dual_attention_joins_content_and_distance():
    attention = DualAttention(4, heads=1, head_width=2, dropout=0.0)
    with torch.no_grad():
        attention.project.weight.zero_()
        attention.project.weight[4:6, :2] = torch.eye(2)  # values by content; queries and keys are equal: a plain mean
        attention.project.weight[6:8, 2:] = torch.eye(2)  # values by distance
        attention.join[0].weight.copy_(torch.eye(4))
        attention.join[0].bias.zero_()
    x = torch.randn(1, 3, 4)
    mask = torch.tensor([[True, True, False]])
    result = attention(x, mask)
    assert torch.allclose(result[0, 0, :2], x[0, :2, :2].mean(0), atol=1e-6)
    assert torch.allclose(result[0, :2, 2:], near_weights(mask)[0, :2] @ x[0, :, 2:], atol=1e-6)


def test_cross_attention_takes_weights_from_one_and_values_from_the_other():
    attention = MaskedAttention(4, 2).eval()
    x, values, mask = torch.randn(1, 5, 4), torch.randn(1, 5, 4), torch.ones(1, 5, dtype=torch.bool)
    constant = attention(x, values[:, :1].expand(1, 5, 4), mask)
    assert torch.allclose(constant, constant[:, :1].expand(1, 5, 4), atol=1e-6)  # equal values, whatever the weights
    assert not torch.allclose(attention(x, values, mask), attention(values, x, mask))


def test_gate_keeps_what_a_snippet_and_its_experts_say_of_themselves():
    gate = build("gs_moe").gate
    with torch.no_grad():
        for attention in (gate.from_features, gate.from_scores, gate.block.attention):
            attention.attention.out_proj.weight.zero_()
        x, scores, mask = torch.randn(1, 5, 16), torch.rand(1, 5, 3), torch.ones(1, 5, dtype=torch.bool)
        logits = gate(x, scores, mask)
        x[:, 2] += torch.randn(16)
        scores[:, 4] = 1 - scores[:, 4]
        changed = gate(x, scores, mask) != logits
    assert changed.tolist() == [[False, False, True, False, True]]


def test_gate_hears_every_expert():
    head = build("gs_moe")
    features, mask = batch([5], 5)
    coarse = head.base(features, mask)
    scores = torch.full((1, 5, 3), 0.5, requires_grad=True)
    head.gate(coarse.extra["features"], scores, mask).sum().backward()
    assert (scores.grad.abs().sum((0, 1)) > 0).all()
