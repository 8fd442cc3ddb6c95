"""Self-attention: its weights, its penalty, and what its loss is."""

import numpy as np
import pytest
import torch
from values import CLOSE, numbers, sentences

from runner.models.self_attentive import SelfAttentive, likeness

LENGTHS = [6, 1, 4]


@pytest.fixture
def net() -> SelfAttentive:
    return SelfAttentive(20, 3, embed_dim=5, hidden_dim=4, attention_dim=6, hops=3, dense_dim=7, penalty=0.5).eval()


def test_every_hop_weights_real_words_only(net) -> None:
    tokens = sentences(LENGTHS, 20)
    weights = net.attention(tokens)
    assert weights.shape == (3, 3, 6)
    torch.testing.assert_close(weights.sum(dim=2), torch.ones(3, 3), **CLOSE)
    assert not weights.transpose(1, 2)[tokens == 0].any()
    assert (weights.transpose(1, 2)[tokens != 0] > 0).all()


def test_the_matrix_of_a_text_is_that_of_the_paper(net) -> None:
    tokens = sentences(LENGTHS, 20)
    states, _ = net.read(tokens)
    scores = net(tokens)
    first, _, queries = net.attending
    for row, length in enumerate(LENGTHS):
        h = numbers(states[row, :length])
        s = numbers(queries.weight) @ np.tanh(numbers(first.weight) @ h.T + numbers(first.bias)[:, None])  # (R, T)
        a = np.exp(s) / np.exp(s).sum(axis=1, keepdims=True)
        m = (a @ h).reshape(-1)
        dense = np.maximum(numbers(net.dense.weight) @ m + numbers(net.dense.bias), 0)
        wanted = numbers(net.output.weight) @ dense + numbers(net.output.bias)
        np.testing.assert_allclose(numbers(scores[row]), wanted, atol=1e-5)
        penalty = np.linalg.norm(a @ a.T - np.eye(3), ord="fro") ** 2
        assert likeness(net.attention(tokens))[row].item() == pytest.approx(penalty, abs=1e-5)


def test_the_net_says_its_scores_with_its_penalty(net) -> None:
    tokens = sentences(LENGTHS, 20)
    found = net.losses((tokens,), torch.zeros(3, dtype=torch.int64))
    torch.testing.assert_close(found["outputs"], net(tokens))
    torch.testing.assert_close(found["penalty"], 0.5 * likeness(net.attention(tokens)).mean())


def test_hops_at_different_words_cost_nothing() -> None:
    apart, alike = torch.eye(2).expand(1, 2, 2), torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
    assert likeness(apart).item() == 0 and likeness(alike).item() == 2


def test_refusals() -> None:
    with pytest.raises(ValueError, match="penalty must be at least 0, received -1"):
        SelfAttentive(20, 2, penalty=-1)
    with pytest.raises(ValueError, match="hops"):
        SelfAttentive(20, 2, hops=0)
