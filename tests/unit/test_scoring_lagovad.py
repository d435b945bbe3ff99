from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from vau.scoring.heads.lagovad import LaGoVad  # noqa: E402
from vau.scoring.heads.rotary import BandEncoder, banded_attention, rotate  # noqa: E402


def head(**changes) -> LaGoVad:
    torch.manual_seed(0)
    sizes = {"dim": 12, "text_dim": 16, "fusion_heads": 4, "span": 32, "window": 3, "layers": 2}
    built = LaGoVad(**(sizes | changes)).eval()
    if built.roles is not None:
        torch.nn.init.normal_(built.roles)  # as after training: zeros would hide a wrong row
    return built


def trained(**changes) -> LaGoVad:
    """A head whose residual branches are no longer zero."""
    return wake(head(**changes))


def wake(module):
    """Gives values to the parameters that start at zero, which would hide a wrong mask."""
    for item in module.parameters():
        if not item.any():
            torch.nn.init.normal_(item, std=0.2)
    return module


def clip(steps: int = 20, bags: int = 2, dim: int = 12, seed: int = 1):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(bags, steps, dim, generator=generator)
    return features, torch.ones(bags, steps, dtype=torch.bool)


def texts(rows: int = 4, dim: int = 16):
    return functional.normalize(torch.randn(rows, dim, generator=torch.Generator().manual_seed(2)), dim=-1)


def test_rotation_keeps_lengths_and_makes_products_depend_on_distance():
    rows = torch.randn(8, generator=torch.Generator().manual_seed(0)).expand(10, 1, 8)
    turned = rotate(rows)
    torch.testing.assert_close(turned.norm(dim=-1), rows.norm(dim=-1))
    products = turned[:, 0] @ turned[:, 0].T
    for gap in range(9):
        assert products.diagonal(gap).std() < 1e-5
    assert not torch.allclose(products[0, 0], products[0, 1])


def test_the_first_pair_turns_by_one_radian_a_step():
    turned = rotate(torch.tensor([[[1.0, 0.0]], [[1.0, 0.0]]]))[:, 0]
    expected = [[1.0, 0.0], [0.5403023, 0.8414710]]
    torch.testing.assert_close(turned, torch.tensor(expected))


