"""The sizes of the book's autoencoder."""

import torch
from torch import nn

from runner.models.autoencoder import Autoencoder


def test_the_book_s_layers() -> None:
    net = Autoencoder(image_shape=[1, 28, 28])
    widths = [(layer.in_features, layer.out_features) for layer in net.modules() if isinstance(layer, nn.Linear)]
    assert widths == [(784, 512), (512, 128), (128, 64), (64, 2), (2, 64), (64, 128), (128, 512), (512, 784)]
    assert [layer.num_features for layer in net.modules() if isinstance(layer, nn.BatchNorm1d)] == [784, 512]
    images = torch.rand(3, 1, 28, 28)
    assert net(images).shape == images.shape and net(images).min() >= 0 and net(images).max() <= 1


def test_no_hidden_layer_at_all() -> None:
    net = Autoencoder(image_shape=[1, 4, 4], hidden_dims=[], latent_dim=3, batch_norm=False)
    assert net(torch.rand(2, 1, 4, 4)).shape == (2, 1, 4, 4) and net.codes(torch.rand(2, 1, 4, 4)).shape == (2, 3)
