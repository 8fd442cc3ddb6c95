"""The whole net beside torch's; writing with kept keys and values equals the whole target at once."""

import itertools

import pytest
import torch
from torch import nn
from torchs_blocks import block_weights, draw_all

from runner.models.transformer import Transformer

SRC = torch.tensor([[2, 3, 4, 5], [6, 7, 0, 0]])
TGT = torch.tensor([[2, 4, 5, 3], [2, 6, 0, 0]])


def net(**settings) -> Transformer:
    model = Transformer(9, 8, embed_dim=12, num_heads=3, num_layers=2, hidden_dim=20, **settings).eval()
    draw_all(model)
    return model


@pytest.mark.parametrize("pre_norm", [False, True])
def test_it_is_torchs_transformer(pre_norm: bool) -> None:
    ours = net(pre_norm=pre_norm)
    layer = nn.TransformerEncoderLayer(12, 3, 20, 0.0, batch_first=True, norm_first=pre_norm)
    encoder = nn.TransformerEncoder(layer, 2, ours.src_norm, enable_nested_tensor=False)
    theirs = nn.Transformer(12, 3, 2, 2, 20, 0.0, custom_encoder=encoder, batch_first=True, norm_first=pre_norm).eval()
    theirs.decoder.norm = ours.tgt_norm
    for blocks, layers in ((ours.encoder, theirs.encoder.layers), (ours.decoder, theirs.decoder.layers)):
        for block, layer in zip(blocks, layers, strict=True):
            layer.load_state_dict(block_weights(block))
    places = torch.arange(4)
    hidden = theirs(
        ours.embedded(SRC, places, ours.src_embedding, ours.src_positions),
        ours.embedded(TGT, places, ours.tgt_embedding, ours.tgt_positions),
        tgt_mask=nn.Transformer.generate_square_subsequent_mask(4),
        src_key_padding_mask=torch.where(SRC == 0, -torch.inf, 0.0),
        memory_key_padding_mask=torch.where(SRC == 0, -torch.inf, 0.0),
    )
    torch.testing.assert_close(ours(SRC, TGT), ours.output(hidden), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("positions", "pre_norm"), list(itertools.product(["sinusoidal", "learned"], [False, True])))
def test_steps_say_what_the_whole_target_says(positions: str, pre_norm: bool) -> None:
    model = net(positions=positions, pre_norm=pre_norm)
    whole, state = model(SRC, TGT), model.start(SRC)
    for place in range(TGT.size(1)):
        logits, state = model.step(TGT[:, place], state)
        torch.testing.assert_close(logits, whole[:, place], rtol=1e-5, atol=1e-5)
        look = model.step_attention(state)
        torch.testing.assert_close(look.sum(dim=1), torch.ones(2))
        assert not look[1, 2:].any()


def test_blocks_that_are_computed_again_have_the_same_gradients() -> None:
    found = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        model = Transformer(9, 8, embed_dim=12, num_heads=3, checkpointing=checkpointing)
        model(SRC, TGT).square().sum().backward()
        found.append([parameter.grad for parameter in model.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
