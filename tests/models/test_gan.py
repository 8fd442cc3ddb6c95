"""What the GAN makes and judges."""

import torch
from torch import nn

from runner.models.gan import GAN


def test_gan_makes_and_judges_images() -> None:
    net = GAN(image_shape=[3, 4, 5], latent_dim=7, hidden_dims=[8, 16])
    images = net(torch.randn(6, 7))
    assert images.shape == (6, 3, 4, 5)
    assert images.min() >= 0
    assert images.max() <= 1
    assert net.discriminator(images).shape == (6,)
    widths = [layer.out_features for layer in net.discriminator.modules() if isinstance(layer, nn.Linear)]
    assert widths == [16, 8, 1]
