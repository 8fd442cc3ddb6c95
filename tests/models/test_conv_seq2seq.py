"""Step by step equals all at once; neither the future nor padding is seen."""

import pytest
import torch

from runner.models.conv_seq2seq import ConvSeq2Seq

SRC = torch.tensor([[2, 3, 4], [6, 7, 0]])
TGT = torch.tensor([[2, 4, 5, 6, 7], [2, 6, 1, 3, 3]])


@pytest.mark.parametrize(("layers", "width"), [(1, 1), (3, 3), (2, 5)])
def test_steps_say_what_the_whole_target_says(layers, width) -> None:
    net = ConvSeq2Seq(9, 8, embed_dim=5, hidden_dim=6, num_layers=layers, kernel_size=width).eval()
    whole, state = net(SRC, TGT), net.start(SRC)
    for place in range(TGT.size(1)):
        logits, state = net.step(TGT[:, place], state)
        assert torch.allclose(logits, whole[:, place], atol=1e-5)
        assert torch.allclose(net.step_attention(state).sum(dim=1), torch.ones(2))
    assert not net.step_attention(state)[1, 2]


def test_places_beyond_the_longest_text_share_a_vector() -> None:
    net = ConvSeq2Seq(9, 8, max_len=2, tgt_max_len=2, embed_dim=5, hidden_dim=6).eval()
    assert torch.isfinite(net(SRC, TGT)).all()


def test_a_convolution_to_both_sides_needs_a_middle() -> None:
    with pytest.raises(ValueError, match="kernel_size must be odd, received 4"):
        ConvSeq2Seq(9, 8, kernel_size=4)
