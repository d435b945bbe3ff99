from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from vau.errors import InputError  # noqa: E402
from vau.scoring.heads.lagovad import LaGoVad  # noqa: E402
from vau.scoring.heads.prompts import PromptedTexts  # noqa: E402
from vau.scoring.heads.vadclip import VadClip  # noqa: E402
from vau.training.scorer.bags import Bag, Batch, collate  # noqa: E402
from vau.training.scorer.objectives.lagovad import (  # noqa: E402
    DefinitionBank,
    LaGoVadObjective,
    bag_loss,
    contrast_loss,
    dense_losses,
)
from vau.training.scorer.objectives.vadclip import (  # noqa: E402
    VadClipObjective,
    alignment_loss,
    class_top_k,
    separation_loss,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(lengths=(40, 33, 25, 18), labels=(2, 1, 0, 0), *, dense=True, garbage=0.0) -> Batch:
    random = np.random.default_rng(0)
    bags = []
    for length, label in zip(lengths, labels, strict=True):
        truth = np.zeros(length, bool)
        truth[3 : 3 + 8] = label > 0
        features = random.standard_normal((length, 16)).astype(np.float32)
        bags.append(Bag("v", features, label, truth if dense else None))
    made = collate(bags)
    made.features[~made.mask] = garbage
    return made


def texts(rows: int = 4) -> torch.Tensor:
    return functional.normalize(torch.randn(rows, 16, generator=seeded(1)), dim=-1)


def lagovad() -> LaGoVad:
    torch.manual_seed(0)
    return LaGoVad(dim=16, text_dim=16, layers=1, fusion_layers=1, fusion_heads=4, dropout=0.0, matched=True)


def vadclip() -> VadClip:
    torch.manual_seed(0)
    return VadClip(dim=16, text_dim=16, layers=1)


def test_class_top_k_by_hand():
    logits = torch.zeros(1, 40, 2)
    logits[0, :4, 0] = torch.tensor([4.0, 3.0, 2.0, 1.0])
    logits[0, 20:23, 1] = torch.tensor([9.0, 6.0, 3.0])
    logits[0, 36:] = 100.0
    mask = torch.arange(40)[None] < 36
    assert class_top_k(logits, mask, plus_one=True)[0].tolist() == pytest.approx([3.0, 6.0])  # k = 36 // 16 + 1
    assert class_top_k(logits, mask, plus_one=False)[0].tolist() == pytest.approx([3.5, 7.5])


def test_alignment_by_hand_and_for_several_labels():
    logits = torch.tensor([[[1.0, 2.0, 0.0]]])
    mask = torch.ones(1, 1, dtype=torch.bool)
    total = math.log(math.e + math.e**2 + 1)
    assert alignment_loss(logits, mask, torch.tensor([[0.0, 1.0, 0.0]])).item() == pytest.approx(total - 2)
    both = alignment_loss(logits, mask, torch.tensor([[0.0, 1.0, 1.0]])).item()
    assert both == pytest.approx(total - 0.5 * 2 - 0.5 * 0)


def test_separation_by_hand():
    text = torch.tensor([[1.0, 0.0], [3.0, 4.0], [-2.0, 0.0]])
    assert separation_loss(text).item() == pytest.approx((0.6 + 1.0) / 2)


def test_bag_loss_by_hand():
    logits = torch.tensor([[3.0, 1.0] + [0.0] * 30, [2.0] + [-1.0] * 31])
    mask = torch.ones(2, 32, dtype=torch.bool)
    found = bag_loss(logits, mask, torch.tensor([True, False])).item()  # the mean of two logits, then the loss
    assert found == pytest.approx((math.log1p(math.exp(-2)) + math.log1p(math.exp(0.5))) / 2, rel=1e-5)


def test_dense_losses_by_hand():
    logits = torch.tensor([[0.0, 2.0, 2.0, 5.0], [1.0, -1.0, 0.0, 9.0]])
    mask = torch.tensor([[True, True, True, True], [True, True, True, False]])
    labels = torch.tensor([[0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 0.0]])
    dense, span = dense_losses(logits, mask, labels, torch.tensor([True, False]))

    def soft(x: float) -> float:
        return math.log1p(math.exp(x))

    steps = [soft(0), soft(-2), soft(-2), soft(5), soft(1), soft(-1), soft(0)]  # the second bag counts as normal
    assert dense.item() == pytest.approx(sum(steps) / 7, rel=1e-5)
    assert span.item() == pytest.approx((soft(-2) + soft(1)) / 2, rel=1e-5)  # 5 lies outside the span, 9 is padding


def contrast_case():
    temporal = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 2.0], [0.0, 2.0]]])
    logits = torch.tensor([[5.0, -5.0], [0.0, 0.0]])
    mask = torch.ones(2, 2, dtype=torch.bool)
    return temporal, logits, mask, torch.tensor([[9.0, 9.0], [3.0, 0.0]]), torch.tensor([1, 0])


