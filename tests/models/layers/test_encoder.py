"""What an encoder read: padding is not part of a row."""

import torch

from runner.models.layers.encoder import Encoder


def test_a_row_is_read_alike_alone_and_beside_a_longer_one() -> None:
    encoder = Encoder(9, embed_dim=3, hidden_dim=4, num_layers=2, bidirectional=True).eval()
    states, last, mask = encoder(torch.tensor([[2, 3, 4], [5, 6, 0]]))
    alone, end, _ = encoder(torch.tensor([[5, 6]]))
    assert mask.tolist() == [[True] * 3, [True, True, False]]
    torch.testing.assert_close(states[1:, :2], alone)
    torch.testing.assert_close(last[1:], end)
    assert states.size(2) == encoder.output_dim == 8
