"""TextCNN1d against the sum over every window."""

import numpy as np
from values import numbers, sentences, strongest_windows

from runner.models.textcnn1d import TextCNN1d


def test_textcnn1d_is_the_sum_over_every_window() -> None:
    net = TextCNN1d(vocab_size=30, num_outputs=2, embed_dim=5, num_filters=6, kernel_size=3, hidden_dim=7).eval()
    lengths = [8, 3, 2]
    tokens = sentences(lengths, 30)
    logits = numbers(net(tokens))
    table = numbers(net.embedding.weight)
    for row, length in enumerate(lengths):
        words = table[tokens[row, :length].numpy()]
        features = strongest_windows(words, numbers(net.convolution.weight), numbers(net.convolution.bias))
        hidden = np.maximum(numbers(net.hidden.weight) @ features + numbers(net.hidden.bias), 0)
        expected = numbers(net.output.weight) @ hidden + numbers(net.output.bias)
        np.testing.assert_allclose(logits[row], expected, atol=1e-6)
