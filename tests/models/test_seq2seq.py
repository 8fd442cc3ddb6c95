"""Step by step equals all at once."""

import pytest
import torch

from runner.models.seq2seq import Seq2Seq


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_steps_say_what_the_whole_target_says(cell, bidirectional) -> None:
    net = Seq2Seq(9, 8, embed_dim=5, hidden_dim=6, cell=cell, num_layers=2, bidirectional=bidirectional).eval()
    src, tgt = torch.tensor([[2, 3, 4], [6, 7, 0]]), torch.tensor([[2, 4, 5], [2, 6, 1]])
    whole, state = net(src, tgt), net.start(src)
    for place in range(3):
        logits, state = net.step(tgt[:, place], state)
        assert torch.allclose(logits, whole[:, place], atol=1e-5)
