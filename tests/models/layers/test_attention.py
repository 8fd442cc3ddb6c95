"""Scores and windows against plain NumPy loops."""

import numpy as np
import pytest
import torch

from runner.models.layers.attention import SCORES, Attention

B, T, S, D = 2, 3, 5, 4
MASK = torch.tensor([[True] * 5, [True, True, True, False, False]])


@pytest.fixture
def query() -> torch.Tensor:
    return torch.randn(B, T, D)


@pytest.fixture
def keys() -> torch.Tensor:
    return torch.randn(B, S, D)


def array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().double().numpy()


def expected(name: str, score: torch.nn.Module, q: np.ndarray, k: np.ndarray, place: int) -> float:
    """The score of one query and one key, from the formula."""
    if name == "dot":
        return q @ k
    if name == "scaled_dot":
        return q @ k / np.sqrt(D)
    if name == "cosine":
        strength = np.log1p(np.exp(array(score.strength)))
        return float(strength * (q @ k) / np.linalg.norm(q) / np.linalg.norm(k))
    if name == "general":
        return q @ array(score.weight.weight) @ k
    if name == "location":
        return array(score.weight.weight)[place] @ q
    hidden = array(score.of_query.weight) @ q + array(score.of_key.weight) @ k + array(score.of_key.bias)
    return float(array(score.weight.weight)[0] @ np.tanh(hidden))


@pytest.mark.parametrize("name", SCORES)
def test_a_score_is_its_formula(name, query, keys) -> None:
    score = SCORES[name](D, D, S)
    found = array(score(query, score.prepare(keys)))
    for row in range(B):
        for step in range(T):
            for place in range(S):
                wanted = expected(name, score, array(query)[row, step], array(keys)[row, place], place)
                assert found[row, step, place] == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("name", ["dot", "scaled_dot", "cosine"])
def test_a_product_needs_equal_lengths(name) -> None:
    with pytest.raises(ValueError, match="received 4 and 6: choose score=general"):
        Attention(4, 6, score=name)


@pytest.mark.parametrize("window", ["global", "local-m"])
def test_the_weights_of_real_keys_add_up_to_one(window, query, keys) -> None:
    context, weights = Attention(D, D, "general", window, width=1)(query, keys, MASK)
    assert torch.allclose(weights.sum(dim=2), torch.ones(B, T))
    assert not weights[1, :, 3:].any()
    assert torch.allclose(context, weights @ keys)


def test_a_monotonic_window_moves_with_the_query(query, keys) -> None:
    _, weights = Attention(D, D, "dot", "local-m", width=1)(query, keys, MASK)
    assert (weights[0] > 0).tolist() == [
        [True, True, False, False, False],
        [True] * 3 + [False] * 2,
        [False] + [True] * 3 + [False],
    ]


def test_a_predicted_window_is_a_bell_around_its_middle(query, keys) -> None:
    width = 2
    attention = Attention(D, D, "dot", "local-p", width=width)
    _, weights = attention(query, keys, MASK)
    middles = array(torch.sigmoid(attention.place(query)))[..., 0] * (MASK.sum(dim=1).numpy() - 1)[:, None]
    for row in range(B):
        for step in range(T):
            away = np.arange(S) - middles[row, step]
            inside = (np.abs(away) <= width) & MASK[row].numpy()
            scores = np.exp(array(keys)[row] @ array(query)[row, step]) * inside
            wanted = scores / scores.sum() * np.exp(-(away**2) / (2 * (width / 2) ** 2))
            assert array(weights)[row, step] == pytest.approx(wanted, abs=1e-5)
    assert not weights[~MASK.unsqueeze(1).expand_as(weights)].any()


def test_a_location_beyond_the_longest_row_is_never_looked_at(query) -> None:
    keys = torch.randn(B, 7, D)
    _, weights = Attention(D, D, "location", max_len=5)(query, keys, torch.ones(B, 7, dtype=torch.bool))
    assert not weights[:, :, 5:].any()
