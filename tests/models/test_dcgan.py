"""The networks of the book."""

import pytest
import torch
from torch import nn

from runner.models.dcgan import DCGAN


def test_sizes_of_the_book() -> None:
    net = DCGAN(image_shape=[1, 28, 28])
    shapes = []
    for layer in net.generator:
        layer.register_forward_hook(lambda layer, inputs, output: shapes.append(tuple(output.shape[1:])))
    images = net(torch.randn(2, 100))
    assert images.shape == (2, 1, 28, 28) and images.min() >= 0 and images.max() <= 1
    assert [shape for shape in dict.fromkeys(shapes) if len(shape) == 3] == [
        (256, 7, 7), (128, 7, 7), (64, 14, 14), (1, 28, 28)]  # fmt: skip
    assert net.discriminator(images).shape == (2,)
    folds = [layer.weight.shape for layer in net.discriminator.modules() if isinstance(layer, nn.Conv2d)]
    assert folds == [(64, 1, 4, 4), (64, 64, 4, 4)]


def test_a_packed_discriminator_of_limited_slope() -> None:
    net = DCGAN([1, 8, 8], 5, [8, 6, 4], [6, 4], spectral_norm=True, packing=3)
    for _ in range(50):
        net.discriminator(torch.rand(2, 3, 8, 8))  # each call comes nearer to the largest singular value
    for name, weight in net.discriminator.named_parameters():
        assert "bias" in name or name.endswith("original"), weight.shape
    for place in (0, 2, 5):
        weight = net.discriminator[place].weight.detach()
        assert float(torch.linalg.matrix_norm(weight.flatten(1), 2)) == pytest.approx(1, abs=1e-2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_shape": [1, 30, 28]}, "multiples of 4, received 30 x 28"),
        ({"num_filters": [4, 4]}, r"received \[4, 4\] and \[64, 64\]"),
        ({"packing": 0}, "packing must be at least 1, received 0"),
    ],
)
def test_what_does_not_fit(settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        DCGAN(**{"image_shape": [1, 28, 28], **settings})
