"""Shared blocks, positions, and the mean of the real tokens alone."""

import pytest
import torch
from torchs_blocks import draw_all
from values import sentences

from runner.models.transformer_encoder import TransformerEncoder


def net(**settings) -> TransformerEncoder:
    model = TransformerEncoder(20, 3, max_len=12, embed_dim=8, **settings).eval()
    draw_all(model)
    return model


def test_shared_blocks_are_equal_ones() -> None:
    shared, full = net(num_layers=3, shared=True), net(num_layers=3)
    only = shared.state_dict()
    full.load_state_dict(
        {
            name: only[".".join(["blocks.0", *name.split(".")[2:]]) if "blocks" in name else name]
            for name in full.state_dict()
        }
    )
    assert sum(each.numel() for each in shared.parameters()) < sum(each.numel() for each in full.parameters())
    tokens = sentences([5, 12], 20)
    torch.testing.assert_close(shared(tokens), full(tokens))


@pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
def test_the_order_of_words_matters(positions: str) -> None:
    model, tokens = net(positions=positions), torch.arange(1, 9)[None]
    assert not torch.allclose(model(tokens), model(tokens.flip(1)), atol=1e-3)
    if positions == "learned":
        torch.nn.init.zeros_(model.positions.weight)
        torch.testing.assert_close(model(tokens), model(tokens.flip(1)), rtol=1e-4, atol=1e-4)


def test_word_vectors_are_taken() -> None:
    model, matrix = net(), torch.randn(20, 8)
    model.load_vectors(matrix)
    assert torch.equal(model.embedding.weight, matrix)
