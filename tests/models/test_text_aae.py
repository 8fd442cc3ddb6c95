"""Sentences to codes and back."""

import pytest
import torch

from runner.models.text_aae import TextAAE


def net_with(reader: str) -> TextAAE:
    torch.manual_seed(0)
    sizes = {"latent_dim": 3, "embed_dim": 4, "hidden_dim": 5, "num_filters": 2, "discriminator_dims": [4]}
    return TextAAE(9, reader=reader, **sizes).eval()


@pytest.mark.parametrize("reader", ["recurrent", "convolutional"])
def test_parts_and_steps(reader: str) -> None:
    """Step by step the decoder says what it says of the whole, from the code alone."""
    net = net_with(reader)
    tokens, written = torch.tensor([[2, 3, 4], [6, 7, 0]]), torch.tensor([[0, 2, 3, 4], [0, 6, 7, 0]])
    whole, codes = net(tokens, written)
    assert whole.shape == (2, 4, 9) and codes.shape == (2, 3) and net.discriminator(codes).shape == (2,)
    state = net.start_from(net.codes(tokens))
    for place in range(4):
        logits, state = net.step(written[:, place], state)
        torch.testing.assert_close(logits, whole[:, place])
    other, _ = net(tokens.flip(0), written)
    assert not torch.allclose(other[:, 0], whole[:, 0])  # the first word follows from the code


@pytest.mark.parametrize("reader", ["recurrent", "convolutional"])
def test_padding_is_not_read(reader: str) -> None:
    net = net_with(reader)
    torch.testing.assert_close(net.codes(torch.tensor([[2, 3, 4, 0, 0]])), net.codes(torch.tensor([[2, 3, 4]])))


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="reader must be one of recurrent, convolutional"):
        TextAAE(9, reader="recurent")
    with pytest.raises(ValueError, match="kernel_sizes must be widths of at least 1"):
        TextAAE(9, reader="convolutional", kernel_sizes=[])