def smoothed(logits: list[float], right: int) -> float:
    total = math.log(sum(math.exp(value) for value in logits))
    ideal = [0.1 / len(logits) + 0.9 * (index == right) for index in range(len(logits))]
    return -sum(share * (value - total) for share, value in zip(ideal, logits, strict=True))


@pytest.mark.parametrize(
    ("mining", "similar"),
    [("none", [1 / 0.07, 0.0]), ("paper", [1 / 0.07, 0.0, 0.0]), ("code", [3.0, 0.0, 0.0])],
)
def test_contrast_by_hand(mining, similar):
    found = contrast_loss(*contrast_case(), mining=mining).item()
    assert found == pytest.approx((smoothed(similar, 0) + 0.0) / 2, rel=1e-4)


def test_the_code_mines_inside_the_pseudo_label():
    temporal, logits, mask, text, targets = contrast_case()
    labels = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    found = contrast_loss(temporal, logits, mask, text, targets, mining="code", labels=labels).item()
    assert found == pytest.approx(smoothed([3.0, 0.0, 3.0], 0) / 2, rel=1e-4)


def test_flat_scores_give_no_negative_and_normal_batches_no_contrast():
    temporal, _, mask, text, targets = contrast_case()
    flat = torch.zeros(2, 2)
    one, other = (contrast_loss(temporal, flat, mask, text, targets, mining=kind) for kind in ("paper", "none"))
    torch.testing.assert_close(one, other)
    assert contrast_loss(temporal, flat, mask, text, torch.zeros(2, dtype=torch.long)).item() == 0


def test_a_text_may_own_several_videos():
    temporal, logits, mask, text, _ = contrast_case()
    found = contrast_loss(temporal, logits, mask, text, torch.tensor([1, 1]), mining="none").item()
    to_video = (smoothed([1 / 0.07, 0.0], 0) + smoothed([1 / 0.07, 0.0], 1)) / 2
    assert found == pytest.approx(to_video / 2, rel=1e-4)


def test_definitions_vary_and_targets_follow():
    names, labels = texts(6), torch.tensor([4, 2, 0, 0])
    described = tuple(functional.normalize(torch.randn(3, 16, generator=seeded(row)), dim=-1) for row in range(6))
    bank = DefinitionBank(names, described)
    sizes = set()
    for seed in range(60):
        drawn, targets = bank.draw(labels, seeded(seed), described=False, undefined=0.0)
        sizes.add(len(drawn))
        assert torch.equal(drawn[targets], names[labels])
        wording, targets = bank.draw(labels, seeded(seed), described=True, undefined=0.0)
        for row, label in zip(wording[targets], labels.tolist(), strict=True):
            assert any(torch.equal(row, item) for item in described[label])
    assert sizes == {3, 4, 5, 6}


def test_a_class_left_out_is_normal_but_one_stays():
    names, labels = texts(6), torch.tensor([4, 2, 2, 0])
    for seed in range(40):
        drawn, targets = DefinitionBank(names).draw(labels, seeded(seed), described=False, undefined=1.0)
        assert (targets > 0).tolist() in ([True, False, False, False], [False, True, True, False])
        kept = targets > 0
        assert torch.equal(drawn[targets[kept]], names[labels[kept]])
        assert not any(torch.equal(row, names[label]) for row in drawn for label in labels[:3][~kept[:3]])


@pytest.mark.parametrize("mining", ["paper", "code", "none"])
def test_lagovad_terms_and_padding(mining):
    described = tuple(texts(2) for _ in range(4))
    objective = LaGoVadObjective(DefinitionBank(texts(), described), mining=mining)
    head = lagovad().eval()
    clean = objective(head, batch(), generator=seeded(), step=0)
    assert set(clean) == {
        *("top_k", "classes", "dense", "span"),
        *("described_top_k", "described_classes", "described_contrast"),
    }
    dirty = objective(head, batch(garbage=1e3), generator=seeded(), step=0)
    for name, value in clean.items():
        assert math.isfinite(value.item())
        torch.testing.assert_close(dirty[name], value, atol=1e-4, rtol=1e-4)


def test_lagovad_never_reads_frame_labels_that_are_no_pseudo_labels():
    head = lagovad().eval()
    for mining in ("paper", "code"):
        objective = LaGoVadObjective(DefinitionBank(texts()), dense=False, mining=mining)
        known, unknown = (objective(head, batch(dense=dense), generator=seeded(), step=0) for dense in (True, False))
        assert set(known) == {"top_k", "classes", "contrast"}
        for name in known:
            torch.testing.assert_close(known[name], unknown[name])


