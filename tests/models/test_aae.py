"""The parts of the adversarial autoencoder."""

import torch

from runner.models.aae import AAE


def test_parts_and_shapes() -> None:
    net = AAE(image_shape=[1, 4, 4], hidden_dims=[8], latent_dim=3, conditional=True, num_classes=2).eval()
    images, labels = torch.rand(5, 1, 4, 4), torch.tensor([0, 1, 0, 1, 0])
    recovered, codes = net(images, labels)
    assert recovered.shape == images.shape and codes.shape == (5, 3)
    assert net.discriminator(codes).shape == (5,)
    torch.testing.assert_close(net.images(codes, labels), recovered)
    assert not torch.equal(net.images(codes, 1 - labels), recovered)
