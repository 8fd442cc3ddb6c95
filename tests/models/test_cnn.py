"""CNN has the sizes of the book."""

import pytest
import torch

from runner.models.cnn import CNN


def test_cnn_has_the_sizes_of_the_book():
    net = CNN([1, 28, 28], 10)
    assert net.features(torch.rand(2, 1, 28, 28)).shape == (2, 64, 7, 7)
    assert sum(parameter.numel() for parameter in net.parameters()) == 832 + 51_264 + 3_212_288 + 10_250
    with pytest.raises(ValueError, match="must be odd"):
        CNN([1, 28, 28], 10, kernel_size=4)
    with pytest.raises(ValueError, match="too many"):
        CNN([1, 8, 8], 10, num_filters=[4, 4, 4, 4])
