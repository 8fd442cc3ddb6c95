"""CNN1d has the sizes of the book."""

import pytest
import torch

from runner.models.cnn1d import CNN1d


def test_cnn1d_has_the_sizes_of_the_book():
    net = CNN1d(128, 9, 6)
    assert net.dense.in_features == 63 * 64 and net(torch.rand(2, 128, 9)).shape == (2, 6)
    with pytest.raises(ValueError, match="leave nothing"):
        CNN1d(4, 9, 6, kernel_size=4, pool_size=2)
