"""The tagger sees both sides of a token, and no padding."""

import torch

from runner.models.lstm_tagger import LSTMTagger


def test_a_tag_depends_on_both_sides() -> None:
    net = LSTMTagger(9, 3, embed_dim=5, hidden_dim=4).eval()
    tokens = torch.tensor([[2, 3, 4, 5, 6]])
    middle = net(tokens)[0, 2]
    for place in (0, 4):
        other = tokens.clone()
        other[0, place] = 7
        assert not torch.allclose(net(other)[0, 2], middle)


def test_padding_changes_no_tag() -> None:
    net = LSTMTagger(9, 3, embed_dim=5, hidden_dim=4, num_layers=2).eval()
    alone, padded = net(torch.tensor([[2, 3]])), net(torch.tensor([[2, 3, 0, 0], [4, 5, 6, 7]]))
    assert torch.allclose(alone[0], padded[0, :2], atol=1e-6)
