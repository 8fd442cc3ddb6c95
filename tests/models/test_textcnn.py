"""TextCNN against the sum over every window, and its modes."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from values import numbers, sentences, strongest_windows

from runner.models.textcnn import TextCNN


def test_textcnn_is_the_sum_over_every_window() -> None:
    net = TextCNN(vocab_size=30, num_outputs=3, embed_dim=5, num_filters=4, kernel_sizes=[2, 3, 4]).eval()
    lengths = [9, 4, 3, 1]
    tokens = sentences(lengths, 30)
    logits = numbers(net(tokens))
    table = numbers(net.embedding.weight)
    for row, length in enumerate(lengths):
        words = table[tokens[row, :length].numpy()]
        features = np.concatenate(
            [strongest_windows(words, numbers(each.weight), numbers(each.bias)) for each in net.convolutions]
        )
        expected = numbers(net.output.weight) @ features + numbers(net.output.bias)
        np.testing.assert_allclose(logits[row], expected, atol=1e-6)


def test_textcnn_takes_any_length_and_no_words_at_all() -> None:
    net = TextCNN(vocab_size=30, num_outputs=2).eval()
    for length in (1, 2, 5, 60):
        assert net(torch.randint(1, 30, (2, length))).shape == (2, 2)
    empty = [net(torch.zeros(1, length, dtype=torch.int64)) for length in (1, 5, 40)]
    assert torch.isfinite(empty[0]).all()
    torch.testing.assert_close(empty[0], empty[1])
    torch.testing.assert_close(empty[0], empty[2])


def test_textcnn_embeddings_start_small_and_padding_stays_zero() -> None:
    net = TextCNN(vocab_size=1000, num_outputs=2)
    weight = net.embedding.weight
    assert weight.detach()[1:].abs().max() <= 0.25
    assert weight.detach()[1:].std() == pytest.approx(0.5 / math.sqrt(12), rel=0.02)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    net(sentences([7, 3], 1000)).square().sum().backward()
    optimizer.step()
    assert not weight.grad[0].any()
    assert not weight[0].any()


def test_textcnn_drops_out_only_in_training() -> None:
    net = TextCNN(vocab_size=30, num_outputs=2, dropout=0.5)
    tokens = sentences([9, 9], 30)
    assert not torch.equal(net(tokens), net(tokens))
    net.eval()
    assert torch.equal(net(tokens), net(tokens))


def test_a_filter_of_textcnn_adds_up_both_channels():
    both = TextCNN(20, 2, embed_dim=4, num_filters=3, kernel_sizes=[2], mode="multichannel").eval()
    tokens = torch.randint(1, 20, (3, 6))
    (convolve,) = both.convolutions
    learned, fixed = both.embedding(tokens).transpose(1, 2), both.fixed(tokens).transpose(1, 2)
    scores = F.conv1d(learned, convolve.weight[:, :4]) + F.conv1d(fixed, convolve.weight[:, 4:])
    features = F.relu(scores + convolve.bias[:, None]).amax(dim=2)
    assert torch.allclose(both(tokens), both.output(features), atol=1e-6)


@pytest.mark.parametrize(
    ("mode", "frozen", "needs"),
    [
        ("rand", [], False),
        ("static", ["embedding.weight"], True),
        ("non_static", [], True),
        ("multichannel", ["fixed.weight"], True),
    ],
)
def test_the_modes_of_textcnn(mode, frozen, needs):
    net = TextCNN(20, 2, embed_dim=4, num_filters=3, mode=mode)
    assert [name for name, parameter in net.named_parameters() if not parameter.requires_grad] == frozen
    assert net.needs_vectors == needs


def test_an_unknown_mode_of_textcnn():
    with pytest.raises(ValueError, match=r"mode must be one of rand, static, .* received 'fixed'"):
        TextCNN(20, 2, mode="fixed")