def test_vadclip_terms_and_padding():
    objective, head = VadClipObjective(texts()), vadclip().eval()
    clean = objective(head, batch(), generator=seeded(), step=0)
    assert set(clean) == {"top_k", "alignment", "separation"}
    dirty = objective(head, batch(garbage=1e3), generator=seeded(), step=0)
    for name, value in clean.items():
        torch.testing.assert_close(dirty[name], value, atol=1e-4, rtol=1e-4)
    assert clean["separation"].item() == pytest.approx(0.1 * separation_loss(texts()).item(), rel=1e-5)


@pytest.mark.parametrize("kind", ["lagovad", "vadclip"])
def test_a_few_steps_lower_the_loss_and_reach_every_parameter(kind):
    head = lagovad() if kind == "lagovad" else vadclip()
    objective = LaGoVadObjective(DefinitionBank(texts())) if kind == "lagovad" else VadClipObjective(texts())
    optimiser = torch.optim.AdamW(head.parameters(), lr=2e-3)
    losses = []
    for step in range(25):
        loss = torch.stack(list(objective(head, batch(), generator=seeded(step), step=step).values())).sum()
        optimiser.zero_grad()
        loss.backward()
        assert [name for name, item in head.named_parameters() if item.grad is None] == []
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-3:]) / 3 < 0.8 * sum(losses[:3]) / 3


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="got LaGoVad"):
        VadClipObjective(texts())(lagovad(), batch(), generator=seeded(), step=0)
    with pytest.raises(InputError, match="got VadClip"):
        LaGoVadObjective(DefinitionBank(texts()))(vadclip(), batch(), generator=seeded(), step=0)
    with pytest.raises(InputError, match="2 class texts, but a bag has label 2"):
        VadClipObjective(texts(2))(vadclip(), batch(), generator=seeded(), step=0)
    with pytest.raises(InputError, match="knows 1 classes, but a bag has label 2"):
        DefinitionBank(texts(2)).draw(torch.tensor([2, 0]), seeded(), described=False, undefined=0.0)
    with pytest.raises(InputError, match="4 names need as many"):
        DefinitionBank(texts(), (texts(),))


@pytest.fixture(scope="module")
def clip_model():
    library = pytest.importorskip("open_clip", reason="needs the extra clip")
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    torch.manual_seed(0)
    vision = CLIPVisionCfg(layers=1, width=64, patch_size=16, image_size=32, head_width=32)
    model = CLIP(16, vision, CLIPTextCfg(width=32, heads=2, layers=1)).eval()
    return model, library.get_tokenizer("RN50")


def test_learned_tokens_reach_the_texts_and_the_tower_stays_frozen(clip_model):
    model, tokenizer = clip_model
    prompts = PromptedTexts(model, tokenizer, ["an ordinary scene", "a fight"], before=3, after=2)
    assert list(prompts.state_dict()) == ["tokens"] and prompts.tokens.shape == (5, 32)
    rows = prompts()
    torch.testing.assert_close(rows.norm(dim=1), torch.ones(2))
    rows[0, 0].backward()
    assert (prompts.tokens.grad.abs().sum(dim=1) > 0).all()
    assert all(item.grad is None and item.requires_grad for item in model.parameters())
    plain = model.encode_text(tokenizer(["a fight"]))
    torch.testing.assert_close(model.encode_text(tokenizer(["a fight"])), plain)  # no hook is left behind


def test_tokens_that_equal_the_fillers_give_the_fillers_text(clip_model):
    model, tokenizer = clip_model
    prompts = PromptedTexts(model, tokenizer, ["a fight"], before=2, after=1)
    word = model.token_embedding.weight[int(tokenizer(["x"])[0, 1])]
    prompts.tokens.data.copy_(word.expand(3, -1))
    expected = functional.normalize(model.encode_text(tokenizer(["x x a fight x"])), dim=-1)
    torch.testing.assert_close(prompts(), expected)


def test_a_name_that_leaves_no_room_is_refused(clip_model):
    model, tokenizer = clip_model
    with pytest.raises(InputError, match="no room for 20 learned tokens"):
        PromptedTexts(model, tokenizer, ["fight " * 70])


def test_learned_tokens_are_trained_by_the_objective(clip_model):
    model, tokenizer = clip_model
    head = vadclip()
    head.prompts = PromptedTexts(model, tokenizer, ["an ordinary scene", "a fight", "a fire"], before=2, after=2)
    objective = VadClipObjective(texts(3), prompts=head.prompts)
    torch.stack(list(objective(head, batch(), generator=seeded(), step=0).values())).sum().backward()
    assert head.prompts.tokens.grad.abs().sum() > 0
    assert [name for name in head.state_dict() if name.startswith("prompts")] == ["prompts.tokens"]