@pytest.mark.parametrize("steps", [1, 3, 64, 65, 200])
@pytest.mark.parametrize("window", [0, 3, 100])
def test_blocks_give_the_attention_of_one_band_mask(steps, window):
    generator = torch.Generator().manual_seed(0)
    query, key, value = torch.randn(3, 2, steps, 2, 4, generator=generator)
    mask = torch.ones(2, steps, dtype=torch.bool)
    mask[1, (steps + 1) // 2 :] = False
    place = torch.arange(steps)
    apart = (place[:, None] - place).abs()
    allowed = ((apart <= window) & mask[:, None, :]) | (apart == 0)
    whole = functional.scaled_dot_product_attention(
        *(part.transpose(1, 2) for part in (query, key, value)), attn_mask=allowed[:, None]
    )
    torch.testing.assert_close(banded_attention(query, key, value, mask, window), whole.transpose(1, 2))


def test_a_step_hears_of_the_halo_and_of_nothing_beyond():
    torch.manual_seed(0)
    encoder = wake(BandEncoder(8, layers=2, heads=2, window=3, dropout=0.0).eval())
    x = torch.randn(1, 30, 8)
    mask = torch.ones(1, 30, dtype=torch.bool)
    changed = x.clone()
    changed[0, 15] += 1
    moved = (encoder(changed, mask) - encoder(x, mask)).abs().amax(dim=2)[0] > 1e-7
    assert moved[9:22].all() and not moved[:9].any() and not moved[22:].any()


def test_the_score_before_fusion_does_not_depend_on_the_span():
    features, mask = clip(100)
    for alpha, same in ((10.0, True), (-10.0, False)):  # the weight of the head before fusion is 1, then 0
        found = []
        for span in (32, 512):
            built = trained(span=span)
            built.alpha.data.fill_(alpha)
            found.append(built(features, mask, texts()).logits)
        assert torch.allclose(*found, atol=1e-5) == same


def test_a_video_no_longer_than_the_span_is_fused_whole():
    features, mask = clip(32)
    found = [trained(span=span)(features, mask, texts()) for span in (32, 512)]
    torch.testing.assert_close(found[0].logits, found[1].logits)
    torch.testing.assert_close(found[0].class_logits, found[1].class_logits)


@pytest.mark.parametrize("length", [1, 5, 31, 33, 60])
def test_padding_changes_nothing_even_when_it_holds_garbage(length):
    features, _ = clip(70)
    built, text = trained(), texts()
    mask = torch.zeros(2, 70, dtype=torch.bool)
    mask[0], mask[1, :length] = True, True
    features[1, length:] = 100.0
    batch = built(features, mask, text)
    alone = built(features[1:, :length], torch.ones(1, length, dtype=torch.bool), text)
    torch.testing.assert_close(batch.logits[1, :length], alone.logits[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(batch.class_logits[1, :length], alone.class_logits[0], atol=1e-5, rtol=1e-4)
    assert torch.isfinite(batch.logits).all()


def test_the_order_of_anomalies_permutes_classes_and_leaves_the_score():
    features, mask = clip()
    built, text = trained(), texts()
    built.alpha.data.fill_(-0.1)  # most of the score comes from the fused video
    order = torch.tensor([0, 3, 1, 2])
    one, other = built(features, mask, text), built(features, mask, text[order])
    torch.testing.assert_close(other.logits, one.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(other.class_logits, one.class_logits[..., order], atol=1e-5, rtol=1e-5)


def test_what_is_normal_is_told_from_what_is_not():
    features, mask = clip()
    swapped = texts()[[1, 0, 2, 3]]
    marked, plain = trained(), trained(roles=False)
    for built, same in ((marked, False), (plain, True)):
        built.alpha.data.fill_(-0.1)
        found = [built(features, mask, text).logits for text in (texts(), swapped)]
        assert torch.allclose(*found, atol=1e-5) == same


def test_the_mix_starts_at_the_stated_weight_and_the_score_depends_on_the_text():
    built = trained()
    assert torch.sigmoid(10 * built.alpha).item() == pytest.approx(0.924, abs=1e-3)
    features, mask = clip()
    assert not torch.allclose(built(features, mask, texts()).logits, built(features, mask, -texts()).logits, atol=1e-6)


def test_sizes_project_or_pass():
    assert isinstance(head(dim=16).video_in, torch.nn.Identity)
    built = head(width=24)
    features, mask = clip()
    out = built(features, mask, texts())
    assert out.logits.shape == (2, 20) and out.class_logits.shape == (2, 20, 4)
    assert out.extra["temporal"].shape == (2, 20, 24) and out.extra["text"].shape == (4, 24)
    with pytest.raises(ValueError, match="got None"):
        built(features, mask)
    with pytest.raises(ValueError, match="odd, got 4"):
        head(kernel=4)


def test_the_text_match_adds_how_much_better_the_best_anomaly_fits():
    features, mask = clip()
    built, plain = trained(matched=True), trained()
    built.load_state_dict(plain.state_dict(), strict=False)
    built.match.data.fill_(0.5)
    one, other = built(features, mask, texts()), plain(features, mask, texts())
    gain = other.class_logits[..., 1:].amax(-1) - other.class_logits[..., 0]
    torch.testing.assert_close(one.logits, other.logits + 0.5 * gain)
    order = torch.tensor([0, 2, 3, 1])
    torch.testing.assert_close(built(features, mask, texts()[order]).logits, one.logits, atol=1e-5, rtol=1e-5)


def test_training_starts_from_the_space_of_the_encoders():
    built = head(dim=16, roles=False)
    features, mask = clip(dim=16)
    classes = built(features, mask, texts()).class_logits
    centred = functional.normalize(features - features.mean(-1, keepdim=True), dim=-1)
    words = texts() - texts().mean(-1, keepdim=True)
    cosines = centred @ functional.normalize(words, dim=-1).T / 0.2
    assert torch.corrcoef(torch.stack([classes.flatten(), cosines.flatten()]))[0, 1] > 0.98
