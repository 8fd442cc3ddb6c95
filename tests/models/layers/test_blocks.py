"""Attention and blocks beside torch's own with the same weights."""

import itertools

import pytest
import torch
from torch import nn
from torchs_blocks import attention_weights, block_weights, draw_all

from runner.models.layers.blocks import Block, FeedForward, MultiHeadAttention, Shape, Sight, through

E, N, F = 12, 3, 20
REAL = torch.tensor([[True] * 5, [True, True, True, False, False]])  # (B, S)


def test_attention_is_torchs() -> None:
    ours = MultiHeadAttention(E, N)
    x, source = torch.randn(2, 4, E), torch.randn(2, 5, E)
    theirs = nn.MultiheadAttention(E, N, batch_first=True)
    theirs.load_state_dict(attention_weights(ours))
    wanted, weights = theirs(x, source, source, key_padding_mask=~REAL)
    seen, sight = ours.read(source), Sight(REAL[:, None, None])
    torch.testing.assert_close(ours(x, seen, sight), wanted, rtol=0, atol=1e-5)
    torch.testing.assert_close(ours.weights(x, seen, sight), weights, rtol=0, atol=1e-5)


def test_heads_that_share_keys_are_heads_with_equal_ones() -> None:
    shared, full = MultiHeadAttention(E, 6, num_kv_heads=2), MultiHeadAttention(E, 6)
    full.load_state_dict(shared.state_dict() | {
        f"key_value.{name}": value.unflatten(0, (4, 2)).repeat_interleave(3, dim=0).flatten(0, 1)
        for name, value in shared.key_value.state_dict().items()
    })  # fmt: skip
    x = torch.randn(2, 5, E)
    sight = Sight(causal=True)
    torch.testing.assert_close(shared(x, shared.read(x), sight), full(x, full.read(x), sight))
    torch.testing.assert_close(shared.weights(x, shared.read(x), Sight()), full.weights(x, full.read(x), Sight()))


@pytest.mark.parametrize(("pre_norm", "activation"), list(itertools.product([False, True], ["relu", "gelu"])))
def test_a_block_is_torchs_encoder_layer(pre_norm: bool, activation: str) -> None:
    ours = Block(Shape(E, N, F, 0.0, activation, pre_norm=pre_norm))
    theirs = nn.TransformerEncoderLayer(E, N, F, 0.0, activation, batch_first=True, norm_first=pre_norm)
    draw_all(ours)
    theirs.load_state_dict(block_weights(ours))
    x = torch.randn(2, 5, E)
    real = REAL.unsqueeze(2)
    wanted = theirs(x, src_key_padding_mask=~REAL)
    torch.testing.assert_close(ours(x, Sight(REAL[:, None, None]))[0] * real, wanted * real, rtol=0, atol=1e-5)
    ahead = nn.Transformer.generate_square_subsequent_mask(5)
    torch.testing.assert_close(ours(x, Sight(causal=True))[0], theirs(x, ahead, is_causal=True), rtol=0, atol=1e-5)


def test_swiglu_is_a_gated_layer() -> None:
    layer = FeedForward(E, F, "swiglu", bias=False)
    x = torch.randn(2, 5, E)
    gate = x @ layer.gate.weight.T
    wanted = (gate * torch.sigmoid(gate) * (x @ layer.inner.weight.T)) @ layer.output.weight.T
    torch.testing.assert_close(layer(x), wanted)


@pytest.mark.parametrize("norm", ["layer", "rms"])
def test_a_net_without_constants_has_none(norm: str) -> None:
    block = Block(Shape(E, N, F, norm=norm, bias=False))
    assert not [name for name, _ in block.named_parameters() if "bias" in name]


def test_blocks_that_are_computed_again_have_the_same_gradients() -> None:
    block, x = Block(Shape(E, N, F, dropout=0.5)), torch.randn(2, 5, E)
    found = []
    for again in (False, True):
        torch.manual_seed(3)
        block.zero_grad()
        through(block, again, x, Sight())[0].square().sum().backward()
        found.append([parameter.grad for parameter in block.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_heads_that_do_not_divide_are_named() -> None:
    with pytest.raises(ValueError, match="embed_dim must be a multiple of num_heads=5, received 12"):
        MultiHeadAttention(E, 5)
    with pytest.raises(ValueError, match="num_heads must be a multiple of num_kv_heads=2, received 3"):
        MultiHeadAttention(E, 3, 2)
