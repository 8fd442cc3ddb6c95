"""EmbeddingMLP is one product with all places of a text."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from values import numbers

from runner.models.embedding_mlp import EmbeddingMLP


def test_embedding_mlp_is_one_product_with_all_places():
    net = EmbeddingMLP(vocab_size=20, num_outputs=3, max_len=4, embed_dim=5).eval()
    tokens = torch.tensor([[3, 4, 5, 6], [7, 8, 0, 0]])
    vectors, weight, bias = numbers(net.embedding.weight), numbers(net.output.weight), numbers(net.output.bias)
    expected = [weight @ np.concatenate([vectors[token] for token in row]) + bias for row in tokens.tolist()]
    assert np.allclose(numbers(net(tokens)), expected, atol=1e-6)
    assert torch.equal(net(tokens), net(F.pad(tokens, (0, 7)))), "words after the last place are not read"
    assert torch.allclose(net(tokens[1:, :2]), net(tokens)[1:])
    assert not torch.allclose(net(tokens[:, [1, 0, 2, 3]]), net(tokens)), "word order counts"


def test_embedding_mlp_with_hidden_layers():
    net = EmbeddingMLP(20, 2, max_len=3, embed_dim=4, hidden_dims=[6, 5])
    assert [tuple(p.shape) for p in net.hidden.parameters()] == [(6, 12), (6,), (5, 6), (5,)]
    with pytest.raises(ValueError, match="hidden_dims must be at least 1"):
        EmbeddingMLP(20, 2, max_len=3, hidden_dims=[6, 0])
