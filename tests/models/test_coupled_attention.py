"""Coupled attentions against the equations in NumPy, and the two labels put together."""

import numpy as np
import pytest
import torch

from runner.models.coupled_attention import CoupledAttention, compositions, joined_tags


def test_a_tensor_composes_token_and_prototype_slice_by_slice() -> None:
    hidden, tensor, prototype = torch.randn(2, 3, 4), torch.randn(5, 4, 4), torch.randn(2, 4)
    found = compositions(hidden, tensor, prototype).numpy()
    for row, token, part in np.ndindex(2, 3, 5):
        expected = hidden[row, token].numpy() @ tensor[part].numpy() @ prototype[row].numpy()
        assert found[row, token, part] == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_a_prototype_is_carried_on_and_moved_towards_what_is_found() -> None:
    attention = CoupledAttention(9, 5, embed_dim=6, hidden_dim=4, slices=3).aspects
    hidden, features = torch.randn(1, 3, 4), torch.randn(1, 3, 6)
    own, mask = torch.randn(1, 4), torch.tensor([[True, True, False]])
    found = attention.following(hidden, features, own, mask)[0].detach().numpy()
    scores = features[0, :2].numpy() @ attention.score.weight[0].detach().numpy()
    weights = np.exp(scores) / np.exp(scores).sum()
    carried = np.tanh(attention.carry.weight.detach().numpy() @ own[0].numpy())
    assert found == pytest.approx(carried + weights @ hidden[0, :2].numpy(), abs=1e-5)


def test_two_labels_give_five_tags() -> None:
    aspects, opinions = torch.rand(1, 1, 3).log_softmax(2), torch.rand(1, 1, 3).log_softmax(2)
    first, second = aspects.exp()[0, 0].numpy(), opinions.exp()[0, 0].numpy()
    both = np.array([first[0] * second[0], first[1] * second[0], first[2] * second[0],
                     first[0] * second[1], first[0] * second[2]])  # fmt: skip
    assert joined_tags(aspects, opinions).exp()[0, 0].numpy() == pytest.approx(both / both.sum(), rel=1e-5)


def test_the_attentions_help_each_other() -> None:
    """With two layers what is found of opinions changes what is said of aspects."""
    tokens = torch.tensor([[2, 3, 4, 5]])
    net = CoupledAttention(9, 5, embed_dim=6, hidden_dim=4, slices=3, num_layers=2).eval()
    before = net(tokens)
    with torch.no_grad():
        net.opinions.score.weight += 3
    after = net(tokens)
    of_aspects = (before[..., 1] - before[..., 2]) - (after[..., 1] - after[..., 2])  # begins against continues
    assert of_aspects.abs().max() > 1e-6


def test_another_number_of_tags_is_refused() -> None:
    with pytest.raises(ValueError, match="5 tags; received 9"):
        CoupledAttention(9, 9)
