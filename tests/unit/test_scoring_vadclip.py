from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from vau.scoring.heads.vadclip import VadClip, WindowLayer, distance_graph, similarity_graph, window_mask  # noqa: E402


def head(**changes) -> VadClip:
    torch.manual_seed(0)
    return VadClip(**({"dim": 12, "text_dim": 16, "window": 4, "chunk": 40} | changes)).eval()


def clip(steps: int = 20, seed: int = 1):
    features = torch.randn(2, steps, 12, generator=torch.Generator().manual_seed(seed))
    return features, torch.ones(2, steps, dtype=torch.bool)


def texts(rows: int = 4):
    return functional.normalize(torch.randn(rows, 16, generator=torch.Generator().manual_seed(2)), dim=-1)


def test_a_block_sees_no_padding_but_itself():
    allowed = window_mask(torch.tensor([[True] * 3 + [False] * 3]), 2)[0].int().tolist()
    assert allowed == [[[1, 1], [1, 1]], [[1, 0], [1, 1]], [[1, 0], [0, 1]]]


@pytest.mark.parametrize("steps", [1, 4, 7, 20])
@pytest.mark.parametrize("heads", [1, 2])
def test_blocks_give_the_attention_of_the_whole_under_a_mask(steps, heads):
    torch.manual_seed(0)
    layer = WindowLayer(16, heads).eval()
    x, mask = torch.randn(2, steps, 16), torch.ones(2, steps, dtype=torch.bool)
    mask[1, (steps + 1) // 2 :] = False
    block = torch.arange(steps) // 4
    allowed = ((block[:, None] == block) & mask[:, None, :]) | torch.eye(steps, dtype=torch.bool)
    normed = layer.norms[0](x)
    blocked = (~allowed).repeat_interleave(heads, dim=0)
    seen = x + layer.attention(normed, normed, normed, attn_mask=blocked, need_weights=False)[0]
    expected = seen + layer.feed(layer.norms[1](seen))
    torch.testing.assert_close(layer(x, mask, 4)[mask], expected[mask])


def test_the_similarity_graph_by_hand():
    x = torch.tensor([[[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [5.0, 5.0]]])
    mask = torch.tensor([[True, True, True, False]])
    graph = similarity_graph(x, mask)[0]
    e = math.e
    expected = [[e, e, 1.0], [e, e, 1.0], [1.0, 1.0, e]]  # cosine 1 stays, cosine 0 is below 0.7 and counts as 0
    expected = [[value / sum(row) for value in row] + [0.0] for row in expected] + [[0.0] * 4]
    torch.testing.assert_close(graph, torch.tensor(expected))
    near = torch.tensor([[[1.0, 0.0], [0.71, math.sqrt(1 - 0.71**2)]]])
    assert similarity_graph(near, mask[:, :2])[0, 0, 1] == pytest.approx(
        math.exp(0.71) / (math.exp(0.71) + e), rel=1e-5
    )


def test_the_distance_graph_by_hand():
    graph = distance_graph(torch.tensor([[True, True, True, False]]))[0]
    assert graph[0].tolist() == pytest.approx([1.0, math.exp(-1 / math.e), math.exp(-2 / math.e), 0.0])
    assert not graph[3].any()


@pytest.mark.parametrize("branch", ["binary", "aligned"])
@pytest.mark.parametrize("length", [1, 4, 7])
def test_padding_changes_nothing_even_when_it_holds_garbage(branch, length):
    built, text = head(branch=branch), texts()
    features, mask = clip()
    mask[1, length:] = False
    features[1, length:] = 50.0
    batch = built(features, mask, text)
    alone = built(features[1:, :length], mask[1:, :length], text)
    torch.testing.assert_close(batch.logits[1, :length], alone.logits[0], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(batch.class_logits[1, :length], alone.class_logits[0], atol=1e-5, rtol=1e-4)
    assert torch.isfinite(batch.logits).all()


def test_the_order_of_anomalies_permutes_classes_and_leaves_the_score():
    features, mask = clip()
    order = torch.tensor([0, 3, 1, 2])
    for branch in ("binary", "aligned"):
        built = head(branch=branch)
        one, other = built(features, mask, texts()), built(features, mask, texts()[order])
        torch.testing.assert_close(other.logits, one.logits)
        torch.testing.assert_close(other.class_logits, one.class_logits[..., order])


def test_the_aligned_score_is_one_minus_the_probability_of_normal():
    features, mask = clip()
    out = head(branch="aligned")(features, mask, texts())
    expected = 1 - out.class_logits.softmax(dim=-1)[..., 0]
    torch.testing.assert_close(torch.sigmoid(out.logits), expected, atol=1e-6, rtol=1e-5)
    binary = head()(features, mask, texts())
    torch.testing.assert_close(binary.logits, binary.extra["binary"])


def test_class_logits_are_cosines_over_the_temperature():
    features, mask = clip()
    out = head()(features, mask, texts())
    assert out.class_logits.abs().max() <= 1 / 0.07 + 1e-4


def test_the_binary_score_does_not_read_the_text():
    features, mask = clip()
    built = head()
    torch.testing.assert_close(built(features, mask, texts()).logits, built(features, mask, -texts(7)).logits)


def test_offsets_bind_the_head_to_its_classes():
    features, mask = clip()
    built = head(classes=3)
    plain = built(features, mask, texts()).class_logits
    built.offsets.data[2] = 1.0
    changed = (built(features, mask, texts()).class_logits - plain).abs().amax(dim=(0, 1)) > 1e-5
    assert changed.tolist() == [False, False, True, False]
    with pytest.raises(ValueError, match="4 text embeddings, got 3"):
        built(features, mask, texts(3))


def test_what_does_not_fit_is_refused():
    features, mask = clip(41)
    with pytest.raises(ValueError, match="40 steps a pass"):
        head()(features, mask, texts())
    with pytest.raises(ValueError, match="got None"):
        head()(*clip())
    assert head().chunk == 40
