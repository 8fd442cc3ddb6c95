"""NNLM: equation 1 of Bengio et al., with and without direct connections."""

import numpy as np
import pytest
import torch
from values import numbers

from runner.models.nnlm import NNLM


@pytest.mark.parametrize("direct", [True, False])
def test_it_is_equation_1(direct: bool) -> None:
    net = NNLM(11, n=4, embed_dim=3, hidden_dim=5, direct=direct)
    tokens = torch.randint(1, 11, (1, 6))
    vectors = np.concatenate([np.zeros((2, 3)), numbers(net.embedding.weight)[tokens[0].numpy()]])  # zeros before it
    weights = {name: numbers(each) for name, each in net.output.named_parameters()}
    for place, logits in enumerate(numbers(net(tokens))[0]):
        x = vectors[place : place + 3].ravel()
        y = weights["output.bias"] + weights["output.weight"] @ np.tanh(
            weights["hidden.bias"] + weights["hidden.weight"] @ x
        )
        y = y + weights["direct.weight"] @ x if direct else y
        np.testing.assert_allclose(logits, y, atol=1e-6)
    assert ("direct.weight" in weights) == direct


def test_it_sees_n_minus_1_words() -> None:
    net = NNLM(11, n=4, embed_dim=3, hidden_dim=5)
    tokens = torch.tensor([[5, 6, 7, 8, 9]])
    other = torch.tensor([[5, 3, 7, 8, 9]])
    same = (net(tokens) == net(other)).all(dim=2)[0]
    assert same.tolist() == [True, False, False, False, True]
    with pytest.raises(ValueError, match="n must be at least 2"):
        NNLM(11, n=1)


def test_it_starts_with_vectors() -> None:
    net = NNLM(5, n=3, embed_dim=2)
    matrix = torch.rand(4, 2)
    net.load_vectors(matrix)
    assert torch.equal(net.embedding.weight[:4], matrix)
